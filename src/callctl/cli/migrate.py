"""callctl migrate: status, plan, rehearse, up, down, watch, pause, resume, slower, faster, adopt, history"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from callctl.cli import common
from callctl.cli.common import (
    Atomic,
    BackupTakenAt,
    ConfirmDatabase,
    DeferDrops,
    InPlace,
    MaintenanceNotified,
    RunOptions,
    Shadow,
    StatementTimeout,
    TruncateAvatars,
    Wide,
    Yes,
    with_run_options,
)
from callctl.errors import Code, ConfigError, Refused, State, UsageError
from callctl.events import MigrationStarted, StepFinished
from callctl.files import assert_new, create_private, write_whole
from callctl.render import console as render

if TYPE_CHECKING:
    from pathlib import Path

    from callctl.config.settings import Settings
    from callctl.database.steering import Word
    from callctl.events import Direction, Event, OnEvent
    from callctl.forecast.observation import Observation
    from callctl.forecast.outlook import Outlook
    from callctl.migration.checks.findings import Finding
    from callctl.migration.planning import Plan, Wish
    from callctl.migration.reviewed import ReviewedPlan

# ``--report``: the page of a run, written when it begins, after each step, and however it ends.


def report_file(options: RunOptions) -> Path | None:
    """The file that ``--report`` names, if it is there. Raises UsageError."""
    if options.report is not None and options.dry_run:
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            "--report needs a run, and --dry-run runs nothing",
            hint="give only one of the two options; callctl migrate plan shows what would run",
        )
    return page_file(options.report)


def page_file(name: str | None) -> Path | None:
    """The file of a page, if one is named: found out before the work. Raises UsageError; Refused."""
    if name is None:
        return None
    if not name.endswith((".html", ".htm")):
        raise UsageError(
            Code.OPTION_VALUE,
            f"--report is not the name of an .html file: {name!r}",
            hint="name a file that ends in .html",
        )
    file = common.writable(name)
    if not os.access(file.resolve().parent, os.W_OK):
        raise UsageError(
            Code.FILE_UNWRITABLE,
            f"cannot write {file}: no write permission on its directory",
            hint="name a file in a directory that you can write to",
        )
    common.assert_report(file)
    return file


@contextmanager
def reported(file: Path | None, on_event: OnEvent) -> Iterator[RunReport]:
    """Listen to a run, for ``on_event`` and for the page in ``file`` if there is one."""
    report = RunReport(file, on_event)
    try:
        yield report
    except BaseException as error:
        report.end(error)
        raise
    report.end(None)


class RunReport:
    """Passes on the events of a run, and records them if there is a ``file`` to write."""

    def __init__(self, file: Path | None, on_event: OnEvent) -> None:
        from callctl.migration.run_record import RunRecord

        self._file, self._on_event = file.resolve() if file is not None else None, on_event
        self._record = RunRecord(common.command_line())

    @property
    def wanted(self) -> bool:
        return self._file is not None

    def __call__(self, event: Event) -> None:
        self._on_event(event)
        if self.wanted:
            self._record(event)
            if isinstance(event, MigrationStarted | StepFinished):
                self._write()

    def add_findings(self, findings: Sequence[Finding]) -> None:
        """Record the findings of preflight before anything was changed."""
        self._record.add_findings(findings)

    def end(self, error: BaseException | None) -> None:
        """The run is over; ``error`` is what it ended with, if not well."""
        if self.wanted:
            self._record.end(error)
            self._write()

    def _write(self) -> None:
        """Never half a page. A full disk stops no migration: the user is told, and the run continues."""
        from callctl.render import run_page as render_run

        assert self._file is not None
        try:
            write_whole(self._file, render_run.write(self._record), replace=True)
        except OSError as problem:
            if self._record.outcome != "under way":
                reason = (problem.strerror or "the file cannot be written").lower()
                render.warning(f"the report could not be written: {reason}: {self._file}")


# ``--plan``: the plan that was reviewed, in the place of the options that say what to do.


def reviewed_plan(options: RunOptions, direction: Direction, given: Mapping[str, bool]) -> ReviewedPlan | None:
    """The plan that ``--plan`` names, if it is there. Raises UsageError where ``given`` options would say otherwise."""
    if options.plan is None:
        return None
    from pathlib import Path

    from callctl.migration import reviewed

    contradicting = [name for name, is_given in ({**given, "--atomic": options.atomic}).items() if is_given]
    if contradicting:
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            f"--plan says what to do, and so does {contradicting[0]}",
            hint=f"remove {contradicting[0]}, or make a plan with it: callctl migrate plan --out FILE",
        )
    plan = reviewed.read(Path(options.plan))
    if plan.direction != direction:
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            f"{options.plan} is a plan for migrate {plan.direction}",
            hint=f"run callctl migrate {plan.direction} --plan {shlex.quote(options.plan)}",
        )
    return plan


# What ``migrate up`` and ``migrate down`` have in common: look, ask, run, show what was done.


def take_steps(
    settings: Settings,
    wish: Wish,
    options: RunOptions,
    named: str | None = None,
    reviewed: ReviewedPlan | None = None,
) -> None:
    """Look, ask, run, and show what was done. ``named`` is the database that is meant, where a name was given.

    ``reviewed``: the plan that the wish is from, compared under the lock.

    A person who is asked first sees what preflight finds; the run looks again, under the lock. Without a question, the
    run alone looks, and shows it.
    """
    from callctl.config.database_url import is_production
    from callctl.forecast.outlook import forecast_of, outlook
    from callctl.migration import migrate
    from callctl.migration import reviewed as review
    from callctl.render import migration as render_answers
    from callctl.render import progress as render_progress

    file = report_file(options)
    by_name = wish.direction == "down" and is_production(settings.environment)
    command = f"callctl migrate {wish.direction}" + (" in production" if by_name else "")
    if options.dry_run:
        common.answering()
        with common.connected(settings) as connection:
            common.assert_named(connection, settings, named, yes=False, needed=False, command=command)
            planned = migrate.plan(connection, settings, wish)
            if reviewed is not None:
                review.assert_unchanged(reviewed, review.make(connection, settings, wish))
            look = outlook(connection, settings, planned, atomic=wish.atomic, measured=True)
            render_answers.plan(planned, look, settings.output)
        return
    asked = False
    if not options.yes or by_name or named is not None:
        with common.connected(settings, writes=True) as connection:
            common.assert_named(connection, settings, named, yes=options.yes, needed=by_name, command=command)
            asked = named is None and (by_name or common.asks(connection, yes=options.yes))
            if asked:
                _look_and_ask(connection, settings, wish, options, by_name=by_name)

    with render_progress.running(settings.output) as on_event, reported(file, on_event) as report:

        def show(findings: Sequence[Finding]) -> None:
            report.add_findings(findings)
            if not asked:
                _show(findings, wish)

        on_findings = show if report.wanted or not asked else None
        run = migrate.take(
            settings,
            wish,
            reviewed=reviewed,
            wait=options.wait,
            on_event=report,
            on_findings=on_findings,
            forecast=lambda connection, planned: forecast_of(
                outlook(connection, settings, planned, atomic=wish.atomic, measured=True)
            ),
        )
    render_answers.run(run, settings.output, common.target())


def _look_and_ask(
    connection: common.Connection, settings: Settings, wish: Wish, options: RunOptions, *, by_name: bool
) -> None:
    """Show what preflight finds, then ask, ``by_name`` for the database's name.

    Raises LockHeld if another callctl is at work; Refused.

    The state in the middle of another run would mislead, so no other run may be active when it looks, and what blocks
    counts only if none is active afterwards. ``--wait`` waits for that.
    """
    from callctl.database import lock
    from callctl.migration import migrate
    from callctl.migration.checks.preflight import MATTERS
    from callctl.migration.planning import findings_for
    from callctl.render import progress as render_progress

    while True:
        with render_progress.running(settings.output) as on_event:
            lock.let_others_finish(connection, settings, wait=options.wait, on_event=on_event)
        planned = migrate.plan(connection, settings, wish)
        if not planned.steps:
            return
        numbers = [step.number for step in planned.steps]
        findings = findings_for(connection, settings, planned.naming, numbers, wish, MATTERS)
        if not (_blocking(findings) and lock.somebody_at_work(connection, settings)):
            break
    _show(findings, wish, asks=True)
    verb = "Apply" if wish.direction == "up" else "Take back"
    steps = render.steps([step.number for step in planned.steps])
    text = f"{verb} {steps}{_how(planned, atomic=wish.atomic)}"
    if by_name:
        common.confirm_name(connection, settings, text)
    else:
        common.confirm(connection, settings, text, yes=False)


def _show(findings: Sequence[Finding], wish: Wish, *, asks: bool = False) -> None:
    """Show what preflight found, in full where a person is asked next. Raises Refused if something blocks."""
    from callctl.render import checks as render_checks

    render_checks.before_run(findings, asks=asks and common.can_ask())
    if blocking := _blocking(findings):
        raise Refused(
            Code.PREFLIGHT_BLOCKERS,
            f"preflight found blockers: {', '.join(blocking)}; nothing was changed",
            hint=f"follow each fix above, then run callctl migrate {wish.direction} again",
        )


def _blocking(findings: Sequence[Finding]) -> list[str]:
    return list(dict.fromkeys(finding.id for finding in findings if finding.level == "blocks"))


def _how(planned: Plan, *, atomic: bool) -> str:
    if atomic:
        return ", in one transaction that clients wait behind"
    way = planned.avatar
    if way is None or way.shadow or not way.seconds:
        return ""
    return f"; clients wait for {way.table} {way.hold} meanwhile"


# callctl migrate: status, plan, rehearse, up, down, adopt, history

GROUP_EPILOG = """
\b
To migrate:      callctl preflight, migrate plan, migrate rehearse,
                 migrate up, verify
