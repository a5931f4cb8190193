"""callctl settings: one schema for step 12, verify and the command; defaults only for who has none, and back again."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from tests.conftest import connect
from tests.db.conftest import Callctl
from tests.support.db.migrated import Migrated, State, connection_to

from callctl.config.settings import Settings
from callctl.database import lock
from callctl.database.actions import actions
from callctl.files import read_sql
from callctl.migration import migrate
from callctl.migration.checks.verify import verify
from callctl.statements.script import load_script
from callctl.tenants.call_settings import Field, load_schema, parse

# It is about plain UPDATE of jsonb.
pytestmark = pytest.mark.one_server

Database = psycopg.Connection[Any]


def rows(db: Database) -> dict[str, tuple[str, str | None]]:
    """Each chatbot: the row's version, and its settings as the server prints them."""
    found = db.execute("SELECT id::text, xmin::text, settings::text FROM chatapp.chatbots").fetchall()
    return {id: (version, settings) for id, version, settings in found}


def call_bots(db: Database) -> list[str]:
    return [
        id for (id,) in db.execute("SELECT id::text FROM chatapp.chatbots WHERE enabled_call ORDER BY id").fetchall()
    ]


def put(db: Database, id: str, settings: str | None) -> None:
    assert db.execute("UPDATE chatapp.chatbots SET settings = %s WHERE id = %s", (settings, id)).rowcount == 1


def may_be_null(db: Database) -> bool:
    of_settings = "attrelid = 'chatapp.chatbots'::regclass AND attname = 'settings'"
    return db.execute(f"SELECT attnotnull FROM pg_attribute WHERE {of_settings}".encode()).fetchone() == (False,)


# ---- one truth -------------------------------------------------------------------------------------------


def test_the_defaults_are_those_of_step_12(migrated: Migrated) -> None:
    with connection_to(migrated.url(State("documented"))) as db:
        made = db.execute("SELECT callctl.default_call_settings()::text").fetchone()
    assert made is not None
    # Digit by digit: 1.0 is not 1.
    assert _flat(parse(made[0])) == _flat(load_schema().defaults())
    assert list(load_schema().problems(load_schema().defaults())) == []


