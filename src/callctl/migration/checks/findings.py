"""The results of the checks: the queries of preflight and their findings, the results of verify.

The format is docs/reference/sql-format.md, "Findings".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from callctl.database import connection as database
from callctl.errors import Code, ConfigError
from callctl.explanations import Explanation
from callctl.files import read_sql, sql_names
from callctl.migration.steps.contract import HOOK, hooks_sql
from callctl.migration.steps.numbered import all_steps
from callctl.statements.script import Statement, load_script, parse_script
from callctl.statements.tokens import with_query

if TYPE_CHECKING:
    from callctl.config.sections import Accepted
    from callctl.database.connection import Connection

# The queries of preflight, as the files in ``sql/preflight/`` put them.

Level: TypeAlias = Literal["blocks", "warns", "unknown", "ok"]
LEVELS: tuple[Level, ...] = get_args(Level)

_KEYS = frozenset({"finding", "steps", "direction", "begun", "ok", "absent", "why", "do"})
_REQUIRED = ("finding", "ok", "why", "do")
_RELATION = re.compile(r"(?P<schema>chatapp|callctl)\.(?P<table>\w+)(?:\.(?P<column>\w+))?")


@dataclass(frozen=True)
class Finding:
    """One answer. ``objects`` are its subjects: tables, row ids, sessions, roles.

    ``blocks`` stops a migration; ``warns`` and ``unknown`` do not; ``ok`` was checked and is fine.
    """

    id: str
    level: Level
    what: str
    why: str
    do: str
    objects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Need:
    """A relation, or a column, that must exist before a query can run. Documented names."""

    schema: str
    table: str
    column: str | None


@dataclass(frozen=True)
class Query:
    """One query of a question, and when it can run: major versions ``oldest`` to ``newest``."""

    statement: Statement
    needs: tuple[Need, ...]
    oldest: int
    newest: int


@dataclass(frozen=True)
class Question:
    """One file of ``sql/preflight``: its queries, pending steps and direction, and the texts of its finding.

    ``steps`` is None for a question that matters whatever is pending; ``skips_begun`` leaves out the steps
    that callctl has begun, whose traces may be its own.
    """

    id: str
    name: str
    steps: frozenset[int] | None
    directions: tuple[str, ...]
    skips_begun: bool
    ok: str
    absent: str | None
    why: str
    do: str
    queries: tuple[Query, ...]

    def may_say(self, *levels: Level) -> bool:
        """Return whether any row can have one of these levels: they are literals in its SQL."""
        return any(f"'{level}'" in query.statement.sql for query in self.queries for level in levels)

    def finding(self, level: Level, text: str, objects: tuple[str, ...] = (), fix: str | None = None) -> Finding:
        """An answer to this question; ``fix`` is the remedy for this row, in place of the file's."""
        return Finding(self.id, level, text, self.why, fix or self.do, objects)


@lru_cache(maxsize=1)
def questions() -> tuple[Question, ...]:
    """Every question, by file name. Raises ConfigError for a header that breaks the format."""
    return tuple(parse_question(read_sql(name), name) for name in sql_names("preflight"))


def parse_question(text: str, name: str) -> Question:
    """The question in a file's text. Raises ConfigError for a header that breaks the format."""
    script = parse_script(text, name)
    header = script.header
    for key in header:
        if key not in _KEYS:
            raise ConfigError(
                Code.SQL_FILE, f"{name}: unknown header '{key}'", hint=f"use one of {', '.join(sorted(_KEYS))}"
            )
    for key in _REQUIRED:
        if not header.get(key):
            raise ConfigError(
                Code.SQL_FILE, f"{name}: the header has no '{key}'", hint="read docs/reference/sql-format.md"
            )
    if header["finding"] != PurePosixPath(name).stem:
        raise ConfigError(
            Code.SQL_FILE, f"{name}: the finding is called '{header['finding']}'; the file must have the same name"
        )
    direction = header.get("direction", "up")
    if direction not in ("up", "down", "both"):
        raise ConfigError(Code.SQL_FILE, f"{name}: direction is '{direction}'", hint="use one of up, down, both")
    if header.get("begun", "skip") != "skip":
        raise ConfigError(
            Code.SQL_FILE, f"{name}: begun is '{header['begun']}'", hint="write 'begun: skip', or remove the line"
        )
    return Question(
        id=header["finding"],
        name=name,
        steps=numbers(header["steps"], name) if "steps" in header else None,
        directions=("up", "down") if direction == "both" else (direction,),
        skips_begun="begun" in header,
        ok=header["ok"],
        absent=header.get("absent"),
        why=header["why"],
        do=header["do"],
        queries=tuple(_query(statement) for statement in script.statements),
    )


