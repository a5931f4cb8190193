"""All settings with the places that their values come from, and all problems of a settings file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from callctl.config import settings as table
from callctl.config.database_url import EXAMPLE, address_variables, unreadable
from callctl.config.file import FILE_NAME, FILE_VARIABLE, config_path, read_file, uncollected
from callctl.config.sections import SECTIONS, Accepted, KeyConfig, SecretField
from callctl.config.settings import SETTINGS, Setting, Settings
from callctl.errors import CallctlError, Code, ConfigError
from callctl.redaction import printable, redact

DEFAULT = "default"


@dataclass(frozen=True)
class Origin:
    """A setting, its value as text without a secret (None: not set), and where that came from.

    ``source`` is an option, the name of a variable (or several, of libpq), a place in the file such as
    callctl.yaml:3:1, or 'default'.
    """

    name: str
    value: str | None
    source: str


@dataclass(frozen=True)
class Overview:
    """The settings file, if there is one, who named it, and every setting."""

    file: Path | None
    file_source: str | None  # '--config', 'CALLCTL_CONFIG', 'the current directory'
    settings: tuple[Origin, ...]


@dataclass(frozen=True)
class CheckedFile:
    """A settings file that was read whole: the keys in it that callctl knows, and what is wrong."""

    file: Path
    keys: tuple[str, ...]
    problems: tuple[CallctlError, ...]


def overview(
    options: Mapping[str, object | None],
    loaded: Settings,
    *,
    config: str | None = None,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Overview:
    """Return where each value of the ``loaded`` settings came from; the other parameters are those of load_settings.

    Raises what load_settings raises.
    """
    environ = os.environ if environ is None else environ
    path = config_path(config, environ, directory or Path.cwd())
    with uncollected():
        entries = read_file(path, table.KEYS) if path else {}
    origins = [_origin(setting, table.value_given(setting, options, environ, entries), environ) for setting in SETTINGS]
    for section in SECTIONS:
        source = entries[section.name][1] if section.name in entries else DEFAULT
        origins.append(Origin(section.name, _section(getattr(loaded, section.field)), source))
    if path is None:
        return Overview(None, None, tuple(origins))
    source = "--config" if config is not None else FILE_VARIABLE if FILE_VARIABLE in environ else "current directory"
    return Overview(path, source, tuple(origins))


def _origin(setting: Setting, given: tuple[object, str] | None, environ: Mapping[str, str]) -> Origin:
    if given is not None:
        value, source = given
        # YAML's true, which a person wrote as true.
        text = str(value).lower() if isinstance(value, bool) else str(value).strip()
        return Origin(setting.name, redact(printable(text)), source)
    if setting.name == "database":
        variables = address_variables(environ)
        value = " ".join(f"{name}={redact(printable(environ[name]))}" for name in variables)
        return Origin(setting.name, value or None, ", ".join(variables) or DEFAULT)
    return Origin(setting.name, None if setting.default == "not set" else setting.default, DEFAULT)


def _section(value: object) -> str | None:
    """A section in one line: never a key, and of a command only the program."""
    if isinstance(value, KeyConfig):
        ring = ", ".join(f"{entry.id} from {redact(printable(entry.source))}" for entry in value.ring)
        return f"primary {value.primary}; {ring}"
    entries: Sequence[object] = value if isinstance(value, tuple) else ()
    texts = []
    for entry in entries:
        if isinstance(entry, SecretField):
            texts.append(f"{entry.table}.{entry.text}")
        elif isinstance(entry, Accepted):
            texts.append(f"{entry.object}: {entry.difference}")
    return redact(printable("; ".join(texts))) or None


def check_file(
    config: str | None, *, environ: Mapping[str, str] | None = None, directory: Path | None = None
) -> CheckedFile:
    """Read a settings file to its end, and return the first problem of each key.

    ``config`` is what --config was given. A file that is not YAML has that one problem. Raises UsageError or
    ConfigError if there is no file, and ConfigError if it cannot be read.
    """
    environ = os.environ if environ is None else environ
    directory = directory or Path.cwd()
    path = config_path(config, environ, directory)
    if path is None:
        raise ConfigError(
            Code.FILE_UNREADABLE,
            f"no settings file: {directory / FILE_NAME} does not exist",
            hint="name a file with --config FILE, or run the command in its directory",
        )
    problems: list[CallctlError] = []
    try:
        with uncollected():
            entries = read_file(path, table.KEYS, problems.append)
    except ConfigError as problem:
        if problem.code == Code.FILE_UNREADABLE:
            raise
        return CheckedFile(path, (), (problem,))
    for setting in SETTINGS:
        if setting.name in entries:
            try:
                _check(setting, *entries[setting.name])
            except ConfigError as problem:
                problems.append(problem)
    for section in SECTIONS:
        if section.name in entries:
            try:
                table.parsed_section(section, *entries[section.name], path)
            except ConfigError as problem:
                problems.append(problem)
    return CheckedFile(path, tuple(entries), tuple(sorted(problems, key=_line)))


def _check(setting: Setting, value: object, source: str) -> None:
    parsed = table.parsed(setting, value, source)
    if setting.name == "database" and (problem := unreadable(str(parsed))) is not None:
        raise ConfigError(Code.CONFIG_VALUE, f"{source}: database {problem.message}", hint=problem.hint or EXAMPLE)


def _line(problem: CallctlError) -> tuple[int, int]:
    """The line and column that a problem begins with, behind the name of the file."""
    numbers = [part for part in problem.message.partition(": ")[0].split(":")[-2:] if part.isdecimal()]
    return (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else (0, 0)
