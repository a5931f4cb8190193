"""Which side wins while the type column and the flags both exist, and whose a saved value is."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.db.platforms import Platform, Row, Table

from callctl.migration import migrate
from callctl.migration.checks.verify import verify
from callctl.migration.run import batches
from callctl.migration.run.transactions import Run
from callctl.statements.batch_query import BatchedTable
from callctl.statements.script import Statement


@pytest.mark.parametrize("stage", ["after step 3", "deferred"])
def test_the_form_that_is_written_wins_with_the_value_that_is_there_too(
    platform: Platform, table: Table, stage: str
) -> None:
    """Flags at their defaults, written over a call bot that is not filled yet or is, make it a chat bot."""
    row = platform.a_row(table, "call")
    platform.up(3) if stage == "after step 3" else platform.up(defer_drops=True)
    platform.run(table, "UPDATE {t} SET {chat} = true, {call} = false WHERE id = %(key)s", key=row)
    assert platform.both(table, row) == ("chat", True, False)
    platform.up()
    assert platform.flags(table, row) == (True, False)


def test_the_old_application_wins_on_the_way_down_before_its_column_is_filled(platform: Platform, table: Table) -> None:
    """In step 5 or 6 down, every row reads 'chat' until the batch has come: one that is written then stays so."""
    row = platform.a_row(table, "call")
    platform.up()
    written: list[Row] = []

    def on_event(event: Any) -> None:
        step = 6 if table.name == "chatbots" else 5
        what = getattr(event, "summary", "")
        if getattr(event, "step", 0) == step and what.startswith("UPDATE chatapp.") and not written:
            platform.run(table, "UPDATE {t} SET {type} = 'chat' WHERE id = %(key)s", key=row)
            written.append(platform.both(table, row))

    migrate.down(platform.settings, to=4, on_event=on_event)
    assert written == [("chat", True, False)]
    assert platform.both(table, row) == ("chat", True, False)
    platform.down()
    assert platform.type_of(table, row) == "chat"


@pytest.mark.parametrize(
    ("assignments", "expected"),
    [
        ("{type} = 'call', {chat} = true, {call} = true", ("chat", True, True)),
        ("{type} = 'call', {chat} = true, {call} = false", ("call", False, True)),
        ("{type} = 'call', {chat} = false, {call} = true", ("call", False, True)),
        ("{type} = 'call'", ("call", False, True)),
        ("{chat} = false, {call} = true", ("call", False, True)),
        ("{call} = true", ("chat", True, True)),
        ("name = name", ("chat", True, False)),
        ("{chat} = {chat}, {call} = {call}, {type} = {type}", ("chat", True, False)),
    ],
)
def test_both_in_one_update(platform: Platform, table: Table, assignments: str, expected: Row) -> None:
    """The flags win, unless the statement leaves them at what they were."""
    row = platform.a_row(table, "chat")
    platform.up(defer_drops=True)
    platform.run(table, f"UPDATE {{t}} SET {assignments} WHERE id = %(key)s", key=row)
    assert platform.both(table, row) == expected


def test_a_hybrid_stays_one_while_its_type_is_saved_again(platform: Platform, table: Table) -> None:
    """'chat' agrees with a hybrid; 'call' does not; nor does an unknown type, which has the flags of a chat bot."""
    row = platform.a_row(table, "chat")
    platform.up(defer_drops=True)
    platform.run(table, "UPDATE {t} SET {call} = true WHERE id = %(key)s", key=row)
    platform.run(table, "UPDATE {t} SET {type} = 'chat', name = 'renamed' WHERE id = %(key)s", key=row)
    assert platform.both(table, row) == ("chat", True, True)
    if not platform.deployed:
        platform.run(table, "UPDATE {t} SET {type} = 'voice' WHERE id = %(key)s", key=row)
        assert platform.both(table, row) == ("voice", True, False)
        platform.run(table, "UPDATE {t} SET {call} = true WHERE id = %(key)s", key=row)
        assert platform.both(table, row) == ("voice", True, True)
    platform.run(table, "UPDATE {t} SET {type} = 'call' WHERE id = %(key)s", key=row)
    assert platform.both(table, row) == ("call", False, True)


def test_a_type_of_any_name_is_kept_beside_a_hybrid(database: Any) -> None:
    """No value of the column means something to the triggers but chat and call."""
    platform = Platform(database("documented"), False)
    table = platform.tables[0]
    row = platform.a_row(table, "chat")
    platform.up(defer_drops=True)
    for kind in ("neither", "", "type", "NULL"):
        platform.run(table, "UPDATE {t} SET {type} = %(kind)s WHERE id = %(key)s", key=row, kind=kind)
        platform.run(table, "UPDATE {t} SET {call} = true WHERE id = %(key)s", key=row)
        assert platform.both(table, row) == (kind, True, True)
    platform.db.close()


@pytest.mark.parametrize("writers", ["origin", "replica"])
def test_a_trigger_of_the_platform_that_writes_one_form_is_a_writer_too(
    platform: Platform, table: Table, writers: str
) -> None:
    """The statement names neither form: what the trigger changed counts, for a replica's writer too."""
    row = platform.a_row(table, "chat")
    platform.run(
        table,
        "CREATE FUNCTION chatapp.calls() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.name = 'calls' THEN NEW.{type} := 'call'; END IF; RETURN NEW; END $$",
    )
    platform.run(table, "CREATE TRIGGER calls BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION chatapp.calls()")
    platform.run(table, "ALTER TABLE {t} ENABLE ALWAYS TRIGGER calls")
    platform.db.execute(f"SET session_replication_role = {writers}".encode())
    platform.up(defer_drops=True)
    platform.run(table, "UPDATE {t} SET name = 'calls' WHERE id = %(key)s", key=row)
    assert platform.both(table, row) == ("call", False, True)


