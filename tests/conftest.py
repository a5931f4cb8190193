"""What tests on a real PostgreSQL stand on: one server a run (a worker, with -n), a fresh database a test."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import hypothesis
import psycopg
import pytest
from tests.support import processes
from tests.support.servers import binaries_of, unknown
from tests.support.steps import LAST

from callctl.config.settings import Settings
from callctl.migration import migrate
from callctl.sandbox.lifecycle import BASELINES, Baseline, create_database, drop_database, fill, ignore_environment
from callctl.sandbox.server import Server, start_server

ROWS = 200
# Runs every combination of parameters, every example and every fault; other values of CALLCTL_TEST_PROFILE do not.
THOROUGH = os.environ.get("CALLCTL_TEST_PROFILE") in ("thorough", "exhaustive")
# How long a property's example takes says how busy the machine is, and is never a failure.
hypothesis.settings.register_profile("callctl", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("callctl")

# Another number has samples taken elsewhere: of combinations of parameters, and of points where faults strike.
SEED = int(os.environ.get("CALLCTL_TEST_SEED") or 0)
# Settings of the test run itself.
OF_THE_TESTS = frozenset(
    {
        "CALLCTL_PG_BIN",
        "CALLCTL_TEST_PG",
        "CALLCTL_TEST_PGBOUNCER",
        "CALLCTL_TEST_PROFILE",
        "CALLCTL_TEST_SEED",
        "CALLCTL_TEST_NODE",
        "CALLCTL_CACHE",
    }
)

# Where the system keeps files in memory, and how many bytes must be free there for the servers of one worker.
MEMORY = Path("/dev/shm")
WORKER_BYTES = 3 << 29

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


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are processors: a test that waits for a server or a process leaves its own free."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    global SEED
    if problem := unknown(_majors(config)):
        raise pytest.UsageError(problem)
    SEED += bool(_majors(config))  # before the tests are imported: with --pg every sample is another one


def _majors(config: pytest.Config) -> list[str]:
    return [major.strip() for major in config.getoption("--pg").split(",") if major.strip()]


# What needs a program that not everybody has, and the option that says it is there.
ASKED_FOR = {"test_pgbouncer.py": "--pgbouncer", "test_node.py": "--node"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    option = ASKED_FOR.get(collection_path.name)
    return True if option and not config.getoption(option) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    majors = _majors(metafunc.config)
    if majors and "server" in metafunc.fixturenames:
        metafunc.parametrize("server", majors, indirect=True, scope="session", ids=[f"pg{m}" for m in majors])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep of a test on a server as many combinations of its parameters as it takes for each value of each to come.

    Of a test marked ``some(n)``, which takes long and says the same of each, only n of these; of one marked
    ``fewer(n)`` only n on each server that --pg names. With --pg they are other combinations than without, on each
    server others, and with another CALLCTL_TEST_SEED others again.
    """
    if THOROUGH:
        return
    tests: dict[str, list[pytest.Function]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "server" in item.fixturenames:
            tests.setdefault(f"{item.nodeid.partition('[')[0]} {item.callspec.params.get('server')}", []).append(item)
    left_out: set[pytest.Item] = set()
    for several in tests.values():
        kept = enough([values(item) for item in several], SEED)
        major = several[0].callspec.params.get("server")
        mark = several[0].get_closest_marker("some")
        if mark is None and major is not None:
            mark = several[0].get_closest_marker("fewer")
        if mark is not None:
            choose = Random(f"{SEED} {major or ''}{several[0].originalname}")
            kept = set(choose.sample(sorted(kept), min(mark.args[0], len(kept))))
        left_out |= {item for number, item in enumerate(several) if number not in kept}
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]


def values(item: pytest.Function) -> tuple[str, ...]:
    """The values of a test's parameters. Those of one ``parametrize`` belong together; a fixture's tuple is several."""
    parameters = {name: value for name, value in item.callspec.params.items() if name != "server"}
    texts = []
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
        texts.append(repr([parameters.pop(name.strip(), None) for name in names]))
    for value in parameters.values():
        texts += [repr(part) for part in value] if isinstance(value, tuple) else [repr(value)]
    return tuple(texts)


