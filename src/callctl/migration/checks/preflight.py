"""Is this database fit for the pending steps? Findings, and nothing changed.

The questions are the files in ``sql/preflight/``. Here is what asks them, and those that SQL alone cannot
answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from callctl.database import connection as database
from callctl.database.actions import LAST_BACKUP, LastBackup
from callctl.database.connection import error_text
from callctl.errors import Code, ConnectionFailed, Refused
from callctl.events import Direction
from callctl.files import read_sql
from callctl.migration.checks.findings import (
    AVATAR,
    BACKUP,
    DEFINITIONS,
    LEVELS,
    MAINTENANCE,
    NEEDED,
    ORPHANS,
    OWN_SCHEMA,
    POOLER,
    Finding,
    Level,
    Need,
    Query,
    Question,
    numbers,
    questions,
    reference,
    row_finding,
)
from callctl.migration.checks.restoring import definitions_tried
from callctl.migration.steps import shadow
from callctl.migration.steps.contract import differences_sql, expected_of_step
from callctl.migration.steps.numbered import Step, all_steps
from callctl.redaction import redact
from callctl.statements.adaptation import adapt
from callctl.statements.naming import DOCUMENTED_SCHEMA, SOFT_DELETE, Naming
from callctl.statements.scope import folded
from callctl.statements.script import Statement, load_script, tree
from callctl.statements.tokens import identifier, tokens

if TYPE_CHECKING:
    import psycopg

    from callctl.config.settings import Settings
    from callctl.database.store import Unreadable

__all__ = ["MATTERS", "Finding", "preflight", "reference"]

# What the statements of the steps read of the platform's tables: taken from the step files themselves.
#
# Only what a statement reads or writes in a query is a need: ``DROP … IF EXISTS`` needs nothing. What an earlier step
# of the same run makes, or the step itself, is no need of the database as it is.

# A name as text that callctl's functions get: 'chatapp.chatbots'::regclass, then 'chatbottype'::name of that table.
_LITERAL = re.compile(r"'(?P<table>chatapp\.\w+)'::regclass|'(?P<column>\w+)'::name")


@dataclass(frozen=True)
class Needed:
    """A table or column of the platform that a step reads, in documented names, and the first place where it does."""

    step: int
    place: str
    need: Need


def needed(steps: Sequence[Step], direction: Direction) -> tuple[Needed, ...]:
    """Return the tables and columns that these steps read before one of them makes them, each once."""
    provided: set[Need] = set()
    by_need: dict[Need, Needed] = {}
    for step in steps:
        statements = step.script(direction).statements
        provided.update(made_need for statement in statements for made_need in _made(statement))
        for statement in statements:
            for need in _needs(statement):
                table = Need(need.schema, need.table, None)
                if need not in provided and table not in provided:
                    by_need.setdefault(need, Needed(step.number, statement.place, need))
    return tuple(by_need.values())


def _made(statement: Statement) -> Iterator[Need]:
    """Tables and columns that a statement makes."""
    words = tokens(statement.sql)
    if statement.kind not in ("create table", "alter table"):
        return
    table = next(
        (
            c.word
            for a, b, c in zip(words, words[1:], words[2:], strict=False)
            if a.word == DOCUMENTED_SCHEMA and b.text == "."
        ),
        None,
    )
    if table is None:
        return
    if statement.kind == "create table":
        yield Need(DOCUMENTED_SCHEMA, table, None)
        return
    for index, token in enumerate(words):
        if token.says("add") and index + 1 < len(words) and words[index + 1].says("column"):
            position = index + (5 if words[index + 2].says("if") else 2)
            yield Need(DOCUMENTED_SCHEMA, table, words[position].word)


@lru_cache(maxsize=512)
def _needs(statement: Statement) -> tuple[Need, ...]:
    return tuple(_read(statement))


def _read(statement: Statement) -> Iterator[Need]:
    node = tree(statement.sql)
    if node is not None and not isinstance(node, exp.Command) and statement.kind in _QUERIES:
        for column in node.find_all(exp.Column):
            table = _table_of(column)
            name = folded(column.this)
            if table is not None and name and name not in SOFT_DELETE:
                yield Need(DOCUMENTED_SCHEMA, table, name)
        for source in node.find_all(exp.Table):
            if (table := _platform(source)) is not None:
                yield Need(DOCUMENTED_SCHEMA, table, None)
    table = None
    for match in _LITERAL.finditer(statement.sql):
        if match["table"]:
            table = match["table"].partition(".")[2]
            yield Need(DOCUMENTED_SCHEMA, table, None)
        elif table is not None:
            yield Need(DOCUMENTED_SCHEMA, table, match["column"])


_QUERIES = frozenset({"select", "insert", "update", "delete", "merge"})


def _platform(source: exp.Expr | None) -> str | None:
    """The platform's table that an item of a FROM list is; None for anything else."""
    named = isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier)
    if source is None or not named or folded(source.args.get("db")) != DOCUMENTED_SCHEMA:
        return None
    return folded(source.this)


