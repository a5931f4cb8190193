"""callctl keys"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.common import BackupTakenAt, LockTimeout, LockWait, Wait, Wide, Yes
from callctl.errors import Code, UsageError

EPILOG = """
The section `keys:` of callctl.yaml names each key and its source: an environment variable, a file or a command.

\b
A new key, to begin with or to rotate to:
  callctl keys generate --out secrets/k2.key

\b
After a rotation:
  callctl keys list          number of values under each key
  callctl keys retire k1     once no value is under it
"""

app = typer.Typer(
    help="Generate, list and retire encryption keys.",
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
        typer.Option("--out", metavar="FILE", help="Write the key to a new file that only you can read."),
    ] = None,
) -> None:
    """Generate a key of 64 hexadecimal digits, printed unless you pass --out."""
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
    epilog="callctl decrypts every secret, including archived and saved secrets, to find its key. This takes a while.",
)
def list_(context: typer.Context, wide: Wide = False) -> None:
    """List the keys of callctl.yaml and the number of values under each. Changes nothing."""
    common.answering()
    settings = common.settings(context)
    from callctl.render import progress as render_progress
    from callctl.render import secrets as render_secrets
    from callctl.secrets.inventory import key_use

    with common.connected(settings) as connection, render_progress.until_answered(settings.output) as on_event:
        listed = key_use.keys(connection, settings, on_event=on_event)
    render_secrets.keys(listed, settings.output, wide=wide)


RETIRE_EPILOG = """
callctl first looks for values under the key: in the declared fields, live, archived and saved, and in every
other table that the role can read. If it finds one, it refuses (exit code 3) and says where. It also lists what
it cannot read (foreign tables, tables without SELECT or behind row-level security, large objects), and refuses
until --not-scanned names each. A retired key cannot be primary again. Backups are not scanned: keep the key as
long as a backup needs it.

\b
Examples:
  callctl keys retire k1 --backup-taken-at 2026-01-31T04:00:00Z
  callctl keys retire k1 --not-scanned crm.contacts
"""


@app.command(epilog=RETIRE_EPILOG)
def retire(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="Key id in callctl.yaml.")],
    not_scanned: Annotated[
        list[str] | None,
        typer.Option(metavar="SCHEMA.TABLE", help="Accept that callctl cannot read this table; repeatable."),
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
        hint = "run callctl keys list to see the ids; the key itself is never an argument"
        raise UsageError(Code.OPTION_VALUE, "ID is not a key id", hint=hint)
    settings = common.settings(context, backup_taken_at=backup_taken_at, lock_timeout=lock_timeout, lock_wait=lock_wait)
    from callctl.render import progress as render_progress
    from callctl.render import secrets as render_secrets
    from callctl.secrets.inventory import key_retirement

    with common.connected(settings, writes=True) as connection:
        common.confirm(connection, settings, f"Retire key {id}", yes=yes)
    with render_progress.until_answered(settings.output) as on_event:
        result = key_retirement.retire(settings, id, not_scanned=not_scanned or (), wait=wait, on_event=on_event)
    render_secrets.retired(result, settings.output, common.target())