def test_a_write_of_either_form_wins_against_a_saved_value(platform: Platform, table: Table) -> None:
    """A hybrid saved by a way down, and newer writes of the flags that end where they began."""
    row = platform.a_row(table, "chat")
    platform.up()
    platform.run(table, "UPDATE {t} SET {call} = true WHERE id = %(key)s", key=row)
    platform.down()
    platform.up(3)
    platform.run(table, "UPDATE {t} SET {chat} = false, {call} = true WHERE id = %(key)s", key=row)
    platform.run(table, "UPDATE {t} SET {chat} = true, {call} = false WHERE id = %(key)s", key=row)
    platform.up()
    assert platform.flags(table, row) == (True, False)
    (kept,) = platform.db.execute(
        "SELECT value, superseded_at IS NOT NULL FROM callctl.saved_value WHERE row_id = %s AND field = 'capabilities'",
        (row,),
    ).fetchall()
    assert kept == ({"chat": True, "call": True}, True)


def test_a_saved_hybrid_survives_that_its_row_is_saved_whole(platform: Platform, table: Table) -> None:
    """The old application writes 'chat' over 'chat': it says nothing against the hybrid that waits."""
    row = platform.a_row(table, "chat")
    platform.up()
    platform.run(table, "UPDATE {t} SET {call} = true WHERE id = %(key)s", key=row)
    platform.down()
    platform.run(table, "UPDATE {t} SET {type} = 'chat' WHERE id = %(key)s", key=row)
    platform.up(3)
    platform.run(table, "UPDATE {t} SET {type} = 'chat' WHERE id = %(key)s", key=row)
    platform.up()
    assert platform.flags(table, row) == (True, True)