def _table_of(column: exp.Column) -> str | None:
    """The platform's table that a column belongs to, by PostgreSQL's rules of visibility; None if it is another's.

    A name without a table belongs to the one source of the innermost query; if there are more, it is left alone.
    """
    qualifier = folded(column.args.get("table"))
    ancestor: exp.Expr | None = column.parent
    while ancestor is not None:
        if isinstance(ancestor, exp.Select | exp.Update | exp.Delete):
            sources = list(_sources(ancestor))
            if not qualifier:
                return _platform(sources[0]) if len(sources) == 1 else None
            for source in sources:
                if source.alias_or_name.lower() == qualifier:
                    return _platform(source)
        ancestor = ancestor.parent
    return None


def _sources(query: exp.Expr) -> Iterable[exp.Expr]:
    if isinstance(query, exp.Update | exp.Delete):
        yield query.this
    from_ = query.args.get("from_")
    if from_ is not None:
        yield from_.this
    for join in query.args.get("joins") or ():
        yield join.this
    if from_ is not None:
        for join in from_.this.args.get("joins") or ():
            yield join.this
    yield from query.args.get("laterals") or ()


# Whether the platform's event triggers let the steps' DDL through: tried on a table of callctl's own, and rolled back.
#
# A READ ONLY question can name an event trigger, but not say what it does. If there is one, each kind of statement
# of the pending steps runs on a table that is made for it, in one transaction that is rolled back. No table of the
# platform is locked or read. A function that looks at a table's name may still refuse the real statement.

_FOR = re.compile(r"for:\s*(.*)")
# The error of who may not create, or may only read: no event trigger's doing.
_NOT_TRIED = frozenset({"42501", "25006"})


@dataclass(frozen=True)
class _EventTrigger:
    name: str
    event: str
    function: str
    off: str
    back: str


def ddl_tried(
    connection: psycopg.Connection[Any],
    naming: Naming,
    question: Question,
    steps: Collection[int],
    direction: Direction,
    limits: dict[str, object],
) -> Iterator[Finding]:
    """Findings of ``question`` about what event triggers do to the DDL of these steps; none where there is no trigger.

    ``limits`` are the parameters of ``migration/checks/asking.sql``: timeouts in milliseconds. Raises psycopg.Error
    where the catalog cannot be read or the connection breaks.
    """
    import psycopg

    rows = connection.execute(read_sql("migration/checks/event_triggers.sql")).fetchall()
    triggers = [_EventTrigger(*row) for row in rows]
    if not triggers:
        return
    needed = [
        (statement, needing)
        for statement in load_script("migration/checks/ddl_trial.sql").statements
        for needing in [sorted(set(steps) & _steps(statement, direction))]
    ]
    if not any(needing for _, needing in needed):
        return
    findings: list[Finding] = []
    with connection.transaction(force_rollback=True):
        connection.execute(read_sql("migration/checks/asking.sql"), limits)
        failed = False
        for position, (statement, needing) in enumerate(needed):
            try:
                with connection.transaction():
                    connection.execute(adapt(statement, naming).sql)
                if position == 0 and set(steps) & {9, 10, 11} and direction == "up":
                    findings += _effects(connection, naming, question, triggers)
            except psycopg.Error as error:
                if connection.closed:
                    raise
                if failed and (error.sqlstate or "").startswith("42"):
                    continue  # it works on what an earlier one was to make
                failed = True
                if needing or position == 0:
                    findings.append(_refused(question, triggers, statement, needing, error))
    yield from findings


