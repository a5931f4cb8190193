"""Room on the page for what step 12 writes: the second update of a call bot needs no new index entries."""

from __future__ import annotations

import time

import pytest
from tests.conftest import connect as plain

from callctl.config.settings import Settings
from callctl.errors import Interrupted
from callctl.events import BatchFinished, Event
from callctl.migration import migrate

OPTIONS = "SELECT reloptions FROM pg_class WHERE oid = 'chatapp.chatbots'::regclass"


@pytest.mark.parametrize("fillfactor", [None, 70])
def test_the_fillfactor_is_the_tables_own_again(documented: str, fillfactor: int | None) -> None:
    settings = Settings(database_url=documented, batch_size=10)
    seen: list[object] = []
    with plain(documented) as connection:
        connection.execute("VACUUM ANALYZE chatapp.chatbots")
        if fillfactor:
            connection.execute(f"ALTER TABLE chatapp.chatbots SET (fillfactor = {fillfactor})")
        before = connection.execute(OPTIONS).fetchone()

        def stop(event: Event) -> None:
            if isinstance(event, BatchFinished) and event.step == 4:
                seen.append(connection.execute(OPTIONS).fetchone())
                if len(seen) == 3:
                    raise KeyboardInterrupt

        with pytest.raises(Interrupted):
            migrate.up(settings, on_event=stop)
        # Half way: less than the table's own, and remembered.
        assert seen[-1] != before
        migrate.up(settings, to=4)
        assert connection.execute(OPTIONS).fetchone() == before
        assert connection.execute("SELECT FROM callctl.definition WHERE kind = 'fillfactor'").rowcount == 0


def test_what_step_12_writes_is_heap_only(documented: str) -> None:
    settings = Settings(database_url=documented)
    hot = "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'chatapp.chatbots'::regclass"
    with plain(documented) as connection:
        connection.execute("VACUUM ANALYZE chatapp.chatbots")
        migrate.up(settings, to=11)
        waiting = connection.execute(
            "SELECT count(*) FROM chatapp.chatbots WHERE enabled_call AND settings -> 'call' IS NULL"
        ).fetchone()
        time.sleep(1)
        before = connection.execute(hot).fetchone()
        migrate.up(settings, to=12)
        deadline = time.monotonic() + 20  # before 15 a collector has the numbers, and takes its time
        while (after := connection.execute(hot).fetchone()) == before and time.monotonic() < deadline:
            time.sleep(0.1)
    assert waiting is not None
    assert before is not None
    assert after is not None
    assert waiting[0] > 5
    assert after[0] - before[0] > waiting[0] / 2
