"""The tests' own machinery: what is sampled, what runs on which server, what a run needs."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import enough
from tests.support import processes
from tests.support.servers import VERSIONS, unknown

ROOT = Path(__file__).resolve().parents[2]
MARK = re.compile(r"^pytestmark = pytest\.mark\.one_server$", re.MULTILINE)


def test_each_value_comes_and_the_combinations_rotate() -> None:
    rows = list(itertools.product("ab", "xy", "123"))
    seen: set[tuple[str, ...]] = set()
    for first in range(len(rows)):
        kept = [rows[number] for number in enough(rows, first)]
        assert len(kept) == 3
        assert [set(column) for column in zip(*kept, strict=True)] == [set("ab"), set("xy"), set("123")]
        seen.update(kept)
    assert seen == set(rows)


def test_two_servers_take_all_of_two_times_two() -> None:
    """The newest server and an older one differ in ``first``."""
    rows = list(itertools.product("ab", "xy"))
    assert enough(rows, 0) | enough(rows, 1) == {0, 1, 2, 3}


def test_a_table_of_cases_is_whole() -> None:
    """Each row of it is one value."""
    assert enough([("1",), ("2",), ("3",)]) == {0, 1, 2}


def test_a_test_without_parameters_is_run() -> None:
    """With --pg every test on a server has one parameter, the server, which is none of these."""
    assert enough([()]) == {0}


def test_of_a_long_table_some_rows_are_tried_and_others_with_another_seed() -> None:
    """The marker ``some``, as it is collected."""
    name = "tests/db/migration/test_new_tables.py::test_what_the_platform_changes_goes_and_comes_back"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", name]
    tried = []
    for environment in ({}, {"CALLCTL_TEST_SEED": "1"}, {"CALLCTL_TEST_PROFILE": "thorough"}):
        variables = {**os.environ, "PYTEST_ADDOPTS": "", **environment}
        listed = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
        tried.append({line for line in listed.stdout.splitlines() if line.startswith(name)})
    first, second, every = tried
    assert len(first) == len(second) == 5
    assert first != second
    assert first | second < every


def test_on_an_older_server_a_part_of_a_table_is_tried_and_on_another_one_another_part() -> None:
    """The marker ``fewer``, as it is collected."""
    name = "tests/db/migration/checks/test_preflight.py::test_question"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", name]
    environment = {**os.environ, "PYTEST_ADDOPTS": "", "CALLCTL_TEST_PG": ""}
    tried: list[set[str]] = []
    for arguments in (["--pg", "12"], ["--pg", "15"], []):
        listed = subprocess.run(
            [*command, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        cases = (line for line in listed.stdout.splitlines() if line.startswith(name))
        tried.append({re.sub(r"pg\d\d-|-pg\d\d(?=-|\])", "", line) for line in cases})
    oldest, older, every = tried
    assert len(oldest) == len(older) == 40
    assert oldest != older
    assert oldest | older < every


def test_what_is_not_about_the_server_says_so_and_the_rest_runs_on_the_oldest() -> None:
    files = [file for folder in ("db", "faults") for file in (ROOT / "tests" / folder).rglob("test_*.py")]
    once = {file.name for file in files if MARK.search(file.read_text(encoding="utf-8"))}
    assert once
    assert len(once) < len(files) / 2
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert f"./dev test --pg {min(VERSIONS)} --pgbouncer tests/db tests/faults -m 'not one_server'\n" in script
    assert "--ignore" not in script


def test_a_server_that_is_not_packaged_is_named() -> None:
    assert unknown(VERSIONS) is None
    problem = unknown(["12", "19"])
    assert problem is not None
    assert problem.startswith("no programs of PostgreSQL 19 are packaged: --pg takes 12, ")
    assert "CALLCTL_PG_BIN" in problem


def test_a_child_can_be_interrupted_however_the_tests_were_started() -> None:
    """A shell that starts them in the background has SIGINT ignored."""
    asks = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert subprocess.check_output([sys.executable, "-c", asks], text=True) == "False\n"
        processes.listen_to_interrupts()
        assert subprocess.check_output([sys.executable, "-c", asks], text=True) == "True\n"
    finally:
        signal.signal(signal.SIGINT, before)