To roll back:    callctl migrate down --all
"""

group = typer.Typer(
    help="Apply the migration's steps, or roll them back.",
    epilog=GROUP_EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="migrate")


STATUS_EPILOG = """
A run in progress is shown first: its command and step, who started it and when, how much of the step is committed,
and what it waits for. To see another role's sessions, be a member of pg_monitor. Exit code 0 if every step is applied
and its file is unchanged, 3 otherwise.
"""


@group.command(epilog=STATUS_EPILOG)
def status(
    context: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="List every step: its state, when it was applied and by whom.")
    ] = False,
    names: Annotated[bool, typer.Option("--names", help="Show the names that differ from the specification.")] = False,
) -> None:
    """Show which steps are applied, and whether a run is in progress. Changes nothing."""
    common.answering()
    settings = common.settings(context)
    from callctl.migration import live_runs, migrate
    from callctl.render import migration as render_answers

    with common.connected(settings) as connection:
        # Looked at first: a run that ends meanwhile has its steps in the history then.
        live = live_runs.look(connection, settings)
        status = migrate.status(connection, settings)
    render_answers.status(status, settings, live, everything=everything, names=names)
    if status.pending or any(step.edited or step.half_done for step in status.steps):
        raise typer.Exit(3)


PLAN_EPILOG = """
For each statement: what it does, its lock and whom that blocks, the rows, the time. Times come from rates measured on
this server in a few seconds, and from earlier runs. What cannot be told before it runs is "not known".

