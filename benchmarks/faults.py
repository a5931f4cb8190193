"""Every fault at every point of a migration and of a rotation, counted; the next run arrives after each of them.

Run: ./dev bench faults [--jobs N] [--only TEXT] [--save FILE.json]

Each chain of tests/faults/test_everywhere.py and test_rotation_everywhere.py is a pytest of its own, with a server of
its own, in the thorough profile. A chain that fails ends the run, with its output. With --save a run that was stopped
goes on: chains that the file has are not tried again; each names the commit that it was tried on.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

PROJECT = Path(__file__).resolve().parents[1]

# This file is run as a script; its parts are found from the project's directory.

FILES = ("tests/faults/test_everywhere.py", "tests/faults/test_rotation_everywhere.py")
TALLY = re.compile(r"(?P<what>.+): (?P<points>\d+) points, (?P<tried>\d+) faults tried \((?P<actions>.*)\)")
ENVIRONMENT = {**os.environ, "CALLCTL_TEST_PROFILE": "thorough"}


class ChainFailed(Exception):
    """A chain did not arrive, or said nothing of faults."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench faults", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="chains at the same time [%(default)s]")
    parser.add_argument("--only", default="", help="chains whose name has this in it")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="write what was tried to a result file")
    return parser.parse_args()


def pytest(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=PROJECT, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def server_version() -> str:
    """Of the server that the tests start."""
    from callctl.database.programs import find_binaries

    binaries = find_binaries()
    command = [str(binaries.bin / "postgres"), "--version"]
    process = subprocess.run(command, env=binaries.environment(), capture_output=True, text=True, check=True)
    return process.stdout.split()[-1]


def chains(only: str) -> list[str]:
    """The names of all chains, found by pytest."""
    names = [line for line in pytest("--collect-only", "-q", *FILES).stdout.splitlines() if "::" in line]
    return [name for name in names if only in name]


def tried(name: str) -> dict[str, Any]:
    """Run one chain. Raises ChainFailed."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "result.xml"
        ended = pytest(name, "-q", "-o", "junit_family=xunit1", f"--junitxml={file}")
        if ended.returncode != 0:
            raise ChainFailed(f"{name} failed:\n{ended.stdout}\n{ended.stderr}")
        values = [
            element.attrib["value"]
            for element in ElementTree.parse(file).iter("property")
            if element.attrib["name"] == "faults"
        ]
    tally = TALLY.fullmatch(values[0]) if len(values) == 1 else None
    if tally is None:
        raise ChainFailed(f"{name} does not say what it tried: {values}")
    actions = dict(part.rsplit(" ", 1) for part in tally["actions"].split(", "))
    return {
        "chain": name.partition("faults/")[2],
        "what": tally["what"],
        "points": int(tally["points"]),
        "actions": {action: int(count) for action, count in actions.items()},
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> int:
    arguments = parse()
    from benchmarks.results import saved

    settings = {"postgresql": server_version(), "profile": "thorough"}
    head = saved.describe(PROJECT / "src", settings)
    chains_done: list[dict[str, Any]] = []
    if arguments.save and arguments.save.exists():
        before = json.loads(arguments.save.read_text(encoding="utf-8"))
        if not before["changed"] and not head["changed"]:
            chains_done = before["chains"]
    known = {chain["chain"] for chain in chains_done}
    wanted = [name for name in chains(arguments.only) if name.partition("faults/")[2] not in known]
    print(f"{len(wanted)} chains to run, {len(chains_done)} known", flush=True)

    failed = False
    with ThreadPoolExecutor(arguments.jobs) as pool:
        futures = [pool.submit(tried, name) for name in wanted]
        for future in as_completed(futures):
            try:
                result = {**future.result(), "commit": head["commit"]}
            except CancelledError:
                continue
            except ChainFailed as problem:
                for under_way in futures:  # what is under way may end
                    under_way.cancel()
                failed = True
                print(problem, flush=True)
                continue
            chains_done.append(result)
            print(f"{result['what']}: {sum(result['actions'].values())} in {result['seconds']:.0f} s", flush=True)
            if arguments.save:
                in_order = sorted(chains_done, key=lambda chain: str(chain["chain"]))
                saved.save(arguments.save, {"kind": "faults", **head, "chains": in_order})
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
