"""The ways to re-encrypt every secret under another key, and the limit: the same UPDATE with values that are ready."""

from __future__ import annotations

import json
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.online import bench
from benchmarks.online.command import Command, run
from benchmarks.rotation import accounts
from benchmarks.rotation.accounts import RELATION, Form, Ready
from callctl.sandbox.lifecycle import connect
from callctl.sandbox.server import Server
from callctl.secrets.envelope.cipher import Encrypter, Place, envelope_text

BATCH = 2_000  # rows a commit, as callctl's own default
READ_AT_ONCE = 1_000


@dataclass(frozen=True)
class Options:
    """``sample_s``: a way that goes row by row is stopped after so many seconds, and its rate taken from those."""

    program: str
    sample_s: float


@dataclass(frozen=True)
class Measured:
    """Rows done in so many seconds, and the peak memory of the processes (0: not watched)."""

    rows: int
    seconds: float
    memory_mb: float = 0.0


Way = Callable[[str, Sequence[Ready], Options], Measured]


# ---- the limit -----------------------------------------------------------------------------------------

_UUID, _TEXT, _JSONB = 2950, 25, 3802
_FROM_PARAMETERS = f"""
UPDATE {RELATION} AS t SET credentials = n.credentials, access_token = n.access_token, refresh_token = n.refresh_token
FROM unnest($1::uuid[], $2::jsonb[], $3::text[], $4::text[]) AS n (id, credentials, access_token, refresh_token)
WHERE t.id = n.id""".encode()
_FROM_TABLE = f"""
UPDATE {RELATION} AS t SET credentials = n.credentials, access_token = n.access_token, refresh_token = n.refresh_token
FROM ready AS n WHERE t.id = n.id"""


def _array(element: int, items: Sequence[bytes]) -> bytes:
    head = struct.pack("!iiIii", 1, 0, element, len(items), 1)
    return head + b"".join([piece for item in items for piece in (len(item).to_bytes(4, "big"), item)])


def _parameters(batch: Sequence[Ready]) -> list[bytes]:
    return [
        _array(_UUID, [account.id for account in batch]),
        _array(_JSONB, [b"\x01" + account.credentials for account in batch]),
        _array(_TEXT, [account.access_token for account in batch]),
        _array(_TEXT, [account.refresh_token for account in batch]),
    ]


