"""What hangs on a column that goes, or changes its type, comes back with every attribute that the catalog stores.

Each thing is by itself in ``hung_on_columns``; here they are put on the columns together, as far as they go together.
What is compared are the rows of the catalog (``catalog_rows.sql``), not a list of attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import psycopg
import pytest
from tests.conftest import MakeDatabase, connect
from tests.support.db.hung_on_columns import HUNG, OWNER, TABLESPACE, Hung, tablespace
from tests.support.db.preflight_asking import ask, of
from tests.support.db.snapshot import assert_same_catalog, catalog_differences, take
from tests.support.steps import ALL

from callctl.config.settings import Settings
from callctl.errors import Refused
from callctl.events import Event, Notice
from callctl.migration import migrate
from callctl.sandbox.lifecycle import BASELINES
from callctl.sandbox.server import Server

Db: TypeAlias = psycopg.Connection[Any]

COLUMNS = {
    each.value: {"chatapp.chatbots": each.type_column, "chatapp.chatbot_packages": each.type_column}
    for each in BASELINES
}


@pytest.fixture
def roles(server: Server) -> None:
    """A role that owns statistics objects, and a tablespace."""
    with connect(server.url("postgres")) as admin:
        if admin.execute("SELECT to_regrole(%s)", (OWNER,)).fetchone() == (None,):
            admin.execute(f"CREATE ROLE {OWNER}".encode())
        tablespace(admin)


def chosen(db: Db, kind: str, *, shadow: bool = False, turn: int = 0) -> list[Hung]:
    """What this server, this kind of column and this way have; of those that exclude each other, the ``turn``-th."""
    fits = [
        hung
        for hung in HUNG.values()
        if hung.since <= db.info.server_version // 10000 and kind in hung.only and (hung.shadowed or not shadow)
    ]
    for word in {hung.alone for hung in fits if hung.alone}:
        rivals = [hung for hung in fits if hung.alone == word]
        fits = [hung for hung in fits if hung not in rivals or hung is rivals[turn % len(rivals)]]
    return fits


def hang(db: Db, baseline: str, turn: int) -> None:
    """Everything on both type columns, and on avatar_url."""
    for number, (table, column) in enumerate(COLUMNS[baseline].items()):
        for hung in chosen(db, "enum" if baseline == "deployed" else "text", turn=turn + number):
            if hung.alone == "not null" and baseline == "documented" and "NOT VALID" not in str(hung.statements):
                db.execute(f"UPDATE {table} SET {column} = 'chat' WHERE {column} IS NULL".encode())
            for statement in hung.on("chatapp", table, column):
                db.execute(statement.encode())


def up_and_down(run: Settings) -> None:
    migrate.up(run)
    migrate.down(run, to=0)


def step_by_step(run: Settings) -> None:
    for number in ALL:
        migrate.up(run, to=number)
    for number in range(12, -1, -1):
        migrate.down(run, to=number)


def deferred(run: Settings) -> None:
    """Both forms, back from there; both forms, the drops, and back."""
    migrate.up(run, defer_drops=True)
    migrate.down(run, to=0)
    migrate.up(run, defer_drops=True)
    migrate.up(run)
    migrate.down(run, to=0)


def twice(run: Settings) -> None:
    for _ in range(2):
        up_and_down(run)


@pytest.mark.parametrize("turn", range(3))
@pytest.mark.parametrize("way", [up_and_down, step_by_step, deferred, twice])
@pytest.mark.parametrize("baseline", [*COLUMNS])
def test_what_hangs_on_a_type_column_comes_back(
    database: MakeDatabase, roles: None, baseline: str, way: Callable[[Settings], None], turn: int
) -> None:
    url = database(baseline)
    with connect(url) as db:
        hang(db, baseline, turn)
        before = take(db)
        way(Settings(database_url=url))
        assert_same_catalog(before, take(db))


@pytest.mark.parametrize("turn", range(3))
@pytest.mark.parametrize("baseline", [*COLUMNS])
def test_each_of_them_can_be_tried_before_down(database: MakeDatabase, roles: None, baseline: str, turn: int) -> None:
    url = database(baseline)
    with connect(url) as db:
        hang(db, baseline, turn)
        migrate.up(Settings(database_url=url))
        tried = of(ask(db, ALL, "down"), "restored-definitions")
        assert {each.level for each in tried} == {"ok"}
        said = " ".join(each.what for each in tried)
        made = db.execute(
            "SELECT DISTINCT name FROM callctl.definition WHERE kind IN ('index', 'constraint', 'statistics', 'column')"
        ).fetchall()
        assert [name for (name,) in made if name not in said] == []


# What must be the same on the column as text, too.
WHATEVER_THE_TYPE = {
    *("attname", "attstattarget", "stxstattarget", "stxowner", "reloptions", "reltablespace", "relreplident"),
    *("indisclustered", "indisreplident", "deptype", "description", "convalidated", "conname"),
}


@pytest.mark.parametrize("shadow", [True, False], ids=["shadow", "in place"])
@pytest.mark.parametrize("turn", range(3))
@pytest.mark.parametrize("baseline", [*COLUMNS])
def test_what_hangs_on_avatar_url_comes_back(
    database: MakeDatabase, roles: None, baseline: str, turn: int, shadow: bool
) -> None:
    url = database(baseline)
    with connect(url) as db:
        db.execute("UPDATE chatapp.users SET avatar_url = 'none' WHERE avatar_url IS NULL")
        for hung in chosen(db, "avatar", shadow=shadow, turn=turn):
            for statement in hung.on("chatapp", "chatapp.users", "avatar_url"):
                db.execute(statement.encode())
        before = take(db)
        for _ in range(2):
            migrate.up(Settings(database_url=url), to=1)
            lost = [line for line in catalog_differences(before, take(db)) if line.split(": ")[-2] in WHATEVER_THE_TYPE]
            assert lost == []
            migrate.down(Settings(database_url=url), to=0, through_shadow=shadow)
            assert_same_catalog(before, take(db))


NEW = {"chatapp.integration_accounts": "account_type", "chatapp.calls": "status", "chatapp.call_transcripts": "role"}
ON_NEW = """
ALTER TABLE chatapp.calls DROP CONSTRAINT calls_chatbot_id_fkey,
  ADD CONSTRAINT calls_chatbot_id_fkey FOREIGN KEY (chatbot_id) REFERENCES chatapp.chatbots ON DELETE CASCADE
  DEFERRABLE INITIALLY DEFERRED NOT VALID;
