"""What is read off the text of a trigger: that it keeps its row, that it may swallow it, or that neither is known."""

# ruff: noqa: E501 - each function's body is one line.

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.support.db.migrated import Migrated, State, connection_to

from callctl.config.settings import Settings
from callctl.migration.checks import verify
from callctl.migration.checks.verify import examine

FULL = State("documented")
ALL = "INSERT OR UPDATE OR DELETE"
SWALLOWS, UNKNOWN, KEEPS = ("writes-kept", "additions-swallow"), ("writes-unknown",) * 2, (None, None)


@dataclass(frozen=True)
class Hook:
    """The body of a function, when it fires, the checks that name it on chatbots and on calls, and what they quote."""

    body: str
    checks: tuple[str | None, str | None]
    because: str | None = None
    events: str = "INSERT OR UPDATE"
    when: str = "BEFORE {} ON {} FOR EACH ROW"


def by_op(expression: str) -> str:
    """A function for triggers of several operations."""
    return f"BEGIN RETURN {expression}; END"


HOOKS = {
    # Known to keep the row.
    "new": Hook("BEGIN NEW.updated_at = now(); IF NEW = OLD THEN NULL; END IF; RETURN NEW; END", KEEPS),
    "line_comment": Hook("BEGIN -- must never return null here\n RETURN NEW; END", KEEPS),
    "block_comment": Hook("BEGIN /* return null; ** / * 'x */ RETURN NEW; /**/ END", KEEPS),
    "string": Hook("BEGIN RAISE NOTICE 'it''s -- return null; /*'; RAISE NOTICE E'\\' return null;'; RETURN NEW; END", KEEPS),
    "dollars": Hook("BEGIN RAISE NOTICE $a$ return null; $a$; RETURN NEW; END", KEEPS),
    "quoted": Hook('DECLARE "it\'s return null;" int; "return" int; BEGIN RETURN NEW; END', KEEPS),
    "raises": Hook("BEGIN RAISE EXCEPTION 'no'; END", KEEPS),
    "parentheses": Hook("BEGIN RETURN ( ( New ) ) ; END", KEEPS),
    "alias": Hook("DECLARE n ALIAS FOR NEW; BEGIN RETURN n; END", KEEPS),
    "into_field": Hook("BEGIN SELECT 1 INTO NEW.id; RETURN NEW; END", KEEPS),
    "coalesce": Hook(by_op("coalesce(NEW, OLD)"), KEEPS, events=ALL),
    "case_of": Hook(by_op("CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END"), KEEPS, events=ALL),
    "case_when": Hook(by_op("(CASE WHEN TG_OP IN ('INSERT', 'UPDATE') THEN NEW WHEN TG_OP = 'DELETE' THEN OLD ELSE OLD END)"), KEEPS, events=ALL),
    "mixed": Hook("BEGIN IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END", KEEPS, events=ALL),
    "delete_old": Hook("BEGIN RETURN OLD; END", KEEPS, events="DELETE"),
    "after": Hook("BEGIN DELETE FROM chatapp.messages; RETURN NULL; END", KEEPS, when="AFTER {} ON {} FOR EACH ROW"),
    "statement": Hook("BEGIN RETURN NULL; END", KEEPS, when="BEFORE {} ON {} FOR EACH STATEMENT"),
    # It may swallow the row.
    "null": Hook("BEGIN IF NEW.id IS NULL THEN RETURN NULL; END IF; RETURN NEW; END", SWALLOWS, "RETURN NULL"),
    "null_in": Hook(by_op("( NULL )"), SWALLOWS, "RETURN NULL"),
    "null_as": Hook(by_op("null::record"), SWALLOWS, "RETURN null::record"),
    "case_null": Hook(by_op("CASE WHEN true THEN NULL ELSE NEW END"), SWALLOWS, "RETURN case when true then null else new end"),
    "no_update": Hook(by_op("OLD"), SWALLOWS, "RETURN OLD"),
    "old_first": Hook(by_op("coalesce( OLD , NEW )"), SWALLOWS, "RETURN coalesce(old,new)", events=ALL),
    "new_is_null": Hook("BEGIN NEW := NULL; RETURN NEW; END", SWALLOWS, "NEW := NULL"),
    "delete_new": Hook(by_op("NEW"), ("deletes-kept", "additions-swallow"), "RETURN NEW", events="DELETE"),
    # Not known.
    "variable": Hook("DECLARE r record; BEGIN IF false THEN r := NEW; END IF; RETURN r; END", UNKNOWN, "RETURN r"),
    "function": Hook(by_op("jsonb_populate_record(NEW, '{}') IS NOT NULL"), UNKNOWN, "RETURN jsonb_populate_record"),
    "other_case": Hook(by_op("CASE WHEN NEW.id IS NULL THEN NEW ELSE NEW END"), UNKNOWN, "RETURN case when new.id is null"),
    "no_else": Hook(by_op("CASE TG_OP WHEN 'INSERT' THEN NEW END"), UNKNOWN, "RETURN case tg_op"),
    "shared": Hook("BEGIN IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END", UNKNOWN, "RETURN OLD"),
    "new_is_old": Hook("BEGIN NEW := OLD; RETURN NEW; END", UNKNOWN, "NEW := OLD", events="UPDATE"),
    "new_is_else": Hook("BEGIN NEW = jsonb_populate_record(NEW, '{}'); RETURN NEW; END", UNKNOWN, "NEW := jsonb_populate_record"),
    "into": Hook("BEGIN SELECT NEW.* INTO STRICT NEW; RETURN NEW; END", UNKNOWN, "INTO NEW"),
    "loop": Hook("BEGIN FOR NEW IN SELECT NEW.* LOOP NULL; END LOOP; RETURN NEW; END", UNKNOWN, "FOR NEW IN"),
    "nested": Hook("BEGIN /* a /* b */ c */ RETURN NEW; END", UNKNOWN, "quotes or comments"),
    "quoted_new": Hook('BEGIN RETURN "new"; END', UNKNOWN, "RETURN"),
    "takes_back": Hook("BEGIN DELETE FROM ONLY chatapp.\"{table}\" WHERE id = NEW.id; RETURN NULL; END", UNKNOWN, "DELETE FROM ",
                       when="AFTER {} ON {} FOR EACH ROW"),
    "takes_back_all": Hook("BEGIN EXECUTE 'delete from {table}'; RETURN NULL; END", UNKNOWN, "DELETE FROM ",
                           when="AFTER {} ON {} FOR EACH STATEMENT"),
}  # fmt: skip


