"""callctl purge"""

from __future__ import annotations

import typer

from callctl.cli import common
from callctl.cli.options import Yes

EPILOG = """
What is saved is what makes migrate down exact: values that a step removed or overwrote, and rows that a down
took away. After a purge they are gone for good. Without --yes, callctl shows what it would delete and asks.

\b
Example:
  callctl purge
"""


def register(app: typer.Typer) -> None:
    app.command("purge", epilog=EPILOG)(purge)


def purge(context: typer.Context, yes: Yes = False) -> None:
    """Delete what callctl has saved to take steps back. There is no way back from this one."""
    settings = common.settings(context)
    from callctl import database, render, render_answers, steps, store

    with common.connected(settings) as connection:
        with database.read_in_time(connection, settings, "purge", "nothing was deleted"):
            saved = store.saved_summary(connection)
            applied = steps.applied_steps(store.history(connection))
        if saved:
            render_answers.saved(saved)
            if applied:
                render.warning(
                    f"{len(applied)} steps are applied: after this, migrate down derives every type from the flags, and"
                    " leaves features.callEnabled and the call settings as they are"
                )
            common.confirm(connection, settings, "Delete all of this, saved", yes=yes)
        purged = store.purge(settings) if saved else ()
        render_answers.purged(purged, settings.output)
