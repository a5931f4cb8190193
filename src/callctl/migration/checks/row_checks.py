"""The rows against their rules, in as few passes over a table as they can be; and the secrets in declared fields."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from callctl.files import read_sql, sql_names
from callctl.migration.checks.findings import LATE, SAMPLE, CheckResult, ask
from callctl.migration.steps.numbered import all_steps
from callctl.secrets.envelope.fields import DECLARED
from callctl.secrets.rows.row import FieldName
from callctl.secrets.rows.tables import assert_matched, bound_fields, json_path, secret_tables
from callctl.statements import naming
from callctl.statements.adaptation import adapt
from callctl.statements.naming import DOCUMENTED_SCHEMA, Naming
from callctl.statements.script import Script, Statement, load_script
from callctl.statements.tokens import Token, literal, qualified_names, tokens, with_query

if TYPE_CHECKING:
    from callctl.config.sections import SecretField
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.secrets.rows.row import Part, SecretTable

# Checks that read the same table, asked in one pass over it.
#
# A check ``SELECT … FROM chatapp.calls AS c [LEFT JOIN …] WHERE offends`` is a question to each row of ``calls``. All
# such questions to one table are put in one query, which counts the offenders of each and says where the first few are
# (their ``ctid``), so that nothing is read again to show them. What several questions begin with is asked once: a row
# that is no offender by that is done with.

_MORE = frozenset("group having order limit offset union intersect except window for".split())  # noqa: SIM905


@dataclass(frozen=True)
class Question:
    """A check taken apart: the table with its alias, the LEFT JOINs beside it, the condition of an offender.

    ``conjuncts``: the conditions that this one is an AND of, in their order; only itself if it is not an AND.
    """

    selected: str
    table: str
    joins: tuple[str, ...]
    offends: str
    conjuncts: tuple[str, ...]

    @property
    def alias(self) -> str:
        """The alias of the table in the question."""
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
        *(_counted(group) for group in by_themselves),
    )


def reads_rows(statement: Statement, schema: str) -> bool:
    """Return whether it names a table of this schema, or reads callctl's saved values: its time grows with them."""
    # Tokens are enough, and read in a tenth of the time.
    return naming.reads_values(statement.sql) or any(first == schema for first, _ in qualified_names(statement.sql))


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
    counts = ",\n".join(f"(SELECT count(*) FROM (\n{statement.sql}\n) AS offenders)" for statement in statements)
    return SharedQuery(f"SELECT {counts}", tuple(statements), places=False)


def at_places(sql: str, places: Iterable[tuple[str, str]]) -> str:
    """A check that is a question, asked of the rows at these places alone, which a shared query has found."""
    question = taken_apart(sql)
    assert question is not None
    condition = " OR ".join(
        f"{question.alias}.tableoid = {int(table)} AND {question.alias}.ctid = {literal(row)}" for table, row in places
    )
    return "\n".join((question.selected, f"FROM {question.table}", *question.joins, f"WHERE ({condition})"))


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
        tuple(_text(sql, between[start:end]) for start, end in pairwise([*lefts, len(between)])),
        sql[after[0].start :].strip(),
        _conjuncts(sql, after),
    )


def _conjuncts(sql: str, items: Sequence[Token]) -> tuple[str, ...]:
    if any(token.says("or") for token in items):
        return (_text(sql, items),)
    parts: list[str] = []
    start, between = 0, False
    for index, token in enumerate(items):
        if token.says("between"):
            between = True
        elif token.says("and") and between:
            between = False
        elif token.says("and"):
            parts.append(_text(sql, items[start:index]))
            start = index + 1
    return (*parts, _text(sql, items[start:]))


def _text(sql: str, items: Sequence[Token]) -> str:
    return sql[items[0].start : items[-1].end]


# The rows against their rules: which checks are asked, in as few passes as they can be, and what they find.

# The line in the header of a file whose checks read no table that grows.
FAST = "-- fast: yes\n"


@dataclass(frozen=True)
class Asked:
    """A check of rows in this database's names, and where it comes from."""

    statement: Statement
    step: int | None
    header: Mapping[str, str] = field(hash=False)


