"""Where a setting comes from, what it accepts, and what is said when it does not."""

from __future__ import annotations

import contextlib
import cProfile
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.support.settings_schema import problems

from callctl.config.file import yaml_document
from callctl.config.sections import SECTIONS, Accepted, KeyConfig, KeyEntry, SecretField
from callctl.config.settings import SETTINGS, Settings, load_settings
from callctl.errors import CallctlError, ConfigError, UsageError

REFERENCE_PAGE = (Path(__file__).parents[3] / "docs/reference/configuration.md").read_text(encoding="utf-8")

# A value of each setting, as text, and what it becomes.
EXAMPLES: dict[str, tuple[str, object]] = {
    "database": ("postgresql://migrator@db/platform", "postgresql://migrator@db/platform"),
    "schema": ("chat app", "chat app"),
    "environment": ("staging", "staging"),
    "output": ("json", "json"),
    "lock_timeout": ("200ms", 200),
    "lock_hold": ("1s", 1000),
    "lock_wait": ("1h", 3_600_000),
    "statement_timeout": ("1.5s", 1500),
    "batch_size": ("100000", 100_000),
    "batch_time": ("20ms", 20),
    "batch_workers": ("16", 16),
    "max_replication_lag": ("30s", 30_000),
    "max_waiting_clients": ("25", 25),
    "brake_command": ("check-queue --most 100", "check-queue --most 100"),
    "pause_file": ("/run/pause", "/run/pause"),
    "backup_taken_at": ("2026-01-31T04:00:00Z", datetime(2026, 1, 31, 4, tzinfo=UTC)),
    "maintenance_notified": ("true", True),
    "new_tables_row_security": ("off", "off"),
}


def load(directory: Path, text: str | None = None, environ: object = None, **options: object) -> Settings:
    if text is not None:
        (directory / "callctl.yaml").write_text(text, encoding="utf-8")
    settings = load_settings(options, environ=environ if isinstance(environ, dict) else {}, directory=directory)
    assert text is None or problems(text) == []  # what callctl takes, its schema takes
    return settings


def error(kind: type[CallctlError], *arguments: object, **named: object) -> CallctlError:
    with pytest.raises(kind) as caught:
        load(*arguments, **named)  # type: ignore[arg-type]
    assert caught.value.hint
    return caught.value


def test_nothing_given_gives_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings()
    assert Settings().schema == "chatapp"
    assert Settings().lock_timeout_ms == 50
    assert Settings().statement_timeout_ms == 30_000
    assert Settings().batch_size == 2000


def test_every_setting_has_an_example() -> None:
    assert set(EXAMPLES) == {setting.name for setting in SETTINGS}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: str(setting.name))
def test_each_setting_can_come_from_each_place(setting: object, tmp_path: Path) -> None:
    assert setting in SETTINGS
    known = next(each for each in SETTINGS if each is setting)
    text, value = EXAMPLES[known.name]
    options: dict[str, object] = {known.name: text}
    assert getattr(load_settings(options, environ={}, directory=tmp_path), known.field) == value
    for variable in known.variables:
        assert getattr(load(tmp_path, environ={variable: text}), known.field) == value
    assert getattr(load(tmp_path, f"{known.name}: {text}"), known.field) == value


def test_the_defaults_in_the_table_are_the_defaults() -> None:
    for setting in SETTINGS:
        default = getattr(Settings(), setting.field)
        if default is not None:
            assert setting.parse(setting.default) == default, setting.name


def test_option_before_environment_before_file_before_default(tmp_path: Path) -> None:
    file, environ = "schema: from_file", {"CALLCTL_SCHEMA": "from_environment"}
    assert load(tmp_path, file, environ=environ, schema="from_option").schema == "from_option"
    assert load(tmp_path, file, environ=environ).schema == "from_environment"
    assert load(tmp_path, file, environ={}).schema == "from_file"
    assert load(tmp_path, "schema:").schema == "chatapp"


