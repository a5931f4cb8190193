"""A dump put into a database, in the transaction of the connection that is given.

pg_restore turns the dump into SQL, and callctl sends it. So the password stays here, an error has its SQLSTATE, what
was restored can be compared with the manifest before it is committed, and a setting that an older server does not know
can be left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

from callctl.database.child import Child
from callctl.database.client_programs import Program
from callctl.errors import StepFailed
from callctl.events import BackupProgress, OnEvent
from callctl.files import read_sql

if TYPE_CHECKING:
    from callctl.database.connection import Connection

Section = Literal["pre-data", "data", "post-data"]

_HINT_BYTES = 1 << 17
_END_OF_ROWS = b"\\.\n"
# What it puts around large objects; they belong into the one transaction.
_OWN_TRANSACTION = (b"BEGIN;\n", b"COMMIT;\n")
# What pg_restore says to psql alone, followed by a word that it makes up for the occasion; and at the end the other.
_FOR_PSQL, _AND_AT_THE_END = b"\\restrict ", b"\\unrestrict "
_NOT_BEFORE_17 = b"SET transaction_timeout = 0;\n"
_ESCAPES = b"SET standard_conforming_strings = off;\n"
_TABLES = frozenset({"table", "table attach"})
_FUNCTIONS = frozenset({"extension", "function", "procedure"})
# What pg_restore writes above each object.
_OBJECT = re.compile(rb"^--\n-- Name: .*; Type: (?P<type>.*); Schema: .*; Owner: .*\n--\n", re.MULTILINE)


@dataclass(frozen=True)
class Replay:
    """One dump on its way into one database. ``descriptor`` is the dump's, open to read."""

    connection: Connection
    program: Program
    descriptor: int
    no_owner: bool
    on_event: OnEvent
    # Where functions without a search_path of their own look for names until :meth:`settle`.
    search_path: Sequence[str]

    def contents(self) -> list[str]:
        """The lines of the dump's table of contents, each from its kind on: "TABLE DATA chatapp users platform".

        Raises StepFailed where pg_restore cannot read the dump.
        """
        with self._started("--list") as child:
            lines = [line.decode(errors="replace").rstrip("\n") for line in child.output]
            self._assert_whole(child)
        return [line.split(" ", 3)[3] for line in lines if not line.startswith(";") and line.count(" ") > 3]

    def escapes(self) -> bool:
        """Whether the dump turns standard_conforming_strings off."""
        with self._restoring("pre-data") as child:
            for line in child.output:
                if line == _ESCAPES:
                    return True
                if line.startswith(b"-- Name: "):
                    break
        return False

    def definitions(self) -> None:
        """Schemas, types, functions, tables: what comes before the rows. Raises psycopg's errors, StepFailed."""
        text = self._text("pre-data")
        self.on_event(BackupProgress("definitions", "schemas, types, functions, tables", 0, 1, "objects"))
        self.connection.execute(
            "SELECT set_config('callctl.restore_path', %s::text[]::text, true)", (list(self.search_path),)
        )
        begin, lend = 0, False
        for kind, start, _ in _objects(text):
            # A table that is partitioned by an expression evaluates it at once.
            if lend and kind in _TABLES:
                self._send(text[begin:start])
                self._lend_path()
                begin, lend = start, False
            lend = lend or kind in _FUNCTIONS
        self._send(text[begin:])
        self._lend_path()

    def rows(self, total: int) -> None:
        """The rows of every table, sequences, large objects. ``total`` is what the manifest expects."""
        import psycopg

        with self._restoring("data") as child:
            lines = _Lines(child.output)
            try:
                self._send_rows(lines, total)
            except (psycopg.Error, _EndedEarly):
                if lines.ended:
                    self._assert_whole(child)  # half a line, because pg_restore could not go on
                raise
            self._assert_whole(child)

    def _send_rows(self, lines: _Lines, total: int) -> None:
        done = 0
        statement: list[bytes] = []
        for line in self._meant(lines):
            if line in _OWN_TRANSACTION:
                continue
            statement.append(line)
            if line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
                self._send(b"".join(statement[:-1]))
                name = line.split(b" ", 2)[1].decode(errors="replace")
                with self.connection.cursor() as cursor, cursor.copy(line) as copy:
                    for block in lines.block():
                        copy.write(b"".join(block))
                        done += len(block)
                        self.on_event(BackupProgress("rows", name, done, total, "rows"))
                statement = []
            elif line.endswith(b";\n") and len(statement) > 200:  # large objects have many, a line each
                self._send(b"".join(statement))
                statement = []
        self._send(b"".join(statement))

    def indexes(self) -> None:
        """What comes after the rows: indexes, constraints, triggers, publications."""
        text = self._text("post-data")
        objects = _objects(text)
        self._send(text[: objects[0][1]] if objects else text)
        for number, (kind, start, end) in enumerate(objects):
            self.on_event(BackupProgress("indexes", kind, number, len(objects), "objects"))
            self._send(text[start:end])

    def settle(self) -> None:
        """Take back what functions were lent for the restore. Raises psycopg's errors."""
        self.connection.execute(read_sql("backup/return_path.sql"))

    def _lend_path(self) -> None:
        self.connection.execute(read_sql("backup/lend_path.sql"))

    def _text(self, section: Section) -> bytes:
        with self._restoring(section) as child:
            text = b"".join(self._meant(child.output))
            self._assert_whole(child)
        return text

    def _restoring(self, section: Section) -> Child:
        return self._started(
            f"--section={section}",
            "--file=-",
            # Another server has other disks.
            "--no-tablespaces",
            *(["--no-owner", "--no-privileges"] if self.no_owner else []),
        )

    def _started(self, *options: str) -> Child:
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        argv = [str(self.program.path), "--format=custom", *options]
        return Child(argv, self.program.environment, stdin=self.descriptor)

    def _assert_whole(self, child: Child) -> None:
        if (said := child.failure()) is not None:
            raise StepFailed(
                f"pg_restore {self.program.version} ({self.program.source}) cannot read the dump: {said};"
                " nothing was restored",
                hint="see whether the file is what was written (sha256sum), and pg_restore not older than its pg_dump",
            )

    def _send(self, text: bytes) -> None:
        if text.strip():
            self.connection.execute(text)

    def _meant(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The lines that are for this server: not for psql, and no setting that only a later one knows."""
        above, last = True, b""
        for line in lines:
            above = above and not line.startswith(b"-- Name: ")
            if above and line.startswith(_FOR_PSQL):
                last = line.replace(_FOR_PSQL, _AND_AT_THE_END, 1)
            elif not (
                line == last or (above and line == _NOT_BEFORE_17 and self.connection.info.server_version < 170000)
            ):
                yield line


def _objects(text: bytes) -> list[tuple[str, int, int]]:
    """The objects in a script of pg_restore's: kind, and where the text begins and ends."""
    found = list(_OBJECT.finditer(text))
    ends = [each.start() for each in found[1:]] + [len(text)] * bool(found)
    return [
        (each["type"].decode(errors="replace").lower(), each.start(), end)
        for each, end in zip(found, ends, strict=True)
    ]


class _EndedEarly(Exception):
    """The script ends among the rows of a table."""


class _Lines:
    """The lines of a script; and after a COPY, those of its rows, many at a time. ``ended``: there are no more."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.ended = False
        self._stream = stream
        self._ahead: list[bytes] = []

    def __iter__(self) -> Iterator[bytes]:
        while True:
            if not self._ahead:
                self._ahead = self._stream.readlines(_HINT_BYTES)[::-1]
                if not self._ahead:
                    self.ended = True
                    return
            yield self._ahead.pop()

    def block(self) -> Iterator[list[bytes]]:
        """Rows up to the line that ends them, which is taken away. Raises _EndedEarly."""
        while True:
            lines = self._ahead[::-1] or self._stream.readlines(_HINT_BYTES)
            self._ahead = []
            if not lines:
                self.ended = True
                raise _EndedEarly
            try:
                end = lines.index(_END_OF_ROWS)
            except ValueError:
                yield lines
                continue
            self._ahead = lines[end + 1 :][::-1]
            if end:
                yield lines[:end]
            return
