"""A server that really has no room left: no file of its may grow beyond a size, as on a full disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from tests.support.db import snapshot
from tests.support.faults.chain import Nursery
from tests.support.faults.own_server import OwnServer, administer
from tests.support.servers import binaries_of

from callctl.sandbox.lifecycle import create_database, fill
from callctl.sandbox.server import Server

# It is about callctl's own words about the server's.
pytestmark = pytest.mark.one_server

ROWS = 3000
# A segment of the write-ahead log must fit, or the server itself goes down.
WAL_SEGMENT = 1 << 20
MORE = 256 * 1024  # what is made free each time


@pytest.fixture(scope="module")
def small(server: Server, request: pytest.FixtureRequest) -> Iterator[OwnServer]:
    binaries = binaries_of(server.version) if request.config.getoption("--pg") else None
    with OwnServer(binaries, wal_segment=WAL_SEGMENT) as own:
        yield own


def largest_file(server: OwnServer, database: str) -> int:
    """Bytes of the largest relation, its own tables and the catalog's included."""
    with administer(server.url(database)) as admin:
        row = admin.execute("SELECT max(pg_relation_size(oid)) FROM pg_class").fetchone()
        assert row is not None
        return int(row[0])


def test_a_disk_that_fills_up_again_and_again(
    small: OwnServer, nursery: Nursery, record_property: Callable[[str, object], None]
) -> None:
    small.start()
    with administer(small.url("postgres")) as admin:
        create_database(admin, "small")
    url = small.url("small")
    fill(url, "documented", rows=ROWS)
    with administer(url) as admin:
        before = snapshot.take(admin)
        # The server is stopped at once: what a session wrote when it ended would not be on disk otherwise.
        admin.execute("CHECKPOINT")
    size = max(largest_file(small, "small"), WAL_SEGMENT)
    refusals = []
    for command in (["migrate", "up", "--yes"], ["migrate", "down", "--all", "--yes"]):
        while True:
            small.stop()
            small.start({"autovacuum": "off"}, file_bytes=size)
            # What a refused batch wrote takes room all the same: it must be less than what is made free.
            ended = nursery.run([*command, "--batch-size", "10"], url)
            if ended.code == 0:
                break
            refusals.append(ended)
            assert ended.code in (4, 5), ended
            assert "File too large" in ended.errors, ended
            assert "Traceback" not in ended.errors
            assert "run the same command again" in ended.errors or ended.code == 4
            size += MORE
            assert len(refusals) < 40, [each.errors[-500:] for each in refusals[-2:]]
    places = {found[0] for each in refusals if (found := re.search(r"[\w/]+\.sql:\d+", each.errors))}
    record_property("faults", f"disk full: {len(refusals)} faults tried, in {len(places)} statements")
    with administer(url) as admin:
        snapshot.assert_same(before, snapshot.take(admin), snapshot.touched_columns(before))
    assert refusals  # how many depends on how far a server extends a file at a time
