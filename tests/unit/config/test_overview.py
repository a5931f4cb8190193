"""Where each setting comes from, and all problems of a settings file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from callctl.config.overview import CheckedFile, Origin, Overview, check_file, overview
from callctl.config.settings import KEYS, load_settings
from callctl.errors import Code, ConfigError, UsageError

SECRET = "s3cret-horse"


def shown(
    directory: Path, text: str | None = None, environ: Mapping[str, str] | None = None, **options: str
) -> Overview:
    if text is not None:
        (directory / "callctl.yaml").write_text(text)
    places = {"environ": environ or {}, "directory": directory}
    return overview(options, load_settings(options, **places), **places)  # type: ignore[arg-type]


def origin(found: Overview, name: str) -> Origin:
    return next(each for each in found.settings if each.name == name)


def checked(directory: Path, text: str) -> CheckedFile:
    (directory / "callctl.yaml").write_text(text)
    return check_file(None, environ={}, directory=directory)


def test_every_key_of_the_file_is_shown(tmp_path: Path) -> None:
    found = shown(tmp_path)
    assert (found.file, found.file_source) == (None, None)
    assert tuple(each.name for each in found.settings) == KEYS
    assert {each.source for each in found.settings} == {"default"}
    assert origin(found, "lock_timeout").value == "50ms"
    assert origin(found, "environment").value is None


def test_the_option_counts_then_the_variable_then_the_file(tmp_path: Path) -> None:
    text = "schema: of_file\noutput: json\nmaintenance_notified: true\n"
    environ = {"CALLCTL_SCHEMA": "of_variable", "CALLCTL_OUTPUT": "text", "DATABASE_URL": "postgresql://h/d"}
    found = shown(tmp_path, text, environ, schema="of_option")
    path = tmp_path / "callctl.yaml"
    assert (found.file, found.file_source) == (path, "current directory")
    assert origin(found, "schema") == Origin("schema", "of_option", "--schema")
    assert origin(found, "output") == Origin("output", "text", "CALLCTL_OUTPUT")
    assert origin(found, "maintenance_notified") == Origin("maintenance_notified", "true", f"{path}:3:1")
    assert origin(found, "database") == Origin("database", "postgresql://h/d", "DATABASE_URL")


def test_libpqs_own_variables_are_named(tmp_path: Path) -> None:
    found = shown(tmp_path, environ={"PGHOST": "db.example", "PGDATABASE": "platform", "PGPASSWORD": SECRET})
    assert origin(found, "database") == Origin(
        "database", "PGHOST=db.example PGDATABASE=platform", "PGHOST, PGDATABASE"
    )


@pytest.mark.parametrize(
    "url", [f"postgresql://me:{SECRET}@h/d", f"host=h password={SECRET}", f"postgresql://h/d?password={SECRET}"]
)
def test_no_password_is_shown(tmp_path: Path, url: str) -> None:
    for found in (shown(tmp_path, f"database: {url}\n"), shown(tmp_path, environ={"CALLCTL_DATABASE_URL": url})):
        assert SECRET not in repr(found)
        assert "***" in (origin(found, "database").value or "")


def test_of_keys_only_the_places_are_shown(tmp_path: Path) -> None:
    text = f"keys: {{primary: k1, ring: [{{id: k1, env: KEY}}, {{id: k2, command: [vault, get, {SECRET}]}}]}}\n"
    found = shown(tmp_path, text, {"KEY": "0123456789abcdef" * 4})
    assert origin(found, "keys").value == "primary k1; k1 from env KEY, k2 from command vault"
    assert SECRET not in repr(found)
    text = "secrets: {fields: [{table: t, column: c, path: 'a[].b'}]}\n"
    assert origin(shown(tmp_path, text), "secrets").value == "t.c.a[].b"


def test_the_problems_of_all_keys_are_found_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = checked(
        tmp_path,
        "lock_timeout: 5\nshema: x\nkeys: {primary: k1, ring: []}\nbatch_size: many\nschema: chat\nschema: other\n"
        "accept: [{object: a, object: b}]\ndatabase: host\n",
    )
    places = [problem.message.removeprefix(f"{tmp_path}/callctl.yaml:").partition(": ") for problem in file.problems]
    assert [(place.split(":")[0], message[:24]) for place, _, message in places] == [
        ("1", "lock_timeout is not a du"),
        ("2", "unknown key 'shema'"),
        ("3", "keys.ring is not a list "),
        ("4", "batch_size is not a whol"),
        ("6", "duplicate key 'schema'"),
        ("7", "duplicate entry of accep"),
        ("8", "database is not a connec"),
    ]
    assert all(problem.hint for problem in file.problems)


@pytest.mark.parametrize(
    ("text", "code", "keys"),
    [
        ("", None, 0),
        ("schema: chat\nkeys:\n", None, 1),
        ("a: [", Code.CONFIG_SYNTAX, 0),
        ("- a\n", Code.CONFIG_SYNTAX, 0),
        ("\tschema: x\n", Code.CONFIG_SYNTAX, 0),
        ("lock_wait: !!timestamp x\n", Code.CONFIG_SYNTAX, 0),
    ],
)
def test_a_file_that_is_not_yaml_has_that_problem(tmp_path: Path, text: str, code: Code | None, keys: int) -> None:
    file = checked(tmp_path, text)
    assert [problem.code for problem in file.problems] == ([code] if code else [])
    assert len(file.keys) == keys


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no settings file"):
        check_file(None, environ={}, directory=tmp_path)
    with pytest.raises(UsageError, match="no such file"):
        check_file("other.yaml", environ={}, directory=tmp_path)
    (tmp_path / "callctl.yaml").write_bytes(b"schema: \xff\n")
    with pytest.raises(ConfigError, match="it is not UTF-8"):
        check_file(None, environ={}, directory=tmp_path)


def test_a_problem_does_not_repeat_a_password(tmp_path: Path) -> None:
    for value in (f"mysql://me:{SECRET}@h/d", f"postgresql://me:{SECRET}@@h/d", f"host={SECRET} x"):
        (problem,) = checked(tmp_path, f"database: {value}\n").problems
        assert SECRET not in f"{problem.message} {problem.hint}"
