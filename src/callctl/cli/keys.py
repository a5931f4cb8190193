"""callctl keys"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.common import BackupTakenAt, LockTimeout, LockWait, Wait, Yes
from callctl.errors import Code, UsageError

EPILOG = """
Keys are named in callctl.yaml under `keys:`, with where each comes from: a variable, a file, or a command.

\b
A key of your own, to begin with or to rotate to:
  callctl keys generate --out secrets/k2.key
\b
After a rotation:
  callctl keys list          what is under which key
  callctl keys retire k1     once nothing is
"""

app = typer.Typer(
    help="The keys that integration secrets are encrypted with.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="keys")


@app.command()
def generate(
    context: typer.Context,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Write it to a new file that only you can read."),
    ] = None,
) -> None:
    """Make a key: 64 hexadecimal digits. Without --out it is printed."""
    settings = common.settings_offline(context)
    from callctl import files
    from callctl.render import secrets as render_secrets
    from callctl.secrets.envelope import ring as keys

    keys.forbid_core_dumps()
    key = keys.generate()
    if out is None:
        common.answering()
    path = None if out is None else files.create_private(out, f"{key}\n")
    render_secrets.key_generated(key, path, settings.output)


@app.command(
    "list",
    epilog="Every secret is decrypted to tell which key it is under, archived and saved ones too; this takes a while.",
)
def list_(context: typer.Context) -> None:
    """Show the keys of callctl.yaml and how many values are under each. Changes nothing."""
    common.answering()
    settings = common.settings(context)
    from callctl.render import progress as render_progress
    from callctl.render import secrets as render_secrets
    from callctl.secrets.inventory import key_use

    with common.connected(settings) as connection, render_progress.until_answered(settings.output) as on_event:
        listed = key_use.keys(connection, settings, on_event=on_event)
    render_secrets.keys(listed, settings.output)


RETIRE_EPILOG = """
First the key is looked for: in the declared fields, live, archived and saved, and in every other table of every schema
that the role can read. One value under the key, and it is refused: exit code 3, with the counts and where. What
cannot be looked into (foreign tables, tables without SELECT or behind row-level security, large objects) is
listed, and refused until it is named with --not-scanned. A retired key is refused as primary. Backups are not
scanned: keep the key itself for as long as you keep one that needs it.

\b
Examples:
  callctl keys retire k1 --backup-taken-at 2026-01-31T04:00:00Z
  callctl keys retire k1 --not-scanned crm.contacts    a foreign table that you know of
"""


@app.command(epilog=RETIRE_EPILOG)
def retire(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="The key's id in callctl.yaml.")],
    not_scanned: Annotated[
        list[str] | None,
        typer.Option(metavar="SCHEMA.TABLE", help="Go on although this table cannot be looked into. Repeatable."),
    ] = None,
    wait: Wait = False,
    yes: Yes = False,
    backup_taken_at: BackupTakenAt = None,
    lock_timeout: LockTimeout = None,
    lock_wait: LockWait = None,
) -> None:
    """Record that a key is retired, if no value under it is found."""
    from callctl.config.sections import is_key_id

    if not is_key_id(id):
        hint = "callctl keys list shows the ids; the key itself is never an argument"
        raise UsageError(Code.OPTION_VALUE, "ID is not the id of a key", hint=hint)
    settings = common.settings(context, backup_taken_at=backup_taken_at, lock_timeout=lock_timeout, lock_wait=lock_wait)
    from callctl.render import progress as render_progress
    from callctl.render import secrets as render_secrets
    from callctl.secrets.inventory import key_retirement

    with common.connected(settings, writes=True) as connection:
        common.confirm(connection, settings, f"Retire key {id}", yes=yes)
    with render_progress.until_answered(settings.output) as on_event:
        result = key_retirement.retire(settings, id, not_scanned=not_scanned or (), wait=wait, on_event=on_event)
    render_secrets.retired(result, settings.output, common.target())
