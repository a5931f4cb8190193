"""The proof that the demo shows: that it holds, and that it would not if something were lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.conftest import connect

from callctl.events import Event
from callctl.sandbox.demo import Again, Comparison, Fingerprint, Proof, Told, Writes, compare, demo, fingerprint
from callctl.sandbox.lifecycle import Baseline

pytestmark = pytest.mark.one_server

SCHEMA = "chatapp"


@pytest.mark.parametrize(("baseline", "seed"), [("deployed", 2), ("documented", 3)])
def test_the_story_holds(baseline: Baseline, seed: int) -> None:
    told: list[Told | Event] = []
    story = demo(told.append, baseline=baseline, rows=120, seed=seed)
    assert story == told[-1]
    assert story.holds
    (proof,) = [each for each in told if isinstance(each, Proof)]
    assert {table.table for table in proof.comparison.tables} >= {
        "chatbots",
        "companies",
        "users",
        "ai_models",
    }
    assert proof.comparison.rows > 120
    assert proof.comparison.definitions > 100
    (writes,) = [each for each in told if isinstance(each, Writes)]
    assert all(each.number > 0 for each in writes.rows), writes.rows
    (again,) = [each for each in told if isinstance(each, Again)]
    calls = next(each.number for each in writes.rows if each.what == "calls")
    assert next(table.same for table in again.comparison.tables if table.table == "calls") == calls > 0


def taken(url: str) -> Fingerprint:
    with connect(url) as connection:
        return fingerprint(connection, SCHEMA)


@pytest.fixture
def before(deployed: str) -> Fingerprint:
    return taken(deployed)


def after(url: str, change: str) -> Fingerprint:
    with connect(url) as connection:
        connection.execute(change.encode())
    return taken(url)


def test_a_state_is_equal_to_itself(deployed: str, before: Fingerprint) -> None:
    same = compare(before, taken(deployed))
    assert same.nothing_changed
    assert same.not_compared == ()
    assert {table.table for table in same.tables} == set(before.rows) >= {"users", "messages", "integrations"}


@pytest.mark.parametrize(
    ("change", "table", "changed", "missing", "new"),
    [
        ("UPDATE chatapp.users SET name = 'x' WHERE email = 'user3@example.com'", "users", 1, 0, 0),
        ("UPDATE chatapp.companies SET settings = '{}' WHERE settings IS NULL", "companies", -1, 0, 0),
        ("UPDATE chatapp.ai_models SET input_limit = 0 WHERE model_id = 'gpt-4'", "ai_models", 1, 0, 0),
        ("DELETE FROM chatapp.integrations WHERE id = (SELECT min(id::text)::uuid FROM chatapp.integrations)",
         "integrations", 0, 1, 0),
        ("INSERT INTO chatapp.chatbot_packages (name) VALUES ('new')", "chatbot_packages", 0, 0, 1),
    ],
    ids=["value", "null", "number", "gone", "new"],
)  # fmt: skip
def test_one_row_is_enough(
    deployed: str, before: Fingerprint, change: str, table: str, changed: int, missing: int, new: int
) -> None:
    found = compare(before, after(deployed, change))
    (different,) = [each for each in found.tables if each.same != each.rows or each.new]
    assert (different.table, different.missing, different.new) == (table, missing, new)
    assert different.changed == changed or (changed == -1 and different.changed > 0)
    assert len(different.sample) == min(5, different.changed + different.missing)
    assert found.nothing_lost is (new == 1)
    assert not found.nothing_changed


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ("ALTER TABLE chatapp.users ALTER avatar_url TYPE text", "column chatapp.users.avatar_url"),
        (
            "ALTER TABLE chatapp.chatbots ALTER chatbot_type DROP DEFAULT",
            "column chatapp.chatbots.chatbot_type",
        ),
        ("COMMENT ON COLUMN chatapp.chatbots.chatbot_type IS NULL", "column chatapp.chatbots.chatbot_type"),
        ("DROP INDEX chatapp.chatbots_chatbot_type_idx", "index chatapp.chatbots_chatbot_type_idx"),
        ("ALTER TYPE public.chatbot_type ADD VALUE 'both'", "type public.chatbot_type"),
        ("GRANT SELECT ON chatapp.users TO PUBLIC", "table chatapp.users"),
        (
            "CREATE FUNCTION chatapp.left_behind() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "function chatapp.left_behind()",
        ),
        (
            "ALTER TABLE chatapp.users ADD CHECK (email <> '')",
            "constraint users_email_check on chatapp.users",
        ),
    ],
    ids=["type", "default", "comment", "index", "enum", "grant", "function", "constraint"],
)
def test_one_definition_is_enough(deployed: str, before: Fingerprint, change: str, differing: str) -> None:
    found = compare(before, after(deployed, change))
    assert differing in found.differing
    assert not found.nothing_lost


def test_a_table_that_is_gone_has_lost_its_rows(deployed: str, before: Fingerprint) -> None:
    found = compare(before, after(deployed, "DROP TABLE chatapp.messages"))
    messages = next(table for table in found.tables if table.table == "messages")
    assert messages.missing == messages.rows > 0
    assert not found.nothing_lost


def test_only_what_a_trigger_of_the_platform_writes_is_left_out(documented: str) -> None:
    before = taken(documented)
    assert before.not_compared == dict.fromkeys(("chatbots", "companies", "conversations", "users"), ("updated_at",))
    found = compare(before, after(documented, "UPDATE chatapp.companies SET name = name"))
    assert found.nothing_changed
    assert dict(found.not_compared) == before.not_compared


def test_a_new_row_that_nobody_wrote_fails_the_proof(deployed: str, before: Fingerprint) -> None:
    comparison = compare(before, after(deployed, "INSERT INTO chatapp.chatbot_packages (name) VALUES ('new')"))
    assert comparison.nothing_lost
    assert not Proof(comparison, 0, 0.0).holds
    assert not Proof(comparison, 1, 0.0).holds
    same = Comparison((), 0, (), ())
    assert Proof(same, 0, 0.0).holds
    assert not Proof(replace(same, differing=("type x",)), 0, 0.0).holds
    assert not Proof(same, 1, 0.0).holds  # what was written is gone


def test_every_write_has_a_name() -> None:
    from callctl.statements.script import load_script

    names = [statement.comment for statement in load_script("sandbox/demo/writes.sql").statements]
    assert all(names)
    assert len(set(names)) == len(names)


def test_the_order_of_grants_is_no_difference(deployed: str) -> None:
    """A column that is made again gets its grants in the order of their statements; none at all is another thing."""
    with connect(deployed) as db:
        db.execute("GRANT SELECT (name), UPDATE (name) ON chatapp.users TO pg_monitor")
        db.execute("GRANT SELECT (name) ON chatapp.users TO pg_signal_backend")
    first = taken(deployed)
    with connect(deployed) as db:
        db.execute("REVOKE ALL (name) ON chatapp.users FROM pg_monitor")
        db.execute("GRANT SELECT (name), UPDATE (name) ON chatapp.users TO pg_monitor")
    assert compare(first, taken(deployed)).nothing_changed
    with connect(deployed) as db:
        db.execute(
            "REVOKE ALL ON chatapp.users FROM PUBLIC, CURRENT_USER; REVOKE ALL (name) ON chatapp.users FROM PUBLIC"
        )
    assert "table chatapp.users" in compare(first, taken(deployed)).differing
