"""Step 1 down through a shadow column: chosen where it can be, quiet, lossless, resumed by down and removed by up.

Faults at every statement are in tests/faults/test_shadow_faults.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql
from tests.conftest import MakeDatabase, connect
from tests.support.db.snapshot import assert_same, assert_same_catalog, row_differences, take

from callctl.cli import run
from callctl.config.settings import Settings
from callctl.database.store import schema_sql
from callctl.errors import Refused, StepFailed
from callctl.events import BatchFinished, Event, Notice, StatementStarted
from callctl.migration import migrate, planning
from callctl.migration.checks.preflight import preflight
from callctl.migration.steps import shadow
from callctl.sandbox.lifecycle import BASELINES
from callctl.statements.script import load_script

Db = psycopg.Connection[Any]

LONG = "https://example.com/" + "a" * 800
ADDRESS = "SELECT avatar_url FROM chatapp.users WHERE id = %s"


@pytest.fixture(params=BASELINES)
def at(request: pytest.FixtureRequest, database: MakeDatabase) -> Iterator[Db]:
    """Each baseline, not migrated yet."""
    with connect(database(request.param), prepare_threshold=None) as db:
        yield db


@pytest.fixture
def documented(database: MakeDatabase) -> Iterator[Db]:
    """The documented baseline, for what has nothing to do with names."""
    with connect(database("documented"), prepare_threshold=None) as db:
        yield db


def settings_of(db: Db, **others: Any) -> Settings:
    info = db.info
    url = f"postgresql://{info.user}@/{info.dbname}?host={info.host}&port={info.port}"
    return Settings(database_url=url, batch_size=20, **others)


def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of any size takes too long in place."""
    monkeypatch.setattr(shadow, "BYTES_A_SECOND", 1)


def way(db: Db, wanted: bool | None = None, **settings: Any) -> shadow.Choice:
    run = settings_of(db, **settings)
    found = shadow.choose(db, run, migrate.status(db, run).naming, wanted=wanted)
    assert found is not None
    return found


def user(db: Db, number: int = 0) -> str:
    row = db.execute("SELECT id::text FROM chatapp.users ORDER BY id OFFSET %s LIMIT 1", (number,)).fetchone()
    assert row is not None
    return str(row[0])


def leftovers(db: Db) -> list[str]:
    """What is there of a shadow column, anywhere."""
    return [
        row[0]
        for row in db.execute(
            "SELECT format('column %s', attname) FROM pg_attribute WHERE attname LIKE 'callctl%url'"
            " UNION ALL SELECT format('trigger %s', tgname) FROM pg_trigger WHERE tgname LIKE 'zzz_callctl_shadow%'"
            " UNION ALL SELECT format('constraint %s', conname) FROM pg_constraint WHERE conname LIKE 'callctl_shadow%'"
            " UNION ALL SELECT format('relation %s', relname) FROM pg_class WHERE relname LIKE '%shadow%'"
            " AND relnamespace::regnamespace::text !~ '^pg_'"
            " UNION ALL SELECT format('statistics %s', stxname) FROM pg_statistic_ext WHERE stxname LIKE '%shadow%'"
            " UNION ALL SELECT format('function %s', proname) FROM pg_proc"
            " WHERE proname IN ('fill_users', 'shadow_users')"
            " UNION ALL SELECT format('definition %s', kind) FROM callctl.definition WHERE kind LIKE 'shadow%'"
            " UNION ALL SELECT format('checkpoint %s %s', step, direction) FROM callctl.checkpoint"
        ).fetchall()
    ]


# ---- what comes back -----------------------------------------------------------------------------------

EVERYTHING = """
CREATE INDEX users_avatar ON chatapp.users (avatar_url);
CREATE INDEX "users Avatar Hash" ON chatapp.users (md5(avatar_url)) WHERE length(avatar_url) < 400;
CREATE UNIQUE INDEX users_avatar_unique ON chatapp.users (id, avatar_url DESC NULLS LAST) INCLUDE (email)
  WITH (fillfactor = 70);
CREATE INDEX users_avatar_lower ON chatapp.users (lower(avatar_url) text_pattern_ops);
ALTER INDEX chatapp.users_avatar_lower ALTER COLUMN 1 SET STATISTICS 77;
ALTER TABLE chatapp.users CLUSTER ON users_avatar;
COMMENT ON INDEX chatapp.users_avatar IS 'by address';
ALTER TABLE chatapp.users ADD CONSTRAINT users_avatar_check CHECK (avatar_url <> 'none' OR email = avatar_url);
ALTER TABLE chatapp.users ADD CONSTRAINT "users Scheme" CHECK (avatar_url <> '') NOT VALID;
COMMENT ON CONSTRAINT users_avatar_check ON chatapp.users IS 'it''s one';
ALTER TABLE chatapp.users ALTER COLUMN avatar_url SET DEFAULT 'https://example.com/it''s.png';
ALTER TABLE chatapp.users ALTER COLUMN avatar_url SET STATISTICS 90;
ALTER TABLE chatapp.users ALTER COLUMN avatar_url SET (n_distinct = 9);
ALTER TABLE chatapp.users ALTER COLUMN avatar_url SET STORAGE EXTERNAL;
COMMENT ON COLUMN chatapp.users.avatar_url IS 'a "picture"';
CREATE STATISTICS chatapp.users_avatar_statistics (ndistinct) ON email, avatar_url FROM chatapp.users;
COMMENT ON STATISTICS chatapp.users_avatar_statistics IS 'together';
CREATE SCHEMA elsewhere;
CREATE STATISTICS elsewhere."Avatar" ON avatar_url, role FROM chatapp.users;
DO $$ BEGIN
  IF current_setting('server_version_num')::integer >= 130000 THEN
    EXECUTE 'ALTER STATISTICS elsewhere."Avatar" SET STATISTICS 55';
  END IF;
END $$;
GRANT SELECT (avatar_url), UPDATE (avatar_url) ON chatapp.users TO callctl_shadow_reader WITH GRANT OPTION;
ALTER STATISTICS elsewhere."Avatar" OWNER TO callctl_shadow_reader;
"""


