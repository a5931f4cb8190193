"""A statement and the facts of a database -> what it locks, rewrites, reads and writes; or that this is not known.

The locks are those of :mod:`callctl.forecast.locks`, on the tables that the catalog says are concerned: the statement
alone does not say whether ALTER COLUMN TYPE rewrites, or which other table loses its foreign key with a column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from sqlglot import exp

from callctl.forecast.catalog import NONE, Catalog, Constraint, Index, Name, Relation, Trigger, Type
from callctl.forecast.functions import Sent, sent_by, sent_for, words_of
from callctl.forecast.locks import KINDS, Mode
from callctl.statements.scope import folded
from callctl.statements.script import tree
from callctl.statements.tokens import Token, Unreadable, tokens

# The types that are a sequence's default as well, written for each row.
_SERIAL = frozenset({"serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"})
# Words of a function's body by which it could lock a table. A body without them and without a call of another function
# than PostgreSQL's own locks none.
_LOCKING = re.compile(
    r"\b(select|insert|update|delete|merge|execute|perform|call|lock|alter|create|drop|truncate|copy|refresh)\b", re.I
)
_CALLS = re.compile(r"([\w.\"]+)\s*\(")
_HARMLESS = frozenset(
    """now clock_timestamp statement_timestamp transaction_timestamp coalesce nullif greatest least row if elsif and or
    not in lower upper trim length left right to_jsonb jsonb_build_object jsonb_set concat date_trunc pg_notify
    gen_random_uuid numeric varchar""".split()  # noqa: SIM905
)

# What is done to a table's partitions and inheritance children as well, and what never is.
_RECURSES = frozenset(
    {
        *("add column", "drop column", "alter column type", "set default", "drop default", "set not null"),
        *("drop not null", "set storage", "set compression", "add check", "add check not valid", "drop constraint"),
        *("validate check", "drop table", "truncate", "create index"),
    }
)
_ALONE = frozenset({"comment", "owner to", "set schema", "insert", "update", "delete", "select", "create table"})

# A phrase names no more columns than these.
_MOST_NAMED = 4


@dataclass
class Effects:
    """The effects of one statement.

    ``locks``: (table, mode) -> whether it is taken for certain, or only where a row is found. ``reads``: the tables
    that are read whole, under which lock. ``rewrites``: the tables that are written again. ``builds``: the tables of
    which an index is built. ``writes``: table -> the most rows; None is not known. ``every_row``: the tables of which
    an UPDATE or DELETE has no condition. ``drops``: the columns (or tables, with an empty name) that a client misses
    from then on. ``makes``: new tables. ``unknown``: what cannot be told, and why.
    """

    kinds: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    locks: dict[tuple[Name, Mode], bool] = field(default_factory=dict)
    rewrites: list[Name] = field(default_factory=list)
    reads: list[tuple[Name, Mode]] = field(default_factory=list)
    builds: list[Name] = field(default_factory=list)
    writes: dict[Name, int | None] = field(default_factory=dict)
    every_row: list[Name] = field(default_factory=list)
    drops: list[tuple[Name, str]] = field(default_factory=list)
    makes: list[Name] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def lock(self, relation: Name, mode: Mode, *, certain: bool = True) -> None:
        """Note a lock; what is certain once is certain."""
        self.locks[relation, mode] = self.locks.get((relation, mode), False) or certain

    def add(self, other: Effects, *, certain: bool = True) -> None:
        """Note what another statement does on behalf of this one."""
        for (relation, mode), sure in other.locks.items():
            self.lock(relation, mode, certain=certain and sure)
        self.kinds += other.kinds
        self.rewrites += [each for each in other.rewrites if each not in self.rewrites]
        self.reads += [each for each in other.reads if each not in self.reads]
        self.builds += other.builds
        self.writes.update(other.writes)
        self.every_row += other.every_row
        self.drops += other.drops
        self.makes += other.makes
        self.unknown += [each for each in other.unknown if each not in self.unknown]


def effects(sql: str, catalog: Catalog, *, generated: bool = False) -> Effects:
    """Return what a statement does to this database. Writes into ``catalog`` what it changes there.

    ``generated``: what counts are the statements that this query will return. Never raises for a statement: one that
    cannot be read has ``unknown``.
    """
    reader = _Reader(sql, catalog, generated=generated)
    try:
        reader.read()
    except (Unreadable, IndexError):
        reader.effects.unknown.append("callctl cannot read this statement")
    return reader.effects


class _Reader:
    """One statement under way, word by word."""

    def __init__(self, sql: str, catalog: Catalog, *, generated: bool = False) -> None:
        self.sql = sql
        self.generated = generated
        self.catalog = catalog
        self.effects = Effects()
        self.items: tuple[Token, ...] = ()
        # What is done to columns -> their names: one phrase for all of them.
        self.columns: dict[str, list[str]] = {}
        self.at = 0

    # ---- words ----------------------------------------------------------------------------------------------

    def says(self, *words: str, ahead: int = 0) -> bool:
        """Whether the next words are these."""
        span = self.items[self.at + ahead : self.at + ahead + len(words)]
        return len(span) == len(words) and all(token.says(word) for token, word in zip(span, words, strict=True))

    def take(self, *words: str) -> bool:
        """Whether the next words are these; they are passed then."""
        if not self.says(*words):
            return False
        self.at += len(words)
        return True

    def name(self) -> tuple[str, ...]:
        """A name with what qualifies it."""
        words = [self.items[self.at].word]
        self.at += 1
        while self.at + 1 < len(self.items) and self.items[self.at].text == ".":
            words.append(self.items[self.at + 1].word)
            self.at += 2
        return tuple(words)

    def table(self) -> Name:
        """The name of a table."""
        self.take("only")
        return self.catalog.named(self.name())

    def rest(self) -> tuple[Token, ...]:
        return self.items[self.at :]

    def text(self, items: Sequence[Token]) -> str:
        """These tokens as they are written."""
        return self.sql[items[0].start : items[-1].end] if items else ""

    # ---- what is noted ---------------------------------------------------------------------------------------

    def note(self, kind: str, relation: Name | None = None, words: str = "") -> None:
        """A statement, or a part of it, of this kind, on this table."""
        self.effects.kinds.append(kind)
        if words:
            self.effects.words.append(words)
        mode = KINDS[kind].mode
        if relation is None or mode is None:
            return
        self.effects.lock(relation, mode)
        below = self.catalog.with_children(relation)[1:]
        if kind in _RECURSES:
            for child in below:
                self.effects.lock(child, mode)
        elif below and kind not in _ALONE:
            self.unknown(f"which partitions or children of {relation.name} it locks too")

    def also(self, kind: str, relation: Name | None) -> None:
        """The lock of this kind on another table that is concerned."""
        for mode in (KINDS[kind].other, KINDS[kind].checked):
            if relation is not None and mode is not None:
                self.effects.lock(relation, mode)

    def unknown(self, why: str) -> None:
        if why not in self.effects.unknown:
            self.effects.unknown.append(why)

    # ---- statements ------------------------------------------------------------------------------------------

    def read(self) -> None:
        self.items = tokens(self.sql)
        if not self.items:
            return
        first = self.items[0].word
        self.at = 1
        ways = {
            "alter": self._alter,
            "create": self._create,
            "drop": self._drop,
            "comment": self._comment,
            "lock": self._lock,
            "truncate": self._truncate,
            "analyze": self._analyze,
            "vacuum": self._vacuum,
            "select": self._rows,
            "insert": self._rows,
            "update": self._rows,
            "delete": self._rows,
            "merge": self._rows,
            "with": self._rows,
            "call": self._call,
            "grant": self._grant,
            "revoke": self._grant,
            "set": self._nothing,
            "reset": self._nothing,
            "begin": self._nothing,
            "commit": self._nothing,
            "rollback": self._nothing,
            "show": self._nothing,
        }
        way = ways.get(first)
        if way is None:
            why = (
                "a block of code: what it runs is not known before it runs"
                if first == "do"
                else (f"callctl has no row for {first.upper()} in its table of locks")
            )
            self.unknown(why)
            return
        way()

    def _nothing(self) -> None:
        self.effects.words.append(" ".join(token.text for token in self.items[:4]))

    def _grant(self) -> None:
        self.note("grant", words="change who may do what")

    # ---- ALTER -----------------------------------------------------------------------------------------------

    def _alter(self) -> None:
        if self.take("table"):
            self._alter_table()
        elif self.says("index"):
            self.at += 1
            self.take("if", "exists")
            self.effects.words.append(f"change index {self.name()[-1]}")
        elif self.says("type") or self.says("function") or self.says("statistics") or self.says("trigger"):
            what = self.items[self.at].word
            self.at += 1
            self.effects.words.append(f"change {what} {self.name()[-1]}")
        else:
            self.unknown(f"callctl has no row for ALTER {self.items[self.at].text.upper()} in its table of locks")

    def _alter_table(self) -> None:
        exists = self.take("if", "exists")
        name = self.table()
        if self.at < len(self.items) and self.items[self.at].text == "*":
            self.at += 1
        if self.catalog.relation(name) is None:
            if not exists:
                self.unknown(f"table {name.name} is not there")
            return
        columns: dict[str, list[str]] = {}
        for action in _split(self.rest()):
            self._action(name, action, columns)
        for what, named in columns.items():
            several = f"columns {', '.join(named)}" if len(named) <= _MOST_NAMED else f"{len(named)} columns"
            self.effects.words.append(what.format(several if len(named) > 1 else f"column {named[0]}", name.name))

    def _action(self, name: Name, action: Sequence[Token], columns: dict[str, list[str]]) -> None:
        relation = self.catalog.relations[name]
        inner = _Reader(self.sql, self.catalog)
        inner.items, inner.effects, inner.columns = tuple(action), self.effects, columns
        if inner.take("add"):
            inner._add(relation)
        elif inner.take("drop"):
            inner._drop_part(relation)
        elif inner.take("alter"):
            if inner.says("constraint"):
                self.unknown("callctl has no row for ALTER CONSTRAINT in its table of locks")
            else:
                inner.take("column")
                inner._alter_column(relation, inner.name()[-1])
        elif inner.take("validate", "constraint"):
            inner._validate(relation, inner.name()[-1])
        elif inner.take("rename"):
            inner._rename(relation)
        elif inner.take("set", "schema"):
            inner._set_schema(relation, inner.name()[-1])
        else:
            inner._setting(relation)

    def _setting(self, relation: Relation) -> None:
        name = relation.name
        named = [token.word for token in self.items]
        if named[0] in ("enable", "disable", "force") or named[:2] == ["no", "force"]:
            if "security" in named:
                self.note("row level security", name, f"{named[0]} row-level security of {name.name}")
            elif "rule" in named:
                self.note("enable rule", name, f"{named[0]} a rule of {name.name}")
            else:
                self.note("enable trigger", name, f"{named[0]} trigger {named[-1]} of {name.name}")
        elif named[:2] == ["cluster", "on"] or named[:3] == ["set", "without", "cluster"]:
            self.note("cluster on", name, f"choose the order of {name.name} for CLUSTER")
        elif named[:2] in (["set", "logged"], ["set", "unlogged"]):
            self.note("set logged", name, f"make {name.name} {named[1]}")
            self._rewrite(relation)
        elif named[:2] == ["set", "tablespace"]:
            self.note("set tablespace", name, f"move {name.name} to another tablespace")
            self._rewrite(relation)
        elif named[:2] == ["owner", "to"]:
            self.note("owner to", name, f"give {name.name} another owner")
        elif named[:2] == ["replica", "identity"]:
            self.note("replica identity", name, f"change the replica identity of {name.name}")
        elif named[0] in ("set", "reset") and self.items[1].text == "(":
            self.note("set storage parameters", name, f"change storage parameters of {name.name}")
        else:
            self.unknown(f"callctl has no row for ALTER TABLE … {' '.join(named[:2]).upper()} in its table of locks")

    def _add(self, relation: Relation) -> None:
        constraint = ""
        if self.take("constraint"):
            constraint = self.name()[-1]
        if (
            self.says("check")
            or self.says("foreign")
            or self.says("unique")
            or self.says("primary")
            or self.says("exclude")
        ):
            self._add_constraint(relation, constraint)
        elif constraint:
            self.unknown("callctl has no row for this kind of constraint in its table of locks")
        else:
            self.take("column")
            if_not_exists = self.take("if", "not", "exists")
            column = self.name()[-1]
            exists = column in relation.columns
            there = "find {0} of {1} there already" if exists and if_not_exists else "add {0} to {1}"
            self.columns.setdefault(there, []).append(column)
            self.note("add column", relation.name)
            if not exists:
                self._new_column(relation, column)

    def _new_column(self, relation: Relation, column: str) -> None:
        rest = self.rest()
        starts = _first(
            rest,
            "default",
            "not",
            "null",
            "references",
            "check",
            "unique",
            "primary",
            "generated",
            "collate",
            "constraint",
        )
        kind = self.text(rest[:starts])
        relation.columns[column] = self.catalog.type_of(kind) or Type(0)
        named = {token.word for token in rest if not token.quoted and token.depth == rest[0].depth}
        volatile = False
        if "default" in named:
            start = _first(rest, "default") + 1
            end = start + _first(rest[start:], "not", "null", "references", "check", "unique", "primary", "constraint")
            default = rest[start:end]
            calls = [a.word for a, b in pairwise(default) if a.word and b.text == "("]
            volatile = self.catalog.volatile(calls)
        stored = "generated" in named and ("stored" in named or "identity" in named)
        if not rest or rest[0].word in _SERIAL or volatile or stored:
            self._rewrite(relation)
        for position, token in enumerate(rest):
            if token.says("references"):
                other = _Reader(self.sql, self.catalog)
                other.items, other.effects = tuple(rest[position + 1 :]), self.effects
                target = other.table()
                self.also("add column", target)
                self.effects.lock(relation.name, Mode.SHARE_ROW_EXCLUSIVE)
                key = f"{relation.name.name}_{column}_fkey"
                relation.constraints[key] = Constraint(key, "f", True, (column,), target)
            elif token.says("unique", "primary"):
                self._build(relation)
            elif token.says("check"):
                self.effects.reads.append((relation.name, Mode.ACCESS_EXCLUSIVE))

    def _add_constraint(self, relation: Relation, constraint: str) -> None:
        named = [token.word for token in self.items]
        not_valid = named[-2:] == ["not", "valid"]
        name = relation.name
        shown = f" {constraint}" if constraint else ""
        if self.says("check"):
            kind = "add check not valid" if not_valid else "add check"
            what = "for new rows only" if not_valid else "which reads every row"
            self.note(kind, name, f"add CHECK{shown} to {name.name}, {what}")
            columns = tuple(dict.fromkeys(token.word for token in self.items if token.word in relation.columns))
            relation.constraints[constraint] = Constraint(constraint, "c", not not_valid, columns)
        elif self.says("foreign"):
            kind = "add foreign key not valid" if not_valid else "add foreign key"
            columns = tuple(token.word for token in self.items[3 : _first(self.items, "references")] if token.word)
            at = _first(self.items, "references") + 1
            other = _Reader(self.sql, self.catalog)
            other.items = tuple(self.items[at:])
            target = other.table()
            self.note(kind, name, f"add foreign key{shown} of {name.name} to {target.name}")
            self.also(kind, target)
            constraint = constraint or f"{name.name}_{'_'.join(columns)}_fkey"
            relation.constraints[constraint] = Constraint(constraint, "f", not not_valid, columns, target)
        elif self.says("exclude"):
            self.note("add exclude", name, f"add exclusion constraint{shown} to {name.name}")
            self._build(relation)
            return
        elif "using" in named and "index" in named[named.index("using") :][:2]:
            self.note("add unique using index", name, f"make an index of {name.name} its constraint{shown}")
            return
        else:
            self.note("add unique", name, f"add {self.items[self.at].text.upper()} constraint{shown} to {name.name}")
            self._build(relation)
            return
        if KINDS[kind].reads and not relation.made:
            self.effects.reads.append((name, KINDS[kind].mode or Mode.ACCESS_EXCLUSIVE))
            referred = relation.constraints[constraint].refers_to
            if referred is not None:
                self.effects.reads.append((referred, Mode.ROW_SHARE))

    def _drop_part(self, relation: Relation) -> None:
        if self.take("constraint"):
            self.take("if", "exists")
            constraint = self.name()[-1]
            found = relation.constraints.get(constraint)
            words = f"drop constraint {constraint} of {relation.name.name}"
            # Of one that is not there, the rest of the statement says what is done.
            self.note("drop constraint", relation.name, words if found else "")
            if found is not None:
                self._lose(relation, found)
            return
        self.take("column")
        self.take("if", "exists")
        column = self.name()[-1]
        self.columns.setdefault("drop {0} of {1}", []).append(column)
        self._cascade()
        self.note("drop column", relation.name)
        if column in relation.columns:
            self.effects.drops.append((relation.name, column))
            del relation.columns[column]
            for lost in [each for each in relation.constraints.values() if column in each.columns]:
                self._lose(relation, lost)
            for index in [each for each in relation.indexes.values() if column in each.columns]:
                del relation.indexes[index.name.name]
            for named in [name for name, columns in relation.statistics.items() if column in columns]:
                del relation.statistics[named]
                self.effects.lock(relation.name, Mode.SHARE_UPDATE_EXCLUSIVE)

    def _lose(self, relation: Relation, constraint: Constraint) -> None:
        """A constraint goes: of a foreign key the triggers on both tables, and with a key those that refer to it."""
        relation.constraints.pop(constraint.name, None)
        if constraint.kind == "f":
            self.also("drop constraint", constraint.refers_to)
        if constraint.kind in ("p", "u"):
            for other, key in list(self.catalog.referring(relation.name)):
                if set(key.referred) == set(constraint.columns):
                    self.effects.lock(other.name, Mode.ACCESS_EXCLUSIVE)
                    other.constraints.pop(key.name, None)

    def _alter_column(self, relation: Relation, column: str) -> None:
        name = relation.name
        if self.take("type") or self.take("set", "data", "type"):
            self._change_type(relation, column)
        elif self.take("set", "default"):
            self.note("set default", name, f"set the default of {name.name}.{column}")
        elif self.take("drop", "default"):
            self.note("drop default", name, f"drop the default of {name.name}.{column}")
        elif self.take("set", "not", "null"):
            self.note("set not null", name, f"make {name.name}.{column} NOT NULL")
            if column not in relation.not_null:
                self.effects.reads.append((name, Mode.ACCESS_EXCLUSIVE))
            relation.not_null.add(column)
        elif self.take("drop", "not", "null"):
            self.note("drop not null", name, f"let {name.name}.{column} be NULL")
            relation.not_null.discard(column)
        elif self.take("set", "statistics"):
            self.note("set statistics", name, f"change the statistics target of {name.name}.{column}")
        elif self.take("set", "storage"):
            self.note("set storage", name, f"change how {name.name}.{column} is stored")
        elif self.take("set", "compression"):
            self.note("set compression", name, f"change the compression of {name.name}.{column}")
        elif self.take("add", "generated"):
            self.note("add identity", name, f"make {name.name}.{column} an identity column")
        elif self.take("drop", "identity"):
            self.note("drop identity", name, f"make {name.name}.{column} no identity column")
        elif self.take("drop", "expression"):
            self.note("drop expression", name, f"make {name.name}.{column} a plain column")
        elif self.says("set") or self.says("reset"):
            if self.at + 1 < len(self.items) and self.items[self.at + 1].text == "(":
                self.note("set column options", name, f"change options of {name.name}.{column}")
            else:
                self.unknown("callctl has no row for this ALTER COLUMN in its table of locks")
        else:
            self.unknown("callctl has no row for this ALTER COLUMN in its table of locks")

    def _change_type(self, relation: Relation, column: str) -> None:
        rest = self.rest()
        end = _first(rest, "using", "collate")
        written = self.text(rest[:end])
        using = end < len(rest) and any(token.says("using") for token in rest[end:])
        name = relation.name
        self.note("alter column type", name, f"change {name.name}.{column} to {written}")
        old, new = relation.columns.get(column), self.catalog.type_of(written)
        if old is None or new is None:
            self.unknown(f"whether {name.name} is rewritten: type {written} is not known to this database yet")
            return
        value = _first(rest, "using")
        cast = rest[value + 1 :]
        plain = not using or (
            cast[0].word == column and (len(cast) == 1 or (cast[1].text == "::" and self.text(cast[2:]) == written))
        )
        if not plain or rewrites(old, new, self.catalog):
            self._rewrite(relation)
        elif any(check.kind == "c" and column in check.columns for check in relation.constraints.values()):
            # The CHECK is made again for the new type, and every row is compared with it.
            self.effects.reads.append((name, Mode.ACCESS_EXCLUSIVE))
        relation.columns[column] = new
        # Its indexes and statistics objects are made again, even where they keep their files.
        if any(column in index.columns for index in relation.indexes.values()):
            self.effects.lock(name, Mode.SHARE)
        if any(column in columns for columns in relation.statistics.values()):
            self.effects.lock(name, Mode.SHARE_UPDATE_EXCLUSIVE)
        for key in relation.foreign_keys():
            if column in key.columns:
                self.also("alter column type", key.refers_to)
        for other, key in self.catalog.referring(name):
            if column in key.referred:
                self.also("alter column type", other.name)

    def _validate(self, relation: Relation, constraint: str) -> None:
        found = relation.constraints.get(constraint)
        kind = "validate foreign key" if found is not None and found.kind == "f" else "validate check"
        self.note(kind, relation.name, f"check every row of {relation.name.name} against {constraint}")
        if found is None or not found.validated:
            self.effects.reads.append((relation.name, Mode.SHARE_UPDATE_EXCLUSIVE))
            if found is not None:
                self.also(kind, found.refers_to)
                if found.refers_to is not None:
                    self.effects.reads.append((found.refers_to, Mode.ROW_SHARE))
                found.validated = True

    def _rename(self, relation: Relation) -> None:
        name = relation.name
        if self.take("to"):
            new = Name(name.schema, self.name()[-1])
            self.note("rename", name, f"rename {name.name} to {new.name}")
            self.effects.drops.append((name, ""))
            self._move(relation, new)
            return
        if self.take("constraint"):
            old = self.name()[-1]
            self.take("to")
            self.note("rename", name, f"rename constraint {old} of {name.name}")
            if old in relation.constraints:
                constraint = relation.constraints.pop(old)
                constraint.name = self.name()[-1]
                relation.constraints[constraint.name] = constraint
            return
        self.take("column")
        old = self.name()[-1]
        self.take("to")
        new_name = self.name()[-1]
        self.note("rename", name, f"rename {name.name}.{old} to {new_name}")
        self.effects.drops.append((name, old))
        if old in relation.columns:
            relation.columns[new_name] = relation.columns.pop(old)

    def _set_schema(self, relation: Relation, schema: str) -> None:
        self.note("set schema", relation.name, f"move {relation.name.name} to schema {schema}, with its rows")
        if relation.name.schema != "callctl":  # from there it returns to where code expects it
            self.effects.drops.append((relation.name, ""))
        self._move(relation, Name(schema, relation.name.name))

    def _move(self, relation: Relation, new: Name) -> None:
        old = relation.name
        for other in self.catalog.relations.values():
            for key in other.foreign_keys():
                key.refers_to = new if key.refers_to == old else key.refers_to
        del self.catalog.relations[old]
        relation.name = new
        self.catalog.relations[new] = relation

    def _rewrite(self, relation: Relation) -> None:
        if relation.name not in self.effects.rewrites and not relation.made:
            self.effects.rewrites.append(relation.name)
            # Its indexes are built again (reindex_relation() in the server's sources).
            self.effects.lock(relation.name, Mode.SHARE)

    def _build(self, relation: Relation, *, concurrently: bool = False) -> None:
        if not concurrently:
            self.effects.lock(relation.name, Mode.SHARE)
        if not relation.made:
            self.effects.builds.append(relation.name)

    # ---- CREATE, DROP ----------------------------------------------------------------------------------------

    def _create(self) -> None:
        self.take("or", "replace")
        self.take("unique")
        self.take("constraint")
        if self.take("table"):
            self._create_table()
        elif self.take("index"):
            self._create_index()
        elif self.take("trigger"):
            self._create_trigger()
        elif self.take("statistics"):
            self.take("if", "not", "exists")
            named = self.name()[-1]
            at = _first(self.items, "from")
            self.at = at + 1
            relation = self.table()
            self.note("create statistics", relation, f"create statistics object {named} of {relation.name}")
            found = self.catalog.relation(relation)
            if found is not None:
                columns = tuple(token.word for token in self.items[:at] if token.word in found.columns)
                found.statistics[named] = columns
        elif self.take("policy"):
            named = self.name()[-1]
            self.take("on")
            relation = self.table()
            self.note("create policy", relation, f"create policy {named} of {relation.name}")
        elif self.take("function") or self.take("procedure"):
            self.note("create function", words=f"create function {self.name()[-1]}")
        elif self.take("type"):
            self.note("create type", words=f"create type {self.name()[-1]}")
        elif self.take("schema") or self.take("extension") or self.take("sequence"):
            what = self.items[self.at - 1].word
            self.take("if", "not", "exists")
            if what == "extension":
                self.unknown("what the script of an extension locks is not known")
            self.effects.words.append(f"create {what} {self.items[self.at].text}")
        else:
            self.unknown(f"callctl has no row for CREATE {self.items[self.at].text.upper()} in its table of locks")

    def _create_table(self) -> None:
        if_not_exists = self.take("if", "not", "exists")
        name = self.table()
        existing = self.catalog.relation(name)
        if existing is not None and if_not_exists:
            self.effects.words.append(f"create table {name.name}; it is there already")
            return
        rest = self.rest()
        made = Relation(name, rows=0, counted=True, made=True)
        self.catalog.relations[name] = made
        self.note("create table", name, f"create table {name.name}")
        self.effects.makes.append(name)
        if any(token.says("partition", "inherits", "like", "as") and token.depth == rest[0].depth for token in rest):
            self.unknown("what CREATE TABLE with PARTITION OF, INHERITS, LIKE or AS locks besides the new table")
        column = ""
        fresh = True
        for position, token in enumerate(rest):
            if token.depth == 1 and fresh and token.word:
                column = token.word
                if token.word not in ("constraint", "check", "foreign", "unique", "primary", "exclude", "like"):
                    made.columns[column] = Type(0)
            fresh = (token.text == "," and token.depth == 1) or token.text == "("
            if token.says("references"):
                other = _Reader(self.sql, self.catalog)
                other.items = tuple(rest[position + 1 :])
                target = other.table()
                if target != name:
                    self.also("create table", target)
                key = f"{name.name}_{column}_fkey"
                made.constraints[key] = Constraint(key, "f", True, (column,), target, ("id",))

    def _create_index(self) -> None:
        concurrently = self.take("concurrently")
        self.take("if", "not", "exists")
        named = "" if self.says("on") else self.name()[-1]
        self.take("on")
        name = self.table()
        kind = "create index concurrently" if concurrently else "create index"
        relation = self.catalog.relation(name)
        there = relation is not None and named in relation.indexes
        words = f"build index {named or 'without a name'} of {name.name}"
        self.note(kind, name, f"{words}; it is there already" if there else words)
        if relation is not None and not there:
            columns = tuple(dict.fromkeys(token.word for token in self.rest() if token.word in relation.columns))
            relation.indexes[named] = Index(Name(name.schema, named), columns)
            self._build(relation, concurrently=concurrently)

    def _create_trigger(self) -> None:
        named = self.name()[-1]
        events = frozenset(
            token.word
            for token in self.rest()[: _first(self.rest(), "on")]
            if token.word in ("insert", "update", "delete")
        )
        at = self.at + _first(self.rest(), "on")
        self.at = at + 1
        name = self.table()
        self.note("create trigger", name, f"create trigger {named} on {name.name}")
        relation = self.catalog.relation(name)
        if relation is not None:
            at = self.at + _first(self.rest(), "execute")
            self.at = at + 2
            function = self.catalog.named(self.name()) if self.at < len(self.items) else NONE
            relation.triggers[named] = Trigger(named, True, events, function, "made", "")

    def _drop(self) -> None:
        what = self.items[self.at].word
        self.at += 1
        concurrently = self.take("concurrently")
        self.take("if", "exists")
        if what == "index":
            for index in self._names():
                self._drop_index(index, concurrently=concurrently)
        elif what == "table":
            for name in self._names():
                self._drop_table(name)
            self._cascade()
        elif what in ("trigger", "policy"):
            named = self.name()[-1]
            self.take("on")
            name = self.table()
            relation = self.catalog.relation(name)
            if relation is not None and what == "trigger" and relation.triggers.pop(named, None) is None:
                self.effects.words.append(f"drop trigger {named} of {name.name}, if it is there")
                self.effects.lock(name, Mode.ACCESS_SHARE)
                return
            self.note("drop trigger", name, f"drop {what} {named} of {name.name}")
        elif what in ("function", "procedure", "type", "statistics", "schema", "sequence"):
            self.note("drop function", words=f"drop {what} {self.name()[-1]}")
            self._cascade()
        else:
            self.unknown(f"callctl has no row for DROP {what.upper()} in its table of locks")

    def _cascade(self) -> None:
        if any(token.says("cascade") for token in self.items):
            self.unknown("CASCADE: which objects go with it is not looked up")

    def _names(self) -> Iterator[Name]:
        while self.at < len(self.items):
            yield self.table()
            if not (self.at < len(self.items) and self.items[self.at].text == ","):
                return
            self.at += 1

    def _drop_index(self, index: Name, *, concurrently: bool) -> None:
        relation = self.catalog.home_of(index)
        if relation is None:
            self.effects.words.append(f"drop index {index.name}, if it is there")
            return
        kind = "drop index concurrently" if concurrently else "drop index"
        self.note(kind, relation.name, f"drop index {index.name} of {relation.name.name}")
        del relation.indexes[index.name]

    def _drop_table(self, name: Name) -> None:
        relation = self.catalog.relation(name)
        if relation is None:
            self.effects.words.append(f"drop table {name.name}, if it is there")
            return
        self.note("drop table", name, f"drop table {name.name}")
        self.effects.drops.append((name, ""))
        for key in relation.foreign_keys():
            self.also("drop table", key.refers_to)
        for other, key in list(self.catalog.referring(name)):
            self.effects.lock(other.name, Mode.ACCESS_EXCLUSIVE)
            other.constraints.pop(key.name, None)
        del self.catalog.relations[name]

    # ---- other commands --------------------------------------------------------------------------------------

    def _comment(self) -> None:
        self.take("on")
        what = self.items[self.at].word
        self.at += 1
        if what == "table":
            name = self.table()
            self.note("comment", name, f"comment on table {name.name}")
        elif what == "column":
            words = self.name()
            name = self.catalog.named(words[:-1])
            self.note("comment", name, f"comment on {name.name}.{words[-1]}")
        elif what in ("constraint", "trigger", "policy"):
            named = self.name()[-1]
            self.take("on")
            name = self.table()
            self.effects.words.append(f"comment on {what} {named} of {name.name}")
            self.effects.lock(name, Mode.ACCESS_SHARE)
        else:
            self.effects.words.append(f"comment on a {what}")

    def _lock(self) -> None:
        self.take("table")
        tables = list(self._names())
        written = [token.word for token in self.rest()]
        if "mode" in written:
            words = written[written.index("in") + 1 : written.index("mode")]
            mode = Mode["_".join(words).upper()]
        else:
            mode = Mode.ACCESS_EXCLUSIVE
        for name in tables:
            self.note("lock table", words=f"lock {name.name}")
            self.effects.lock(name, mode)

    def _truncate(self) -> None:
        self.take("table")
        for name in list(self._names()):
            self.note("truncate", name, f"delete every row of {name.name}")
            self.effects.lock(name, Mode.SHARE)  # its indexes are emptied
            self.effects.drops.append((name, ""))
        self._cascade()

    def _analyze(self) -> None:
        if self.at >= len(self.items):
            self.unknown("which tables: ANALYZE without a name takes all of them")
            return
        name = self.table()
        self.note("analyze", name, f"take the planner's statistics of {name.name}")
        relation = self.catalog.relation(name)
        if relation is not None and relation.rows is None:
            relation.counted = False

    def _vacuum(self) -> None:
        options = {token.word for token in self.items[1:] if token.word in ("full", "freeze", "verbose", "analyze")}
        names = [token for token in self.items[1:] if token.word and token.word not in options and not token.depth]
        if not names:
            self.unknown("which tables: VACUUM without a name takes all of them")
            return
        self.at = self.items.index(names[0])
        name = self.table()
        kind = "vacuum full" if "full" in options else "vacuum"
        self.note(kind, name, f"vacuum {name.name}")
        relation = self.catalog.relation(name)
        if relation is not None and kind == "vacuum full":
            self._rewrite(relation)
        mode = KINDS[kind].mode
        if mode is not None:
            self.effects.reads.append((name, mode))

    def _call(self) -> None:
        if not (len(self.items) > 2 and self.items[2].text == "."):
            self.unknown(f"procedure {self.items[1].text}(): what it locks is not known")
        self._functions(self.items)

    def _functions(self, items: Sequence[Token]) -> None:
        """Note what callctl's own functions send, and that a function of others may lock anything."""
        for index, (schema, dot, function, opens) in enumerate(
            zip(items, items[1:], items[2:], items[3:], strict=False)
        ):
            if dot.text != "." or opens.text != "(" or not function.word or not schema.word:
                continue
            if index and items[index - 1].says("into"):
                continue  # a table and its columns
            if schema.word == "callctl":
                arguments = _arguments(self.sql, items, items.index(opens))
                sent = sent_by(function.word, arguments, self.catalog)
                if sent is None:
                    self.unknown(f"what callctl.{function.word}() locks is not declared")
                else:
                    words = words_of(function.word, arguments)
                    self.effects.words += [words] if words is not None else []
                    self._behalf(sent)
            elif schema.word not in ("pg_catalog", "information_schema"):
                self.unknown(f"function {schema.word}.{function.word}(): what it locks is not known")

    def _behalf(self, sent: Iterable[Sent]) -> None:
        for statement in sent:
            self.effects.add(effects(statement.sql, self.catalog), certain=statement.certain)

    # ---- rows ------------------------------------------------------------------------------------------------

    def _rows(self) -> None:
        self._functions(self.items)
        if self.generated:
            self._behalf(sent_for(self.sql, self.catalog))
        node = tree(self.sql)
        if node is None or isinstance(node, exp.Command):
            self.unknown("callctl cannot read this statement")
            return
        # A function with its schema was looked at above; of the others, those that sqlglot does not know.
        called = [
            call.name.lower()
            for call in node.find_all(exp.Anonymous)
            if not isinstance(call.parent, exp.Dot)
            and not (isinstance(call.parent, exp.Table) and call.parent.args.get("db"))
        ]
        for function in self.catalog.foreign(called):
            self.unknown(f"function {function}(): what it locks is not known")
        named = {cte.alias for cte in node.find_all(exp.CTE)}
        for insert in node.find_all(exp.Insert):
            target = insert.this.this if isinstance(insert.this, exp.Schema) else insert.this
            columns = [each.name for each in insert.this.expressions] if isinstance(insert.this, exp.Schema) else []
            self._write("insert", self._of(target), columns)
            if insert.args.get("conflict") is not None and insert.args["conflict"].args.get("expressions"):
                self.effects.lock(self._of(target), Mode.ROW_EXCLUSIVE)
        for update in node.find_all(exp.Update):
            columns = [each.this.name for each in update.expressions if isinstance(each, exp.EQ)]
            self._write("update", self._of(update.this), columns)
            self._every_row(update)
        for delete in node.find_all(exp.Delete):
            self._write("delete", self._of(delete.this), [])
            self._every_row(delete)
        for merge in node.find_all(exp.Merge):
            self._write("update", self._of(merge.this), [])
            self.unknown("which rows MERGE inserts or deletes, and what their keys lock")
        for select in node.find_all(exp.Select):
            if select.args.get("locks"):
                self._for_update(select, named)
        if not self.effects.kinds:
            self._only_reads(node, named)

    def _of(self, table: exp.Expr) -> Name:
        assert isinstance(table, exp.Table)
        words = tuple(folded(part) for part in (table.args.get("db"), table.this) if part is not None)
        return self.catalog.named(words)

    def _only_reads(self, node: exp.Expr, named: set[str]) -> None:
        read = [
            self._of(table)
            for table in node.find_all(exp.Table)
            if isinstance(table.this, exp.Identifier) and table.name not in named
        ]
        own = [name for name in read if name in self.catalog.relations and name.schema != "callctl"]
        for name in dict.fromkeys(own):
            self.effects.lock(name, Mode.ACCESS_SHARE)
            self.effects.reads.append((name, Mode.ACCESS_SHARE))
        if own:
            self.note("select", words=f"read {', '.join(dict.fromkeys(name.name for name in own))}")

    def _every_row(self, node: exp.Update | exp.Delete) -> None:
        where = node.args.get("where")
        if where is None or where.this == exp.true():
            self.effects.every_row.append(self._of(node.this))

    def _for_update(self, select: exp.Select, named: set[str]) -> None:
        wanted = {of.name for lock in select.args["locks"] for of in lock.args.get("expressions") or ()}
        joins = [join.this for join in select.args.get("joins") or ()]
        source = select.args.get("from_") or select.args.get("from")
        for table in [*([source.this] if source is not None else []), *joins]:
            if not isinstance(table, exp.Table) or table.name in named:
                continue
            if not wanted or table.alias_or_name in wanted:
                name = self._of(table)
                self.effects.kinds.append("select for update")
                self.effects.lock(name, Mode.ROW_SHARE)

    def _write(self, event: str, name: Name, columns: Sequence[str]) -> None:
        if name.schema == "callctl":
            own = {"insert": "save values in", "update": "mark records of", "delete": "delete records of"}
            words = f"{own[event]} callctl.{name.name}"
        else:
            verbs = {"insert": "insert rows into", "update": f"set {', '.join(columns)} of", "delete": "delete rows of"}
            words = f"{verbs[event]} {name.name}"
        self.note(event, name, words)
        relation = self.catalog.relation(name)
        if relation is None:
            if name.schema != "callctl":
                self.unknown(f"table {name.name} is not there")
            return
        if relation.ruled:
            self.unknown(f"a rule of {name.name} rewrites this statement: what it locks besides")
        self.effects.writes[name] = None if event == "insert" else relation.rows
        for child in self.catalog.with_children(name)[1:]:
            self.effects.lock(child, Mode.ROW_EXCLUSIVE, certain=False)
        for key in relation.foreign_keys():
            # An INSERT that does not name a column leaves NULL there, which refers to nothing.
            named = {column.lower() for column in columns}
            touched = (event == "insert" and not columns) or (event != "delete" and set(key.columns) & named)
            if touched and key.refers_to is not None:
                self.effects.lock(key.refers_to, Mode.ROW_SHARE, certain=False)
        if event == "delete":
            for other, key in self.catalog.referring(name):
                mode = Mode.ROW_EXCLUSIVE if key.on_delete in ("c", "n", "d") else Mode.ROW_SHARE
                self.effects.lock(other.name, mode, certain=False)
                if key.on_delete == "a":
                    # Whether another row has the key by then: ri_Check_Pk_Match() in the server's sources.
                    self.effects.lock(name, Mode.ROW_SHARE, certain=False)
        elif event == "update":
            for other, key in self.catalog.referring(name):
                if set(key.referred) & {column.lower() for column in columns}:
                    self.effects.lock(other.name, Mode.ROW_EXCLUSIVE, certain=False)
        for trigger in relation.triggers.values():
            if trigger.enabled and event in trigger.events:
                self._fires(relation, trigger)

    def _fires(self, relation: Relation, trigger: Trigger) -> None:
        if trigger.function.schema == "callctl":
            sent = sent_by(trigger.function.name, [relation.name.sql], self.catalog)
            if sent is not None:
                self._behalf(sent)
                return
        # The two functions that the steps make in the platform's schema; a plan that makes one has not read its body.
        made = trigger.language == "made"
        if trigger.function.name == "check_chatbot_capabilities" and (made or "FOR SHARE" in trigger.body):
            self.effects.lock(Name(relation.name.schema, "chatbot_packages"), Mode.ROW_SHARE, certain=False)
            return
        if made and trigger.function.name == "update_updated_at_column":
            return
        if not harmless(trigger):
            self.unknown(
                f"trigger {trigger.name} of {relation.name.name} runs function {trigger.function.name}:"
                " what that locks is not known"
            )


