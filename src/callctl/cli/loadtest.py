"""callctl loadtest"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from callctl.cli import common
from callctl.cli.common import DryRun, LockTimeout, LockWait, Wait, Yes
from callctl.errors import UNCHANGED, Code, Refused, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from callctl.cli.common import Connection
    from callctl.config.settings import Settings
    from callctl.loadtest.sessions import Workload

MOST_SESSIONS = 1000
MOST_CALLS = 1_000_000
MOST_HISTORY = 100_000
# With --calls alone: when to give up waiting for the last of them.
LONGEST = "10min"

EPILOG = """
Each session runs one call after another: webhook, ringing, answered, twenty lines of transcript, completed,
viewed. One dashboard for every ten sessions runs the other queries of the specification. All rows belong to a
company that callctl creates, records in callctl.load_test and removes at the end. The next load test, or
--clean, removes what a killed one left behind. A time starts when its statement was planned to start, so that a
stall of the server shows. There are no phone calls: only the database is used.

Exit code 3 if the 95th percentile of a query exceeds --limit, or a statement failed. Outside a sandbox you name the
database at the terminal or with --confirm.

\b
Examples:
  callctl loadtest --duration 30s
  callctl loadtest --sessions 100 --report load.html --confirm staging
  callctl loadtest --clean
"""


def register(app: typer.Typer) -> None:
    app.command("loadtest", epilog=EPILOG)(loadtest)


def loadtest(
    context: typer.Context,
    sessions: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Concurrent call sessions [default: 100].")
    ] = None,
    connections: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", help="Connections that the sessions share [default: one per session]."),
    ] = None,
    duration: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Longest duration [default: 30s; with --calls 10min].")
    ] = None,
    calls: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Stop after this number of completed calls.")
    ] = None,
    call_time: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Duration of one call [default: 10s].")
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", help="Past calls to insert first, for the dashboard queries [default: 1000]."),
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Limit for the 95th percentile of each query [default: 100ms]."),
    ] = None,
    report: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write a report to FILE, ending in .html or .svg.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it is an earlier report.")] = False,
    confirm: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the database; required without a terminal, outside a sandbox."),
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Only remove what killed load tests left behind.")] = False,
    dry_run: DryRun = False,
    wait: Wait = False,
    yes: Yes = False,
    lock_timeout: LockTimeout = None,
    lock_wait: LockWait = None,
) -> None:
    """Measure the specification's queries under a load of call sessions."""
    about_load = {"--sessions": sessions, "--connections": connections, "--duration": duration, "--calls": calls,
                  "--call-time": call_time, "--history": history, "--limit": limit, "--report": report}  # fmt: skip
    given = [name for name, value in about_load.items() if value is not None]
    if clean and (given or dry_run):
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            f"--clean runs no load, so {given[0] if given else '--dry-run'} has no meaning",
            hint="give only one of the two options",
        )
    number = _number("--sessions", sessions or "100", 1, MOST_SESSIONS)
    shared = number if connections is None else _number("--connections", connections, 1, MOST_SESSIONS)
    if shared > number:
        raise UsageError(
            Code.OPTION_VALUE,
            f"{shared} connections are more than {number} sessions can use",
            hint="give --connections a number that is not larger than --sessions",
        )
    most = None if calls is None else _number("--calls", calls, 1, MOST_CALLS)
    seconds = common.seconds_of("--duration", duration or (LONGEST if most is not None else "30s"))
    length = common.seconds_of("--call-time", call_time or "10s")
    before = _number("--history", history or "1000", 0, MOST_HISTORY)
    limit_ms = common.seconds_of("--limit", limit or "100ms") * 1000
    if overwrite and report is None:
        raise UsageError(Code.OPTION_MISSING, "--overwrite needs --report", hint="add --report FILE")
    file = None if report is None else _report(report, overwrite=overwrite)
    settings = common.settings(context, lock_timeout=lock_timeout, lock_wait=lock_wait)
    from callctl.loadtest.sessions import Workload

    workload = Workload(number, shared, seconds, most, length)
    if dry_run:
        common.answering()
        _preview(settings, workload, before)
    elif clean:
        with common.ending_in_order():
            _clean(settings, confirm, wait=wait, yes=yes)
    else:
        with common.ending_in_order():
            _load(settings, workload, before, limit_ms, file, confirm, wait=wait)


def _number(option: str, text: str, lowest: int, highest: int) -> int:
    if not (len(text) < 8 and text.isascii() and text.isdecimal() and lowest <= int(text) <= highest):
        raise UsageError(
            Code.OPTION_VALUE,
            f"{option} is not a whole number from {lowest} to {highest}: {text[:40]!r}",
            hint="write the number in digits",
        )
    return int(text)


