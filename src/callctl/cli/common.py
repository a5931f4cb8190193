"""The shared parts of the commands: options, settings, the database, the confirmation, errors to exit codes."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_type_hints

import typer

from callctl.errors import (
    UNKNOWN,
    CallctlError,
    Code,
    ConfigError,
    ConnectionFailed,
    Interrupted,
    Refused,
    State,
    UsageError,
)
from callctl.redaction import hide_hex_words, is_utf8, name_shown, printable, redact
from callctl.render import console as render
from callctl.server_errors import code_of, outline

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import psycopg

    from callctl.config.database_url import Target
    from callctl.config.settings import Output, Settings

    Connection: TypeAlias = "psycopg.Connection[Any]"

INTERRUPTED = 130


@dataclass(frozen=True)
class Globals:
    """The values of the global options; the command adds its own and turns them into Settings."""

    config: str | None = None
    options: Mapping[str, object | None] = field(default_factory=dict)


class _Work:
    """The request of this process: a command (``begun``), perhaps one that only answers (``answers``).

    ``target`` is the database that it has connected to, once it has; ``warnings`` about the settings wait for that.
    ``output`` is how results, and so errors, are printed.
    """

    begun = False
    answers = False
    target: Target | None = None
    warnings: tuple[str, ...] = ()
    output: Output = "text"


def begin(arguments: Sequence[str]) -> None:
    """A run begins. Its errors are in the format that was asked for, also where the rest cannot be understood."""
    render.begin()
    _Work.begun = _Work.answers = False
    _Work.target, _Work.warnings = None, ()
    asked = os.environ.get("CALLCTL_OUTPUT")
    options = list(takewhile(lambda argument: argument != "--", arguments))
    for option, following in pairwise([*options, ""]):
        name, equals, value = option.partition("=")
        if name == "--output":
            asked = value if equals else following
    _Work.output = next((known for known in render.WRITTEN if known == asked), "text")


def output() -> Output:
    """Return the output format that the command line and the environment ask for; no file is read."""
    return _Work.output


def answering() -> None:
    """Note that this command does nothing but answer: if its answer cannot be written, it has failed."""
    _Work.answers = True


def answers_only() -> bool:
    """Return whether this run was a command that has called :func:`answering`, or none (``--help``, ``--version``)."""
    return _Work.answers or not _Work.begun


def settings(context: typer.Context, **options: object | None) -> Settings:
    """The settings of this run, ``options`` being the command's own.

    The first connection that is opened with them names its target on stderr, and behind it what is wrong with the
    settings themselves (passwords left open).
    """
    return replace(_load(context, options), on_connect=_connected)


def settings_offline(context: typer.Context) -> Settings:
    """The settings of a command that connects to no database of the operator's. Warns about passwords left open."""
    loaded = _load(context, {})
    warn()
    return loaded


def given(context: typer.Context) -> Globals:
    """Return the values of the global options as they were given."""
    return context.find_object(Globals) or Globals()


def _load(context: typer.Context, options: Mapping[str, object | None]) -> Settings:
    from callctl.config.settings import load_settings

    _Work.begun = True
    _Work.target = None
    _assert_utf8(context)
    general = given(context)
    loaded = load_settings({**general.options, **options}, config=general.config)
    _Work.warnings, _Work.output = loaded.warnings, loaded.output
    return loaded


def _connected(reached: Target) -> None:
    if _Work.target is None:
        _Work.target = reached
        render.target(reached)
        warn()


def warn() -> None:
    """Say what is wrong with the settings, unless it has been said."""
    texts, _Work.warnings = _Work.warnings, ()
    for text in texts:
        render.warning(text)


def target() -> Target | None:
    """The database that this run has connected to, for its result; None if it has not connected yet."""
    return _Work.target


# What a parameter names where its value may hold any byte: the name of a file, and that of a company, which companies
# looks for among all that are named.
_ANY_BYTES = ("FILE", "FILE.html", "GLOB", "PATH", "COMPANY")


