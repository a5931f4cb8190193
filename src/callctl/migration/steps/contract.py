"""The contract: what the steps leave in the catalog, object by object, and the query for what differs from it.

It is data (``sql/contract/``), in the documented names, written down from the steps themselves on a server of our own
and shipped; never from the database it judges. docs/explanation/decisions/0016 says why.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, LiteralString

from sqlglot import TokenType

from callctl.files import read_sql, sql_root
from callctl.statements.naming import DOCUMENTED_SCHEMA, SOFT_DELETE, Naming, TableNaming
from callctl.statements.script import Check, Statement
from callctl.statements.tokens import Edit, identifier, literal, splice, tokens, with_queries, with_query

STORE = "callctl"
# The query in whose place hooks_sql() is put.
HOOK = "hook"
KINDS = MappingProxyType(
    {
        "table": "tables",
        "column": "columns",
        "constraint": "constraints",
        "index": "indexes",
        "trigger": "triggers",
        "function": "functions",
    }
)
# The query of facts.sql for the facts of each kind.
FACTS = MappingProxyType(
    {
        **KINDS,
        "schema": "schemas",
        "child table": "child_tables",
        "foreign key": "foreign_keys",
        "extension": "extensions",
        "sequence": "sequences",
        "rule": "rules",
        "policy": "policies",
    }
)
# The platform's tables, beside its new ones, whose rows the migration writes or refers to.
RELIED_ON = tuple(
    f"{DOCUMENTED_SCHEMA}.{table}"
    for table in ("users", "companies", "chatbot_packages", "chatbots", "ai_models", "end_users", "conversations")
)
_NOTHING_MADE = "SELECT NULL::text AS kind, NULL::text AS relation, NULL::text AS name"
_NO_FACT = """SELECT NULL::text AS relation, NULL::text AS kind, NULL::text AS name, NULL::text AS property,
  NULL::text AS value WHERE false"""
_NO_DIFFERENCE = """SELECT NULL::text AS "check", NULL::integer AS step, NULL::text AS relation, NULL::text AS kind,
  NULL::text AS name, NULL::text AS problem, NULL::text AS property, NULL::text AS expected, NULL::text AS found,
  NULL::jsonb AS facts WHERE false"""
_PLATFORM_FUNCTION = "update_updated_at_column()"
# What pg_catalog.quote_ident() puts in quotes although lexer.identifier() need not.
_KEYWORDS = frozenset(
    """between bigint bit boolean char character coalesce dec decimal exists extract float greatest grouping inout
    int integer interval json json_array json_arrayagg json_exists json_object json_objectagg json_query
    json_scalar json_serialize json_table json_value least merge_action national nchar none normalize nullif
    numeric out overlay position precision real row setof smallint substring time timestamp treat trim values
    varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
    xmlserialize xmltable""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Expected:
    """One object as a step leaves it, in documented names.

    ``facts`` None: the step removes it. ``always``: the properties that count even where the object was there before
    callctl came; the others then do not. None if callctl always makes it.
    """

    step: int
    relation: str
    kind: str
    name: str
    facts: Mapping[str, str] | None
    always: tuple[str, ...] | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """The identity of the object among the others."""
        return self.relation, self.kind, self.name

    @property
    def table(self) -> str:
        """The table it belongs to, without its schema; of a function the schema's name."""
        return self.relation.rpartition(".")[2]

    @property
    def check(self) -> str:
        """The check that speaks of it: ``calls-columns``. All of callctl's own schema is one."""
        if self.step == 0:
            return "store-functions" if self.kind == "function" else "store-tables"
        return f"{_table_of(self).rpartition('.')[2].replace('_', '-')}-{KINDS[self.kind]}"


@cache
def expectations() -> tuple[Expected, ...]:
    """Everything that the steps leave, in their order; step 0 is callctl's own schema."""
    expected: list[Expected] = []
    for path in sorted((sql_root() / "contract").glob("*.json")):
        content = json.loads(read_sql(f"contract/{path.name}"))
        for relation, kinds in content["objects"].items():
            for kind, objects in kinds.items():
                for name, facts in objects.items():
                    always = content.get("found", {}).get(f"{kind} {relation} {name}")
                    expected.append(
                        Expected(
                            int(path.name[:2]), relation, kind, name, facts, None if always is None else tuple(always)
                        )
                    )
    return tuple(expected)


