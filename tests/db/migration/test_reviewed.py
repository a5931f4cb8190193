"""A plan on file is run as it was reviewed, or refused by name: the catalog counts, ordinary writes do not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import SEED, THOROUGH, MakeDatabase, connect
from tests.db.conftest import Callctl
from tests.support.db.migrated import Migrated, State, connection_to
from tests.support.db.mutations import broken_objects

from callctl.config.settings import Settings
from callctl.errors import Refused
from callctl.migration import migrate, reviewed
from callctl.migration.planning import Wish
from callctl.statements.naming import read_naming

ONE_IN = 1 if THOROUGH else 12

WRITES = """
  INSERT INTO chatapp.users (email) SELECT 'n' || random() || i || '@example.com' FROM generate_series(1, 50) AS i;
  UPDATE chatapp.users SET avatar_url = 'https://example.com/' || id WHERE email LIKE 'n%';
  UPDATE chatapp.companies SET settings = settings || '{"theme": "dark"}';
  DELETE FROM chatapp.users WHERE email LIKE 'n1%@example.com';
  ANALYZE;
"""


def planned(url: str, wish: Wish) -> reviewed.ReviewedPlan:
    with connect(url) as db:
        return reviewed.make(db, Settings(database_url=url), wish)


@pytest.mark.parametrize("baseline", ["documented", "deployed"])
def test_a_plan_survives_ordinary_writes_both_ways(
    database: MakeDatabase, callctl: Callctl, tmp_path: Path, baseline: str
) -> None:
    url = database(baseline)
    for direction in ("up", "down"):
        file = tmp_path / f"{direction}.json"
        way = ["--down"] if direction == "down" else []
        assert callctl(url, "migrate", "plan", *way, "--out", str(file))[0] == 0
        with connect(url) as db:
            db.execute(WRITES)
            db.execute("VACUUM chatapp.users")
        code, _, said = callctl(url, "migrate", direction, "--plan", str(file), "--yes")
        assert code == 0, said
    with connect(url) as db:
        assert migrate.status(db, Settings(database_url=url)).applied == ()


CHANGES = {
    "ALTER TABLE chatapp.users ADD COLUMN nickname text": "column nickname of chatapp.users is new",
    "ALTER TABLE chatapp.companies ALTER COLUMN settings SET DEFAULT '{}'":
    "column settings of chatapp.companies: default",
    "ALTER TABLE chatapp.users RENAME COLUMN full_name TO name": "column full_name of chatapp.users is gone",
    "ALTER TABLE chatapp.chatbots RENAME COLUMN chatbottype TO chatbot_type":
    "column chatbots.chatbotType is called chatbot_type (was chatbotType)",
    "CREATE INDEX ON chatapp.users (full_name)": "index users_full_name_idx of chatapp.users is new",
    "ALTER TABLE chatapp.users ENABLE ROW LEVEL SECURITY": "table chatapp.users: row security is on (was off)",
    """CREATE FUNCTION chatapp.shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.role := ''x''; RETURN NEW; END';
       CREATE TRIGGER shout BEFORE INSERT ON chatapp.users FOR EACH ROW EXECUTE FUNCTION chatapp.shout()""":
    "trigger shout of chatapp.users is new",
    """CREATE OR REPLACE FUNCTION chatapp.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql
       AS 'BEGIN NEW.updated_at = clock_timestamp(); RETURN NEW; END'""":
    "function update_updated_at_column() of chatapp: body is",
    "CREATE RULE quiet AS ON DELETE TO chatapp.companies DO INSTEAD NOTHING": "rule quiet of chatapp.companies is new",
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_catalog_is_named(documented: str, change: str) -> None:
    plan = planned(documented, Wish("up"))
    with connect(documented) as db:
        db.execute(change)
    with pytest.raises(Refused) as refused:
        migrate.take(Settings(database_url=documented), plan.wish, reviewed=plan)
    assert refused.value.code == "CALLCTL-PLAN-OUTDATED"
    assert CHANGES[change] in str(refused.value)
    with connect(documented) as db:
        assert migrate.status(db, Settings(database_url=documented)).applied == ()


@pytest.mark.one_server
def test_each_mutation_of_what_the_steps_leave_is_named(migrated: Migrated) -> None:
    state = State("documented")
    with connection_to(migrated.url(state)) as db:
        naming = read_naming(db, "chatapp")
        before = reviewed.catalog_of(db, naming)
        assert not list(reviewed.catalog_differences(before, reviewed.catalog_of(db, naming)))
        missed = []
        for mutation in list(broken_objects(db, migrated.before(state)))[SEED % ONE_IN :: ONE_IN]:
            with db.transaction(force_rollback=True):
                db.execute(mutation.sql.encode())
                said = "; ".join(reviewed.catalog_differences(before, reviewed.catalog_of(db, naming)))
            if mutation.object.partition("(")[0] not in said:
                missed.append(f"{mutation.id}: {said}")
    assert missed == []


def test_other_steps_files_and_settings_are_named(documented: str) -> None:
    settings = Settings(database_url=documented)
    plan = planned(documented, Wish("up"))
    edited = dataclasses.replace(plan.steps[2], sha256="0" * 64)
    others: dict[str, dict[str, Any]] = {
        "the statements of step 3 (chatbot_capabilities) are different": {
            "steps": (*plan.steps[:2], edited, *plan.steps[3:])
        },
        "the plan is for database elsewhere, and this is ": {"database": "elsewhere"},
        "new_tables_row_security is inherit (was off)": {"new_tables_row_security": "off"},
    }
    for said, changed in others.items():
        with pytest.raises(Refused, match=said.replace("(", r"\(").replace(")", r"\)")):
            migrate.take(settings, plan.wish, reviewed=dataclasses.replace(plan, **changed))
    migrate.up(settings, to=1)
    with pytest.raises(Refused, match=r"the steps to take are 2, 3, .* \(were 1, 2, 3,") as refused:
        migrate.take(settings, plan.wish, reviewed=plan)
    assert "to resume a run that stopped: callctl migrate up" in str(refused.value.hint)


def test_what_blocks_is_in_the_plan_and_stops_its_run(documented: str) -> None:
    with connect(documented) as db:
        db.execute("CREATE TABLE chatapp.calls (id integer)")
    plan = planned(documented, Wish("up"))
    assert any("calls" in blocker for blocker in plan.blockers), plan.blockers
    with pytest.raises(Refused, match="preflight found blockers"):
        migrate.take(Settings(database_url=documented), plan.wish, reviewed=plan)


def test_the_file_holds_no_row_and_reads_back(documented: str, tmp_path: Path) -> None:
    with connect(documented) as db:
        db.execute("UPDATE chatapp.users SET full_name = 'a-name-of-a-person'")
    plan = planned(documented, Wish("up", 4, defer_drops=True))
    text = reviewed.write(plan)
    assert "a-name-of-a-person" not in text
    file = tmp_path / "plan.json"
    file.write_text(text, encoding="utf-8")
    assert reviewed.read(file) == plan
    assert json.loads(text)["to"] == 4


@pytest.mark.one_server
def test_options_that_say_otherwise_are_refused(documented: str, callctl: Callctl, tmp_path: Path) -> None:
    up, down = tmp_path / "up.json", tmp_path / "down.json"
    up.write_text(reviewed.write(planned(documented, Wish("up"))), encoding="utf-8")
    down.write_text(reviewed.write(planned(documented, Wish("down"))), encoding="utf-8")
    for words, said in (
        (("up", "--plan", str(up), "--to", "3"), "--plan says what to do, and so does --to"),
        (("up", "--plan", str(up), "--defer-drops"), "and so does --defer-drops"),
        (("up", "--plan", str(up), "--atomic"), "and so does --atomic"),
        (("down", "--plan", str(down), "--all"), "and so does --all"),
        (("up", "--plan", str(down)), f"{down} is a plan for migrate down"),
        (("plan", "--truncate-avatars"), "--truncate-avatars applies to migrate down only"),
    ):
        code, _, error = callctl(documented, "migrate", *words)
        assert (code, said in error) == (2, True), error
    code, _, error = callctl(documented, "migrate", "plan", "--out", str(up))
    assert (code, f"{up} already exists; nothing was written" in error) == (3, True), error


def test_a_dry_run_compares_too(documented: str, callctl: Callctl, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    assert callctl(documented, "migrate", "plan", "--to", "2", "--out", str(file))[0] == 0
    assert callctl(documented, "migrate", "up", "--plan", str(file), "--dry-run")[0] == 0
    with connect(documented) as db:
        db.execute("ALTER TABLE chatapp.users ADD COLUMN nickname text")
    code, _, error = callctl(documented, "migrate", "up", "--plan", str(file), "--dry-run")
    assert (code, "CALLCTL-PLAN-OUTDATED" in error) == (3, True), error
