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
from functools import cache, partial
from typing import Annotated

import typer
from typer.main import get_command

from callctl import __version__, output
from callctl.cli import (
    accounts,
    backup,
    code_refs,
    common,
    companies,
    demo,
    explain,
    keys,
    loadtest,
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
To see it work, on a PostgreSQL of its own:
  callctl demo
\b
To migrate a database (CALLCTL_DATABASE_URL says which; a copy first):
  callctl backup before.dump   a copy that everything can come back from
  callctl preflight            is it safe?
  callctl migrate plan         what exactly will run?
  callctl migrate up           do it
  callctl verify               is everything as it should be?
  callctl migrate down --all   and back
"""

EPILOG = """
The options above may stand before or after the command. They can also be set in callctl.yaml or in the
environment (CALLCTL_DATABASE_URL or DATABASE_URL, CALLCTL_SCHEMA, CALLCTL_OUTPUT, CALLCTL_CONFIG).

\b
Exit codes: 0 done; 1 a bug in callctl; 2 usage; 3 the answer is no (pending, blocked, failed checks,
refused); 4 configuration or connection; 5 a step failed; 6 another run is at work; 130 interrupted.

Each error ends with a code in brackets; callctl explain CODE says what it means and what to do.
"""

app = typer.Typer(
    name="callctl",
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
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
        typer.Option(metavar="URL", help="The database, as a postgresql:// URL or a libpq connection string."),
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The schema of the platform's tables [default: chatapp]."),
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What this database is, such as staging; shown before callctl writes."),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The settings file [default: ./callctl.yaml, if there]."),
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="text|json", help="How results are printed [default: text].")
    ] = None,
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
explain.register(app)

_ANYWHERE = ("--database", "--schema", "--environment", "--config", "--output")


def globals_first(arguments: Sequence[str]) -> list[str]:
    """``arguments`` with the global options moved before the command, so that they may stand anywhere."""
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
    """Run callctl and exit with its code. Whatever happens, nobody but a developer sees a traceback."""
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


_command = cache(partial(get_command, app))  # typer takes some 30 ms to make the tree of commands


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
