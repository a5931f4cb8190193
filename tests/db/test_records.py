"""callctl's own tables hold what was written to them: clients' writes pass, and every other hand's are noticed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.conftest import THOROUGH, MakeDatabase, connect
from tests.support.db.migrated import Migrated, State, connection_to
from tests.support.steps import ALL, LAST

from callctl.cli import run
from callctl.config.settings import Settings
from callctl.database import store
from callctl.database.programs import find_binaries
from callctl.errors import Refused
from callctl.migration import adoption, migrate
from callctl.migration.checks.preflight import preflight
from callctl.migration.checks.row_checks import answers, asked
from callctl.migration.checks.verify import verify
from callctl.statements.naming import read_naming

pytestmark = (
    pytest.mark.one_server
)  # triggers with transition tables, which 10 has brought; test_removed_rows.py runs on each major

Connection = psycopg.Connection[Any]

WRITES = 10_000 if THOROUGH else 2_000
CHECK = "records-unchanged"

# Tables of callctl's whose rows are not counted, and why that is no gap.
NOT_COUNTED = {
    "work_list": "made again when a run is resumed; unlogged",
    "work_done": "made again when a run is resumed; unlogged",
    "run_state": "about a run under way, which deletes its row; unlogged",
    "checkpoint": "verify fails while it has a row (nothing-half-done)",
    "removed_row": "verify fails while it has a row (removed-rows-settled)",
}
# Columns from which nothing is concluded.
MEANS_NOTHING = {("tally", "id"), ("tally", "written_at"), ("tally", "kind")}

# A row in each table that a migration leaves empty.
FILLED = """
  SET LOCAL callctl.writes = 'on';
  INSERT INTO callctl.action (command, client, callctl_version) VALUES ('seed-models', 'me@here', '0');
  INSERT INTO callctl.encryption_key (id, check_value) VALUES ('k1', 'ab');
  INSERT INTO callctl.load_test (company_id, slug, client, callctl_version) VALUES (gen_random_uuid(), 'x', 'me@here', '0');
  INSERT INTO callctl.forecast (history_id, low_seconds, expected_seconds, high_seconds, rates) SELECT min(id), 1, 2, 3, 'x' FROM callctl.history;
  INSERT INTO callctl.rotation (kind, to_key, client, callctl_version) VALUES ('credentials', 'k1', 'me@here', '0');
  INSERT INTO callctl.rotation_range (rotation, target, row_count) SELECT id, 'x', 1 FROM callctl.rotation;
  INSERT INTO callctl.rotation_failure (rotation, relation, row_id, path, reason) SELECT id, 'x', '1', 'p', 'foreign' FROM callctl.rotation;
  INSERT INTO callctl.bound_field (relation, account_type, path, rotation) SELECT 'x', 'twilio', 'p', id FROM callctl.rotation;
  INSERT INTO callctl.kept_webhook_secret (rotation, account_id, company_id, webhook_secret, left_there, keep_until)
  SELECT id, gen_random_uuid(), gen_random_uuid(), '{}', 'x', now() FROM callctl.rotation;
  INSERT INTO callctl.saved_row (relation, row_id, contents) VALUES ('ai_models', gen_random_uuid(), '{}');
  INSERT INTO callctl.seeded_model (model_id, contents) VALUES (gen_random_uuid(), '{}');
  INSERT INTO callctl.withheld_model (model_id, contents) VALUES (gen_random_uuid(), '{}');
  INSERT INTO callctl.proof (relation, triggers) VALUES ('x', 'y');
  INSERT INTO callctl.inheritance_breach (chatbot_id) SELECT id FROM chatapp.chatbots LIMIT 1 ON CONFLICT DO NOTHING;
  SET LOCAL callctl.writes = '';
"""  # noqa: E501

# Another value of each type.
OTHER = {
    "text": "coalesce({}, '') || 'x'",
    "uuid": "gen_random_uuid()",
    "jsonb": "'{{\"other\": true}}'",
    "boolean": "NOT {}",
    "integer": "coalesce({}, 0) + 1000000",
    "bigint": "coalesce({}, 0) + 1000000",
    "numeric": "{} + 1",
    "double precision": "{} + 1",
    "text[]": "array_append({}, 'x')",
    "timestamp with time zone": "coalesce({}, now()) + interval '1 second'",
}
HANDS = {
    "plain": "",
    "triggers off": "ALTER TABLE {} DISABLE TRIGGER ALL",
    "replica": "SET LOCAL session_replication_role = 'replica'",
}


def differing(db: Connection) -> set[str]:
    """The tables that this check of verify names."""
    naming = read_naming(db, "chatapp")
    (check,) = answers(db, [each for each in asked({1}, naming) if each.statement.check.id == CHECK], naming)  # type: ignore[union-attr]
    assert check.error is None, check.error
    assert check.passed == (check.count == 0)
    return {row[0] for row in check.sample}


def own_tables(db: Connection) -> list[str]:
    """Every table of callctl's schema, as the catalog has them."""
    rows = db.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'callctl'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1"
    )
    return [row[0] for row in rows]


