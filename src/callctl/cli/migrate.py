"""callctl migrate: status, plan, up, down, adopt, history"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from callctl.cli import common
from callctl.cli.options import (
    BackupTakenAt,
    ConfirmDatabase,
    DeferDrops,
    InPlace,
    MaintenanceNotified,
    RunOptions,
    Shadow,
    StatementTimeout,
    Yes,
    with_run_options,
)
from callctl.cli.take_steps import take_steps
from callctl.errors import UsageError

if TYPE_CHECKING:
    from callctl.config.settings import Settings

GROUP_EPILOG = """
\b
A first time:  callctl preflight, migrate plan, migrate up, verify
And back:      callctl migrate down --all
"""

group = typer.Typer(
    help="Take the database through the steps, or back.",
    epilog=GROUP_EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="migrate")


STATUS_EPILOG = """
A callctl that is at work is shown first: its command and step, who runs it, since when, how much of the step is
committed, and what it waits for. Another role's sessions are visible to members of pg_monitor. Exit code 0 if every
step is applied as its file says, 3 if one is pending or edited since.
"""


@group.command(epilog=STATUS_EPILOG)
def status(
    context: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="List every step: its state, when it was applied and by whom.")
    ] = False,
    names: Annotated[
        bool, typer.Option("--names", help="Show what this database calls otherwise than the specification.")
    ] = False,
) -> None:
    """Show what is at work, and which steps are applied. Changes nothing."""
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
The SQL goes to stdout, in the names that this database uses, ready to be read or kept.

\b
Examples:
  callctl migrate plan                          all that is still to run
  callctl migrate plan --to 4                   up to and with step 4
  callctl migrate plan --defer-drops            all but the drops of the type columns
  callctl migrate plan --down > rollback.sql    the way back
"""


@group.command(epilog=PLAN_EPILOG)
def plan(
    context: typer.Context,
    down: Annotated[bool, typer.Option("--down", help="The way back instead of the way up.")] = False,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Up: the last step to apply. Down: the step to go back to, 0 for none.",
        ),
    ] = None,
    defer_drops: DeferDrops = False,
    shadow: Shadow = False,
    in_place: InPlace = False,
) -> None:
    """Print the SQL that would run on this database. Changes nothing."""
    common.answering()
    if down and defer_drops:
        raise UsageError(
            "--defer-drops is for the way up", hint="down takes back what is applied; a deferred step is not"
        )
    target = common.step_number(to, lowest=0 if down else 1)
    settings = common.settings(context)
    from callctl.migration import migrate
    from callctl.render import migration as render_answers

    with common.connected(settings) as connection:
        planned = migrate.plan(
            connection,
            settings,
            direction="down" if down else "up",
            to=target,
            defer_drops=defer_drops,
            through_shadow=_through_shadow(shadow, in_place),
        )
    render_answers.plan(planned, settings.output)


UP_EPILOG = """
First comes preflight: what it says blocks, stops; warnings do not. Each step is checked by its own verify
before it counts. If a step fails or you press Ctrl-C, run the same command again: it goes on from there.

\b
Examples:
  callctl migrate up                 asks before it writes
  callctl migrate up --yes           for scripts
  callctl migrate up --to 4          the first four steps only
  callctl migrate up --defer-drops   the old application goes on working; a later up drops its columns
  callctl migrate up --atomic        all or nothing, in a maintenance window
\b
Next: callctl verify
"""