def numbers(value: str, name: str) -> frozenset[int]:
    """The steps of a list such as "1-6, 9"; ``name`` says where it is. Raises ConfigError."""
    steps: set[int] = set()
    for part in value.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if match is None:
            raise ConfigError(
                Code.SQL_FILE, f"{name}: steps are '{value}'", hint="write numbers and ranges, such as 1-6, 9"
            )
        steps.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    known = frozenset(step.number for step in all_steps())
    if not steps or not steps <= known:
        raise ConfigError(Code.SQL_FILE, f"{name}: steps are '{value}'", hint=f"use steps from 1 to {max(known)}")
    return frozenset(steps)


def _query(statement: Statement) -> Query:
    if f"WITH {HOOK} AS" in statement.sql:
        statement = replace(statement, sql=with_query(statement.sql, HOOK, hooks_sql()))
    oldest, newest = 0, 999
    needs: list[Need] = []
    for key, value in _conditions(statement.comment):
        if key == "versions":
            match = re.fullmatch(r"(\d+)?-(\d+)?", value)
            if match is None:
                raise ConfigError(
                    Code.SQL_FILE,
                    f"{statement.place}: versions are '{value}'",
                    hint="write a range such as 15- or 12-14",
                )
            oldest, newest = int(match[1] or oldest), int(match[2] or newest)
            continue
        for part in value.split(","):
            match = _RELATION.fullmatch(part.strip())
            if match is None:
                raise ConfigError(
                    Code.SQL_FILE,
                    f"{statement.place}: needs are '{value}'",
                    hint="write names such as chatapp.chatbots.chatbotType",
                )
            column = match["column"]
            needs.append(Need(match["schema"], match["table"], column and column.lower()))
    return Query(statement, tuple(needs), oldest, newest)


def _conditions(comment: str) -> Iterator[tuple[str, str]]:
    for line in comment.splitlines():
        match = re.fullmatch(r"(needs|versions):\s*(.*)", line.strip())
        if match is not None:
            yield match[1], match[2].strip()


def row_finding(question: Question, row: Mapping[str, object]) -> Finding:
    """A row of a question's query as a finding. Raises ConfigError for a row that has not the form of one."""
    level, text = row.get("level"), row.get("what")
    if level not in LEVELS or not isinstance(text, str):
        raise ConfigError(
            Code.SQL_FILE, f"{question.name}: unusable row: column level is {level!r}, column what is {text!r}"
        )
    subject = row.get("object")
    objects = tuple(map(str, subject)) if isinstance(subject, list) else () if subject is None else (str(subject),)
    fix = row.get("fix")
    return question.finding(level, text, objects, None if fix is None else str(fix))