def columns(db: Connection, table: str) -> dict[str, str]:
    """The columns that can be written, with their types."""
    rows = db.execute(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
        " WHERE attrelid = format('callctl.%%I', %s::text)::regclass AND attnum > 0 AND NOT attisdropped"
        " AND attgenerated = '' ORDER BY attnum",
        (table,),
    )
    return dict(rows.fetchall())


def loosen(db: Connection) -> None:
    """Nothing but the count is to notice a change: CHECKs, identities and callctl's own foreign keys go."""
    for table, name in db.execute(
        "SELECT c.conrelid::regclass::text, c.conname FROM pg_constraint AS c"
        " LEFT JOIN pg_class AS r ON r.oid = c.confrelid WHERE c.connamespace = 'callctl'::regnamespace"
        "   AND (c.contype = 'c' OR c.contype = 'f' AND r.relnamespace = 'callctl'::regnamespace)"
    ).fetchall():
        db.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.SQL(table), sql.Identifier(name)))
    for table, name in db.execute(
        "SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid"
        " WHERE relnamespace = 'callctl'::regnamespace AND attidentity <> ''"
    ).fetchall():
        db.execute(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET GENERATED BY DEFAULT").format(
                sql.SQL(table), sql.Identifier(name)
            )
        )


def changes(db: Connection, table: str) -> Iterator[tuple[str, str]]:
    """What another hand may do to a table's rows: a name, and the statement."""
    name = f"callctl.{table}"
    of = columns(db, table)
    # Of the tally a row that says something: one of none is the same as no row.
    one = f"(SELECT ctid FROM {name}{' WHERE row_count <> 0' if table == 'tally' else ''} LIMIT 1)"
    yield "DELETE of all", f"DELETE FROM {name}"
    yield "DELETE of one", f"DELETE FROM {name} WHERE ctid = {one}"
    yield "TRUNCATE", f"TRUNCATE {name} CASCADE"
    for column, kind in of.items():
        if (table, column) not in MEANS_NOTHING:
            yield f"UPDATE of {column}", f"UPDATE {name} SET {column} = {OTHER[kind].format(column)} WHERE ctid = {one}"
    key = {
        row[0]
        for row in db.execute(
            "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)"
            " WHERE indrelid = %s::regclass AND indisprimary",
            (name,),
        )
    }
    # So that no other unique index refuses it.
    differs = key | {column for column, kind in of.items() if kind == "text" and table in ("saved_value", "rotation")}
    chosen = ", ".join(OTHER[kind].format(column) if column in differs else column for column, kind in of.items())
    yield "INSERT of a copy", f"INSERT INTO {name} ({', '.join(of)}) SELECT {chosen} FROM {name} WHERE ctid = {one}"


@pytest.mark.parametrize("hand", HANDS)
def test_verify_names_each_table_that_another_hand_has_written_to(migrated: Migrated, hand: str) -> None:
    """Every table of the schema, however it is changed, with its triggers, without them, and as a replica."""
    noticed: dict[str, set[str]] = {}
    wanted: dict[str, set[str]] = {}
    with connection_to(migrated.url(State("documented", deferred=True))) as db:
        db.execute(FILLED)
        loosen(db)
        assert differing(db) == set()
        tables = [table for table in own_tables(db) if table not in NOT_COUNTED]
        assert set(NOT_COUNTED) <= set(own_tables(db))
        for table in tables:
            assert db.execute(f"SELECT FROM callctl.{table}".encode()).rowcount > 0, f"no row to change in {table}"
            for what, statement in changes(db, table):
                try:
                    with db.transaction(force_rollback=True):
                        db.execute(HANDS[hand].format(f"callctl.{table}").encode())
                        assert db.execute(statement.encode()).rowcount != 0, statement
                        db.execute("SET LOCAL session_replication_role = 'origin'")
                        found = differing(db)
                except psycopg.errors.ForeignKeyViolation:
                    assert hand == "plain", statement  # the server itself refuses it
                    continue
                wanted.setdefault(table, set()).add(what)
                if found if table == "tally" else table in found:
                    noticed.setdefault(table, set()).add(what)
    if hand != "triggers off":
        for table in ("saved_value", "inheritance_breach"):
            wanted[table].discard("TRUNCATE")  # callctl.spare_rows() puts back what belongs to a row
    assert {
        table: what - noticed.get(table, set()) for table, what in wanted.items() if what - noticed.get(table, set())
    } == {}
    assert set(wanted) == set(tables)