def harmless(trigger: Trigger) -> bool:
    """Whether a trigger's function can lock no table: it runs no statement, and calls PostgreSQL's own functions."""
    if trigger.language != "plpgsql":
        return trigger.language == "internal"
    body = re.sub(r"--[^\n]*|/\*.*?\*/|'[^']*'", " ", trigger.body, flags=re.S)
    if _LOCKING.search(body):
        return False
    calls = {call.lower().removeprefix("pg_catalog.") for call in _CALLS.findall(body)}
    return calls <= _HARMLESS


def rewrites(old: Type, new: Type, catalog: Catalog) -> bool:
    """Whether changing a column from one type to the other writes its table again.

    It does not where the old values are already those of the new type: PostgreSQL manual, ALTER TABLE, "Notes": binary
    coercible types, unconstrained domains over them, and longer limits of lengths and precisions.
    """
    target, modifier = new.oid, new.modifier
    seen = catalog.types.get(target)
    while seen is not None and seen.kind == "d":
        if seen.checked:
            return True
        modifier = seen.modifier if seen.modifier != -1 else modifier
        target = seen.base or target
        seen = catalog.types.get(target)
    source, had = old.oid, old.modifier
    below = catalog.types.get(source)
    while below is not None and below.kind == "d":
        # The length of the domain does not count here: the server compares the column's own.
        source = below.base or source
        below = catalog.types.get(source)
    if source != target:
        # The TimeZone of the session decides whether these are the same instant (PostgreSQL 12 and later).
        if {catalog.type_name(source), catalog.type_name(target)} == {"timestamp", "timestamptz"} and catalog.utc:
            return modifier not in (-1, had)
        return (source, target) not in catalog.casts or modifier != -1
    return not _fits(catalog.type_name(source) or "", had, modifier)