def test_only_the_file_itself_marks_a_database_for_development(tmp_path: Path) -> None:
    environ = {"CALLCTL_ENVIRONMENT": "development"}
    assert load(tmp_path, "environment: development").environment_in_file
    assert not load(tmp_path, "environment: development", environ=environ).environment_in_file
    assert not load(tmp_path, "environment: development", environment="development").environment_in_file
    assert not load(tmp_path, environ=environ).environment_in_file


def test_the_database_is_looked_for_in_its_order(tmp_path: Path) -> None:
    environ = {"CALLCTL_DATABASE_URL": "dbname=a", "DATABASE_URL": "dbname=b"}
    assert load(tmp_path, environ=environ, database="dbname=o").database_source == "--database"
    assert load(tmp_path, environ=environ).database_url == "dbname=a"
    del environ["CALLCTL_DATABASE_URL"]
    assert load(tmp_path, environ=environ).database_source == "DATABASE_URL"
    assert load(tmp_path).database_url is None


def test_the_file_is_the_one_named(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("schema: other")
    (tmp_path / "callctl.yaml").write_text("schema: here")
    assert load_settings(environ={}, directory=tmp_path, config="other.yaml").schema == "other"
    named = {"CALLCTL_CONFIG": str(tmp_path / "other.yaml")}
    assert load_settings(environ=named, directory=tmp_path).schema == "other"
    with pytest.raises(UsageError, match="--config: no such file:"):
        load_settings(environ={}, directory=tmp_path, config="gone.yaml")
    with pytest.raises(ConfigError, match="CALLCTL_CONFIG: no such file:"):
        load_settings(environ={"CALLCTL_CONFIG": "gone.yaml"}, directory=tmp_path)


BAD_VALUES = {
    "schema": ["", " ", "x" * 64, "pg_catalog", "information_schema", "callctl"],
    "output": ["xml", "JSON", ""],
    "lock_timeout": ["2", "2 minutes", "-2s", "0s", "1e3s", "999h", "٣s", "s"],
    "batch_size": ["0", "100001", "-5", "2.5", "many", "1_000"],
    "batch_workers": ["0", "17", "-1", "1.5", "all"],
    "backup_taken_at": ["yesterday", "2026-01-31T04:00:00", "2026-13-01T00:00:00Z"],
    "maintenance_notified": ["maybe", "2"],
    "new_tables_row_security": ["", "true", "never"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, bad in BAD_VALUES.items() for value in bad])
def test_a_value_that_does_not_fit_is_named(name: str, value: str, tmp_path: Path) -> None:
    setting = next(each for each in SETTINGS if each.name == name)
    assert setting.option in error(UsageError, tmp_path, **{name: value}).message
    if value:
        assert setting.variables[0] in error(ConfigError, tmp_path, environ={setting.variables[0]: value}).message
    in_file = error(ConfigError, tmp_path, f"# settings\n{name}: '{value}'\n")
    assert f"callctl.yaml:2:1: {name} " in in_file.message


def test_yaml_values_of_the_wrong_type_are_named(tmp_path: Path) -> None:
    assert "callctl.yaml:1:1: schema is not text" in error(ConfigError, tmp_path, "schema: [a, b]").message
    assert "callctl.yaml:1:1: batch_size" in error(ConfigError, tmp_path, "batch_size: true").message
    assert "lock_timeout is not a duration" in error(ConfigError, tmp_path, "lock_timeout: 2").message


def test_yaml_types_are_taken(tmp_path: Path) -> None:
    settings = load(tmp_path, "batch_size: 10\nmaintenance_notified: no\nbackup_taken_at: 2026-01-31 04:00:00Z\n")
    assert settings.batch_size == 10
    assert settings.maintenance_notified is False
    assert settings.backup_taken_at == datetime(2026, 1, 31, 4, tzinfo=UTC)


def test_a_backup_in_the_future_is_refused(tmp_path: Path) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert "is in the future" in error(UsageError, tmp_path, backup_taken_at=tomorrow).message


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("schema: [a", "callctl.yaml:1:11: not YAML", "key: value"),
        ("schema: a\n\tlock_timeout: 2s", "callctl.yaml:2:1: not YAML", "tabs"),
        ("a: b: c", "callctl.yaml:1:5: not YAML", "key: value"),
        ("just text", "callctl.yaml:1:1: the file is not a list", "the keys are database, schema"),
        ("- schema", "callctl.yaml:1:1: the file is not a list", "the keys are database, schema"),
        (
            "schema: a\nbatchsize: 5",
            "callctl.yaml:2:1: unknown key 'batchsize'",
            "did you mean 'batch_size'?",
        ),
        ("lock-timeout: 2s", "callctl.yaml:1:1: unknown key 'lock-timeout'", "did you mean 'lock_timeout'?"),
        ("colour: red", "callctl.yaml:1:1: unknown key 'colour'", "the keys are database, schema"),
        ("schema: a\nschema: b", "callctl.yaml:2:1: duplicate key 'schema'", "remove one"),
        ("backup_taken_at: 2026-13-45", "callctl.yaml:1:1: backup_taken_at is not a time: '2026-13-45'", "ISO 8601"),
        ("backup_taken_at: !!timestamp 2026-13-45", "callctl.yaml", "quotes"),
        ("schema: a\n# \x01", "callctl.yaml:2:3: not YAML", "key: value"),
        ("schema: " + "[" * 3000, "callctl.yaml", "quotes"),
        ("schema: !!timestamp x", "a value does not fit its tag", "remove tags"),
        ("schema: !!bool x", "a value does not fit its tag", "remove tags"),
        ("schema: *nothing", "callctl.yaml:1:9: not YAML: found undefined alias '…'", "key: value"),
        ("? [a, b]\n: c", "unknown key", "the keys are"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_line_and_column(
    text: str, message: str, hint: str, tmp_path: Path
) -> None:
    found = error(ConfigError, tmp_path, text)
    assert message in found.message
    assert hint in str(found.hint)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "callctl.yaml").write_bytes(b"schema: \xff")
    assert "it is not UTF-8" in error(ConfigError, tmp_path).message


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    assert load(tmp_path, "") == Settings()
    assert load(tmp_path, "# nothing\n") == Settings()


def test_a_password_on_the_command_line_is_warned_about_and_not_repeated(tmp_path: Path) -> None:
    settings = load(tmp_path, database="postgresql://me:s3cret@db/x")
    assert len(settings.warnings) == 1
    assert "--database" in settings.warnings[0]
    assert "s3cret" not in "".join(settings.warnings)
    assert "s3cret" not in repr(settings)
    assert load(tmp_path, database="postgresql://me@db/x").warnings == ()
    assert load(tmp_path, environ={"DATABASE_URL": "postgresql://me:s3cret@db/x"}).warnings == ()


def test_a_password_in_a_file_that_others_can_read_is_warned_about(tmp_path: Path) -> None:
    file = tmp_path / "callctl.yaml"
    file.write_text("database: postgresql://me:s3cret@db/x")
    file.chmod(0o644)
    assert f"chmod 600 {file}" in load(tmp_path).warnings[0]
    file.chmod(0o600)
    assert load(tmp_path).warnings == ()


def test_a_message_shows_no_password_and_no_more_than_a_line(tmp_path: Path) -> None:
    found = error(UsageError, tmp_path, lock_timeout="postgresql://me:s3cret@db/x\nand more" * 20)
    assert "s3cret" not in found.message
    assert "\n" not in found.message


# ---- sections ------------------------------------------------------------------------------------------

HEX = "00112233445566778899aabbccddeeff" * 2


# The example of each section, as the reference page has it.
EXAMPLE = {
    section.name: "\n".join(
        re.findall(rf"^```yaml\n({section.name}:\n.*?)```", REFERENCE_PAGE, re.DOTALL | re.MULTILINE)
    )
    for section in SECTIONS
}


def test_each_section_is_read_as_its_example_says(tmp_path: Path) -> None:
    settings = load(tmp_path, "".join(EXAMPLE.values()))
    ring = (
        KeyEntry("k2", "file", (str(tmp_path / "secrets/k2.key"),)),
        KeyEntry("k1", "env", ("ENCRYPTION_KEY",), legacy=True),
        KeyEntry("k0", "command", ("vault", "kv", "get", "-field=key", "secret/callctl")),
    )
    assert settings.keys == KeyConfig("k2", ring)
    assert [entry.source for entry in ring] == [
        f"file {tmp_path}/secrets/k2.key",
        "env ENCRYPTION_KEY",
        "command vault",
    ]
    assert settings.secret_fields == (
        SecretField("integrations", None, "config", ("apiKey",)),
        SecretField("integration_accounts", "custom", "credentials", ("backup", "[]", "password")),
    )
    assert settings.accept == (
        Accepted(
            "column chatapp.calls.recording_url",
            "type is character varying(1000)",
            "signed URLs of the new storage are longer",
        ),
    )
    assert "secret/callctl" not in repr(settings)  # a command's arguments may hold a token


def test_the_entries_in_the_tables_are_the_entries(tmp_path: Path) -> None:
    """Each is refused by nobody, and stands in its section's example; any other is refused."""
    for section in SECTIONS:
        for entry, _, _ in section.entries:
            assert f"{entry.rpartition('.')[2]}:" in EXAMPLE[section.name], entry
        for prefix in {entry.rpartition(".")[0] for entry, _, _ in section.entries}:
            hint = ", ".join(e.rpartition(".")[2] for e, _, _ in section.entries if e.rpartition(".")[0] == prefix)
            nonsense = "{nonsense: 1}" if not prefix else f"{{primary: k1, {prefix[:-2]}: [{{nonsense: 1}}]}}"
            if prefix and section.name == "secrets":
                nonsense = "{fields: [{nonsense: 1}]}"
            if section.name == "accept":
                nonsense = "[{nonsense: 1}]"
            found = error(ConfigError, tmp_path, f"{section.name}: {nonsense}")
            assert found.message.endswith("has an unknown entry 'nonsense'")
            assert set(str(found.hint).removeprefix("use one of the entries ").split(", ")) == set(hint.split(", "))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keys: k1", "keys is not a list"),
        ("keys: {primary: k1}", "keys.ring is not a list of keys"),
        ("keys: {primary: k1, ring: []}", "keys.ring is not a list of keys"),
        ("keys: {primary: k1, ring: {id: k1}}", "keys.ring is not a list of keys"),
        ("keys: {primary: k1, ring: [k1]}", "keys.ring[0] is not a list"),
        ("keys: {ring: [{id: k1, env: A}]}", "keys.primary is missing"),
        ("keys: {primary: k2, ring: [{id: k1, env: A}]}", "keys.primary is not in the ring: k2"),
        ("keys: {primary: [k1], ring: [{id: k1, env: A}]}", "keys.primary is not a key's id"),
        (f"keys: {{primary: '{HEX}', ring: [{{id: k1, env: A}}]}}", "keys.primary is not a key's id"),
        ("keys: {primary: k1, ring: [{env: A}]}", "keys.ring[0] has no id"),
        ("keys: {primary: 1, ring: [{id: 1, env: A}]}", "keys.ring[0] has an id that cannot be used"),
        ("keys: {primary: 'k 1', ring: [{id: 'k 1', env: A}]}", "keys.ring[0] has an id that cannot be used"),
        ('keys: {primary: a, ring: [{id: "\\e[2J", env: A}]}', "keys.ring[0] has an id that cannot be used"),
        (f"keys: {{primary: a, ring: [{{id: '{'x' * 41}', env: A}}]}}", "keys.ring[0] has an id that cannot be used"),
        (f"keys: {{primary: a, ring: [{{id: '{HEX[:32]}', env: A}}]}}", "keys.ring[0] has an id that cannot be used"),
        (
            "keys: {primary: k1, ring: [{id: k1, env: A}, {id: k1, env: B}]}",
            "keys.ring[1] repeats the id of another key: k1",
        ),
        ("keys: {primary: k1, ring: [{id: k1}]}", "keys.ring[0] (k1) needs exactly one source, but has none"),
        ("keys: {primary: k1, ring: [{id: k1, env:}]}", "keys.ring[0] (k1) needs exactly one source, but has none"),
        ("keys: {primary: k1, ring: [{id: k1, env: A, file: b}]}", "needs exactly one source, but has env and file"),
        ("keys: {primary: k1, ring: [{id: k1, env: [A]}]}", "keys.ring[0] (k1).env is not a text"),
        ("keys: {primary: k1, ring: [{id: k1, env: $KEY}]}", "keys.ring[0] (k1).env is not the name of a variable"),
        (
            f"keys: {{primary: k1, ring: [{{id: k1, env: '{HEX}'}}]}}",
            "keys.ring[0] (k1).env looks like a key, not the place of a key",
        ),
        (
            f"keys: {{primary: k1, ring: [{{id: k1, file: '{HEX}'}}]}}",
            "keys.ring[0] (k1).file looks like a key, not the place of a key",
        ),
        (f"keys: {{primary: k1, ring: [{{id: k1, value: '{HEX}'}}]}}", "keys.ring[0] has an unknown entry 'value'"),
        (f"keys: {{primary: k1, ring: [{{'{HEX}': k1}}]}}", "keys.ring[0] has an unknown entry"),
        (f"keys: {{'{HEX}': k1}}", "keys has an unknown entry"),
        ("keys: {primary: k1, ring: [{id: k1, file: ''}]}", "keys.ring[0] (k1).file is not a text"),
        ("keys: {primary: k1, ring: [{id: k1, file: '~nobody-here/k'}]}", "(k1).file begins with a home directory"),
        ("keys: {primary: k1, ring: [{id: k1, command: vault read}]}", "keys.ring[0] (k1).command is not a list"),
        ("keys: {primary: k1, ring: [{id: k1, command: []}]}", "keys.ring[0] (k1).command is not a list of text"),
        ("keys: {primary: k1, ring: [{id: k1, command: [a, 1]}]}", "keys.ring[0] (k1).command is not a list of text"),
        ("keys: {primary: k1, ring: [{id: k1, env: A, legacy: 1}]}", "(k1).legacy is not true or false"),
        (
            "keys: {primary: k1, ring: [{id: k1, env: A, show_stderr: true}]}",
            "(k1).show_stderr applies to a command only",
        ),
        ("keys: {primary: k1, ring: [{id: k1, command: [a], show_stderr: 1}]}", "show_stderr is not true or false"),
        ("keys:\n  primary: k1\n  ring:\n  - id: k1\n    env: A\n    env: B\n", "6:5: duplicate entry of keys"),
        ("secrets: {}", "secrets.fields is not a list of fields"),
        ("secrets: {fields: apiKey}", "secrets.fields is not a list of fields"),
        ("secrets: {fields: [{column: a}]}", "secrets.fields[0] has no table"),
        ("secrets: {fields: [{table: a}]}", "secrets.fields[0] has no column"),
        ("secrets: {fields: [{table: chatapp.a, column: b}]}", "secrets.fields[0].table is not a single name"),
        ("secrets: {fields: [{table: a, column: 1}]}", "secrets.fields[0].column is not text"),
        ("secrets: {fields: [{table: a, column: b, path: 'a..b'}]}", "secrets.fields[0].path is not a path"),
        ("secrets: {fields: [{table: a, column: b, path: '[]'}]}", "secrets.fields[0].path is not a path"),
        ("secrets: {fields: [{table: a, column: b, path: 'a[0]'}]}", "secrets.fields[0].path is not a path"),
        (
            "secrets: {fields: [{table: a, column: b}, {table: a, column: b}]}",
            "secrets.fields[1] is a duplicate of a field above",
        ),
    ],
)
def test_a_section_that_does_not_fit_is_named(text: str, message: str, tmp_path: Path) -> None:
    found = error(ConfigError, tmp_path, text)
    assert message in found.message
    assert f"{tmp_path}/callctl.yaml:" in found.message
    assert HEX[:16] not in f"{found.message}{found.hint}"


