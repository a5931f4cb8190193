"""A synchronous standby that is gone: a commit waits for it for ever, and without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.conftest import connect

from callctl.config.settings import Settings
from callctl.database import store
from callctl.errors import Interrupted, Refused
from callctl.events import Event, StepFinished, StepStarted, Waiting
from callctl.migration import migrate
from callctl.sandbox.lifecycle import create_database, fill
from callctl.sandbox.server import start_server

SETTINGS = {"wal_level": "replica", "max_wal_senders": "4", "synchronous_commit": "on"}


@pytest.fixture
def awaited() -> Iterator[tuple[str, Callable[[str], None]]]:
    """The URL of a database, and what sets synchronous_standby_names of its own server."""
    with start_server(settings=SETTINGS) as own, connect(own.url("postgres")) as admin:
        create_database(admin, "platform")
        fill(own.url("platform"), "documented", rows=50)

        def wait_for(names: str) -> None:
            admin.execute("SET synchronous_commit = local")
            admin.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'".encode())
            admin.execute("SELECT pg_reload_conf()")

        yield own.url("platform"), wait_for
        wait_for("")


def test_preflight_says_so_before_anything_is_written(awaited: tuple[str, Callable[[str], None]]) -> None:
    url, wait_for = awaited
    wait_for("gone")
    settings = Settings(database_url=url)
    with pytest.raises(Refused, match=r"every commit waits for 1 standby\(s\) of synchronous_standby_names \(gone\)"):
        migrate.up(settings)
    with connect(url) as connection:
        assert not store.exists(connection)
        # Who does not wait for a standby anyway, is not stopped.
        connection.execute("SET synchronous_commit = local")
        connection.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = local")
    migrate.up(settings, to=1)


def test_a_run_says_that_it_waits_for_one(awaited: tuple[str, Callable[[str], None]]) -> None:
    """It is lost while the first step runs. The step ends when an administrator gives the standby up."""
    url, wait_for = awaited
    said: list[Event] = []

    def listen(event: Event) -> None:
        said.append(event)
        if isinstance(event, StepStarted) and event.step == 2:
            wait_for("gone")
        if isinstance(event, Waiting):
            wait_for("")

    migrate.up(Settings(database_url=url), to=3, on_event=listen)
    waiting = [event.what for event in said if isinstance(event, Waiting)]
    assert waiting[0] == (
        "a synchronous standby to confirm what is committed (synchronous_standby_names is gone; 0 connected)"
    )
    # It was said before the step was called done.
    until = next(index for index, event in enumerate(said) if isinstance(event, Waiting))
    assert [event.step for event in said[:until] if isinstance(event, StepFinished)] == [1]


def test_ctrl_c_says_what_is_not_known(awaited: tuple[str, Callable[[str], None]]) -> None:
    """The wait ends with the statement's cancellation, as Ctrl-C has it; the step is committed on this server."""
    url, wait_for = awaited

    def listen(event: Event) -> None:
        if isinstance(event, StepStarted) and event.step == 1:
            wait_for("gone")
        if isinstance(event, Waiting):
            with connect(url) as other:
                other.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="interrupted after the commit of step 1 up; it may not be on disk"):
        migrate.up(Settings(database_url=url), to=1, on_event=listen)
    wait_for("")
    with connect(url) as connection:
        assert migrate.status(connection, Settings(database_url=url)).applied == (1,)
