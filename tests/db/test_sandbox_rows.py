"""The before-databases: believable, complete, the same for the same seed."""

from __future__ import annotations

from tests.conftest import connect


def test_databases_are_filled(baseline: str) -> None:
    with connect(baseline) as db:
        assert db.execute("SELECT count(*) FROM chatapp.chatbots").fetchone() == (200,)