@pytest.mark.parametrize(("number", "table"), [(0, "chatbots"), (1, "calls")])
def test_what_the_text_says(migrated: Migrated, monkeypatch: pytest.MonkeyPatch, number: int, table: str) -> None:
    monkeypatch.setattr(verify, "SAMPLE", 1000)
    with connection_to(migrated.url(FULL)) as db:
        for name, hook in HOOKS.items():
            body = hook.body.replace("{table}", table).replace("'", "''")
            db.execute(
                f"SET LOCAL standard_conforming_strings = on; SET LOCAL check_function_bodies = off;"
                f"CREATE FUNCTION chatapp.h_{name}() RETURNS trigger LANGUAGE plpgsql AS '{body}';"
                f"CREATE TRIGGER h_{name} {hook.when.format(hook.events, f'chatapp.{table}')} EXECUTE FUNCTION chatapp.h_{name}()".encode()
            )  # fmt: skip
        report = examine(db, Settings(), fast=True)
    results = {
        row[1].removeprefix("trigger h_").partition(" ")[0]: (check.id, row[4])
        for check in report.checks
        for row in check.sample
        if check.columns[0] == "problem" and check.id != "additions" and row[1].startswith("trigger h_")
    }
    assert {name: results.get(name, (None,))[0] for name in HOOKS} == {
        n: hook.checks[number] for n, hook in HOOKS.items()
    }
    for name, hook in HOOKS.items():
        if hook.because is not None:
            assert results[name][1].startswith(hook.because), name
            assert results[name][1].endswith(f" in chatapp.h_{name}()"), name


@pytest.mark.parametrize("function", ["suppress_redundant_updates_trigger()", "tsvector_update_trigger('x', 'y', 'z')"])
def test_the_servers_own_functions_keep_it(migrated: Migrated, function: str) -> None:
    with connection_to(migrated.url(FULL)) as db:
        db.execute(
            f"CREATE TRIGGER own BEFORE UPDATE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION {function}".encode()
        )
        assert [check for check in examine(db, Settings(), fast=True).checks if not check.passed] == []


def test_another_language_is_not_known(migrated: Migrated) -> None:
    """Its text is none that is read here. A function in C needs no other language on the server."""
    with connection_to(migrated.url(FULL)) as db:
        library = "$libdir/plpgsql"
        db.execute(
            f"CREATE FUNCTION chatapp.odd() RETURNS trigger LANGUAGE c AS '{library}', 'plpgsql_validator'".encode()
        )
        db.execute("CREATE TRIGGER odd BEFORE UPDATE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION chatapp.odd()")
        report = examine(db, Settings(), fast=True)
    assert report.passed
    (failing,) = (check for check in report.checks if not check.passed)
    assert (failing.id, failing.sample[0][4]) == ("writes-unknown", "language c in chatapp.odd()")


def test_the_platforms_function_for_updated_at_may_be_written_in_other_words(migrated: Migrated) -> None:
    """The steps' triggers run it: the contract has it that they keep the row, and the text does not say so."""
    with connection_to(migrated.url(FULL)) as db:
        db.execute(
            "CREATE OR REPLACE FUNCTION chatapp.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS"
            " 'DECLARE r record; BEGIN NEW.updated_at := now(); r := NEW; RETURN r; END'"
        )
        report = examine(db, Settings(), fast=True)
    assert report.passed
    assert {check.id for check in report.checks if not check.passed} == {"writes-unknown"}
