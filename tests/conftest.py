"""What tests on a real PostgreSQL stand on: one server a run (a worker, with -n), a fresh database a test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest
from tests.servers import binaries_of

from callctl.baselines import BASELINES, Baseline, create_database, drop_database, fill
from callctl.postgres import Server, start_server
from callctl.sandbox import ignore_environment

ROWS = 200
# Settings of the test run itself.
OF_THE_TESTS = frozenset(
    {
        "CALLCTL_PG_BIN",
        "CALLCTL_TEST_PG",
        "CALLCTL_TEST_PGBOUNCER",
        "CALLCTL_TEST_PROFILE",
        "CALLCTL_TEST_NODE",
        "CALLCTL_CACHE",
    }
)

_numbers = itertools.count(1)

MakeDatabase: TypeAlias = Callable[[str | None], str]


def pytest_addoption(parser: pytest.Parser) -> None:
    """--pg 12,15: each test that needs a server on these versions; --pgbouncer, --node: with those that need one."""
    parser.addoption(
        "--pg",
        metavar="MAJOR,...",
        default=os.environ.get("CALLCTL_TEST_PG", ""),
        help="PostgreSQL major versions to test on [default: CALLCTL_TEST_PG, else the wheel's]",
    )
    parser.addoption(
        "--pgbouncer",
        action="store_true",
        default=bool(os.environ.get("CALLCTL_TEST_PGBOUNCER")),
        help="with the tests that need a PgBouncer: the one on PATH, else Debian's package [CALLCTL_TEST_PGBOUNCER]",
    )
    parser.addoption(
        "--node",
        action="store_true",
        default=bool(os.environ.get("CALLCTL_TEST_NODE")),
        help="with the tests that run TypeScript: node and npm (for a compiler) on PATH [CALLCTL_TEST_NODE]",
    )


# What needs a program that not everybody has, and the option that says it is there.
ASKED_FOR = {"test_pgbouncer.py": "--pgbouncer", "test_node.py": "--node"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    option = ASKED_FOR.get(collection_path.name)
    return True if option and not config.getoption(option) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    majors = [major.strip() for major in metafunc.config.getoption("--pg").split(",") if major.strip()]
    if majors and "server" in metafunc.fixturenames:
        metafunc.parametrize("server", majors, indirect=True, scope="session", ids=[f"pg{m}" for m in majors])


def connect(url: str, **options: Any) -> psycopg.Connection[Any]:
    """Connect to a test database in autocommit."""
    return psycopg.connect(url, autocommit=True, **options)


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> None:
    """No test sees the developer's database or settings."""
    for name in list(os.environ):
        if name.startswith("CALLCTL_") and name not in OF_THE_TESTS:
            del os.environ[name]
    ignore_environment()


@pytest.fixture(scope="session")
def server(_own_environment: None, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of its own, gone at the end of the run however it ends."""
    major: str | None = getattr(request, "param", None)
    # Prepared transactions are something that preflight looks for.
    settings = {"max_prepared_transactions": "10", "max_connections": "200"}
    with start_server(binaries_of(major) if major else None, settings=settings) as running:
        yield running


@pytest.fixture(scope="session")
def _templates(server: Server) -> dict[str, str]:
    """The databases that tests get copies of, made once and only if a test wants them."""
    return {}


@pytest.fixture
def database(server: Server, _templates: dict[str, str]) -> Iterator[MakeDatabase]:
    """Make databases: database("documented"), database("deployed"), database(None) for an empty one.

    Each call gives the URL of a new one; all are dropped after the test.
    """
    made: list[str] = []

    def make(baseline: str | None = None) -> str:
        name = f"test_{next(_numbers)}"
        with connect(server.url("postgres")) as admin:
            create_database(admin, name, template=baseline and _template(server, _templates, baseline))
        made.append(name)
        return server.url(name)

    yield make
    with connect(server.url("postgres")) as admin:
        for name in made:
            drop_database(admin, name)


def _template(server: Server, templates: dict[str, str], baseline: str) -> str:
    if baseline not in templates:
        known: dict[str, Baseline] = {each: each for each in BASELINES}
        name = f"template_{baseline}"
        with connect(server.url("postgres")) as admin:
            drop_database(admin, name)  # of an attempt that failed
            create_database(admin, name)
        fill(server.url(name), known[baseline], rows=ROWS)
        templates[baseline] = name
    return templates[baseline]


@pytest.fixture
def documented(database: MakeDatabase) -> str:
    """The URL of a fresh copy of the documented baseline."""
    return database("documented")


@pytest.fixture
def real(documented: str) -> str:
    """A database that is not marked as a sandbox, so that callctl asks before it writes."""
    with connect(documented) as connection:
        connection.execute(f'ALTER DATABASE "{connection.info.dbname}" RESET ALL')
    return documented


@pytest.fixture
def deployed(database: MakeDatabase) -> str:
    """The URL of a fresh copy of the deployed baseline."""
    return database("deployed")


@pytest.fixture(params=BASELINES)
def baseline(request: pytest.FixtureRequest, database: MakeDatabase) -> str:
    """The URL of a fresh copy of each baseline in turn."""
    return database(request.param)


@pytest.fixture
def empty_database(database: MakeDatabase) -> str:
    """The URL of a database with nothing in it."""
    return database(None)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What the fault tests knew and tried. Here, because with -n the process that reports loads no other conftest."""
    lines = [
        str(value)
        for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
        for name, value in report.user_properties
        if name == "faults" and report.when == "call"
    ]
    if lines:
        terminalreporter.write_sep("-", "faults")
    for line in sorted(lines):
        terminalreporter.write_line(f"faults: {line}")