# PostgreSQL prints these in another form for text than for varchar, and back in a third.
PRINTED_OTHERWISE = """
CREATE INDEX users_avatar_some ON chatapp.users (email) WHERE avatar_url IN ('fax', 'tty');
CREATE INDEX users_avatar_or ON chatapp.users (coalesce(avatar_url, 'none'), avatar_url);
ALTER TABLE chatapp.users ADD CONSTRAINT users_avatar_some CHECK (avatar_url NOT IN ('fax', 'it''s', 'tty'));
COMMENT ON CONSTRAINT users_avatar_some ON chatapp.users IS 'some';
ALTER TABLE chatapp.users ADD CONSTRAINT users_avatar_dumped
  CHECK (avatar_url::text = ANY (ARRAY[('a'::varchar)::text, ('b'::varchar)::text]) OR coalesce(avatar_url, '') <> 'c');
"""


@contextmanager
def reader(db: Db) -> Iterator[None]:
    """With a role that has grants."""
    if db.execute("SELECT to_regrole('callctl_shadow_reader')").fetchone() == (None,):
        db.execute("CREATE ROLE callctl_shadow_reader")
    try:
        yield
    finally:
        db.execute("DROP OWNED BY callctl_shadow_reader")


COMPRESSION = "ALTER TABLE chatapp.users ALTER COLUMN avatar_url SET COMPRESSION {}"


@pytest.mark.parametrize("through_shadow", [True, False], ids=["shadow", "in place"])
def test_everything_that_the_catalog_stores_of_the_column_comes_back(at: Db, through_shadow: bool) -> None:
    with reader(at):
        at.execute(EVERYTHING)
        if at.info.server_version >= 140000:
            at.execute(COMPRESSION.format("pglz").encode())
        before = take(at)
        run = settings_of(at)
        migrate.up(run, to=1)
        migrate.down(run, to=0, through_shadow=through_shadow)
        assert_same(before, take(at))
        if at.info.server_version >= 140000:
            assert at.execute(
                "SELECT attcompression FROM pg_attribute WHERE attrelid = 'chatapp.users'::regclass"
                " AND attname = 'avatar_url'"
            ).fetchone() == ("p",)
        targets = at.execute(
            "SELECT attstattarget FROM pg_attribute WHERE attrelid = 'chatapp.users_avatar_lower'::regclass"
        ).fetchone()
        assert targets == (77,)
        assert leftovers(at) == []


def test_definitions_that_are_printed_otherwise_for_text_come_back_as_they_were(at: Db) -> None:
    """Twice; and one that was changed meanwhile stays as it was changed."""
    at.execute(PRINTED_OTHERWISE)
    before = take(at)
    run = settings_of(at)
    for _ in range(2):
        migrate.up(run, to=1)
        migrate.down(run, to=0, through_shadow=True)
        assert_same(before, take(at))
    migrate.up(run, to=1)
    at.execute(
        "ALTER TABLE chatapp.users DROP CONSTRAINT users_avatar_some,"
        " ADD CONSTRAINT users_avatar_some CHECK (avatar_url <> 'fax')"
    )
    migrate.down(run, to=0, through_shadow=True)
    assert at.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'users_avatar_some'"
    ).fetchone() == ("CHECK (((avatar_url)::text <> 'fax'::text))",)


def test_a_column_that_must_be_filled_is_not_null_again(at: Db) -> None:
    at.execute("UPDATE chatapp.users SET avatar_url = 'none' WHERE avatar_url IS NULL")
    at.execute("ALTER TABLE chatapp.users ALTER avatar_url SET NOT NULL")
    before = take(at)
    migrate.up(settings_of(at), to=1)
    migrate.down(settings_of(at), to=0, through_shadow=True)
    assert_same(before, take(at))


