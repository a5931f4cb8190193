"""Databases that tests share: with integration accounts, and in every state of the migration."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import MakeDatabase, _template, connect
from tests.support.db import accounts
from tests.support.db.migrated import Migrated, State
from tests.support.db.platforms import Platform, Table

from callctl.cli import run
from callctl.config.settings import Settings
from callctl.migration import migrate
from callctl.sandbox.lifecycle import BASELINES, create_database, drop_database
from callctl.sandbox.server import Server

ACCOUNTS = 400

Said = tuple[int, str, str]
Callctl = Callable[..., Said]

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of key files."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="session")
def _filled(server: Server, keys: Path, _templates: dict[str, str]) -> dict[str, str]:
    """The databases that are copied, by baseline: made once, and only if a test wants them."""
    return {}


def _copy(server: Server, keys: Path, templates: dict[str, str], filled: dict[str, str], baseline: str) -> str:
    with connect(server.url("postgres")) as admin:
        if baseline not in filled:
            name = f"accounts_{baseline}"
            drop_database(admin, name)
            create_database(admin, name, template=_template(server, templates, baseline))
            migrate.up(Settings(database_url=server.url(name)), to=9)
            with connect(server.url(name)) as db:
                accounts.fill(db, accounts.ring_of(accounts.settings_of("", keys)), ACCOUNTS)
            filled[baseline] = name
        copy = f"accounts_copy_{next(_numbers)}"
        create_database(admin, copy, template=filled[baseline])
    return copy


@pytest.fixture(params=BASELINES)
def url_of_each(
    request: pytest.FixtureRequest, server: Server, keys: Path, _templates: dict[str, str], _filled: dict[str, str]
) -> Iterator[str]:
    """The URL of a database of each baseline, with accounts whose secrets are in every form."""
    name = _copy(server, keys, _templates, _filled, request.param)
    yield server.url(name)
    with connect(server.url("postgres")) as admin:
        drop_database(admin, name)


@pytest.fixture
def url(server: Server, keys: Path, _templates: dict[str, str], _filled: dict[str, str]) -> Iterator[str]:
    """The same, of the documented baseline only: for what has nothing to do with names."""
    name = _copy(server, keys, _templates, _filled, "documented")
    yield server.url(name)
    with connect(server.url("postgres")) as admin:
        drop_database(admin, name)


@pytest.fixture(scope="session")
def migrated(server: Server) -> Iterator[Migrated]:
    """Databases in the states that tests ask for, each made once and never changed."""
    made = Migrated(server)
    yield made
    made.drop()


def _own(server: Server, migrated: Migrated, baseline: str) -> Iterator[str]:
    migrated.url(State(baseline))
    name = f"own_copy_{next(_numbers)}"
    with connect(server.url("postgres")) as admin:
        create_database(admin, name, template=f"migrated_{State(baseline)}".replace("-", "_"))
        admin.execute(f"ALTER DATABASE {name} RESET ALL".encode())  # of a sandbox nobody is asked
    yield server.url(name)
    with connect(server.url("postgres")) as admin:
        drop_database(admin, name)


@pytest.fixture(params=BASELINES)
def applied(request: pytest.FixtureRequest, server: Server, migrated: Migrated) -> Iterator[str]:
    """The URL of a database of each baseline with every step applied, the test's own. No sandbox: callctl asks."""
    yield from _own(server, migrated, request.param)


@pytest.fixture
def applied_documented(server: Server, migrated: Migrated) -> Iterator[str]:
    """The same, of the documented baseline only: for what has nothing to do with names."""
    yield from _own(server, migrated, "documented")


@pytest.fixture
def callctl(capsys: pytest.CaptureFixture[str]) -> Callctl:
    """Run a command in this process: its exit code, stdout and stderr."""

    def command(url: str, *arguments: str) -> Said:
        code = run([*arguments, "--database", url])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture(params=BASELINES)
def platform(request: pytest.FixtureRequest, database: MakeDatabase) -> Iterator[Platform]:
    """Each baseline, not migrated yet."""
    at = Platform(database(request.param), request.param == "deployed")
    yield at
    at.db.close()


@pytest.fixture(params=[0, 1], ids=["chatbots", "packages"])
def table(request: pytest.FixtureRequest, platform: Platform) -> Table:
    """Each of the tables with both forms."""
    return platform.tables[request.param]
