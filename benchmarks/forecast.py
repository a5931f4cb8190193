"""How right the forecast is: what was expected of a run beside what it took, on many databases.

Run: ./dev bench forecast [--databases N] [--largest CHATBOTS] [--save FILE.json]

Each database has a size, a baseline, rows and indexes of its own, drawn from a seed; half of the servers write durably
(fsync), and under a third of the databases both applications work meanwhile. callctl goes up, down to step 0 and up
again. Before each run it forecasts by the rates that it measures, and from the second run on by the runs before: as
`callctl migrate up` does.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.online import watch
from benchmarks.online.load import Load, Plan, sample_keys
from benchmarks.results import saved
from callctl.config.settings import Settings
from callctl.events import Direction
from callctl.forecast.outlook import forecast_of, outlook
from callctl.migration import migrate
from callctl.migration.planning import Wish
from callctl.migration.run_record import RunRecord
from callctl.sandbox.lifecycle import BASELINES, connect, create_database, drop_database, fill
from callctl.sandbox.server import Server, start_server

SERVER = {"full_page_writes": "on", "shared_buffers": "512MB", "max_wal_size": "4GB", "max_connections": "60"}
RUNS: tuple[tuple[str, Direction], ...] = (("up", "up"), ("down", "down"), ("up again", "up"))
SMALLEST = 3_000
# A step that takes less says more of the machine than of the forecast.
SHORTEST_STEP = 0.1
TYPE = {baseline.value: baseline.type_column for baseline in BASELINES}


@dataclass(frozen=True)
class Database:
    """One database: chatbots, how its rows and indexes differ from the sandbox's, and what happens meanwhile."""

    number: int
    baseline: str
    chatbots: int
    fsync: bool
    load: bool
    unknown: float
    calls: float
    padding: int
    indexes: int


def databases(count: int, largest: int) -> list[Database]:
    """Sizes evenly spread over the orders of magnitude; the rest by chance, the same each time."""
    chance = random.Random(20)
    found = []
    for number in range(count):
        size = round(SMALLEST * (largest / SMALLEST) ** (number / max(count - 1, 1)))
        baseline = BASELINES[number % 2].value
        found.append(
            Database(
                number,
                baseline,
                size,
                fsync=number % 4 >= 2,
                load=number % 3 == 2,
                unknown=0.0 if baseline == "deployed" else chance.choice([0.0, 0.02, 0.3]),
                calls=chance.choice([0.0, 0.1, 0.5]),
                padding=chance.choice([0, 0, 300, 1500]),
                indexes=chance.choice([0, 0, 1, 3]),
            )
        )
    return found


def furnish(url: str, database: Database) -> None:
    """Make its rows and indexes its own."""
    column = TYPE[database.baseline]
    with connect(url) as connection:
        statements = [f"UPDATE chatapp.chatbots SET {column} = 'call' WHERE {_share('c', database.calls)}"]
        if database.unknown:
            statements.append(f"UPDATE chatapp.chatbots SET {column} = 'voice' WHERE {_share('v', database.unknown)}")
        if database.padding:
            prompt = f"to_jsonb(left(repeat(md5(id::text), 100), {database.padding}))"
            statements.append(
                f"UPDATE chatapp.chatbots SET settings = jsonb_set(settings, '{{prompt}}', {prompt})"
                " WHERE jsonb_typeof(settings) = 'object'"
            )
        statements += [
            f"CREATE INDEX bench_{number} ON chatapp.chatbots (created_at, id, name)"
            for number in range(database.indexes)
        ]
        for statement in [*statements, "VACUUM (FULL, ANALYZE)", "CHECKPOINT"]:
            connection.execute(statement.encode())


def _share(salt: str, share: float) -> str:
    """A condition that is true of this share of the rows."""
    return f"abs(hashtext('{salt}' || id)) % 1000 < {round(share * 1000)}"


@contextmanager
def working(url: str, database: Database) -> Iterator[None]:
    """Both applications at work, where this database has them."""
    if not database.load:
        yield
        return
    with connect(url) as connection:
        keys = sample_keys(connection, 2_000)
    load = Load(Plan(url, database.baseline, 60.0, 4, keys))
    watcher = watch.Watch(url, database.baseline, load.columns)
    load.start()
    try:
        yield
    finally:
        load.stop()
        watcher.stop()