def _fits(kind: str, old: int, new: int) -> bool:
    """Whether each value with the old modifier is one with the new modifier, by what PostgreSQL can tell."""
    if old == new or new == -1:
        return True
    if old == -1:
        # The largest precision that there is limits nothing.
        return kind in ("time", "timetz", "timestamp", "timestamptz") and new >= 6
    if kind in ("varchar", "varbit"):
        return new >= old
    if kind in ("time", "timetz", "timestamp", "timestamptz"):
        return new >= old or new >= 6
    if kind == "interval":  # which fields it has, and how many digits
        return old >> 16 == new >> 16 and new & 0xFFFF >= old & 0xFFFF
    if kind == "numeric":
        (precision, scale), (precision_, scale_) = ((each - 4 >> 16 & 0xFFFF, each - 4 & 0x7FF) for each in (old, new))
        return scale == scale_ and precision_ >= precision
    return False


def _split(items: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The parts between the commas that are in no parenthesis."""
    part: list[Token] = []
    for item in items:
        if item.text == "," and item.depth == 0:
            yield part
            part = []
        else:
            part.append(item)
    if part:
        yield part


def _first(items: Sequence[Token], *words: str) -> int:
    """Where one of these words is first said outside of the parentheses that begin here; the end where it is not."""
    level = items[0].depth if items else 0
    return next((i for i, item in enumerate(items) if item.depth == level and item.says(*words)), len(items))


def _arguments(sql: str, items: Sequence[Token], opens: int) -> list[str]:
    """The arguments of a call, as they are written; ``opens`` is the place of its parenthesis."""
    level = items[opens].depth
    end = next(i for i in range(opens + 1, len(items)) if items[i].depth == level and items[i].text == ")")
    parts: list[list[Token]] = [[]]
    for item in items[opens + 1 : end]:
        if item.text == "," and item.depth == level + 1:
            parts.append([])
        else:
            parts[-1].append(item)
    return [sql[part[0].start : part[-1].end] for part in parts if part]
