"""A whole rehearsal: what holds, what does not, and that no value of the target is anywhere in it."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import connect
from tests.support import processes
from tests.support.db import snapshot
from tests.support.steps import ALL

from callctl.config.settings import Settings
from callctl.errors import Code, Interrupted
from callctl.events import Event, RehearsalProgress
from callctl.rehearsal.rehearse import Options, Rehearsal, rehearsed
from callctl.rehearsal.stages import Stage
from callctl.render import rehearsal as render
from callctl.sandbox.lifecycle import connect as connect_own

CANARY = "canary7361"
STAGES = [
    "schema", "rows", "preflight", "up to step 4", "both applications", "up", "verify", "new application", "down",
    "identity", "up again", "locks",
]  # fmt: skip


def rehearse(url: str, rows: int = 120, **options: bool) -> tuple[Rehearsal, list[Event]]:
    events: list[Event] = []
    with rehearsed(Settings(database_url=url), Options(rows, **options)) as play:
        return play(events.append), events


def by_name(rehearsal: Rehearsal) -> dict[str, Stage]:
    return {stage.name: stage for stage in rehearsal.stages}


def plant(url: str) -> None:
    """Put the canary into every value that may hold any text, as a key and as a value of JSON, and into pg_stats."""
    with connect(url) as db:
        columns = db.execute(
            "SELECT table_name, column_name, udt_name, coalesce(character_maximum_length, 200)"
            " FROM information_schema.columns"
            " WHERE table_schema = 'chatapp' AND udt_name IN ('text', 'varchar', 'jsonb')"
        ).fetchall()
        db.execute("SET session_replication_role = replica")
        for table, column, kind, longest in columns:
            value = f"left('{CANARY}' || id, {longest})"
            if kind == "jsonb":
                value = f"{column} || jsonb_build_object('{CANARY}', 1, 'x', '{CANARY}')"
            condition = f" WHERE jsonb_typeof({column}) = 'object'" if kind == "jsonb" else ""
            db.execute(f"UPDATE chatapp.{table} SET {column} = {value}{condition}".encode())
        db.execute("ANALYZE")


def found(url: str) -> list[str]:
    """The tables with the canary in a row, and pg_stats if it has it."""
    with connect_own(url) as db:
        tables = db.execute(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n"
            " ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_toast|pg_temp|information)'"
        ).fetchall()
        return [
            name
            for (name,) in tables
            if db.execute(
                f"SELECT EXISTS (SELECT FROM {name} AS t WHERE t::text LIKE '%{CANARY}%')".encode()
            ).fetchall()[0][0]
        ]


@pytest.mark.some(1)
def test_both_baselines_hold_and_no_value_of_the_target_is_in_it(baseline: str) -> None:
    plant(baseline)
    assert {"chatapp.chatbots", "chatapp.companies", "chatapp.messages", "pg_catalog.pg_statistic"} <= set(
        found(baseline)
    )
    with connect(baseline) as db:
        before = snapshot.take(db)
    events: list[Event] = []
    with rehearsed(Settings(database_url=baseline), Options(120, truncate_avatars=True)) as play:
        result = play(events.append)
        assert found(result.url) == []
    assert [stage.name for stage in result.stages] == STAGES
    assert [(stage.name, stage.what) for stage in result.stages if stage.result != "held"] == []
    assert result.held
    with connect(baseline) as db:
        snapshot.assert_same(before, snapshot.take(db))
    # Nothing that is printed has it, either.
    texts = [render.page(result, None, "callctl"), str(render.document(result)), str(events), str(result)]
    assert not any(CANARY in text for text in texts)
    steps = [(step.direction, step.number) for step in result.steps]
    assert steps == [*(("up", n) for n in ALL), *(("down", n) for n in reversed(ALL))]
    assert any(step.rows for step in result.steps if step.number == 12)
    assert all(step.bytes > 0 for step in result.steps if step.number == 6 and step.direction == "up")
    told = [event for event in events if isinstance(event, RehearsalProgress)]
    assert list(dict.fromkeys(event.stage for event in told)) == STAGES
    assert {(lock.direction, lock.table) for lock in result.locks if lock.told} >= {
        ("up", "chatbots"), ("up", "users"), ("down", "chatbots"), ("down", "calls"),
    }  # fmt: skip


@pytest.mark.one_server
def test_the_drops_can_be_deferred(documented: str) -> None:
    result, _ = rehearse(documented, defer_drops=True)
    assert result.held
    assert {5, 6}.isdisjoint({step.number for step in result.steps})


@pytest.mark.one_server
def test_it_runs_as_the_role_of_the_target(documented: str) -> None:
    """The owner of the tables, who is no superuser: preflight blocks without CREATE on the database."""
    url = documented.replace("user=postgres", "user=shift_owner")
    with connect(documented) as db:
        db.execute("DROP ROLE IF EXISTS shift_owner; CREATE ROLE shift_owner LOGIN")
        db.execute("ALTER SCHEMA chatapp OWNER TO shift_owner")
        tables = db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'chatapp'").fetchall()
        for (table,) in tables:
            db.execute(f"ALTER TABLE chatapp.{table} OWNER TO shift_owner".encode())
        db.execute("ALTER FUNCTION chatapp.update_updated_at_column() OWNER TO shift_owner")
    try:
        without, _ = rehearse(url)
        with connect(documented) as db:
            db.execute(f"GRANT CREATE ON DATABASE {db.info.dbname} TO shift_owner".encode())
        with_it, _ = rehearse(url)
    finally:
        with connect(documented) as db:
            db.execute("REASSIGN OWNED BY shift_owner TO postgres; DROP OWNED BY shift_owner; DROP ROLE shift_owner")
    assert by_name(without)["preflight"].result == "did not hold"
    assert [(stage.name, stage.what) for stage in with_it.stages if stage.result != "held"] == []


@pytest.mark.one_server
def test_a_trigger_of_the_platform_that_refuses_does_not_hold(documented: str) -> None:
    with connect(documented) as db:
        db.execute(
            "CREATE FUNCTION chatapp.no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no'; END$$"
        )
        db.execute("CREATE TRIGGER no BEFORE UPDATE ON chatapp.chatbots FOR EACH ROW EXECUTE FUNCTION chatapp.no()")
    result, _ = rehearse(documented)
    assert not result.held
    stages = by_name(result)
    assert stages["up to step 4"].result == "did not hold"
    assert "step 4" in stages["up to step 4"].what
    assert [step.number for step in result.steps] == [1, 2, 3]
    assert {stages[name].result for name in STAGES[4:]} == {"not rehearsed"}
    assert stages["down"].what == "up to step 4 did not hold"


@pytest.mark.one_server
def test_a_trigger_that_changes_what_the_application_writes_does_not_hold(documented: str) -> None:
    """It writes the type after callctl's trigger: the other form does not follow."""
    with connect(documented) as db:
        db.execute(
            "CREATE FUNCTION chatapp.odd() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN IF NEW.chatbottype = 'call' THEN NEW.chatbottype := 'chat'; END IF; RETURN NEW; END$$"
        )
        db.execute("CREATE TRIGGER zz BEFORE INSERT ON chatapp.chatbots FOR EACH ROW EXECUTE FUNCTION chatapp.odd()")
    result, _ = rehearse(documented)
    stages = by_name(result)
    assert stages["preflight"].result == "held"
    assert stages["both applications"].result == "did not hold"
    assert stages["both applications"].what == "chatbots: INSERT of type call: the other form did not follow"


