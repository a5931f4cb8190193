"""How long callctl holds each lock that clients wait behind, by the size of the tables.

Run: ./dev bench holds [--rows N,N,…] [--baseline documented] [--save FILE.json]

callctl runs as a person starts it: up with the drops deferred, up again (the contract), down to step 1, up, down to
step 0; without load, on a fresh database of each size in which half of the types are unknown. Another session asks
pg_locks all the time, as often as it gets an answer, and times from the first look at which a lock was there to the
last; what is shorter than the time between two looks is not seen. Only locks that clients wait behind count: on the
platform's tables and those that callctl's triggers write, in a mode that conflicts with reading or writing rows,
granted to callctl.
"""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
import sys
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from benchmarks.online import bench
from benchmarks.results import saved
from callctl.sandbox.lifecycle import BASELINES, connect

# The platform's tables, and those of callctl that clients write to by its triggers and foreign keys.
HELD = """
SELECT l.pid, l.relation::regclass::text, l.mode
FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (c.relnamespace = 'chatapp'::regnamespace
       OR c.oid IN (to_regclass('callctl.saved_value'), to_regclass('callctl.inheritance_breach')))
  AND c.relkind IN ('r', 'p') AND a.application_name LIKE 'callctl%'
  AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
"""
COMMANDS = {
    "up, drops deferred": ("up", "--defer-drops"),
    "contract": ("up",),
    "down to 1": ("down", "--to", "1"),
    "up again": ("up",),
    "down": ("down", "--all"),
}


def watch(url: str, over: Event, pipe: Any) -> None:
    """Send [lock, seconds] of each lock that was seen, the longest of each, and the longest time between two looks."""
    held: dict[tuple[int, str, str], tuple[float, float]] = {}
    longest: dict[str, float] = {}
    gap, last = 0.0, None

    def ended(lock: tuple[int, str, str]) -> None:
        first, until = held.pop(lock)
        name = f"{lock[1]} {lock[2]}"
        longest[name] = max(longest.get(name, 0.0), until - first)

    with connect(url) as connection:
        while not over.is_set():
            asked = time.monotonic()
            rows = {tuple(row) for row in connection.execute(HELD.encode()).fetchall()}
            now = time.monotonic()
            gap = max(gap, now - last) if last is not None else gap
            last = now
            for lock in rows:
                held[lock] = (held[lock][0] if lock in held else asked, now)
            for lock in [lock for lock in held if lock not in rows]:
                ended(lock)
        for lock in list(held):
            ended(lock)
    pipe.send((longest, gap))


def measured(url: str, program: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    over, (here, there) = multiprocessing.Event(), multiprocessing.Pipe()
    watcher = multiprocessing.Process(target=watch, args=(url, over, there))
    watcher.start()
    there.close()  # so that one that fails is noticed
    began = time.monotonic()
    command = [program, "migrate", *arguments, "--yes", "--database", url]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    wall = time.monotonic() - began
    over.set()
    longest, gap = here.recv()
    watcher.join()
    if ended.returncode:
        sys.exit(f"holds: {' '.join(arguments)} ended with {ended.returncode}: {ended.stderr[-600:]}")
    name = max(longest, key=lambda lock: longest[lock], default="")
    return {
        "wall_s": round(wall, 2),
        "longest_ms": round(longest.get(name, 0.0) * 1000, 1),
        "lock": name,
        "looks_ms": round(gap * 1000, 1),
        "locks": {lock: round(seconds * 1000, 1) for lock, seconds in sorted(longest.items())},
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench holds", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", default="1000,10000,100000", help="chatbots, sizes with commas [%(default)s]")
    parser.add_argument("--baseline", choices=BASELINES, default=BASELINES[0])
    parser.add_argument("--callctl", default=str(Path(sys.executable).with_name("callctl")), help="the program to run")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="write what was measured to a result file")
    arguments = parser.parse_args()
    results = []
    print("| chatbots | command | wall s | longest hold ms | lock | between looks, at most ms |")
    print("|---|---|---|---|---|---|", flush=True)
    for rows in [int(number) for number in arguments.rows.split(",")]:
        unknown = arguments.baseline == "documented"  # the deployed type is an enum
        with bench.bench(rows, arguments.baseline, unknown_types=unknown) as server, bench.copy(server) as url:
            for name, words in COMMANDS.items():
                result = {"rows": rows, "command": name, **measured(url, arguments.callctl, words)}
                results.append(result)
                print(
                    f"| {rows:,} | {name} | {result['wall_s']} | {result['longest_ms']} | {result['lock']}"
                    f" | {result['looks_ms']} |",
                    flush=True,
                )
    if arguments.save:
        head = saved.describe(
            Path(arguments.callctl),
            {"server": bench.SERVER, "baseline": arguments.baseline, "postgresql": server.version},
        )
        saved.save(arguments.save, {"kind": "holds", **head, "holds": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
