"""Draws the answers about backups."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from callctl.files import size
from callctl.redaction import redact
from callctl.render import console as render

if TYPE_CHECKING:
    from callctl.backup.restore import Restored
    from callctl.backup.take import Backup, PlannedBackup
    from callctl.config.database_url import Target
    from callctl.config.settings import Output
    from callctl.render import documents


def plan(planned: PlannedBackup, output: Output) -> None:
    """Print the contents of a backup that was not taken."""
    render.answer(output, lambda: planned, lambda: _plan_text(planned))


def _plan_text(planned: PlannedBackup) -> None:
    render.out(
        f"database {planned.database} (PostgreSQL {planned.server}): {render.counted(planned.tables, 'table')},"
        f" {size(planned.bytes)} before compression"
    )
    render.out(f"by pg_dump {planned.pg_dump} ({planned.pg_dump_source}); nothing was written")
    _left_out(planned.left_out_schemas, planned.left_out_tables)


def backup_document(result: Backup, target: Target | None = None) -> documents.BackedUp:
    """The last line of a backup in JSON."""
    return {
        "event": "backed_up",
        "file": result.file,
        "manifest": result.manifest,
        "bytes": result.bytes,
        "sha256": result.sha256,
        "taken_at": result.taken_at,
        "database": result.database,
        "server": result.server,
        "pg_dump": result.pg_dump,
        "steps": result.steps,
        "keys": result.keys,
        "tables": result.tables,
        "rows": result.rows,
        "left_out_schemas": result.left_out_schemas,
        "left_out_tables": result.left_out_tables,
        "recorded": result.recorded,
        "seconds": result.seconds,
        "target": target,
    }


def backed_up(result: Backup, output: Output, target: Target | None = None) -> None:
    """Print the contents and the place of a backup."""
    command = f"callctl restore {shlex.quote(str(result.file))} --database URL"
    following = render.Next(command, f"{command}, into an empty database, to see that it can be")
    render.answer(output, lambda: backup_document(result, target), lambda: _backed_up_text(result, target), following)


def _backed_up_text(result: Backup, target: Target | None) -> None:
    label = render.styled("backed up", "good", sys.stdout)
    render.out(
        f"{label}: {render.counted(result.rows, 'row')} of {render.counted(result.tables, 'table')}"
        f" as of {result.taken_at.isoformat(sep=' ', timespec='seconds')}, in {result.seconds:.1f} s"
    )
    render.own(f"{redact(str(result.file))}: {size(result.bytes)}, SHA-256 {result.sha256}")
    render.out(f"{result.manifest.name}: rows by table, versions, {_steps(result.steps)}")
    render.written(target, "taken of")
    _left_out(result.left_out_schemas, result.left_out_tables)
    _keys(result.keys)


def restored_document(result: Restored, target: Target | None = None) -> documents.RestoredLine:
    """The last line of a restore in JSON."""
    return {
        "event": "restored",
        "file": result.file,
        "database": result.database,
        "server": result.server,
        "taken_at": result.taken_at,
        "taken_of": result.taken_of,
        "steps": result.steps,
        "keys": result.keys,
        "tables": result.tables,
        "rows": result.rows,
        "owners_kept": result.owners_kept,
        "settings_left": result.settings_left,
        "dry_run": result.dry_run,
        "seconds": result.seconds,
        "target": target,
    }


def restored(result: Restored, output: Output, target: Target | None = None) -> None:
    """Print the result of a restore, or of its dry run."""
    render.answer(
        output,
        lambda: result if result.dry_run else restored_document(result, target),
        lambda: _restored_text(result, target),
        None if result.dry_run else render.Next("callctl verify"),
    )


def _restored_text(result: Restored, target: Target | None) -> None:
    rows = f"{render.counted(result.rows, 'row')} of {render.counted(result.tables, 'table')}"
    taken = f"{result.taken_of} as of {result.taken_at.isoformat(sep=' ', timespec='seconds')}"
    if result.dry_run:
        render.out(f"{result.file} is complete and can be restored into database {result.database}: {rows}")
        render.out(f"it is {taken}, with {_steps(result.steps)}; nothing was changed")
    else:
        label = render.styled("restored", "good", sys.stdout)
        render.out(f"{label}: {rows}, as the manifest says, in database {result.database}, in {result.seconds:.1f} s")
        render.out(f"it is {taken}, with {_steps(result.steps)}")
        render.written(target)
    if not result.owners_kept:
        render.note("the connected role owns everything, and there are no grants")
    if result.settings_left:
        names = ", ".join(result.settings_left)
        render.note(
            f"settings of the old database that a dump does not contain; set them by hand (ALTER DATABASE … SET):"
            f" {names}"
        )
    _keys(result.keys)


def _steps(steps: Sequence[int]) -> str:
    return f"{render.steps(steps)} applied" if steps else "no step applied"


def _left_out(schemas: Sequence[str], tables: Sequence[str]) -> None:
    if schemas:
        render.note(f"left out on request: schema {', '.join(schemas)}")
    if tables:
        render.note(f"left out, since a standby cannot read unlogged tables: the rows of {', '.join(tables)}")


def _keys(keys: Sequence[str]) -> None:
    if keys:
        render.note(f"its secrets need keys that the file does not contain: {', '.join(keys)}")
