"""One parser for each kind of setting: from what was written down to the value callctl works with."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from callctl.redaction import name_shown

BATCH_SIZES = range(1, 100_001)
BATCH_WORKERS = range(1, 17)

_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|min|h)", re.ASCII)
_UNITS_MS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
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
    raise Unusable(f"is not text: {shown(value)}", "give a text that is not empty")


def schema(value: object) -> str:
    name = text(value)
    if len(name.encode()) > 63:
        raise Unusable(
            "is longer than the 63 bytes of a PostgreSQL name",
            "give the schema's name as psql's \\dn shows it",
        )
    if name in {"callctl", "information_schema"} or name.startswith("pg_"):
        raise Unusable(f"is a schema that cannot hold the platform: {name}", "give the schema of the platform's tables")
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
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Unusable(f"is not a duration: {shown(value)}", hint)
    milliseconds = round(float(found[1]) * _UNITS_MS[found[2]])
    if not 1 <= milliseconds <= _LONGEST_MS:
        raise Unusable(f"is not between 1ms and 596h: {shown(value)}", hint)
    return milliseconds


def batch_size(value: object) -> int:
    text = str(value).strip()
    if not isinstance(value, bool) and re.fullmatch(r"\d{1,12}", text, re.ASCII) and int(text) in BATCH_SIZES:
        return int(text)
    raise Unusable(
        f"is not a whole number from {BATCH_SIZES.start} to {BATCH_SIZES.stop - 1}: {shown(value)}",
        "2000 is a good start: larger batches gain nothing and hold row locks longer",
    )


def batch_workers(value: object) -> int:
    text = str(value).strip()
    if not isinstance(value, bool) and re.fullmatch(r"\d{1,3}", text, re.ASCII) and int(text) in BATCH_WORKERS:
        return int(text)
    raise Unusable(
        f"is not a whole number from {BATCH_WORKERS.start} to {BATCH_WORKERS.stop - 1}: {shown(value)}",
        "2 is a good start; each takes a core of the server, and a connection",
    )


def moment(value: object) -> datetime:
    hint = "give an ISO 8601 time with its offset, such as 2026-01-31T04:00:00Z or 2026-01-31T05:00:00+01:00"
    if isinstance(value, datetime):
        moment = value
    else:
        try:
            moment = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise Unusable(f"is not a time: {shown(value)}", hint) from None
    if moment.tzinfo is None:
        raise Unusable(f"does not say its offset from UTC: {shown(value)}", hint)
    if moment > datetime.now(UTC):
        raise Unusable(f"is in the future: {shown(value)}", "give the time the last backup was finished")
    return moment


def boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise Unusable(f"is neither true nor false: {shown(value)}", "use true or false")


def shown(value: object) -> str:
    """A value as a message may show it: short, on one line, without a secret; of a list or the like only its kind."""
    kinds: dict[type, str] = {list: "a list", dict: "entries with names of their own", bytes: "bytes", set: "a set"}
    return kinds.get(type(value)) or name_shown(str(value))
