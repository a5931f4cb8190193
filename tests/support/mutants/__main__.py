"""Changes callctl in small ways, one at a time in a copy of the tree, and says which changes no test notices.

Run: ./dev mutants [--seed N] [--count N] [--only TEXT] [--jobs N] [--save FILE.json] (and see --help)

A mutant is killed when a test of its area (areas.py) fails that passes without the change. The sample is spread evenly
over the areas. One that survives is a promise without a test, or has its reason in reasons.yaml.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

import pytest
from benchmarks.results import saved
from tests.support.mutants.areas import AREAS, ROOT, Area
from tests.support.mutants.changes import Change
from tests.support.mutants.python_mutants import python_mutants
from tests.support.mutants.reasons import reason
from tests.support.mutants.sql_mutants import sql_mutants

FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?\.py(?:::.+?)?)(?: - .*)?$", re.MULTILINE)
STARTED = re.compile(r"^(\S+?\.py::.+?) (?:PASSED|SKIPPED|XFAIL|$)", re.MULTILINE)
SECONDS_TO_END = 20
# File times of the copies: Python keeps what it compiled of a file of the same length and second.
_seconds = itertools.count(int(time.time()))


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    area: Area
    file: str
    change: Change

    def describe(self) -> dict[str, Any]:
        text = (ROOT / self.file).read_text(encoding="utf-8")
        was, becomes = self.change.shown(text)
        place = {"file": self.file, "line": self.change.line(text)}
        return {"area": self.area.name, **place, "kind": self.change.kind, "was": was, "becomes": becomes}


@dataclass(frozen=True)
class Outcome:
    """killed, survived, or unclear: the test fails without the change too. One that hangs fails."""

    word: str
    test: str = ""
    seconds: float = 0.0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="another number takes another sample [%(default)s]")
    parser.add_argument("--count", type=int, default=200, help="mutants to try [%(default)s]")
    parser.add_argument("--only", default="", help="an area, or a part of a file's path, or path:line")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at the same time [%(default)s]")
    parser.add_argument("--patience", type=int, default=300, metavar="SECONDS", help="for one test [%(default)s]")
    parser.add_argument("--tests", nargs="+", default=(), metavar="PATH", help="run these, not those of the area")
    parser.add_argument("--list", action="store_true", help="only say what would be tried")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="write a result file")
    return parser.parse_args(arguments)


@cache
def mutants_of(area: Area) -> list[Mutant]:
    """All of an area, in the order of its files."""
    mutants = []
    for file in area.sources():
        text = (ROOT / file).read_text(encoding="utf-8")
        changes = sql_mutants(text) if file.endswith(".sql") else python_mutants(text)
        mutants += [Mutant(area, file, change) for change in changes]
    return mutants


def sample(seed: int, count: int, only: str = "") -> list[Mutant]:
    """As many as asked for, as evenly as there are enough from each area; the same for the same seed."""
    chance = random.Random(seed)
    pools = []
    for area in AREAS:
        pool = [mutant for mutant in mutants_of(area) if _wanted(mutant, only)]
        chance.shuffle(pool)
        pools.append(pool)
    turns = itertools.chain.from_iterable(itertools.zip_longest(*pools))
    return list(itertools.islice((mutant for mutant in turns if mutant is not None), count))


def _wanted(mutant: Mutant, only: str) -> bool:
    if only in [area.name for area in AREAS]:
        return mutant.area.name == only
    if only in mutant.file:
        return True
    name, _, line = only.rpartition(":")
    if not (line.isdigit() and name in mutant.file):
        return False
    return mutant.change.line((ROOT / mutant.file).read_text(encoding="utf-8")) == int(line)


class Tree:
    """A directory with callctl and its tests, in which one mutant at a time is tried."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._environment = {**os.environ, "PYTHONPATH": str(home / "src")}
        self._running: subprocess.Popen[bytes] | None = None
        self._stopped = False

    @classmethod
    def copied(cls, home: Path) -> Self:
        """A copy of what git knows of the project, and of what is new."""
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        for name in subprocess.check_output(listed, cwd=ROOT, text=True).split("\0"):
            if name and (ROOT / name).is_file():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, home / name)
        tree = cls(home)
        asks = [sys.executable, "-c", "import callctl; print(callctl.__file__)"]
        location = subprocess.check_output(asks, cwd=home, env=tree._environment, text=True).strip()
        assert Path(location).is_relative_to(home), f"the tests would see {location}"
        return tree

    @contextlib.contextmanager
    def changed(self, mutant: Mutant) -> Iterator[None]:
        file = self.home / mutant.file
        text = file.read_text(encoding="utf-8")
        self._write(file, mutant.change.applied(text))
        try:
            yield
        finally:
            self._write(file, text)

    @staticmethod
    def _write(file: Path, text: str) -> None:
        file.write_text(text, encoding="utf-8")
        second = next(_seconds)
        os.utime(file, (second, second))

    def run(self, tests: tuple[str, ...], patience: float) -> tuple[str, str]:
        """passed, failed or hung, and the test that did; what does not load fails. ``patience`` is for one test."""
        if self._stopped:
            return "failed", "stopped"
        options = ["-x", "-v", "-n", "0", "-p", "no:cacheprovider", "--no-header", "--tb=no", "-rfE"]
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "pytest", *options, *tests],
            cwd=self.home,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._running = process
        assert process.stdout is not None
        output = chunk = b""
        while select.select([process.stdout], [], [], patience)[0]:
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                break
            output += chunk
        text = output.decode(errors="replace")
        # What a test left running may keep the pipe open.
        if chunk and process.poll() is None:
            self.end()
            running = STARTED.findall(text)
            return "hung", running[-1] if running else ""
        if process.wait() in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
            return "passed", ""
        failed = FAILED.search(text)
        return "failed", failed[1] if failed else text.strip().splitlines()[-1][:200]

    def stop(self) -> None:
        """End the tests that run here, and run no more."""
        self._stopped = True
        self.end()

    def end(self) -> None:
        """End the tests that run here, if any do: Ctrl-C first, so that they stop their servers."""
        process = self._running
        for number in (signal.SIGINT, signal.SIGKILL):
            if process is None or process.poll() is not None:
                return
            os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS_TO_END)