COMMENT ON CONSTRAINT calls_chatbot_id_fkey ON chatapp.calls IS 'not all of them';
COMMENT ON TRIGGER update_calls_updated_at ON chatapp.calls IS 'touch';
ALTER TABLE chatapp.calls ENABLE ALWAYS TRIGGER update_calls_updated_at;
ALTER TRIGGER update_calls_updated_at ON chatapp.calls DEPENDS ON EXTENSION plpgsql;
"""


@pytest.mark.parametrize("turn", range(3))
def test_what_hangs_on_a_new_table_comes_back_from_the_archive(database: MakeDatabase, roles: None, turn: int) -> None:
    url = database("deployed")
    run = Settings(database_url=url)
    with connect(url) as db:
        migrate.up(run)
        for number, (table, column) in enumerate(NEW.items()):
            for hung in chosen(db, "text", turn=turn + number):
                for statement in hung.on("chatapp", table, column):
                    db.execute(statement.encode())
        db.execute(ON_NEW)
        before = take(db)
        for _ in range(2):
            migrate.down(run, to=0)
            migrate.up(run)
            assert_same_catalog(before, take(db))


# ---- as the owner of the tables, who is no superuser ----------------------------------------------------

OWNING = """
DO $$ DECLARE o record; BEGIN
  FOR o IN SELECT oid::regclass AS name FROM pg_class
            WHERE relnamespace = 'chatapp'::regnamespace AND relkind = 'r' LOOP
    EXECUTE format('ALTER TABLE %s OWNER TO callctl_test_migrator', o.name);
  END LOOP;
  FOR o IN SELECT oid::regtype AS name FROM pg_type WHERE typtype = 'e' LOOP
    EXECUTE format('ALTER TYPE %s OWNER TO callctl_test_migrator', o.name);
  END LOOP;
  FOR o IN SELECT format('%s.%I', stxnamespace::regnamespace, stxname) AS name FROM pg_statistic_ext
            WHERE pg_get_userbyid(stxowner) <> 'callctl_test_owner' LOOP
    EXECUTE format('ALTER STATISTICS %s OWNER TO callctl_test_migrator', o.name);
  END LOOP;
  EXECUTE format('GRANT CREATE ON DATABASE %I TO callctl_test_migrator', current_database());
