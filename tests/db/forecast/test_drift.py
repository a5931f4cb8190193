"""callctl diff: every change of the catalog is drift, and where a fix is called safe, running it ends the drift."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import psycopg
import pytest
from tests.conftest import SEED, THOROUGH, MakeDatabase, connect
from tests.db.conftest import Callctl
from tests.support.db.migrated import Migrated, State, connection_to
from tests.support.db.mutations import Mutation, broken_objects

from callctl.config.settings import Settings
from callctl.forecast.drift import DriftReport, diff
from callctl.migration import migrate
from callctl.migration.checks.verify import verify
from callctl.migration.steps.numbered import all_steps

MUTATED = 120 if THOROUGH else 16
PLATFORM, STORE = "chatapp", "callctl"


def drift_of(url: str) -> DriftReport:
    with connect(url) as db:
        return diff(db, Settings(database_url=url))


def rows_of(url: str) -> dict[str, int]:
    query = """SELECT format('%I.%I', n.nspname, c.relname)
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind = 'r' AND n.nspname IN ('chatapp', 'callctl')"""
    with connect(url) as db:
        tables = [name for (name,) in db.execute(query).fetchall()]
        return {table: db.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()[0][0] for table in tables}


def mutations(migrated: Migrated) -> list[Mutation]:
    state = State("documented")
    with connection_to(migrated.url(state)) as db:
        platform = list(broken_objects(db, migrated.before(state)))
        store = list(broken_objects(db, frozenset(), STORE))
    # What is written into the catalog past the server's own statements, these may not be able to change back.
    by_ddl = [[mutation for mutation in of if "UPDATE pg_" not in mutation.sql] for of in (platform, store)]
    random = Random(SEED)
    return [*random.sample(by_ddl[0], MUTATED * 3 // 4), *random.sample(by_ddl[1], MUTATED // 4)]


@pytest.mark.one_server
@pytest.mark.applied(len(all_steps()))
def test_a_safe_fix_ends_the_drift_and_keeps_every_row(migrated: Migrated, database: MakeDatabase) -> None:
    wrong: list[str] = []
    fixed = 0
    for mutation in mutations(migrated):
        url = database("documented")
        with connect(url) as db:
            db.execute(mutation.sql.encode())
        report = drift_of(url)
        if not report.drift:
            wrong.append(f"{mutation.id}: no drift")
        if not report.drift or not all(drift.safe for drift in report.drift):
            continue
        fixed += 1
        before = rows_of(url)
        for statement in (statement for drift in report.drift for statement in drift.fix):
            try:
                with connect(url) as db:
                    db.execute(statement.encode())
            except psycopg.Error as error:
                wrong.append(f"{mutation.id}: {statement}: {error}")
        if left := drift_of(url).drift:
            wrong.append(f"{mutation.id}: left: {left}")
        with connect(url) as db:
            failing = [
                check for check in verify(db, Settings(database_url=url)).checks if not check.passed and not check.warns
            ]
        if failing:
            wrong.append(f"{mutation.id}: verify: {failing[0].id} {failing[0].sample} {failing[0].error}")
        if rows_of(url) != before:
            wrong.append(f"{mutation.id}: rows were lost")
    assert wrong == []
    assert fixed >= MUTATED // 8, "hardly any fix is called safe"


ADDITIONS = {
    "CREATE INDEX calls_duration ON chatapp.calls (duration)": "index chatapp.calls_duration",
    "ALTER TABLE chatapp.calls ADD COLUMN note text": "column chatapp.calls.note",
    "CREATE POLICY mine ON chatapp.calls USING (true)": "policy mine on chatapp.calls",
    "ALTER TABLE chatapp.calls ADD CONSTRAINT long CHECK (duration < 100000)": "constraint long on chatapp.calls",
}


@pytest.mark.one_server
@pytest.mark.applied(len(all_steps()))
def test_additions_are_no_damage_and_can_be_accepted(documented: str, callctl: Callctl, tmp_path: Path) -> None:
    with connect(documented) as db:
        for statement in ADDITIONS:
            db.execute(statement.encode())
    code, out, _ = callctl(documented, "diff", "--output", "json")
    found = json.loads(out)["drift"]
    assert (code, {entry["object"] for entry in found}) == (3, set(ADDITIONS.values())), out
    assert {entry["kind"] for entry in found} == {"added"}
    assert not any(entry["safe"] for entry in found)
    accepted = [{"object": entry["object"], "difference": entry["difference"], "reason": "ours"} for entry in found]
    config = tmp_path / "callctl.yaml"
    config.write_text(json.dumps({"accept": accepted}), encoding="utf-8")
    code, out, error = callctl(documented, "diff", "--config", str(config))
    assert code == 0, out + error
    assert out.startswith("no drift")
    for statement in (statement for entry in found for statement in entry["fix"]):
        with connect(documented) as db:
            db.execute(statement)
    assert callctl(documented, "diff")[0] == 0


@pytest.mark.one_server
@pytest.mark.applied(len(all_steps()))
def test_text_junit_and_github_say_the_same(documented: str, callctl: Callctl, tmp_path: Path) -> None:
    with connect(documented) as db:
        db.execute("ALTER TABLE chatapp.calls ALTER COLUMN status DROP DEFAULT")
        db.execute("ALTER TABLE chatapp.calls ALTER COLUMN duration TYPE bigint")
    file = tmp_path / "diff.xml"
    code, text, _ = callctl(documented, "diff", "--junit", str(file))
    assert code == 3
    assert "safe: ALTER TABLE chatapp.calls ALTER COLUMN status SET DEFAULT" in text
    assert "look: ALTER TABLE chatapp.calls ALTER COLUMN duration TYPE integer;" in text
    assert "not safe: it rewrites chatapp.calls while reads and writes of it wait" in text
    assert "2 differences, 1 with a safe fix" in " ".join(text.split())
    assert ElementTree.parse(file).getroot().get("failures") == "2"
    code, annotations, _ = callctl(documented, "diff", "--github")
    assert (code, annotations.count("::error ")) == (3, 2)
    assert callctl(documented, "diff", "--github", "--output", "json")[0] == 2


def test_before_up_only_what_the_steps_read_is_looked_for(baseline: str) -> None:
    report = drift_of(baseline)
    assert (report.objects, report.applied, report.drift) == (0, (), ())
    assert report.pending == tuple(step.number for step in all_steps())
    with connect(baseline) as db:
        db.execute("ALTER TABLE chatapp.users DROP COLUMN avatar_url CASCADE")
    (drift,) = drift_of(baseline).drift
    assert (drift.kind, drift.object, drift.fix, drift.safe) == ("missing", "chatapp.users.avatar_url", (), False)


def states() -> Iterator[tuple[str, int]]:
    yield from (("up", 4), ("up", 8), ("up", 13), ("down", 6), ("down", 0))


def test_callctls_own_way_is_no_drift(baseline: str) -> None:
    settings = Settings(database_url=baseline)
    for direction, to in states():
        if direction == "up":
            migrate.up(settings, to=to)
        else:
            migrate.down(settings, to=to)
        assert drift_of(baseline).drift == (), (direction, to)