@group.command(epilog=UP_EPILOG)
@with_run_options
def up(
    context: typer.Context,
    to: Annotated[str | None, typer.Option(metavar="N", help="The last step to apply.")] = None,
    defer_drops: DeferDrops = False,
    *,
    run: RunOptions,
    backup_taken_at: BackupTakenAt = None,
    maintenance_notified: MaintenanceNotified = None,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Apply the steps that are pending, after a preflight."""
    target = common.step_number(to, lowest=1)
    settings = common.settings(
        context,
        **run.settings(),
        backup_taken_at=backup_taken_at,
        maintenance_notified=maintenance_notified,
        statement_timeout=statement_timeout,
    )
    from callctl.migration.migrate import Wish

    take_steps(settings, Wish("up", target, defer_drops=defer_drops, atomic=run.atomic), run)


DOWN_EPILOG = """
Nothing is lost: what the steps removed comes back, and what was written since is saved for the next up. The
tables of calls, transcripts and integration accounts are set aside with their rows.

Where the environment is production, the name of the database is typed at the terminal, or given with
--confirm-database NAME; --yes alone is refused there (exit code 3).

\b
Examples:
  callctl migrate plan --down        look first
  callctl migrate down --to 8        take back what came after step 8
  callctl migrate down --all         all the way
  callctl migrate down --all --environment production --confirm-database platform
\b
Next: callctl migrate status
"""


@group.command(epilog=DOWN_EPILOG)
@with_run_options
def down(
    context: typer.Context,
    to: Annotated[
        str | None,
        typer.Option(metavar="N", help="The step to go back to; it stays applied."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Take back every step, as --to 0.")] = False,
    truncate_avatars: Annotated[
        bool,
        typer.Option(
            "--truncate-avatars",
            help="Cut avatar URLs over 500 characters to fit the old column; the full ones are saved.",
        ),
    ] = False,
    shadow: Shadow = False,
    in_place: InPlace = False,
    *,
    run: RunOptions,
    confirm_database: ConfirmDatabase = None,
) -> None:
    """Take steps back, losing nothing. Say how far: --to N or --all."""
    if (to is None) == (not all_):
        problem = "down needs --to N or --all" if to is None else "--to N and --all contradict each other"
        raise UsageError(problem, hint="use either --to N, which keeps steps 1 to N, or --all")
    target = common.step_number(to, lowest=0) or 0
    through_shadow = _through_shadow(shadow, in_place)
    if shadow and run.atomic:
        raise UsageError("--shadow is many transactions, --atomic is one", hint="use either --shadow or --atomic")
    settings = common.settings(context, **run.settings())
    from callctl.migration.migrate import Wish

    wish = Wish("down", target, atomic=run.atomic, truncate_avatars=truncate_avatars, through_shadow=through_shadow)
    take_steps(settings, wish, run, confirm_database)


def _through_shadow(shadow: bool, in_place: bool) -> bool | None:
    """What the two options say together; None where neither is given."""
    if shadow and in_place:
        raise UsageError("--shadow and --in-place are two different ways", hint="use either, or neither")
    return shadow if shadow or in_place else None


ADOPT_EPILOG = """
For a database that was migrated without callctl: by psql with callctl's files, or by the document's SQL. A
step is recorded only if its verify passes. Only callctl's own tables are written. Exit code 3 if a step
could not be proved.

Where verify says that callctl's own tables were changed by hand (records-unchanged), restore schema callctl from a
backup. Without one, --changed-records accepts what they hold: migrate down works again, and what is gone from them
does not come back. It records no step.

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
            help="Accept what callctl's own tables hold where they were changed by hand; record no step.",
        ),
    ] = False,
    yes: Yes = False,
) -> None:
    """Record the steps that are already in the database. Each is proved by its verify first."""
    if changed_records and defer_drops:
        raise UsageError("--changed-records records no step, so none can be deferred", hint="use one of the two")
    settings = common.settings(context)
    if changed_records:
        _accept(settings, yes=yes)
        return
    from callctl.migration import adoption
    from callctl.render import migration as render_answers
    from callctl.render import progress as render_progress

    with render_progress.json_failure(settings.output, common.target):
        with common.connected(settings, writes=True) as connection:
            common.confirm(connection, settings, "Record the steps that prove to be there", yes=yes)
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

    with render_progress.json_failure(settings.output, common.target):
        with common.connected(settings, writes=True) as connection:
            with database.read_in_time(connection, settings, "migrate adopt", "nothing was recorded"):
                changed = store.changed_records(connection)
            if changed:
                render_answers.changed_records(changed)
                common.confirm(connection, settings, "Accept this: what is gone from these tables stays gone", yes=yes)
        with render_progress.running(settings.output) as on_event:
            accepted = adoption.adopt_records(settings, on_event)
        render_answers.accepted(accepted, settings.output, common.target())


@group.command()
def history(context: typer.Context) -> None:
    """List every step taken, up and down. Says when, by whom, from where and with which callctl."""
    common.answering()
    settings = common.settings(context)
    from callctl.migration import migrate
    from callctl.migration.steps import numbered as steps
    from callctl.render import migration as render_answers

    with common.connected(settings) as connection:
        rows = migrate.history(connection)
    applied = {number for number, row in steps.last_rows(rows).items() if row.direction == "up"}
    render_answers.history(rows, steps.deferred_steps(applied), settings.output)