def test_a_key_file_is_looked_for_beside_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "callctl.yaml").write_text("keys: {primary: k1, ring: [{id: k1, file: k1.key}]}")
    found = load_settings(environ={}, directory=tmp_path, config="etc/callctl.yaml").keys
    assert found is not None
    assert found.ring[0].location == (str(tmp_path / "etc" / "k1.key"),)


@given(st.dictionaries(st.sampled_from([s.name for s in SETTINGS]), st.text(max_size=20)))
def test_no_option_value_raises_anything_but_a_usage_error(options: dict[str, str]) -> None:
    with contextlib.suppress(UsageError):
        load_settings(dict(options), environ={}, directory=Path("/nonexistent"))


@pytest.mark.parametrize("variable", ["CALLCTL_DATABASE_URL", "DATABASE_URL", "CALLCTL_SCHEMA", "CALLCTL_CONFIG"])
@pytest.mark.parametrize("value", ["", "  ", "\n"])
def test_a_variable_that_is_set_and_empty_is_an_error(tmp_path: Path, variable: str, value: str) -> None:
    """`export CALLCTL_DATABASE_URL="$(callctl sandbox url)"` without a sandbox: the next place names another one."""
    environ = {"DATABASE_URL": "postgresql://production/chat", variable: value}
    with pytest.raises(ConfigError) as refused:
        load_settings(environ=environ, directory=tmp_path)
    assert refused.value.message == f"{variable} is set but empty"
    assert "unset it" in (refused.value.hint or "")


