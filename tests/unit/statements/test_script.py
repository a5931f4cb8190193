"""The SQL file format, as docs/reference/sql-format.md has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callctl.errors import ConfigError
from callctl.files import sql_names, sql_root, step_directories
from callctl.migration.steps.numbered import ARCHIVED, DROPS, SHADOWED, all_steps, parts
from callctl.statements.script import Check, Script, Statement, load_script, parse_script


def script(text: str) -> Script:
    return parse_script(text, "some.sql")


def only(text: str) -> Statement:
    (statement,) = script(text).statements
    return statement


def test_statements_keep_their_bytes_and_places() -> None:
    text = "SELECT  1 ;\n\n  UPDATE x -- why; not\n SET y = ';' /* ; /* ; */ */, z = $a$;$$;$a$;\nDO $$ ; $$"
    found = script(text).statements
    assert [statement.sql for statement in found] == [
        "SELECT  1",
        "UPDATE x -- why; not\n SET y = ';' /* ; /* ; */ */, z = $a$;$$;$a$",
        "DO $$ ; $$",
    ]
    assert [(statement.number, statement.line) for statement in found] == [(1, 1), (2, 3), (3, 5)]
    assert found[1].place == "some.sql:3"


@given(
    st.lists(
        st.sampled_from(
            (
                "SELECT 1",
                "SELECT ';'",
                "SELECT $$;$$",
                'SELECT ";"',
                "SELECT E'\\';'",
                "SELECT /* ; */ 1",
                "SELECT '''';",
            )
        )
    ),
    st.sampled_from((";", ";\n", " ;\n\n", ";;", "; -- next;\n", ";/* a;b */")),
)
def test_every_statement_is_found_once(statements: list[str], between: str) -> None:
    expected = [statement.rstrip(";") for statement in statements]
    assert [statement.sql for statement in script(between.join(statements)).statements] == expected


def test_a_semicolon_inside_a_body_ends_nothing() -> None:
    function = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END"
    rule = "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)"
    assert [each.sql for each in script(f"{function};\n{rule};SELECT 3;").statements] == [
        function,
        rule,
        "SELECT 3",
    ]


def test_the_header_is_what_stands_above_the_first_blank_line() -> None:
    parsed = script("-- finding: x\n-- why: it waits,\n--   and waits\n-- prose here\n\n-- not: this\nSELECT 1")
    assert parsed.header == {"finding": "x", "why": "it waits, and waits"}
    assert parsed.statements[0].comment == "not: this"
    assert script("\n-- a: b\nSELECT 1").header == {}
    assert len(parsed.sha256) == 64


def test_directives_and_checks() -> None:
    text = (
        "-- Makes it.\n-- callctl: generated, no-transaction\nSELECT 1;\n"
        "-- callctl: batched\nUPDATE x SET y = 1;\n"
        "-- check: a.b: all is well\nSELECT 2;\n-- check (warns): c: or nearly\nSELECT 3;"
    )
    one, two, three, four = script(text).statements
    assert one.directives == {"generated", "no-transaction"}
    assert one.comment == "Makes it."
    assert two.directives == {"batched"}
    assert three.check == Check("a.b", "all is well", warns=False)
    assert four.check == Check("c", "or nearly", warns=True)
    assert four.summary == "check c"


def test_a_comment_after_a_statement_is_not_the_next_ones() -> None:
    assert script("SELECT 1; -- one\nSELECT 2").statements[1].comment == ""
    assert script("SELECT 1;\n-- two\nSELECT 2").statements[1].comment == "two"
    assert script("SELECT 1;\n-- nobody's\n\nSELECT 2").statements[1].comment == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-- callctl: batchd\nSELECT 1", "some.sql:2: unknown directive 'batchd'"),
        ("-- callctl: batched, generated\nSELECT 1", "'batched' does not go with generated"),
        ("-- callctl: batched\n\nSELECT 1", "some.sql:1: 'callctl: batched' is not directly above"),
        ("SELECT 1; -- callctl: batched\nSELECT 2", "is not directly above"),
        ("SELECT -- callctl: batched\n 1", "is not directly above"),
        ("SELECT 1;\n-- callctl: batched\n", "some.sql:2: 'callctl: batched' is not directly above"),
        ("-- check: a: b\n\nSELECT 1", "is not directly above"),
        ("-- check: a\nSELECT 1", "is not a check"),
        ("-- check: a: b\n-- check: c: d\nSELECT 1", "has 2 checks"),
        ("SELECT 'a", "some.sql: cannot be read as SQL"),
    ],
)
def test_what_is_wrong_with_a_file(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        script(text)
    assert why in wrong.value.message


@pytest.mark.parametrize(
    ("text", "kind", "opaque"),
    [
        ("SELECT 1", "select", False),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "select", False),
        ("SELECT 1 UNION SELECT 2", "select", False),
        ("WITH a AS (SELECT 1) UPDATE x SET y = 1 FROM a", "update", False),
        ("INSERT INTO x OVERRIDING SYSTEM VALUE VALUES (1)", "insert", False),
        ("ALTER TABLE a ADD COLUMN b int", "alter table", False),
        ("ALTER TABLE a VALIDATE CONSTRAINT b", "alter table", True),
        ("CREATE UNIQUE INDEX CONCURRENTLY a ON b (c)", "create index", False),
        ("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ $$", "create function", True),
        ("CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f()", "create trigger", False),
        ("DROP TABLE a", "drop table", False),
        ("COMMENT ON COLUMN a.b IS 'c'", "comment column", False),
        ("DO $$ BEGIN END $$", "do", True),
        ("LOCK TABLE a IN SHARE MODE", "lock", True),
        ("SET search_path = a", "set", False),
        ("THIS IS (not SQL", "unknown", True),
    ],
)
def test_kinds(text: str, kind: str, opaque: bool, capfd: pytest.CaptureFixture[str]) -> None:
    statement = only(text)
    assert (statement.kind, statement.opaque) == (kind, opaque)
    assert capfd.readouterr() == ("", "")


def test_a_summary_is_one_short_line() -> None:
    assert only("SELECT\n  1").summary == "SELECT 1"
    assert len(only("SELECT " + "1, " * 100 + "1").summary) == 72
    assert only("-- Looks around.\n-- Twice.\nDO $$ BEGIN END $$").summary == "Looks around."


def test_the_files_of_the_steps_are_readable() -> None:
    assert [step.number for step in all_steps()] == [*range(1, len(step_directories()) + 1)]
    for step in all_steps():
        for direction in ("up", "down"):
            names = parts(step.directory, direction)
            assert f"{step.directory}/{direction}.sql" in names
            script = step.script(direction)
            assert [statement.number for statement in script.statements] == [*range(1, len(script.statements) + 1)]
            assert {statement.source for statement in script.statements} <= set(names)
            # What ends there is the transaction of the step's checks: a commit would promise something else.
            assert not any("commit" in last.directives for last in script.statements[-1:])
        there = {path.name for path in (sql_root() / step.directory).iterdir()}
        taken = {Path(name).name for way in ("up", "down") for name in parts(step.directory, way)}
        if step.number in ARCHIVED:
            returning = step.script("up", returning=True)
            assert not any("commit" in last.directives for last in returning.statements[-1:])
            taken.add("return.sql")
        if step.number in (*DROPS, *ARCHIVED):
            taken.add("undo.sql")
        if step.number == SHADOWED:
            taken.add("down_shadow.sql")
        assert there == {*taken, "verify.sql"}
    assert all(name.startswith("verify/") for name in sql_names("verify"))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match="cannot read steps/none"):
        load_script("steps/none/up.sql")