def _flat(call: dict[str, Any], above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in call.items():
        found |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": repr(value)}
    return found


def test_verify_names_the_same_fields_and_no_others() -> None:
    text = read_sql("verify/call_settings_range.sql")
    for field in load_schema().fields:
        assert text.count(f"{{call,{','.join(field.path)}}}") > 0, field.name
        assert text.count(f"('{field.name}', '{{{','.join(field.path)}}}'") == 1, field.name
    assert text.count("', '{") == len(load_schema().fields)


def probes(field: Field) -> list[str]:
    """JSON at and around every limit of a field, and of every other type."""
    values = ["null", "true", "0", "1", '""', '"x"', "[]", "{}", '"true"', "30.5", "30.0", "1e400", "-1e400"]
    for edge in (field.low, field.high):
        if edge is not None:
            values += [str(edge), str(edge - Decimal("0.01")), str(edge + Decimal("0.01")), f'"{edge}"']
            values += [str(edge - 1), str(edge + 1)]
    if field.longest is not None:
        values += [json.dumps("ä" * field.longest), json.dumps("\N{GRINNING FACE}" * (field.longest + 1))]
    values += [f'"{each}"' for each in field.one_of] + [f'"{each.upper()}"' for each in field.one_of]
    if field.pattern is not None:
        values += [
            '"#22C55E"',
            '"#22c55e"',
            '"#22C55"',
            '"#22C55E0"',
            '"22C55E"',
            '"#GGGGGG"',
            '"#22C55E\\n"',
            '" #22C55E"',
        ]
    if field.path == ("voiceId",):
        values += [f'"{voice}"' for voices in load_schema().voices.values() for voice in voices]
    return values


@pytest.mark.parametrize("field", load_schema().fields, ids=lambda field: field.name)
def test_verify_and_the_schema_say_the_same_of_every_value(migrated: Migrated, field: Field) -> None:
    """Around each limit, in each type, and of the field alone beside the defaults and beside nothing."""
    checks = ("call_settings_range", "call_settings_voice", "call_settings_voice_known")
    (in_range,), (named,), (known,) = (load_script(f"verify/{name}.sql").statements for name in checks)
    with connection_to(migrated.url(State("documented"))) as db:
        id = call_bots(db)[0]
        for probe in probes(field):
            for beside in ("callctl.default_call_settings()", '\'{"voiceProvider": "openai"}\'', "'{}'"):
                # The path's containers first: jsonb_set makes none.
                made = (
                    f"({beside}::jsonb || '{{\"voiceSettings\": {{}}}}')" if len(field.path) > 1 else f"{beside}::jsonb"
                )
                row = db.execute(
                    f"UPDATE chatapp.chatbots SET settings = jsonb_set('{{}}', '{{call}}',"
                    f" jsonb_set({made}, %s, %s::jsonb)) WHERE id = %s RETURNING (settings -> 'call')::text".encode(),
                    (list(field.path), probe, id),
                ).fetchone()
                assert row is not None
                problems = list(load_schema().problems(parse(row[0])))
                asked = [
                    id in {str(found[0]) for found in db.execute(each.sql.encode()).fetchall()}
                    for each in (in_range, named, known)
                ]
                missing = any("is missing, and" in each.reason for each in problems)
                voice = any("voices:" in each.reason for each in problems)
                wrong = any("is missing" not in each.reason and "voices:" not in each.reason for each in problems)
                if json.loads(row[0]) != {}:
                    assert asked == [wrong, missing, voice], (row[0], problems)
                assert all(len(each.reason) < 120 for each in problems)


def test_every_keyword_of_the_schema_is_read() -> None:
    document = json.loads(read_sql("call-settings.schema.json"))
    assert document.keys() == {"$schema", "title", "description", "type", "required", "properties", "allOf"}
    assert load_schema().unlisted == ("google", "elevenlabs")
    assert load_schema().voices == {"openai": ("alloy", "echo", "fable", "onyx", "nova", "shimmer")}


# ---- check -----------------------------------------------------------------------------------------------


def test_check_says_which_field_of_which_chatbot_is_wrong(applied: str, callctl: Callctl) -> None:
    code, out, err = callctl(applied, "settings", "check")
    assert (code, len(err.splitlines())) == (0, 1)  # the target
    assert "are as they should be" in out
    with connect(applied) as db:
        bots = call_bots(db)
        missing, empty, null, ranges, array, voice, google, eleven = bots[:8]
        put(db, missing, "{}")
        put(db, empty, '{"call": {}, "x": 1}')
        put(db, null, '{"call": null}')
        put(
            db,
            ranges,
            '{"call": {"voiceId": "sk-canary", "voiceProvider": "sk-canary", "silenceTimeout": 29,'
            ' "callButtonColor": "sk-canary", "callGreeting": 7, "voiceSettings": {"speed": 2.01}}}',
        )
        put(db, array, '{"call": ["sk-canary"]}')
        put(db, voice, '{"call": {"voiceId": "sk-canary", "voiceProvider": "openai"}}')
        put(db, google, '{"call": {"voiceId": "en-US-Wavenet-A", "voiceProvider": "google"}}')
        put(db, eleven, '{"call": {"voiceProvider": "elevenlabs"}}')
        before = rows(db)
        code, out, err = callctl(applied, "settings", "check", "--output", "json")
        document = json.loads(out)
        assert code == 3
        found = sorted((bots.index(each["chatbot_id"]), each["path"]) for each in document["offences"])
        assert found == [
            (0, "call"),
            (1, "call"),
            (2, "call"),
            (3, "callButtonColor"),
            (3, "callGreeting"),
            (3, "silenceTimeout"),
            (3, "voiceProvider"),
            (3, "voiceSettings.speed"),
            (4, "call"),
            (5, "voiceId"),
            (7, "voiceId"),
        ]
        assert (document["chatbots"], document["missing"]) == (len(bots), 3)
        assert [(each["provider"], each["chatbots"]) for each in document["unlisted"]] == [
            ("google", 1),
            ("elevenlabs", 1),
        ]
        code, text, err = callctl(applied, "settings", "check")
        assert code == 3
        assert "silenceTimeout" in text
        assert "is 29, not from 30 to 300" in text
        assert f"7 of {len(bots)} call-enabled chatbots with call settings that are wrong" in text
        assert "1 chatbot with a voice of google, whose voices callctl has no list of: not checked" in err
        assert "callctl settings init gives the defaults to 3 that have none" in err
        assert "sk-canary" not in out + text + err  # what stands in a setting may be anybody's mistake
        assert rows(db) == before
        put(db, missing, "[]")
        code, out, _ = callctl(applied, "settings", "check", "--output", "json")
        (odd,) = (each for each in json.loads(out)["offences"] if each["chatbot_id"] == missing)
        assert (odd["path"], odd["reason"]) == ("settings", "is not an object but array")


# ---- init ------------------------------------------------------------------------------------------------

SHAPES = (None, "{}", '{"call": null}', '{"call": {}, "deep": [1.50, "é", null]}', '{"x": 1.0}')


def test_init_gives_the_defaults_to_who_has_none(applied: str, callctl: Callctl) -> None:
    with connect(applied) as db:
        shapes = SHAPES if may_be_null(db) else SHAPES[1:]
        bots = call_bots(db)[: len(shapes)]
        for id, shape in zip(bots, shapes, strict=True):
            put(db, id, shape)
        assert not verify(db, Settings()).passed
        before = rows(db)
        code, out, err = callctl(applied, "settings", "init")
        assert (code, out) == (3, "")
        assert "add --yes" in err
        code, out, _ = callctl(applied, "settings", "init", "--dry-run")
        assert code == 0
        assert f"{len(bots)} chatbots" in out
        assert all(id in out for id in bots)
        assert (rows(db), actions(db)) == (before, ())
        code, out, _ = callctl(applied, "settings", "init", "--yes", "--batch-size", "2", "--output", "json")
        assert (code, json.loads(out)["chatbots"]) == (0, bots)
        after = rows(db)
        assert {id for id in after if after[id] != before[id]} == set(bots)
        for id, shape in zip(bots, shapes, strict=True):
            was = parse(shape or "{}")
            now = parse(after[id][1] or "")
            assert now.pop("call") == load_schema().defaults()
            was.pop("call", None)
            assert now == was
        # A row of the audit trail a batch, in its transaction.
        assert [each.detail["chatbots"] for each in reversed(actions(db, "settings init"))] == [
            bots[start : start + 2] for start in range(0, len(bots), 2)
        ]
        assert verify(db, Settings()).passed
        code, out, _ = callctl(applied, "settings", "init", "--yes")
        assert (code, rows(db)) == (0, after)
        assert "nothing to do" in out
        assert len(actions(db)) == -(-len(bots) // 2)
        # A way back and up again loses none of it.
        settings = Settings(database_url=applied)
        migrate.down(settings, to=11)
        assert rows(db) != after
        migrate.up(settings)
        assert {id: settings for id, (_, settings) in rows(db).items()} == {
            id: settings for id, (_, settings) in after.items()
        }
        assert verify(db, settings).passed


@pytest.mark.applied
def test_init_of_chatbots_made_since_up_goes_back_to_what_they_were(baseline: str, callctl: Callctl) -> None:
    settings = Settings(database_url=baseline)
    with connect(baseline) as db:
        shapes = {f"Later {number}": shape for number, shape in enumerate(SHAPES)}
        if not may_be_null(db):
            del shapes["Later 0"]
        for name, shape in shapes.items():
            db.execute(
                "INSERT INTO chatapp.chatbots (company_id, name, settings, enabled_call)"
                " SELECT id, %s, %s, true FROM chatapp.companies ORDER BY id LIMIT 1",
                (name, shape),
            )
        later = "SELECT name, settings::text FROM chatapp.chatbots WHERE name LIKE 'Later %'"
        before = dict(db.execute(later).fetchall())
        assert callctl(baseline, "settings", "init", "--yes")[0] == 0
        then = dict(db.execute(later).fetchall())
        assert all(parse(text)["call"] == load_schema().defaults() for text in then.values())
        migrate.down(settings, to=11)
        assert dict(db.execute(later).fetchall()) == before
        migrate.up(settings)
        assert dict(db.execute(later).fetchall()) == then
        assert verify(db, settings).passed


def test_init_refuses_what_cannot_hold_them(applied: str, callctl: Callctl) -> None:
    with connect(applied) as db:
        good, array, text = call_bots(db)[:3]
        put(db, good, "{}")
        put(db, array, '["sk-canary"]')
        put(db, text, '"sk-canary"')
        before = rows(db)
        for options in (("--yes",), ("--dry-run",)):
            code, out, err = callctl(applied, "settings", "init", *options)
            assert (code, out) == (3, "")
            assert "the settings of 2 chatbots cannot hold call settings; nothing was changed" in err
            assert f"  {array}: settings is not an object but array" in err
            assert f"  {text}: settings is not an object but string" in err
            assert "change the settings of these chatbots to an object" in err
            assert "sk-canary" not in err
        assert (rows(db), actions(db)) == (before, ())


def test_before_step_12(deployed: str, callctl: Callctl) -> None:
    for arguments in (("check",), ("init", "--yes"), ("init", "--dry-run")):
        code, out, err = callctl(deployed, "settings", *arguments)
        assert (code, out) == (3, "")
        assert "step 12 (company_settings), which brings the chatbots' call settings, is not applied here" in err
        assert "run callctl migrate up first" in err


def test_a_batch_that_fails_leaves_those_before_it(applied_documented: str, callctl: Callctl) -> None:
    settings = Settings(database_url=applied_documented)
    with connect(applied_documented) as db:
        first, second = call_bots(db)[:2]
        put(db, first, "{}")
        put(db, second, "{}")
        with lock.MigrationLock(settings):
            assert callctl(applied_documented, "settings", "init", "--yes")[0] == 6
        db.execute(
            "CREATE FUNCTION chatapp.no() RETURNS trigger LANGUAGE plpgsql AS"
            f" 'BEGIN IF NEW.id = ''{second}'' THEN NEW.settings = OLD.settings; END IF; RETURN NEW; END';"
            "CREATE TRIGGER no BEFORE UPDATE ON chatapp.chatbots FOR EACH ROW EXECUTE FUNCTION chatapp.no()".encode()
        )
        before = rows(db)
        code, _, err = callctl(applied_documented, "settings", "init", "--yes", "--batch-size", "1")
        assert code == 5
        assert "1 row of chatapp.chatbots is not stored as callctl wrote it" in err
        assert "1 of 2 chatbots have the defaults" in err
        assert {id for id in before if before[id] != rows(db)[id]} == {first}
        assert [each.detail["chatbots"] for each in actions(db)] == [[first]]
        db.execute("DROP TRIGGER no ON chatapp.chatbots")
        assert callctl(applied_documented, "settings", "init", "--yes")[0] == 0
        assert [each.detail["chatbots"] for each in actions(db)] == [[second], [first]]
