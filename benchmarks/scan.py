"""How fast keys retire scans a table for envelopes, beside the least that the same server needs to read it.

Run: ./dev bench scan [--megabytes 300] [--save FILE.json]

Three tables, a third of the size each and one after the other: *messages*, short rows of text; *documents*, jsonb of
two kilobytes; *files*, bytea of 40 kB, which PostgreSQL stores apart and shows in hex. No row holds an envelope, so
nothing is sent: what is measured is the server's work, and the second look at what has changed. *The floor* of a table
is one sequential scan that adds up the lengths of the same text. Sizes are those on disk, TOAST included. Server and
client share the machine.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.results import saved
from callctl.config.settings import Settings
from callctl.database import connection as database
from callctl.sandbox.lifecycle import connect, create_database
from callctl.sandbox.server import start_server
from callctl.secrets.envelope.cipher import Decrypter
from callctl.secrets.envelope.ring import Key, KeyRing, check_value
from callctl.secrets.inventory import scan as secret_scan

SERVER = {"shared_buffers": "512MB", "max_wal_size": "4GB", "fsync": "off", "jit": "off"}
MEGABYTE = 1024 * 1024
# Of each table: how it is made, the bytes of a row about, and the text of a row.
TABLES = {
    "messages": (
        "SELECT n, 'message ' || n || ': ' || md5(n::text) || ' called about the invoice of ' || md5((-n)::text)"
        " AS body FROM generate_series(1, {rows}) AS n",
        145,
        "length(body)",
    ),
    "documents": (
        "SELECT n, jsonb_build_object('id', n, 'tags', jsonb_build_array('a', n), 'lines', (SELECT jsonb_agg("
        "md5((n * 40 + i)::text) || ' and some words') FROM generate_series(1, 40) AS i)) AS body"
        " FROM generate_series(1, {rows}) AS n",
        2_350,
        "length(body::text)",
    ),
    "files": (
        "SELECT n, decode((SELECT string_agg(md5((n * 2500 + i)::text), '') FROM generate_series(1, 2500) AS i), 'hex')"
        " AS body FROM generate_series(1, {rows}) AS n",
        41_500,
        "length(body::text)",
    ),
}


def fill(url: str, name: str, megabytes: int) -> None:
    """Make a table whose rows are all frozen, as of a database that has been in use."""
    query, size, _ = TABLES[name]
    with connect(url) as connection:
        connection.execute("CREATE SCHEMA bench")
        connection.execute(f"CREATE TABLE bench.{name} AS {query.format(rows=megabytes * MEGABYTE // size)}".encode())
        connection.execute("VACUUM (FREEZE, ANALYZE)")


def measured(url: str, name: str) -> dict[str, Any]:
    """One table: its size, the floor and the scan, in seconds."""
    secret = bytes(32)
    key = Key("k1", "none", False, secret, check_value(secret))
    ring = KeyRing(key, {"k1": key})
    Decrypter(ring)  # what is imported for it is not the scan's
    settings = replace(Settings(database_url=url), schema="bench")
    with closing(database.connect(settings)) as connection:
        row = connection.execute("SELECT pg_table_size(%s::regclass), %s", (f"bench.{name}", name)).fetchone()
        assert row is not None
        seconds = []
        for _ in range(2):
            began = time.monotonic()
            connection.execute(f"SELECT sum({TABLES[name][2]}) FROM bench.{name}".encode())
            seconds.append(time.monotonic() - began)
        began = time.monotonic()
        scanned = secret_scan.settled_scan(
            connection, settings, ring, secret_scan.horizon(connection), lock_timeout_ms=0, enough=lambda _: False
        )
        taken = time.monotonic() - began
        assert (scanned.places, scanned.not_looked_into, scanned.tables) == ((), (), 1)
    return {
        "table": name,
        "megabytes": round(row[0] / MEGABYTE, 1),
        "floor_s": round(min(seconds), 2),
        "scan_s": round(taken, 2),
        "megabytes_per_s": round(row[0] / MEGABYTE / taken, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=300, help="of all tables together [default: 300]")
    parser.add_argument("--save", type=Path, metavar="FILE.json")
    options = parser.parse_args()
    results = []
    with start_server(settings=SERVER) as server:
        for name in TABLES:
            with connect(server.url("postgres")) as admin:
                create_database(admin, "everything")
            url = server.url("everything")
            fill(url, name, options.megabytes // len(TABLES))
            results.append(measured(url, name))
            with connect(server.url("postgres")) as admin:
                admin.execute("DROP DATABASE everything")
            line = (
                "{table:10} {megabytes:7.1f} MB  floor {floor_s:.2f} s  scan {scan_s:.2f} s  {megabytes_per_s:.1f} MB/s"
            )
            print(line.format(**results[-1]), flush=True)
    if options.save:
        head = saved.describe(Path(sys.executable), {"megabytes": options.megabytes})
        saved.save(options.save, {"kind": "scan", **head, "tables": results})


if __name__ == "__main__":
    main()