def _steps(statement: Statement, direction: Direction) -> frozenset[int]:
    for line in statement.comment.splitlines():
        match = _FOR.fullmatch(line.strip())
        for part in match[1].split(";") if match else ():
            way, _, listed = part.strip().partition(" ")
            if way == direction:
                return numbers(listed, statement.place)
    return frozenset()


def _refused(
    question: Question,
    triggers: list[_EventTrigger],
    statement: Statement,
    needing: list[int],
    error: psycopg.Error,
) -> Finding:
    kind = " ".join(statement.sql.replace("chatapp.callctl_trial", "").split()[:2])
    action = re.search(r"\b(ADD|DROP|ALTER|VALIDATE|SET) (COLUMN|CONSTRAINT|SCHEMA)\b", statement.sql)
    if action and kind == "ALTER TABLE":
        kind += f" ... {action[0]}"
    named = "step" + ("s " if len(needing) > 1 else " ") + ", ".join(map(str, needing))
    context = error.diag.context or ""
    guilty = [trigger for trigger in triggers if re.search(rf"\b{re.escape(trigger.function)}\(", context)]
    if not needing or (error.sqlstate in _NOT_TRIED and not guilty):
        return question.finding(
            "unknown", f"could not try the steps' DDL against the event triggers: {error_text(error)}"
        )
    names = ", ".join(trigger.name for trigger in guilty or triggers)
    refusal = f"event trigger {names} refuses" if guilty else f"one of the event triggers ({names}) refuses"
    off = " ".join(trigger.off for trigger in guilty or triggers)
    back = " ".join(trigger.back for trigger in guilty or triggers)
    return question.finding(
        "blocks",
        f"{refusal} {kind}, which {named} need{'s' if len(needing) == 1 else ''}: {error_text(error)}",
        tuple(trigger.name for trigger in guilty or triggers),
        f"{off} Run the migration, then: {back}",
    )


def _effects(
    connection: psycopg.Connection[Any], naming: Naming, question: Question, triggers: list[_EventTrigger]
) -> Iterator[Finding]:
    names = tuple(trigger.name for trigger in triggers if trigger.event == "ddl_command_end")
    for statement in load_script("migration/checks/ddl_trial_effects.sql").statements:
        for level, text in connection.execute(adapt(statement, naming).sql).fetchall():
            yield question.finding(level, f"{text} (event trigger {', '.join(names)})", names)


# Is this database fit for the pending steps? Findings, and nothing changed.

# What is worth showing before a run.
MATTERS: tuple[Level, ...] = ("blocks", "warns", "unknown")

# The CHECKs of step 4, and the columns that they are about.
_CAPABILITY_CHECKS = {
    "chatbots": ("chatbots_capability_check", ("enabled_chat", "enabled_call")),
    "chatbot_packages": ("chatbot_packages_capability_check", ("enable_chat", "enable_call")),
}
# The question whose answer is also tried out.
EVENT_TRIGGERS = "event-triggers"

BACKUP_AGE = timedelta(hours=24)


@dataclass(frozen=True)
class Present:
    """The present relations as (schema, name) and columns as (schema, name, column), by actual names."""

    relations: frozenset[tuple[str, str]]
    columns: frozenset[tuple[str, str, str]]

    def has(self, need: Need, naming: Naming) -> bool:
        """Return whether what a query needs is there, whatever this database calls it."""
        schema = "callctl" if need.schema == "callctl" else naming.schema
        if need.column is None:
            return (schema, need.table) in self.relations
        table = naming.tables.get(need.table) if need.schema != "callctl" else None
        actual = table.columns.get(need.column, need.column) if table else need.column
        return (schema, need.table, actual) in self.columns