def test_a_collation_comes_back_and_the_proof_compares_bytes(documented: Db) -> None:
    documented.execute('ALTER TABLE chatapp.users ALTER avatar_url TYPE varchar(500) COLLATE "POSIX"')
    before = take(documented)
    migrate.up(settings_of(documented), to=1)
    migrate.down(settings_of(documented), to=0, through_shadow=True)
    assert_same(before, take(documented))


def test_only_the_position_of_the_column_is_another(at: Db) -> None:
    names = (
        "SELECT attname FROM pg_attribute WHERE attrelid = 'chatapp.users'::regclass AND attnum > 0"
        " AND NOT attisdropped ORDER BY attnum"
    )
    before = [row[0] for row in at.execute(names.encode())]
    migrate.up(settings_of(at))
    migrate.down(settings_of(at), to=0, through_shadow=True)
    after = [row[0] for row in at.execute(names.encode())]
    assert after == [*(name for name in before if name != "avatar_url"), "avatar_url"]


def test_a_second_time_is_as_the_first(at: Db) -> None:
    before = take(at)
    run = settings_of(at)
    for _ in range(2):
        migrate.up(run, to=1)
        migrate.down(run, to=0, through_shadow=True)
        assert_same(before, take(at))


# ---- the fill ------------------------------------------------------------------------------------------

VERSIONED = """
ALTER TABLE chatapp.users ADD COLUMN version integer NOT NULL DEFAULT 1;
CREATE FUNCTION public.next_version() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN NEW.version := OLD.version + 1; NEW.email := upper(NEW.email); RETURN NEW; END $$;
CREATE TRIGGER next_version BEFORE UPDATE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION public.next_version();
CREATE TRIGGER "zz version" BEFORE UPDATE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION public.next_version()
"""