def client_writes(db: Connection, random: Random, *, old: bool, new: bool) -> None:
    """One write of an application: what both of them, the old one alone or the new one alone may do."""
    bot, package = (
        f"(SELECT t.id FROM chatapp.{table} AS t"
        f" WHERE NOT EXISTS (SELECT FROM chatapp.{other} AS c WHERE c.{key} = t.id)"
        " ORDER BY md5(t.id::text || %(r)s) LIMIT 1)"
        for table, other, key in (
            ("chatbots", "conversations", "chatbot_id"),
            ("chatbot_packages", "chatbots", "package_id"),
        )
    )
    writes = [
        "INSERT INTO chatapp.companies (name, slug, settings) VALUES ('New', 'new-' || gen_random_uuid(), '{}')",
        "UPDATE chatapp.companies SET settings = jsonb_set(coalesce(settings, '{}'), '{theme}', to_jsonb(%(r)s::text))"
        " WHERE jsonb_typeof(settings) = 'object'",
        f"UPDATE chatapp.chatbots SET name = name || 'x' WHERE id = {bot}",
        f"DELETE FROM chatapp.chatbots WHERE id = {bot}",
        f"DELETE FROM chatapp.chatbot_packages WHERE id = {package}",
        f"UPDATE chatapp.chatbot_packages SET id = gen_random_uuid() WHERE id = {package}",
        f"UPDATE chatapp.chatbots SET id = gen_random_uuid() WHERE id = {bot}",
        "DELETE FROM chatapp.companies AS c WHERE c.slug LIKE 'new-%%'"
        " AND NOT EXISTS (SELECT FROM chatapp.chatbots AS b WHERE b.company_id = c.id)",
        "UPDATE chatapp.users SET avatar_url = 'https://example.com/' || %(r)s",
    ]
    kind = random.choice(["'chat'", "'call'", "'voice'", "'video'", "NULL"])
    chat, call = random.choice([("true", "false"), ("false", "true"), ("true", "true")])
    settings = "jsonb_build_object('call', callctl.default_call_settings())"
    if old:
        writes += [
            "INSERT INTO chatapp.chatbots (company_id, name, settings, chatbotType)"
            f" SELECT id, 'Old', '{{}}', {kind} FROM chatapp.companies LIMIT 1",
            f"INSERT INTO chatapp.chatbot_packages (name, chatbotType) VALUES ('Old ' || %(r)s, {kind})",
            f"UPDATE chatapp.chatbots SET chatbotType = {kind} WHERE id = {bot}",
            f"UPDATE chatapp.chatbot_packages SET chatbotType = {kind} WHERE id = {package}",
        ] * 2
    if new:
        writes += [
            "INSERT INTO chatapp.chatbots (company_id, name, settings, enabled_chat, enabled_call)"
            f" SELECT id, 'New', {settings}, {chat}, {call} FROM chatapp.companies LIMIT 1",
            "INSERT INTO chatapp.chatbot_packages (name, enable_chat, enable_call)"
            f" VALUES ('New ' || %(r)s, {chat}, {call})",
            f"UPDATE chatapp.chatbots SET package_id = NULL, settings = {settings}, enabled_chat = {chat},"
            f" enabled_call = {call} WHERE id = {bot}",
            f"UPDATE chatapp.chatbot_packages SET enable_chat = {chat}, enable_call = {call} WHERE id = {package}",
        ] * 2
    db.execute(random.choice(writes).encode(), {"r": str(random.random())})


def saved(db: Connection) -> list[tuple[Any, ...]]:
    return db.execute("SELECT id, row_id, field, value FROM callctl.saved_value ORDER BY id").fetchall()