def test_a_write_that_changes_the_type_back_is_newer_than_a_saved_hybrid(database: Any) -> None:
    """Written away while no trigger was there, and back while one was: the write that was seen wins."""
    platform = Platform(database("documented"), False)
    table = platform.tables[0]
    row = platform.a_row(table, "chat")
    platform.up()
    platform.run(table, "UPDATE {t} SET {call} = true WHERE id = %(key)s", key=row)
    platform.down()
    platform.run(table, "UPDATE {t} SET {type} = 'voice' WHERE id = %(key)s", key=row)
    platform.up(3)
    platform.run(table, "UPDATE {t} SET {type} = 'chat' WHERE id = %(key)s", key=row)
    platform.up()
    assert platform.flags(table, row) == (True, False)
    platform.db.close()


@pytest.mark.parametrize("away", ["call", "flags"])
def test_written_away_and_back_is_a_newer_write(platform: Platform, table: Table, away: str) -> None:
    """The type written to call and back to chat, while a hybrid waits: the newer write wins."""
    row = platform.a_row(table, "chat")
    platform.up()
    platform.run(table, "UPDATE {t} SET {call} = true WHERE id = %(key)s", key=row)
    platform.down()
    platform.up(3)
    written = "{type} = 'call'" if away == "call" else "{chat} = false, {call} = true"
    platform.run(table, f"UPDATE {{t}} SET {written} WHERE id = %(key)s", key=row)
    platform.run(table, "UPDATE {t} SET {type} = 'chat' WHERE id = %(key)s", key=row)
    platform.up()
    assert platform.flags(table, row) == (True, False)


@pytest.mark.parametrize("written", ["{type} = 'chat'", "{call} = true", "{chat} = true, {call} = false"])
def test_a_saved_type_and_a_write_before_it_is_restored(database: Any, written: str) -> None:
    """A write in step 6 down, before the unknown types come back: only flags of a chat bot leave the type alone."""
    platform = Platform(database("documented"), False)
    table = platform.tables[0]
    row = platform.a_row(table, "voice")
    platform.up()
    done: list[bool] = []

    def on_event(event: Any) -> None:
        if getattr(event, "step", 0) == 6 and getattr(event, "summary", "").startswith("WITH kept AS") and not done:
            platform.run(table, f"UPDATE {{t}} SET {written} WHERE id = %(key)s", key=row)
            done.append(True)

    migrate.down(platform.settings, to=4, on_event=on_event)
    assert done
    expected = {"{type} = 'chat'": "chat", "{call} = true": "chat"}.get(written, "voice")
    assert platform.both(table, row)[0] == expected
    platform.down()
    assert platform.type_of(table, row) == expected
    platform.db.close()


def test_a_statement_that_writes_no_row_changes_nothing(platform: Platform, table: Table) -> None:
    """INSERT … ON CONFLICT DO NOTHING that inserts nothing, at each stage with both forms."""
    row = platform.a_row(table, "chat")
    columns = "id, name, company_id, settings" if table.name == "chatbots" else "id, name"
    same = "id, name, company_id, '{{}}'" if table.name == "chatbots" else "id, name"
    for to in (3, 4):
        platform.up(to)
        for form, value in (("{chat}, {call}", "true, true"), ("{chat}, {call}", "false, true"), ("{type}", "'call'")):
            platform.run(
                table,
                f"INSERT INTO {{t}} ({columns}, {form}) SELECT {same}, {value} FROM {{t}} WHERE id = %(key)s"
                " ON CONFLICT (id) DO NOTHING",
                key=row,
            )
    assert platform.both(table, row) == ("chat", True, False)
    saved = "SELECT count(*) FROM callctl.saved_value WHERE row_id = %s"
    assert platform.db.execute(saved, (row,)).fetchone() == (0,)
    platform.up()
    assert platform.flags(table, row) == (True, False)


# ---- whose a saved value is ----------------------------------------------------------------------------


SETTINGS = '{"call": {"voiceId": "of the old row"}}'


