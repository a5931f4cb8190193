"""No refusal in the middle of a step is a dead end: what its message names is run, and leads out, forward and back."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from tests.conftest import THOROUGH, connect
from tests.support.db import snapshot

from callctl.cli import run
from callctl.config.settings import Settings
from callctl.database import store
from callctl.errors import CallctlError
from callctl.events import Direction, Event, StatementStarted
from callctl.migration import migrate
from callctl.migration.run import script as runner
from callctl.migration.steps.numbered import all_steps
from callctl.sandbox.lifecycle import create_database, drop_database, fill
from callctl.sandbox.server import Server

pytestmark = pytest.mark.one_server

_COMMAND = re.compile(r"callctl migrate (?:up|down)(?: --(?:to \d+|[a-z-]+))*")
_STATEMENT = re.compile(r"((?:SELECT|ALTER|UPDATE|DROP|DELETE)\b[^()]*(?:\([^()]*\)[^()]*)*;)")
# Step 4 fills them from the type, and its way down leaves them filled: they go with steps 3 and 2.
FLAGS = {
    ("chatapp.chatbots", "enabled_chat"),
    ("chatapp.chatbots", "enabled_call"),
    ("chatapp.chatbot_packages", "enable_chat"),
    ("chatapp.chatbot_packages", "enable_call"),
}
_numbers = itertools.count(1)


@dataclass
class Copies:
    """Databases as they are before a step is taken, each made once and copied."""

    server: Server
    made: list[str] = field(default_factory=list)

    def of(self, direction: Direction, step: int) -> str:
        """The URL of a fresh copy in which the step comes next."""
        upto = step - 1 if direction == "up" else step
        template = f"ways_out_{upto}"
        if template not in self.made:
            self._create(template, None)
            fill(self.server.url(template), "deployed", rows=40)
            migrate.up(Settings(database_url=self.server.url(template)), to=upto or None) if upto else None
        name = f"ways_out_copy_{next(_numbers)}"
        self._create(name, template)
        return self.server.url(name)

    def _create(self, name: str, template: str | None) -> None:
        with connect(self.server.url("postgres")) as admin:
            create_database(admin, name, template=template)
        self.made.append(name)

    def drop(self) -> None:
        """Drop them all."""
        with connect(self.server.url("postgres")) as admin:
            for name in self.made:
                drop_database(admin, name)


@pytest.fixture(scope="module")
def copies(server: Server) -> Iterator[Copies]:
    made = Copies(server)
    yield made
    made.drop()


def take(settings: Settings, direction: Direction, step: int, on_event: Callable[[Event], None]) -> None:
    if direction == "up":
        migrate.up(settings, to=step, on_event=on_event)
    else:
        migrate.down(settings, to=step - 1, through_shadow=False if step == 1 else None, on_event=on_event)


def commands(error: CallctlError) -> list[str]:
    """The commands that the hint names, in its order."""
    return _COMMAND.findall(str(error.hint))


def obey(url: str, command: str) -> None:
    """Run a command that a message has named."""
    assert run(["--database", url, *command.split()[1:], "--yes"]) == 0, command


def obey_briefly(url: str, command: str) -> None:
    """The same without what the command line asks and prints beside it."""
    words = command.split()[2:]
    to = int(words[words.index("--to") + 1]) if "--to" in words else None
    options = {"--defer-drops": "defer_drops", "--truncate-avatars": "truncate_avatars", "--atomic": "atomic"}
    wish: dict[str, Any] = {name: True for option, name in options.items() if option in words}
    if words[0] == "up":
        migrate.up(Settings(database_url=url), to=to, **wish)
    else:
        ways = {"--shadow": True, "--in-place": False}
        wish["through_shadow"] = next((way for option, way in ways.items() if option in words), None)
        migrate.down(Settings(database_url=url), to=to or 0, **wish)


def statements(error: CallctlError) -> list[str]:
    """The SQL that the hint names."""
    return _STATEMENT.findall(str(error.hint))


# ---- every transaction of every step, held up by another session ---------------------------------------


def places(direction: Direction) -> list[tuple[int, int]]:
    """The first statement of each transaction of each step: (step, number of the statement); of each sixth transaction
    where the profile is not thorough.
    """
    found = [
        (step.number, group[0].number)
        for step in all_steps()
        for group in runner.grouped(step.script(direction).statements)
        if group
    ]
    return found if THOROUGH else found[4::6]


class Holder:
    """Another session, which takes every table of the platform's when a statement begins."""

    def __init__(self, url: str, step: int, direction: Direction, number: int) -> None:
        script = all_steps()[step - 1].script(direction)
        self._at = next((each.source, each.line) for each in script.statements if each.number == number)
        self._db = psycopg.connect(url)
        self.pid = self._db.info.backend_pid
        self.holds = False

    def __call__(self, event: Event) -> None:
        if not isinstance(event, StatementStarted) or (event.source, event.line) != self._at or self.holds:
            return
        tables = self._db.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'chatapp'::regnamespace AND relkind = 'r'"
        ).fetchall()
        named = sql.SQL(", ").join(sql.Identifier("chatapp", name) for (name,) in tables)
        self._db.execute("SET lock_timeout = '300ms'")
        with suppress(errors.LockNotAvailable):
            self._db.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(named))
            self.holds = True

    def close(self) -> None:
        """End it."""
        self._db.close()


