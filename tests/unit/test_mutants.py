"""The mutation tool: what it changes, what it leaves alone, what it takes for a kill."""

from __future__ import annotations

import ast
import itertools
import json
from pathlib import Path

import pytest
from tests.conftest import SEED, THOROUGH
from tests.support.mutants import __main__ as mutants
from tests.support.mutants.areas import AREAS, ROOT, TEXTS, Area
from tests.support.mutants.changes import Change
from tests.support.mutants.python_mutants import python_mutants
from tests.support.mutants.reasons import reasons
from tests.support.mutants.sql_mutants import sql_mutants


def python(text: str) -> set[str]:
    return {change.applied(text) for change in python_mutants(text)}


def sql(text: str) -> set[str]:
    return {" ".join(change.applied(text).split()) for change in sql_mutants(text)}


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("y = a < b", {"y = a <= b"}),
        ("y = a is not b", {"y = a is b"}),
        ("y = a and b", {"y = a or b", "y = True and b", "y = a and True"}),
        ("y = not a", {"y = (a)"}),
        ("lock()", {"pass"}),
        ("raise ValueError(1 < 2)", {"pass"}),
        ("if a:\n    b = c", {"if True:\n    b = c", "if False:\n    b = c"}),
        ("with a:\n    b = c", {"if True:\n    b = c"}),
        ("y = [a for a in b if c]", {"y = [a for a in b if True]"}),
        ("y = f(3)", {"y = f(4)"}),
        ("é = 'é', 3 - n", {"é = 'é', 3 + n", "é = 'é', 4 - n"}),
    ],
)
def test_python_is_changed(text: str, becomes: set[str]) -> None:
    assert python(text) == becomes


@pytest.mark.parametrize(
    "text",
    [
        '"a text"',
        "on_event(Notice(3))",
        "y = f'{a + 1} of {b}'",
        "y = 'one' if a else 'many'",
        "def f(a: Literal[1]) -> tuple[int, ...]: ...",
    ],
)
def test_texts_events_and_types_of_python_are_left_alone(text: str) -> None:
    assert python(text) == set()


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("SELECT a WHERE b", {"", "SELECT a WHERE true"}),
        (
            "DELETE FROM t WHERE a AND b;",
            {"", "DELETE FROM t WHERE true AND b;", "DELETE FROM t WHERE a AND true;", "DELETE FROM t WHERE a OR b;"},
        ),
        ("SELECT a FOR UPDATE SKIP LOCKED;", {"", "SELECT a ;", "SELECT a FOR UPDATE ;"}),
        ("SELECT a IS NOT NULL;", {"", "SELECT a IS NULL;"}),
        ("UPDATE t SET a = b;", {""}),
        ("SELECT a BETWEEN 1 AND b;", {"", "SELECT a BETWEEN 2 AND b;"}),
        ("ALTER TABLE t ENABLE ALWAYS TRIGGER g;", {"", "ALTER TABLE t ENABLE TRIGGER g;"}),
        ("SELECT a IN ('b');", {"", "SELECT a IN ('xb');"}),
        (
            "CREATE FUNCTION f() AS $$ BEGIN IF a THEN DELETE FROM t; END IF; END $$;",
            {
                f"CREATE FUNCTION f() AS $$ BEGIN IF {condition} THEN {delete}END IF; END $$;"
                for condition, delete in (("true", "DELETE FROM t; "), ("false", "DELETE FROM t; "), ("a", ""))
            },
        ),
    ],
)
def test_sql_is_changed(text: str, becomes: set[str]) -> None:
    assert sql(text) - {text} == becomes - ({""} if not text.endswith(";") else set())


@pytest.mark.parametrize(
    "text",
    ["-- WHERE a = 1", "COMMENT ON TABLE t IS 'a = 1 AND b';", "/* a = 1 */", "RAISE EXCEPTION 'not %', 1;"],
)
def test_comments_of_sql_are_left_alone(text: str) -> None:
    assert sql(text) == set()


def test_a_python_mutant_compiles() -> None:
    for file in sorted({file for area in AREAS for file in area.sources() if file.endswith(".py")}):
        text = (ROOT / file).read_text(encoding="utf-8")
        changes = python_mutants(text)
        for change in changes if THOROUGH else changes[SEED % 16 :: 16]:
            ast.parse(change.applied(text))


