"""The log: what each table of callctl's adds to it, the filters, and the roles that may not read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from tests.conftest import connect
from tests.support.steps import LAST

from callctl.config.settings import Settings
from callctl.database import purge, store
from callctl.database.actions import record_action
from callctl.database.log import Entry, Wanted, entries
from callctl.database.store import Unreadable
from callctl.errors import Code, Refused
from callctl.migration import migrate
from callctl.render.log import what

READER = "callctl_test_log_reader"
NOW = datetime.now(UTC)


def settings_of(url: str) -> Settings:
    return Settings(database_url=url)


def listed(url: str, wanted: Wanted | None = None) -> tuple[Entry, ...]:
    with connect(url) as connection:
        return entries(connection, settings_of(url), wanted or Wanted())


def fill(connection: psycopg.Connection[Any]) -> None:
    """One row of each kind, at times that are known: from 9 days ago to 1 day ago."""
    store.create(connection, "chatapp")
    for step, direction, adopted, days in ((1, "up", False, 9), (2, "up", True, 8), (1, "down", False, 7)):
        connection.execute(
            "INSERT INTO callctl.history (step, direction, file, sha256, started_at, finished_at, client,"
            " callctl_version, adopted) VALUES (%s, %s, %s, 'x', %s, %s, 'ops@deploy', '0.1.0', %s)",
            (step, direction, f"steps/{step:02}_name/{direction}.sql", *[NOW - timedelta(days=days)] * 2, adopted),
        )
    for command, detail, days in (
        ("companies enable", '{"companies": [{"id": "1", "slug": "acme"}]}', 6),
        ("migrate pause", "{}", 5),
    ):
        connection.execute(
            "INSERT INTO callctl.action (command, detail, taken_at, client, callctl_version)"
            " VALUES (%s, %s::jsonb, %s, 'ana@laptop', '0.1.0')",
            (command, detail, NOW - timedelta(days=days)),
        )
    for kind, days, ended in (
        ("credentials", 4, True),
        ("webhook_secrets", 3, True),
        ("webhook_secrets_back", 2, False),
    ):
        at = NOW - timedelta(days=days)
        connection.execute(
            "INSERT INTO callctl.rotation (kind, to_key, from_keys, started_at, finished_at, outcome, client,"
            " callctl_version, failures) VALUES (%s, 'k2', '{k1}', %s, %s, %s, 'ops@deploy', '0.1.0', 2)",
            (kind, at, at if ended else None, "given up" if ended else None),
        )
    connection.execute(
        "INSERT INTO callctl.encryption_key (id, check_value, retired_at) VALUES ('k1', 'c', %s), ('k2', 'd', NULL)",
        (NOW - timedelta(days=1),),
    )


@pytest.fixture
def filled(documented: str) -> str:
    with connect(documented) as connection:
        fill(connection)
    return documented


ALL = [
    "keys retire", "webhooks restore", "webhooks rotate", "rotate-secrets", "migrate pause", "companies enable",
    "migrate down", "migrate adopt", "migrate up",
]  # fmt: skip


def test_a_database_that_callctl_never_wrote_to_has_an_empty_log(documented: str) -> None:
    assert listed(documented) == ()


def test_every_table_that_records_work_is_in_it_newest_first(filled: str) -> None:
    log = listed(filled)
    assert [entry.command for entry in log] == ALL
    assert [entry.outcome for entry in log][:4] == ["done", "under way", "given up", "given up"]
    assert {entry.relation for entry in log} == {"history", "action", "rotation", "encryption_key"}
    retired, *_ = log
    assert (retired.client, retired.database_role, retired.callctl_version) == (None, None, None)
    assert [what(entry) for entry in log] == [
        "key k1",
        "from k1, to k2, 2 values left, under way",
        "from k1, to k2, 2 values left, given up",
        "from k1, to k2, 2 values left, given up",
        "",
        "companies acme",
        "step 1 down, name",
        "step 2 up, name",
        "step 1 up, name",
    ]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(since=NOW - timedelta(days=2, hours=1)), ALL[:2]),
        (Wanted(until=NOW - timedelta(days=7, hours=12)), ALL[-2:]),
        (Wanted(since=NOW - timedelta(days=6), until=NOW - timedelta(days=6)), ["companies enable"]),
        (Wanted(command="migrate"), ["migrate pause", "migrate down", "migrate adopt", "migrate up"]),
        (Wanted(command="migrate up"), ["migrate up"]),
        (Wanted(command="migr"), []),
        (Wanted(command="%"), []),
        (Wanted(client="ana@"), ["migrate pause", "companies enable"]),
        (Wanted(client="_"), []),
        (Wanted(last=1), ALL[:1]),
        (Wanted(last=8), ALL[:8]),
        (Wanted(command="migrate", last=2), ["migrate pause", "migrate down"]),
    ],
)
def test_the_filters(filled: str, wanted: Wanted, expected: list[str]) -> None:
    assert [entry.command for entry in listed(filled, wanted)] == expected


def test_rows_of_one_time_are_in_the_order_of_their_ids(documented: str) -> None:
    with connect(documented) as connection:
        store.create(connection, "chatapp")
        for number in range(12):
            record_action(connection, "seed-models", {"number": number})
        connection.execute("UPDATE callctl.action SET taken_at = %s", (NOW,))
    assert [entry.detail["number"] for entry in listed(documented)] == list(range(11, -1, -1))


def test_a_store_of_an_earlier_callctl_lacks_tables(filled: str) -> None:
    with connect(filled) as connection:
        connection.execute("DROP TABLE callctl.rotation, callctl.encryption_key CASCADE")
    assert {entry.relation for entry in listed(filled)} == {"history", "action"}


@pytest.fixture
def reader(filled: str) -> Iterator[str]:
    """The URL of a role that has no rights on callctl's schema."""
    with connect(filled) as connection:
        connection.execute(f"CREATE ROLE {READER} LOGIN".encode())
        yield filled.replace("user=postgres", f"user={READER}")
        connection.execute(f"DROP OWNED BY {READER}; DROP ROLE {READER}".encode())