def stopped(url: str, direction: Direction, step: int, number: int) -> tuple[CallctlError, int] | None:
    """The refusal of a step whose statement another session holds up, and that session; None where nothing waits."""
    settings = Settings(database_url=url, lock_wait_ms=300, lock_timeout_ms=50)
    holder = Holder(url, step, direction, number)
    try:
        take(settings, direction, step, holder)
    except CallctlError as error:
        assert holder.holds
        if f"pid {holder.pid}" in error.message:
            (statement,) = statements(error)
            with connect(url) as admin:
                admin.execute(statement.encode())
        return error, holder.pid
    finally:
        holder.close()
    return None


@pytest.mark.some(1)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_step_that_is_held_up_anywhere_goes_forward_and_back(copies: Copies, direction: Direction) -> None:
    half = set()
    for step, number in places(direction):
        url = copies.of(direction, step)
        with connect(url) as db:
            before = snapshot.take(db)
            found = stopped(url, direction, step, number)
            if found is None:
                continue
            error, _ = found
            began = dict(store.started(db))
            assert set(began) <= {step}
            forward, *back = commands(error)
            assert forward.startswith(f"callctl migrate {direction}"), error.hint
            # A step that has committed something on its way up names the way back, no other does.
            assert bool(back) is (began.get(step) == "up"), (error.message, error.hint)
            if back:
                half.add(step)
                obey_briefly(url, back[0])
                assert store.started(db) == ()
                snapshot.assert_same(before, snapshot.take(db), {*snapshot.touched_columns(before), *FLAGS})
                again = stopped(url, direction, step, number)
                assert again is not None
            obey_briefly(url, forward)
            assert store.started(db) == ()
            applied = migrate.status(db, Settings(database_url=url)).applied
            assert applied == tuple(range(1, step + 1 if direction == "up" else step))
            if direction == "up":
                assert not [check for check in failing(db, url) if check]
    if direction == "up":
        assert half >= ({1, 4, 5, 6, 7, 9, 10, 11, 12} if THOROUGH else {4, 5, 6})


def failing(db: psycopg.Connection[Any], url: str) -> list[str]:
    from callctl.database import connection as database
    from callctl.migration.checks import verify

    with database.read_only(db):
        return [
            check.id
            for check in verify.verify(db, Settings(database_url=url)).checks
            if not check.passed and not check.warns
        ]


# ---- every refusal of a step's own ---------------------------------------------------------------------