def test_an_option_stands_before_an_empty_variable(tmp_path: Path) -> None:
    settings = load_settings({"schema": "shop"}, environ={"CALLCTL_SCHEMA": ""}, directory=tmp_path)
    assert settings.schema == "shop"


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        *(("1:30", "1:30"), ("010", 10), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"), ("0b1", "0b1"), ("+12", 12)),
        *(("no", "no"), ("on", "on"), ("yes", "yes"), ("True", True), ("false", False), ("~", None), ("", None)),
        *(("2026-01-31", "2026-01-31"), ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), (".inf", float("inf"))),
    ],
)
@pytest.mark.parametrize("libyaml", [True, False])
def test_scalars_are_those_of_yaml_1_2(
    scalar: str, value: object, libyaml: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml, "__with_libyaml__", libyaml)
    root, construct = yaml_document(f"key: {scalar}")
    assert construct(root) == {"key": value}
    assert type(construct(root)["key"]) is type(value)


def test_a_long_file_is_read_in_a_time_that_grows_with_it(tmp_path: Path) -> None:
    """Of calls and not of seconds: ten times the entries take ten times the calls."""

    def calls(number: int, section: str, entry: str) -> int:
        lines = "".join(f"    - {{{entry.format(line)}}}\n" for line in range(number))
        (tmp_path / "callctl.yaml").write_text(f"{section}\n{lines}")
        profile = cProfile.Profile()
        profile.runcall(load_settings, environ={}, directory=tmp_path)
        return sum(entry.callcount for entry in profile.getstats())

    for section, entry in (
        ("secrets:\n  fields:", "table: t{}, column: c"),
        ("accept:", "object: column chatapp.calls.c{}, difference: missing, reason: x"),
        ("keys:\n  primary: k1\n  ring:", "id: k{}, env: E"),
    ):
        assert calls(1000, section, entry) < 12 * calls(100, section, entry)


def test_nothing_nested_deep_ends_the_process(tmp_path: Path) -> None:
    """libyaml's composer, in C, would take the process with it."""
    (tmp_path / "callctl.yaml").write_text("schema: " + "[" * 1_000_000)
    with pytest.raises(ConfigError, match="a value cannot be read"):
        load_settings(environ={}, directory=tmp_path)
