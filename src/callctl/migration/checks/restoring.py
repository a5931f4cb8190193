"""Can migrate down make again what it has to? The saved definitions, tried on empty copies of their tables.

A definition is a statement of ``callctl.definition``. What it names may have been dropped, renamed or given another
type since it was written down, and only the server can say whether it still runs. So it runs here, in a transaction
that is rolled back, on a temporary copy of its table that has no row. The table itself is locked ACCESS SHARE.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, LiteralString

from sqlglot import TokenType

from callctl.database import connection as database
from callctl.database.connection import select
from callctl.files import read_sql
from callctl.migration.checks.findings import DEFINITIONS, Finding
from callctl.redaction import redact
from callctl.statements.tokens import Edit, Unreadable, identifier, literal, splice, tokens

if TYPE_CHECKING:
    import psycopg

__all__ = ["definitions_tried"]

# Where a temporary table is; an unqualified name of an index on it is there too.
_COPY = "pg_temp"
# Not the definition's own fault: a limit, a lock, a lack of space, a lost connection, or what a function raises, such
# as an event trigger's.
_NOT_TRIED = ("08", "25", "40", "53", "54", "55", "57", "58", "P0", "XX")

_TAKEN = ("42701", "42710")


@dataclass(frozen=True)
class _Saved:
    """One statement of ``callctl.definition``."""

    step: int
    relation: str
    kind: str
    name: str
    ddl: LiteralString

    @property
    def label(self) -> str:
        """The object that it makes or alters."""
        kind = {"column type": "type of column", "default": "default of column", "setting": "setting of column"}
        kind |= {"validate": "constraint", "after index": "setting of index", "statistics": "statistics object"}
        return f"{kind.get(self.kind, self.kind)} {identifier(self.name)}"


@dataclass
class _Trial:
    """The trials so far, in one transaction."""

    connection: psycopg.Connection[Any]
    schema: str
    saved: Sequence[_Saved]
    # By relation, why there is no copy of it; None if there is one.
    copies: dict[str, str | None] = field(default_factory=dict)
    broken: set[tuple[str, str]] = field(default_factory=set)
    tried: dict[tuple[int, str], list[str]] = field(default_factory=dict)

    def findings(self) -> Iterator[Finding]:
        for definition in self.saved:
            if definition.kind != "type" and not self._copied(definition.relation):
                continue
            # What it works on could not be made: that was said.
            if {(definition.relation, definition.name), (definition.relation, "")} & self.broken:
                continue
            broken = len(self.broken)
            finding = self._try(definition)
            if finding is not None:
                self._skip(definition)
                yield finding
            elif len(self.broken) == broken:
                listed = self.tried.setdefault((definition.step, definition.relation), [])
                if definition.label not in listed:
                    listed.append(definition.label)
        for relation, why in self.copies.items():
            if why is not None:
                step = next(definition.step for definition in self.saved if definition.relation == relation)
                yield DEFINITIONS.finding(
                    "unknown",
                    f"what migrate down from step {step} makes again could not be tried: no empty copy of"
                    f" {self._named(relation)}: {why}",
                    (self._named(relation),),
                )
        for (step, relation), labels in self.tried.items():
            yield DEFINITIONS.finding(
                "ok",
                f"step {step} down, tried on an empty copy of {self._named(relation)} and rolled back:"
                f" {', '.join(labels)}",
                (self._named(relation),),
            )

    def _skip(self, definition: _Saved) -> None:
        """Leave out what needs the object, which could not be made."""
        if definition.kind == "type":
            self.broken |= {(other.relation, "") for other in self.saved if other.kind == "column"}
        self.broken.add((definition.relation, "" if definition.kind == "column" else definition.name))

    def _named(self, relation: str) -> str:
        return f"{identifier(self.schema)}.{identifier(relation)}"

    def _copied(self, relation: str) -> bool:
        if relation not in self.copies:
            self.copies[relation] = self._copy(self._named(relation), keys=False)[0]
        return self.copies[relation] is None

    def _copy(self, table: str, *, keys: bool) -> tuple[str | None, str | None]:
        """Why no copy of the table could be made; and this role, where it may not refer to it by a foreign key."""
        import psycopg

        values = {"table": table, "keys": keys}
        row = self.connection.execute(read_sql("migration/checks/empty_copy.sql"), values).fetchone()
        if row is None:
            return "the table does not exist", None
        ddl, may_refer, role = row
        try:
            with self.connection.transaction():
                self.connection.execute(ddl)
        except psycopg.Error as error:
            if self.connection.closed:
                raise
            return _said(error), None if may_refer else role
        return None, None if may_refer else role

    def _try(self, definition: _Saved) -> Finding | None:
        """Run it on the copy; a finding where it fails, or cannot be run there."""
        import psycopg

        try:
            refers_to = _referred(definition.ddl)
            if refers_to is not None and refers_to != self._named(definition.relation):
                finding = self._refer(definition, refers_to)
                if finding is not None:
                    return finding
            sql = self._on_copy(definition, refers_to)
        except Unreadable as error:
            return self._unknown(definition, str(error))
        try:
            with self.connection.transaction():
                self.connection.execute(sql)
        except psycopg.Error as error:
            if self.connection.closed:
                raise
            raised = re.search(r"PL/pgSQL function (?!callctl\.)", error.diag.context or "")
            # A definition that names its table elsewhere too may mean its row type, which the copy has not.
            mentions = sum(token.word == definition.relation for token in tokens(definition.ddl))
            named = 2 if refers_to == self._named(definition.relation) else 1
            if (error.sqlstate or "")[:2] in _NOT_TRIED or raised or mentions > named:
                return self._unknown(definition, _said(error))
            if definition.kind in ("type", "column") and error.sqlstate in _TAKEN:
                self._skip(definition)  # restored-objects says that the name is taken, and by what
                return None
            where = (
                "" if definition.kind == "type" else f", tried on an empty copy of {self._named(definition.relation)}"
            )
            return DEFINITIONS.finding(
                "blocks",
                f"migrate down from step {definition.step} cannot make {definition.label}{where}: {_said(error)};"
                f" the statement is: {definition.ddl}",
                (definition.name,),
            )
        return None

    def _refer(self, definition: _Saved, table: str) -> Finding | None:
        """Copy the table that a foreign key refers to, with its keys."""
        if table in self.copies:
            return None
        if database.value(self.connection, "SELECT to_regclass(%s) IS NULL", (table,)):
            return DEFINITIONS.finding(
                "blocks",
                f"migrate down from step {definition.step} cannot make {definition.label}: {table}, to which it "
                f"refers, does not exist; the statement is: {definition.ddl}",
                (definition.name,),
            )
        why, role = self._copy(table, keys=True)
        if role is not None:
            return DEFINITIONS.finding(
                "blocks",
                f"migrate down from step {definition.step} cannot make {definition.label}: role {role} may not refer to"
                f" {table}",
                (definition.name,),
                f"GRANT REFERENCES ON {table} TO {identifier(role)};",
            )
        if why is not None:
            return self._unknown(definition, f"no empty copy of {table}: {why}")
        self.copies[table] = None
        return None

    def _unknown(self, definition: _Saved, why: str) -> Finding:
        return DEFINITIONS.finding(
            "unknown",
            f"whether migrate down from step {definition.step} can make {definition.label} could not be tried on an"
            f" empty copy of {self._named(definition.relation)}: {why}",
            (definition.name,),
        )

    def _on_copy(self, definition: _Saved, refers_to: str | None) -> LiteralString:
        """The statement with the copies' names in the place of the tables' and their indexes', in this transaction."""
        sql = definition.ddl
        if definition.kind == "type":
            return sql
        items = tokens(sql)
        texts = [token for token in items if token.type == TokenType.STRING]
        if any(token.says("run_in_tablespace") for token in items) and len(texts) == 2:
            run = self._on_copy(replace(definition, ddl=texts[1].text), refers_to)
            return splice(sql, [Edit(texts[1].start, texts[1].end, literal(run))])
        own_names = {definition.relation} | {
            other.name
            for other in self.saved
            if other.relation == definition.relation
            and other.kind in ("index", "constraint")
            and definition.kind == "after index"
        }
        edits = []
        for index, token in enumerate(items):
            window = items[index : index + 3]
            if definition.kind == "index" and index == 2 + items[1].says("unique") and token.says("concurrently"):
                edits.append(Edit(token.start, token.end, ""))
            if len(window) < 3 or window[1].text != ".":
                continue
            named = f"{identifier(token.word)}.{identifier(window[2].word)}"
            if (token.word == self.schema and window[2].word in own_names) or named == refers_to:
                edits.append(Edit(token.start, token.end, _COPY))
        return splice(sql, edits)


