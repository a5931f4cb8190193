"""Queries in the documented names that are none of callctl's, made at random, for tests of adaptation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

TABLES = {
    "chatapp.chatbots": ("id", "name", "package_id", "chatbotType", "deletedAt"),
    "chatapp.chatbot_packages": ("id", "name", "chatbotType", "deletedAt"),
    "chatapp.companies": ("id", "name", "deleted_at"),
    "chatapp.ai_models": ("id", "model_name", "context_window", "input_cost_per_token", "deletedAt"),
    "other.things": ("id", "name", "chatbotType", "deletedAt", "model_name"),
}
NEVER_DELETED = ("chatapp.chatbot_packages", "chatapp.ai_models")


@dataclass(frozen=True)
class Source:
    """One item of a FROM list: its SQL, its alias, its columns, and those that only a filter may mention."""

    sql: str
    alias: str
    columns: tuple[str, ...]
    filters: tuple[str, ...]


@st.composite
def _source(draw: st.DrawFn, alias: str, depth: int, ctes: tuple[tuple[str, tuple[str, ...]], ...]) -> Source:
    kind = draw(st.sampled_from(("table", "table", "derived", "star", "cte")))
    if kind == "cte" and ctes:
        name, columns = draw(st.sampled_from(ctes))
        return Source(f"{name} AS {alias}", alias, columns, ())
    if kind == "derived" and depth:
        query = draw(_select(depth - 1, ctes))
        return Source(f"({query.sql}) AS {alias}", alias, query.columns, ())
    name = draw(st.sampled_from(sorted(TABLES)))
    deletes = tuple(column for column in TABLES[name] if column.lower().startswith("deleted"))
    columns = tuple(column for column in TABLES[name] if not (name in NEVER_DELETED and column in deletes))
    sql = f"(SELECT * FROM {name})" if kind == "star" and depth else name
    return Source(f"{sql} {draw(st.sampled_from(('', 'AS ')))}{alias}", alias, columns, deletes)


@dataclass(frozen=True)
class Query:
    sql: str
    columns: tuple[str, ...]


@st.composite
def _predicate(draw: st.DrawFn, sources: list[Source], depth: int, name: Callable[[Source, str], str]) -> str:
    source = draw(st.sampled_from(sources))
    column = draw(st.sampled_from(source.columns))
    kinds = ["filter", "filter", "null", "text", "not", "and", "or", "exists", "case"]
    kind = draw(st.sampled_from(kinds if depth else kinds[:4]))
    if kind == "filter" and source.filters:
        column = draw(st.sampled_from(source.filters))
        test = draw(st.sampled_from(("IS NULL", "IS NULL", "is null", "IS NOT NULL", "ISNULL")))
        return draw(st.sampled_from(("{}", "({})"))).format(f"{name(source, column)} {test}")
    if kind == "not":
        return f"NOT ({draw(_predicate(sources, depth - 1, name))})"
    if kind in ("and", "or"):
        left, two = (draw(_predicate(sources, depth - 1, name)) for _ in range(2))
        joined = f"{left}\n  {kind.upper()} {two}"
        return joined if draw(st.booleans()) else f"({joined})"
    if kind == "exists":
        inner = draw(_source("e", 0, ()))
        both = [inner, source]
        where = draw(_predicate(both, 0, lambda s, c: f"{s.alias}.{c}"))
        outer = draw(st.sampled_from(source.columns))
        return f"EXISTS (SELECT {inner.alias}.id FROM {inner.sql} WHERE {where} AND {source.alias}.{outer} IS NOT NULL)"
    if kind == "case":
        when = draw(_predicate(sources, 0, name))
        return f"CASE WHEN {when} THEN {name(source, column)} IS NULL ELSE false END"
    if kind == "null":
        return f"{name(source, column)} IS NOT NULL"
    return f"{name(source, column)}::text IN ('call', 'chat', '1', 'chatbotType')"


@st.composite
def _select(draw: st.DrawFn, depth: int, ctes: tuple[tuple[str, tuple[str, ...]], ...]) -> Query:
    first = draw(_source("a", depth, ctes))
    sources = [first]
    from_ = first.sql
    qualified = draw(st.booleans())
    if draw(st.booleans()):
        second = draw(_source("b", depth, ctes))
        sources.append(second)
        left, two = draw(st.sampled_from(first.columns)), draw(st.sampled_from(second.columns))
        kind = draw(st.sampled_from(("JOIN", "LEFT JOIN")))
        from_ += f"\n {kind} {second.sql} ON a.{left}::text = b.{two}::text"
        if draw(st.booleans()):
            from_ += f" AND {draw(_predicate(sources, 0, lambda s, c: f'{s.alias}.{c}'))}"
        qualified = True

    def name(source: Source, column: str) -> str:
        return f"{source.alias}.{column}" if qualified else column

    where = f" WHERE {draw(_predicate(sources, 2, name))}" if draw(st.booleans()) else ""
    items: list[str] = []
    columns: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        source = draw(st.sampled_from(sources))
        column = draw(st.sampled_from(source.columns))
        reference = name(source, column)
        if column in columns or draw(st.integers(0, 3)) == 0:
            column = f"x{number}"
            items.append(f"{draw(st.sampled_from(('{}', 'coalesce({}, NULL)', '({})'))).format(reference)} AS {column}")
        else:
            items.append(draw(st.sampled_from(("{}", "({})", "{}::text"))).format(reference))
        columns.append(column)
    comment = draw(st.sampled_from(("", " -- chatbotType, deletedAt\n", " /* chatapp.chatbots */ ")))
    sql = f"SELECT {', '.join(items)}{comment} FROM {from_}{where}"
    if draw(st.integers(0, 3)) == 0:
        sql += f" ORDER BY {draw(st.sampled_from(columns))}"
    return Query(sql, tuple(columns))


@st.composite
def queries(draw: st.DrawFn) -> str:
    """A query that returns the same columns whatever the tables' columns are called."""
    ctes: list[tuple[str, tuple[str, ...]]] = []
    parts: list[str] = []
    # A CTE may have the name of a table; then the bare name is the CTE's.
    for name in ("w", "chatbots")[: draw(st.integers(0, 2))]:
        query = draw(_select(1, tuple(ctes)))
        ctes.append((name, query.columns))
        parts.append(f"{name} AS ({query.sql})")
    sql = draw(_select(2, tuple(ctes))).sql
    if draw(st.integers(0, 4)) == 0:
        source = draw(_source("g", 0, tuple(ctes)))
        column = draw(st.sampled_from(source.columns))
        sql = f"SELECT {column}, count(*) FROM {source.sql} GROUP BY {column} ORDER BY {column}"
    return f"WITH {', '.join(parts)} {sql}" if parts else sql
