"""callctl companies: all or none, every other byte kept, and a way down and up again that loses no switch."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import connect
from tests.db.conftest import Callctl

from callctl.config.settings import Settings
from callctl.database import lock
from callctl.database.actions import actions
from callctl.migration import migrate
from callctl.migration.checks.verify import verify

# It is about plain UPDATE of jsonb.
pytestmark = pytest.mark.one_server

Database = psycopg.Connection[Any]


def everything(db: Database) -> dict[str, tuple[str, str | None]]:
    """Each company by slug: the row's version, and its settings as the server prints them."""
    rows = db.execute("SELECT slug, xmin::text, settings::text FROM chatapp.companies").fetchall()
    return {slug: (version, settings) for slug, version, settings in rows}


def settings_of(db: Database) -> dict[str, str | None]:
    return {slug: settings for slug, (_, settings) in everything(db).items()}


def flags(db: Database) -> dict[str, bool | None]:
    rows = db.execute("SELECT slug, (settings #> '{features,callEnabled}')::boolean FROM chatapp.companies").fetchall()
    return dict(rows)


def live(db: Database) -> list[str]:
    rows = db.execute("SELECT slug FROM chatapp.companies WHERE deleted_at IS NULL ORDER BY slug").fetchall()
    return [slug for (slug,) in rows]


def written(db: Database, query: str, *values: object) -> int:
    return db.execute(query.encode(), values).rowcount


def test_companies_without_a_flag_get_false_and_no_other_changes(applied: str, callctl: Callctl) -> None:
    """Deleted ones too. One that is on stays on, and the way down takes away what was added."""
    settings = Settings(database_url=applied)
    with connect(applied) as db:
        on, cut, emptied, null, deleted = live(db)[:5]
        callctl(applied, "companies", "enable", on, "--yes")
        before = settings_of(db)
        written(db, "UPDATE chatapp.companies SET settings = settings #- '{features,callEnabled}' WHERE slug = %s", cut)
        written(db, "UPDATE chatapp.companies SET settings = '{}' WHERE slug = ANY (%s)", [emptied, deleted])
        written(db, "UPDATE chatapp.companies SET settings = NULL WHERE slug = %s", null)
        written(db, "UPDATE chatapp.companies SET deleted_at = now() WHERE slug = %s", deleted)
        failing = [check for check in verify(db, settings).checks if not check.passed and not check.warns]
        assert [check.id for check in failing] == ["company-flags"]
        assert "callctl companies disable --without-flag" in failing[0].mends[0]
        code, out, _ = callctl(applied, "companies", "disable", "--without-flag", "--dry-run")
        assert (code, "4 companies would be switched off" in out) == (0, True)
        code, out, _ = callctl(applied, "companies", "disable", "--without-flag", "--yes")
        assert (code, "4 companies switched off" in out) == (0, True)
        after = settings_of(db)
        for slug in (cut, emptied, null, deleted):
            assert json.loads(after[slug] or "")["features"]["callEnabled"] is False
        assert {slug for slug in before if before[slug] != after[slug]} <= {cut, emptied, null, deleted}
        assert flags(db)[on] is True
        assert verify(db, settings).passed
        code, out, _ = callctl(applied, "companies", "disable", "--without-flag", "--yes")
        assert (code, "every company has a flag" in out) == (0, True)
        # Settings that cannot take a flag are named, and then no company gets one.
        written(db, "UPDATE chatapp.companies SET settings = '[]' WHERE slug = %s", cut)
        written(db, "UPDATE chatapp.companies SET settings = '{}' WHERE slug = %s", emptied)
        code, _, err = callctl(applied, "companies", "disable", "--without-flag", "--yes")
        assert (code, "settings are not an object but array" in err, settings_of(db)[emptied]) == (3, True, "{}")
        code, _, err = callctl(applied, "companies", "disable", on, "--without-flag", "--yes")
        assert (code, "--without-flag takes no names" in err) == (2, True)


