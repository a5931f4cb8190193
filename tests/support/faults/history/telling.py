"""A finding with the history of its row: each version, who wrote it, and what the writer meant."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.faults.history.judge import words
from tests.support.faults.history.records import Commit, Finding, History, Place, Row

SHOWN = ("type", "chat", "call", "settings", "name")
WIDTH = 50


def tell(history: History, finding: Finding) -> str:
    """The finding and every version of the row, under all ids that it had."""
    return "\n  ".join([str(finding), *_versions(history, finding.place)])


def _versions(history: History, place: Place) -> Iterator[str]:
    clients = {client.xid: client for client in history.transactions if client.xid is not None}
    keys = _ids(history, place)
    for event in history.events:
        if not isinstance(event, Commit):
            rows = [event.rows[place[0], key] for key in sorted(keys) if (place[0], key) in event.rows]
            yield f"--- {event.label}: {' and '.join(map(_said, rows)) or 'no row'}"
            continue
        for version in event.versions:
            if version.table != place[0] or not {version.key, version.old_key} & keys:
                continue
            client = clients.get(event.xid)
            who = "callctl" if client is None else client.client + (" as replica" if client.replica else "")
            meant = [
                words(write)
                for write in (client.writes if client else ())
                if write.table == place[0] and {version.key, version.old_key} & {*write.keys}
            ]
            yield (
                f"{event.xid} {version.kind} {_said(version.old)} -> {_said(version.new)}: {who}"
                f"{': ' if meant else ''}{', '.join(meant)}"
            )


def _ids(history: History, place: Place) -> set[str]:
    """All ids of the row, before and after."""
    keys = {place[1]}
    for _ in range(2):
        for event in history.events:
            for version in event.versions if isinstance(event, Commit) else ():
                if version.table == place[0] and {version.key, version.old_key} & keys:
                    keys |= {version.key, version.old_key}
    return keys


def _said(row: Row | None) -> str:
    if row is None:
        return "no row"
    values = {name: row[name] for name in SHOWN if name in row}
    return "(" + ", ".join(f"{name} {_cut(value)}" for name, value in values.items()) + ")"


def _cut(value: str | None) -> str:
    if value is None:
        return "NULL"
    return value if len(value) <= WIDTH else f"{value[:WIDTH]} ..."