\b
Examples:
  callctl migrate plan                   every pending step
  callctl migrate plan --to 4            up to and including step 4
  callctl migrate plan --defer-drops     keep the old type columns
  callctl migrate plan --sql > up.sql    the SQL, in this database's names
  callctl migrate plan --down --sql > rollback.sql
  callctl migrate plan our.sql           any SQL file, without running it
  callctl migrate plan --observe 60s     who has those locks now, how often
  callctl migrate plan --out plan.json   a file to review
  callctl migrate up --plan plan.json    run just that
"""


@group.command(epilog=PLAN_EPILOG)
def plan(
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE.sql]...", help="SQL files to plan instead of the steps.", show_default=False),
    ] = None,
    down: Annotated[bool, typer.Option("--down", help="Plan migrate down instead of migrate up.")] = False,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Last step to apply; with --down, the step to roll back to (0: roll back all).",
        ),
    ] = None,
    defer_drops: DeferDrops = False,
    atomic: Atomic = False,
    truncate_avatars: TruncateAvatars = False,
    shadow: Shadow = False,
    in_place: InPlace = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL instead of what it does.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="List every statement: callctl's bookkeeping and new tables, too.")
    ] = False,
    observe: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Watch the running server this long, such as 60s or 1h: how often each lock is free, and who has it.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE.json", help="Also write the plan to a file, for migrate up --plan or down --plan."),
    ] = None,
) -> None:
    """Show what would run on this database: locks, rows, time. Changes nothing."""
    common.answering()
    if down and defer_drops:
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            "--defer-drops applies to migrate up only",
            hint="remove --defer-drops: down takes back applied steps only",
        )
    if truncate_avatars and not down:
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            "--truncate-avatars applies to migrate down only",
            hint="remove --truncate-avatars: up makes the column wider",
        )
    target = common.step_number(to, lowest=0 if down else 1)
    if out is not None:
        assert_new(out)
    settings = common.settings(context)
    if files:
        if down or to or defer_drops or truncate_avatars or shadow or in_place or sql or out or observe:
            raise UsageError(
                Code.OPTIONS_CONFLICT,
                "a file is planned by itself: options that choose steps, --sql, --observe and --out are for the steps",
                hint="give either the files or these options",
            )
        _plan_files(settings, files, atomic=atomic, everything=everything)
        return
    if sql and settings.output != "text":
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            f"--sql prints SQL, and --output {settings.output} another format",
            hint="use one of them: each statement's SQL is in the JSON",
        )
    from callctl.forecast.outlook import outlook
    from callctl.migration import migrate, reviewed
    from callctl.render import migration as render_answers

    with common.connected(settings) as connection:
        wish = migrate.Wish(
            "down" if down else "up",
            target,
            defer_drops=defer_drops,
            atomic=atomic,
            truncate_avatars=truncate_avatars,
            through_shadow=_through_shadow(shadow, in_place),
        )
        planned = migrate.plan(connection, settings, wish)
        on_file = reviewed.make(connection, settings, wish) if out is not None else None
        expected = None if sql else outlook(connection, settings, planned, atomic=atomic, measured=True)
        observation = None if observe is None or expected is None else _observe(connection, settings, expected, observe)
    if expected is None:
        render_answers.plan_script(planned)
    else:
        render_answers.plan(planned, expected, settings.output, everything=everything, observation=observation)
    if out is not None and on_file is not None:
        render_answers.plan_on_file(on_file, create_private(out, reviewed.write(on_file)))


def _observe(connection: common.Connection, settings: Settings, expected: Outlook, observe: str) -> Observation:
    from callctl.events import Waiting
    from callctl.forecast.observation import observe as watch
    from callctl.render import progress as render_progress

    seconds = common.seconds_of("--observe", observe)
    if settings.output != "text":  # a document, without lines of progress
        return watch(connection, expected, seconds)
    with render_progress.running(settings.output) as on_event:
        return watch(
            connection, expected, seconds, lambda passed: on_event(Waiting("the end of --observe", passed, seconds))
        )


def _plan_files(settings: Settings, names: Sequence[str], *, atomic: bool, everything: bool) -> None:
    """Show what the statements of these files would do. Raises UsageError."""
    from callctl.forecast.outlook import outlook_of_files
    from callctl.render import migration as render_answers
    from callctl.statements.script import parse_script

    hint = "name an SQL file, or - for stdin"
    try:
        scripts = [parse_script(common.text_of(name, hint), "stdin" if name == "-" else name) for name in names]
    except ConfigError as error:
        raise UsageError(Code.FILE_UNREADABLE, error.message, hint=error.hint or hint) from None
    with common.connected(settings) as connection:
        expected = outlook_of_files(connection, settings.schema, scripts, atomic=atomic)
    render_answers.plan_of_files(expected, settings.output, everything=everything)


REHEARSE_EPILOG = """
callctl builds the target's schema on a PostgreSQL of its own and fills it with synthetic rows. Their number, NULLs,
types and settings are in the target's proportions; no value of a row leaves the target, which is only read. Then
preflight, migrate up, verify, writes of both applications, migrate down, a comparison of every row and definition,
and migrate up again. What cannot be rehearsed is listed as left out. Exit code 3 if something did not hold.