class Trial:
    """Tries mutants, in trees that threads take turns with; a test that kills is run once without any change too."""

    def __init__(self, trees: list[Tree], patience: float, tests: tuple[str, ...] = ()) -> None:
        self._trees: SimpleQueue[Tree] = SimpleQueue()
        for tree in trees:
            self._trees.put(tree)
        self._patience = patience
        self._tests = tests
        self._passes: dict[str, bool] = {}
        self._lock = threading.Lock()

    def of(self, mutant: Mutant) -> Outcome:
        began = time.monotonic()
        tree = self._trees.get()
        try:
            with tree.changed(mutant):
                rounds = (self._tests,) if self._tests else mutant.area.rounds(mutant.file)
                for tests in rounds:
                    word, test = tree.run(tests, self._patience)
                    if word != "passed":
                        break
            if word != "passed" and not self._passes_without(tree, test):
                word = "unclear"
        finally:
            self._trees.put(tree)
        words = {"passed": "survived", "failed": "killed", "hung": "killed"}
        return Outcome(
            words.get(word, word), f"{test} (hangs)" if word == "hung" else test, round(time.monotonic() - began, 1)
        )

    def _passes_without(self, tree: Tree, test: str) -> bool:
        if ".py" not in test:
            return True  # nothing was collected: the change does not load
        with self._lock:
            known = self._passes.get(test)
        if known is None:
            known = tree.run((test,), self._patience)[0] == "passed"
            with self._lock:
                self._passes[test] = known
        return known


def main() -> int:
    arguments = parse()
    chosen = sample(arguments.seed, arguments.count, arguments.only)
    if arguments.list:
        for mutant in chosen:
            print(_line(mutant.describe()))
        return 0
    head = saved.describe(ROOT / "src", {"seed": arguments.seed, "count": len(chosen), "only": arguments.only})
    tried: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="callctl-mutants-") as directory:
        trees = [Tree.copied(Path(directory) / str(number)) for number in range(max(1, arguments.jobs))]
        trial = Trial(trees, arguments.patience, tuple(arguments.tests))
        with ThreadPoolExecutor(len(trees)) as pool:
            futures = {pool.submit(trial.of, mutant): mutant for mutant in chosen}
            try:
                for future in as_completed(futures):
                    outcome = future.result()
                    row = {**futures[future].describe(), "outcome": outcome.word, "test": outcome.test}
                    tried.append({**row, "seconds": outcome.seconds})
                    print(f"{outcome.word} in {outcome.seconds:.0f} s: {_line(row)}", flush=True)
                    if arguments.save:
                        saved.save(arguments.save, {"kind": "mutants", **head, "mutants": sorted(tried, key=_order)})
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                for tree in trees:
                    tree.stop()
    return _report(tried)


def _order(row: dict[str, Any]) -> tuple[str, str, int, str]:
    return row["area"], row["file"], row["line"], row["becomes"]


def _line(row: dict[str, Any]) -> str:
    by = f"\n  by {row['test']}" if row.get("test") else ""
    return f"{row['file']}:{row['line']}: {row['kind']}\n  - {row['was'][:160]}\n  + {row['becomes'][:160]}{by}"


def _report(tried: list[dict[str, Any]]) -> int:
    """The counts, and what survived without a reason; 1 where there is any."""
    counts = Counter((row["area"], row["outcome"]) for row in tried)
    outcomes = ("killed", "survived", "unclear")
    print(f"\n{'':14}" + "".join(f"{outcome:>11}" for outcome in outcomes))
    for area in AREAS:
        if any(counts[area.name, outcome] for outcome in outcomes):
            print(f"{area.name:14}" + "".join(f"{counts[area.name, outcome]:11}" for outcome in outcomes))
    unnoticed = [row for row in tried if row["outcome"] != "killed" and not reason(row)]
    print(f"\n{len(unnoticed)} without a test that notices and without a reason (reasons.yaml):")
    for row in unnoticed:
        print(f"{row['outcome']}: {_line(row)}")
    return int(bool(unnoticed))


if __name__ == "__main__":
    sys.exit(main())
