"""Expand and contract: up --defer-drops, both applications at work, and then the drops, or the way back."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from psycopg import errors
from tests.conftest import MakeDatabase, connect
from tests.db.migration.test_lossless import (
    Subject,
    assert_back,
    assert_down,
    examples,
    one_of,
    subject,
    touched,
)
from tests.faults.test_resume import StopAfter
from tests.support.db.application import FLAGS, NewApplication, OldApplication
from tests.support.db.before import DEPLOYED, DOCUMENTED, Before, TypeColumn, befores
from tests.support.db.both_forms import BothForms
from tests.support.db.expectation import MISSING, call_settings, plain, settings
from tests.support.db.snapshot import Snapshot, assert_same, row_differences, take, touched_columns
from tests.support.steps import LAST

from callctl.config.settings import Settings
from callctl.errors import Interrupted
from callctl.events import BatchFinished, Event
from callctl.migration import migrate
from callctl.sandbox.lifecycle import BASELINES

# The flags alone say 'chat' and 'call'; a type that has no default must be filled from them.
BARE = Before(
    types=(TypeColumn("chatbot_type", "text", False, None), TypeColumn("chatbotType", "char(10)", True, None))
)


@one_of(
    3,
    (DOCUMENTED, 1, False),
    (DEPLOYED, 4, True),
    (DOCUMENTED, 2, True),
    (BARE, 5, True),
    (BARE, 6, False),
    (DEPLOYED, 3, False),
)
@given(before=befores(), seed=st.integers(0, 2**32), contract=st.booleans())
@examples(2, 200)
def test_both_forms_stay_one_truth(database: MakeDatabase, before: Before, seed: int, contract: bool) -> None:
    """Whatever is written by whatever road, both forms are right, and stay so after the drops, down, and up again."""
    with subject(database, before) as at:
        at.up(defer_drops=True)
        both = BothForms(at.db, before, Random(f"forms {seed}"))
        for number in range(60):
            both.write()
            assert both.found() == both.right, number
        assert at.failing() == set()
        types = {row: forms.type for row, forms in both.right.items()}
        flags = {row: forms.flags for row, forms in both.right.items()}
        if contract:
            at.up()
            assert stored(at, 1) == flags
            assert at.failing() == set()
        at.down()
        assert stored(at, 0) == types
        at.up(defer_drops=not contract)
        assert stored(at, 1) == flags
        assert at.failing() == set()
        at.up()
        assert stored(at, 1) == flags
        at.down()
        assert stored(at, 0) == types


def stored(at: Subject, form: int) -> dict[tuple[str, str], Any]:
    """One form of every row: 0 the types, 1 the flags."""
    found: dict[tuple[str, str], Any] = {}
    for table, chat, call in (
        ("chatbots", "enabled_chat", "enabled_call"),
        ("chatbot_packages", "enable_chat", "enable_call"),
    ):
        wanted = (f'rtrim("{at.before.type_of(table).name}"::text)', f"ARRAY[{chat}, {call}]")[form]
        for key, value in at.db.execute(f'SELECT id::text, {wanted} FROM "{at.before.schema}".{table}'.encode()):
            found[table, key] = tuple(value) if form else value
    return found


@pytest.mark.one_server
@one_of(
    4,
    (DEPLOYED, 2, [True]),
    (DOCUMENTED, 3, [False]),
    (DOCUMENTED, 1, [True]),
    (DEPLOYED, 4, [False]),
)
@given(before=befores(), seed=st.integers(0, 2**32), ways=st.lists(st.booleans(), min_size=1, max_size=3))
@examples(2, 100)
def test_nothing_of_either_application_is_lost(
    database: MakeDatabase, before: Before, seed: int, ways: list[bool]
) -> None:
    """Both applications write while the drops wait; then the drops and down, or down at once, and up again."""
    with subject(database, before) as at:
        first = at.look()
        at.up(defer_drops=True)
        upped = at.look()
        for number, contract in enumerate(ways):
            note(f"contract {contract}")
            old = OldApplication(at.db, before, Random(f"old {seed} {number}"), models=False)
            new = NewApplication(at.db, before, Random(f"new {seed} {number}"), models=False)
            new.write()
            old.write()
            new.write()
            written = at.look()
            if contract:
                at.up()
                contracted = at.look()
                assert_only_the_type_is_gone(before, written, contracted)
            at.down()
            downed = at.look()
            assert_down(before, first, upped, written, downed)
            at.up(defer_drops=True)
            again = at.look()
            assert_all_back(before, written, again)
            first, upped = downed, again  # what the next way down must come back to
        at.up()
        assert {check for check in at.failing() if "forms" in check or "flags-in" in check} == set()


def assert_only_the_type_is_gone(before: Before, written: Snapshot, contracted: Snapshot) -> None:
    """The drops change no other value, but call settings that a call bot had to be given."""
    for name, rows in written.rows.items():
        table = name.rpartition(".")[2]
        own = table in FLAGS and name.startswith(f"{before.schema}.")
        without = [before.type_of(table).name, "settings"] if own else []
        if table == "ai_models":
            without = ["is_active"]  # models that waited for the drops are offered from here on
        differences = row_differences(
            {name: plain(rows, *without)},
            {name: plain(contracted.rows[name], *without)},
            touched(before, written),
        )
        assert not differences, "\n".join(differences)
    for key, row in written.table("chatbots").items():
        old, new = settings(row), settings(contracted.table("chatbots")[key])
        if new != old:
            assert row["enabled_call"] == "true"
            assert call_settings(old) in (MISSING, None, {})
            assert {**(old or {}), "call": None} == {**new, "call": None}


def assert_all_back(before: Before, written: Snapshot, again: Snapshot) -> None:
    """After the way down and up again every row is as both applications had left it."""
    differences = row_differences(
        {name: plain(rows, "settings") for name, rows in written.rows.items()},
        {name: plain(rows, "settings") for name, rows in again.rows.items()},
        touched(before, written),
    )
    assert not differences, "\n".join(differences)


Way = tuple[str, int, bool]


@pytest.mark.one_server
@one_of(
    2,
    (DEPLOYED, [("up", LAST, True), ("up", 5, False), ("down", 8, False), ("up", LAST, True)]),
    (DOCUMENTED, [("up", LAST, True), ("up", 5, False), ("down", 4, False), ("up", 9, True), ("down", 2, False)]),
)
@given(
    before=befores(),
    ways=st.lists(
        st.tuples(st.sampled_from(("up", "up", "down")), st.integers(1, LAST), st.booleans()), min_size=1, max_size=5
    ),
)
@examples(2, 150)
def test_any_way_with_the_drops_deferred_or_not_is_the_same(
    database: MakeDatabase, before: Before, ways: list[Way]
) -> None:
    """Up, with the drops or without, and down, in any order, end where the direct way does; verify always passes."""
    with subject(database, before) as at:
        first = at.look()
        at.up()
        direct = at.look()
        at.down()
        for way, number, defer in ways:
            note(f"{way} {number} {defer}")
            if way == "up":
                at.up(number, defer_drops=defer)
            else:
                at.down(number)
            if at.applied():
                assert at.failing() == set()
        at.up()
        assert_same(direct, at.look(), touched(before, first))
        at.down()
        assert_back(before, first, at.look())


@pytest.mark.some(1)
@pytest.mark.one_server
@pytest.mark.applied
def test_stopped_everywhere_in_both_parts_it_still_arrives(baseline: str) -> None:
    run = replace(Settings(database_url=baseline), batch_size=60)
    with connect(baseline) as db:
        direct = take(db)
        migrate.down(run, to=0)
        for defer in (True, False):
            for attempt in range(1, 200):
                try:
                    migrate.up(run, defer_drops=defer, on_event=StopAfter(attempt * 3 % 41))
                    break
                except Interrupted:
                    continue
            assert migrate.status(db, run).pending == ((5, 6) if defer else ())
        assert_same(direct, take(db), touched_columns(direct))


@pytest.mark.parametrize("name", BASELINES)
def test_both_applications_write_through_the_whole_contract(database: MakeDatabase, name: str) -> None:
    """Up to the drop the type counts, after it only flags do, and no write falls between."""
    before = {"documented": DOCUMENTED, "deployed": DEPLOYED}[name]
    with subject(database, before) as at:
        at.up(defer_drops=True)
        both = BothForms(at.db, before, Random(name))
        at.db.execute("SET lock_timeout = '50ms'")
        written = {"before": 0, "refused": 0}
        violated: set[str | None] = set()

        def write(event: Event) -> None:
            for _ in range(3):
                try:
                    both.write()
                    written["before"] += 1
                except (errors.LockNotAvailable, errors.UndefinedColumn):
                    written["refused"] += 1
                except errors.CheckViolation as error:
                    violated.add(error.diag.constraint_name)
                    written["refused"] += 1

        migrate.up(at.settings, on_event=write)
        assert written["before"] > 20
        # The package's rule, which comes with step 6; never the CHECK of the proof.
        assert violated <= {"chatbots_package_capability"}
        assert written["refused"]
        assert stored(at, 1) == {row: forms.flags for row, forms in both.right.items()}
        at.down()
        said = {row: forms.type for row, forms in both.right.items()}
        found = stored(at, 0)
        # Of what was written after the drop only the flags are known, and they know only of call.
        calls = {row: kind == "call" for row, kind in said.items()}
        assert {row: kind == "call" for row, kind in found.items()} == calls


@pytest.mark.parametrize("step", [5, 6])
def test_a_padded_type_written_behind_the_batch_is_saved_as_it_stands(database: MakeDatabase, step: int) -> None:
    """char(n) is padded: what is saved of it must compare equal to the column when the drop asks."""
    kinds = (TypeColumn("chatbottype", "char(10)"), TypeColumn("chatbottype", "char(10)"))
    table = {5: "chatbot_packages", 6: "chatbots"}[step]
    with subject(database, Before(types=kinds)) as at:
        at.up(defer_drops=True)
        rows = at.db.execute(f"SELECT id FROM chatapp.{table} WHERE chatbottype = 'call'".encode()).fetchall()
        written: list[Any] = []

        def behind(event: Event) -> None:
            if isinstance(event, BatchFinished) and event.step == step and len(written) < len(rows):
                written.extend(rows)
                at.db.execute(f"UPDATE chatapp.{table} SET chatbottype = 'voice' WHERE chatbottype = 'call'".encode())

        migrate.up(at.settings, on_event=behind)
        assert written
        at.down()
        back = at.db.execute(f"SELECT id FROM chatapp.{table} WHERE chatbottype = 'voice'".encode()).fetchall()
        assert set(rows) <= set(back)


REPLACED = """
  DELETE FROM chatapp.chatbot_packages WHERE id = '{id}';
  INSERT INTO chatapp.chatbot_packages (id, name{columns}) VALUES ('{id}', 'replaced'{values})