\b
Examples:
  callctl migrate rehearse
  callctl migrate rehearse --rows 200000 --report rehearsal.html
  callctl migrate rehearse --defer-drops

\b
Next: callctl migrate up
"""


@group.command(epilog=REHEARSE_EPILOG)
def rehearse(
    context: typer.Context,
    rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=500_000,
            metavar="N",
            help="Most synthetic rows of a table, 1 to 500,000 [default: 20000].",
        ),
    ] = None,
    defer_drops: DeferDrops = False,
    truncate_avatars: TruncateAvatars = False,
    shadow: Shadow = False,
    in_place: InPlace = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the server at the end, and print its URL, until Ctrl-C.")
    ] = False,
    report: Annotated[
        str | None, typer.Option(metavar="FILE.html", help="Also write an HTML report of the rehearsal.")
    ] = None,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Rehearse up, down and up again on a copy without rows. Only reads the target."""
    common.answering()
    file = page_file(report)
    settings = common.settings(context, statement_timeout=statement_timeout)
    from callctl.rehearsal import rehearse as rehearsing
    from callctl.render import progress as render_progress
    from callctl.render import rehearsal as render_rehearsal

    options = rehearsing.Options(
        rehearsing.DEFAULT_ROWS if rows is None else rows,
        defer_drops=defer_drops,
        truncate_avatars=truncate_avatars,
        through_shadow=_through_shadow(shadow, in_place),
    )
    with common.ending_in_order(), rehearsing.rehearsed(settings, options) as play:
        with render_progress.until_answered(settings.output) as on_event:
            result = play(on_event)
        render_rehearsal.answer(result, settings.output)
        if file is not None:
            write_whole(file, render_rehearsal.page(result, common.target(), common.command_line()), replace=True)
        if keep:
            render_rehearsal.kept(result.url)
            rehearsing.wait_for_interrupt()
    if not result.held:
        raise typer.Exit(3)