def preflight(
    connection: psycopg.Connection[Any],
    settings: Settings,
    naming: Naming,
    pending: Sequence[int],
    direction: Direction = "up",
    *,
    truncate_avatars: bool = False,
    through_shadow: bool | None = None,
    atomic: bool = False,
    only: tuple[Level, ...] | None = None,
) -> tuple[Finding, ...]:
    """Ask every question that matters to the pending steps; what blocks comes first, what is well last.

    ``pending`` are the numbers of the steps to be taken, up or down. ``truncate_avatars`` says that addresses
    which no longer fit may be cut off, so that they only warn. ``through_shadow`` and ``atomic`` as in
    ``migrate.down``. ``only`` leaves out the questions
    that can have no answer of these levels. ``connection`` is in autocommit.

    Each query runs in a READ ONLY transaction of its own under ``settings.statement_timeout_ms`` and ten times
    ``settings.lock_timeout_ms``, and takes no lock beyond ACCESS SHARE. One that times out, or that this role
    may not run, is an ``unknown`` finding; the others continue. Raises ConnectionFailed when the server is gone.
    """
    ask = _Asker(connection, settings, naming)
    present = _present(ask)
    begun: set[int] = set()
    if ("callctl", "checkpoint") in present.relations:
        try:
            query = read_sql("migration/checks/preflight_begun.sql")
            begun = {row["step"] for row in ask.rows(query, {"direction": direction})}
        except _Unanswered:
            begun = set()  # whatever cannot be read here is reported by the questions themselves
    findings: list[Finding] = [_backup(settings, _recorded(ask, present)), _maintenance(settings), _pooler(ask)]
    findings += _needed(ask, pending, begun, direction, present)
    if ("callctl", "history") in present.relations:
        findings += _own_schema(ask)
    for question in questions():
        if direction not in question.directions:
            continue
        if only is not None and not question.may_say(*only) and question.id != EVENT_TRIGGERS:
            continue
        steps = frozenset(pending) - begun if question.skips_begun else frozenset(pending)
        if question.steps is None or question.steps & steps:
            findings += _answer(ask, question, steps, present)
            if question.id == EVENT_TRIGGERS:
                trial = partial(ddl_tried, ask.connection, ask.naming, question, steps, direction, ask.limits)
                findings += _tried(ask, question, trial, "what they do")
    if direction == "down" and ("callctl", "definition") in present.relations:
        if 1 in pending:
            findings += _avatar(ask, through_shadow, atomic=atomic)
        findings += _definitions(ask, frozenset(pending) - begun)
        findings += _orphans(ask, pending)
    if truncate_avatars:
        findings = [_demoted(finding) if finding.id == "avatar-too-long" else finding for finding in findings]
    return tuple(sorted(findings, key=lambda finding: (LEVELS.index(finding.level), finding.id)))


def definitions_lost(
    connection: psycopg.Connection[Any], settings: Settings, naming: Naming, applied: Collection[int]
) -> tuple[Finding, ...]:
    """The blockers of migrate down from these steps in what ``callctl.definition`` has, or has not, of them.

    Raises ConnectionFailed when the server is gone.
    """
    ask = _Asker(connection, settings, naming)
    present = _present(ask)
    (question,) = (candidate for candidate in questions() if candidate.id == "saved-definitions")
    findings = [*_answer(ask, question, applied, present), *_definitions(ask, applied)]
    return tuple(finding for finding in findings if finding.level == "blocks")


def unreadable(error: Unreadable) -> Finding:
    """The finding for a store that this role may not read, so that no question about the steps can be asked."""
    question = next(question for question in questions() if question.id == "store")
    return question.finding("blocks", error.message, ("callctl",), error.hint)


def _present(ask: _Asker) -> Present:
    try:
        rows = ask.rows(read_sql("migration/checks/preflight_present.sql"), {"schema": ask.naming.schema})
    except _Unanswered as error:
        raise Refused(
            Code.CATALOG_UNREADABLE,
            f"preflight could not read the catalog: {error}",
            hint="run the same command again; nothing was changed",
        ) from None
    names = [(row["schema"], row["relation"], row["column"]) for row in rows]
    return Present(frozenset(name[:2] for name in names), frozenset(name for name in names if name[2]))


class _Unanswered(Exception):
    """The server did not answer a query; the text says why."""


