"""What going down would stop at is said before it changes anything: definitions that do not run, and lost ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from tests.conftest import connect
from tests.support.db import snapshot
from tests.support.db.preflight_asking import SETTINGS, ask, objects, of
from tests.support.steps import ALL

from callctl.database import store
from callctl.errors import Refused
from callctl.migration import adoption, migrate


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
        "chatapp.kinds, to which it refers, is not there",
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
        with pytest.raises(Refused, match="restored-definitions: going down from step"):
            migrate.down(settings, to=0)
        snapshot.assert_same(before, snapshot.take(db))
        assert migrate.status(db, settings).applied == ALL
        db.execute(case.mend.encode())
        migrate.down(settings, to=0)


def test_what_was_tried_is_said_and_nothing_else(deployed: str) -> None:
    """An enum, its default, an index of it: named one by one, with the table of which a copy was made."""
    with connect(deployed) as db:
        migrate.up(replace(SETTINGS, database_url=deployed))
        said = {each.objects: each.what for each in of(ask(db, ALL, "down"), "restored-definitions", "ok")}
        assert "step 6 down, tried on an empty copy of chatapp.chatbots" in said["chatapp.chatbots",]
        assert "column chatbot_type" in said["chatapp.chatbots",]
        assert "type of column avatar_url" in said["chatapp.users",]
        left = db.execute("SELECT count(*) FROM pg_class WHERE relpersistence = 't'").fetchone()
        assert left == (0,)


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


@pytest.mark.applied
def test_who_may_make_no_temporary_table_is_told_that_nothing_was_tried(documented: str) -> None:
    with connect(documented) as db:
        name = db.info.dbname
        db.execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC".encode())
        db.execute("DROP ROLE IF EXISTS callctl_no_temp")
        db.execute("CREATE ROLE callctl_no_temp; GRANT pg_read_all_data TO callctl_no_temp")
        db.execute("GRANT USAGE ON SCHEMA callctl, chatapp TO callctl_no_temp")
        db.execute("SET ROLE callctl_no_temp")
        found = of(ask(db, ALL, "down"), "restored-definitions")
        db.execute("RESET ROLE; DROP OWNED BY callctl_no_temp; DROP ROLE callctl_no_temp")
    assert {each.level for each in found} == {"unknown"}
    assert "permission denied to create temporary tables" in found[0].what


# What is deleted of callctl.definition, and what says so.
LOSSES = (
    ("step = 1", "the column type of users"),
    ("step = 5", "the column of chatbot_packages"),
    ("step = 6 AND kind = 'column'", "the column of chatbots"),
    ("step = 6 AND kind = 'default'", "the default of chatbots"),
    ("kind = 'type'", 'type "public.chatbot_type" does not exist'),
    ("kind = 'index'", 'index "one_type" does not exist'),
)


@pytest.mark.parametrize(("rows", "says"), LOSSES)
def test_a_loss_without_which_down_cannot_end_is_not_accepted(deployed: str, rows: str, says: str) -> None:
    settings = replace(SETTINGS, database_url=deployed)
    with connect(deployed) as db:
        db.execute("ALTER TABLE chatapp.chatbots ADD CONSTRAINT one_type UNIQUE (id, chatbot_type)")
        migrate.up(settings)
        assert db.execute(f"DELETE FROM callctl.definition WHERE {rows}".encode()).rowcount
        blocking = [each for each in ask(db, ALL, "down") if each.level == "blocks"]
        assert any(says in each.what for each in blocking)
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
        assert [each.relation for each in adoption.adopt_records(settings)] == ["definition"]
        migrate.down(settings, to=0)