def asked(wanted: Collection[int], naming: Naming, *, fast: bool = False) -> tuple[Asked, ...]:
    """The checks that these steps call for; ``fast``: those that read the catalog alone."""
    checks = [
        Asked(statement, step, load_script(f"{all_steps()[step - 1].directory}/verify.sql").header)
        for step in wanted
        for statement in all_steps()[step - 1].checks()
    ]
    for name in sql_names("verify"):
        # To read all files with care takes longer than all that is asked then.
        if fast and FAST not in read_sql(name):
            continue
        script = load_script(name)
        if _steps(script, "steps") <= set(wanted) and not _steps(script, "pending") & set(wanted):
            checks += [Asked(statement, None, script.header) for statement in script.statements]
    return tuple(
        Asked(adapt(check.statement, naming), check.step, check.header)
        for check in checks
        if not (fast and reads_rows(check.statement, DOCUMENTED_SCHEMA))
    )


def passes(checks: Iterable[Asked], naming: Naming) -> tuple[SharedQuery, ...]:
    """The queries that :func:`answers` puts these checks in."""
    return shared_queries((check.statement for check in checks), naming.schema, SAMPLE)


def answers(connection: Connection, checks: Sequence[Asked], naming: Naming) -> list[CheckResult]:
    """Return the result of each check, in their order. In the caller's transaction, which must see one snapshot."""
    by_statement = {check.statement: check for check in checks}
    results: dict[Statement, CheckResult] = {}
    for scan in passes(checks, naming):
        rows, problem = ask_all(connection, scan)
        size = len(scan.statements)
        counts = rows[0][:size] if rows else (0,) * size
        places = rows[0][size:] if rows and scan.places else (None,) * size
        for statement, count, where in zip(scan.statements, counts, places, strict=True):
            check = by_statement[statement]
            if problem is None and not count:
                results[statement] = _result(check)
            elif problem is not None and (size == 1 or problem.startswith(LATE)):
                results[statement] = _result(check, error=problem)
            elif where is not None:
                results[statement] = _shown(connection, check, count, where)
            else:
                # One of the questions can't be asked, or its offenders have no places: it is asked by itself.
                results[statement] = asked_alone(connection, check)
    return [results[check.statement] for check in checks]


def ask_all(connection: Connection, scan: SharedQuery) -> tuple[list[tuple[Any, ...]], str | None]:
    """The answer to all questions of a scan, or what the server said instead."""
    # Of a shared scan next to no row comes out, which the planner can't know: it would leave it to one process.
    connection.execute(f"SET LOCAL parallel_tuple_cost TO {'0' if scan.places else 'DEFAULT'}")
    return ask(connection, scan.sql)


def _shown(connection: Connection, check: Asked, count: int, places: Iterable[tuple[str, str]]) -> CheckResult:
    columns: list[str] = []
    rows, problem = ask(connection, at_places(check.statement.sql, places), columns)
    return _result(check, count, tuple(columns), tuple(rows), error=problem)


def asked_alone(connection: Connection, check: Asked) -> CheckResult:
    """Run one check. A query that fails is a check that did not pass, and the others still run."""
    columns: list[str] = []
    sql = f"SELECT *, count(*) OVER () AS callctl_count FROM (\n{check.statement.sql}\n) AS offenders LIMIT {SAMPLE}"
    rows, problem = ask(connection, sql, columns)
    count = rows[0][-1] if rows else 0
    return _result(check, count, tuple(columns[:-1]), tuple(tuple(row[:-1]) for row in rows), error=problem)


def _result(
    check: Asked,
    count: int = 0,
    columns: tuple[str, ...] = (),
    sample: tuple[tuple[Any, ...], ...] = (),
    *,
    error: str | None = None,
) -> CheckResult:
    declaration = check.statement.check
    assert declaration is not None, f"{check.statement.place} is not a check"
    return CheckResult(
        declaration.id,
        declaration.sentence,
        check.step,
        count == 0 and error is None,
        declaration.warns,
        count,
        columns,
        sample,
        check.statement.place,
        error,
        check.header.get("means", ""),
        tuple(filter(None, (check.header.get("fix"),))),
    )