@dataclass(frozen=True)
class _Asker:
    """Runs one query at a time, each in a READ ONLY transaction with timeouts of its own."""

    connection: psycopg.Connection[Any]
    settings: Settings
    naming: Naming

    @property
    def lock_timeout_ms(self) -> int:
        """Longer than a step's: no client waits behind a session that waits for ACCESS SHARE."""
        return 10 * self.settings.lock_timeout_ms

    @property
    def limits(self) -> dict[str, object]:
        """The parameters of ``migration/checks/asking.sql``."""
        return {
            "statement_ms": self.settings.statement_timeout_ms,
            "lock_ms": self.lock_timeout_ms,
            "sessions": database.most_connections(self.settings),
            "new_tables_row_security": self.settings.new_tables_row_security,
        }

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """Raises _Unanswered, or ConnectionFailed when the server is gone."""
        import psycopg
        from psycopg import errors
        from psycopg.rows import dict_row

        try:
            with self.connection.transaction(), self.connection.cursor(row_factory=dict_row) as cursor:
                cursor.execute("SET TRANSACTION READ ONLY")
                cursor.execute(read_sql("migration/checks/asking.sql"), self.limits)
                return cursor.execute(sql, parameters).fetchall()
        except errors.LockNotAvailable:
            waited = f"waited {self.lock_timeout_ms} ms"
            raise _Unanswered(f"another session holds a lock on a table that the query reads ({waited})") from None
        except errors.QueryCanceled:
            raise _Unanswered(
                f"the query was cut short after at most {self.settings.statement_timeout_ms} ms"
            ) from None
        except psycopg.Error as error:
            if self.connection.closed:
                raise ConnectionFailed(
                    Code.CONNECTION_LOST,
                    f"the connection was lost during preflight: {_said(error)}",
                    hint="check that the server is up, then run preflight again; nothing was changed",
                ) from error
            raise _Unanswered(_said(error)) from None


def _said(error: psycopg.Error) -> str:
    text = error.diag.message_primary or (str(error).splitlines() or ["no message"])[0]
    return redact(f"{text} (SQLSTATE {error.sqlstate})" if error.sqlstate else text)


def _answer(ask: _Asker, question: Question, steps: Collection[int], present: Present) -> Iterator[Finding]:
    server = ask.connection.info.server_version // 10000
    answered, silent = False, True
    for query in question.queries:
        if not query.oldest <= server <= query.newest:
            continue
        if not all(present.has(need, ask.naming) for need in query.needs):
            continue
        answered = True
        try:
            rows = ask.rows(_adapted(query, ask.naming))
        except _Unanswered as error:
            silent = False
            yield question.finding("unknown", f"could not be checked: {error}")
            continue
        for row in rows:
            if row.get("steps") is None or set(row["steps"]) & set(steps):
                silent = False
                yield row_finding(question, row)
    if not answered:
        if question.absent:
            yield question.finding("ok", question.absent)
    elif silent:
        yield question.finding("ok", question.ok)


def missing(
    connection: psycopg.Connection[Any], settings: Settings, naming: Naming, pending: Sequence[int]
) -> tuple[Finding, ...]:
    """Return what blocks the pending steps up because a table or column that they read does not exist.

    ``connection`` is in autocommit; raises Refused if the catalog cannot be read.
    """
    ask = _Asker(connection, settings, naming)
    findings = _needed(ask, pending, frozenset(), "up", _present(ask))
    return tuple(finding for finding in findings if finding.level == "blocks")


def _needed(
    ask: _Asker, pending: Sequence[int], begun: Collection[int], direction: Direction, present: Present
) -> Iterator[Finding]:
    """Yield a finding for each table or column that the steps' statements read and that does not exist.

    A step that has begun may have removed it itself.
    """
    ordered = all_steps() if direction == "up" else tuple(reversed(all_steps()))
    silent = True
    for requirement in needed([step for step in ordered if step.number in pending], direction):
        need = requirement.need
        whole = Need(need.schema, need.table, None)
        if (
            requirement.step in begun
            or present.has(need, ask.naming)
            or (need.column and not present.has(whole, ask.naming))
        ):
            continue
        silent = False
        named = ask.naming.tables.get(need.table)
        column = need.column and (named.columns.get(need.column, need.column) if named else need.column)
        relation = f"{identifier(ask.naming.schema)}.{identifier(need.table)}"
        full_name = f"{relation}.{identifier(column)}" if column else relation
        yield NEEDED.finding(
            "blocks",
            f"step {requirement.step} {direction} reads {full_name} ({requirement.place}), which does not exist",
            (full_name,),
            _renamed(ask, need.table, column) if column else None,
        )
    if silent and pending:
        yield NEEDED.finding("ok", NEEDED.ok)


# What is missing there, or is of an earlier callctl, each run makes again before its first step; these it does not.
_NOT_MADE_AGAIN = frozenset({"owner", "owner may", "row security", "numbers"})
_HINDERS = frozenset({"column", "constraint", "index", "foreign"})