def replace_row(platform: Platform, key: str, columns: str, values: str) -> None:
    """Delete a chatbot and insert another with its id, in one transaction."""
    with platform.db.transaction():
        (company,) = platform.db.execute(
            "SELECT company_id FROM chatapp.chatbots WHERE id = %s", (key,)
        ).fetchone() or (None,)
        platform.db.execute("DELETE FROM chatapp.conversations WHERE chatbot_id = %s", (key,))
        platform.db.execute("DELETE FROM chatapp.chatbots WHERE id = %s", (key,))
        platform.db.execute(
            f"INSERT INTO chatapp.chatbots (id, company_id, name, {columns}) VALUES (%s, %s, 'new', {values})".encode(),
            (key, company),
        )


def test_a_row_with_the_id_of_a_deleted_one_gets_nothing_of_it(platform: Platform) -> None:
    """Settings and flags, saved by up and by down."""
    table = platform.tables[0]
    row = platform.a_row(table, "chat")
    platform.db.execute("UPDATE chatapp.chatbots SET settings = %s WHERE id = %s", (SETTINGS, row))
    platform.up()
    replace_row(platform, row, "settings", "'{}'")
    platform.down()
    (found,) = platform.db.execute("SELECT settings FROM chatapp.chatbots WHERE id = %s", (row,)).fetchall()
    assert found == ({},)
    platform.up()
    platform.run(table, "UPDATE {t} SET {call} = true, settings = %(set)s WHERE id = %(key)s", key=row, set=SETTINGS)
    platform.down()
    replace_row(platform, row, f"settings, {table.type}", "'{}', 'chat'")
    platform.up()
    assert platform.flags(table, row) == (True, False)
    (found,) = platform.db.execute("SELECT settings FROM chatapp.chatbots WHERE id = %s", (row,)).fetchall()
    assert found == ({},)


@pytest.mark.parametrize("cascading", [False, True], ids=["no action", "on update cascade"])
def test_a_row_whose_key_changes_keeps_what_is_saved_of_it(platform: Platform, cascading: bool) -> None:
    """A hybrid's flags and call settings saved by down, and an own setting saved by up, follow the primary key."""
    table = platform.tables[0]
    row = platform.a_row(table, "chat")
    platform.db.execute("UPDATE chatapp.chatbots SET settings = %s WHERE id = %s", (SETTINGS, row))
    new = "00000000-0000-4000-8000-00000000abcd"
    if cascading:
        (name,) = platform.db.execute(
            "SELECT conname FROM pg_constraint WHERE contype = 'f' AND confrelid = 'chatapp.chatbots'::regclass"
            " AND conrelid = 'chatapp.conversations'::regclass"
        ).fetchone() or ("none",)
        platform.db.execute(
            f"ALTER TABLE chatapp.conversations DROP CONSTRAINT IF EXISTS {name}, ADD FOREIGN KEY (chatbot_id)"
            " REFERENCES chatapp.chatbots (id) ON UPDATE CASCADE".encode()
        )
    else:
        platform.db.execute("DELETE FROM chatapp.conversations WHERE chatbot_id = %s", (row,))
    platform.up()
    platform.run(
        table,
        "UPDATE {t} SET {call} = true, settings = jsonb_set(settings, '{{call,voiceId}}', '\"newer\"')"
        " WHERE id = %(key)s",
        key=row,
    )
    platform.db.execute("UPDATE chatapp.chatbots SET id = %s WHERE id = %s", (new, row))
    platform.down()
    (found,) = platform.db.execute("SELECT settings FROM chatapp.chatbots WHERE id = %s", (new,)).fetchall()
    assert found == ({"call": {"voiceId": "of the old row"}},)
    platform.db.execute("UPDATE chatapp.chatbots SET id = %s WHERE id = %s", (row, new))
    platform.up()
    assert platform.flags(table, row) == (True, True)
    (found,) = platform.db.execute("SELECT settings FROM chatapp.chatbots WHERE id = %s", (row,)).fetchall()
    assert found == ({"call": {"voiceId": "newer"}},)