@pytest.mark.one_server
def test_a_blocker_of_preflight_does_not_hold(documented: str) -> None:
    with connect(documented) as db:
        db.execute("CREATE VIEW chatapp.kinds AS SELECT chatbottype FROM chatapp.chatbots")
        db.execute("CREATE TABLE chatapp.calls (id integer)")
    result, _ = rehearse(documented)
    preflight = by_name(result)["preflight"]
    assert preflight.result == "did not hold"
    assert any("chatapp.calls" in line for line in preflight.details), preflight
    assert preflight.hint


@pytest.mark.one_server
def test_the_locks_stage_notices_a_lock_that_was_not_told(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callctl.rehearsal.stages.told_by", lambda outlook: {})
    result, _ = rehearse(documented)
    locks = by_name(result)["locks"]
    assert locks.result == "did not hold"
    assert any(line.endswith("ACCESS EXCLUSIVE seen, none told") for line in locks.details)


@pytest.mark.one_server
def test_the_address_of_the_target_does_not_lead_the_rehearsal_there(
    documented: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What libpq takes from the environment is the target's; afterwards it is there again."""
    with connect(documented) as db:
        info, dbname = db.info, db.info.dbname
        for name, value in (("PGHOST", info.host), ("PGPORT", str(info.port)), ("PGDATABASE", dbname)):
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PGUSER", info.user)
        monkeypatch.setenv("PGOPTIONS", "-c search_path=nowhere")
        before = snapshot.take(db)
    with rehearsed(Settings(), Options(50)) as play:
        assert "PGHOST" not in os.environ
        assert play(lambda event: None).held
    assert os.environ["PGDATABASE"] == dbname
    with connect(documented) as db:
        snapshot.assert_same(before, snapshot.take(db))


# ---- the command ---------------------------------------------------------------------------------------


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for temporary files with a path that is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as name:
        Path(name).chmod(0o777)
        yield Path(name)


def servers(place: Path) -> list[str]:
    """The command lines of servers on a data directory below ``place``."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(place) in line and "postgres" in line:
            lines.append(line)
    return lines


@pytest.mark.one_server
def test_the_command_prints_writes_and_leaves_nothing(documented: str, place: Path, tmp_path: Path) -> None:
    page = tmp_path / "rehearsal.html"
    arguments = ["migrate", "rehearse", "--rows", "60", "--report", str(page)]
    code, out, err = processes.run(documented, *arguments, TMPDIR=str(place))
    assert code == 0, out + err
    lines = out.splitlines()
    assert [line.partition(":")[0] for line in lines if line.startswith("held ")] == [
        f"held          {s}" for s in STAGES
    ]
    assert "rehearsal held: 12 held; " in out
    assert "stage 4 of 12: up to step 4" in err
    text = page.read_text()
    assert "rehearsal held" in text
    assert "<script" not in text
    assert list(place.iterdir()) == []
    assert servers(place) == []


@pytest.mark.one_server
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_one_that_is_ended(sent: signal.Signals, documented: str, place: Path) -> None:
    process = processes.start(documented, "migrate", "rehearse", "--rows", "60", TMPDIR=str(place))
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("stage 4 of 12"):
            break
    assert servers(place)
    process.send_signal(sent)
    code, out, err = processes.finish(process)
    assert code == (-signal.SIGKILL if sent == signal.SIGKILL else 130)
    processes.until(lambda: not servers(place) and not list(place.iterdir()), "the end of the server")
    if sent != signal.SIGKILL:
        assert "the target was only read" in err
        assert out == ""


@pytest.mark.one_server
def test_a_kept_server_lives_until_the_interrupt(documented: str, place: Path) -> None:
    process = processes.start(documented, "migrate", "rehearse", "--rows", "30", "--keep", TMPDIR=str(place))
    assert process.stderr is not None
    url = ""
    for line in process.stderr:
        if line.startswith("the rehearsal's server is kept: "):
            url = line.split(": ", 1)[1].strip()
            break
    with connect_own(url) as db:
        assert db.execute("SELECT count(*) > 0 FROM chatapp.chatbots").fetchall() == [(True,)]
    process.send_signal(signal.SIGINT)
    code, _, _ = processes.finish(process)
    assert code == 0
    processes.until(lambda: not servers(place) and not list(place.iterdir()), "the end of the server")


@pytest.mark.one_server
def test_in_json_it_is_one_document(documented: str) -> None:
    with connect(documented) as db:
        db.execute("CREATE TABLE chatapp.calls (id integer)")
    code, out, _ = processes.run(documented, "migrate", "rehearse", "--rows", "30", "--output", "json")
    document = json.loads(out)
    assert code == 3
    assert document["held"] is False
    assert {stage["result"] for stage in document["stages"]} == {"held", "did not hold", "not rehearsed"}


@pytest.mark.one_server
def test_an_interrupt_between_the_stages_is_told(documented: str) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, RehearsalProgress) and event.stage == "verify":
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as interrupted, rehearsed(Settings(database_url=documented), Options(30)) as play:
        play(interrupt)
    assert interrupted.value.code is Code.INTERRUPTED
    assert interrupted.value.state.database == "unchanged"