def _own_schema(ask: _Asker) -> Iterator[Finding]:
    """Yield the faults of callctl's own schema that would stop a run, with the statement that fixes each."""
    try:
        rows = ask.rows(differences_sql(expected_of_step(0), Naming(ask.naming.schema, {})))
    except _Unanswered as error:
        yield OWN_SCHEMA.finding("unknown", f"could not be checked: {error}")
        return
    silent = True
    for row in rows:
        added = row["check"] == "store-additions" and row["object"].split()[0] in _HINDERS
        # Of a column that is no identity any more, nothing is found: the store makes it again, or refuses its layout.
        if added or (row["problem"] == "differs" and row["property"] in _NOT_MADE_AGAIN and row["found"] is not None):
            silent = False
            difference = "was added" if added else f"{row['property']} is {row['found']}, should be {row['expected']}"
            fix = row["fix"] and f"{row['fix']};"
            yield OWN_SCHEMA.finding("blocks", f"{row['object']}: {difference}", (row["object"],), fix)
    if silent:
        yield OWN_SCHEMA.finding("ok", OWN_SCHEMA.ok)


def _renamed(ask: _Asker, table: str, column: str) -> str | None:
    """The statement that gives a column its name again, where a CHECK of the steps tells what it is called now."""
    entry = _CAPABILITY_CHECKS.get(table)
    if entry is None:
        return None
    check, known = entry
    parameters = {"schema": ask.naming.schema, "table": table, "check": check, "known": list(known)}
    try:
        rows = ask.rows(read_sql("migration/checks/renamed_column.sql"), parameters)
    except _Unanswered:
        return None
    if len(rows) != 1 or column not in known:
        return None
    relation = f"{identifier(ask.naming.schema)}.{identifier(table)}"
    return f"ALTER TABLE {relation} RENAME COLUMN {identifier(rows[0]['attname'])} TO {identifier(column)};"


def _tried(ask: _Asker, question: Question, trial: Callable[[], Iterable[Finding]], text: str) -> Iterator[Finding]:
    """Yield the findings of a trial on the server; unknown, with ``text``, if the server ends it.

    Raises ConnectionFailed.
    """
    import psycopg

    try:
        yield from trial()
    except psycopg.Error as error:
        if ask.connection.closed:
            raise ConnectionFailed(
                Code.CONNECTION_LOST,
                f"the connection was lost during preflight: {_said(error)}",
                hint="check that the server is up, then run preflight again; nothing was changed",
            ) from error
        yield question.finding("unknown", f"{text} could not be tried: {_said(error)}")


def _adapted(query: Query, naming: Naming) -> str:
    try:
        return adapt(query.statement, naming).sql
    except Refused as error:
        raise _Unanswered(error.message) from None


def _demoted(finding: Finding) -> Finding:
    if finding.level != "blocks":
        return finding
    return replace(finding, level="warns", what=f"{finding.what}; --truncate-avatars saves them and cuts them off")


def _recorded(ask: _Asker, present: Present) -> LastBackup | None:
    """The last backup of callctl's own; None also if the role may not read it."""
    if ("callctl", "action") not in present.relations:
        return None
    try:
        rows = ask.rows(read_sql(LAST_BACKUP))
    except _Unanswered:
        return None
    return LastBackup(**rows[0]) if rows else None


