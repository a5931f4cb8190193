"""Nothing is removed without proof: what is stored is what was meant, and both forms say the same before one goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.conftest import MakeDatabase, connect
from tests.support.db.platforms import Platform, Row, Table
from tests.support.db.snapshot import assert_same, take, touched_columns
from tests.support.steps import ALL

from callctl.database import purge
from callctl.errors import Interrupted, StepFailed
from callctl.events import Event, StatementStarted
from callctl.migration import migrate
from callctl.migration.checks.preflight import preflight
from callctl.migration.checks.verify import verify
from callctl.statements.naming import read_naming

WHOLE = pytest.mark.parametrize("atomic", [False, True], ids=["online", "atomic"])


def types_of(platform: Platform, table: Table) -> list[Row]:
    """The type of every row of a table, as the column has it."""
    return platform.run(table, "SELECT id, {type}::text FROM {t} ORDER BY id")


def types(platform: Platform) -> list[Row]:
    """The same of both tables."""
    return [row for table in platform.tables for row in types_of(platform, table)]


def forms_check(platform: Platform) -> list[Row]:
    """The CHECKs of the proof that are on the platform's tables."""
    return platform.db.execute(
        "SELECT conrelid::regclass::text FROM pg_constraint WHERE conname = 'callctl_forms_agree'"
    ).fetchall()


def when(step: int, begins: str, do: Callable[[], object]) -> Callable[[Event], None]:
    """Do something once, just before the statement of a step that begins so."""
    done: list[bool] = []

    def on_event(event: Event) -> None:
        if isinstance(event, StatementStarted) and event.step == step and event.summary.startswith(begins) and not done:
            done.append(True)
            do()

    return on_event


SWALLOWS = {
    "swallowed by a trigger": (
        "CREATE FUNCTION chatapp.frozen() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF OLD.name LIKE '%1' THEN RETURN NULL; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER frozen BEFORE UPDATE ON {0} FOR EACH ROW EXECUTE FUNCTION chatapp.frozen()",
        "trigger frozen (enabled, function chatapp.frozen())",
        "DROP TRIGGER frozen ON {0}",
    ),
    "reset by a trigger": (
        "CREATE FUNCTION chatapp.frozen() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF OLD.name LIKE '%1' THEN NEW := OLD; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER frozen BEFORE UPDATE ON {0} FOR EACH ROW EXECUTE FUNCTION chatapp.frozen()",
        "trigger frozen (enabled, function chatapp.frozen())",
        "DROP TRIGGER frozen ON {0}",
    ),
    "swallowed by a rule": (
        "CREATE RULE frozen AS ON UPDATE TO {0} WHERE OLD.name LIKE '%1' DO INSTEAD NOTHING",
        "rule frozen",
        "DROP RULE frozen ON {0}",
    ),
}


@WHOLE
@pytest.mark.parametrize("how", [how for how in SWALLOWS if "reset" not in how])
def test_up_stops_where_the_flags_are_not_stored_as_it_writes_them(
    platform: Platform, table: Table, how: str, atomic: bool
) -> None:
    """Refused before anything is dropped, naming rows and what is in the way; then it goes on, and back."""
    plant, named, remove = SWALLOWS[how]
    name = f"chatapp.{table.name}"
    platform.run(table, "UPDATE {t} SET {type} = 'call', name = 'row 1' WHERE id IN (SELECT id FROM {t} LIMIT 3)")
    before = types(platform)
    platform.db.execute(plant.format(name).encode())
    with pytest.raises(StepFailed) as caught:
        platform.up(atomic=atomic)
    assert "steps/04_backfill_capabilities/up.sql" in caught.value.message
    assert named in caught.value.message
    assert types(platform) == before
    platform.db.execute(remove.format(name).encode())
    platform.up(atomic=atomic)
    assert forms_check(platform) == []
    platform.down()
    assert types(platform) == before


