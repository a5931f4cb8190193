"""What callctl verify costs: each of its passes beside one sequential scan of what the pass must read.

Run: ./dev bench verify [--rows N] [--calls N] [--lines N] [--save FILE.json]

The *floor* of a table is the least that the same server needs to look at the same columns: one sequential scan that
adds up the sizes of the values: sum(pg_column_size(column)), and of jsonb count(jsonb_typeof(column)), which fetches
them. The floor of a pass is that of every table it reads; the floor of the whole counts each table once. A pass over a
table without rows reads nothing, and counts for neither. Both sides run in turn, on the same connection, with the same
settings, in memory; the best of a few rounds counts. So it does of callctl verify --fast as a whole process, as a
person starts it.

All of it twice: on the database of the online benchmark as migrate up leaves it, whose new tables are empty, and on the
same with accounts, calls and transcripts, which is harder: a call is held against four other rows, and a line against
its call.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from benchmarks.online import bench
from benchmarks.results import saved
from callctl.config.sections import KeyConfig, KeyEntry
from callctl.config.settings import Settings
from callctl.database import connection as database
from callctl.files import read_sql
from callctl.migration import migrate
from callctl.migration.checks.row_checks import ask_all, asked, passes
from callctl.migration.checks.verify import verify
from callctl.migration.steps.numbered import all_steps
from callctl.sandbox.lifecycle import connect
from callctl.statements.naming import read_naming
from callctl.statements.script import tree

if TYPE_CHECKING:
    from callctl.database.connection import Connection

ROWS_SQL = Path(__file__).with_name("verify_rows.sql")
Types = Mapping[str, Mapping[str, str]]
# Not part of a floor: verify looks up those of its rows that have a saved value, by their keys, and no others.
LOOKED_UP = frozenset({"chatapp.users"})


def prepare(url: str) -> None:
    """Take a "before" database through the steps."""
    migrate.up(Settings(database_url=url))
    with connect(url) as connection:
        connection.execute("VACUUM (ANALYZE)")


def fill(url: str, *, calls: int, lines: int) -> None:
    """Fill the tables that the steps have made; ``lines`` is that of a call's transcript."""
    with connect(url) as connection:
        for name, value in (("callctl.calls", calls), ("callctl.lines", lines)):
            connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
        connection.execute(ROWS_SQL.read_bytes())
        connection.execute("VACUUM (ANALYZE)")


def columns_read(sql: str, types: Types) -> dict[str, list[str]]:
    """The columns of each table that a query names, by the table; a table that it only counts has none."""
    node = tree(sql)
    assert node is not None, "sqlglot can't read a pass"
    read: dict[str, list[str]] = {}
    if "callctl.changed_records()" in sql:  # of callctl's tables, those of saved values alone grow with the platform's
        read["callctl.saved_value"] = list(types["callctl.saved_value"])
    for select in node.find_all(exp.Select):
        for table in select.find_all(exp.Table):
            name = f"{table.db}.{table.name}"
            if name in types and name not in LOOKED_UP:
                of_table = read.setdefault(name, [])
                of_table += [
                    column.name
                    for column in select.find_all(exp.Column)
                    if column.table == table.alias_or_name and column.name in types[name]
                ]
    return {name: sorted(set(columns)) for name, columns in read.items()}


def floor_sql(table: str, read: Iterable[str], types: Mapping[str, str]) -> str:
    """The sequential scan that a pass is compared with."""
    looked = [
        f"count(jsonb_typeof({name}))" if types[name] == "jsonb" else f"sum(pg_column_size({name}))"
        for name in sorted(read)
    ]
    return f"SELECT {', '.join(['count(*)', *looked])} FROM {table}"


def column_types(connection: Connection) -> Types:
    """The type of each column of the platform's tables and of callctl's own, by table."""
    rows = connection.execute(
        "SELECT table_schema || '.' || table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema IN ('chatapp', 'callctl')"
    ).fetchall()
    types: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        types.setdefault(table, {})[column] = kind
    return types