def test_one_that_is_switched_on_meanwhile_stays_on(applied: str, callctl: Callctl) -> None:
    """callctl has chosen it without a flag, and waits for its row: what is there then decides."""
    with connect(applied) as db, connect(applied) as other:
        slug = live(db)[0]
        written(db, "UPDATE chatapp.companies SET settings = '{}' WHERE slug = %s", slug)
        on = 'UPDATE chatapp.companies SET settings = \'{"features": {"callEnabled": true}}\' WHERE slug = %s'
        with other.transaction():
            written(other, on, slug)
            run = threading.Thread(target=callctl, args=(applied, "companies", "disable", "--without-flag", "--yes"))
            run.start()
            waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            for _ in range(300):
                if db.execute(waits.encode()).fetchone() is not None:
                    break
                time.sleep(0.1)
        run.join()
        assert flags(db)[slug] is True


def test_the_flag_is_set_and_nothing_else(applied: str, callctl: Callctl) -> None:
    with connect(applied) as db:
        first, second, third = live(db)[:3]
        row = db.execute("SELECT id::text FROM chatapp.companies WHERE slug = %s", (second,)).fetchone()
        assert row is not None
        before = everything(db)
        assert flags(db)[first] is flags(db)[second] is False
        code, out, _ = callctl(applied, "companies", "enable", first, row[0].upper(), first, "--yes")
        assert code == 0
        assert "2 companies switched on" in out
        after = everything(db)
        assert {slug for slug in before if before[slug] != after[slug]} == {first, second}
        for slug in (first, second):
            was, now = json.loads(before[slug][1] or ""), json.loads(after[slug][1] or "")
            assert now["features"].pop("callEnabled") is True
            assert was["features"].pop("callEnabled") is False
            assert now == was
        (action,) = actions(db)
        assert action.command == "companies enable"
        listed = sorted(action.detail["companies"], key=lambda each: str(each["slug"]))
        assert [(each["slug"], each["before"], each["after"]) for each in listed] == [
            (first, False, True),
            (second, False, True),
        ]
        # Once more: no row is written, not even one of the audit trail.
        again = callctl(applied, "companies", "enable", first, second, "--yes", "--output", "json")
        assert (again[0], json.loads(again[1])["changed"]) == (0, [])
        assert (everything(db), len(actions(db))) == (after, 1)
        # Of two, the one that has it already is left alone.
        code, out, _ = callctl(applied, "companies", "enable", second, third, "--yes", "--output", "json")
        document = json.loads(out)
        assert [each["slug"] for each in document["changed"]] == [third]
        assert [each["slug"] for each in document["unchanged"]] == [second]
        assert everything(db)[second] == after[second]
        assert callctl(applied, "companies", "disable", first, second, third, "--yes")[0] == 0
        assert settings_of(db) == {slug: settings for slug, (_, settings) in before.items()}
        assert [each.command.split()[1] for each in actions(db)] == ["disable", "enable", "enable"]


def test_the_list_counts_who_would_take_calls(applied: str, callctl: Callctl) -> None:
    with connect(applied) as db:
        columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'chatapp.chatbots'::regclass"
        gone = next(name for (name,) in db.execute(columns).fetchall() if name.startswith("deleted"))
        expected = {
            slug: (enabled, bots, bots if enabled else 0)
            for slug, enabled, bots in db.execute(
                "SELECT c.slug, c.settings #>> '{features,callEnabled}' = 'true', count(b.id)"
                " FROM chatapp.companies AS c"
                f" LEFT JOIN chatapp.chatbots AS b ON b.company_id = c.id AND b.enabled_call AND b.{gone} IS NULL"
                " WHERE c.deleted_at IS NULL GROUP BY c.id".encode()
            ).fetchall()
        }
    code, out, _ = callctl(applied, "companies", "list", "--output", "json")
    document = json.loads(out)
    found = {
        each["slug"]: (each["call_enabled"], each["call_chatbots"], each["taking_calls"])
        for each in document["companies"]
    }
    assert (code, found) == (0, expected)
    assert any(enabled and bots for enabled, bots, _ in expected.values())
    assert any(bots and not enabled for enabled, bots, _ in expected.values())
    assert document["enabled"] == sum(1 for enabled, _, _ in expected.values() if enabled)
    assert document["taking_calls"] == sum(taking for _, _, taking in expected.values())
    code, out, _ = callctl(applied, "companies", "list", "--enabled", "--output", "json")
    assert {each["slug"] for each in json.loads(out)["companies"]} == {
        slug for slug, (enabled, _, _) in expected.items() if enabled
    }
    # Those that are shown are some; the sum is of all.
    some = json.loads(out)
    assert (some["total"], some["enabled"], some["call_chatbots"]) == (
        len(expected),
        document["enabled"],
        document["call_chatbots"],
    )
    said = callctl(applied, "companies", "list", "--enabled")[1]
    assert f"{document['enabled']} of {len(expected)} companies" in said
    assert f"{document['taking_calls']} of {document['call_chatbots']} call-enabled" in callctl(
        applied, "companies", "list"
    )[1].replace("\n", " ")