END $$;
ALTER SCHEMA chatapp OWNER TO callctl_test_migrator;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO callctl_test_migrator
"""


@pytest.fixture
def migrator(server: Server, roles: None) -> Iterator[str]:
    """A role that owns the platform and nothing else. Asked for before the databases, it goes when they are gone."""
    with connect(server.url("postgres")) as admin:
        admin.execute("CREATE ROLE callctl_test_migrator LOGIN")
        yield "callctl_test_migrator"
        admin.execute("REVOKE ALL ON TABLESPACE callctl_test_space FROM callctl_test_migrator")
        admin.execute("DROP ROLE callctl_test_migrator")


def notices(said: Sequence[Event]) -> list[str]:
    return [event.text for event in said if isinstance(event, Notice)]


@pytest.mark.parametrize("baseline", [*COLUMNS])
def test_the_owner_of_the_tables_gets_everything_back(migrator: str, database: MakeDatabase, baseline: str) -> None:
    """With what preflight asks for: membership in the owner of a statistics object, and two privileges to create."""
    url = database(baseline)
    run = Settings(database_url=url.replace("user=postgres", f"user={migrator}"))
    with connect(url) as db:
        db.execute("UPDATE chatapp.users SET avatar_url = 'none' WHERE avatar_url IS NULL")
        hang(db, baseline, 0)
        for hung in chosen(db, "avatar"):
            for statement in hung.on("chatapp", "chatapp.users", "avatar_url"):
                db.execute(statement.encode())
        db.execute(OWNING.encode())
        with connect(run.database_url or "") as mine:
            blocked = of(ask(mine), "privileges", "blocks")
            warned = of(ask(mine), "statistics-owners", "warns")
        assert {finding.do for finding in blocked} == {f"GRANT CREATE ON TABLESPACE {TABLESPACE} TO {migrator};"}
        assert {finding.do for finding in warned} == {f"GRANT {OWNER} TO {migrator};"}
        assert len(warned) == 3
        db.execute(f"GRANT CREATE ON TABLESPACE {TABLESPACE} TO {migrator}; GRANT {OWNER} TO {migrator}".encode())
        with connect(run.database_url or "") as mine:
            assert {finding.do for finding in of(ask(mine), "statistics-owners", "warns")} == {
                f"GRANT CREATE ON SCHEMA public TO {OWNER};"
            }
            db.execute(f"GRANT CREATE ON SCHEMA public TO {OWNER}".encode())
            assert not of(ask(mine), "statistics-owners", "warns")
        before = take(db)
        said: list[Event] = []
        migrate.up(run, on_event=said.append)
        migrate.down(run, to=0, on_event=said.append)
        assert_same_catalog(before, take(db))
        assert not [notice for notice in notices(said) if "belongs to" in notice]


def test_an_owner_that_is_not_given_back_is_named(migrator: str, database: MakeDatabase) -> None:
    """Without the membership, or where the role is gone: a warning before, a warning then, and the step is done."""
    url = database("documented")
    run = Settings(database_url=url.replace("user=postgres", f"user={migrator}"))
    with connect(url) as db:
        db.execute("CREATE STATISTICS chatapp.pair ON chatbottype, is_active FROM chatapp.chatbots")
        db.execute(OWNING.encode())
        db.execute(f"ALTER STATISTICS chatapp.pair OWNER TO {OWNER}".encode())
        migrate.up(run)
        with connect(run.database_url or "") as mine:
            (warned,) = of(ask(mine, direction="down"), "statistics-owners", "warns")
        assert warned.what == (
            f"statistics object chatapp.pair belonged to role {OWNER}, and role {migrator} cannot give it back to that"
            f" role: it will belong to role {migrator}"
        )
        said: list[Event] = []
        migrate.down(run, to=0, on_event=said.append)
        (notice,) = [notice for notice in notices(said) if "belongs to" in notice]
        assert notice.startswith(
            f"statistics object chatapp.pair belongs to role {migrator} now, and before to role {OWNER} ("
        )
        assert notice.endswith(f"a superuser runs: ALTER STATISTICS chatapp.pair OWNER TO {OWNER};")
        assert db.execute("SELECT pg_get_userbyid(stxowner) FROM pg_statistic_ext").fetchone() == (migrator,)


def test_a_tablespace_that_is_gone_refuses_down_before_it_begins(database: MakeDatabase, roles: None) -> None:
    url = database("documented")
    run = Settings(database_url=url)
    with connect(url) as db:
        db.execute(f"CREATE INDEX kinds ON chatapp.chatbots (chatbottype) TABLESPACE {TABLESPACE}".encode())
        migrate.up(run)
        db.execute(f"ALTER TABLESPACE {TABLESPACE} RENAME TO callctl_test_other".encode())
        try:
            named = f"no tablespace {TABLESPACE}, where migrate down builds index kinds again"
            with pytest.raises(Refused, match=named):
                migrate.down(run, to=0)
        finally:
            db.execute(f"ALTER TABLESPACE callctl_test_other RENAME TO {TABLESPACE}".encode())
        migrate.down(run, to=0)


@pytest.mark.parametrize("on", ["(chatbot_type) ON TABLE chatapp.chatbots", "ON TYPE public.chatbot_type"])
def test_a_role_that_is_gone_refuses_down_before_it_begins(database: MakeDatabase, on: str) -> None:
    url = database("deployed")
    run = Settings(database_url=url)
    privilege = "SELECT" if "TABLE" in on else "USAGE"
    with connect(url) as db:
        db.execute("CREATE ROLE callctl_test_leaver")
        db.execute(f"GRANT {privilege} {on} TO callctl_test_leaver".encode())
        before = take(db)
        migrate.up(run)
        db.execute("DROP ROLE callctl_test_leaver")
        with pytest.raises(
            Refused, match=r"role callctl_test_leaver had rights on .* does not exist any more"
        ) as refused:
            migrate.down(run, to=0)
        assert refused.value.hint == "CREATE ROLE callctl_test_leaver;"
        db.execute(refused.value.hint)
        migrate.down(run, to=0)
        assert_same_catalog(before, take(db))
        db.execute("DROP OWNED BY callctl_test_leaver; DROP ROLE callctl_test_leaver")


@pytest.mark.parametrize("own", ["SELECT", "REVOKE USAGE ON TYPE public.chatbot_type FROM PUBLIC"])
def test_default_privileges_add_nothing_to_a_type_that_comes_back(
    database: MakeDatabase, roles: None, own: str
) -> None:
    url = database("deployed")
    run = Settings(database_url=url)
    with connect(url) as db:
        db.execute(own.encode())
        db.execute("ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC")
        db.execute(f"ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO {OWNER} WITH GRANT OPTION".encode())
        before = take(db)
        migrate.up(run)
        migrate.down(run, to=0)
        assert_same_catalog(before, take(db))
        db.execute(f"ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM {OWNER}".encode())