def _steps(script: Script, key: str) -> set[int]:
    """The steps in a line of a file's header: those that must be applied for it to mean anything, or must not be."""
    named: set[int] = set()
    for part in script.header.get(key, "").replace(",", " ").split():
        low, _, high = part.partition("-")
        named |= set(range(int(low), int(high or low) + 1))
    return named


# The secrets in declared fields, as verify looks at them: their form, their key's id, and whether they are bound.

CHECKS = ("declared-secrets-encrypted", "declared-secrets-known-key")
BOUND_CHECKS = ("secrets-bound",)
# The query of sql/verify/declared_secrets.sql and bound_secrets.sql in whose place these are put.
SECRET = "secret"
# It finds none, and gives the columns their types.
_NO_SECRET = (
    "SELECT NULL::text AS relation, NULL::text AS row_id, NULL::text AS field, false AS whole, NULL::jsonb AS value"
)


def declared_secrets(connection: Connection, settings: Settings) -> str:
    """The query for the contents of the fields that ``settings`` declare and this database has, as CHECKS use it.

    Raises Refused if one of them is in a table or a column that callctl can't go through; ConfigError if one
    matches nothing.
    """
    configured = set(settings.secret_fields) - set(DECLARED)
    tables = secret_tables(connection, settings)
    assert_matched(connection, settings, tables)
    values = [
        _values(secret_table, part, secret_field)
        for secret_table in tables
        if secret_table.where == "live"
        for part in secret_table.parts
        for secret_field in part.fields
        if secret_field in configured
    ]
    return "\n  UNION ALL ".join([_NO_SECRET, *values])


def bound_secrets(connection: Connection, settings: Settings, bound: frozenset[FieldName]) -> str:
    """The query for the contents of the bound fields: live, archived and saved, as BOUND_CHECKS ask it.

    Raises Refused as :func:`declared_secrets`.
    """
    values = [
        _values(secret_table, part, secret_field)
        for secret_table in secret_tables(connection, settings)
        for part in secret_table.parts
        for secret_field in part.fields
        if FieldName(secret_table.recorded, secret_field.account_type or "", secret_field.text) in bound
    ]
    return "\n  UNION ALL ".join([_NO_SECRET, *values])


def unbound_rows(connection: Connection, settings: Settings, table: str) -> set[str]:
    """The ids of a live table's rows with unbound values in bound fields, in the caller's transaction."""
    bound = bound_fields(connection)
    if not bound:
        return set()
    row_ids: set[str] = set()
    for statement in load_script("verify/bound_secrets.sql").statements:
        text = with_query(statement.sql, SECRET, bound_secrets(connection, settings, bound))
        row_ids |= {row[1] for row in connection.execute(text).fetchall() if row[0] == table}
    return row_ids


def _values(secret_table: SecretTable, part: Part, field: SecretField) -> str:
    """The query for the contents of one field: table, row, field, whether it is a whole text column, value."""
    from psycopg import sql

    relation = sql.Identifier(*secret_table.relation).as_string(None)
    column = f"t.{sql.Identifier(part.column).as_string(None)}"
    origin = f"{literal(secret_table.name)}, {secret_table.row_id}, {literal(field.text)}"
    path = field.path[len(part.inside) :]  # of a saved value, what is saved is inside already
    if part.form == "row":
        column += f" -> {literal(field.column)}"
    if path:
        values = f"SELECT {origin}, false, f.value FROM {relation} AS t"
        values += f" CROSS JOIN LATERAL jsonb_path_query({column}, {literal(json_path(path))}) AS f (value)"
    else:
        whole = f"to_jsonb({column}::text)" if part.form == "text" else column
        values = f"SELECT {origin}, {str(not field.path).lower()}, {whole} FROM {relation} AS t"
    conditions = [] if secret_table.condition == "true" else [secret_table.condition]
    if field.account_type:
        conditions.append(f"{secret_table.account_type} = {literal(field.account_type)}")
    return values + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
