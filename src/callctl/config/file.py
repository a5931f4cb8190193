"""callctl.yaml and what is written in it: its keys with their places, and a parser for each kind of value."""

from __future__ import annotations

import contextlib
import difflib
import gc
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar

from callctl.errors import CallctlError, Code, ConfigError, UsageError
from callctl.redaction import is_utf8, name_shown, without_quotes

# callctl.yaml: which file it is, and its keys with their places in it.

FILE_NAME = "callctl.yaml"
FILE_VARIABLE = "CALLCTL_CONFIG"


def assert_not_empty(variable: str, environ: Mapping[str, str]) -> None:
    """Raise ConfigError for a variable that is set and empty: what was meant to be in it is missing, and the next place
    to look may name another database.
    """
    if not environ[variable].strip():
        raise ConfigError(
            Code.VARIABLE_EMPTY, f"{variable} is set but empty", hint=f"set {variable} to a value, or unset it"
        )


def config_path(option: str | None, environ: Mapping[str, str], directory: Path) -> Path | None:
    """The file to read, if any: a file that was asked for must be there, ./callctl.yaml need not be."""
    error: type[CallctlError]
    if option is not None:
        path, error, source = directory / Path(option).expanduser(), UsageError, "--config"
    elif FILE_VARIABLE in environ:
        assert_not_empty(FILE_VARIABLE, environ)
        path, error, source = (
            directory / Path(environ[FILE_VARIABLE]).expanduser(),
            ConfigError,
            FILE_VARIABLE,
        )
    else:
        path = directory / FILE_NAME
        return path if path.is_file() else None
    if not path.is_file():
        raise error(
            Code.FILE_UNREADABLE, f"{source}: no such file: {path}", hint=f"create the file, or remove {source}"
        )
    return path


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keep Python's collector of cycles from running, as it does again and again while a long file grows to nodes."""
    ran = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if ran:
            gc.enable()


def raise_it(problem: ConfigError) -> None:
    """Raise a problem of the file: the first one is told, and the rest is not looked at."""
    raise problem


def read_file(
    path: Path, known: Collection[str], tell: Callable[[ConfigError], None] = raise_it
) -> dict[str, tuple[object, str]]:
    """Each key of the file with its value and its place, 'callctl.yaml:3:1'.

    ``tell`` gets what is wrong with a key, and the key is left out. Raises ConfigError if the file cannot be read.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8"
        raise ConfigError(
            Code.FILE_UNREADABLE,
            f"cannot read {path}: {reason}",
            hint="check the path, the read permission and the encoding (UTF-8)",
        ) from None
    try:
        return _entries(text, path, known, tell)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        position = getattr(problem, "position", None)  # of a character, where YAML allows none such
        line, column = _line_and_column(text, position) if mark is None else (mark.line, mark.column)
        reason = getattr(problem, "problem", None) or getattr(problem, "reason", "it cannot be read")
        raise ConfigError(
            Code.CONFIG_SYNTAX,
            f"{path}:{line + 1}:{column + 1}: not YAML: {without_quotes(str(reason))}",
            hint="write one `key: value` on each line, and use spaces, not tabs",
        ) from None
    except (ValueError, RecursionError) as problem:  # a date such as 2026-13-45; a thousand brackets
        reason = without_quotes(str(problem))
        raise ConfigError(
            Code.CONFIG_SYNTAX, f"{path}: a value cannot be read: {reason}", hint="put the value in quotes"
        ) from None
    except (AttributeError, LookupError, TypeError):  # !!timestamp x, !!bool x: the parser's own mistakes
        raise ConfigError(
            Code.CONFIG_SYNTAX, f"{path}: a value does not fit its tag", hint="remove tags such as !!int"
        ) from None


# The scalars of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), by the characters that they
# begin with. YAML 1.1, which PyYAML reads, takes 1:30 for the number 90, 010 for 8, and no for false.
_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
)


# Of lists and mappings within one another.
_DEEPEST = 50


@cache
def _loader(base: type[Any]) -> type[Any]:
    """A loader of PyYAML's with YAML 1.2's scalars."""

    class Loader(base):  # type: ignore[misc]
        yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {}

    def construct_int(loader: Any, node: Any) -> int:
        value = loader.construct_scalar(node)
        return int(value, 0) if value.startswith(("0o", "0x")) else int(value)

    for name, pattern, firsts in _SCALARS:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(f"(?:{pattern})\\Z"), firsts)
    Loader.add_constructor("tag:yaml.org,2002:int", construct_int)
    return Loader


def yaml_document(text: str) -> tuple[Any, Callable[[Any], Any]]:
    """The root node of the one document in a YAML 1.2 text, None of an empty one; and what makes values of its nodes.

    Raises yaml.YAMLError; what makes values raises ValueError, and as PyYAML does for a tag that does not fit.
    """
    import yaml

    if yaml.__with_libyaml__ and _is_flat(text):
        # libyaml takes a tenth of the time. If it finds a mistake, the parser in Python says better what it is.
        with contextlib.suppress(yaml.YAMLError):
            loader = _loader(yaml.CSafeLoader)(text)
            return loader.get_single_node(), partial(loader.construct_object, deep=True)
    loader = _loader(yaml.SafeLoader)(text)
    return loader.get_single_node(), partial(loader.construct_object, deep=True)


def _is_flat(text: str) -> bool:
    """Return whether nothing is nested deeper than a person writes: a million brackets crash PyYAML's C code."""
    import yaml

    depth = 0
    with contextlib.suppress(yaml.YAMLError):
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > _DEEPEST:
                    return False
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    return True