def definitions_tried(
    connection: psycopg.Connection[Any], schema: str, steps: Collection[int], limits: dict[str, object]
) -> tuple[Finding, ...]:
    """Try the definitions that migrate down from these steps restores on empty copies, and roll back.

    ``limits`` are the parameters of ``migration/checks/asking.sql``: timeouts in milliseconds. Raises psycopg.Error
    where callctl's tables cannot be read or the connection breaks.
    """
    with connection.transaction(force_rollback=True):
        connection.execute(read_sql("migration/checks/asking.sql"), limits)
        query = read_sql("migration/checks/saved_definitions.sql")
        saved = select(connection, _Saved, query, {"steps": sorted(steps)})
        return tuple(_Trial(connection, schema, saved).findings())


def _referred(ddl: str) -> str | None:
    """The table that a foreign key refers to, as SQL names it."""
    items = tokens(ddl)
    for index, token in enumerate(items):
        if token.says("references") and len(items) > index + 3 and items[index + 2].text == ".":
            return f"{identifier(items[index + 1].word)}.{identifier(items[index + 3].word)}"
    return None


def _said(error: psycopg.Error) -> str:
    text = error.diag.message_primary or (str(error).splitlines() or ["no message"])[0]
    return redact(f"{text} (SQLSTATE {error.sqlstate})" if error.sqlstate else text)