def enough(rows: Sequence[tuple[str, ...]], first: int = 0) -> set[int]:
    """The numbers of rows that hold every value of every place, each about as often; ``first`` is looked at first."""
    order = [(first + number) % len(rows) for number in range(len(rows))]
    missing = {value for row in rows for value in enumerate(row)}
    kept = set() if missing else {order[0]}
    times: Counter[tuple[int, str]] = Counter()
    while missing:
        new = {number: len(missing.intersection(enumerate(rows[number]))) for number in order}
        best = max(order, key=lambda number: (new[number], -sum(times[value] for value in enumerate(rows[number]))))
        kept.add(best)
        times.update(enumerate(rows[best]))
        missing.difference_update(enumerate(rows[best]))
    return kept


def connect(url: str, **options: Any) -> psycopg.Connection[Any]:
    """Connect to a test database in autocommit."""
    return psycopg.connect(url, autocommit=True, **options)


def _keep_servers_in_memory() -> None:
    """Put the data directories of the tests' servers into memory, where there is room: files on a disk cost more.

    TMPDIR decides where it is set. Sandboxes that callctl starts in a process of its own go there too.
    """
    with contextlib.suppress(OSError):
        room = os.statvfs(MEMORY)
        runs_programs = not room.f_flag & os.ST_NOEXEC
        needed = WORKER_BYTES * int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        if "TMPDIR" not in os.environ and runs_programs and room.f_bavail * room.f_frsize >= needed:
            os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


def skip_forbidden(connection: psycopg.Connection[Any], setting: str) -> None:
    """Skip a test of a setting that this server no longer takes."""
    if setting.startswith("standard_conforming_strings") and connection.info.server_version >= 190000:
        pytest.skip("standard_conforming_strings cannot be off from PostgreSQL 19 on")


@pytest.fixture(scope="session", autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the developer's database or settings."""
    processes.listen_to_interrupts()
    tmp_path_factory.getbasetemp()  # pytest keeps it after the run, so it stays on the disk
    _keep_servers_in_memory()
    for name in list(os.environ):
        if name.startswith("CALLCTL_") and name not in OF_THE_TESTS:
            del os.environ[name]
    ignore_environment()


@pytest.fixture(scope="session")
def server(_own_environment: None, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of its own, gone at the end of the run however it ends."""
    major: str | None = getattr(request, "param", None)
    # Prepared transactions are something that preflight looks for. A database lives for seconds: nothing to vacuum.
    settings = {"max_prepared_transactions": "10", "max_connections": "200", "autovacuum": "off", "jit": "off"}
    with start_server(binaries_of(major) if major else None, settings=settings) as running:
        yield running


@pytest.fixture(scope="session")
def _templates(server: Server) -> dict[str, str]:
    """The databases that tests get copies of, made once and only if a test wants them."""
    return {}


@pytest.fixture
def database(server: Server, _templates: dict[str, str], request: pytest.FixtureRequest) -> Iterator[MakeDatabase]:
    """Make databases: database("documented"), database("deployed"), database(None) for an empty one.

    Each call gives the URL of a new one; all are dropped after the test. In a test marked ``applied(to)`` the steps up
    to that one are applied to it, with ``defer_drops=True`` without those that drop a column.
    """
    names: list[str] = []
    applied = request.node.get_closest_marker("applied")

    def make(baseline: str | None = None) -> str:
        name = f"test_{next(_numbers)}"
        template = None
        if baseline is not None:
            template = _template(server, _templates, baseline)
            if applied is not None:
                template = _migrated(server, _templates, template, *applied.args, **applied.kwargs)
        with connect(server.url("postgres")) as admin:
            create_database(admin, name, template=template)
        names.append(name)
        return server.url(name)

    yield make
    with connect(server.url("postgres")) as admin:
        for name in names:
            drop_database(admin, name)


def _template(server: Server, templates: dict[str, str], baseline: str) -> str:
    if baseline not in templates:
        known: dict[str, Baseline] = {baseline_name: baseline_name for baseline_name in BASELINES}
        name = f"template_{baseline}"
        with connect(server.url("postgres")) as admin:
            drop_database(admin, name)  # of an attempt that failed
            create_database(admin, name)
        fill(server.url(name), known[baseline], rows=ROWS)
        templates[baseline] = name
    return templates[baseline]


def _migrated(
    server: Server, templates: dict[str, str], template: str, to: int = LAST, *, defer_drops: bool = False
) -> str:
    """A copy of a template with these steps applied."""
    name = f"{template}_{to}{'_deferred' * defer_drops}"
    if name not in templates:
        with connect(server.url("postgres")) as admin:
            drop_database(admin, name)
            create_database(admin, name, template=template)
        migrate.up(Settings(database_url=server.url(name)), to=to, defer_drops=defer_drops)
        templates[name] = name
    return name


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
