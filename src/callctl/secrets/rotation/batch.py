"""One batch of a rotation: rows, what is to be done about each, and what is sent to have it done."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from callctl.secrets.rotation.ranges import LeftValue
from callctl.secrets.rotation.wire import INTEGER, JSONB, TEXT, array
from callctl.secrets.rows.result import Change, Failure, Reencrypted
from callctl.secrets.rows.row import Row, Target
from callctl.stored_bytes import stored


@dataclass(frozen=True)
class Batch:
    """Some rows of one target, and what is to be done about each."""

    target: Target
    rows: Sequence[Row]
    results: Sequence[Reencrypted]

    def changed(self) -> list[int]:
        """The rows to be written, by their position."""
        return [position for position, result in enumerate(self.results) if result.changes]

    def found(self) -> list[LeftValue]:
        """The values left as they were."""
        return [
            LeftValue(row.row_id, failure)
            for row, result in zip(self.rows, self.results, strict=True)
            for failure in result.failures
        ]

    def versions(self, chosen: Sequence[int]) -> frozenset[str]:
        """The versions of these rows, by which they are told apart."""
        return frozenset([self.rows[each].version for each in chosen])

    def of(self, versions: Collection[str]) -> Iterator[Reencrypted]:
        """What is done about the rows with these versions."""
        return (result for row, result in zip(self.rows, self.results, strict=True) if row.version in versions)

    def keys(self, lost: Collection[str]) -> list[str]:
        """The keys of the rows with these versions, each once and in their order."""
        return list(dict.fromkeys(row.key for row in self.rows if row.version in lost))

    def without(self, lost: Collection[str]) -> Batch:
        """The rows that did not lose."""
        kept = [position for position, row in enumerate(self.rows) if row.version not in lost]
        return Batch(self.target, [self.rows[each] for each in kept], [self.results[each] for each in kept])

    def left(self, reason: str) -> Batch:
        """The same rows with nothing written, and every value that would have been listed as left, for this reason."""
        results = [
            result._replace(
                values=(None,) * len(result.values),
                changes=(),
                failures=(*result.failures, *(Failure(change.path, reason) for change in result.changes)),
            )
            for result in self.results
        ]
        return Batch(self.target, self.rows, results)

    def values(self, chosen: Sequence[int]) -> tuple[list[int], list[bytes]]:
        """The columns that are written in these rows, by number, and the parameters: keys, versions, new values."""
        rows = [self.rows[each] for each in chosen]
        values = [
            array(TEXT, [stored(row.key) for row in rows]),
            array(TEXT, [row.version.encode() for row in rows]),
        ]
        parts = []
        for number, part in enumerate(self.target.parts):
            texts = [self.results[each].values[number] for each in chosen]
            if texts.count(None) == len(texts):
                continue
            parts.append(number)
            if part.form == "text":
                values.append(array(TEXT, [None if text is None else stored(text) for text in texts]))
            else:
                values.append(array(JSONB, [None if text is None else b"\x01" + stored(text) for text in texts]))
        return parts, values

    def kinds(self, chosen: Sequence[int]) -> tuple[list[list[dict[str, Any]]], bytes]:
        """What these rows count for, if not all of them are written: each kind of row once, as :meth:`Tally.as_json`
        has changes; and a parameter with the position of each row's kind there.
        """
        known: dict[tuple[Change, ...], int] = {}
        numbers = [known.setdefault(self.results[each].changes, len(known)) for each in chosen]
        return (
            [[change.as_json() for change in changes] for changes in known],
            array(INTEGER, [number.to_bytes(4, "big") for number in numbers]),
        )
