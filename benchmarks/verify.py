"""What callctl verify costs: each of its passes beside one sequential scan of what the pass must read.

Run: ./dev bench verify [--rows N] [--calls N] [--lines N] [--save FILE.json]

The *floor* of a table is the least that the same server needs to look at the same columns: one sequential scan that adds
up the sizes of the values (``sum(pg_column_size(column))``; of jsonb ``count(jsonb_typeof(column))``, which fetches them).
The floor of a pass is that of every table it reads; the floor of the whole counts each table once. Both sides run in
turn, on the same connection, with the same settings, in memory; the best of a few rounds counts.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlglot import exp

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.online_parts import bench, saved  # noqa: E402

from callctl import database, migrate  # noqa: E402
from callctl.baselines import connect  # noqa: E402
from callctl.config import Settings  # noqa: E402
from callctl.config_secrets import KeyConfig, KeyEntry  # noqa: E402
from callctl.files import read_sql  # noqa: E402
from callctl.naming import read_naming  # noqa: E402
from callctl.row_checks import ask_all, asked, passes  # noqa: E402
from callctl.script import tree  # noqa: E402
from callctl.steps import all_steps  # noqa: E402
from callctl.verify import verify  # noqa: E402

if TYPE_CHECKING:
    from callctl.database import Connection

ROWS_SQL = Path(__file__).with_name("verify_rows.sql")
Columns = Mapping[str, Mapping[str, str]]


def prepare(url: str, *, calls: int, lines: int) -> None:
    """Take a "before" database through the steps, and fill the tables that they have made."""
    migrate.up(Settings(database_url=url))
    with connect(url) as connection:
        for name, value in (("callctl.calls", calls), ("callctl.lines", lines)):
            connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
        connection.execute(ROWS_SQL.read_bytes())
        connection.execute("VACUUM (ANALYZE)")


def columns_read(sql: str, columns: Columns) -> dict[str, list[str]]:
    """The columns of each table that a query names, by the table; a table that it only counts has none."""
    node = tree(sql)
    assert node is not None, "sqlglot can't read a pass"
    read: dict[str, list[str]] = {}
    for select in node.find_all(exp.Select):
        for table in select.find_all(exp.Table):
            name = f"{table.db}.{table.name}"
            if name in columns:
                of_table = read.setdefault(name, [])
                of_table += [
                    column.name
                    for column in select.find_all(exp.Column)
                    if column.table == table.alias_or_name and column.name in columns[name]
                ]
    return {name: sorted(set(found)) for name, found in read.items()}


def floor_sql(table: str, read: Iterable[str], types: Mapping[str, str]) -> str:
    """The sequential scan that a pass is compared with."""
    counted = [
        f"count(jsonb_typeof({name}))" if types[name] == "jsonb" else f"sum(pg_column_size({name}))" for name in read
    ]
    return f"SELECT {', '.join(['count(*)', *counted])} FROM {table}"


def seconds(connection: Connection, sql: str) -> float:
    """How long a query takes."""
    began = time.perf_counter()
    connection.execute(sql.encode()).fetchall()
    return time.perf_counter() - began


def measure(url: str, rounds: int) -> dict[str, Any]:
    """Time each pass and each floor, and verify as a whole; times in milliseconds, the best of the rounds."""
    keys = KeyConfig("k1", (KeyEntry("k1", "env", ("UNREAD",)),))
    settings = Settings(database_url=url, statement_timeout_ms=600_000, keys=keys)
    connection = database.connect(settings)
    with database.read_only(connection):
        types = {
            table: dict(rows)
            for table, rows in connection.execute(
                """SELECT table_schema || '.' || table_name, json_agg(json_build_array(column_name, data_type))
                   FROM information_schema.columns WHERE table_schema IN ('chatapp', 'callctl') GROUP BY 1"""
            ).fetchall()
        }
    sizes: dict[str, int] = {}
    floors: dict[str, float] = {}
    taken: list[dict[str, Any]] = []
    with database.read_only(connection):
        naming = read_naming(connection, settings.schema)
        steps = [step.number for step in all_steps()]
        checks = asked(steps, naming)
        session = {"timeout": "10min", "known_keys": '["k1"]'}
        connection.execute(read_sql("catalog/verify_session.sql").encode(), session)
        every: dict[str, set[str]] = {}
        for scan in passes(checks, naming):
            read = columns_read(scan.sql, types)
            for table, names in read.items():
                every.setdefault(table, set()).update(names)
            of_pass = {table: floor_sql(table, names, types[table]) for table, names in read.items()}
            best, least = [], []
            for _ in range(rounds):
                least.append([seconds(connection, sql) for sql in of_pass.values()])
                began = time.perf_counter()
                _, problem = ask_all(connection, scan)
                assert problem is None, problem
                best.append(time.perf_counter() - began)
            taken.append(
                {
                    "tables": list(read),
                    "checks": [each.check.id for each in scan.statements if each.check],
                    "floor_ms": _ms(sum(min(each) for each in zip(*least, strict=True))),
                    "verify_ms": _ms(min(best)),
                }
            )
        for table, names in every.items():
            sql = floor_sql(table, sorted(names), types[table])
            floors[table] = min(seconds(connection, sql) for _ in range(rounds))
            sizes[table] = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()[0][0]
    whole = []
    for fast in (True, False):
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            report = verify(connection, settings, fast=fast)
            times.append(time.perf_counter() - began)
            assert report.passed, [each for each in report.checks if not each.passed and not each.warns]
        whole.append(min(times))
    connection.close()
    return {
        "rows": {table.partition(".")[2]: count for table, count in sizes.items()},
        "passes": taken,
        "fast_ms": _ms(whole[0]),
        "floor_ms": _ms(sum(floors.values())),
        "verify_ms": _ms(whole[1]),
    }


def _ms(value: float) -> float:
    return round(value * 1000, 1)


def table(content: Mapping[str, Any]) -> Sequence[str]:
    """What is printed: a line a pass."""
    lines = [f"{'floor ms':>9} {'verify ms':>9} {'ratio':>6}  pass"]
    for each in content["passes"]:
        ratio = each["verify_ms"] / each["floor_ms"] if each["floor_ms"] else 0
        name = ", ".join(each["tables"]) or "the catalog"
        lines.append(
            f"{each['floor_ms']:9.1f} {each['verify_ms']:9.1f} {ratio:6.2f}  {name}: {', '.join(each['checks'])}"
        )
    ratio = content["verify_ms"] / content["floor_ms"]
    lines.append(
        f"{content['floor_ms']:9.1f} {content['verify_ms']:9.1f} {ratio:6.2f}  callctl verify, each table once"
    )
    lines.append(f"{'':9} {content['fast_ms']:9.1f} {'':6}  callctl verify --fast")
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
        prepare(url, calls=arguments.calls or arguments.rows, lines=arguments.lines)
        content = result(url, arguments.rounds, server.version)
    print("\n".join(table(content)))
    if arguments.save:
        saved.save(arguments.save, content)


def result(url: str, rounds: int, version: object) -> dict[str, Any]:
    """A result file's content."""
    head = saved.describe(Path(sys.executable), {"server": bench.SERVER, "postgresql": version, "rounds": rounds})
    return {"kind": "verify", **head, **measure(url, rounds)}


if __name__ == "__main__":
    main()