def _assert_utf8(context: typer.Context) -> None:
    """Raise UsageError for an option or argument that no server can be sent; the settings name their own."""
    for parameter in context.command.params:
        given = context.params.get(parameter.name or "")
        texts = given if isinstance(given, list | tuple) else (given,)
        metavar = getattr(parameter, "metavar", None)
        if metavar not in _ANY_BYTES and not all(is_utf8(text) for text in texts if isinstance(text, str)):
            option = parameter.opts[0]
            name = option if option.startswith("-") else metavar or option.upper()
            raise UsageError(
                Code.OPTION_VALUE, f"{name} has bytes that are not UTF-8", hint="write the argument in UTF-8"
            )


@contextmanager
def connected(settings: Settings, *, writes: bool = False) -> Iterator[Connection]:
    """A connection for one command, closed at its end; one that ``writes`` is refused at once behind a pooler."""
    from callctl.database.connection import connect

    connection = connect(settings, session=writes)
    try:
        yield connection
    finally:
        connection.close()


def asks(connection: Connection, *, yes: bool) -> bool:
    """Return whether to ask for confirmation before a write: not for a sandbox, and not with ``--yes``."""
    from callctl.database.connection import is_sandbox

    return not (yes or is_sandbox(connection))


def can_ask() -> bool:
    """Return whether there is a terminal to ask on."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(connection: Connection, settings: Settings, text: str, *, yes: bool) -> None:
    """Ask before something is written; ``text`` says what, as the start of a question.

    Raises Refused if the answer is no, or if there is no terminal to ask at.
    """
    if not asks(connection, yes=yes):
        return
    if not can_ask():
        raise Refused(
            Code.CONFIRMATION_NEEDED,
            "confirmation needed, but this is not a terminal; nothing was changed",
            hint="add --yes",
        )
    if not render.ask(f"{text} in schema {settings.schema} of {place(connection, settings)}?"):
        raise Refused(
            Code.NOT_CONFIRMED, "not confirmed; nothing was changed", hint="answer y, or add --yes after the command"
        )


def assert_named(
    connection: Connection, settings: Settings, given: str | None, *, yes: bool, needed: bool, command: str
) -> None:
    """Raise Refused if the database's name does not let a command continue, before it looks at anything else.

    ``given`` is the value of --confirm-database: it must be the name, whether a name is ``needed`` or not. If one is
    needed and none is given, :func:`confirm_name` asks for it at a terminal; --yes is not a name.
    """
    from callctl.database import connection as database

    target = database.target_of(connection, settings)
    if given is not None:
        if given != target.database:
            raise Refused(
                Code.WRONG_DATABASE,
                f"--confirm-database names {name_shown(given)}, but this is database {name_shown(target.database)};"
                " nothing was changed",
                hint="type the database name in the target line above, or connect to the other database",
            )
    elif needed and (yes or not can_ask()):
        why = "--yes does not confirm it" if yes else "this is not a terminal, so it cannot be typed"
        raise Refused(
            Code.CONFIRMATION_NEEDED,
            f"{command} needs the name of the database: {why}; nothing was changed",
            hint="add --confirm-database NAME with the name of the database that you mean",
        )


def confirm_name(connection: Connection, settings: Settings, text: str) -> None:
    """Have the database's name typed before something is written; ``text`` says what, as the start of a sentence.

    Raises Refused if another name is typed, or none.
    """
    from callctl.database import connection as database

    target = database.target_of(connection, settings)
    render.note(f"{text} in schema {settings.schema} of {printable(target.place)}.")
    typed = render.ask_for("Type the name of the database to continue:")
    if typed != target.database:
        # What was typed is not repeated: it may be a password.
        why = f"the typed name is not {name_shown(target.database)}" if typed else "not confirmed"
        hint = "check the target above, and run the same command again if it is the right database"
        raise Refused(Code.NOT_CONFIRMED, f"{why}; nothing was changed", hint=hint)


def place(connection: Connection, settings: Settings) -> str:
    """Return the database as a question names it: 'platform on db.example:5432 (production)'."""
    from callctl.database import connection as database

    return printable(database.target_of(connection, settings).place)


def step_number(text: str | None, *, lowest: int) -> int | None:
    """The step that ``--to`` names. Raises UsageError if there is none of that number."""
    if text is None:
        return None
    from callctl.files import step_directories

    highest = len(step_directories())
    if not (len(text) < 4 and text.isascii() and text.isdecimal() and lowest <= int(text) <= highest):
        raise UsageError(
            Code.OPTION_VALUE, f"--to is not a step: {text!r}", hint=f"give a number from {lowest} to {highest}"
        )
    return int(text)


def seconds_of(option: str, text: str) -> float:
    """Return the seconds of a duration such as 90s or 1h. Raises UsageError."""
    from callctl.config.file import Unusable, duration

    try:
        return duration(text) / 1000
    except Unusable as problem:
        raise UsageError(Code.OPTION_VALUE, f"{option} {problem.message}", hint=problem.hint) from None


def time_of(option: str, text: str | None) -> datetime | None:
    """Return the time of an option such as --since: ISO 8601, or the time until now. Raises UsageError."""
    from callctl.config.file import Unusable, past

    if text is None:
        return None
    try:
        return past(text)
    except Unusable as problem:
        raise UsageError(Code.OPTION_VALUE, f"{option} {problem.message}", hint=problem.hint) from None


def assert_one_output(settings: Settings, *, github: bool) -> None:
    """Raise UsageError if annotations for GitHub are wanted and another format of output."""
    if github and settings.output != "text":
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            f"--github and --output {settings.output} are two different outputs",
            hint="use one of them",
        )


def command_line() -> str:
    """Return the command line for a report, without the database, which may contain a password."""
    import shlex

    words = list(sys.argv[1:])
    for place, word in enumerate(words):
        name, equals, _ = word.partition("=")
        if name == "--database" and equals:
            words[place] = "--database=..."
        elif word == "--database" and place + 1 < len(words):
            words[place + 1] = "..."
    return redact(printable(shlex.join(["callctl", *words])))


def writable(name: str) -> Path:
    """The file to write a report to; found out before the work, not after it. Raises UsageError."""
    from pathlib import Path

    path = Path(name)
    target = path if path.exists() else path.absolute().parent
    if path.is_dir() or not os.access(target, os.W_OK):
        raise UsageError(
            Code.FILE_UNWRITABLE,
            f"cannot write {path}",
            hint="name a file in a directory that you can write to",
        )
    return path


def assert_report(path: Path) -> None:
    """Raise Refused if a file is there that is no report of callctl's: a report is never written over it."""
    from callctl.files import is_report

    if path.exists() and not is_report(path):
        raise Refused(
            Code.FILE_EXISTS,
            f"{path} exists and is not a report by callctl; nothing was changed",
            hint="name a file that does not exist, or an earlier report",
        )


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the work as Ctrl-C does: what it has made is removed. The first of them counts."""
    import signal

    def interrupt(*_: object) -> None:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        signal.raise_signal(signal.SIGINT)

    # One that is ignored (nohup) stays so.
    signals = [
        signal_number
        for signal_number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(signal_number) == signal.SIG_DFL
    ]
    for number in signals:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_DFL)


def lines_of(name: str) -> list[str]:
    """The lines of a file of names, ``-`` being stdin, without comments and empty ones. Raises UsageError."""
    text = text_of(name, "name a text file with one on each line, or - for stdin")
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def text_of(name: str, hint: str) -> str:
    """The text of a file, ``-`` being stdin. Raises UsageError, with ``hint``."""
    from pathlib import Path

    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(
            Code.FILE_UNREADABLE, f"{'stdin' if name == '-' else name} is not UTF-8 text", hint=hint
        ) from None
    except (OSError, ValueError) as problem:
        reason = (getattr(problem, "strerror", None) or "the name cannot be used").lower()
        raise UsageError(Code.FILE_UNREADABLE, f"cannot read {name}: {reason}", hint=hint) from None


# ---- errors --------------------------------------------------------------------------------------------


def report(error: BaseException) -> int:
    """Say what went wrong and return the exit code for it."""
    warn()
    if os.environ.get("CALLCTL_DEBUG"):
        render.note(trace(error))
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    told = as_error(error)
    if isinstance(error, typer.TyperException) and told.hint is None:
        render.note(str(error.format_message()).strip())
    else:
        render.error(told.code, told.message, told.hint)
    render.failed(told, told.state if _Work.target else State("not touched"), _Work.target, _Work.output)
    return told.exit_code


def as_error(error: BaseException) -> CallctlError:
    """Any exception as an error of callctl's, which may be shown."""
    if isinstance(error, CallctlError):
        return error
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return Interrupted(Code.INTERRUPTED, "interrupted")
    if isinstance(error, typer.TyperException):
        return _usage(error)
    psycopg = sys.modules.get("psycopg")  # not imported yet: then it cannot be one of its errors
    if psycopg is not None and isinstance(error, psycopg.Error):
        # Its words are not repeated: it may have come while secrets were read or written.
        hint = (
            "find the SQLSTATE in the server's log, or run callctl preflight to check connection, privileges and locks"
        )
        return ConnectionFailed(code_of(error), f"the database answered: {outline(error)}", hint=hint)
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror.lower()
        file = f": {error.filename}" if error.filename else ""
        return ConfigError(Code.SYSTEM_ERROR, f"{reason}{file}", state=UNKNOWN)
    if isinstance(error, UnicodeError):
        # A name or a row in another encoding, at a place that does not know of it; the text itself may be a secret.
        return ConfigError(
            Code.NOT_UTF8,
            "a name or a value has bytes that are not UTF-8, so callctl cannot send or print it",
            hint="run the command again with CALLCTL_DEBUG=1 and report its output; look for such "
            "names in the database",
            state=UNKNOWN,
        )
    detail = " ".join(f"{type(error).__name__}: {error}".split())
    return CallctlError(
        Code.INTERNAL,
        f"internal error: {detail}",
        hint="run the command again with CALLCTL_DEBUG=1 and report its output: this is a bug in callctl",
    )


