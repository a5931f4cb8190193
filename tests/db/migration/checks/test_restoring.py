"""What going down would stop at, said before it changes anything: definitions, lost or broken; orphans; rights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from tests.conftest import MakeDatabase, connect
from tests.support.db import snapshot
from tests.support.db.preflight_asking import SETTINGS, ask, objects, of
from tests.support.steps import ALL

from callctl.database import store
from callctl.errors import Refused
from callctl.migration import adoption, migrate
from callctl.sandbox.server import Server


@dataclass(frozen=True)
class Case:
    """What hung on a column before up, what was done after it, what the finding says, and what mends it."""

    name: str
    before: str
    after: str
    object: str
    says: str
    mend: str
    since: int = 12

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


LOUD = "CREATE FUNCTION chatapp.loud(t text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT upper(t)'"
GONE = "function chatapp.loud(text) does not exist"
RENAME = "ALTER TABLE chatapp.chatbots RENAME COLUMN name TO title"
RENAMED = 'column "name" does not exist'
BACK = "ALTER TABLE chatapp.chatbots RENAME COLUMN title TO name"
RETYPE = "ALTER TABLE chatapp.chatbots ALTER COLUMN name TYPE json USING to_json(name)"
KINDS = "CREATE TABLE chatapp.kinds (kind varchar(50) PRIMARY KEY); INSERT INTO chatapp.kinds VALUES ('chat'), ('call')"
KEY = "ALTER TABLE chatapp.chatbots ADD CONSTRAINT k FOREIGN KEY (chatbottype) REFERENCES chatapp.kinds NOT VALID"

CASES = (
    Case(
        "function of an index",
        f"{LOUD}; CREATE INDEX i ON chatapp.chatbots (chatapp.loud(name), chatbottype)",
        "DROP FUNCTION chatapp.loud(text)",
        "i",
        f"step 6 cannot make index i, tried on an empty copy of chatapp.chatbots: {GONE}",
        LOUD,
    ),
    Case(
        "function of a check",
        f"{LOUD}; ALTER TABLE chatapp.chatbots ADD CONSTRAINT k CHECK (chatapp.loud(name) <> chatbottype::text)",
        "DROP FUNCTION chatapp.loud(text)",
        "k",
        "step 6 cannot make constraint k",
        LOUD,
    ),
    Case(
        "function of a default",
        f"{LOUD}; ALTER TABLE chatapp.chatbots ALTER COLUMN chatbottype SET DEFAULT chatapp.loud('x')",
        "ALTER FUNCTION chatapp.loud(text) RENAME TO louder",
        "chatbottype",
        "step 6 cannot make default of column chatbottype",
        "ALTER FUNCTION chatapp.louder(text) RENAME TO loud",
    ),
    Case(
        "column of an index",
        "CREATE UNIQUE INDEX i ON chatapp.chatbots (id, lower(name), chatbottype) WHERE chatbottype <> ''",
        RENAME,
        "i",
        RENAMED,
        BACK,
    ),
    Case(
        "column of a check",
        "ALTER TABLE chatapp.chatbots ADD CONSTRAINT k CHECK (name <> chatbottype::text) NOT VALID",
        RENAME,
        "k",
        RENAMED,
        BACK,
    ),
    Case(
        "column of a unique constraint",
        "ALTER TABLE chatapp.chatbot_packages ADD COLUMN at serial, ADD CONSTRAINT k UNIQUE (at, chatbottype)",
        "ALTER TABLE chatapp.chatbot_packages DROP COLUMN at",
        "k",
        "step 5 cannot make index k, tried on an empty copy of chatapp.chatbot_packages",
        "ALTER TABLE chatapp.chatbot_packages ADD COLUMN at serial",
    ),
    Case(
        "column of a statistics object",
        "CREATE STATISTICS chatapp.s ON name, chatbottype FROM chatapp.chatbots",
        RENAME,
        "s",
        "step 6 cannot make statistics object s",
        BACK,
    ),
    Case(
        "name of a statistics object",
        "CREATE STATISTICS chatapp.s ON name, chatbottype FROM chatapp.chatbots",
        "CREATE STATISTICS chatapp.s ON id, name FROM chatapp.chatbots",
        "s",
        'statistics object "s" already exists',
        "DROP STATISTICS chatapp.s",
    ),
    Case(
        "type of a column",
        "CREATE INDEX i ON chatapp.chatbots (name, chatbottype)",
        RETYPE,
        "i",
        "data type json has no default operator class",
        "ALTER TABLE chatapp.chatbots ALTER COLUMN name TYPE varchar USING name #>> '{}'",
    ),
    Case(
        "referenced table",
        f"{KINDS}; {KEY}",
        "DROP TABLE chatapp.kinds",
        "k",
        "chatapp.kinds, to which it refers, does not exist",
        KINDS,
    ),
    Case(
        "key of a referenced table",
        f"{KINDS}; {KEY}",
        "ALTER TABLE chatapp.kinds DROP CONSTRAINT kinds_pkey",
        "k",
        "there is no unique constraint matching given keys",
        "ALTER TABLE chatapp.kinds ADD PRIMARY KEY (kind)",
    ),
    Case(
        "collation of an index",
        'CREATE COLLATION chatapp.c FROM "C"; CREATE INDEX i ON chatapp.chatbots (chatbottype COLLATE chatapp.c)',
        "DROP COLLATION chatapp.c",
        "i",
        'collation "chatapp.c" for encoding "UTF8" does not exist',
        'CREATE COLLATION chatapp.c FROM "C"',
    ),
    Case(
        "domain of avatar_url",
        "CREATE DOMAIN chatapp.url AS varchar(500); ALTER TABLE chatapp.users ALTER COLUMN avatar_url TYPE chatapp.url",
        "DROP DOMAIN chatapp.url",
        "avatar_url",
        "step 1 cannot make type of column avatar_url, tried on an empty copy of chatapp.users",
        "CREATE DOMAIN chatapp.url AS varchar(500)",
    ),
)


@pytest.mark.some(4)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_definition_that_no_longer_runs_blocks_before_the_first_step(documented: str, case: Case) -> None:
    settings = replace(SETTINGS, database_url=documented)
    with connect(documented) as db:
        db.execute(case.before.encode())
        migrate.up(settings)
        assert not of(ask(db, ALL, "down"), "restored-definitions", "blocks")
        db.execute(case.after.encode())
        before = snapshot.take(db)
        blocking = of(ask(db, ALL, "down"), "restored-definitions", "blocks")
        assert objects(blocking) == {case.object}
        assert case.says in blocking[0].what
        with pytest.raises(Refused, match="restored-definitions: migrate down from step"):
            migrate.down(settings, to=0)
        snapshot.assert_same(before, snapshot.take(db))
        assert migrate.status(db, settings).applied == ALL
        db.execute(case.mend.encode())
        migrate.down(settings, to=0)


def test_what_was_tried_is_said_and_nothing_else(deployed: str) -> None:
    """An enum, its default, an index of it: named one by one, with the table of which a copy was made."""
    with connect(deployed) as db:
        migrate.up(replace(SETTINGS, database_url=deployed))
        texts = {finding.objects: finding.what for finding in of(ask(db, ALL, "down"), "restored-definitions", "ok")}
        assert "step 6 down, tried on an empty copy of chatapp.chatbots" in texts["chatapp.chatbots",]
        assert "column chatbot_type" in texts["chatapp.chatbots",]
        assert "type of column avatar_url" in texts["chatapp.users",]
        temporary = db.execute("SELECT count(*) FROM pg_class WHERE relpersistence = 't'").fetchone()
        assert temporary == (0,)


@pytest.mark.applied
def test_only_access_share_is_asked_of_the_tables(documented: str) -> None:
    """It passes beside EXCLUSIVE, and behind ACCESS EXCLUSIVE it gives up in time."""
    with connect(documented) as db, connect(documented) as other, connect(documented) as third:
        other.execute("BEGIN; LOCK TABLE chatapp.chatbots, chatapp.chatbot_packages, chatapp.users IN EXCLUSIVE MODE")
        assert of(ask(db, ALL, "down"), "restored-definitions", "ok")
        other.execute("ROLLBACK; BEGIN; LOCK TABLE chatapp.chatbots")
        (finding,) = of(ask(db, ALL, "down"), "restored-definitions", "unknown")
        assert "no empty copy of chatapp.chatbots" in finding.what
        assert third.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,)


def reading(role: str) -> bytes:
    """The statements that make a role which may read the two schemas."""
    schemas = "SCHEMA callctl, chatapp"
    return (
        f"CREATE ROLE {role}; GRANT USAGE ON {schemas} TO {role}; GRANT SELECT ON ALL TABLES IN {schemas} TO {role}"
    ).encode()


@pytest.mark.applied
def test_who_may_make_no_temporary_table_is_told_that_nothing_was_tried(documented: str) -> None:
    with connect(documented) as db:
        name = db.info.dbname
        db.execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC".encode())
        db.execute(reading("callctl_no_temp"))
        db.execute("SET ROLE callctl_no_temp")
        findings = of(ask(db, ALL, "down"), "restored-definitions")
        db.execute("RESET ROLE; DROP OWNED BY callctl_no_temp; DROP ROLE callctl_no_temp")
    assert {finding.level for finding in findings} == {"unknown"}
    assert "permission denied to create temporary tables" in findings[0].what


# What is deleted of callctl.definition, and what says so.
LOSSES = (
    ("step = 1", "the column type of users"),
    ("step = 5", "the column of chatbot_packages"),
    ("step = 6 AND kind = 'column'", "the column of chatbots"),
    ("step = 6 AND kind = 'default'", "the default of chatbots"),
    ("kind = 'type'", 'type "public.chatbot_type" does not exist'),
    ("kind = 'index'", 'index "one_type" does not exist'),
)


@pytest.mark.some(2)
@pytest.mark.parametrize(("rows", "says"), LOSSES)
def test_a_loss_without_which_down_cannot_end_is_not_accepted(deployed: str, rows: str, says: str) -> None:
    settings = replace(SETTINGS, database_url=deployed)
    with connect(deployed) as db:
        db.execute("ALTER TABLE chatapp.chatbots ADD CONSTRAINT one_type UNIQUE (id, chatbot_type)")
        migrate.up(settings)
        assert db.execute(f"DELETE FROM callctl.definition WHERE {rows}".encode()).rowcount
        blocking = [finding for finding in ask(db, ALL, "down") if finding.level == "blocks"]
        assert any(says in finding.what for finding in blocking)
        for adopt in (adoption.adopt_records, adoption.adopt):
            with pytest.raises(Refused) as refused:
                adopt(settings)
            assert says in refused.value.message
            assert "nothing was recorded" in refused.value.message
            assert "from a backup" in str(refused.value.hint)
        assert store.changed_records(db)
        with pytest.raises(Refused):
            migrate.down(settings, to=0)
        assert migrate.status(db, settings).applied == ALL


def test_a_definition_that_is_given_up_is_accepted_and_down_goes_without_it(documented: str) -> None:
    """The way out that the finding names, for what is gone for good."""
    settings = replace(SETTINGS, database_url=documented)
    with connect(documented) as db:
        db.execute(f"{LOUD}; CREATE INDEX i ON chatapp.chatbots (chatapp.loud(name), chatbottype)".encode())
        migrate.up(settings)
        db.execute("DROP FUNCTION chatapp.loud(text)")
        (finding,) = of(ask(db, ALL, "down"), "restored-definitions", "blocks")
        assert "delete its rows from callctl.definition" in finding.do
        db.execute("DELETE FROM callctl.definition WHERE name = 'i'")
        assert [record.relation for record in adoption.adopt_records(settings)] == ["definition"]
        migrate.down(settings, to=0)


PLANT = (
    "INSERT INTO chatapp.calls (company_id, chatbot_id, source, direction, {0})"
    " SELECT company_id, id, 'web', 'inbound', {1}"
)
CALLS = PLANT.format("status", "'pending'")
ORPHANS = (
    (PLANT.format("conversation_id", "gen_random_uuid()"), "calls", "conversations"),
    (PLANT.format("end_user_id", "gen_random_uuid()"), "calls", "end_users"),
    (
        PLANT.replace("SELECT company_id", "SELECT gen_random_uuid()").format("status", "'pending'"),
        "calls",
        "companies",
    ),
    (
        PLANT.replace("company_id, id,", "company_id, gen_random_uuid(),").format("status", "'pending'"),
        "calls",
        "chatbots",
    ),
    (
        "INSERT INTO chatapp.integration_accounts (company_id, account_type, account_name, credentials)"
        " SELECT gen_random_uuid(), 'twilio', name, '{}'",
        "integration_accounts",
        "companies",
    ),
)


@pytest.mark.parametrize(("plant", "table", "refers_to"), ORPHANS)
@pytest.mark.applied
def test_rows_at_which_a_foreign_key_would_stop_down_block_it(
    documented: str, plant: str, table: str, refers_to: str
) -> None:
    settings = replace(SETTINGS, database_url=documented)
    with connect(documented) as db:
        db.execute("SET session_replication_role = replica")
        db.execute(f"{plant} FROM chatapp.chatbots LIMIT 12".encode())
        db.execute("RESET session_replication_role")
        (finding,) = of(ask(db, ALL, "down"), "orphans", "blocks")
        assert finding.what.startswith(f"12 rows name no row of chatapp.{refers_to} by foreign key ")
        assert f" of chatapp.{table}, and migrate down from step " in finding.what
        assert finding.what.endswith("and 2 more")
        assert len(finding.objects) == 10
        with pytest.raises(Refused, match="orphans: 12 rows name no row"):
            migrate.down(settings, to=0)
        assert migrate.status(db, settings).applied == ALL
        assert not of(ask(db, (11, 12, 13), "down"), "orphans")
        db.execute(finding.do.rpartition("done: ")[2].encode())
        assert of(ask(db, ALL, "down"), "orphans", "ok")
    migrate.down(settings, to=0)


@pytest.mark.applied
def test_rows_that_row_security_hides_are_not_said_to_be_gone(documented: str) -> None:
    """The statement of the finding would delete every call."""
    with connect(documented) as db:
        db.execute(f"{CALLS} FROM chatapp.chatbots".encode())
        db.execute("ALTER TABLE chatapp.companies ENABLE ROW LEVEL SECURITY")
        db.execute(reading("callctl_blind"))
        db.execute("SET ROLE callctl_blind")
        findings = of(ask(db, ALL, "down"), "orphans")
        db.execute("RESET ROLE; DROP OWNED BY callctl_blind; DROP ROLE callctl_blind")
    assert {finding.level for finding in findings} == {"unknown"}
    assert all("row security may hide rows" in finding.what for finding in findings)


@pytest.mark.applied
def test_a_line_of_a_transcript_without_its_call_stops_nothing(documented: str) -> None:
    """No key of call_transcripts is made again on the way down: the line goes to the archive as it is."""
    settings = replace(SETTINGS, database_url=documented)
    with connect(documented) as db:
        db.execute("SET session_replication_role = replica")
        db.execute(
            "INSERT INTO chatapp.call_transcripts (call_id, role, content, start_time, end_time, duration)"
            " VALUES (gen_random_uuid(), 'user', 'x', 0, 1, 1)"
        )
        db.execute("RESET session_replication_role")
    migrate.down(settings, to=0)
    migrate.up(settings)


# ---- what the role may do ----------------------------------------------------------------------------------

OWNING = """
DO $$ DECLARE o record; BEGIN
  FOR o IN SELECT oid::regclass AS name FROM pg_class
            WHERE relnamespace = 'chatapp'::regnamespace AND relkind = 'r' LOOP
    EXECUTE format('ALTER TABLE %s OWNER TO callctl_down', o.name);
  END LOOP;
  EXECUTE format('GRANT CREATE ON DATABASE %I TO callctl_down', current_database());
