"""callctl log"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.common import Wide
from callctl.errors import Code, UsageError

EPILOG = """
The log has each step that callctl took up or down, each rotation, each retired key, and each other command that
wrote: backup, restore, purge, seed-models, companies, settings, loadtest, and orders such as migrate pause. It
is read from callctl's own tables in the database; callctl never deletes these rows. It has no secret. keys
retire does not record who ran it, and an earlier callctl did not record purge.

A TIME is ISO 8601 with an offset, such as 2026-01-31T04:00:00Z, or the time until now: 90min, 12h, 2d.

\b
Examples:
  callctl log --last 20
  callctl log --since 2d --command migrate
  callctl log --client deploy@ --output json
"""


def register(app: typer.Typer) -> None:
    app.command("log", epilog=EPILOG)(log)


def log(
    context: typer.Context,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only what ended at this time or later.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only what ended at this time or earlier.")] = None,
    command: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this command, such as 'migrate up', or all of migrate.")
    ] = None,
    client: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only where the user and host contain this text.")
    ] = None,
    last: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, metavar="N", help="Only the newest N entries.")
    ] = None,
    wide: Wide = False,
) -> None:
    """List all that callctl did to this database, newest first. Changes nothing."""
    common.answering()
    settings = common.settings(context)
    begin, end = common.time_of("--since", since), common.time_of("--until", until)
    if begin is not None and end is not None and begin > end:
        raise UsageError(
            Code.OPTION_VALUE,
            f"--since is later than --until: {begin.isoformat()} and {end.isoformat()}",
            hint="give --until a time after that of --since",
        )
    from callctl.database import log as use_case
    from callctl.render import log as render_log

    with common.connected(settings) as connection:
        listed = use_case.entries(connection, settings, use_case.Wanted(begin, end, command, client, last))
    filtered = any(value is not None for value in (since, until, command, client))
    render_log.log(listed, settings.output, filtered=filtered, wide=wide)