def _usage(error: Any) -> UsageError:
    if type(error).__name__ == "NoArgsIsHelpError":  # the help is the message, and hint enough
        return UsageError(Code.USAGE, "no command is given")
    context = getattr(error, "ctx", None)
    message = str(error.format_message()).strip()
    path = context.command_path if context is not None else "callctl"
    # A key pasted in groups comes as several arguments, of which the message may name one alone.
    message = hide_hex_words(message.rstrip("."))
    return UsageError(Code.USAGE, message[:1].lower() + message[1:], hint=f"run {path} --help")


def trace(error: BaseException) -> str:
    """The traceback, for a developer: where each error came from, and its message if callctl may repeat it."""
    import traceback

    parts: list[str] = []
    for cause in _chain(error):
        parts += ["Traceback (most recent call last):\n", *traceback.format_tb(cause.__traceback__)]
        psycopg = sys.modules.get("psycopg")
        message = outline(cause) if psycopg is not None and isinstance(cause, psycopg.Error) else str(cause)
        parts.append(f"{type(cause).__name__}: {message}\n\n")
    return redact("".join(parts).rstrip())


def _chain(error: BaseException) -> list[BaseException]:
    """An error and those it came of, the first to happen first."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.insert(0, current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return chain


# Options that more than one command takes. Their values are text: ``config`` parses what is a setting.

Yes: TypeAlias = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask for confirmation; required without a terminal.")
]
ConfirmDatabase: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Confirm the database by its name instead of typing it; refused if the name differs.",
    ),
]
BackupTakenAt: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="When the last backup finished, such as 2026-01-31T04:00:00Z, if another tool took it.",
    ),
]
MaintenanceNotified: TypeAlias = Annotated[
    bool | None,
    typer.Option("--maintenance-notified", help="Confirm that users received the maintenance notice."),
]
StatementTimeout: TypeAlias = Annotated[
    str | None, typer.Option(metavar="DURATION", help="Longest time for one query [default: 30s].")
]
LockTimeout: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Longest wait for a lock in one attempt; clients run between attempts [default: 50ms].",
    ),
]
LockWait: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Longest wait for a lock in all attempts together [default: 5min]."),
]
LockHold: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Longest time to hold a lock that clients wait for [default: 500ms]."),
]
BatchSize: TypeAlias = Annotated[
    str | None, typer.Option(metavar="ROWS", help="Most rows written in one transaction [default: 2000].")
]
BatchTime: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Target time of one batch; its size adapts [default: 50ms]."),
]
BatchWorkers: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NUMBER", help="Sessions that write batches at the same time [default: 2]."),
]
MaxReplicationLag: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Pause while a replica is further behind than this [default: 10s]."),
]
MaxWaitingClients: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="N", help="Pause while this many more clients wait for locks than at the start [default: 10]."
    ),
]
BrakeCommand: TypeAlias = Annotated[
    str | None, typer.Option(metavar="COMMAND", help="Pause between transactions while this command fails.")
]
PauseFile: TypeAlias = Annotated[
    str | None, typer.Option(metavar="FILE", help="Pause between transactions while this file exists.")
]
NewTablesRowSecurity: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="MODE", help="Row-level security of the new tables: inherit, on or off [default: inherit]."),
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would run. Takes no lock and writes nothing."),
]
Everything: TypeAlias = Annotated[
    bool, typer.Option("--all", help="Show each finding in full, including those that are ok.")
]
Names: TypeAlias = Annotated[
    bool, typer.Option("--names", help="List the tables, rows and sessions behind each count.")
]
Wide: TypeAlias = Annotated[bool, typer.Option("--wide", help="Show every column, even beyond the terminal's width.")]
DeferDrops: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--defer-drops",
        help="Skip steps 5 and 6: the type columns stay, synchronized with the flags, until a later up.",
    ),
]
Atomic: TypeAlias = Annotated[
    bool,
    typer.Option("--atomic", help="Run all steps in one transaction; clients wait until it ends."),
]
Wait: TypeAlias = Annotated[bool, typer.Option("--wait", help="Wait while another callctl is running on the database.")]
Shadow: TypeAlias = Annotated[
    bool,
    typer.Option("--shadow", help="Take back step 1 through a shadow column, without a blocking rewrite of users."),
]
InPlace: TypeAlias = Annotated[
    bool,
    typer.Option("--in-place", help="Take back step 1 in place; clients wait while PostgreSQL rewrites users."),
]
JUnit: TypeAlias = Annotated[
    str | None, typer.Option("--junit", metavar="FILE", help="Also write the report to FILE as JUnit XML.")
]
GitHub: TypeAlias = Annotated[bool, typer.Option("--github", help="Print annotations for a GitHub workflow.")]
TruncateAvatars: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--truncate-avatars",
        help="Cut avatar URLs over 500 characters to fit the old column; callctl saves the full ones.",
    ),
]
PlanFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="FILE.json",
        help="Run this plan of migrate plan --out, and only if nothing that it depends on has changed.",
    ),
]
RunReport: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="FILE.html", help="Also write an HTML report of the run, however it ends."),
]


@dataclass(frozen=True)
class RunOptions:
    """The options of a command that takes steps."""

    atomic: Atomic = False
    dry_run: DryRun = False
    wait: Wait = False
    yes: Yes = False
    lock_timeout: LockTimeout = None
    lock_hold: LockHold = None
    lock_wait: LockWait = None
    batch_size: BatchSize = None
    batch_time: BatchTime = None
    batch_workers: BatchWorkers = None
    max_replication_lag: MaxReplicationLag = None
    max_waiting_clients: MaxWaitingClients = None
    pause_file: PauseFile = None
    brake_command: BrakeCommand = None
    new_tables_row_security: NewTablesRowSecurity = None
    report: RunReport = None
    plan: PlanFile = None

    def settings(self) -> dict[str, object]:
        """Those that are settings, by their names there."""
        asked_here = ("atomic", "dry_run", "wait", "yes", "report", "plan")
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in asked_here}


def with_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of RunOptions, in the place of its one parameter ``run``.

    typer reads a command's options from its signature, and knows no way to declare several at once.
    """
    types = get_type_hints(RunOptions, include_extras=True)
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name != "run":
            parameters.append(parameter)
            continue
        for option in fields(RunOptions):
            parameters.append(
                parameter.replace(name=option.name, annotation=types[option.name], default=option.default)
            )

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        options = RunOptions(**{option.name: given.pop(option.name) for option in fields(RunOptions)})
        command(run=options, **given)

    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options