WATCH_EPILOG = """
Shows the run of any callctl on this schema: statement, rows, time left, the locks it waits for and who holds them, and
how many clients wait. A role with pg_monitor sees all of it. Ends when the run ends, with exit code 3 if a step of it
is not done.

\b
Examples:
  callctl migrate watch                  a full screen on a terminal
  callctl migrate watch --wait | tee log one line for each change
  callctl migrate watch --once           one look
  callctl migrate watch --output json    a line of JSON for each look

\b
Next: callctl migrate status
"""


@group.command(epilog=WATCH_EPILOG)
def watch(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for a run if none is under way.")] = False,
) -> None:
    """Watch a run from another terminal. Changes nothing."""
    common.answering()
    settings = common.settings(context)
    from callctl.render import watch as render_watch
    from callctl.watch.look import await_run, follow, look

    with common.connected(settings) as connection:
        if once:
            watched = await_run(connection, settings, lambda _: True) if wait else look(connection, settings)
            if watched is not None:
                render_watch.once(watched, settings.output)
            return
        try:
            with render_watch.showing(settings.output) as show:
                end = follow(connection, settings, show, wait=wait)
        except KeyboardInterrupt:
            render.note("callctl no longer watches; a run continues")
            raise typer.Exit(130) from None
    if end is not None and not render_watch.ended(end, settings.output):
        raise typer.Exit(3)