def test_all_or_none_and_every_problem_is_named(applied: str, callctl: Callctl, tmp_path: Path) -> None:
    with connect(applied) as db:
        good, array, text, flag, null, twin, other = live(db)[:7]
        for slug, value in (
            (array, "[]"),
            (text, '{"features": "all"}'),
            (flag, '{"features": {"callEnabled": "yes"}}'),
            (null, '{"features": {"callEnabled": null}}'),
        ):
            assert written(db, "UPDATE chatapp.companies SET settings = %s WHERE slug = %s", value, slug) == 1
        unique = "SELECT conname FROM pg_constraint WHERE conrelid = 'chatapp.companies'::regclass AND contype = 'u'"
        for (name,) in db.execute(unique).fetchall():
            db.execute(f"ALTER TABLE chatapp.companies DROP CONSTRAINT {name}".encode())
        for (name,) in db.execute(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'chatapp.companies'::regclass"
            " AND indisunique AND NOT indisprimary"
        ).fetchall():
            db.execute(f"DROP INDEX {name}".encode())
        written(db, "UPDATE chatapp.companies SET slug = %s WHERE slug = %s", twin, other)
        gone = db.execute("SELECT slug FROM chatapp.companies WHERE deleted_at IS NOT NULL ORDER BY slug").fetchone()
        assert gone is not None
        before = everything(db)
        file = tmp_path / "pilots"
        unknown = "00000000-0000-0000-0000-000000000000"
        lines = f"\ufeff# pilots\r\n{good}\r\n\r\n  {array}  \r\n{text}\n"
        lines += f"{unknown}\n{'x' * 300}\n\x1b[31mred\na\0b\n{gone[0]}"
        file.write_bytes(lines.encode())
        arguments = ("--file", str(file), flag, null, twin, "no;drop", "\udcff")
        for command in ("enable", "disable"):
            for options in (("--yes",), ("--dry-run",), ()):
                code, out, err = callctl(applied, "companies", command, *arguments, *options)
                assert (code, out) == (3, "")
                assert "12 of 13 companies cannot be switched" in err
                assert "nothing was changed" in err
                said = [line.strip() for line in err.splitlines()]
                for expected in (
                    f"{array}: its settings are not an object but array",
                    f"{text}: its settings.features is not an object but string",
                    f"{flag}: its settings.features.callEnabled is not true or false but string",
                    f"{null}: its settings.features.callEnabled is not true or false but null",
                    f"{unknown}: no company has this id or slug",
                    f"{gone[0]}: is deleted",
                    "no;drop: no company has this id or slug",
                    "a\ufffdb: no company has this id or slug",
                    "\ufffd: no company has this id or slug",
                    "\ufffd[31mred: no company has this id or slug",
                    f"{'x' * 59}\u2026: no company has this id or slug",
                ):
                    assert expected in said
                assert any(
                    line.startswith(f"{twin}: 2 companies have this slug; name one by its id: ") for line in said
                )
                assert "callctl: hint: fix the settings" in err
        assert everything(db) == before
        assert actions(db) == ()
        # The list says which of them cannot be switched, too.
        code, out, err = callctl(applied, "companies", "list")
        assert f"{array}: its settings are not an object but array, so that its flag cannot be set" in err