def expected_of(applied: Collection[int]) -> tuple[Expected, ...]:
    """Return the objects that must exist, and those that must not, while these steps are applied."""
    standing: dict[tuple[str, str, str], Expected] = {}
    for expectation in expectations():
        if expectation.step in applied or expectation.step == 0:
            before = standing.get(expectation.key)
            if before is not None and before.facts and expectation.facts:
                expectation = Expected(
                    expectation.step,
                    *expectation.key,
                    {**before.facts, **expectation.facts},
                    before.always if expectation.always is None else expectation.always,
                )
            standing[expectation.key] = expectation
        elif expectation.facts is None and expectation.kind == "column":
            # What a pending step is going to remove is there until then.
            standing.setdefault(expectation.key, Expected(expectation.step, *expectation.key, {}))
    return tuple(standing.values())


def expected_of_step(step: int) -> tuple[Expected, ...]:
    """Return the objects that one step leaves."""
    return tuple(expectation for expectation in expectations() if expectation.step == step)


def own_tables(applied: Collection[int]) -> tuple[str, ...]:
    """The tables that the applied steps have made, in documented names."""
    return tuple(
        expectation.relation
        for expectation in expectations()
        if expectation.step and expectation.step in applied and expectation.kind == "table"
    )


def differences_sql(
    expected: Collection[Expected],
    naming: Naming,
    whole: Collection[str] = (),
    *,
    relied: Collection[str] = (),
    alone: bool = False,
) -> str:
    """The query for what differs: check, problem, object, property, expected, found, what fixes it, its step.

    ``whole`` are the tables on which nothing else should be; with callctl's own tables among the ``expected``, its
    whole schema is asked. ``relied`` are the platform's whose rows nothing else
    should keep from being written. ``alone``: no other step is known to be applied, so
    what a later step removes is expected only while the column is there that goes with it.
    """
    # A step's own check asks of its own objects alone; callctl's own tables are not among them.
    own = sorted(
        {expectation.relation for expectation in expected if expectation.step == 0 and expectation.kind == "table"}
    )
    everything = [(STORE, None)] if own else []
    tables = {named(relation, naming) for relation in relied}
    tables |= {
        named(expectation.relation, naming)
        for expectation in expected
        if expectation.kind not in ("function", "schema")
    }
    functions = {
        (named(expectation.relation, naming)[0], expectation.name.partition("(")[0])
        for expectation in expected
        if expectation.kind == "function"
    }
    asked = {
        "tables": everything + sorted(pair for pair in tables if not (own and pair[0] == STORE)),
        "functions": everything + sorted(pair for pair in functions if not (own and pair[0] == STORE)),
        "whole": [_Names(naming, table).adapted(table) for table in whole],
        "own": own,
        "archived": [
            f"{STORE}.{named(table, naming)[1]}"
            for table in own_tables({expectation.step for expectation in expectations()})
        ],
        "relied": [_Names(naming, table).adapted(table) for table in relied],
        "objects": [_wanted(expectation, naming, alone) for expectation in expected],
    }
    together = bool(own or whole or relied)
    kinds = set(FACTS) if together else {expectation.kind for expectation in expected}
    queries = {
        "contract": f"SELECT {literal(json.dumps(asked, ensure_ascii=False))}::jsonb AS what",
        "fact": _facts("SELECT what FROM contract", kinds),
    }
    if all(expectation.always is None for expectation in expected):
        queries["made"] = _NOTHING_MADE  # the table callctl.made may be what is wrong
    if not together:
        queries["addition"] = _NO_DIFFERENCE
    return with_queries(read_sql("migration/steps/contract.sql"), queries)


def facts_sql(tables: Collection[tuple[str, str | None]], functions: Collection[tuple[str, str | None]]) -> str:
    """The query for every fact of these: relation, kind, name, property, value.

    Each is a schema and a name as the catalog holds them; None is every table or function of the schema.
    """
    asked = {"tables": list(tables), "functions": list(functions)}
    return _facts(f"SELECT {literal(json.dumps(asked))}::jsonb AS what", FACTS)


def _facts(asked: str, kinds: Collection[str]) -> LiteralString:
    """The query for the facts of these kinds: to plan the others takes as long as to read these."""
    queries = {query: _NO_FACT for kind, query in FACTS.items() if kind not in kinds}
    if "trigger" in kinds:
        queries[HOOK] = with_query(hooks_sql(), "watched", "SELECT oid FROM relation")
    return with_queries(read_sql("migration/steps/facts.sql"), {"asked": asked, **queries})


def hooks_sql() -> LiteralString:
    """The query for the triggers that are not known to keep their rows: oid, writes, because."""
    return read_sql("migration/steps/hooks.sql")


