"""A server that may be crashed, a proxy before it, and databases that are migrated through it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from tests.support.db import accounts
from tests.support.faults.chain import Chain, Nursery
from tests.support.faults.own_server import OwnServer, administer
from tests.support.faults.points import Transactions
from tests.support.faults.proxy import Proxy
from tests.support.faults.reference import Reference, look
from tests.support.faults.rotation_chain import RotationChain
from tests.support.faults.rotation_scene import SceneName, build, configuration, log_everything, quietly
from tests.support.servers import binaries_of

from callctl.sandbox.lifecycle import BASELINES, Baseline, create_database, drop_database, fill
from callctl.sandbox.server import Server

ROWS = 40
# Read before the tests' own environment is made.
EXHAUSTIVE = os.environ.get("CALLCTL_TEST_PROFILE") == "exhaustive"
THOROUGH = EXHAUSTIVE or os.environ.get("CALLCTL_TEST_PROFILE") == "thorough"

_numbers = itertools.count(1)


MakeChain: TypeAlias = Callable[..., Chain]
MakeReference: TypeAlias = Callable[[str], Reference]
MakeRotation: TypeAlias = Callable[..., RotationChain]


@pytest.fixture(scope="session")
def own_server(server: Server, request: pytest.FixtureRequest) -> Iterator[OwnServer]:
    """A server that a test may crash; of the major version that is asked for."""
    binaries = binaries_of(server.version) if request.config.getoption("--pg") else None
    with OwnServer(binaries) as own:
        own.start()
        yield own


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where callctl's processes come from."""
    made = Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def proxy(own_server: OwnServer) -> Iterator[Proxy]:
    made = Proxy(own_server.sockets)
    yield made
    made.close()


@pytest.fixture(scope="session")
def _filled(own_server: OwnServer) -> Callable[[str], str]:
    made: set[str] = set()

    def template(baseline: str) -> str:
        name = f"template_{baseline}"
        if baseline not in made:
            known: dict[str, Baseline] = {each: each for each in BASELINES}
            with administer(own_server.url("postgres")) as admin:
                create_database(admin, name)
            fill(own_server.url(name), known[baseline], rows=ROWS)
            made.add(baseline)
        return name

    return template


@pytest.fixture(scope="session")
def chain(own_server: OwnServer, proxy: Proxy, nursery: Nursery, _filled: Callable[[str], str]) -> Iterator[MakeChain]:
    """Make a fresh database of a baseline, ready to be migrated under faults."""
    made: list[Chain] = []

    def make(baseline: str, transactions: Transactions | None = None) -> Chain:
        name = f"faults_{next(_numbers)}"
        with administer(own_server.url("postgres")) as admin:
            create_database(admin, name, template=_filled(baseline))
        made.append(Chain(own_server, proxy, nursery, name, transactions or Transactions()))
        return made[-1]

    yield make
    for each in made:
        each.progress.close()
    with administer(own_server.url("postgres")) as admin:
        for each in made:
            drop_database(admin, each.database)


@pytest.fixture
def one_in(request: pytest.FixtureRequest) -> int:
    """Of how many points one is disturbed: a sample by default, a smaller one on the older servers that --pg names."""
    if THOROUGH:
        return 1
    return 40 if request.config.getoption("--pg") else 36


@pytest.fixture(scope="session")
def reference(chain: MakeChain) -> MakeReference:
    """What an undisturbed trip up and down looks like, taken once for each baseline."""
    known: dict[str, Reference] = {}

    def make(baseline: str) -> Reference:
        if baseline not in known:
            quiet = chain(baseline)
            before, _ = look(quiet)
            quiet.nursery.warm(["migrate", "plan"], quiet.server.url(quiet.database))
            points = {"up": quiet.undisturbed("up")}
            up, up_store = look(quiet)
            quiet.nursery.warm(["migrate", "plan", "--down"], quiet.server.url(quiet.database))
            points["down"] = quiet.undisturbed("down")
            down, down_store = look(quiet)
            known[baseline] = Reference(before, up, up_store, down, down_store, points, quiet.transactions)
        return known[baseline]

    return make


# ---- rotations -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def logging_server(server: Server, request: pytest.FixtureRequest) -> Iterator[OwnServer]:
    """A server that a test may crash, and that logs every statement with its parameters."""
    binaries = binaries_of(server.version) if request.config.getoption("--pg") else None
    with OwnServer(binaries) as own:
        own.start()
        log_everything(own)
        yield own


@pytest.fixture(scope="session")
def rotation(
    logging_server: OwnServer, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeRotation]:
    """Make a fresh database of a scene, ready to be rotated under faults."""
    config = configuration(tmp_path_factory.mktemp("keys"))
    ring = accounts.ring_of(accounts.settings_of("", config.parent))
    proxy = Proxy(logging_server.sockets)
    templates: set[str] = set()
    made: list[RotationChain] = []

    def make(scene: SceneName, transactions: Transactions | None = None) -> RotationChain:
        template, name = f"secrets_{scene}", f"rotation_{next(_numbers)}"
        if template not in templates:
            build(logging_server, template, scene, ring)
            templates.add(template)
        with quietly(logging_server.url("postgres")) as admin:
            create_database(admin, name, template=template)
        made.append(RotationChain(logging_server, proxy, nursery, name, config, ring, transactions or Transactions()))
        return made[-1]

    yield make
    proxy.close()
    with administer(logging_server.url("postgres")) as admin:
        for each in made:
            each.progress.close()
            drop_database(admin, each.database)