END $$;
ALTER SCHEMA chatapp OWNER TO callctl_down
"""
# What the owner of the tables may lose, and the steps that need it on the way down.
RIGHTS = {
    ("users", "UPDATE"): (1,),
    ("chatbot_packages", "SELECT"): (2, 5),
    ("chatbot_packages", "UPDATE"): (2, 5),
    ("chatbot_packages", "TRIGGER"): (5,),
    ("chatbots", "SELECT"): (3, 6),
    ("chatbots", "UPDATE"): (3, 6),
    ("chatbots", "TRIGGER"): (6,),
    ("integration_accounts", "SELECT"): (9,),
    ("calls", "SELECT"): (10,),
    ("call_transcripts", "SELECT"): (11,),
    ("ai_models", "SELECT"): (7, 13),
    ("ai_models", "UPDATE"): (13,),
    ("ai_models", "DELETE"): (13,),
}


@pytest.fixture
def owner(server: Server) -> Iterator[str]:
    """A role that owns the platform's tables and is no superuser. It goes when the databases are gone."""
    with connect(server.url("postgres")) as admin:
        admin.execute("CREATE ROLE callctl_down LOGIN")
        yield "callctl_down"
        admin.execute("DROP ROLE callctl_down")


@pytest.mark.one_server
def test_a_right_that_a_step_down_needs_is_asked_about(owner: str, database: MakeDatabase) -> None:
    """And CREATE on the database is none of them, once schema callctl is there."""
    url = database("documented")
    settings = replace(SETTINGS, database_url=url.replace("user=postgres", f"user={owner}"))
    with connect(url) as admin, connect(settings.database_url or "") as db:
        admin.execute(OWNING)
        migrate.up(settings)
        admin.execute(f"REVOKE CREATE ON DATABASE {admin.info.dbname} FROM {owner}".encode())
        for (table, right), steps in RIGHTS.items():
            admin.execute(f"REVOKE {right} ON chatapp.{table} FROM {owner}".encode())
            for step in steps:
                (finding,) = of(ask(db, (step,), "down"), "privileges-down", "blocks")
                assert finding.what == f"role {owner} has no {right} on chatapp.{table}"
            with pytest.raises(Refused, match="privileges-down"):
                migrate.down(settings, to=0)
            admin.execute(finding.do.encode())
            assert of(ask(db, ALL, "down"), "privileges-down", "ok")
        assert migrate.status(db, settings).applied == ALL
        migrate.down(settings, to=0)