"""
PROPOSED = """
  INSERT INTO chatapp.chatbot_packages (id, name{columns}) VALUES ('{id}', 'proposed'{values})
  ON CONFLICT (id) DO NOTHING
"""
ONE = "00000000-0000-4000-8000-00000000000{}"


@pytest.mark.parametrize("contract", [False, True])
@pytest.mark.applied(defer_drops=True)
def test_what_was_only_proposed_or_is_gone_is_not_put_back(documented: str, contract: bool) -> None:
    """A trigger before a row runs for rows that ON CONFLICT then leaves out, and never for a row's end."""
    settings = Settings(database_url=documented)
    with connect(documented) as db:
        for number, kind, chat, call in ((1, "chat", True, False), (2, "voice", True, False), (3, "chat", True, True)):
            db.execute(
                "INSERT INTO chatapp.chatbot_packages (id, name, chatbottype, enable_chat, enable_call)"
                " VALUES (%s, 'n', %s, %s, %s)",
                (ONE.format(number), kind, chat, call),
            )
        voice, hybrid = (", chatbottype", ", 'voice'"), (", enable_chat, enable_call", ", true, true")
        for form, number, (columns, values) in (
            (PROPOSED, 1, voice),  # stays chat
            (REPLACED, 2, ("", "")),  # was voice, is chat
            (REPLACED, 3, ("", "")),  # was hybrid, is chat
        ):
            db.execute(form.format(id=ONE.format(number), columns=columns, values=values).encode())
        db.execute(PROPOSED.format(id=ONE.format(1), columns=hybrid[0], values=hybrid[1]).encode())
        rows = "SELECT {} FROM chatapp.chatbot_packages WHERE id::text LIKE '00000000-0000-4000-8000-%' ORDER BY id"
        if contract:
            migrate.up(settings)
        migrate.down(settings, to=0)
        assert db.execute(rows.format("chatbottype").encode()).fetchall() == [("chat",)] * 3
        migrate.up(settings)
        assert db.execute(rows.format("enable_chat, enable_call").encode()).fetchall() == [(True, False)] * 3
        migrate.down(settings, to=0)
        assert db.execute(rows.format("chatbottype").encode()).fetchall() == [("chat",)] * 3