def _order(word: Word, does: str) -> None:
    """Add a command that gives an order to the runs under way."""

    def give(context: typer.Context) -> None:
        settings = common.settings(context)
        from callctl.render import watch as render_watch
        from callctl.watch.steer import steer

        with common.connected(settings) as connection:
            given = steer(connection, settings, word)
        render_watch.given(given, settings.output)
        if not given.obeyed:
            raise typer.Exit(3)

    give.__doc__ = does
    group.command(word, epilog=ORDER_EPILOG)(give)


ORDER_EPILOG = """
The run under way obeys within a second, between two transactions; a statement under way ends first. The order is
recorded in callctl's schema with who gave it. migrate up, migrate down, rotate-secrets, webhooks and settings init
obey; a run with --atomic does not. Exit code 3 if no run is under way, or one has not obeyed after three seconds.

\b
Next: callctl migrate watch
"""

_order("pause", "Pause the run under way between two transactions.")
_order("resume", "Let a paused run continue.")
_order("slower", "Halve the speed of the run under way.")
_order("faster", "Double the speed of a run that was slowed down.")


UP_EPILOG = """
Preflight runs first: a blocker stops the command, a warning does not. callctl verifies each step before it counts as
applied. If a step fails, or after Ctrl-C, run the same command again to resume.

\b
Examples:
  callctl migrate up                 asks for confirmation
  callctl migrate up --yes           for scripts
  callctl migrate up --to 4          the first four steps only
  callctl migrate up --defer-drops   keep the old type columns
  callctl migrate up --atomic        all or nothing, in a maintenance window

\b
Next: callctl verify
"""