def reference() -> str:
    """docs/reference/preflight.md: every question with the texts of its file, and those that are not SQL."""
    lines = [
        "# Preflight",
        "",
        "<!-- Generated by ./dev docs. Change the files in sql/preflight/, not this page. -->",
        "",
        "`callctl preflight` runs these checks, and so do `callctl migrate up` and `down` before they begin.",
        "Each query runs in a READ ONLY transaction of its own, under a statement timeout, and takes no lock beyond",
        "ACCESS SHARE. A query that times out, or that the role may not run, is `unknown`, never `ok`. Only `blocks`",
        "stops a migration (exit code 3). `callctl preflight --down [--to N]` checks for `migrate down`.",
        "",
        "If the database has event triggers, preflight also tries the kinds of DDL that the steps use, on a",
        "table of callctl's own, in a transaction that is rolled back: no table of the platform is locked.",
        "For `migrate down` it also tries the saved definitions of the objects to be restored",
        "(`restored-definitions`), on temporary copies of their tables without rows, in a transaction that is rolled",
        "back. The tables themselves are locked ACCESS SHARE.",
        "",
    ]
    for question in sorted((*questions(), *ASKED_IN_PYTHON), key=lambda entry: entry.id):
        steps = "any" if question.steps is None else ", ".join(map(str, sorted(question.steps)))
        lines += [
            f"## {question.id}",
            "",
            f"- **Asked:** {' and '.join(question.directions)}; steps: {steps}",
            f"- **When it is ok:** {question.ok}",
            *([f"- **When it cannot be asked:** {question.absent}"] if question.absent else []),
            f"- **Why it matters:** {question.why}",
            f"- **What to do:** {question.do}",
            f"- **File:** `{question.name}`" if question.queries else "- **Asked by callctl itself**",
            "",
        ]
    return "\n".join(lines)


def described() -> Iterator[Explanation]:
    """Yield the texts in the files for each finding of preflight and each check of verify."""
    for question in (*questions(), *ASKED_IN_PYTHON):
        yield Explanation(
            question.id, f"A finding of preflight. It is ok where {question.ok}.", question.why, question.do
        )
    for name in (*sql_names("verify"), *(f"{step.directory}/verify.sql" for step in all_steps())):
        script = load_script(name)
        means, fix = script.header.get("means", ""), script.header.get("fix", "")
        for statement in script.statements:
            if statement.check is not None:
                sentence = f"A check of verify. It passes where {statement.check.sentence}."
                yield Explanation(statement.check.id, sentence, means, fix)


def _asked_in_python(
    id: str,
    ok: str,
    why: str,
    do: str,
    steps: frozenset[int] | None = None,
    directions: tuple[str, ...] = ("up", "down"),
) -> Question:
    return Question(id, id, steps, directions, False, ok, None, why, do, ())