def test_a_change_is_shown_by_its_lines() -> None:
    text = "a\nb = 1\nc\n"
    change = Change(6, 7, "2", "constant")
    assert change.line(text) == 2
    assert change.shown(text) == ("b = 1", "b = 2")


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.name)
def test_an_area_names_files_and_tests_that_are_there(area: Area) -> None:
    """A file that was renamed would be left out silently; a test that was renamed would fail for every mutant."""
    assert mutants.mutants_of(area)
    for pattern in area.files:
        assert list(ROOT.glob(pattern)), pattern
    for test in area.tests:
        assert (ROOT / test).exists(), test
    assert len(set(area.tests)) == len(area.tests)


def test_the_tests_of_a_check_come_first() -> None:
    verify = next(area for area in AREAS if area.by_check)
    near, whole = verify.rounds("sql/verify/inheritance.sql")
    assert near == (verify.tests[0], "-k", f"inheritance or {verify.by_check}")
    assert whole == verify.tests
    assert f"def test_verify_has_nothing_to_say_of_{verify.by_check}(" in (ROOT / verify.tests[0]).read_text()


def test_a_kill_is_not_by_a_text() -> None:
    for area, text in itertools.product(AREAS, TEXTS):
        assert (ROOT / text).exists(), text
        assert not any(text == test or text.startswith(f"{test}/") for test in area.tests), (area.name, text)


def test_a_sample_comes_again_and_is_spread_over_the_areas() -> None:
    first = mutants.sample(7, 2 * len(AREAS))
    assert mutants.sample(7, 2 * len(AREAS)) == first
    assert mutants.sample(8, 2 * len(AREAS)) != first
    assert [each.area.name for each in first] == [area.name for area in AREAS] * 2
    assert {each.file for each in mutants.sample(0, 30, "database/lock.py")} == {"src/callctl/database/lock.py"}


def small(directory: Path) -> tuple[mutants.Tree, mutants.Mutant]:
    """A tree with one module and one test, and a mutant of it."""
    (directory / "one.py").write_text("def small(n):\n    return n < 3\n", encoding="utf-8")
    test = "from one import small\n\n\ndef test_it():\n    assert not small(3)\n"
    (directory / "test_one.py").write_text(test, encoding="utf-8")
    (directory / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    change = next(each for each in python_mutants((directory / "one.py").read_text()) if each.kind == "comparison")
    return mutants.Tree(directory), mutants.Mutant(Area("small", ("one.py",), ("test_one.py",)), "one.py", change)


def test_a_test_that_fails_for_the_change_alone_kills_it(tmp_path: Path) -> None:
    tree, mutant = small(tmp_path)
    outcome = mutants.Trial([tree], patience=300).of(mutant)
    assert (outcome.word, outcome.test) == ("killed", "test_one.py::test_it")
    assert (tmp_path / "one.py").read_text() == "def small(n):\n    return n < 3\n"


def test_a_tree_that_is_stopped_runs_nothing(tmp_path: Path) -> None:
    tree, mutant = small(tmp_path)
    tree.stop()
    assert mutants.Trial([tree], patience=300).of(mutant).test == "stopped"


@pytest.mark.parametrize(
    ("with_it", "without", "word"),
    [
        ("failed", "passed", "killed"),
        ("failed", "failed", "unclear"),
        ("passed", "passed", "survived"),
        ("hung", "passed", "killed"),
        ("hung", "hung", "unclear"),
    ],
)
def test_an_outcome_is_told_with_and_without_the_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_it: str, without: str, word: str
) -> None:
    tree, mutant = small(tmp_path)
    answers = [with_it, without]
    monkeypatch.setattr(tree, "run", lambda tests, patience: (answers.pop(0), "test_one.py::test_it"))
    assert mutants.Trial([tree], patience=1).of(mutant).word == word


def test_a_reason_is_of_a_line_that_is_there() -> None:
    """Else it excuses nothing, and can go."""
    for each in reasons():
        assert set(each) == {"file", "was", "becomes", "reason"}
        text = (ROOT / each["file"]).read_text(encoding="utf-8")
        changes = sql_mutants(text) if each["file"].endswith(".sql") else python_mutants(text)
        assert (each["was"], each["becomes"]) in {change.shown(text) for change in changes}, each


def test_the_kept_results_leave_nothing_without_a_reason() -> None:
    file = ROOT / "benchmarks" / "results" / "mutants.json"
    known = {(each["file"], each["was"], each["becomes"]) for each in reasons()}
    for each in json.loads(file.read_text(encoding="utf-8"))["mutants"]:
        assert each["outcome"] == "killed" or (each["file"], each["was"], each["becomes"]) in known, each