def step_check(step: int, naming: Naming, *, warns: bool = False) -> Statement | None:
    """The check that one step's objects are in the catalog as it leaves them; None if it leaves none.

    A row is a difference as a sentence, and the statement that removes it. Row-level security is left out: what was set
    on a new table, by the step or by an event trigger, is the platform's to change.
    """
    expected = expected_of_step(step)
    if not expected:
        return None
    sentence = f"the catalog has what step {step} leaves in it, as it leaves it"
    check = Check(f"step-{step}-contract", sentence, warns)
    differences = differences_sql(expected, naming, alone=True)
    sql = (
        "SELECT concat(object, ': ', CASE problem WHEN 'differs'"
        " THEN format('%s is %s, should be %s', property, coalesce(found, 'none'), expected) ELSE problem END)"
        f" AS difference, fix FROM (\n{differences}) AS different WHERE \"check\" <> 'additions'"
    )
    return Statement(sql, f"contract/{step:02}.json", 1, 1, check=check)


def _wanted(expectation: Expected, naming: Naming, alone: bool) -> dict[str, Any]:
    names = _Names(naming, _table_of(expectation))
    wanted: dict[str, Any] = {
        "check": expectation.check,
        "step": expectation.step,
        "relation": names.adapted(expectation.relation),
        "kind": expectation.kind,
        "name": expectation.name
        if expectation.kind in ("constraint", "index", "trigger")
        else names.adapted(expectation.name),
        "gone": expectation.facts is None,
        "facts": {key: names.adapted(value) for key, value in (expectation.facts or {}).items()},
    }
    if expectation.always is not None:
        owner = wanted["relation"] if expectation.kind == "function" else expectation.table
        name = expectation.name.partition("(")[0] if expectation.kind == "function" else names.plain(expectation.name)
        wanted["made"], wanted["always"] = [expectation.kind, owner, name], expectation.always
    if alone and (column := _goes_with(expectation)) is not None:
        wanted["while"] = [*named(column.relation, naming), _Names(naming, column.relation).plain(column.name)]
    return wanted


def _goes_with(expectation: Expected) -> Expected | None:
    """The column with which a later step removes this object."""
    ends = _removals().get(expectation.key)
    return None if expectation.facts is None or ends is None else _removed_columns()[ends]


@cache
def _removals() -> dict[tuple[str, str, str], int]:
    """The first step that removes each object."""
    return {expectation.key: expectation.step for expectation in reversed(expectations()) if expectation.facts is None}


@cache
def _removed_columns() -> dict[int, Expected]:
    """The first column that each step removes."""
    return {
        expectation.step: expectation
        for expectation in reversed(expectations())
        if expectation.facts is None and expectation.kind == "column"
    }


def _table_of(expectation: Expected) -> str:
    """The table whose columns an object's definition may name; of a function, that of its step."""
    if expectation.step == 0 or expectation.kind != "function":
        return expectation.relation
    return next(
        (other.relation for other in expected_of_step(expectation.step) if other.kind != "function"),
        expectation.relation,
    )


def named(relation: str, naming: Naming) -> tuple[str, str]:
    """The schema and the table, as the catalog holds their names."""
    schema, _, table = relation.partition(".")
    return (naming.schema if schema == DOCUMENTED_SCHEMA else schema), table


def as_printed(name: str) -> str:
    """A name as PostgreSQL prints it: in quotes wherever it is not plain."""
    return f'"{name}"' if name in _KEYWORDS or ("$" in name and '"' not in name) else identifier(name)


class _Names:
    """Translates a printed definition from documented names into this database's names."""

    def __init__(self, naming: Naming, relation: str) -> None:
        self.naming = naming
        self.table: TableNaming | None = naming.tables.get(relation.rpartition(".")[2])

    def plain(self, name: str) -> str:
        """A column's name."""
        return self.table.columns.get(name, name) if self.table is not None else name

    def adapted(self, text: str) -> str:
        """The text with its schema and its columns called as they are here, and nothing else moved."""
        moved = self.table.moved if self.table is not None else frozenset()
        words = {*moved, DOCUMENTED_SCHEMA} if self.naming.schema_moved else moved
        if not any(word in text for word in words):
            return text
        if self.table is not None and self.table.absent:
            # As the steps do: a filter on a column that the table has not is left out.
            for name in SOFT_DELETE:
                text = text.replace(f" WHERE ({name} IS NULL)", "")
        return splice(text, self._edits(text, moved - self.table.absent if self.table is not None else frozenset()))

    def _edits(self, text: str, moved: frozenset[str]) -> Iterator[Edit]:
        items = tokens(text)
        for token, after in zip_longest(items, items[1:]):
            if token.type == TokenType.STRING and token.text in moved:
                yield Edit(token.start, token.end, literal(self.plain(token.text)))
            elif token.word == DOCUMENTED_SCHEMA and (after is None or after.text == "."):
                yield Edit(token.start, token.end, as_printed(self.naming.schema))
            elif token.word in moved:
                yield Edit(token.start, token.end, as_printed(self.plain(token.word)))
