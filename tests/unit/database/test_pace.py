"""A run that cannot read the orders of other terminals for a while."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from callctl.config.settings import Settings
from callctl.database import pace
from callctl.database.steering import Order, Word
from callctl.events import Event, Notice


def test_a_paused_run_that_could_not_read_an_order_obeys_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would wait for ever for a resume that it does not read."""
    answers: list[Any] = [
        [_order(1, "pause")],
        psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"),
        psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"),
        [_order(2, "resume")],
    ]

    def orders_since(_connection: object, _since: int) -> list[Order]:
        answer = answers.pop(0)
        if isinstance(answer, psycopg.Error):
            raise answer
        return list(answer)

    monkeypatch.setattr(pace, "ASK_SECONDS", 0.0)
    monkeypatch.setattr(pace, "orders_since", orders_since)
    monkeypatch.setattr("callctl.database.pace.database.relation_exists", lambda *_: True)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert len(slept) < 10, "the run waits for ever"

    monkeypatch.setattr("callctl.database.pace.time.sleep", sleep)
    seen: list[Event] = []
    connection: Any = SimpleNamespace(closed=False)
    brakes: Any = SimpleNamespace()
    pace.Pace(Settings(), connection, seen.append, since=0, brakes=brakes).obey()
    assert not answers
    assert len([event for event in seen if isinstance(event, Notice)]) == 1


def _order(number: int, word: Word) -> Order:
    return Order(number, word, datetime.now(UTC), "ops", "ops@deploy")