def _backup(settings: Settings, recorded: LastBackup | None) -> Finding:
    """The newest that callctl has taken, or that the operator says was taken."""
    taken, source = settings.backup_taken_at, ", as the operator says"
    if recorded is not None and (taken is None or recorded.taken_at > taken):
        taken, source = recorded.taken_at, f": {recorded.text}"
    if taken is None:
        return BACKUP.finding("unknown", "the time of the last backup is unknown")
    age = datetime.now(UTC) - taken.astimezone(UTC)
    if age < -timedelta(minutes=5):
        return BACKUP.finding("warns", f"the last backup is said to be taken in the future, at {taken.isoformat()}")
    hours = max(int(age.total_seconds() // 3600), 0)
    taken_at = taken.isoformat(timespec="seconds")
    text = f"the last backup was taken {hours} hour{'' if hours == 1 else 's'} ago ({taken_at}){source}"
    return BACKUP.finding("warns" if age > BACKUP_AGE else "ok", text)


def _avatar(ask: _Asker, through_shadow: bool | None, *, atomic: bool) -> Iterator[Finding]:
    """Yield a finding about the way in which step 1 is rolled back, and its effect on clients."""
    try:
        answer = ask.rows(shadow.query(ask.naming))
        way = shadow.choice(answer, ask.settings, wanted=through_shadow, atomic=atomic)
    except Refused as error:
        yield AVATAR.finding("blocks", error.message)
    except _Unanswered as error:
        yield AVATAR.finding("unknown", f"could not be checked: {error}")
    else:
        if way is not None:
            yield AVATAR.finding("warns" if way.shadow or way.seconds else "ok", way.what, (way.table,))


def _definitions(ask: _Asker, steps: Collection[int]) -> Iterator[Finding]:
    """Yield the findings for the definitions that migrate down restores, tried on empty copies of the tables."""
    if set(steps) & (DEFINITIONS.steps or set()):
        trial = partial(definitions_tried, ask.connection, ask.naming.schema, steps, ask.limits)
        yield from _tried(ask, DEFINITIONS, trial, "the definitions that migrate down restores")


# In front of the statement that does with the rows what their foreign key would have done.
_AS_DELETED = "restore what is named from a backup; or do what deleting it would have done:"


def _orphans(ask: _Asker, steps: Collection[int]) -> Iterator[Finding]:
    """The rows at which migrate down would stop when it validates the foreign keys of what it archives."""
    looked_at = sorted(set(steps) & (ORPHANS.steps or set()))
    if not looked_at:
        return
    silent = True
    query = read_sql("migration/checks/orphan_queries.sql")
    try:
        keys = ask.rows(query, {"schema": ask.naming.schema, "steps": looked_at})
    except _Unanswered as error:
        yield ORPHANS.finding("unknown", f"could not be checked: {error}")
        return
    for key in keys:
        named = f"foreign key {identifier(key['name'])} of {key['relation']}"
        try:
            if key["hidden"]:
                raise _Unanswered("row security may hide rows from this role")
            (orphans,) = ask.rows(key["query"])
        except _Unanswered as error:
            silent = False
            yield ORPHANS.finding("unknown", f"{named} could not be checked: {error}")
            continue
        if orphans["rows"]:
            silent = False
            others = (
                f" and {orphans['rows'] - len(orphans['names'])} more"
                if orphans["rows"] > len(orphans["names"])
                else ""
            )
            rows = "1 row names" if orphans["rows"] == 1 else f"{orphans['rows']} rows name"
            yield ORPHANS.finding(
                "blocks",
                f"{rows} no row of {key['refers_to']} by {named}, and migrate down from step {key['step']} would stop"
                f" there: {', '.join(orphans['names'])}{others}",
                tuple(orphans["names"]),
                key["statement"] and f"{_AS_DELETED} {key['statement']}",
            )
    if silent:
        yield ORPHANS.finding("ok", ORPHANS.ok)


def _maintenance(settings: Settings) -> Finding:
    if settings.maintenance_notified is None:
        return MAINTENANCE.finding("unknown", "nothing says whether the maintenance notice was sent")
    if settings.maintenance_notified:
        return MAINTENANCE.finding("ok", "the maintenance notice was sent, as the operator says")
    return MAINTENANCE.finding("warns", "the maintenance notice was not sent, as the operator says")


def _pooler(ask: _Asker) -> Finding:
    """Return whether callctl would have a session of its own."""
    import psycopg

    try:
        pid = ask.rows(read_sql("migration/checks/preflight_session.sql"))[0]["pg_backend_pid"]
        sessions = database.sessions(ask.connection, ask.settings, pid)
    except (_Unanswered, psycopg.Error) as error:
        return POOLER.finding("unknown", f"could not be checked: {error}")
    if sessions == "shared":
        return POOLER.finding("blocks", "a pooler in transaction mode is in front of the server")
    if sessions == "one":
        return POOLER.finding("blocks", "a pooler is in front of the server and has no second connection for callctl")
    if sessions == "own":
        return POOLER.finding("ok", "a pooler is in front of the server and gives each client its own session")
    return POOLER.finding("ok", POOLER.ok)
