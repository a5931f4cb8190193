"""Row versions from the text that the output plugin test_decoding writes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tests.support.faults.history.records import Commit, Row, Version, VersionKind

# table chatapp.chatbots: UPDATE: old-key: id[uuid]:'...' new-tuple: id[uuid]:'...' name[character varying]:'...'
CHANGE = re.compile(r"table ([^:]+): (INSERT|UPDATE|DELETE):(.*)", re.DOTALL)
COLUMN = re.compile(
    r""" (?P<name>"(?:[^"]|"")+"|[^\s\[":]+)          # quoted where it must be
         \[(?P<type>(?:[^\[\]]|\[\])+)\]:
         (?P<value>'(?:[^']|'')*'|[^\s']+)""",
    re.DOTALL | re.VERBOSE,
)
KINDS: Mapping[str, VersionKind] = {"INSERT": "insert", "UPDATE": "update", "DELETE": "delete"}
UNCHANGED = "unchanged-toast-datum"
OLD, NEW = " old-key:", " new-tuple:"


class Decoder:
    """Puts the lines of a slot together to commits; only rows of the watched tables, in canonical names."""

    def __init__(self, tables: Mapping[str, str], names: Mapping[str, Mapping[str, str]]) -> None:
        """``tables``: qualified name to canonical one; ``names``: by canonical table, column to canonical column."""
        self._tables, self._names = tables, names
        self._open: list[Version] = []

    def commits(self, lines: Iterable[tuple[int, str]]) -> list[Commit]:
        """The commits among these lines (xid, text) that wrote to a watched table."""
        commits: list[Commit] = []
        for xid, text in lines:
            if text.startswith("BEGIN"):
                self._open = []
            elif text.startswith("COMMIT"):
                if self._open:
                    commits.append(Commit(xid, tuple(self._open)))
            elif (version := self.version(text)) is not None:
                self._open.append(version)
        return commits

    def version(self, text: str) -> Version | None:
        """The row version that a line tells of, None for any other table."""
        change = CHANGE.match(text)
        if change is None or change[1] not in self._tables:
            return None
        table = self._tables[change[1]]
        kind = KINDS[change[2]]
        if kind == "insert":
            return Version(kind, table, None, self._row(table, change[3]))
        if kind == "delete":
            return Version(kind, table, self._row(table, change[3]), None)
        # REPLICA IDENTITY FULL: the old row is always there. No column holds the separator outside of quotes.
        assert change[3].startswith(OLD), "the table's REPLICA IDENTITY is not FULL"
        before = self._row(table, change[3][len(OLD) :], until=NEW)
        rest = change[3][len(OLD) + self._end :]
        after = self._row(table, rest[len(NEW) :])
        # NULLs are left out of an old row, a value stored elsewhere and not changed out of a new one.
        new = {name: before.get(name) if value == UNCHANGED else value for name, value in after.items()}
        return Version(kind, table, {name: before.get(name) for name in new}, new)

    def _row(self, table: str, text: str, *, until: str | None = None) -> Row:
        row: dict[str, str | None] = {}
        position = 0
        while position < len(text):
            if until is not None and text.startswith(until, position):
                break
            match = COLUMN.match(text, position + 1)  # behind the space
            assert match is not None, f"not a column: {text[position : position + 80]!r}"
            name = match["name"]
            if name.startswith('"'):
                name = name[1:-1].replace('""', '"')
            row[self._names[table].get(name, name)] = _value(match["value"])
            position = match.end()
        self._end = position
        return row


def _value(text: str) -> str | None:
    if text == "null":
        return None
    return text[1:-1].replace("''", "'") if text.startswith("'") else text