def test_a_role_is_told_which_tables_it_may_not_read_and_the_hint_lets_it(reader: str, filled: str) -> None:
    with pytest.raises(Unreadable) as refused:
        listed(reader)
    assert refused.value.code == Code.STORE_UNREADABLE
    assert "callctl.action, callctl.encryption_key, callctl.history, callctl.rotation" in refused.value.message
    with connect(filled) as connection:
        connection.execute(f"GRANT USAGE ON SCHEMA callctl TO {READER}".encode())
        connection.execute(f"GRANT SELECT ON callctl.action, callctl.history TO {READER}".encode())
    with pytest.raises(
        Unreadable, match=f"role {READER} may not read callctl.encryption_key, callctl.rotation,"
    ) as refused:
        listed(reader)
    assert refused.value.hint
    with connect(filled) as connection:
        connection.execute(refused.value.hint.partition("or run: ")[2].encode())
    assert [entry.command for entry in listed(reader)] == ALL


def test_rows_that_a_policy_hides_are_not_passed_over(reader: str, filled: str) -> None:
    with connect(filled) as connection:
        connection.execute(
            f"GRANT USAGE ON SCHEMA callctl TO {READER}; GRANT SELECT ON ALL TABLES IN SCHEMA callctl TO {READER};"
            "ALTER TABLE callctl.action ENABLE ROW LEVEL SECURITY".encode()
        )
    with pytest.raises(Refused) as refused:
        listed(reader)
    assert refused.value.code == Code.ROWS_HIDDEN


def test_a_schema_of_that_name_that_callctl_did_not_make(documented: str) -> None:
    with connect(documented) as connection:
        connection.execute("CREATE SCHEMA callctl; CREATE TABLE callctl.history (x text)")
    with pytest.raises(Refused) as refused:
        listed(documented)
    assert refused.value.code == Code.STORE_NAME_TAKEN


def test_purge_is_in_the_log(documented: str) -> None:
    settings = replace(settings_of(documented), environment="test")
    migrate.up(settings)
    migrate.down(settings, to=LAST - 1)
    purged = purge.purge(settings)
    newest, *_ = listed(documented)
    assert (newest.command, what(newest)) == ("purge", f"{sum(kind.rows for kind in purged):,} rows")
    assert purge.purge(settings) == ()
    assert listed(documented)[0] == newest