def measured(url: str, database: Database, name: str, direction: Direction) -> dict[str, Any]:
    """One run with its forecast."""
    settings = Settings(database_url=url)
    wish = Wish(direction, 0) if direction == "down" else Wish(direction)
    with working(url, database):
        record = RunRecord()
        migrate.take(
            settings,
            wish,
            on_event=record,
            forecast=lambda connection, planned: forecast_of(outlook(connection, settings, planned, measured=True)),
        )
        record.end(None)
    assert record.forecast is not None
    assert record.forecast.total is not None
    facts = {step.number: step.seconds or 0.0 for step in record.steps}
    steps = [
        {"step": number, **_rounded(asdict(expected)), "fact": round(facts[number], 3)}
        for number, expected in record.forecast.steps.items()
    ]
    total = {**_rounded(asdict(record.forecast.total)), "fact": round(record.seconds, 3)}
    return {"run": name, "total": total, "waited": round(record.waited, 3), "steps": steps}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}


def accuracy(compared: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many of these were inside their interval, and how far off the expected value was."""
    factors = [max(each["fact"], 0.001) / max(each["expected"], 0.001) for each in compared]
    return {
        "compared": len(compared),
        "inside": round(sum(each["low"] <= each["fact"] <= each["high"] for each in compared) / len(compared), 3),
        "median_error": round(statistics.median(abs(factor - 1) for factor in factors), 3),
        "median_factor": round(statistics.median(factors), 3),
        "worst_factor": round(max(factors, key=lambda factor: max(factor, 1 / factor)), 3),
    }


def summary(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The accuracy of all runs, of each kind, and of the steps that took long enough."""
    runs = [(database, run) for database in results for run in database["runs"]]
    kinds = {
        "all runs": [run["total"] for _, run in runs],
        **{name: [run["total"] for _, run in runs if run["run"] == name] for name, _ in RUNS},
        "without load": [run["total"] for database, run in runs if not database["load"]],
        "under load": [run["total"] for database, run in runs if database["load"]],
        f"steps of {SHORTEST_STEP} s or more": [
            step for _, run in runs for step in run["steps"] if step["fact"] >= SHORTEST_STEP
        ],
    }
    return {name: accuracy(compared) for name, compared in kinds.items() if compared}


def of_one(server: Server, database: Database) -> dict[str, Any]:
    """All runs on one database."""
    with connect(server.url("postgres")) as admin:
        create_database(admin, "bench")
    url = server.url("bench")
    try:
        fill(url, database.baseline, rows=database.chatbots)
        furnish(url, database)
        runs = [measured(url, database, name, direction) for name, direction in RUNS]
    finally:
        with connect(server.url("postgres")) as admin:
            drop_database(admin, "bench")
    return {**asdict(database), "runs": runs}


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench forecast", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--databases", type=int, default=24, help="how many [%(default)s]")
    parser.add_argument("--largest", type=int, default=300_000, help="chatbots of the largest [%(default)s]")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="write what was measured to a result file")
    arguments = parser.parse_args()
    results = []
    version = ""
    print("| database | chatbots | fsync | load | run | expected s | 4 of 5 | took s | factor |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for fsync in (False, True):
        with start_server(settings={**SERVER, "fsync": "on" if fsync else "off"}) as server:
            version = server.version
            for database in databases(arguments.databases, arguments.largest):
                if database.fsync is not fsync:
                    continue
                results.append(of_one(server, database))
                for run in results[-1]["runs"]:
                    total = run["total"]
                    print(
                        f"| {database.number} {database.baseline} | {database.chatbots:,} | {'on' if fsync else 'off'}"
                        f" | {'yes' if database.load else 'no'} | {run['run']} | {total['expected']:.2f}"
                        f" | {total['low']:.2f} to {total['high']:.2f} | {total['fact']:.2f}"
                        f" | {total['fact'] / total['expected']:.2f} |",
                        flush=True,
                    )
    figures = summary(results)
    print()
    for name, figure in figures.items():
        print(
            f"{name}: {figure['inside']:.0%} of {figure['compared']} inside, median error {figure['median_error']:.0%}"
            f" (median factor {figure['median_factor']}), worst factor {figure['worst_factor']}"
        )
    if arguments.save:
        head = saved.describe(Path(sys.executable), {"server": SERVER, "postgresql": version})
        saved.save(arguments.save, {"kind": "forecast", **head, "summary": figures, "databases": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