@WHOLE
def test_rows_whose_update_is_reset_keep_their_type(platform: Platform, table: Table, atomic: bool) -> None:
    """NEW := OLD in a trigger of the platform: the flags are filled all the same, since the type counts."""
    plant, named, remove = SWALLOWS["reset by a trigger"]
    name = f"chatapp.{table.name}"
    row = platform.a_row(table, "call")
    platform.run(table, "UPDATE {t} SET name = 'row 1' WHERE id = %(key)s", key=row)
    before = types(platform)
    platform.db.execute(plant.format(name).encode())
    platform.up(11, atomic=atomic)
    assert platform.flags(table, row) == (False, True)
    if table.name == "chatbots":
        platform.db.execute(remove.format(name).encode())
        platform.db.execute("UPDATE chatapp.chatbots SET settings = '{}' WHERE id = %s", (row,))
        platform.db.execute(plant.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").format(name).encode())
        with pytest.raises(StepFailed) as caught:
            platform.up(atomic=atomic)
        assert named in caught.value.message
    platform.db.execute(remove.format(name).encode())
    platform.up(atomic=atomic)
    platform.down()
    assert types(platform) == before


@pytest.mark.parametrize("how", SWALLOWS)
def test_down_stops_where_types_and_settings_are_not_stored_as_it_writes_them(
    platform: Platform, table: Table, how: str
) -> None:
    """The way back is compared in the same way, and ends where it should once nothing is in the way."""
    plant, named, remove = SWALLOWS[how]
    name = f"chatapp.{table.name}"
    platform.run(table, "UPDATE {t} SET {type} = 'call', name = 'row 1' WHERE id IN (SELECT id FROM {t} LIMIT 3)")
    before, look = types(platform), take(platform.db)
    platform.up()
    platform.db.execute(plant.format(name).encode())
    with pytest.raises(StepFailed) as caught:
        platform.down()
    assert named in caught.value.message or "DO INSTEAD" in caught.value.message
    platform.db.execute(remove.format(name).encode())
    platform.db.execute("DROP FUNCTION IF EXISTS chatapp.frozen()")
    platform.down()
    assert types(platform) == before
    assert_same(look, take(platform.db), touched_columns(look))


def test_company_settings_that_a_trigger_changes_stop_the_step(platform: Platform) -> None:
    """What is stored is compared with what was meant, every other key too; the batch is rolled back."""
    platform.db.execute(
        "CREATE FUNCTION chatapp.plain() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.settings := NEW.settings - 'theme'; RETURN NEW; END $$;"
        "UPDATE chatapp.companies SET settings = '{\"theme\": \"dark\"}' WHERE slug = 'company-3';"
        "CREATE TRIGGER plain BEFORE UPDATE ON chatapp.companies FOR EACH ROW EXECUTE FUNCTION chatapp.plain()"
    )
    with pytest.raises(StepFailed, match=r"trigger plain \(enabled, function chatapp.plain\(\)\)"):
        platform.up()
    (found,) = platform.db.execute("SELECT settings FROM chatapp.companies WHERE slug = 'company-3'").fetchall()
    assert found == ({"theme": "dark"},)


@pytest.mark.applied
def test_an_address_that_does_not_come_back_whole_stays_saved(platform: Platform) -> None:
    """Step 1 up: a trigger shortens what callctl restores; the saved address is not deleted."""
    long = "https://example.com/" + "a" * 800
    (user,) = platform.db.execute("SELECT id FROM chatapp.users ORDER BY id LIMIT 1").fetchone() or (None,)
    platform.db.execute("UPDATE chatapp.users SET avatar_url = %s WHERE id = %s", (long, user))
    migrate.down(platform.settings, to=0, truncate_avatars=True)
    platform.db.execute(
        "CREATE FUNCTION chatapp.cut() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.avatar_url := left(NEW.avatar_url, 500); RETURN NEW; END $$;"
        "CREATE TRIGGER cut BEFORE UPDATE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION chatapp.cut()"
    )
    with pytest.raises(StepFailed, match="trigger cut"):
        platform.up()
    saved = "SELECT value, superseded_at FROM callctl.saved_value WHERE field = 'avatar_url'"
    assert platform.db.execute(saved).fetchall() == [(long, None)]
    platform.db.execute("DROP TRIGGER cut ON chatapp.users")
    platform.up()
    assert platform.db.execute("SELECT avatar_url FROM chatapp.users WHERE id = %s", (user,)).fetchone() == (long,)


@pytest.mark.parametrize("road", ["UPDATE", "DELETE", "INSERT"])
@pytest.mark.applied
def test_models_whose_writes_are_swallowed_stop_the_step(platform: Platform, road: str) -> None:
    """A model that is put away and not deleted, or not inserted again as it was, is not taken for done."""
    function = (
        "CREATE FUNCTION chatapp.kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
        "CREATE TRIGGER kept BEFORE {} ON chatapp.ai_models FOR EACH ROW EXECUTE FUNCTION chatapp.kept()"
    )
    models = "SELECT to_jsonb(m) FROM chatapp.ai_models AS m ORDER BY id"
    before = platform.db.execute(models).fetchall()
    if road == "DELETE":
        platform.db.execute(function.format("DELETE").encode())
        with pytest.raises(StepFailed, match="was not deleted when it was told to be: on it are trigger kept"):
            platform.down()
        platform.db.execute("DROP TRIGGER kept ON chatapp.ai_models")
    platform.down(12)
    if road == "INSERT":
        platform.db.execute(function.format("INSERT").encode())
        with pytest.raises(StepFailed, match="is not stored as it was put away: on it are trigger kept"):
            platform.up()
        platform.db.execute("DROP TRIGGER kept ON chatapp.ai_models")
    platform.up()
    assert platform.db.execute(models).fetchall() == before


# ---- writers that no trigger sees ----------------------------------------------------------------------


def as_replica(platform: Platform, table: Table, statement: str, **values: Any) -> None:
    with platform.db.transaction():
        platform.db.execute("SET LOCAL session_replication_role = replica")
        platform.run(table, statement, **values)


def unseen(platform: Platform, table: Table, statement: str, **values: Any) -> None:
    """A write with triggers disabled, and enabled again as a restore does."""
    with platform.db.transaction():
        platform.run(table, "ALTER TABLE {t} DISABLE TRIGGER ALL")
        platform.run(table, statement, **values)
        platform.run(table, "ALTER TABLE {t} ENABLE TRIGGER ALL")


@WHOLE
def test_a_replicas_writer_is_seen(platform: Platform, table: Table, atomic: bool) -> None:
    """Types and flags written with session_replication_role = replica, between step 4 and the drops."""
    row, other = platform.a_row(table, "chat"), platform.a_row(table, "call")
    platform.up(4)
    as_replica(platform, table, "UPDATE {t} SET {type} = 'call' WHERE id = %(key)s", key=row)
    as_replica(platform, table, "UPDATE {t} SET {chat} = true WHERE id = %(key)s", key=other)
    before = types(platform)
    assert (platform.both(table, row), platform.both(table, other)) == (("call", False, True), ("chat", True, True))
    platform.up(atomic=atomic)
    assert (platform.flags(table, row), platform.flags(table, other)) == ((False, True), (True, True))
    platform.down()
    assert types(platform) == before


@WHOLE
def test_a_write_past_the_triggers_is_refused_and_named(platform: Platform, table: Table, atomic: bool) -> None:
    """Before the type is dropped; both forms go on working, and the way down is free."""
    row = platform.a_row(table, "chat")
    platform.up(4)
    unseen(platform, table, "UPDATE {t} SET {type} = 'call' WHERE id = %(key)s", key=row)
    before = types_of(platform, table)
    with pytest.raises(StepFailed) as caught:
        platform.up(atomic=atomic)
    assert row in caught.value.message
    assert "contradict each other" in caught.value.message
    assert forms_check(platform) == []
    assert types_of(platform, table) == before
    # Both forms go on working, other rows and this one.
    platform.run(table, "UPDATE {t} SET name = 'renamed' WHERE id = %(key)s", key=row)
    again = platform.a_row(table, "chat")
    platform.run(table, "UPDATE {t} SET {call} = true WHERE id = %(key)s", key=again)
    assert platform.both(table, again) == ("chat", True, True)
    status = migrate.status(platform.db, platform.settings)
    assert not status.half_done
    platform.down(3)
    platform.up(4)
    # What the message advises: the form that is right is written.
    platform.run(table, "UPDATE {t} SET {type} = {type} WHERE id = %(key)s", key=row)
    platform.up(atomic=atomic)
    assert platform.flags(table, row) == (False, True)


def test_a_type_written_past_the_triggers_that_no_flag_says_is_saved_all_the_same(database: Any) -> None:
    """An unknown type behind the batch that saves them, the triggers off: noticed, and saved by the next run."""
    platform = Platform(database("documented"), False)
    table = platform.tables[0]
    row = platform.a_row(table, "chat")
    platform.up(4)

    def write() -> None:
        unseen(platform, table, "UPDATE {t} SET {type} = 'voice' WHERE id = %(key)s", key=row)

    with pytest.raises(StepFailed, match=f"1 row of chatapp.chatbots is not saved \\({row}\\)"):
        migrate.up(platform.settings, on_event=when(6, "CALL callctl.prove_forms", write))
    platform.up()
    platform.down()
    assert platform.type_of(table, row) == "voice"
    platform.db.close()


@pytest.mark.parametrize("how", ["a trigger off and on", "the CHECK dropped"])
def test_what_was_proved_is_looked_at_again_behind_the_lock(platform: Platform, table: Table, how: str) -> None:
    """Between proof and lock a trigger is switched off and on, or the CHECK goes: refused, then proved again."""
    row = platform.a_row(table, "chat")
    step = 6 if table.name == "chatbots" else 5

    def meddle() -> None:
        if how == "the CHECK dropped":
            platform.run(table, "ALTER TABLE {t} DROP CONSTRAINT callctl_forms_agree")
            return
        with platform.db.transaction():
            platform.run(table, "ALTER TABLE {t} DISABLE TRIGGER zzz_callctl_keep_update")
            platform.run(table, "UPDATE {t} SET name = name WHERE id = %(key)s", key=row)
            platform.run(table, "ALTER TABLE {t} ENABLE ALWAYS TRIGGER zzz_callctl_keep_update")

    before, of_table = types(platform), types_of(platform, table)
    with pytest.raises(StepFailed, match="a moment ago"):
        migrate.up(platform.settings, on_event=when(step, "CALL callctl.end_sync", meddle))
    assert types_of(platform, table) == of_table
    platform.up()
    platform.down()
    assert types(platform) == before


def test_flags_written_past_the_triggers_are_not_dropped(platform: Platform, table: Table) -> None:
    """The same on the way down: flags that contradict their type, and a hybrid that no trigger saved."""
    row = platform.a_row(table, "chat")
    platform.up()
    platform.down(4)
    unseen(platform, table, "UPDATE {t} SET {chat} = false, {call} = true WHERE id = %(key)s", key=row)
    with pytest.raises(StepFailed) as caught:
        platform.down()
    assert row in caught.value.message
    assert platform.both(table, row) == ("chat", False, True)
    assert forms_check(platform) == []
    platform.run(table, "UPDATE {t} SET {chat} = {chat} WHERE id = %(key)s", key=row)
    platform.down()
    assert platform.type_of(table, row) == "call"
    platform.up()
    assert platform.flags(table, row) == (False, True)


def test_a_hybrid_written_past_the_triggers_is_saved(platform: Platform, table: Table) -> None:
    row = platform.a_row(table, "chat")
    platform.up()
    platform.down(4)
    unseen(platform, table, "UPDATE {t} SET {call} = true WHERE id = %(key)s", key=row)
    platform.down()
    platform.up()
    assert platform.flags(table, row) == (True, True)


def test_a_saved_type_that_was_written_over_past_the_triggers_does_not_come_back(database: MakeDatabase) -> None:
    """Saved by the trigger, and then made an ordinary one with the triggers off."""
    platform = Platform(database("documented"), False)
    for table in platform.tables:
        row = platform.a_row(table, "chat")
        platform.up(4)
        platform.run(table, "UPDATE {t} SET {type} = 'voice' WHERE id = %(key)s", key=row)
        unseen(platform, table, "UPDATE {t} SET {type} = 'chat' WHERE id = %(key)s", key=row)
        platform.up()
        platform.down()
        assert platform.type_of(table, row) == "chat"
    platform.db.close()


def test_saved_flags_that_were_written_over_past_the_triggers_do_not_come_back(
    platform: Platform, table: Table
) -> None:
    row = platform.a_row(table, "chat")
    platform.up()
    platform.down(4)
    platform.run(table, "UPDATE {t} SET {call} = true WHERE id = %(key)s", key=row)
    unseen(platform, table, "UPDATE {t} SET {call} = false WHERE id = %(key)s", key=row)
    platform.down()
    platform.up()
    assert platform.flags(table, row) == (True, False)


def test_no_capability_at_all_stops_nothing_on_the_way_down(platform: Platform, table: Table) -> None:
    """Before step 4 no CHECK forbids it; the proof of step 2 or 3 down takes such a row for a chat bot."""
    row = platform.a_row(table, "chat")
    platform.up(3)
    platform.run(table, "UPDATE {t} SET {chat} = false WHERE id = %(key)s", key=row)
    platform.down()
    assert platform.type_of(table, row) == "chat"


# ---- the CHECK -----------------------------------------------------------------------------------------


@pytest.mark.applied(defer_drops=True)
def test_the_check_is_there_for_the_drop_alone(platform: Platform) -> None:
    """Not while the drops are deferred; after a stop behind it, the next run uses it and it goes with the column."""
    assert forms_check(platform) == []

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        migrate.up(platform.settings, on_event=when(6, "CALL callctl.end_sync", stop))
    assert forms_check(platform) == [("chatapp.chatbots",)]
    for table in platform.tables[:1]:
        row = platform.a_row(table, "call")
        platform.run(table, "UPDATE {t} SET {type} = 'chat' WHERE id = %(key)s", key=row)
        platform.run(table, "UPDATE {t} SET {call} = true WHERE id = %(key)s", key=row)
        platform.run(table, "UPDATE {t} SET {chat} = false WHERE id = %(key)s", key=row)
        assert platform.both(table, row) == ("call", False, True)
    platform.up()
    assert forms_check(platform) == []
    assert verify(platform.db, platform.settings).passed


@pytest.mark.parametrize(
    ("kind", "chat", "call", "passes"),
    [
        ("chat", True, False, True),
        ("chat", True, True, True),
        ("chat", False, True, False),
        ("chat", False, False, True),
        ("call", False, True, True),
        ("call", True, True, False),
        ("call", True, False, False),
        ("call", False, False, False),
        ("voice", True, False, True),
        ("voice", True, True, True),
        ("voice", False, True, False),
        (None, True, False, True),
        (None, True, True, True),
        (None, False, True, False),
        (None, False, False, True),
    ],
)
@pytest.mark.applied(2)
def test_what_the_check_takes(documented: str, kind: str | None, chat: bool, call: bool, passes: bool) -> None:
    """Every pair of forms, NULL and hybrids too: a CHECK that is NULL would pass."""
    with connect(documented) as db:
        (condition,) = db.execute(
            "SELECT callctl.forms_agree('', 'chatbottype'::name, 'enable_chat'::name, 'enable_call'::name)"
        ).fetchone() or ("",)
        db.execute(
            "CREATE TABLE public.pairs (chatbottype varchar(50), enable_chat boolean, enable_call boolean,"
            f" CHECK (({condition}) IS TRUE))".encode()
        )
        try:
            db.execute("INSERT INTO public.pairs VALUES (%s, %s, %s)", (kind, chat, call))
        except psycopg.errors.CheckViolation:
            assert not passes
        else:
            assert passes


def test_in_one_transaction_the_proof_leaves_the_search_path_as_it_was(database: MakeDatabase) -> None:
    """--atomic: what the steps behind it name without a schema is found as before."""
    platform = Platform(database("deployed"), True)
    platform.up(4)
    table = platform.tables[0]
    with platform.db.transaction():
        platform.db.execute(
            "SELECT set_config('callctl.atomic', 'on', true), set_config('search_path', 'chatapp', true)"
        )
        platform.db.execute(
            "CALL callctl.prove_forms(6, 'up', 'chatapp.chatbots'::regclass, %s, 'enabled_chat', 'enabled_call')",
            (table.type,),
        )
        assert platform.db.execute("SHOW search_path").fetchone() == ("chatapp",)
    platform.db.close()


# ---- what cannot be told apart any more ----------------------------------------------------------------


def test_purge_then_down_leaves_settings_that_no_step_wrote(platform: Platform) -> None:
    """Call settings and flags of the platform's own, saved by up and purged: down leaves them, and says so."""
    own = '{"call": {"voiceId": "our own"}}'
    flag = '{"features": {"callEnabled": true}}'
    bot = platform.a_row(platform.tables[0], "chat")
    platform.db.execute("UPDATE chatapp.chatbots SET settings = %s WHERE id = %s", (own, bot))
    platform.db.execute("UPDATE chatapp.companies SET settings = %s WHERE slug = 'company-3'", (flag,))
    platform.up()
    purge.purge(platform.settings)
    naming = read_naming(platform.db, "chatapp")
    findings = preflight(platform.db, platform.settings, naming, ALL, "down")
    assert [finding.level for finding in findings if finding.id == "settings-unknown"] == ["warns"]
    platform.down()
    assert platform.db.execute("SELECT settings FROM chatapp.chatbots WHERE id = %s", (bot,)).fetchone() == (
        {"call": {"voiceId": "our own"}},
    )
    assert platform.db.execute("SELECT settings FROM chatapp.companies WHERE slug = 'company-3'").fetchone() == (
        {"features": {"callEnabled": True}},
    )
    # The next up saves again, so the way back of that one knows.
    look = take(platform.db)
    platform.up()
    platform.down()
    assert_same(look, take(platform.db), touched_columns(look))


@pytest.mark.applied
def test_addresses_written_behind_the_batches_are_cut_in_the_same_run(platform: Platform) -> None:
    """down --truncate-avatars, and the application writes another long address before the table is locked."""
    long = "https://example.com/" + "a" * 800
    (user,) = platform.db.execute("SELECT id FROM chatapp.users ORDER BY id LIMIT 1").fetchone() or (None,)

    def write() -> None:
        platform.db.execute("UPDATE chatapp.users SET avatar_url = %s WHERE id = %s", (long, user))

    migrate.down(platform.settings, to=0, truncate_avatars=True, on_event=when(1, "CALL callctl.lock_table", write))
    cut = "SELECT length(avatar_url) FROM chatapp.users WHERE id = %s"
    assert platform.db.execute(cut, (user,)).fetchone() == (500,)
    platform.up(1)
    assert platform.db.execute("SELECT avatar_url FROM chatapp.users WHERE id = %s", (user,)).fetchone() == (long,)