def test_before_step_12_and_half_way(database: Callable[[str], str], applied: str, callctl: Callctl) -> None:
    url = database("deployed")
    for arguments in (("list",), ("enable", "company-1", "--yes"), ("disable", "company-1", "--dry-run")):
        code, out, err = callctl(url, "companies", *arguments)
        assert (code, out) == (3, "")
        assert "step 12 (company_settings), which brings the companies' flag, is not applied here" in err
        assert "run callctl migrate up first" in err
    with connect(url) as db:
        assert db.execute("SELECT to_regnamespace('callctl')").fetchone() == (None,)
    with connect(applied) as db:
        before = everything(db)
        db.execute(
            "INSERT INTO callctl.checkpoint (step, direction, sha256, statement, finished)"
            " VALUES (12, 'down', 'x', 1, true)"
        )
        code, _, err = callctl(applied, "companies", "enable", live(db)[0], "--yes")
        assert (code, everything(db)) == (3, before)
        assert "step 12, which brings the companies' flag, is partly applied (down)" in err
        assert "callctl migrate down --to 11" in err


def test_nobody_is_asked_in_a_pipe(applied_documented: str, callctl: Callctl, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(applied_documented) as db:
        before = everything(db)
        slug = live(db)[0]
        code, _, err = callctl(applied_documented, "companies", "enable", slug)
        assert code == 3
        assert "add --yes" in err
        code, out, _ = callctl(applied_documented, "companies", "enable", slug, "--dry-run")
        assert code == 0
        assert "1 company would be switched on" in out
        assert (everything(db), actions(db)) == (before, ())
        # One that was made since the migration has no flag, which is as good as off.
        db.execute("INSERT INTO chatapp.companies (name, slug) VALUES ('Later', 'later')")
        code, out, _ = callctl(applied_documented, "companies", "disable", "later", "--yes")
        assert (code, "later: off (not set) -> off, no chatbot took calls" in out) == (0, True)
        assert (settings_of(db)["later"], flags(db)["later"]) == ('{"features": {"callEnabled": false}}', False)
        # Names come through a pipe as well.
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"# one\n{slug}\n".encode())))
        assert callctl(applied_documented, "companies", "enable", "--file", "-", "--yes")[0] == 0
        assert flags(db)[slug] is True
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe")))
        code, _, err = callctl(applied_documented, "companies", "enable", "--file", "-", "--yes")
        assert (code, "stdin is not UTF-8 text" in err) == (2, True)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"# nothing\n")))
        code, _, err = callctl(applied_documented, "companies", "enable", "--file", "-", "--yes")
        assert (code, "no company given: - has no line" in err) == (2, True)


def test_down_and_up_again_lose_no_switch(baseline: str, callctl: Callctl) -> None:
    """Of every shape of settings, and of companies that were made since, with none of the shapes of a company there."""
    settings = Settings(database_url=baseline)
    with connect(baseline) as db:
        before = settings_of(db)
        assert None in before.values()  # the baseline has every shape
        migrate.up(settings)
        later = ("later-null", None), ("later-bare", "{}"), ("later-null-features", '{"x": 1.50, "features": null}')
        for slug, value in later:
            db.execute("INSERT INTO chatapp.companies (name, slug, settings) VALUES ('Later', %s, %s)", (slug, value))
        named = live(db)
        off = [slug for slug in named if flags(db)[slug]]
        assert off
        assert callctl(baseline, "companies", "enable", *named, "--yes")[0] == 0
        assert callctl(baseline, "companies", "disable", *off, "--yes")[0] == 0
        then = settings_of(db)
        assert {slug for slug in named if flags(db)[slug]} == set(named) - set(off)
        assert verify(db, settings).passed
        migrate.down(settings, to=11)
        gone = settings_of(db)
        assert {slug: gone[slug] for slug in before} == before
        assert {slug: gone[slug] for slug, _ in later} == dict(later)
        migrate.up(settings)
        assert settings_of(db) == then
        report = verify(db, settings)
        assert report.passed
        assert [check.id for check in report.checks if not check.passed and check.id == "values-superseded"] == []
        # The audit trail has been through it all.
        assert [each.command for each in actions(db)] == ["companies disable", "companies enable"]


