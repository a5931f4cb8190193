"""The settings: one table of them, and how a value is found.

A value comes from the option, else the environment, else ``callctl.yaml``, else the default. Every value,
wherever it comes from, goes through the same parser, so that the same mistake gets the same message; only
the exit code differs (2 for an option, 4 for the environment and the file).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from callctl.config.database_url import Target, database
from callctl.config.file import (
    Unusable,
    assert_not_empty,
    batch_size,
    batch_workers,
    boolean,
    choice,
    config_path,
    duration,
    moment,
    read_file,
    schema,
    switch,
    text,
    uncollected,
    waiting_clients,
)
from callctl.config.sections import SECTIONS, Accepted, KeyConfig, SecretField, Section
from callctl.errors import CallctlError, Code, ConfigError, UsageError
from callctl.redaction import has_password, is_utf8

Output: TypeAlias = Literal["text", "json"]
NewTablesRowSecurity: TypeAlias = Literal["inherit", "on", "off"]


@dataclass(frozen=True)
class Settings:
    """The settings of one run of callctl. Times end in ``_ms`` and are milliseconds."""

    # Never in a repr: a URL may hold a password.
    database_url: str | None = field(default=None, repr=False)
    # Where database_url was found, for messages: '--database', 'DATABASE_URL', 'callctl.yaml', or libpq.
    database_source: str = "libpq's own environment"
    schema: str = "chatapp"
    environment: str | None = None
    # Whether callctl.yaml itself says so: an option or a variable may be left over from another database.
    environment_in_file: bool = False
    output: Output = "text"
    lock_timeout_ms: int = 50
    lock_hold_ms: int = 500
    lock_wait_ms: int = 300_000
    statement_timeout_ms: int = 30_000
    batch_size: int = 2000
    batch_time_ms: int = 50
    batch_workers: int = 2
    max_replication_lag_ms: int = 10_000
    max_waiting_clients: int = 10
    pause_file: str | None = None
    brake_command: str | None = None
    backup_taken_at: datetime | None = None
    maintenance_notified: bool | None = None
    # Where the keys of the secrets come from; their values are read by load_key_ring, never kept here.
    keys: KeyConfig | None = None
    # Fields declared beside the documented ones (secret_fields.DECLARED).
    secret_fields: tuple[SecretField, ...] = ()
    # Whether the new tables get row-level security: as chatbots and companies have it, always, or never.
    new_tables_row_security: NewTablesRowSecurity = "inherit"
    # Differences of the catalog that verify does not fail on.
    accept: tuple[Accepted, ...] = ()
    # What the operator should be told about the settings themselves (a password that others can read).
    warnings: tuple[str, ...] = ()
    # Called by each connection that is opened, with what it leads to. Not of the run's doing: no setting.
    on_connect: Callable[[Target], None] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Setting:
    """One setting and the four places it can come from. The reference page is made from these."""

    name: str  # its key in callctl.yaml
    field: str  # its field in Settings
    option: str
    variables: tuple[str, ...]  # the first that is set counts
    kind: str
    default: str
    help: str
    parse: Callable[[object], object]


def _setting(name: str, kind: str, default: str, help: str, parse: Callable[[object], object], **where: Any) -> Setting:
    return Setting(
        name=name,
        field=where.get("field", name),
        option=where.get("option", "--" + name.replace("_", "-")),
        variables=where.get("variables", ("CALLCTL_" + name.upper(),)),
        kind=kind,
        default=default,
        help=help,
        parse=parse,
    )


SETTINGS: tuple[Setting, ...] = (
    _setting(
        "database",
        "URL",
        "libpq's own: PGSERVICE, PGHOST, PGDATABASE and so on, and .pgpass; an error if none is set",
        "The database to work on: a postgresql:// URL or a libpq connection string.",
        database,
        field="database_url",
        variables=("CALLCTL_DATABASE_URL", "DATABASE_URL"),
    ),
    _setting("schema", "name", "chatapp", "The schema that holds the platform's tables.", schema),
    _setting(
        "environment",
        "text",
        "not set",
        "What this database is, such as staging; part of the target that each command names first. If it is "
        "`production` or `prod`, in any case, `migrate down` asks for the database's name or needs"
        " `--confirm-database NAME`. `seed-models --dev-accounts` needs `development` in the file itself.",
        text,
    ),
    _setting(
        "output",
        " or ".join(get_args(Output)),
        "text",
        "How results are printed: for people, or one JSON document (long work: a JSON object a line).",
        choice(*get_args(Output)),
    ),
    _setting(
        "lock_timeout",
        "duration",
        "50ms",
        "How long one attempt may wait for a lock before it gives way to the clients behind it.",
        duration,
        field="lock_timeout_ms",
    ),
    _setting(
        "lock_hold",
        "duration",
        "500ms",
        "How long a transaction may hold a lock while clients wait for it. After that callctl rolls the transaction"
        " back.",
        duration,
        field="lock_hold_ms",
    ),
    _setting(
        "lock_wait",
        "duration",
        "5min",
        "How long a run tries to get a lock, and how long --wait waits for another run.",
        duration,
        field="lock_wait_ms",
    ),
    _setting(
        "statement_timeout",
        "duration",
        "30s",
        "How long one query of preflight or verify may run. A query that takes longer is reported as unknown, or "
        "as not passed. In a rotation: how long the write of one row may take. A row that takes longer is skipped"
        " and listed.",
        duration,
        field="statement_timeout_ms",
    ),
    _setting(
        "batch_size",
        "rows",
        "2000",
        "The most rows that a batched statement writes in one transaction, 1 to 100000.",
        batch_size,
    ),
    _setting(
        "batch_time",
        "duration",
        "50ms",
        "About how long a batch may take. callctl adapts the number of its rows, up to batch_size.",
        duration,
        field="batch_time_ms",
    ),
    _setting(
        "batch_workers",
        "number",
        "2",
        "How many sessions write batches of a long list at the same time, 1 to 16.",
        batch_workers,
    ),
    _setting(
        "max_replication_lag",
        "duration",
        "10s",
        "How far a replica may fall behind before the next batch waits for it.",
        duration,
        field="max_replication_lag_ms",
    ),
    _setting(
        "max_waiting_clients",
        "number of clients",
        "10",
        "How many more sessions of others than at the start of the run may wait for locks before the next batch waits,"
        " 0 to 10000.",
        waiting_clients,
    ),
    _setting(
        "pause_file",
        "path",
        "not set",
        "A file that pauses a run between two transactions for as long as the file exists.",
        text,
    ),
    _setting(
        "brake_command",
        "text",
        "not set",
        "A command of yours that callctl runs about once a second during a run, without a shell. The next batch waits"
        " while it ends with another exit code than 0, or does not end within 5 s; its first line says why.",
        text,
    ),
    _setting(
        "backup_taken_at",
        "time",
        "not set",
        "The time at which another tool finished the last backup, in ISO 8601 with an offset.",
        moment,
    ),
    _setting(
        "maintenance_notified",
        "true or false",
        "not set",
        "Whether the platform's users have received the maintenance notice.",
        boolean,
    ),
    _setting(
        "new_tables_row_security",
        "inherit, on or off",
        "inherit",
        "Whether integration_accounts, calls and call_transcripts get row-level security when they are created: "
        "if chatbots or companies has it (inherit), always (on), or never (off). Without a policy only the owner can"
        " read them.",
        switch("inherit"),
    ),
)

KEYS = (*(setting.name for setting in SETTINGS), *(section.name for section in SECTIONS))
"""The keys of callctl.yaml."""


def load_settings(
    options: Mapping[str, object | None] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    config: str | None = None,
) -> Settings:
    """The settings of one run.

    ``options`` maps a setting's name to what its option was given (None: not given); ``config`` is what
    ``--config`` was given; ``environ`` and ``directory`` default to the process's own.

    Raises UsageError for an option, ConfigError for the environment and the file.
    """
    options = options or {}
    environ = os.environ if environ is None else environ
    path = config_path(config, environ, directory or Path.cwd())
    with uncollected():
        return _loaded(options, environ, path)


def _loaded(options: Mapping[str, object | None], environ: Mapping[str, str], path: Path | None) -> Settings:
    entries = read_file(path, KEYS) if path else {}
    values: dict[str, object] = {}
    warnings: list[str] = []
    for setting in SETTINGS:
        given = value_given(setting, options, environ, entries)
        if given is None:
            continue
        value, source = given
        values[setting.field] = parsed(setting, value, source)
        if setting.name == "database":
            values["database_source"] = source
            warnings.extend(_password_warnings(str(value), source, setting, path))
        elif setting.name == "environment":
            values["environment_in_file"] = source not in (setting.option, *setting.variables)
    for section in SECTIONS:
        if path is not None and section.name in entries:
            values[section.field] = parsed_section(section, *entries[section.name], path)
    return Settings(**cast(dict[str, Any], values), warnings=tuple(warnings))


def value_given(
    setting: Setting,
    options: Mapping[str, object | None],
    environ: Mapping[str, str],
    entries: Mapping[str, tuple[object, str]],
) -> tuple[object, str] | None:
    """The value of a setting as it was given, and its source; None: the default.

    Raises ConfigError for a variable that is empty.
    """
    if options.get(setting.name) is not None:
        return options[setting.name], setting.option
    variable = next((name for name in setting.variables if name in environ), None)
    if variable is not None:
        assert_not_empty(variable, environ)
        return environ[variable], variable
    return entries.get(setting.name)


def parsed_section(section: Section, value: object, source: str, path: Path) -> object:
    """The value of a section of the file ``path``. Raises ConfigError, which names its place ``source``."""
    try:
        return section.parse(value, path.absolute().parent)
    except Unusable as problem:
        name = f"{source}: {section.name}{'' if problem.message.startswith('.') else ' '}"
        raise ConfigError(Code.CONFIG_VALUE, f"{name}{problem.message}", hint=problem.hint) from None


def parsed(setting: Setting, value: object, source: str) -> object:
    """The value of a setting from what was given. Raises UsageError for an option, ConfigError for another source."""
    error: type[CallctlError] = UsageError if source == setting.option else ConfigError
    try:
        if isinstance(value, str) and setting.kind != "path" and not is_utf8(value):
            raise Unusable("has bytes that are not UTF-8", "write the value in UTF-8")
        return setting.parse(value)
    except Unusable as problem:
        name = source if source in (setting.option, *setting.variables) else f"{source}: {setting.name}"
        code = Code.OPTION_VALUE if error is UsageError else Code.CONFIG_VALUE
        raise error(code, f"{name} {problem.message}", hint=problem.hint) from None


def _password_warnings(value: str, source: str, setting: Setting, path: Path | None) -> list[str]:
    if not has_password(value):
        return []
    if source == setting.option:
        danger = "every user of this machine can read the password in --database (ps)"
        return [f"{danger}; use .pgpass or CALLCTL_DATABASE_URL instead"]
    if source not in setting.variables and path is not None and path.stat().st_mode & 0o077:
        return [f"{path} holds a password, and other users can read the file; run: chmod 600 {path}"]
    return []