BACKUP = _asked_in_python(
    "backup",
    "the last backup is not older than 24 hours",
    "callctl keeps what the steps remove, but only a backup helps against a lost disk or a wrong command; "
    "callctl knows the backups that it has taken, and others only from the operator",
    "take one (callctl backup FILE), or tell callctl about another tool's backup with --backup-taken-at",
)
MAINTENANCE = _asked_in_python(
    "maintenance-notice",
    "the maintenance notice was sent",
    "the team and the customers should know when short errors can occur; callctl cannot see whether they were told",
    "send the notice, then set maintenance_notified: true (or CALLCTL_MAINTENANCE_NOTIFIED=true)",
)
POOLER = _asked_in_python(
    "pooler",
    "the connection goes directly to the server",
    "behind a pooler in transaction mode, session locks and settings reach other clients' sessions, "
    "and two runs of callctl can work at the same time",
    "use the server's own port in --database, not the pooler's; services call it the direct connection",
)
NEEDED = _asked_in_python(
    "needed-columns",
    "every table and column that the statements of the pending steps read exists, or an earlier step makes it",
    "a step stops when it reads a table or column that is gone or renamed, and by then the earlier steps are done; "
    "callctl takes these names from the steps' own statements",
    "create the table or column again under that name",
)
AVATAR = _asked_in_python(
    "avatar-rewrite",
    "migrate down from step 1 rewrites no row",
    "to restore the limited length, PostgreSQL writes the whole table and its indexes again under ACCESS EXCLUSIVE, "
    "and no client can read users in that time. If that takes longer than lock_hold and nothing prevents it, callctl "
    "fills a column of the old type next to it instead: clients keep working, and it becomes the last column",
    "in place: choose a quiet hour, or leave the column text with migrate down --to 1: old code works with it. "
    "Where the old limit must hold too, these two statements keep it and block no client: ALTER TABLE chatapp.users "
    "ADD CONSTRAINT users_avatar_url_length CHECK (500 >= length(avatar_url)) NOT VALID; ALTER TABLE chatapp.users "
    "VALIDATE CONSTRAINT users_avatar_url_length. Through a shadow column: check that no code depends on the order of "
    "the columns (SELECT *, INSERT and COPY without a column list), or add --in-place",
    frozenset({1}),
    ("down",),
)
DEFINITIONS = _asked_in_python(
    "restored-definitions",
    "each saved definition that migrate down runs was tried on an empty copy of its table",
    "a saved index, constraint, statistics object or default cannot be made again if a function, column, type or "
    "table that it names has since been dropped, renamed or changed; migrate down would stop part-way. Tried, in a "
    "transaction that is rolled back: types, columns, defaults, indexes and their settings, constraints, statistics "
    "objects. Not tried: whether the rows fit a constraint or a unique index, comments and grants",
    "create again what the definition names. If that is impossible, go down without the object: delete its rows "
    "from callctl.definition, then run callctl migrate adopt --changed-records",
    frozenset({1, 5, 6}),
    ("down",),
)
ORPHANS = _asked_in_python(
    "orphans",
    "every row of the platform that an integration account or a call names by a foreign key exists",
    "migrate down makes these foreign keys again, so that archived rows follow the platform's, and validates them: it "
    "would stop part-way at a row that was written while the keys' triggers were off",
    "restore the missing rows from a backup, or delete the rows that name them",
    frozenset({9, 10}),
    ("down",),
)
OWN_SCHEMA = _asked_in_python(
    "callctl-schema",
    "callctl may write to its own tables, they are as callctl left them, and nothing was added to them",
    "callctl writes its history, its checkpoints and saved values there: a step would stop at a missing privilege, or "
    "at an added constraint that refuses the row",
    "run the named statement, then the same command again; callctl verify --fast lists all differences",
)
ASKED_IN_PYTHON = (BACKUP, MAINTENANCE, NEEDED, POOLER, AVATAR, DEFINITIONS, ORPHANS, OWN_SCHEMA)


# What a check of verify found, and how the server is asked.

SAMPLE = 10
CONTRACT_COLUMNS = ("problem", "object", "property", "expected", "found")
LATE = "no answer in time"


@dataclass(frozen=True)
class CheckResult:
    """One check: ``count`` offending rows, and the first few of them.

    ``means`` is what a failure means for customers, ``mends`` the commands that fix it. ``error`` is the server's
    message if the query itself failed; such a check has not passed.
    """

    id: str
    sentence: str
    step: int | None
    passed: bool
    warns: bool
    count: int
    columns: tuple[str, ...]
    sample: tuple[tuple[Any, ...], ...]
    source: str
    error: str | None = None
    means: str = ""
    mends: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All checks that this state of the database calls for; ``objects`` of the catalog were compared.

    ``fast``: the rows were not looked at. ``accepted``: the entries of callctl.yaml that each took a difference out.
    """

    steps: tuple[int, ...]
    checks: tuple[CheckResult, ...]
    objects: int = 0
    fast: bool = False
    accepted: tuple[Accepted, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no check failed; one that only warns does not count."""
        return all(check.passed or check.warns for check in self.checks)


def ask(connection: Connection, sql: str, columns: list[str] | None = None) -> tuple[list[tuple[Any, ...]], str | None]:
    """The rows, or what the server said instead."""
    import psycopg

    try:
        with connection.transaction():
            cursor = connection.execute(sql)
            if columns is not None:
                columns.extend(column.name for column in cursor.description or ())
            return cursor.fetchall(), None
    except psycopg.errors.QueryCanceled as error:
        return [], f"{LATE}; --statement-timeout sets how long one query may take ({database.error_text(error)})"
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError, psycopg.InternalError) as error:
        return [], database.explained(connection, error)