def limit_parameters(connections: int) -> Way:
    """Ready-made binary parameters, a batch a commit, in the order of the keys; each connection has a range."""

    def way(url: str, ready: Sequence[Ready], _: Options) -> Measured:
        batches = [_parameters(ready[start : start + BATCH]) for start in range(0, len(ready), BATCH)]
        own = -(-len(batches) // connections)

        def work(connection: psycopg.Connection[Any], number: int) -> None:
            connection.execute("SET synchronous_commit = off")
            for hint in ("seqscan", "hashjoin", "mergejoin", "material"):
                connection.execute(f"SET enable_{hint} = off".encode())
            for parameters in batches[number * own : (number + 1) * own]:
                result = connection.pgconn.exec_params(_FROM_PARAMETERS, list(parameters), param_formats=[1] * 4)
                if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
                    raise RuntimeError(result.error_message.decode())

        return Measured(len(ready), _side_by_side(url, connections, work))

    return way


def limit_table(url: str, ready: Sequence[Ready], _: Options) -> Measured:
    """From a table of ready values, in one statement."""
    with connect(url) as connection:
        connection.execute("CREATE TABLE ready (id uuid, credentials jsonb, access_token text, refresh_token text)")
        with connection.cursor() as cursor, cursor.copy("COPY ready FROM STDIN") as copy:
            for account in ready:
                texts = (account.credentials, account.access_token, account.refresh_token)
                copy.write_row((account.id.hex(), *(text.decode() for text in texts)))
        connection.execute("VACUUM ANALYZE ready")
        connection.execute("CHECKPOINT")
    return Measured(len(ready), _side_by_side(url, 1, lambda connection, _: connection.execute(_FROM_TABLE)))


def _side_by_side(url: str, connections: int, work: Callable[[psycopg.Connection[Any], int], object]) -> float:
    """The seconds until all are done and what they wrote is on disk."""
    opened = [connect(url) for _ in range(connections)]
    failed: list[BaseException] = []

    def work_alone(number: int) -> None:
        try:
            work(opened[number], number)
        except BaseException as problem:
            failed.append(problem)

    began = time.monotonic()
    threads = [threading.Thread(target=work_alone, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened[0].execute("SET synchronous_commit = on")
    opened[0].execute("SELECT pg_logical_emit_message(true, 'benchmark', '')")
    seconds = time.monotonic() - began
    for connection in opened:
        connection.close()
    if failed:
        raise failed[0]
    return seconds


# ---- what a program does that goes through an ORM --------------------------------------------------------

_SELECT = f"SELECT id, credentials, access_token, refresh_token FROM {RELATION}"
_UPDATE = f"UPDATE {RELATION} SET credentials = %s, access_token = %s, refresh_token = %s WHERE id = %s"
_NOWHERE = Place("", "", "", "")


class _Again:
    """Decrypts and encrypts again, plainly, with one AESGCM object a key; nothing is checked."""

    def __init__(self) -> None:
        self._old = AESGCM(accounts.key("k1").secret)
        self._new = Encrypter(accounts.key("k2"))

    def row(self, id: Any, credentials: Any, *tokens: str) -> tuple[Any, ...]:
        return (json.dumps(self._inside(credentials)), *(self._text(token) for token in tokens), id)

    def _text(self, text: str) -> str:
        return envelope_text(self._encrypted(json.loads(text)))

    def _inside(self, value: Any) -> Any:
        if isinstance(value, dict):
            if "authTag" in value:
                return self._encrypted(value)
            return {name: self._inside(member) for name, member in value.items()}
        return [self._inside(item) for item in value] if isinstance(value, list) else value

    def _encrypted(self, envelope: dict[str, str]) -> dict[str, Any]:
        ciphertext = bytes.fromhex(envelope["encrypted"] + envelope["authTag"])
        plaintext = self._old.decrypt(bytes.fromhex(envelope["iv"]), ciphertext, None).decode()
        return self._new.encrypt(plaintext, _NOWHERE, 1)


def _pages(connection: psycopg.Connection[Any], rows: int) -> Iterator[list[tuple[Any, ...]]]:
    after: Any = "00000000-0000-0000-0000-000000000000"
    while page := connection.execute(f"{_SELECT} WHERE id > %s ORDER BY id LIMIT {rows}".encode(), (after,)).fetchall():
        connection.commit()
        after = page[-1][0]
        yield page


def row_by_row(url: str, ready: Sequence[Ready], options: Options) -> Measured:
    """SELECT, UPDATE, COMMIT for each row."""
    again = _Again()
    ids = [account.id.hex() for account in ready]
    with psycopg.connect(url) as connection:
        began, rows_done = time.monotonic(), 0
        for id in ids:
            rows = connection.execute(f"{_SELECT} WHERE id = %s".encode(), (id,)).fetchall()
            connection.execute(_UPDATE, again.row(*rows[0]))
            connection.commit()
            rows_done += 1
            if time.monotonic() - began > options.sample_s:
                break
        return Measured(rows_done, time.monotonic() - began)


def page_by_page(url: str, _: Sequence[Ready], options: Options) -> Measured:
    """Read 1,000; UPDATE and COMMIT each: what most ORMs' rotations do."""
    again = _Again()
    with psycopg.connect(url) as connection:
        began, rows_done = time.monotonic(), 0
        for page in _pages(connection, READ_AT_ONCE):
            for row in page:
                connection.execute(_UPDATE, again.row(*row))
                connection.commit()
                rows_done += 1
                if time.monotonic() - began > options.sample_s:
                    return Measured(rows_done, time.monotonic() - began)
        return Measured(rows_done, time.monotonic() - began)


def executemany(url: str, _: Sequence[Ready], options: Options) -> Measured:
    """Read 1,000, write them with the driver's executemany, COMMIT."""
    again = _Again()
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        began, rows_done = time.monotonic(), 0
        for page in _pages(connection, READ_AT_ONCE):
            cursor.executemany(_UPDATE, [again.row(*row) for row in page])
            connection.commit()
            rows_done += len(page)
            if time.monotonic() - began > options.sample_s:
                break
        return Measured(rows_done, time.monotonic() - began)


# ---- callctl -------------------------------------------------------------------------------------------


def callctl(workers: int, *, twice: bool = False) -> Way:
    """The program as an operator starts it: from the start of the process to its end, everything counted.

    ``twice``: the second run, which finds nothing to write.
    """

    def way(url: str, ready: Sequence[Ready], options: Options) -> Measured:
        with tempfile.TemporaryDirectory() as own:
            settings = accounts.settings_file(Path(own))
            argv = [options.program, "--config", str(settings), "rotate-secrets", "--yes", "--workers", str(workers)]
            command = Command(argv, {"CALLCTL_DATABASE_URL": url}, Path(own))
            outcome = run(command)
            if twice and outcome.status == 0:
                outcome = run(command)
        if outcome.status:
            raise RuntimeError(f"callctl ended with {outcome.status}: {outcome.said.strip()[-1200:]}")
        return Measured(len(ready), outcome.ended - outcome.began, outcome.memory_mb)

    return way


WAYS: dict[str, tuple[Way, tuple[Form, ...]]] = {
    "limit": (limit_parameters(1), ("k1", "plaintext")),
    "limit-2": (limit_parameters(2), ("k1", "plaintext")),
    "limit-table": (limit_table, ("k1",)),
    "callctl": (callctl(1), ("k1", "plaintext")),
    "callctl-2": (callctl(2), ("k1", "plaintext")),
    "row-by-row": (row_by_row, ("k1",)),
    "page-by-page": (page_by_page, ("k1",)),
    "executemany": (executemany, ("k1",)),
    "callctl-again": (callctl(1, twice=True), ("k1",)),
}


def measured(server: Server, name: str, form: Form, ready: Sequence[Ready], options: Options) -> dict[str, Any]:
    """Take one way on a fresh copy, and see that what it says it did is done; what was measured, as plain values."""
    way, _ = WAYS[name]
    with bench.copy(server) as url:
        result = way(url, ready, options)
        rows_done = accounts.under(url, "k2")
        if rows_done != result.rows:
            raise RuntimeError(f"{name}: {result.rows:,} rows were to be under k2, and {rows_done:,} are")
    return {
        "way": name,
        "form": form,
        "rows": result.rows,
        "seconds": round(result.seconds, 3),
        "rows_per_s": round(result.rows / result.seconds, 1),
        "memory_mb": result.memory_mb,
    }
