"""The work of a rotation as callctl's schema holds it: ranges of keys, each taken by one process at a time.

Processes on any number of machines work at one rotation; the database alone coordinates them. A range belongs to the
session that has its advisory lock, so that of a process that dies is free again when its connection is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from callctl.database.lock import RANGE_CLASS, let_go, lock
from callctl.files import read_sql
from callctl.secrets.rows.row import MOST_LISTED, Change, Failure, Reencrypted

if TYPE_CHECKING:
    from callctl.database.connection import Connection

# How many rows a range has, about: enough that taking one costs nothing, few enough that processes end together.
RANGE_ROWS = 20_000


@dataclass
class Tally:
    """Counts rows read and written, and values by their earlier state.

    Also counts, by type, the accounts whose credentials do not have the type's shape.
    """

    read: int = 0
    written: int = 0
    failures: int = 0
    changes: Counter[Change] = field(default_factory=Counter)
    misshapen: Counter[str] = field(default_factory=Counter)

    def plus(self, results: Iterable[Reencrypted]) -> Tally:
        """This and some rows more."""
        counted = list(results)
        changed = [result.changes for result in counted if result.changes]
        tally = self._copy()
        tally.read += len(counted)
        tally.written += len(changed)
        tally.failures += sum([len(result.failures) for result in counted if result.failures])
        tally.changes.update(chain.from_iterable(changed))
        tally.misshapen.update([result.misshapen for result in counted if result.misshapen is not None])
        return tally

    def _copy(self) -> Tally:
        return Tally(self.read, self.written, self.failures, self.changes.copy(), self.misshapen.copy())

    def written_only(self, results: Iterable[Reencrypted]) -> Tally:
        """This and what was written of some rows that are not done yet; they count as read when they are."""
        tally = self._copy()
        for result in results:
            tally.written += 1
            tally.changes.update(result.changes)
        return tally

    def add(self, other: Tally) -> None:
        """Take another tally into this one."""
        self.read += other.read
        self.written += other.written
        self.failures += other.failures
        self.changes.update(other.changes)
        self.misshapen.update(other.misshapen)

    def as_json(self) -> dict[str, Any]:
        """As the store has it."""
        changes = sorted(self.changes.items(), key=lambda item: [part or "" for part in item[0]])
        return {
            "read": self.read,
            "written": self.written,
            "changes": [{**change.as_json(), "values": number} for change, number in changes],
            "misshapen": dict(sorted(self.misshapen.items())),
        }

    @staticmethod
    def of(counts: Mapping[str, Any], failures: int) -> Tally:
        """As the store has it, where one change may be repeated (``sql/secrets/rows/target/write_at_once.sql``)."""
        changes: Counter[Change] = Counter()
        for count in counts.get("changes", ()):
            changes[Change(count["account_type"], count["field"], count["from"])] += count["values"]
        misshapen = Counter(counts.get("misshapen", {}))
        return Tally(counts.get("read", 0), counts.get("written", 0), failures, changes, misshapen)


@dataclass
class Range:
    """One range of a rotation, in the hands of this session. ``above`` and ``up_to`` are keys as text."""

    id: int
    rotation: int
    table: str
    above: str | None
    up_to: str | None
    tally: Tally


@dataclass(frozen=True)
class LeftValue:
    """A value left as it was, with the row it is in."""

    row_id: str
    failure: Failure


def take(connection: Connection, rotation: int) -> Range | None:
    """A range that is not done and that no other process has; None if there is no such range at the moment."""
    for (number,) in connection.execute(
        read_sql("secrets/rotation/open_ranges.sql"), {"rotation": rotation}
    ).fetchall():
        if not lock(connection, RANGE_CLASS, number):
            continue
        row = connection.execute(read_sql("secrets/rotation/range.sql"), {"range": number}).fetchone()
        if row is not None:
            id, table, above, up_to, reached, rows_done, counts, failures = row
            tally = Tally.of(counts, failures)
            tally.read = rows_done
            return Range(id, rotation, table, reached or above, up_to, tally)
        let_go(connection, RANGE_CLASS, number)  # another process has finished it
    return None


def reached(
    connection: Connection,
    taken: Range,
    key: str | None,
    tally: Tally,
    left_values: Iterable[LeftValue],
    *,
    finished: bool = False,
) -> None:
    """Write how far a range has come, and what was left as it was, in the caller's transaction."""
    from psycopg.types.json import Jsonb

    values = {
        "range": taken.id,
        "reached": key,
        "rows_done": tally.read,
        "counts": Jsonb(tally.as_json()),
        "failures": tally.failures,
        "finished": finished,
    }
    connection.execute(read_sql("secrets/rotation/reached.sql"), values)
    room = max(MOST_LISTED - taken.tally.failures, 0)
    listed = list(left_values)[:room]
    if listed:
        rows = {
            "rotation": taken.rotation,
            "relation": taken.table,
            "rows": [left_value.row_id for left_value in listed],
            "paths": [left_value.failure.path for left_value in listed],
            "reasons": [left_value.failure.reason for left_value in listed],
        }
        connection.execute(read_sql("secrets/rotation/failure.sql"), rows)