RAISE = "RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$"
NO_DDL = (
    "CREATE FUNCTION public.guard() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
    " IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE schema_name = 'chatapp')"
    " THEN RAISE 'not tonight'; END IF; END $$;"
    "CREATE EVENT TRIGGER guard ON ddl_command_end WHEN TAG IN ('{0}') EXECUTE FUNCTION public.guard()"
)
A_USER = "WHERE id = (SELECT min(id::text)::uuid FROM chatapp.users)"
SHADOW = (("through_shadow", True),)
CONTRARY = (
    "SET session_replication_role = origin; ALTER TABLE chatapp.{0} DISABLE TRIGGER USER;"
    "UPDATE chatapp.{0} SET chatbot_type = 'call', {1} = true, {2} = false"
    " WHERE id IN (SELECT id FROM chatapp.{0} ORDER BY id LIMIT 7);"
    "ALTER TABLE chatapp.{0} ENABLE TRIGGER USER"
)
FORMS = {"chatbots": ("enabled_chat", "enabled_call"), "chatbot_packages": ("enable_chat", "enable_call")}


def contrary(table: str) -> str:
    """Seven rows are written past the triggers, so that their type and flags contradict each other."""
    return CONTRARY.format(table, *FORMS[table])


def raising(table: str) -> str:
    """A trigger of the platform that refuses every UPDATE of a table."""
    return (
        f"CREATE FUNCTION chatapp.refuse() {RAISE};"
        f"CREATE TRIGGER refuse BEFORE UPDATE ON chatapp.{table} FOR EACH ROW EXECUTE FUNCTION chatapp.refuse()"
    )


def swallowing(table: str, event: str = "UPDATE") -> str:
    """A trigger of the platform that swallows every write of a kind."""
    return (
        "CREATE FUNCTION chatapp.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
        f"CREATE TRIGGER swallow BEFORE {event} ON chatapp.{table} FOR EACH ROW EXECUTE FUNCTION chatapp.swallow()"
    )


@dataclass(frozen=True)
class Refusal:
    """What is done when a statement begins, and what the error says then.

    ``site``: the function of sql/store, the check, or the part of callctl that refuses. ``cure``: what the operator
    does where the message cannot know a statement, as with a row that belongs to the platform.
    """

    site: str
    direction: Direction
    step: int
    begins: str
    hostile: str
    says: str
    cure: str = ""
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return f"{self.site}-{self.direction}-{self.step}"


def _typed() -> Iterator[Refusal]:
    for step, table in ((5, "chatbot_packages"), (6, "chatbots")):
        prove, end = "CALL callctl.prove_forms", "CALL callctl.end_sync"
        yield Refusal("prove_forms", "up", step, prove, contrary(table), "contradict each other")
        yield Refusal("prove_forms", "down", step - 3, prove, contrary(table), "contradict each other")
        for direction, number in (("up", step), ("down", step - 3)):
            way: Direction = "up" if direction == "up" else "down"
            off = f"ALTER TABLE chatapp.{table} DISABLE TRIGGER zzz_callctl_sync_2_flags"
            yield Refusal("end_sync", way, number, end, off, "was disabled, enabled or replaced")
            gone = f"ALTER TABLE chatapp.{table} DROP CONSTRAINT callctl_forms_agree"
            yield Refusal("end_sync", way, number, end, gone, "is missing or not validated")