def test_a_key_that_changes_in_the_middle_of_a_step_is_filled_all_the_same(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listed key is gone when its batch comes: the row is found again under its new one."""
    table = platform.tables[0]
    platform.db.execute("DELETE FROM chatapp.conversations")
    row = platform.a_row(table, "call")
    new = "00000000-0000-4000-8000-00000000abcd"
    write_batches = batches._pass
    changed: list[str] = []

    def after_a_key_changed(run: Run, statement: Statement, target: BatchedTable, total: int, done: int) -> int:
        if run.step == 4 and target.table == "chatbots" and not changed:
            platform.db.execute("UPDATE chatapp.chatbots SET id = %s WHERE id = %s", (new, row))
            changed.append(new)
        return write_batches(run, statement, target, total, done)

    monkeypatch.setattr(batches, "_pass", after_a_key_changed)
    platform.up()
    assert changed == [new]
    assert platform.flags(table, new) == (False, True)


@pytest.mark.applied
def test_saved_values_go_with_their_rows(platform: Platform) -> None:
    """A row deleted by a statement, and one past every trigger: nothing of either is left after the next run."""
    table = platform.tables[0]
    rows = [
        str(key)
        for (key,) in platform.db.execute(
            "SELECT b.id FROM chatapp.chatbots AS b"
            " WHERE EXISTS (SELECT FROM callctl.saved_value AS s WHERE s.chatbot_id = b.id)"
            " AND NOT EXISTS (SELECT FROM chatapp.conversations AS c WHERE c.chatbot_id = b.id) ORDER BY b.id LIMIT 2"
        )
    ]
    assert len(rows) == 2
    platform.db.execute("DELETE FROM chatapp.chatbots WHERE id = %s", (rows[0],))
    count = "SELECT count(*) FROM callctl.saved_value WHERE row_id = ANY (%s::uuid[])"
    with platform.db.transaction():
        platform.db.execute("SET LOCAL session_replication_role = replica")
        platform.db.execute("DELETE FROM chatapp.chatbots WHERE id = %s", (rows[1],))
    assert platform.db.execute(count, (rows,)).fetchone() != (0,)
    platform.down(12)
    assert platform.db.execute(count, (rows,)).fetchone() == (0,)
    assert table.name == "chatbots"


@pytest.mark.applied
@pytest.mark.parametrize("published", [False, True])
def test_a_truncated_table_takes_along_what_is_saved_of_its_own_rows_alone(platform: Platform, published: bool) -> None:
    """TRUNCATE of chatbots with CASCADE reaches callctl's table; what is saved of companies and packages stays."""
    if published:
        platform.db.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    others = (
        "SELECT relation, row_id, field, saved_by, value FROM callctl.saved_value"
        " WHERE relation <> 'chatbots' ORDER BY id"
    )
    before = platform.db.execute(others).fetchall()
    assert before
    platform.db.execute("TRUNCATE chatapp.chatbots CASCADE")
    platform.db.execute("DROP PUBLICATION IF EXISTS everything")
    assert platform.db.execute(others).fetchall() == before
    assert platform.db.execute("SELECT FROM callctl.saved_value WHERE relation = 'chatbots'").fetchall() == []
    assert platform.db.execute("SELECT FROM callctl.removed_row").fetchall() == []
    platform.down()


@pytest.mark.applied
def test_verify_knows_the_foreign_keys(platform: Platform) -> None:
    """Without one, saved values would outlive their rows."""
    (name,) = platform.db.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'callctl.saved_value'::regclass AND contype = 'f'"
        " AND confrelid = 'chatapp.chatbots'::regclass"
    ).fetchone() or ("",)
    platform.db.execute(f"ALTER TABLE callctl.saved_value DROP CONSTRAINT {name}".encode())
    failing = {check.id for check in verify(platform.db, platform.settings).checks if not check.passed}
    assert "store-tables" in failing
    migrate.up(platform.settings)
    assert not {
        check.id for check in verify(platform.db, platform.settings).checks if not check.passed and not check.warns
    }
