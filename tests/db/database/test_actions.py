"""The audit trail: rows are added with what they tell of, and read newest first."""

from __future__ import annotations

import psycopg

from callctl.database import store
from callctl.database.actions import actions, record_action


def test_an_action_is_recorded_with_what_it_did_or_not_at_all(documented: str) -> None:
    with psycopg.connect(documented, autocommit=True) as connection:
        assert actions(connection) == ()
        store.create(connection, "chatapp")
        record_action(connection, "companies enable", {"companies": ["ä"], "written": 1})
        record_action(connection, "seed-models", {"inserted": 3})
        with connection.transaction(force_rollback=True):
            record_action(connection, "seed-models", {"inserted": 4})
        newest, first = actions(connection)
        assert (newest.command, newest.detail) == ("seed-models", {"inserted": 3})
        assert (first.detail, first.database_role) == ({"companies": ["ä"], "written": 1}, connection.info.user)
        assert "@" in first.client
        assert first.taken_at <= newest.taken_at
        assert actions(connection, "companies enable") == (first,)