REFUSALS = (
    *_typed(),
    Refusal("a trigger", "up", 4, "UPDATE chatapp.chatbots", raising("chatbots"), "raised in trigger refuse"),
    Refusal("not stored", "up", 4, "UPDATE chatapp.chatbots", swallowing("chatbots"), "not stored as callctl wrote"),
    Refusal("an event trigger", "up", 4, "CREATE INDEX", NO_DDL.format("CREATE INDEX"), "raised in event trigger"),
    Refusal("an event trigger", "up", 6, "CREATE OR REPLACE", NO_DDL.format("CREATE FUNCTION"), "raised in event"),
    Refusal("an event trigger", "up", 7, "CREATE INDEX", NO_DDL.format("CREATE INDEX"), "raised in event trigger"),
    *(
        Refusal("an event trigger", "up", step, "CREATE INDEX", NO_DDL.format("CREATE INDEX"), "raised in event")
        for step in (9, 10, 11)
    ),
    Refusal("a trigger", "up", 12, "WITH found", raising("companies"), "raised in trigger refuse"),
    Refusal("not stored", "up", 12, "WITH found", swallowing("companies"), "not stored as callctl wrote"),
    Refusal("not stored", "down", 12, "WITH found", swallowing("companies"), "not stored as callctl wrote"),
    Refusal("a trigger", "down", 6, "UPDATE chatapp.chatbots", raising("chatbots"), "raised in trigger refuse"),
    Refusal(
        "avatars-fit",
        "down",
        1,
        "CALL callctl.lock_table",
        f"UPDATE chatapp.users SET avatar_url = repeat('x', 501) {A_USER}",
        "check avatars-fit failed",
    ),
    Refusal(
        "prove_shadow",
        "down",
        1,
        "CALL callctl.promise_shadow",
        "ALTER TABLE chatapp.users DISABLE TRIGGER zzz_callctl_shadow_2_keep;"
        f"UPDATE chatapp.users SET avatar_url = 'y' {A_USER};"
        "ALTER TABLE chatapp.users ENABLE ALWAYS TRIGGER zzz_callctl_shadow_2_keep",
        "written a moment ago, or past the trigger",
        options=SHADOW,
    ),
    *(
        Refusal(
            "swap_shadow", "down", 1, "CALL callctl.swap_shadow", hostile, says, options=(("through_shadow", True),)
        )
        for hostile, says in (
            ("ALTER TABLE chatapp.users DROP CONSTRAINT callctl_shadow_agrees", "callctl_shadow_agrees of"),
            ("COMMENT ON COLUMN chatapp.users.avatar_url IS 'ours'", "has changed since its shadow column was added"),
        )
    ),
    Refusal(
        "put_away_row",
        "down",
        13,
        "SELECT callctl.put_away_made_rows",
        "UPDATE chatapp.chatbots SET ai_model_id = (SELECT name::uuid FROM callctl.made WHERE kind = 'row' LIMIT 1)",
        "is still used",
        cure="UPDATE chatapp.chatbots SET ai_model_id = NULL",
    ),
    Refusal(
        "put_away_row",
        "down",
        13,
        "SELECT callctl.put_away_made_rows",
        swallowing("ai_models", "DELETE"),
        "was not deleted when it was told to be",
    ),
    Refusal(
        "withhold_model",
        "up",
        13,
        "SELECT callctl.bring_back_rows",
        swallowing("ai_models"),
        "was not made inactive when it was told to be",
        options=(("defer_drops", True),),
    ),
)

# Refusals that no step can meet in its middle, or that another test leads out of.
ELSEWHERE = {
    "remember_column_type": "without the column preflight refuses the step, in the same run",
    "behind": "what PostgreSQL prints of an object begins as it always does",
    "not_at_once": "heard by callctl itself, which writes the batch again",
    "assert_not_archived": "callctl runs return.sql there; it is psql that is stopped",
    "drop_unfinished_table": "test_a_table_that_was_written_into_is_not_dropped",
    "bring_back_rows": "test_proof: test_models_whose_writes_are_swallowed_stop_the_step",
    "release_models": "test_withheld: test_a_trigger_that_has_its_own_mind_stops_the_step",
    "count_rows": "only where someone else puts the trigger on a table of another schema",
    "spare_rows": "only where someone else puts the trigger on a table of another schema",
    "models-typed": "the column is NOT NULL",
    "company-flags-back": "the statement before it writes the same rows in the same snapshot",
    "call-settings-back": "the statement before it writes the same rows in the same snapshot",
}


def test_no_refusal_is_forgotten() -> None:

    sites = set()
    function = ""
    for line in store.schema_sql().splitlines():
        if made := re.match(r"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) callctl\.(\w+)", line):
            function = made[1]
        if "RAISE EXCEPTION" in line:
            sites.add(function)
    for step in all_steps():
        ways = [
            step.script("up"),
            step.script("down"),
            *([step.script("down", shadow=True)] if step.number == 1 else []),
        ]
        sites |= {each.check.id for script in ways for each in script.statements if each.check}
    assert sites == (sites & {each.site for each in REFUSALS}) | set(ELSEWHERE)


