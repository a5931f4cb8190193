"""How long clients stall while each tool takes the database through the thirteen steps.

Run: ./dev bench online [--rows N] [--tools floor,script,callctl] [--save FILE.json]

Each tool gets a fresh copy of the same database, and the same load: transactions that start by a plan, whose
latency counts from their planned start.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

# This file is run as a script; its parts are found from the project's directory.
from benchmarks.online import report, tools
from callctl.sandbox.lifecycle import BASELINES

if TYPE_CHECKING:
    from benchmarks.online import bench

DEFAULT = "floor,script,statements,callctl"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench online", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000, help="chatbots; twice as many users [%(default)s]")
    parser.add_argument("--baseline", choices=BASELINES, default=BASELINES[0])
    parser.add_argument("--unknown-types", action="store_true", help="half of the chatbots have an unknown type")
    parser.add_argument(
        "--tools", default=DEFAULT, help=f"each as NAME or NAME:RUNS, of {', '.join(tools.tools(''))} [%(default)s]"
    )
    parser.add_argument("--rate", type=float, default=400.0, help="transactions a second, of all clients [%(default)s]")
    parser.add_argument("--clients", type=int, default=8, help="client processes [%(default)s]")
    parser.add_argument("--before", type=float, default=3.0, help="seconds of load before the tool [%(default)s]")
    parser.add_argument("--after", type=float, default=3.0, help="seconds of load after the tool [%(default)s]")
    parser.add_argument("--floor-seconds", type=float, default=8.0, help="without a tool [%(default)s]")
    parser.add_argument("--reader-seconds", type=float, default=20.0, help="how long the reader holds [%(default)s]")
    parser.add_argument("--callctl", default=str(Path(sys.executable).with_name("callctl")), help="the program to run")
    parser.add_argument("--growth", metavar="ROWS,...", help="instead: callctl alone, without load, at each size")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="write what was measured to a result file")
    return parser.parse_args()


def in_rounds(asked: str) -> list[str]:
    """The tools as they will run: those of more than one run come again, round after round."""
    runs = {name.strip(): int(count or 1) for name, _, count in (part.partition(":") for part in asked.split(","))}
    return [name for number in range(max(runs.values())) for name, count in runs.items() if number < count]


def main() -> int:
    arguments = parse()
    from benchmarks.online import bench
    from benchmarks.results import saved

    every = tools.tools(arguments.callctl)
    chosen = in_rounds(arguments.tools)
    for name in chosen:
        if name not in every:
            sys.exit(f"online: there is no tool {name}; there are: {', '.join(every)}")
        if arguments.baseline != "documented" and not every[name].any_baseline:
            sys.exit(f"online: the document's SQL, and so {name}, runs on the documented baseline only")
    if arguments.unknown_types and arguments.baseline != "documented":
        sys.exit("online: the deployed baseline's type is an enum, which has no unknown values")
    options = bench.Options(
        rows=arguments.rows,
        baseline=arguments.baseline,
        unknown_types=arguments.unknown_types,
        rate=arguments.rate,
        clients=arguments.clients,
        before_s=arguments.before,
        after_s=arguments.after,
        floor_s=arguments.floor_seconds,
        reader_s=arguments.reader_seconds,
    )
    head = saved.describe(Path(arguments.callctl), {"server": bench.SERVER})
    if arguments.growth:
        content = grow(arguments, every["callctl"], head)
    else:
        content = under_load(options, [every[name] for name in chosen], head)
    if arguments.save:
        saved.save(arguments.save, content)
    return 1 if any("failed" in size for size in content.get("sizes", ())) else 0


def under_load(options: bench.Options, chosen: list[tools.Tool], head: dict[str, Any]) -> dict[str, Any]:
    """Run each tool, and print what was seen; return the result file's content."""
    from benchmarks.online import bench

    results = []
    with bench.bench(options.rows, options.baseline, unknown_types=options.unknown_types) as server:
        counts = bench.count_rows(server.url(bench.TEMPLATE))
        print(f"PostgreSQL {server.version}: {', '.join(f'{n:,} {name}' for name, n in counts.items())}", flush=True)
        for tool in chosen:
            results.append(bench.measured(server, tool, options))
            print("\n".join(report.of_tool(results[-1])), flush=True)
    print()
    print("\n".join(report.table(report.medians(results))))
    settings = {**head["settings"], **asdict(options), "postgresql": server.version}
    return {"kind": "online", **head, "settings": settings, "rows": counts, "tools": results}


def grow(arguments: argparse.Namespace, up: tools.Tool, head: dict[str, Any]) -> dict[str, Any]:
    """Run callctl alone at each size; return the result file's content."""
    from benchmarks.online import bench

    sizes = []
    print(f"{'chatbots':>10} {'rows':>11} {'wall s':>8} {'s/million':>10} {'MB':>6}")
    for rows in (int(count) for count in arguments.growth.split(",")):
        with bench.bench(rows, arguments.baseline) as server:
            sizes.append(bench.alone(server, up))
        size = sizes[-1]
        print(
            f"{size['chatbots']:10,} {size['rows']:11,} {size['wall_s']:8.1f}"
            f" {size['wall_s'] / size['rows'] * 1e6:10.1f} {size['memory_mb']:6.0f} {size.get('failed', '')}",
            flush=True,
        )
    settings = {**head["settings"], "baseline": arguments.baseline, "postgresql": server.version}
    return {"kind": "growth", **head, "settings": settings, "sizes": sizes}


if __name__ == "__main__":
    sys.exit(main())