def measure(url: str, rounds: int) -> dict[str, Any]:
    """Time each pass and each floor, and verify as a whole; times in milliseconds, the best of the rounds."""
    keys = KeyConfig("k1", (KeyEntry("k1", "env", ("UNREAD",)),))
    settings = Settings(database_url=url, statement_timeout_ms=600_000, keys=keys)
    times: dict[str, list[float]] = {}

    def timed(name: str, began: float) -> None:
        times.setdefault(name, []).append(time.perf_counter() - began)

    with closing(database.connect(settings)) as connection:
        with database.read_only(connection):
            types = column_types(connection)
            naming = read_naming(connection, settings.schema)
            steps = [step.number for step in all_steps()]
            scans = passes(asked(steps, naming), naming)
            reads = [columns_read(scan.sql, types) for scan in scans]
            rows = {
                table: connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()[0][0]
                for table in dict.fromkeys(table for read in reads for table in read)
            }
            # Of a table without rows nothing is held against others.
            asked_of = [next((rows[table] for table in read), 0) for read in reads]
            every: dict[str, set[str]] = {}
            for read, count in zip(reads, asked_of, strict=True):
                for table, names in read.items() if count else ():
                    every.setdefault(table, set()).update(names)
        floors = {floor_sql(table, names, types[table]) for read in reads for table, names in read.items()}
        whole = {floor_sql(table, names, types[table]) for table, names in every.items()}
        for _ in range(rounds):
            with database.read_only(connection):
                # What verify's own transaction goes by.
                connection.execute(
                    read_sql("migration/checks/verify_session.sql"),
                    {"timeout": "10min", "known_keys": '["k1"]'},
                )
                for sql in sorted(floors | whole):
                    began = time.perf_counter()
                    connection.execute(sql.encode()).fetchall()
                    timed(sql, began)
                for scan in scans:
                    began = time.perf_counter()
                    _, problem = ask_all(connection, scan)
                    timed(scan.sql, began)
                    assert problem is None, problem
            for fast in (True, False):
                began = time.perf_counter()
                report = verify(connection, settings, fast=fast)
                timed("fast" if fast else "verify", began)
                assert report.passed, [check for check in report.checks if not check.passed and not check.warns]
    best = {name: min(seconds) for name, seconds in times.items()}
    return {
        "rows": {**{table.partition(".")[2]: count for table, count in rows.items()}, **bench.count_rows(url)},
        "passes": [
            {
                "tables": list(read),
                "rows": count,
                "checks": [statement.check.id for statement in scan.statements if statement.check],
                "floor_ms": _ms(sum(best[floor_sql(table, names, types[table])] for table, names in read.items())),
                "verify_ms": _ms(best[scan.sql]),
            }
            for scan, read, count in zip(scans, reads, asked_of, strict=True)
        ],
        "fast_ms": _ms(best["fast"]),
        "floor_ms": _ms(sum(best[sql] for sql in whole)),
        "verify_ms": _ms(best["verify"]),
    }


def fast_command(url: str, rounds: int) -> float:
    """How long ``callctl verify --fast`` takes from the shell, in milliseconds: the best of the rounds."""
    times = []
    with tempfile.TemporaryDirectory() as elsewhere:  # where there is no callctl.yaml
        for _ in range(rounds):
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "callctl", "verify", "--fast"],
                check=True,
                stdout=subprocess.DEVNULL,
                cwd=elsewhere,
                env={**os.environ, "CALLCTL_DATABASE_URL": url},
            )
            times.append(time.perf_counter() - began)
    return _ms(min(times))


def _ms(value: float) -> float:
    return round(value * 1000, 1)


def table(content: Mapping[str, Any]) -> Sequence[str]:
    """What is printed: a line a pass that has rows to look at."""
    lines = [f"{'floor ms':>9} {'verify ms':>9} {'ratio':>6}  pass"]
    for scan in content["passes"]:
        if not scan["rows"]:
            continue
        ratio = scan["verify_ms"] / scan["floor_ms"] if scan["floor_ms"] else 0
        name = ", ".join(scan["tables"])
        lines.append(
            f"{scan['floor_ms']:9.1f} {scan['verify_ms']:9.1f} {ratio:6.2f}  {name}: {', '.join(scan['checks'])}"
        )
    ratio = content["verify_ms"] / content["floor_ms"]
    lines.append(
        f"{content['floor_ms']:9.1f} {content['verify_ms']:9.1f} {ratio:6.2f}  callctl verify, each table once"
    )
    lines.append(f"{'':9} {content['fast_ms']:9.1f} {'':6}  callctl verify --fast")
    lines.append(f"{'':9} {content['fast_command_ms']:9.1f} {'':6}  callctl verify --fast, from the shell")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench verify", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000, help="chatbots; twice as many users [%(default)s]")
    parser.add_argument("--calls", type=int, help="calls [as many as chatbots]")
    parser.add_argument("--lines", type=int, default=10, help="lines of transcript a call [%(default)s]")
    parser.add_argument("--rounds", type=int, default=5, help="of which the best counts [%(default)s]")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="write what was measured to a result file")
    arguments = parser.parse_args()
    with bench.bench(arguments.rows, "documented") as server:
        url = server.url(bench.TEMPLATE)
        prepare(url)
        databases = [{"name": "online", **measured(url, arguments.rounds)}]
        fill(url, calls=arguments.calls or arguments.rows, lines=arguments.lines)
        databases.append({"name": "calls", **measured(url, arguments.rounds)})
        settings = {"server": bench.SERVER, "postgresql": server.version, "rounds": arguments.rounds}
    content = {"kind": "verify", **saved.describe(Path(sys.executable), settings), "databases": databases}
    for entry in databases:
        print(f"The database {entry['name']}:", *table(entry), sep="\n")
    if arguments.save:
        saved.save(arguments.save, content)


def measured(url: str, rounds: int) -> dict[str, Any]:
    """What a result file has of one database."""
    return {**measure(url, rounds), "fast_command_ms": fast_command(url, rounds)}


if __name__ == "__main__":
    main()