@group.command(epilog=UP_EPILOG)
@with_run_options
def up(
    context: typer.Context,
    to: Annotated[str | None, typer.Option(metavar="N", help="Last step to apply.")] = None,
    defer_drops: DeferDrops = False,
    *,
    run: RunOptions,
    backup_taken_at: BackupTakenAt = None,
    maintenance_notified: MaintenanceNotified = None,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Apply the pending steps, after a preflight."""
    target = common.step_number(to, lowest=1)
    settings = common.settings(
        context,
        **run.settings(),
        backup_taken_at=backup_taken_at,
        maintenance_notified=maintenance_notified,
        statement_timeout=statement_timeout,
    )
    from callctl.migration.migrate import Wish

    reviewed = reviewed_plan(run, "up", {"--to": to is not None, "--defer-drops": defer_drops})
    wish = Wish("up", target, defer_drops=defer_drops, atomic=run.atomic) if reviewed is None else reviewed.wish
    take_steps(settings, wish, run, reviewed=reviewed)


DOWN_EPILOG = """
callctl restores what the steps removed, and saves what was written since for the next up. It archives the tables of
calls, transcripts and integration accounts with their rows.

In the environment production, type the name of the database when asked, or pass --confirm-database NAME; --yes
alone is refused there (exit code 3).

\b
Examples:
  callctl migrate plan --down        see what would run
  callctl migrate down --to 8        take back the steps after step 8
  callctl migrate down --all         take back every step
  callctl migrate down --all --environment production \\
      --confirm-database platform

\b
Next: callctl migrate status
"""


@group.command(epilog=DOWN_EPILOG)
@with_run_options
def down(
    context: typer.Context,
    to: Annotated[
        str | None,
        typer.Option(metavar="N", help="Roll back to this step, which stays applied."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Roll back every step; the same as --to 0.")] = False,
    truncate_avatars: TruncateAvatars = False,
    shadow: Shadow = False,
    in_place: InPlace = False,
    *,
    run: RunOptions,
    confirm_database: ConfirmDatabase = None,
) -> None:
    """Roll back applied steps without losing rows. Needs --to N or --all."""
    if run.plan is None and (to is None) == (not all_):
        code, problem = Code.OPTIONS_CONFLICT, "--to N and --all contradict each other"
        if to is None:
            code, problem = Code.OPTION_MISSING, "down needs --to N or --all"
        raise UsageError(code, problem, hint="use either --to N, which keeps steps 1 to N, or --all")
    given = {
        "--to": to is not None,
        "--all": all_,
        "--truncate-avatars": truncate_avatars,
        "--shadow": shadow,
        "--in-place": in_place,
    }
    reviewed = reviewed_plan(run, "down", given)
    target = common.step_number(to, lowest=0) or 0
    through_shadow = _through_shadow(shadow, in_place)
    if shadow and run.atomic:
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            "--shadow takes many transactions, --atomic takes one",
            hint="use either --shadow or --atomic",
        )
    settings = common.settings(context, **run.settings())
    from callctl.migration.migrate import Wish

    wish = Wish("down", target, atomic=run.atomic, truncate_avatars=truncate_avatars, through_shadow=through_shadow)
    take_steps(settings, wish if reviewed is None else reviewed.wish, run, confirm_database, reviewed)


def _through_shadow(shadow: bool, in_place: bool) -> bool | None:
    """Return the choice that the two options make together; None if neither is given."""
    if shadow and in_place:
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            "--shadow and --in-place exclude each other",
            hint="give one of the two options, or neither",
        )
    return shadow if shadow or in_place else None


ADOPT_EPILOG = """
For a database that was migrated with psql, by callctl's files or the specification's SQL. callctl records a
step only if its checks pass, and writes only to its own tables. Exit code 3 if a step failed its checks.

If verify reports that callctl's own tables were changed by hand (records-unchanged), restore schema callctl
from a backup. Without a backup, --changed-records accepts what the tables hold: migrate down works again, but
missing rows are not restored. It records no step.

\b
Next: callctl migrate status
"""


@group.command(epilog=ADOPT_EPILOG)
def adopt(
    context: typer.Context,
    defer_drops: DeferDrops = False,
    changed_records: Annotated[
        bool,
        typer.Option(
            "--changed-records",
            help="Accept callctl's own tables as they are after a change by hand; record no step.",
        ),
    ] = False,
    yes: Yes = False,
) -> None:
    """Record steps that were applied without callctl, after checking each."""
    if changed_records and defer_drops:
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            "--changed-records records no step, so none can be deferred",
            hint="give only one of the two options",
        )
    settings = common.settings(context)
    if changed_records:
        _accept(settings, yes=yes)
        return
    from callctl.migration import adoption
    from callctl.render import migration as render_answers
    from callctl.render import progress as render_progress

    with common.connected(settings, writes=True) as connection:
        common.confirm(connection, settings, "Record the steps whose checks pass", yes=yes)
    with render_progress.running(settings.output) as on_event:
        adopted = adoption.adopt(settings, on_event, defer_drops=defer_drops)
    exit_code = 0 if all(step.adopted for step in adopted) else 3
    render_answers.adopted(adopted, settings.output, exit_code, common.target())
    if exit_code:
        raise typer.Exit(exit_code)


def _accept(settings: Settings, *, yes: bool) -> None:
    from callctl.database import connection as database
    from callctl.database import store
    from callctl.migration import adoption
    from callctl.render import migration as render_answers
    from callctl.render import progress as render_progress

    with common.connected(settings, writes=True) as connection:
        with database.read_in_time(connection, settings, "migrate adopt", State("unchanged", "nothing was recorded")):
            changed = store.changed_records(connection)
        if changed:
            render_answers.changed_records(changed)
            common.confirm(
                connection, settings, "Accept this: the lost rows of these tables cannot be restored", yes=yes
            )
    with render_progress.running(settings.output) as on_event:
        accepted = adoption.adopt_records(settings, on_event)
    render_answers.accepted(accepted, settings.output, common.target())


@group.command()
def history(context: typer.Context, wide: Wide = False) -> None:
    """List every step applied or taken back: when, by whom, from which host, with which callctl."""
    common.answering()
    settings = common.settings(context)
    from callctl.migration import migrate
    from callctl.migration.steps import numbered as steps
    from callctl.render import migration as render_answers

    with common.connected(settings) as connection:
        rows = migrate.history(connection)
    applied = {number for number, row in steps.last_rows(rows).items() if row.direction == "up"}
    render_answers.history(rows, steps.deferred_steps(applied), settings.output, wide=wide)