def provoked(url: str, refusal: Refusal) -> CallctlError:
    """The error of the step when the hostile thing is done at that statement."""
    done: list[bool] = []

    def on_event(event: Event) -> None:
        if (
            isinstance(event, StatementStarted)
            and (event.step, event.direction) == (refusal.step, refusal.direction)
            and event.summary.startswith(refusal.begins)
            and not done
        ):
            done.append(True)
            with connect(url) as other:
                other.execute("SET lock_timeout = '2s'")
                other.execute(refusal.hostile.encode())

    wish: dict[str, Any] = dict(refusal.options)
    if refusal.direction == "down" and refusal.step == 1:
        wish.setdefault("through_shadow", False)
    settings = Settings(database_url=url, lock_wait_ms=3000)
    go = migrate.up if refusal.direction == "up" else migrate.down
    to = refusal.step if refusal.direction == "up" else refusal.step - 1
    with pytest.raises(CallctlError) as failed:
        go(settings, to=to, on_event=on_event, **wish)
    assert done, "that statement never began"
    assert refusal.says in failed.value.message, failed.value.message
    return failed.value


@pytest.mark.some(12)
@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_every_refusal_of_a_step_leads_out(copies: Copies, refusal: Refusal) -> None:
    deferred = dict(refusal.options).get("defer_drops")
    url = copies.of(refusal.direction, 1 if deferred else refusal.step)
    with connect(url) as db:
        error = provoked(url, refusal)
        back = [command for command in commands(error) if command.startswith("callctl migrate down")]
        if refusal.direction == "up":
            half = dict(store.started(db)).get(refusal.step)
            assert bool(back) is (half == "up"), (error.message, error.hint)
        if back and refusal.site == "an event trigger":
            # Back while what refuses is still there, where the way back needs nothing that it refuses.
            if "CREATE FUNCTION" in refusal.hostile:
                db.execute(statements(error)[0].encode())
            obey(url, back[0])
            assert store.started(db) == ()
            assert migrate.status(db, Settings(database_url=url)).applied == tuple(range(1, refusal.step))
            url = copies.of(refusal.direction, refusal.step)
            error = provoked(url, refusal)
    with connect(url) as db:
        told = [*statements(error), *re.findall(r"UPDATE [^;]* IS NOT TRUE;", error.message)[:1]]
        for statement in [*told, *([refusal.cure] if refusal.cure else [])]:
            db.execute(statement.encode())
        obey(url, commands(error)[0])
        assert store.started(db) == ()
        applied = migrate.status(db, Settings(database_url=url)).applied
        if not deferred:
            assert applied == tuple(range(1, refusal.step + 1 if refusal.direction == "up" else refusal.step))


def test_a_table_that_was_written_into_is_not_dropped(copies: Copies) -> None:
    """Half way up and with a row in the new table, the step goes forward alone, by the command that is named."""
    url = copies.of("up", 9)
    with connect(url) as db:
        guard = NO_DDL.format("CREATE INDEX")
        error = provoked(url, Refusal("", "up", 9, "CREATE INDEX", guard, "raised in event trigger"))
        db.execute(
            "INSERT INTO chatapp.integration_accounts (company_id, account_type, account_name, credentials)"
            " SELECT id, 'twilio', 'ours', '{}' FROM chatapp.companies LIMIT 1"
        )
        with pytest.raises(CallctlError) as refused:
            migrate.down(Settings(database_url=url), to=8)
        assert "holds rows that were written before step 9 was finished" in refused.value.message
        (statement,) = statements(error)
        db.execute(statement.encode())
        obey(url, commands(refused.value)[-1])
        assert db.execute("SELECT count(*) FROM chatapp.integration_accounts").fetchone() == (1,)
        obey(url, "callctl migrate down --to 8")
