"""callctl backup, callctl restore"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.common import LockTimeout, LockWait, Wait, Yes
from callctl.errors import Code, UsageError

BACKUP_EPILOG = """
callctl writes the whole database in pg_dump's custom format. FILE appears when it is complete and on disk,
readable by you alone, together with FILE.manifest.json: row counts of the same snapshot, SHA-256, versions,
steps. Clients are not blocked; migrations wait. callctl.action records the backup, and preflight reads it
there.

Secrets are in the backup as they are in the database. The keys are not: keep them elsewhere, as long as the file.

pg_dump must be at least as new as the server. callctl looks in CALLCTL_PG_BIN, PATH and the system's directories. For
newer programs than the distribution's, see apt.postgresql.org and yum.postgresql.org.

\b
Examples:
  callctl backup before.dump
  callctl backup before.dump --exclude-schema analytics

\b
Next, to see that it can be restored:
  callctl restore before.dump --database URL-OF-AN-EMPTY-DATABASE
"""
RESTORE_EPILOG = """
The target is an empty database that you create: createdb --template=template0 NEW_DATABASE. callctl restores in one
transaction and commits only if the row counts match the manifest. Then it runs ANALYZE.

The statements in a backup run as the connected role: restore only files that you trust.

\b
Examples:
  callctl restore before.dump --database postgresql://me@host/new_database
  callctl restore before.dump --dry-run   check only; change nothing

\b
Next: callctl verify
"""


def register(app: typer.Typer) -> None:
    app.command("backup", epilog=BACKUP_EPILOG)(backup)
    app.command("restore", epilog=RESTORE_EPILOG)(restore)


def backup(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="New file for the backup.")],
    exclude_schema: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Leave out this schema, if nothing else needs it; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what the backup would contain and which pg_dump would write it.")
    ] = False,
    wait: Wait = False,
    lock_timeout: LockTimeout = None,
    lock_wait: LockWait = None,
) -> None:
    """Back up the database to one file, with a manifest."""
    if file == "-":
        raise UsageError(
            Code.OPTION_VALUE,
            "cannot write a backup to stdout: it is a file with a manifest beside it",
            hint="name a FILE",
        )
    settings = common.settings(context, lock_timeout=lock_timeout, lock_wait=lock_wait)
    from callctl.backup import take as use_case
    from callctl.render import backup as render_backup
    from callctl.render import progress as render_progress

    left_out = tuple(dict.fromkeys(exclude_schema or ()))
    if dry_run:
        common.answering()
        render_backup.plan(use_case.look(settings, file, left_out), settings.output)
        return
    with render_progress.running(settings.output) as on_event:
        result = use_case.backup(settings, file, exclude_schemas=left_out, wait=wait, on_event=on_event)
    render_backup.backed_up(result, settings.output, common.target())


def restore(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="File that callctl backup wrote.")],
    no_owner: Annotated[
        bool, typer.Option("--no-owner", help="Make the connected role the owner of everything; restore no grants.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the file, its manifest and the database; restore nothing.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Restore a backup into an empty database, and compare it with its manifest before the commit."""
    settings = common.settings(context)
    from callctl.backup import restore as use_case
    from callctl.render import backup as render_backup
    from callctl.render import progress as render_progress

    if dry_run:
        common.answering()
        with render_progress.until_answered(settings.output) as on_event:
            restorable = use_case.check(settings, file, no_owner=no_owner, on_event=on_event)
        render_backup.restored(restorable, settings.output)
        return
    with common.connected(settings, writes=True) as connection:
        holds = use_case.examine(file)
        contents = f"{holds.rows:,} rows of {holds.database} as of {holds.taken_at.isoformat(' ', 'seconds')}"
        common.confirm(connection, settings, f"Restore {file} ({contents})", yes=yes)
    with render_progress.running(settings.output) as on_event:
        result = use_case.restore(settings, file, no_owner=no_owner, on_event=on_event)
    render_backup.restored(result, settings.output, common.target())