@pytest.mark.parametrize(
    "deferred",
    [True, False],
    ids=["both forms", "all steps"],
)
def test_verify_passes_after_what_clients_write(documented: str, deferred: bool) -> None:
    """Thousands of writes and deletes of both applications, with what triggers and foreign keys make of them."""
    settings = Settings(database_url=documented)
    random = Random(f"clients {deferred}")
    with connect(documented, prepare_threshold=None) as db:
        for _ in range(100):
            client_writes(db, random, old=True, new=False)
        migrate.up(settings, defer_drops=deferred)
        before = saved(db)
        for number in range(WRITES):
            client_writes(db, random, old=deferred, new=True)
            if number % (WRITES // 10) == 0:
                assert differing(db) == set(), number
        assert saved(db) != before
        assert differing(db) == set()
        failing = [check.id for check in verify(db, settings).checks if not check.passed and not check.warns]
        assert failing == []
        migrate.up(settings)
        migrate.down(settings, to=0)
        assert store.changed_records(db) == ()


@pytest.mark.parametrize(
    "tables",
    ["users", "chatbots", "chatbot_packages", "companies", "users, companies", "ai_models"],
)
def test_a_truncated_table_takes_what_is_saved_of_it(migrated: Migrated, tables: str) -> None:
    with connection_to(migrated.url(State("documented", deferred=True))) as db:
        db.execute(FILLED)
        named = ", ".join(f"chatapp.{table}" for table in tables.split(", "))
        db.execute(f"TRUNCATE {named} CASCADE".encode())
        assert differing(db) == set()


def test_a_row_by_hand_is_no_row_that_follows(migrated: Migrated) -> None:
    """What a foreign key would do is not taken for its doing where the platform's row is as it was."""
    with connection_to(migrated.url(State("documented", deferred=True))) as db:
        db.execute(FILLED)
        row = "(SELECT min(id) FROM callctl.saved_value WHERE chatbot_id IS NOT NULL)"
        for change in (
            f"DELETE FROM callctl.saved_value WHERE id = {row}",
            "UPDATE callctl.saved_value SET field = 'other', chatbot_id = (SELECT id FROM chatapp.chatbots AS c"
            f" WHERE c.id <> chatbot_id LIMIT 1) WHERE id = {row}",
            "DELETE FROM callctl.inheritance_breach",
        ):
            with db.transaction(force_rollback=True):
                assert db.execute(change.encode()).rowcount > 0
                assert differing(db) == {change.split("callctl.")[1].split()[0]}


def with_voices(url: str) -> Settings:
    """A database with 60 chatbots of a type that the flags cannot say, after up."""
    with connect(url) as db:
        db.execute(
            "INSERT INTO chatapp.chatbots (company_id, name, settings, chatbotType)"
            " SELECT (SELECT id FROM chatapp.companies LIMIT 1), 'Voice', '{}', 'voice' FROM generate_series(1, 60)"
        )
    settings = Settings(database_url=url)
    migrate.up(settings)
    return settings


LOST = """DELETE FROM callctl.saved_value WHERE id IN (
  SELECT id FROM callctl.saved_value WHERE relation = 'chatbots' AND field = 'chatbot_type' ORDER BY id LIMIT 39)"""


def test_down_refuses_where_saved_values_are_gone(documented: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And says which, and what to do; after what it says, verify passes and down goes all the way."""
    settings = with_voices(documented)
    with connect(documented, prepare_threshold=None) as db:
        counted = db.execute(
            "SELECT count(*) FROM callctl.saved_value WHERE relation = 'chatbots' AND field = 'chatbot_type'"
        ).fetchone()
        assert counted is not None
        assert db.execute(LOST).rowcount == 39
        said = f"rows are missing ({counted[0]} recorded, {counted[0] - 39} present)"
        report = verify(db, settings)
        assert [check.id for check in report.checks if not check.passed and not check.warns] == [CHECK]
        with pytest.raises(Refused) as refused:
            migrate.down(settings, to=0)
        assert f"callctl.saved_value, chatbots.chatbot_type: {said}" in refused.value.message
        assert "callctl migrate adopt --changed-records" in str(refused.value.hint)
        assert migrate.status(db, settings).applied == ALL
        findings = preflight(db, settings, read_naming(db, "chatapp"), [13], direction="up")
        assert [each.level for each in findings if each.id == "changed-records"] == ["warns"]
        assert run(["--database", documented, "migrate", "adopt", "--changed-records", "--yes"]) == 0
        screen = capsys.readouterr()
        assert "accepted callctl.saved_value, chatbots.chatbot_type" in screen.out
        assert "next: callctl verify" in screen.err
        assert verify(db, settings).passed
        action = db.execute("SELECT command, detail FROM callctl.action ORDER BY id DESC LIMIT 1").fetchone()
        assert action is not None
        assert action[0] == "migrate adopt"
        assert said in action[1]["changed_records"][0]
        assert run(["--database", documented, "migrate", "adopt", "--changed-records", "--yes"]) == 0
        assert "nothing to accept" in capsys.readouterr().out
        assert len(migrate.down(settings, to=0).steps) == LAST


@pytest.mark.some(3)
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE callctl.saved_value SET value = '\"chat\"' WHERE field = 'chatbot_type'",
        "DELETE FROM callctl.definition WHERE step = 6 AND kind = 'index'",
        "UPDATE callctl.definition SET ddl = replace(ddl, '50', '60') WHERE step = 6 AND kind = 'column'",
        "DELETE FROM callctl.made",
        "INSERT INTO callctl.made (step, kind, relation, name) VALUES (13, 'row', 'ai_models', 'x')",
        "DELETE FROM callctl.known_before",
        "TRUNCATE callctl.tally",
        "DROP TABLE callctl.tally",
    ],
)
def test_down_refuses_whatever_was_changed(documented: str, change: str) -> None:
    settings = with_voices(documented)
    with connect(documented, prepare_threshold=None) as db:
        db.execute(change.encode())
        assert not verify(db, settings).passed
        with pytest.raises(Refused):
            migrate.down(settings, to=0)
        # Another command of callctl's does not begin to count what is there, as if it were right.
        migrate.up(settings)
        with pytest.raises(Refused):
            migrate.down(settings, to=0)
        adoption.adopt_records(settings)
        assert store.changed_records(db) == ()


# callctl's schema as an earlier callctl has left it, which did not count.
EARLIER = """
  DO $$ DECLARE t record; BEGIN
    FOR t IN SELECT tgrelid::regclass AS name, tgname FROM pg_trigger
              WHERE tgfoid = 'callctl.count_rows()'::regprocedure LOOP
      EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.name);
    END LOOP;
  END $$;
  DROP FUNCTION callctl.count_rows(), callctl.begin_count(text[]), callctl.changed_records();
  DROP FUNCTION callctl.compare_rows(text, text);
  DROP TABLE callctl.tally;
  ALTER TABLE callctl.installation DROP COLUMN counted;
"""


def test_what_an_earlier_callctl_left_is_counted_from_now_on(documented: str) -> None:
    settings = with_voices(documented)
    with connect(documented, prepare_threshold=None) as db:
        db.execute(EARLIER)
        found = preflight(db, settings, read_naming(db, "chatapp"), [13], direction="down")
        assert [each.level for each in found if each.id == "changed-records-down"] == ["ok"]
        assert migrate.up(settings).steps == ()
        assert verify(db, settings).passed
        db.execute(LOST)
        assert differing(db) == {"saved_value"}


def test_the_locks_of_the_first_count_are_not_held_while_it_counts(documented: str) -> None:
    """The transaction that makes the triggers leaves it to the next one to read an earlier callctl's saved values."""
    with_voices(documented)
    with connect(documented, prepare_threshold=None) as db:
        db.execute(EARLIER)
        store.create(db, "chatapp")
        assert db.execute("SELECT count(*) FROM callctl.tally WHERE kind = 'begun'").fetchone() == (0,)
        store.create(db, "chatapp")
        assert store.changed_records(db) == ()


def test_the_tally_is_summed_up(documented: str) -> None:
    settings = Settings(database_url=documented)
    migrate.up(settings, defer_drops=True)
    with connect(documented, prepare_threshold=None) as db:
        for number in range(1200):
            kind = ("voice", "video")[number % 2]
            db.execute(
                "UPDATE chatapp.chatbots SET chatbotType = %s WHERE id ="
                " (SELECT min(id::text)::uuid FROM chatapp.chatbots)",
                (kind,),
            )
        many = db.execute("SELECT count(*) FROM callctl.tally").fetchone()
        assert many is not None
        assert many[0] > 1200
        migrate.up(settings, defer_drops=True)
        few = db.execute("SELECT count(*) FROM callctl.tally").fetchone()
        assert few is not None
        assert few[0] < 200
        assert differing(db) == set()


def test_a_dump_keeps_the_tables_and_their_count_together(documented: str, database: MakeDatabase) -> None:
    settings = with_voices(documented)
    restored = database(None)
    binaries = find_binaries()
    environment = binaries.environment()
    dump = subprocess.run(
        [str(binaries.bin / "pg_dump"), "-Fc", "-d", documented], env=environment, capture_output=True, check=True
    )
    subprocess.run([str(binaries.bin / "pg_restore"), "-d", restored], env=environment, input=dump.stdout, check=True)
    with connect(restored, prepare_threshold=None) as db:
        assert verify(db, Settings(database_url=restored)).passed
        migrate.down(Settings(database_url=restored), to=0)
        assert store.changed_records(db) == ()
    with connect(documented, prepare_threshold=None) as db:
        assert verify(db, settings).passed
