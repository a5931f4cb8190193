"""Checks that read the same table, asked in one pass over it.

A check ``SELECT … FROM chatapp.calls AS c [LEFT JOIN …] WHERE offends`` is a question to each row of ``calls``. All
such questions to one table are put in one scan, which counts; only then are the offenders of a check looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlglot import exp

from callctl.lexer import Token, tokens
from callctl.script import Statement, tree

_MORE = frozenset("group having order limit offset union intersect except window for".split())  # noqa: SIM905


@dataclass(frozen=True)
class Question:
    """A check taken apart: the table with its alias, the LEFT JOINs beside it, the condition of an offender."""

    table: str
    joins: tuple[str, ...]
    offends: str


@dataclass(frozen=True)
class Scan:
    """One query, and the checks whose offenders its columns count, in order."""

    sql: str
    statements: tuple[Statement, ...]


def scans(statements: Iterable[Statement]) -> tuple[Scan, ...]:
    """The statements in as few passes as they can be asked in; those that share no table are one query, too."""
    shared: dict[str, list[tuple[Statement, Question]]] = {}
    alone: list[Statement] = []
    for statement in statements:
        question = taken_apart(statement.sql)
        if question is None:
            alone.append(statement)
        else:
            shared.setdefault(question.table, []).append((statement, question))
    counts = ",\n".join(f"(SELECT count(*) FROM (\n{statement.sql}\n) AS offenders)" for statement in alone)
    by_themselves = (Scan(f"SELECT {counts}", tuple(alone)),) if alone else ()
    return (*(_scan(table, asked) for table, asked in shared.items()), *by_themselves)


def reads_rows(statement: Statement, tables: str) -> bool:
    """Whether it reads a table of the schema ``tables``, or saved values: its time grows with them."""
    node = tree(statement.sql)
    return node is None or any(
        found.db == tables or (found.db, found.name) == ("callctl", "saved_value") for found in node.find_all(exp.Table)
    )


def _scan(table: str, asked: Sequence[tuple[Statement, Question]]) -> Scan:
    joins = list(dict.fromkeys(join for _, question in asked for join in question.joins))
    counts = ",\n".join(f"count(*) FILTER (WHERE {question.offends})" for _, question in asked)
    return Scan("\n".join((f"SELECT {counts}", f"FROM {table}", *joins)), tuple(statement for statement, _ in asked))


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
        " ".join(_text(sql, head).split()),
        tuple(_text(sql, between[at:end]) for at, end in pairwise([*lefts, len(between)])),
        sql[after[0].start :].strip(),
    )


def _text(sql: str, items: Sequence[Token]) -> str:
    return sql[items[0].start : items[-1].end]
