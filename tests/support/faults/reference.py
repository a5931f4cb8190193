"""What a migration that nobody disturbed leaves, and whether another one left the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.db import snapshot
from tests.support.faults.chain import Chain
from tests.support.faults.own_server import administer
from tests.support.faults.points import Point, Transactions, store_contents


@dataclass(frozen=True)
class Reference:
    """What runs that nobody disturbed saw and left: of one baseline, up and back down."""

    before: snapshot.Snapshot
    up: snapshot.Snapshot
    up_store: dict[str, list[str]]
    down: snapshot.Snapshot
    down_store: dict[str, list[str]]
    points: dict[str, list[Point]]
    transactions: Transactions


def look(chain: Chain) -> tuple[snapshot.Snapshot, dict[str, list[str]]]:
    """The database as it stands: the platform's part, and callctl's."""
    with administer(chain.server.url(chain.database)) as admin:
        row = admin.execute("SELECT to_regnamespace('callctl') IS NOT NULL").fetchone()
        return snapshot.take(admin), store_contents(admin) if row == (True,) else {}


def new_rows_by_contents(taken: snapshot.Snapshot, before: snapshot.Snapshot) -> dict[str, dict[str, Any]]:
    """The rows of a snapshot; those that the migration added under their contents, since their ids are random."""
    tables: dict[str, dict[str, Any]] = {}
    for table, rows in taken.rows.items():
        old = before.rows.get(table, {})
        tables[table] = {}
        for key, row in rows.items():
            if key in old:
                tables[table][key] = row
            else:
                contents = {
                    name: value for name, value in row.items() if name not in ("id", "created_at", "updated_at")
                }
                tables[table][f"new {sorted(contents.items(), key=repr)}"] = contents
    return tables


def assert_up(chain: Chain, expected: Reference) -> None:
    """The same as a run that nobody disturbed: catalog, rows, and what callctl keeps."""
    taken, store = look(chain)
    snapshot.assert_same_catalog(expected.up, taken)
    old, new = (new_rows_by_contents(shot, expected.before) for shot in (expected.up, taken))
    assert snapshot.row_differences(old, new, snapshot.touched_columns(expected.before)) == []
    assert store == expected.up_store


def assert_down(chain: Chain, expected: Reference) -> None:
    """The same as it was before anything ran."""
    taken, store = look(chain)
    snapshot.assert_same(expected.before, taken, snapshot.touched_columns(expected.before))
    assert {name: len(rows) for name, rows in store.items()} == {
        name: len(rows) for name, rows in expected.down_store.items()
    }