def _entries(
    text: str, path: Path, known: Collection[str], tell: Callable[[ConfigError], None]
) -> dict[str, tuple[object, str]]:
    import yaml

    root, construct = yaml_document(text)
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(
            Code.CONFIG_SYNTAX, f"{path}:1:1: the file is not a list of `key: value` lines", hint=_keys_hint(known)
        )
    entries: dict[str, tuple[object, str]] = {}
    if re.search(r"\\u", text, re.IGNORECASE):
        _assert_utf8(root, path)
    for key_node, value_node in root.value:
        place = f"{path}:{key_node.start_mark.line + 1}:{key_node.start_mark.column + 1}"
        key = str(construct(key_node))
        if key not in known:
            tell(ConfigError(Code.CONFIG_KEY, f"{place}: unknown key {name_shown(key)}", hint=_nearest(key, known)))
            continue
        if key in entries:
            tell(ConfigError(Code.CONFIG_KEY, f"{place}: duplicate key {key!r}", hint="remove one of the two lines"))
            continue
        try:
            no_entry_twice(value_node, path, key)
        except ConfigError as problem:
            tell(problem)
            continue
        entries[key] = (construct(value_node), place)
    # `schema:` with nothing behind it is a setting left open.
    return {key: entry for key, entry in entries.items() if entry[0] is not None}