def test_the_fill_moves_no_other_column(at: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither updated_at nor what any other BEFORE trigger sets; and by itself it is chosen."""
    small_is_large(monkeypatch)
    at.execute(VERSIONED)
    migrate.up(settings_of(at))
    before = take(at)
    filled: list[Event] = []
    migrate.down(settings_of(at), to=0, on_event=filled.append)
    batches = [e for e in filled if isinstance(e, BatchFinished) and e.source.endswith("down_shadow.sql")]
    assert batches[-1].changed >= 100
    ours = {"chatapp.users": before.rows["chatapp.users"]}
    assert row_differences(ours, {"chatapp.users": take(at).rows["chatapp.users"]}) == []


@pytest.mark.applied
def test_writes_of_others_go_on_while_it_fills(at: Db) -> None:
    """Whoever writes: an address written meanwhile is the one that is there afterwards, and its triggers fire."""
    run = settings_of(at)
    ids = [row[0] for row in at.execute("SELECT id::text FROM chatapp.users ORDER BY id")]
    written: dict[str, str | None] = {}

    def write(event: Event) -> None:
        if isinstance(event, StatementStarted | BatchFinished) and event.step == 1:
            for role, value in (
                ("origin", f"https://example.com/{len(written)}"),
                ("replica", None),
                ("replica", "é" * 500),
            ):
                key = ids[len(written) * 7 % len(ids)]
                with at.transaction():
                    at.execute(sql.SQL("SET LOCAL session_replication_role = {}").format(sql.Literal(role)))
                    at.execute("UPDATE chatapp.users SET avatar_url = %s WHERE id = %s", (value, key))
                written[key] = value

    migrate.down(run, to=0, through_shadow=True, on_event=write)
    assert len(written) > 30
    now = {row[0]: row[1] for row in at.execute("SELECT id::text, avatar_url FROM chatapp.users")}
    assert {key: now[key] for key in written} == written


@pytest.mark.applied
def test_a_row_that_is_inserted_meanwhile_has_its_address(documented: Db) -> None:
    run = settings_of(documented)

    def write(event: Event) -> None:
        if isinstance(event, StatementStarted) and event.step == 1:
            documented.execute(
                "INSERT INTO chatapp.users (id, email, avatar_url) VALUES (gen_random_uuid(), gen_random_uuid(), %s)",
                (f"at line {event.line}",),
            )

    migrate.down(run, to=0, through_shadow=True, on_event=write)
    written = documented.execute("SELECT count(*) FROM chatapp.users WHERE avatar_url LIKE 'at line %'").fetchone()
    assert written is not None
    assert written[0] > 10


def test_the_swap_reads_no_row(at: Db) -> None:
    """What the server counts in the transaction of the swap: not one row of users."""
    run = settings_of(at)
    at.execute(EVERYTHING.replace("GRANT", "-- GRANT").replace('ALTER STATISTICS elsewhere."Avatar" OWNER', "-- "))
    at.execute("UPDATE chatapp.users SET avatar_url = 'some' WHERE avatar_url IS NULL")
    at.execute("ALTER TABLE chatapp.users ALTER avatar_url SET NOT NULL")
    migrate.up(run, to=1)
    stop_at(at, run, "swap_shadow")
    url = run.database_url
    assert url is not None
    with connect(url) as db, db.transaction():  # a session of its own: the server counts its transactions together
        db.execute("CALL callctl.swap_shadow(1, 'chatapp.users'::regclass, 'avatar_url')")
        read = db.execute(
            "SELECT seq_scan, seq_tup_read, idx_scan, idx_tup_fetch FROM pg_stat_xact_user_tables"
            " WHERE relid = 'chatapp.users'::regclass"
        ).fetchone()
        assert read in ((0, 0, 0, 0), None)


class Stop(Exception):
    """Ends a run from outside, between two statements."""


def stop_at(db: Db, run: Settings, word: str, **options: Any) -> None:
    """Run down until a statement of step 1 with that word in it is about to run; what is committed stands."""

    script = load_script("steps/01_users_avatar_url/down_shadow.sql")
    line = next(statement.line for statement in script.statements if word in statement.sql)

    def stop(event: Event) -> None:
        if isinstance(event, StatementStarted) and event.step == 1 and event.line == line:
            raise Stop

    with pytest.raises(Stop):
        migrate.down(run, to=0, through_shadow=True, on_event=stop, **options)


# ---- long addresses ------------------------------------------------------------------------------------


@pytest.mark.applied
def test_an_address_that_is_too_long_is_refused_by_preflight_and_by_the_step(at: Db) -> None:
    run = settings_of(at)
    at.execute("UPDATE chatapp.users SET avatar_url = %s WHERE id = %s", (LONG, user(at)))
    with pytest.raises(Refused, match="avatar-too-long"):
        migrate.down(run, to=0, through_shadow=True)
    at.execute("UPDATE chatapp.users SET avatar_url = NULL WHERE id = %s", (user(at),))

    def write(event: Event) -> None:
        if isinstance(event, StatementStarted) and "callctl_avatar_url = left" in event.summary:
            at.execute("UPDATE chatapp.users SET avatar_url = %s WHERE id = %s", (LONG, user(at)))

    with pytest.raises(StepFailed, match="avatars-fit"):
        migrate.down(run, to=0, through_shadow=True, on_event=write)
    assert at.execute(ADDRESS, (user(at),)).fetchone() == (LONG,)  # the trigger has refused nothing


@pytest.mark.parametrize("moment", ["avatars-fit", "promise_shadow", "prove_shadow"])
@pytest.mark.applied
def test_long_addresses_written_at_any_moment_are_cut_and_come_back(at: Db, moment: str) -> None:
    """They are saved first; behind the promise the database refuses them as it will with the old type."""
    run = settings_of(at)
    at.execute("UPDATE chatapp.users SET avatar_url = %s WHERE id = %s", (LONG, user(at, 1)))
    refused: list[str] = []

    def write(event: Event) -> None:
        if isinstance(event, StatementStarted) and moment in event.summary:
            try:
                at.execute("UPDATE chatapp.users SET avatar_url = %s WHERE id = %s", (LONG, user(at)))
            except psycopg.errors.CheckViolation as error:
                refused.append(str(error.diag.constraint_name))

    if moment == "avatars-fit":  # behind the list of those to be cut, and before the promise
        with pytest.raises(StepFailed, match="avatars-fit"):
            migrate.down(run, to=0, through_shadow=True, truncate_avatars=True, on_event=write)
        migrate.down(run, to=0, truncate_avatars=True)
    else:
        migrate.down(run, to=0, through_shadow=True, truncate_avatars=True, on_event=write)
    assert refused == (["callctl_shadow_agrees"] if moment == "prove_shadow" else [])
    assert at.execute(ADDRESS, (user(at, 1),)).fetchone() == (LONG[:500],)
    if not refused:
        assert at.execute(ADDRESS, (user(at),)).fetchone() == (LONG[:500],)
    migrate.up(run, to=1)
    assert at.execute(ADDRESS, (user(at, 1),)).fetchone() == (LONG,)
    if not refused:
        assert at.execute(ADDRESS, (user(at),)).fetchone() == (LONG,)


@pytest.mark.applied(1)
def test_up_brings_addresses_back_that_an_unfinished_down_had_cut(at: Db) -> None:
    run = settings_of(at)
    at.execute("UPDATE chatapp.users SET avatar_url = %s WHERE id = %s", (LONG, user(at)))
    before = take(at)
    stop_at(at, run, "prove_shadow", truncate_avatars=True)
    assert at.execute(ADDRESS, (user(at),)).fetchone() == (LONG[:500],)
    assert leftovers(at)
    migrate.up(run, to=1)
    assert leftovers(at) == []
    assert at.execute(ADDRESS, (user(at),)).fetchone() == (LONG,)
    assert_same_catalog(before, take(at))


@pytest.mark.applied(1)
def test_a_row_written_past_the_trigger_is_named_and_no_check_stays(documented: Db) -> None:
    """With the CHECK there, the row could not be written at all."""
    run = settings_of(documented)

    def write(event: Event) -> None:
        if isinstance(event, StatementStarted) and "promise_shadow" in event.summary:
            with documented.transaction():
                documented.execute("ALTER TABLE chatapp.users DISABLE TRIGGER zzz_callctl_shadow_2_keep")
                documented.execute("UPDATE chatapp.users SET avatar_url = 'past it' WHERE id = %s", (user(documented),))
                documented.execute("ALTER TABLE chatapp.users ENABLE ALWAYS TRIGGER zzz_callctl_shadow_2_keep")

    with pytest.raises(StepFailed, match=user(documented)):
        migrate.down(run, to=0, through_shadow=True, on_event=write)
    assert not [each for each in leftovers(documented) if each == "constraint callctl_shadow_agrees"]
    documented.execute("UPDATE chatapp.users SET email = 'x' || email WHERE id = %s", (user(documented),))
    migrate.down(run, to=0)
    assert documented.execute(ADDRESS, (user(documented),)).fetchone() == ("past it",)
    assert leftovers(documented) == []


@pytest.mark.parametrize(
    "by_hand",
    [
        "ALTER TABLE chatapp.users DROP CONSTRAINT callctl_shadow_agrees",
        "ALTER TABLE chatapp.users DROP CONSTRAINT callctl_shadow_agrees,"
        " ADD CONSTRAINT callctl_shadow_agrees CHECK (true) NOT VALID",
        "DROP INDEX chatapp.callctl_shadow_2",
        "ALTER TABLE chatapp.users DROP CONSTRAINT callctl_shadow_1",
        "CREATE INDEX one_more ON chatapp.users (avatar_url)",
        "COMMENT ON COLUMN chatapp.users.avatar_url IS 'another'",
        "CREATE VIEW public.faces AS SELECT avatar_url FROM chatapp.users",
        "ALTER TABLE chatapp.users DROP COLUMN callctl_avatar_url",
    ],
)
def test_the_swap_wants_its_proof_and_everything_that_was_written_down(documented: Db, by_hand: LiteralString) -> None:
    """What was changed by hand a moment before stops it with nothing lost, and the next down arrives."""
    documented.execute("ALTER TABLE chatapp.users ADD CONSTRAINT a_check CHECK (avatar_url <> 'none')")
    documented.execute("CREATE INDEX an_index ON chatapp.users (avatar_url)")
    run = settings_of(documented)
    migrate.up(run, to=1)
    before = take(documented)

    def change(event: Event) -> None:
        if isinstance(event, StatementStarted) and "swap_shadow" in event.summary:
            documented.execute(by_hand)

    with pytest.raises(StepFailed):
        migrate.down(run, to=0, through_shadow=True, on_event=change)
    users = {
        key: {name: value for name, value in row.items() if name != "callctl_avatar_url"}
        for key, row in take(documented).rows["chatapp.users"].items()
    }
    assert row_differences({"users": before.rows["chatapp.users"]}, {"users": users}) == []
    documented.execute("DROP VIEW IF EXISTS public.faces")
    migrate.down(run, to=0)
    assert leftovers(documented) == []
    assert documented.execute(
        "SELECT format_type(atttypid, atttypmod), coalesce(col_description(attrelid, attnum), '') FROM pg_attribute"
        " WHERE attrelid = 'chatapp.users'::regclass AND attname = 'avatar_url'"
    ).fetchone() == ("character varying(500)", "another" if "COMMENT" in by_hand else "")
    there = {
        row[0] for row in documented.execute("SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%(avatar_url)%'")
    }
    assert there == {"an_index", *(["one_more"] if "one_more" in by_hand else [])}


# ---- which way -----------------------------------------------------------------------------------------

TOUCH = "CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NEW; END $$;"

# What makes it impossible, and a word of the reason.
NEVER: dict[LiteralString, str] = {
    "CREATE PUBLICATION p FOR TABLE chatapp.users": "publication p",
    "CREATE PUBLICATION p FOR ALL TABLES": "publication p",
    "ALTER TABLE chatapp.users REPLICA IDENTITY FULL": "replica identity",
    TOUCH.format("")
    + "CREATE TRIGGER t AFTER UPDATE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION public.f()": "trigger t",
    TOUCH.format("") + "CREATE TRIGGER t BEFORE UPDATE ON chatapp.users EXECUTE FUNCTION public.f()": "trigger t",
    TOUCH.format("")
    + "CREATE TRIGGER t AFTER INSERT OR UPDATE ON chatapp.users EXECUTE FUNCTION public.f()": "trigger t",
    TOUCH.format("")
    + "CREATE TRIGGER zzzz BEFORE INSERT ON chatapp.users FOR EACH ROW EXECUTE FUNCTION public.f()": "zzzz",
    "CREATE RULE r AS ON UPDATE TO chatapp.users DO ALSO SELECT 1": "rule r",
    "ALTER TABLE chatapp.users ADD CONSTRAINT u UNIQUE (id, avatar_url)": "u on",
    "CREATE TABLE public.t (u chatapp.users)": "type",
    "CREATE FUNCTION public.g(chatapp.users) RETURNS integer LANGUAGE sql AS 'SELECT 1'": "type",
    "CREATE FUNCTION public.g() RETURNS SETOF chatapp.users LANGUAGE sql AS 'SELECT * FROM chatapp.users'": "type",
    "ALTER TABLE chatapp.users ADD COLUMN callctl_avatar_url text": "callctl_avatar_url already",
    "ALTER TABLE chatapp.users ADD COLUMN l integer GENERATED ALWAYS AS (length(avatar_url)) STORED": "depends on",
    "CREATE VIEW public.faces AS SELECT avatar_url FROM chatapp.users": "faces",
    "CREATE POLICY p ON chatapp.users USING (avatar_url <> '')": "policy p",
    TOUCH.format("")
    + "CREATE TRIGGER t BEFORE UPDATE OF avatar_url ON chatapp.users FOR EACH ROW EXECUTE FUNCTION public.f()": "t on",
}


@pytest.mark.parametrize("setup", NEVER, ids=lambda setup: setup.rpartition("$$;")[2][:60])
@pytest.mark.applied(1)
def test_it_is_refused_with_the_reason_where_it_cannot_be(
    documented: Db, setup: LiteralString, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_is_large(monkeypatch)
    assert way(documented).shadow
    documented.execute(setup)
    found = way(documented)
    assert not found.shadow
    assert NEVER[setup] in found.because
    assert found.because in found.what
    before = take(documented)
    with pytest.raises(Refused, match="--shadow cannot be used") as refused:
        migrate.down(settings_of(documented), to=0, through_shadow=True)
    assert NEVER[setup] in refused.value.message
    assert_same(before, take(documented))


REFUSED_IN_PLACE: tuple[LiteralString, ...] = (
    "CREATE VIEW public.faces AS SELECT avatar_url FROM chatapp.users",
    "ALTER TABLE chatapp.users ADD COLUMN l integer GENERATED ALWAYS AS (length(avatar_url)) STORED",
    "CREATE POLICY p ON chatapp.users USING (avatar_url <> '')",
    "CREATE RULE r AS ON UPDATE TO chatapp.users WHERE NEW.avatar_url = '' DO ALSO SELECT 1",
    "CREATE TABLE public.t (u chatapp.users)",
    "CREATE TABLE public.child () INHERITS (chatapp.users)",
    TOUCH.format("")
    + "CREATE TRIGGER t BEFORE UPDATE OF avatar_url ON chatapp.users FOR EACH ROW EXECUTE FUNCTION public.f()",
)


@pytest.mark.parametrize("setup", REFUSED_IN_PLACE, ids=lambda setup: setup.rpartition("$$;")[2][:60])
@pytest.mark.applied(2)
def test_what_postgresql_refuses_in_place_is_refused_before_anything_changes(
    documented: Db, setup: LiteralString
) -> None:
    documented.execute(setup)
    before = take(documented)
    for through_shadow in (None, False):
        with pytest.raises(Refused, match=r"preflight found blockers: .*; nothing was changed"):
            migrate.down(settings_of(documented), to=0, through_shadow=through_shadow)
    assert_same(before, take(documented))


UNWISE: tuple[LiteralString, ...] = (
    TOUCH.format("PERFORM pg_notify('c', NEW.id::text);")
    + "CREATE TRIGGER t BEFORE UPDATE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION public.f()",
    TOUCH.format("INSERT INTO public.audit VALUES (1);")
    + "CREATE TRIGGER t BEFORE UPDATE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION public.f()",
    TOUCH.format("NEW.email := public.audited(NEW);")
    + "CREATE TRIGGER t BEFORE UPDATE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION public.f()",
    "ALTER TABLE chatapp.users ADD CONSTRAINT c CHECK (email <> 'none') NOT VALID",
)


@pytest.mark.parametrize("setup", UNWISE, ids=lambda setup: setup[:90])
@pytest.mark.applied(1)
def test_it_is_not_chosen_where_the_fill_could_be_felt_elsewhere(
    documented: Db, setup: LiteralString, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But whoever knows better may ask for it."""
    small_is_large(monkeypatch)
    documented.execute(setup)
    assert not way(documented).shadow
    assert way(documented, wanted=True).shadow


QUIET: tuple[LiteralString, ...] = (
    TOUCH.format("NEW.updated_at = CURRENT_TIMESTAMP; -- select\n")
    + "CREATE TRIGGER t BEFORE UPDATE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION public.f()",
    TOUCH.format("PERFORM pg_notify('c', '');")
    + "CREATE TRIGGER t AFTER INSERT OR DELETE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION public.f()",
    TOUCH.format("PERFORM pg_notify('c', '');")
    + "CREATE TRIGGER t AFTER UPDATE OF email ON chatapp.users FOR EACH ROW EXECUTE FUNCTION public.f()",
    TOUCH.format("") + "CREATE TRIGGER t AFTER UPDATE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION public.f();"
    "ALTER TABLE chatapp.users DISABLE TRIGGER t",
    "CREATE INDEX i ON chatapp.users (avatar_url)",
    "CREATE STATISTICS chatapp.s ON avatar_url, email FROM chatapp.users",
    "ALTER TABLE chatapp.users ADD CHECK (avatar_url <> 'none')",
    "CREATE VIEW public.emails AS SELECT email FROM chatapp.users",
)


@pytest.mark.parametrize("setup", QUIET, ids=lambda setup: setup[:90])
@pytest.mark.applied(1)
def test_it_is_chosen_by_itself(documented: Db, setup: LiteralString, monkeypatch: pytest.MonkeyPatch) -> None:
    small_is_large(monkeypatch)
    documented.execute(setup)
    found = way(documented)
    assert found.shadow, found.because
    migrate.down(settings_of(documented), to=0)
    assert leftovers(documented) == []
    assert ran(documented) == "steps/01_users_avatar_url/down_shadow.sql"


def ran(db: Db) -> str:
    row = db.execute("SELECT file FROM callctl.history ORDER BY id DESC LIMIT 1").fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize("listed", ["id, email", "id, email, avatar_url"])
@pytest.mark.applied(1)
def test_a_publication_with_a_column_list_is_no_obstacle_where_the_column_is_not_in_it(
    documented: Db, listed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if documented.info.server_version < 150000:
        pytest.skip("column lists are new in PostgreSQL 15")
    small_is_large(monkeypatch)
    documented.execute(f"CREATE PUBLICATION p FOR TABLE chatapp.users ({listed})".encode())
    assert way(documented).shadow is ("avatar_url" not in listed)


@pytest.mark.parametrize("type", ["varchar", "text", "char(600)"])
def test_an_old_type_without_a_limit_goes_back_in_place(documented: Db, type: LiteralString) -> None:
    documented.execute(f"ALTER TABLE chatapp.users ALTER avatar_url TYPE {type}".encode())
    migrate.up(settings_of(documented), to=1)
    found = way(documented, lock_hold_ms=0)
    assert not found.shadow
    assert (found.seconds == 0) is (type != "char(600)")


@pytest.mark.applied(1)
def test_a_small_table_goes_in_place_where_that_fits_the_hold_limit(at: Db) -> None:
    assert not way(at).shadow
    assert way(at, lock_hold_ms=0).shadow
    migrate.down(settings_of(at), to=0)
    assert ran(at) == "steps/01_users_avatar_url/down.sql"


@pytest.mark.applied(2)
def test_atomic_goes_in_place(at: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    small_is_large(monkeypatch)
    migrate.down(settings_of(at), to=0, atomic=True)
    assert ran(at) == "steps/01_users_avatar_url/down.sql"


# ---- what is said --------------------------------------------------------------------------------------

Said = tuple[int, str, str]


@pytest.fixture
def callctl(documented: Db, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def command(*arguments: str) -> Said:
        url = settings_of(documented).database_url
        assert url is not None
        code = run([*arguments, "--database", url])
        captured = capsys.readouterr()
        return code, captured.out, " ".join(captured.err.split())

    return command


@pytest.mark.applied(1)
def test_the_options_say_which_way_and_the_plan_shows_it(documented: Db, callctl: Callable[..., Said]) -> None:
    code, out, err = callctl("migrate", "plan", "--down", "--shadow", "--sql")
    assert code == 0
    for words in (
        "CALL callctl.begin_shadow(1, ",
        "SET callctl_avatar_url = left",
        "kind = 'shadow index'",
        "swap_shadow",
    ):
        assert words in out
    assert "avatar_url becomes the last column" in err
    code, out, err = callctl("migrate", "plan", "--down", "--sql")
    assert "ALTER COLUMN avatar_url TYPE character varying(500)" in out
    assert "swap_shadow" not in out
    assert "clients wait for it less than a second; no shadow column: the rewrite fits lock_hold (0.5 s)" in err
    assert callctl("migrate", "down", "--all", "--yes", "--shadow", "--in-place")[0] == 2
    assert callctl("migrate", "down", "--all", "--yes", "--shadow", "--atomic")[0] == 2
    documented.execute("CREATE PUBLICATION p FOR ALL TABLES")
    code, _, err = callctl("migrate", "down", "--all", "--yes", "--shadow")
    assert code == 3
    assert "--shadow cannot be used: chatapp.users is in publication p without a column list" in err
    documented.execute("DROP PUBLICATION p")
    code, _, err = callctl("migrate", "down", "--all", "--yes", "--in-place")
    assert (code, ran(documented)) == (0, "steps/01_users_avatar_url/down.sql")
    assert "no shadow column: --in-place was given" in err
    migrate.up(settings_of(documented), to=1)
    code, _, err = callctl("migrate", "down", "--all", "--yes", "--shadow")
    assert (code, ran(documented)) == (0, "steps/01_users_avatar_url/down_shadow.sql")
    assert "SELECT * returns another order of columns, INSERT and COPY without a column list expect another" in err


@pytest.mark.applied(1)
def test_preflight_says_which_way_it_would_be(documented: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    run = settings_of(documented)

    def said(**options: Any) -> tuple[str, str]:
        naming = migrate.status(documented, run).naming
        findings = preflight(documented, run, naming, (1,), "down", **options)
        (found,) = [each for each in findings if each.id == "avatar-rewrite"]
        return found.level, found.what

    level, what = said()
    assert level == "warns"
    assert what.startswith("migrate down from step 1 rewrites chatapp.users: ")
    small_is_large(monkeypatch)
    level, what = said()
    assert level == "warns"
    assert what.startswith("migrate down from step 1 fills a shadow column of chatapp.users")
    level, what = said(through_shadow=False)
    assert "clients wait for it about " in what
    documented.execute("CREATE PUBLICATION p FOR ALL TABLES")
    assert said(through_shadow=True)[0] == "blocks"


@pytest.mark.applied(1)
def test_who_is_asked_is_asked_for_the_wait(documented: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    from callctl.cli.migrate import _how

    small_is_large(monkeypatch)
    run = settings_of(documented)
    planned = planning.plan(documented, run, planning.Wish("down", through_shadow=False))
    assert planned.avatar is not None
    assert _how(planned, atomic=False) == f"; clients wait for chatapp.users {planned.avatar.hold} meanwhile"
    assert _how(planning.plan(documented, run, planning.Wish("down")), atomic=False) == ""


# ---- going on, and giving up ---------------------------------------------------------------------------

WORDS = ("callctl_avatar_url =", "'shadow index'", "SELECT id, length", "promise", "prove", "check'", "ANALYZE", "swap")


@pytest.mark.parametrize("word", WORDS)
def test_the_next_down_goes_on_and_the_next_up_removes_it(at: Db, word: str) -> None:
    """Wherever it was stopped. What callctl says of it is that step 1 is half way down."""
    with reader(at):
        at.execute(EVERYTHING)
        first = take(at)
        run = settings_of(at)
        migrate.up(run, to=1)
        up = take(at)
        stop_at(at, run, word)
        status = migrate.status(at, run)
        assert (dict(status.half_done), status.shadow) == ({1: "down"}, True)
        said: list[Event] = []
        migrate.up(run, to=1, on_event=said.append)
        assert any(isinstance(each, Notice) and "removed the shadow column" in each.text for each in said)
        assert leftovers(at) == []
        assert_same(up, take(at))
        stop_at(at, run, word)
        migrate.down(run, to=0)  # the way that was begun
        assert ran(at) == "steps/01_users_avatar_url/down_shadow.sql"
        assert leftovers(at) == []
        assert_same(first, take(at))


def test_in_place_after_an_unfinished_shadow_removes_it_first(at: Db) -> None:
    first = take(at)
    run = settings_of(at)
    migrate.up(run, to=1)
    stop_at(at, run, "swap")
    migrate.down(run, to=0, through_shadow=False)
    assert ran(at) == "steps/01_users_avatar_url/down.sql"
    assert leftovers(at) == []
    assert_same(first, take(at))


@pytest.mark.applied(1)
def test_a_way_down_that_has_begun_in_place_goes_on_in_place(documented: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    run = settings_of(documented)
    documented.execute("UPDATE chatapp.users SET avatar_url = %s WHERE id = %s", (LONG, user(documented)))

    def stop(event: Event) -> None:
        if isinstance(event, StatementStarted) and "lock_table" in event.summary:
            raise Stop

    with pytest.raises(Stop):
        migrate.down(run, to=0, truncate_avatars=True, on_event=stop)
    small_is_large(monkeypatch)
    assert way(documented).because == "step 1 has begun in place"
    migrate.down(run, to=0)
    assert ran(documented) == "steps/01_users_avatar_url/down.sql"


@pytest.mark.applied(1)
def test_up_removes_it_where_nothing_else_is_pending(documented: Db) -> None:
    run = settings_of(documented)
    stop_at(documented, run, "swap")
    documented.execute("CREATE VIEW public.faces AS SELECT avatar_url FROM chatapp.users")
    assert [step.number for step in planning.plan(documented, run, planning.Wish("up", to=1)).steps] == [1]
    assert any("shadow" in notice for notice in planning.plan(documented, run, planning.Wish("up", to=1)).notices)
    migrate.up(run, to=1)  # the view stands in the way of a change of type, and there is none
    assert leftovers(documented) == []
    assert migrate.status(documented, run).applied == (1,)


@pytest.mark.applied(1)
def test_a_store_of_an_earlier_callctl_will_do(documented: Db) -> None:
    """Its definitions were written down without what the shadow needs; make_ready brings the rest."""
    run = settings_of(documented)
    documented.execute("DROP PROCEDURE callctl.begin_shadow(integer, regclass, name, name)")
    assert "callctl.begin_shadow" in schema_sql()
    migrate.down(replace(run, lock_hold_ms=500), to=0, through_shadow=True)
    assert leftovers(documented) == []
