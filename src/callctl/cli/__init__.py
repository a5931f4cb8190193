"""The command line: parse, call, render. Each command group has a file; this one puts them together.

What is slow to import (psycopg, sqlglot, rich, yaml) is imported by the command that needs it, so that
``callctl --help`` answers at once.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer
from typer.main import get_command

from callctl import __version__, output
from callctl.cli import (
    accounts,
    backup,
    code_refs,
    common,
    companies,
    config,
    demo,
    doctor,
    explain,
    help,
    keys,
    loadtest,
    log,
    migrate,
    preflight,
    purge,
    rotate,
    sandbox,
    seed,
    settings,
    verify,
    webhooks,
)
from callctl.errors import CallctlError, Code, UsageError
from callctl.render import console as render

# A command whose answer could not be written; as for a file that cannot be.
ANSWER_LOST = 4

HELP = """
Takes the PostgreSQL database of a live multi-tenant chat platform through its voice call migration, and back.

\b
To see it work on a throw-away PostgreSQL:
  callctl demo

\b
To migrate the database in CALLCTL_DATABASE_URL (try a copy first):
  callctl backup before.dump   back up the database
  callctl preflight            check whether the migration can run safely
  callctl migrate plan         show what would run: locks, rows, time
  callctl migrate up           apply the pending steps
  callctl verify               check schema and rows afterwards
  callctl migrate down --all   roll back
"""

EPILOG = """
The options above work before or after the command. You can also set them in callctl.yaml or in the
environment (CALLCTL_DATABASE_URL or DATABASE_URL, CALLCTL_SCHEMA, CALLCTL_OUTPUT, CALLCTL_CONFIG).

\b
Exit codes:
  0    done
  1    a bug in callctl
  2    wrong usage
  3    not done: pending, blocked, a check failed, or refused
  4    configuration or connection
  5    a step failed
  6    another callctl is running on this database
  130  interrupted

Each error ends with a code in brackets: callctl explain CODE says what it means and what to do.
"""

app = typer.Typer(
    name="callctl",
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": help.HELP_NAMES, "max_content_width": 100},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"callctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Database, as a postgresql:// URL or a libpq connection string."),
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Schema of the platform's tables [default: chatapp]."),
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Kind of database, such as staging; shown before callctl writes."),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Settings file [default: ./callctl.yaml, if it exists]."),
    ] = None,
    output: Annotated[str | None, typer.Option(metavar="text|json", help="Output format [default: text].")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    context.obj = common.Globals(
        config=config,
        options={"database": database, "schema": schema, "environment": environment, "output": output},
    )


demo.register(app)
sandbox.register(app)
preflight.register(app)
migrate.register(app)
verify.register(app)
purge.register(app)
backup.register(app)
seed.register(app)
rotate.register(app)
webhooks.register(app)
keys.register(app)
loadtest.register(app)
companies.register(app)
settings.register(app)
accounts.register(app)
code_refs.register(app)
doctor.register(app)
config.register(app)
log.register(app)
explain.register(app)

_ANYWHERE = ("--database", "--schema", "--environment", "--config", "--output")


def globals_first(arguments: Sequence[str]) -> list[str]:
    """``arguments`` with the global options moved before the command, so that they may be anywhere."""
    first: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, _ = argument.partition("=")
        if argument == "--":
            return [*first, *rest, argument, *remaining]
        if name not in _ANYWHERE:
            rest.append(argument)
        elif equals:
            first.append(argument)
        elif (value := next(remaining, None)) is None or value.startswith("--"):
            raise UsageError(Code.USAGE, f"{name} needs a value", hint="run callctl --help")
        else:
            first += [argument, value]
    return [*first, *rest]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run callctl and exit with its code. Only a developer ever sees a traceback."""
    # What fails while Python throws something away, such as a pipeline that a second Ctrl-C has interrupted at its
    # end: what there is to say of it has been said by then.
    output.protect()
    sys.unraisablehook = _unraisable
    try:
        code = run(sys.argv[1:] if arguments is None else arguments)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt as again:
        # Ctrl-C once more, while it was being told how the command had ended: that is told, and not the second.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = common.report(again.__context__ or again)
    sys.exit(_after_output(code))


def _after_output(code: int) -> int:
    """The exit code, once all is written that could be: what was done decides it, and not whether it could be told.

    A command that does nothing but answer has failed if its answer was lost.
    """
    sys.stdout.flush()
    problem = output.problem(sys.stdout)
    if problem is None:
        return code
    reason = (problem.strerror or "it cannot be written").lower()
    if code == 0 and common.answers_only():
        hint = "send stdout to a file or a pipe that takes all of it"
        render.error(Code.STDOUT_LOST, f"cannot write to stdout: {reason}", hint)
        return ANSWER_LOST
    render.warning(f"cannot write to stdout: {reason}; part of the output was lost, the exit code is that of the work")
    return code


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    if os.environ.get("CALLCTL_DEBUG") and unraisable.exc_value is not None:
        render.note(common.trace(unraisable.exc_value))


@cache  # typer takes some 30 ms to make the tree of commands
def _command() -> Any:
    return help.arrange(get_command(app))


def run(arguments: Sequence[str]) -> int:
    """Run callctl and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets its escape, not an exception.
            stream.reconfigure(errors="backslashreplace")
    common.begin(arguments)
    try:
        result = _command().main(globals_first(arguments), prog_name="callctl", standalone_mode=False)
        if result == common.INTERRUPTED:  # typer has turned KeyboardInterrupt into this
            raise KeyboardInterrupt
        common.warn()  # of a command that had no need to connect
    except BaseException as error:
        return common.report(error)
    return result if isinstance(result, int) else 0


__all__ = ["CallctlError", "app", "main", "run"]