def _assert_utf8(root: Any, path: Path) -> None:
    """Raise ConfigError for the half of a surrogate pair, such as "\\ud800": YAML takes it, and no server does."""
    import yaml

    ahead, seen = [root], set()
    while ahead:
        node = ahead.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            ahead += [child for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            ahead += node.value
        elif not is_utf8(node.value):
            place = f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
            raise ConfigError(
                Code.CONFIG_SYNTAX,
                f"{place}: a value has an unpaired surrogate escape",
                hint="write the character itself, in UTF-8",
            )


def no_entry_twice(node: Any, path: Path | str, key: str) -> None:
    """Raise ConfigError for what YAML lets pass: a duplicate entry of ``key``, of which one would count."""
    import yaml

    ahead, seen = [node], set()
    while ahead:
        current = ahead.pop()
        if id(current) in seen:  # an alias
            continue
        seen.add(id(current))
        if isinstance(current, yaml.SequenceNode):
            ahead += current.value
        elif isinstance(current, yaml.MappingNode):
            names = set()
            for name_node, value_node in current.value:
                if isinstance(name_node, yaml.ScalarNode) and name_node.value in names:
                    place = f"{path}:{name_node.start_mark.line + 1}:{name_node.start_mark.column + 1}"
                    raise ConfigError(
                        Code.CONFIG_KEY, f"{place}: duplicate entry of {key}", hint="remove one of the two entries"
                    )
                names.add(name_node.value if isinstance(name_node, yaml.ScalarNode) else id(name_node))
                ahead.append(value_node)


def _line_and_column(text: str, position: int | None) -> tuple[int, int]:
    before = text[: position or 0]
    return before.count("\n"), len(before) - (before.rfind("\n") + 1)


def _nearest(key: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(key.lower().replace("-", "_"), list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else _keys_hint(known)


def _keys_hint(known: Collection[str]) -> str:
    return "the keys are " + ", ".join(known)


# One parser for each kind of setting: from what was written down to the value callctl works with.

BATCH_SIZES = range(1, 100_001)
WAITING_CLIENTS = range(10_001)
BATCH_WORKERS = range(1, 17)

_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|min|h)", re.ASCII)
_UNITS_MS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
# Of a time until now: at most some 270 years.
_AGE = re.compile(r"(\d{1,5})\s*(s|min|h|d)", re.ASCII)
_AGE_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
# PostgreSQL keeps its timeouts in a 32-bit integer of milliseconds.
_LONGEST_MS = 2**31 - 1


class Unusable(ValueError):
    """A value that a setting cannot take: what is wrong with it, and what it takes instead."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def text(value: object) -> str:
    if isinstance(value, str) and value.strip() and "\x00" not in value:
        return value
    raise Unusable(f"is not text: {shown(value)}", "write a text that is not empty")


def schema(value: object) -> str:
    name = text(value)
    if len(name.encode()) > 63:
        raise Unusable(
            "is longer than the 63 bytes of a PostgreSQL name",
            "give the schema's name as psql's \\dn shows it",
        )
    if name in {"callctl", "information_schema"} or name.startswith("pg_"):
        raise Unusable(
            f"names a schema that cannot hold the platform's tables: {name}", "give the schema of the platform's tables"
        )
    return name


def choice(*choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise Unusable(f"is not one of {', '.join(choices)}: {shown(value)}", f"use {' or '.join(choices)}")

    return parse


def switch(*others: str) -> Callable[[object], str]:
    """on or off, which YAML reads as true and false, or one of ``others``."""
    named = choice(*others, "on", "off")

    def parse(value: object) -> str:
        return named({True: "on", False: "off"}.get(value) if isinstance(value, bool) else value)

    return parse


def duration(value: object) -> int:
    """Milliseconds of '200ms', '2s', '1.5s', '5min', '1h'. A number without a unit says nothing: refused."""
    hint = "give a number and a unit: ms, s, min or h, such as 200ms or 2s"
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Unusable(f"is not a duration: {shown(value)}", hint)
    milliseconds = round(float(match[1]) * _UNITS_MS[match[2]])
    if not 1 <= milliseconds <= _LONGEST_MS:
        raise Unusable(f"is not between 1ms and 596h: {shown(value)}", hint)
    return milliseconds


def batch_size(value: object) -> int:
    text = str(value).strip()
    if not isinstance(value, bool) and re.fullmatch(r"\d{1,12}", text, re.ASCII) and int(text) in BATCH_SIZES:
        return int(text)
    raise Unusable(
        f"is not a whole number from {BATCH_SIZES.start} to {BATCH_SIZES.stop - 1}: {shown(value)}",
        "use 2000 to begin with: larger batches are not faster and hold row locks longer",
    )


def batch_workers(value: object) -> int:
    text = str(value).strip()
    if not isinstance(value, bool) and re.fullmatch(r"\d{1,3}", text, re.ASCII) and int(text) in BATCH_WORKERS:
        return int(text)
    raise Unusable(
        f"is not a whole number from {BATCH_WORKERS.start} to {BATCH_WORKERS.stop - 1}: {shown(value)}",
        "use 2 to begin with: each session takes a core of the server and a connection",
    )


def waiting_clients(value: object) -> int:
    text = str(value).strip()
    if not isinstance(value, bool) and re.fullmatch(r"\d{1,5}", text, re.ASCII) and int(text) in WAITING_CLIENTS:
        return int(text)
    raise Unusable(
        f"is not a whole number from {WAITING_CLIENTS.start} to {WAITING_CLIENTS.stop - 1}: {shown(value)}",
        "use 10 to begin with: with 10, the run waits while over 10 more clients than at its start wait for locks",
    )


def moment(value: object) -> datetime:
    hint = "give an ISO 8601 time with its offset, such as 2026-01-31T04:00:00Z or 2026-01-31T05:00:00+01:00"
    moment = _with_offset(value, hint)
    if moment > datetime.now(UTC):
        raise Unusable(f"is in the future: {shown(value)}", "give the time at which the last backup finished")
    return moment


def _with_offset(value: object, hint: str) -> datetime:
    """A time in ISO 8601, or one that YAML has read. Raises Unusable with ``hint``."""
    if isinstance(value, datetime):
        time = value
    else:
        try:
            time = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise Unusable(f"is not a time: {shown(value)}", hint) from None
    if time.tzinfo is None:
        raise Unusable(f"has no offset from UTC: {shown(value)}", hint)
    return time


def past(value: str) -> datetime:
    """The time that is given in ISO 8601, or as the time until now, such as 2d. Raises Unusable."""
    hint = (
        "give an ISO 8601 time with its offset, such as 2026-01-31T04:00:00Z, or a time until now, such as 2d or 90min"
    )
    match = _AGE.fullmatch(value.strip())
    if match is not None:
        return datetime.now(UTC) - int(match[1]) * timedelta(**{_AGE_UNITS[match[2]]: 1})
    return _with_offset(value, hint)


def boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise Unusable(f"is not true or false: {shown(value)}", "use true or false")


def shown(value: object) -> str:
    """A value as a message may show it: short, on one line, without a secret; of a list or the like only its kind."""
    kinds: dict[type, str] = {list: "a list", dict: "entries with names of their own", bytes: "bytes", set: "a set"}
    return kinds.get(type(value)) or name_shown(str(value))
