"""callctl backup, callctl restore"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.common import LockTimeout, LockWait, Wait, Yes
from callctl.errors import Code, UsageError

BACKUP_EPILOG = """
The whole database in pg_dump's custom format: the platform's schema and callctl's, and what they need from others
(the enum types in public, extensions, functions). FILE appears when it is whole and on the disk, readable by you
alone, and with it FILE.manifest.json: rows by table of the same moment, SHA-256, versions, steps. Clients are not
held up. No migration runs meanwhile. preflight knows of it afterwards, from callctl.action in the database.

Secrets are in it as they are in the database. The keys are not in it: keep them elsewhere, for as long as the file.

pg_dump must not be older than the server: CALLCTL_PG_BIN, PATH and the system's directories are looked at. Newer ones
than the distribution has are in PostgreSQL's own repositories: apt.postgresql.org, yum.postgresql.org.

\b
Examples:
  callctl backup before.dump
  callctl backup before.dump --exclude-schema analytics
\b
Next: callctl restore before.dump --database URL-OF-AN-EMPTY-DATABASE, to see that it can be
"""
RESTORE_EPILOG = """
Into a database with nothing in it, which you make: createdb --template=template0 NEW_DATABASE. One transaction:
everything is there and has the rows that the manifest says, or nothing is. Then ANALYZE.

The statements in a dump run as the role that is connected. Restore only what you trust.

\b
Examples:
  callctl restore before.dump --database postgresql://me@host/new_database
  callctl restore before.dump --dry-run     check file, manifest and database; change nothing
\b
Next: callctl verify
"""


def register(app: typer.Typer) -> None:
    app.command("backup", epilog=BACKUP_EPILOG)(backup)
    app.command("restore", epilog=RESTORE_EPILOG)(restore)


def backup(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file that is not there yet.")],
    exclude_schema: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Leave out a schema that nothing else needs; may be given more than once."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be in it, and which pg_dump would write it.")
    ] = False,
    wait: Wait = False,
    lock_timeout: LockTimeout = None,
    lock_wait: LockWait = None,
) -> None:
    """Write everything into one file that it can come back from, with a manifest beside it."""
    if file == "-":
        raise UsageError(
            Code.OPTION_VALUE,
            "a backup is not written to stdout: it is a file, with a manifest beside it",
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
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file that callctl backup has written.")],
    no_owner: Annotated[
        bool, typer.Option("--no-owner", help="Everything belongs to the role that is connected; no grants.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the file, its manifest and the database, and stop.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Put a backup into an empty database, and compare it with its manifest before it is committed."""
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
