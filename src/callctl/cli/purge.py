"""callctl purge"""

from __future__ import annotations

import typer

from callctl.cli import common
from callctl.cli.common import ConfirmDatabase, Yes
from callctl.errors import State

EPILOG = """
Saved values and rows make migrate down exact: what a step removed or overwrote, and rows that a down took away.
callctl shows what it would delete, and asks for the name of the database. Scripts pass --confirm-database NAME;
--yes alone is enough only in a sandbox outside production. With another name, or no name and no terminal,
callctl deletes nothing (exit code 3).

\b
Examples:
  callctl purge
  callctl purge --confirm-database platform_staging    for scripts
"""


def register(app: typer.Typer) -> None:
    app.command("purge", epilog=EPILOG)(purge)


def purge(context: typer.Context, yes: Yes = False, confirm_database: ConfirmDatabase = None) -> None:
    """Delete for good the values and rows that callctl saved for migrate down."""
    settings = common.settings(context)
    from callctl.config.database_url import is_production
    from callctl.database import connection as database
    from callctl.database import purge as use_case
    from callctl.database import store
    from callctl.database.connection import is_sandbox
    from callctl.migration.steps import numbered as steps
    from callctl.render import console as render
    from callctl.render import migration as render_answers

    with common.connected(settings) as connection:
        by_name = is_production(settings.environment) or not is_sandbox(connection)
        common.assert_named(connection, settings, confirm_database, yes=yes, needed=by_name, command="callctl purge")
        with database.read_in_time(connection, settings, "purge", State("unchanged", "nothing was deleted")):
            saved = store.saved_summary(connection)
            applied = steps.applied_steps(store.history(connection))
        if saved:
            render_answers.saved(saved)
            if applied:
                render.warning(
                    f"{len(applied)} steps are applied: after this, migrate down derives every type from the flags, and"
                    " leaves features.callEnabled and the call settings as they are"
                )
            if by_name and confirm_database is None:
                common.confirm_name(connection, settings, "This deletes all of this for good: what is saved")
        purged = use_case.purge(settings) if saved else ()
        render_answers.purged(purged, settings.output, common.target())
