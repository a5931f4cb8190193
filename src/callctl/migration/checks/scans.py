"""Checks that read the same table, asked in one pass over it.

A check ``SELECT … FROM chatapp.calls AS c [LEFT JOIN …] WHERE offends`` is a question to each row of ``calls``. All
such questions to one table are put in one query, which counts the offenders of each and says where the first few are
(their ``ctid``), so that nothing is read again to show them. What several questions begin with is asked once: a row
that is no offender by that is done with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from callctl.statements import saved
from callctl.statements.script import Statement
from callctl.statements.tokens import Token, literal, qualified_names, tokens

_MORE = frozenset("group having order limit offset union intersect except window for".split())  # noqa: SIM905


@dataclass(frozen=True)
class Question:
    """A check taken apart: the table with its alias, the LEFT JOINs beside it, the condition of an offender.

    ``conjuncts``: the conditions that this one is an AND of, in their order; itself alone where it is none.
    """

    selected: str
    table: str
    joins: tuple[str, ...]
    offends: str
    conjuncts: tuple[str, ...]

    @property
    def alias(self) -> str:
        """What the question calls the table."""
        return self.table.rsplit(" ", 1)[-1]


@dataclass(frozen=True)
class SharedQuery:
    """One query, and the checks whose offenders it counts.

    Of each check, in order, its row has the count; and with ``places``, as its second half, of each the ``tableoid``
    and ``ctid`` of the first few, or NULL.
    """

    sql: str
    statements: tuple[Statement, ...]
    places: bool


def shared_queries(statements: Iterable[Statement], schema: str, sample: int) -> tuple[SharedQuery, ...]:
    """The statements in as few passes as they can be asked in; those that read no table's rows are one query, too.

    ``schema``: where the tables are, for these statements. ``sample``: of how many offenders a query says the places.
    """
    shared: dict[str, list[tuple[Statement, Question]]] = {}
    alone: list[Statement] = []
    for statement in statements:
        question = taken_apart(statement.sql)
        if question is None:
            alone.append(statement)
        else:
            shared.setdefault(question.table, []).append((statement, question))
    small = [statement for statement in alone if not reads_rows(statement, schema)]
    by_themselves = [small] if small else []
    by_themselves += [[statement] for statement in alone if statement not in small]
    return (
        *(_one_pass(table, asked, sample) for table, asked in shared.items()),
        *(_counted(each) for each in by_themselves),
    )


def reads_rows(statement: Statement, schema: str) -> bool:
    """Whether it names a table of this schema, or reads callctl's saved values: its time grows with them."""
    # Tokens are enough, and read in a tenth of the time.
    return saved.reads_values(statement.sql) or any(first == schema for first, _ in qualified_names(statement.sql))


def _one_pass(table: str, asked: Sequence[tuple[Statement, Question]], sample: int) -> SharedQuery:
    """One pass. A row that offends against nothing, as nearly all do, is asked each question once, and is gone."""
    numbers = range(len(asked))
    joins = list(dict.fromkeys(join for _, question in asked for join in question.joins))
    alias = asked[0][1].alias
    # OFFSET 0 keeps the planner from copying the questions to each place where an answer is counted.
    lines = [
        "SELECT " + ", ".join(f"count(*) FILTER (WHERE offends_{n})" for n in numbers) + ",",
        ",\n".join(f"array_agg(place) FILTER (WHERE offends_{n} AND count_{n} <= {sample})" for n in numbers),
        "FROM (SELECT *, "
        + ", ".join(f"count(*) FILTER (WHERE offends_{n}) OVER counted AS count_{n}" for n in numbers),
        f"FROM (SELECT ARRAY[{alias}.tableoid::text, {alias}.ctid::text] AS place,",
        ",\n".join(f"({question.offends}) IS TRUE AS offends_{n}" for n, (_, question) in enumerate(asked)),
        f"FROM {table}",
        *joins,
        "WHERE " + _any([question.conjuncts for _, question in asked]),
        "OFFSET 0) AS offenders WINDOW counted AS (ROWS UNBOUNDED PRECEDING)) AS numbered",
    ]
    return SharedQuery("\n".join(lines), tuple(statement for statement, _ in asked), places=True)


def _any(conditions: Sequence[Sequence[str]]) -> str:
    """Any of the conditions, each given by its conjuncts, as one condition that asks once what several begin with."""
    beginnings: dict[str, list[Sequence[str]]] = {}
    for first, *rest in conditions:
        beginnings.setdefault(first, []).append(rest)
    parts = []
    for first, rests in beginnings.items():
        if len(rests) > 1 and all(rests):
            parts.append(f"({first}\nAND ({_any(rests)}))")
        else:
            # Of several that begin alike, one that asks no more holds wherever another does.
            parts.append(f"({' AND '.join([first, *(rests[0] if len(rests) == 1 else ())])})")
    return "\nOR ".join(parts)


def _counted(statements: Sequence[Statement]) -> SharedQuery:
    counts = ",\n".join(f"(SELECT count(*) FROM (\n{each.sql}\n) AS offenders)" for each in statements)
    return SharedQuery(f"SELECT {counts}", tuple(statements), places=False)


def at_places(sql: str, places: Iterable[tuple[str, str]]) -> str:
    """A check that is a question, asked of the rows at these places alone, which a shared query has found."""
    question = taken_apart(sql)
    assert question is not None
    here = " OR ".join(
        f"{question.alias}.tableoid = {int(table)} AND {question.alias}.ctid = {literal(row)}" for table, row in places
    )
    return "\n".join((question.selected, f"FROM {question.table}", *question.joins, f"WHERE ({here})"))


def taken_apart(sql: str) -> Question | None:
    """The parts of a check that asks each row of one table; None for any other query.

    A LEFT JOIN is taken to find at most one row: that is the author's promise, and a test's to hold.
    """
    items = [token for token in tokens(sql) if token.depth == 0]
    starts = [
        index for index, token in enumerate(items) if token.says("from") and not items[index - 1].says("distinct")
    ]
    wheres = [index for index, token in enumerate(items) if token.says("where")]
    if not items or not items[0].says("select") or items[1].says("distinct") or len(wheres) != 1 or not starts:
        return None
    first, where = starts[0], wheres[0]
    between, after = items[first + 1 : where], items[where + 1 :]
    if first > where or not after or any(token.says(*_MORE) for token in after):
        return None
    lefts = [index for index, token in enumerate(between) if token.says("left")]
    joins = [index for index, token in enumerate(between) if token.says("join")]
    head = between[: lefts[0]] if lefts else between
    if joins != [index + 1 for index in lefts] or any(token.text in (",", "(") for token in head) or len(head) < 5:
        return None
    return Question(
        _text(sql, items[:first]),
        " ".join(_text(sql, head).split()),
        tuple(_text(sql, between[at:end]) for at, end in pairwise([*lefts, len(between)])),
        sql[after[0].start :].strip(),
        _conjuncts(sql, after),
    )


def _conjuncts(sql: str, items: Sequence[Token]) -> tuple[str, ...]:
    if any(token.says("or") for token in items):
        return (_text(sql, items),)
    parts: list[str] = []
    start, between = 0, False
    for at, token in enumerate(items):
        if token.says("between"):
            between = True
        elif token.says("and") and between:
            between = False
        elif token.says("and"):
            parts.append(_text(sql, items[start:at]))
            start = at + 1
    return (*parts, _text(sql, items[start:]))


def _text(sql: str, items: Sequence[Token]) -> str:
    return sql[items[0].start : items[-1].end]