def _report(name: str, *, overwrite: bool) -> Path:
    from callctl.render.loadtest import SUFFIXES

    if not name.endswith(SUFFIXES):
        raise UsageError(
            Code.OPTION_VALUE,
            f"--report is not the name of an .html or .svg file: {name!r}",
            hint="name a file that ends in .html or .svg",
        )
    file = common.writable(name)
    if not os.access(file.absolute().parent, os.W_OK):
        raise UsageError(
            Code.FILE_UNWRITABLE,
            f"cannot write {file}",
            hint="name a file in a directory that you can write to",
        )
    if not overwrite and os.path.lexists(file):
        raise Refused(
            Code.FILE_EXISTS,
            f"{file} already exists; nothing was changed",
            hint="name a file that does not exist, or add --overwrite to replace an earlier report",
        )
    common.assert_report(file)
    return file


def _preview(settings: Settings, workload: Workload, history: int) -> None:
    from callctl.loadtest import run as loadtest_run
    from callctl.render import loadtest as render_loadtest

    with common.connected(settings) as connection:
        preview = loadtest_run.preview(connection, settings, workload, history)
    render_loadtest.preview(preview, settings.output)
    if not preview.fits:
        raise typer.Exit(3)


def _clean(settings: Settings, name: str | None, *, wait: bool, yes: bool) -> None:
    from callctl.loadtest import run as load
    from callctl.render import loadtest as render_loadtest
    from callctl.render import progress as render_progress

    with common.connected(settings, writes=True) as connection:
        if name is not None:
            _assert_name(connection, settings, name)
        else:
            common.confirm(connection, settings, "Remove what load tests have left", yes=yes)
    with render_progress.running(settings.output) as on_event:
        removed = load.clean(settings, wait=wait, on_event=on_event)
    render_loadtest.cleaned(removed, settings.output, common.target())
    if any(company.kept for company in removed):
        raise typer.Exit(3)


def _load(
    settings: Settings,
    workload: Workload,
    history: int,
    limit_ms: float,
    file: Path | None,
    name: str | None,
    *,
    wait: bool,
) -> None:
    from callctl.errors import Interrupted
    from callctl.loadtest import run as loadtest_run
    from callctl.render import loadtest as render_loadtest
    from callctl.render import progress as render_progress

    with common.connected(settings, writes=True) as connection:
        # What would be refused is refused before anybody has to type something.
        loadtest_run.assert_possible(connection, settings, workload)
        _confirm(connection, settings, name)
    with render_progress.running(settings.output) as on_event:
        result = loadtest_run.load_test(
            settings, workload, history=history, limit_ms=limit_ms, wait=wait, on_event=on_event
        )
    # The result first: the disk may be full.
    render_loadtest.measured(result, settings.output, common.target())
    written = file is None or _written(file, render_loadtest.write_picture(result, file.suffix))
    if result.interrupted:
        # Behind the result, which is whole: no line of a failure follows it in JSON.
        raise Interrupted(
            Code.INTERRUPTED,
            f"interrupted after {result.seconds:.1f} s; the load test removed its rows",
            hint="run the same command again",
            state=UNCHANGED,
        )
    if not result.passed:
        raise typer.Exit(3)
    if not written:
        raise typer.Exit(4)


def _written(file: Path, text: str) -> bool:
    """Write the report; whether that worked. What the load test found is told by then."""
    from callctl import files
    from callctl.render import console as render

    try:
        # What was there when the command began may be replaced, and nothing that came meanwhile.
        files.write_whole(file, text, replace=files.is_report(file))
    except OSError as problem:
        reason = (problem.strerror or "it cannot be written").lower()
        render.warning(f"the report could not be written: {reason}: {file}; the result above is complete")
        return False
    render.note(f"the picture is in {file}")
    return True


def _confirm(connection: Connection, settings: Settings, name: str | None) -> None:
    """A database that is no sandbox is named by who load tests it. ``--yes`` says nothing of which one it is."""
    from callctl.database.connection import is_sandbox
    from callctl.render import console as render

    if name is not None:
        _assert_name(connection, settings, name)
        return
    if is_sandbox(connection):
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused(
            Code.CONFIRMATION_NEEDED,
            "confirmation needed: this database is not a sandbox; nothing was changed",
            hint="add --confirm and the database's name after the command",
        )
    where = common.place(connection, settings)
    render.note(f"A load test writes made-up calls to {where}, slows it down, and removes them again.")
    _assert_name(connection, settings, render.ask_for("Type the name of the database to continue:"))


def _assert_name(connection: Connection, settings: Settings, name: str) -> None:
    from callctl.database import connection as database

    actual = database.target_of(connection, settings).database
    if name != actual:
        raise Refused(
            Code.WRONG_DATABASE,
            f"this is not database {name!r} but {actual}; nothing was changed"
            if name
            else "not confirmed; nothing was changed",
            hint="give --confirm the name of the database that the load test is for",
        )
