"""Draws the log of all that callctl did to a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any

from callctl.redaction import printable
from callctl.render import console as render
from callctl.render.console import table

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.database.log import Entry
    from callctl.render import documents

# What a line of text shows of a command's detail; JSON has all of it. Of another command it is all of it, too.
_SHOWN: Mapping[str, Sequence[str]] = {
    "backup": ("file",),
    "restore": ("taken_of", "file"),
    "seed-models": ("inserted", "updated", "accounts"),
    "purge": ("rows",),
    "loadtest": ("calls_removed",),
}
# The most names of a list that are shown; of a longer list only the number is.
_MOST_NAMES = 3


def log(entries: Sequence[Entry], output: Output, *, filtered: bool, wide: bool = False) -> None:
    """The entries as they are given, newest first; ``filtered`` if there may be others."""
    render.answer(output, lambda: log_document(entries), lambda: _text(entries, filtered=filtered, wide=wide))


def log_document(entries: Sequence[Entry]) -> documents.Log:
    return {
        "entries": [
            {
                "at": entry.at,
                "command": entry.command,
                "outcome": entry.outcome,
                "started_at": entry.started_at,
                "database_role": entry.database_role,
                "client": entry.client,
                "callctl_version": entry.callctl_version,
                "relation": entry.relation,
                "id": entry.id,
                "detail": entry.detail,
            }
            for entry in entries
        ]
    }


def _text(entries: Sequence[Entry], *, filtered: bool, wide: bool) -> None:
    if not entries:
        render.out("no entry of the log matches" if filtered else "callctl has recorded nothing on this database")
        return
    table(
        ("at (UTC)", "command", "what", "client", "role", "callctl"),
        (
            (
                f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
                printable(entry.command),
                printable(what(entry)),
                printable(entry.client or "not recorded"),
                printable(entry.database_role or "not recorded"),
                printable(entry.callctl_version or "not recorded"),
            )
            for entry in entries
        ),
        spare=("callctl", "role"),
        wide=wide,
    )


def what(entry: Entry) -> str:
    """Return what the command did, in a few words: 'step 4 up, backfill_capabilities', 'companies acme, zeta'."""
    detail = entry.detail
    if entry.relation == "history":
        name = detail["file"].split("/")[-2].partition("_")[2]
        return f"step {detail['step']} {detail['direction']}, {name}"
    if entry.relation == "rotation":
        parts = [
            f"from {', '.join(detail['from_keys'])}" if detail["from_keys"] else "",
            f"to {detail['to_key']}" if detail["to_key"] else "",
            render.counted(detail["failures"], "value") + " left" if detail["failures"] else "",
            entry.outcome if entry.outcome != "done" else "",
        ]
        return ", ".join(part for part in parts if part)
    shown = _SHOWN.get(entry.command, tuple(detail))
    return ", ".join(_member(name, detail[name]) for name in shown if detail.get(name))


def _member(name: str, value: Any) -> str:
    """A member of a detail: its name, and its value if that is short."""
    words = name.replace("_", " ")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,} {words}"
    names = [_name(item) for item in value] if isinstance(value, list | tuple | Mapping) else [str(value)]
    return f"{words} {', '.join(names)}" if len(names) <= _MOST_NAMES else f"{len(names):,} {words}"


def _name(item: Any) -> str:
    """The name of an item of a list, where it has one: a company's slug, a table."""
    if not isinstance(item, Mapping):
        return str(item)
    return str(next((item[key] for key in ("slug", "name", "id") if item.get(key)), "?"))
