"""How the answers about backups look."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from callctl.redaction import redact
from callctl.render import console as render

if TYPE_CHECKING:
    from callctl.backup.restore import Restored
    from callctl.backup.take import Backup, PlannedBackup
    from callctl.config.database_url import Target
    from callctl.config.settings import Output
    from callctl.render import documents


def plan(planned: PlannedBackup, output: Output) -> None:
    """What a backup would hold."""
    render.answer(output, lambda: planned, lambda: _plan_text(planned))


def _plan_text(planned: PlannedBackup) -> None:
    render.out(
        f"database {planned.database} (PostgreSQL {planned.server}): {render.counted(planned.tables, 'table')},"
        f" {render.size(planned.bytes)} before compression"
    )
    render.out(f"by pg_dump {planned.pg_dump} ({planned.pg_dump_source}); nothing was written")
    _left_out(planned.left_out_schemas, planned.left_out_tables)


def backup_document(done: Backup, target: Target | None = None) -> documents.BackedUp:
    """The last line of a backup in JSON."""
    return {
        "event": "backed_up",
        "file": done.file,
        "manifest": done.manifest,
        "bytes": done.bytes,
        "sha256": done.sha256,
        "taken_at": done.taken_at,
        "database": done.database,
        "server": done.server,
        "pg_dump": done.pg_dump,
        "steps": done.steps,
        "keys": done.keys,
        "tables": done.tables,
        "rows": done.rows,
        "left_out_schemas": done.left_out_schemas,
        "left_out_tables": done.left_out_tables,
        "recorded": done.recorded,
        "seconds": done.seconds,
        "target": target,
    }


def backed_up(done: Backup, output: Output, target: Target | None = None) -> None:
    """What was taken, and where it is."""
    command = f"callctl restore {shlex.quote(str(done.file))} --database URL"
    following = render.Next(command, f"{command}, into an empty database, to see that it can be")
    render.answer(output, lambda: backup_document(done, target), lambda: _backed_up_text(done, target), following)


def _backed_up_text(done: Backup, target: Target | None) -> None:
    label = render.styled("backed up", "good", sys.stdout)
    render.out(
        f"{label}: {render.counted(done.rows, 'row')} of {render.counted(done.tables, 'table')}"
        f" as of {done.taken_at.isoformat(sep=' ', timespec='seconds')}, in {done.seconds:.1f} s"
    )
    render.own(f"{redact(str(done.file))}: {render.size(done.bytes)}, SHA-256 {done.sha256}")
    render.out(f"{done.manifest.name}: rows by table, versions, {_steps(done.steps)}")
    render.written(target, "taken of")
    _left_out(done.left_out_schemas, done.left_out_tables)
    _keys(done.keys)


def restored_document(done: Restored, target: Target | None = None) -> documents.RestoredLine:
    """The last line of a restore in JSON."""
    return {
        "event": "restored",
        "file": done.file,
        "database": done.database,
        "server": done.server,
        "taken_at": done.taken_at,
        "taken_of": done.taken_of,
        "steps": done.steps,
        "keys": done.keys,
        "tables": done.tables,
        "rows": done.rows,
        "owners_kept": done.owners_kept,
        "settings_left": done.settings_left,
        "dry_run": done.dry_run,
        "seconds": done.seconds,
        "target": target,
    }


def restored(done: Restored, output: Output, target: Target | None = None) -> None:
    """What was restored, or could be."""
    render.answer(
        output,
        lambda: done if done.dry_run else restored_document(done, target),
        lambda: _restored_text(done, target),
        None if done.dry_run else render.Next("callctl verify"),
    )


def _restored_text(done: Restored, target: Target | None) -> None:
    rows = f"{render.counted(done.rows, 'row')} of {render.counted(done.tables, 'table')}"
    taken = f"{done.taken_of} as of {done.taken_at.isoformat(sep=' ', timespec='seconds')}"
    if done.dry_run:
        render.out(f"{done.file} is whole, and could be restored into database {done.database}: {rows}")
        render.out(f"it is {taken}, with {_steps(done.steps)}; nothing was changed")
    else:
        label = render.styled("restored", "good", sys.stdout)
        render.out(f"{label}: {rows}, as the manifest says, in database {done.database}, in {done.seconds:.1f} s")
        render.out(f"it is {taken}, with {_steps(done.steps)}")
        render.written(target)
    if not done.owners_kept:
        render.note("everything belongs to the role that is connected, and there are no grants")
    if done.settings_left:
        names = ", ".join(done.settings_left)
        render.note(f"set for the old database, not in a dump, and to be set by hand (ALTER DATABASE … SET): {names}")
    _keys(done.keys)


def _steps(steps: Sequence[int]) -> str:
    return f"{render.steps(steps)} applied" if steps else "no step applied"


def _left_out(schemas: Sequence[str], tables: Sequence[str]) -> None:
    if schemas:
        render.note(f"left out, as you said: schema {', '.join(schemas)}")
    if tables:
        render.note(f"left out, since a standby cannot read unlogged tables: the rows of {', '.join(tables)}")


def _keys(keys: Sequence[str]) -> None:
    if keys:
        render.note(f"secrets in it open with keys that are not in it: {', '.join(keys)}")