def test_a_switch_after_down_is_not_overwritten_by_the_next_up(applied_documented: str, callctl: Callctl) -> None:
    """The newer write wins, and what was saved stays listed."""
    settings = Settings(database_url=applied_documented)
    with connect(applied_documented) as db:
        slug = next(
            slug for slug, value in settings_of(db).items() if value and "analytics" in value and slug in live(db)
        )
        assert callctl(applied_documented, "companies", "enable", slug, "--yes")[0] == 0
        migrate.down(settings, to=11)
        written(
            db,
            "UPDATE chatapp.companies SET settings = jsonb_set(settings, '{features}', '{\"callEnabled\": true}')"
            " WHERE slug = %s",
            slug,
        )
        migrate.up(settings)
        assert flags(db)[slug] is True
        assert callctl(applied_documented, "companies", "disable", slug, "--yes")[0] == 0
        migrate.down(settings, to=11)
        assert flags(db)[slug] is True  # as it stood before up
        migrate.up(settings)
        assert flags(db)[slug] is False  # as the operator left it
        assert verify(db, settings).passed


def test_a_migration_holds_it_off_and_a_rotation_does_not(applied_documented: str, callctl: Callctl) -> None:
    settings = Settings(database_url=applied_documented)
    with connect(applied_documented) as db:
        slug = live(db)[0]
        before = everything(db)
        with lock.MigrationLock(settings):
            code, _, err = callctl(applied_documented, "companies", "enable", slug, "--yes")
        assert (code, everything(db)) == (6, before)
        assert "another callctl is running on schema chatapp" in err
        with lock.MigrationLock(settings, shared=True):
            assert callctl(applied_documented, "companies", "enable", slug, "--yes")[0] == 0
        assert flags(db)[slug] is True


def test_what_the_application_does_meanwhile(applied_documented: str, callctl: Callctl) -> None:
    with connect(applied_documented) as db, connect(applied_documented) as application:
        first, second = live(db)[:2]
        before = everything(db)
        # It holds a row for longer than callctl may wait.
        with application.transaction():
            written(application, "UPDATE chatapp.companies SET plan = 'pro' WHERE slug = %s", second)
            code, _, err = callctl(
                applied_documented, "companies", "enable", first, second, "--yes", "--lock-wait", "300ms"
            )
            assert code == 5
            assert "(SQLSTATE 55P03)" in err
            assert "nothing was changed" in err
        assert flags(db)[first] is False
        assert actions(db) == ()
        # It deletes one while callctl waits for it: then none is switched.
        before = everything(db)
        held = threading.Event()

        def delete() -> None:
            with application.transaction():
                written(application, "UPDATE chatapp.companies SET deleted_at = now() WHERE slug = %s", second)
                held.set()
                time.sleep(0.5)

        worker = threading.Thread(target=delete)
        worker.start()
        held.wait()
        code, _, err = callctl(applied_documented, "companies", "enable", first, second, "--yes")
        worker.join()
        assert code == 3
        assert f"{second}: is deleted" in err
        assert everything(db)[first] == before[first]
        # A trigger of the platform's has its own way.
        db.execute(
            "CREATE FUNCTION chatapp.no() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN NEW.settings = OLD.settings; RETURN NEW; END';"
            "CREATE TRIGGER no BEFORE UPDATE ON chatapp.companies FOR EACH ROW EXECUTE FUNCTION chatapp.no()"
        )
        code, _, err = callctl(applied_documented, "companies", "enable", first, "--yes")
        assert code == 5
        assert "1 row of chatapp.companies is not stored as callctl wrote it" in err
        assert "trigger no (enabled, function chatapp.no())" in err
        assert "nothing was changed" in err
        assert (everything(db)[first], actions(db)) == (before[first], ())
