"""The only place that prints: stdout is the result, stderr is progress, warnings and errors.

This module holds what every command needs, without importing rich: lines, errors, JSON. How each answer
looks stands in ``render_answers``, how long work looks in ``render_progress``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, TextIO

from callctl.redaction import hide_keys, printable, redact

if TYPE_CHECKING:
    from callctl.target import Target

# Members of callctl's documents that look like a key and are none.
_DIGESTS = ("sha256",)
_STYLES = {"error": "1;31", "warning": "33", "hint": "36", "good": "32", "faint": "2", "strong": "1"}


def is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colour(stream: TextIO) -> bool:
    """Whether ANSI sequences may go to ``stream``. NO_COLOR, a pipe and a dumb terminal all say no."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def width(stream: TextIO) -> int:
    """Columns to fill: the terminal's (20 to 110), and 80 where there is none."""
    return max(20, min(shutil.get_terminal_size((80, 24)).columns, 110)) if is_terminal(stream) else 80


def styled(text: str, style: str, stream: TextIO) -> str:
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if text and has_colour(stream) else text


def folded(text: str, stream: TextIO, *, indent: int = 0, hanging: int = 0) -> str:
    """``text`` in lines that fit ``stream``, each indented; all but the first by ``hanging`` more."""
    lines = textwrap.wrap(
        text,
        max(width(stream), indent + hanging + 20),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def out(text: str = "") -> None:
    """A line of the result. What looks like a key is hidden; see :func:`own`."""
    _write(sys.stdout, hide_keys(text))


def own(text: str) -> None:
    """A line of the result with a value that callctl made and was asked for: a new key, a file's digest."""
    _write(sys.stdout, text)


def note(text: str) -> None:
    """A line of progress, for a person."""
    _write(sys.stderr, redact(text))


def warning(text: str) -> None:
    _write(sys.stderr, f"callctl: {styled('warning:', 'warning', sys.stderr)} {redact(text)}")


def target(found: Target) -> None:
    """The first line of every command that talks to a database: to which."""
    _write(sys.stderr, _located(f"callctl: target: {found.text}", sys.stderr))


def written(found: Target | None, verb: str = "written to") -> None:
    """The line of the result that says where a run has written; none where it is not known."""
    if found is not None:
        _write(sys.stdout, _located(f"{verb} {found.place}, schema {found.schema}", sys.stdout))


def _located(text: str, stream: TextIO) -> str:
    """One line, so that a log can be searched for it; a terminal gets it folded at its width."""
    text = printable(redact(text))
    return folded(text, stream, hanging=2) if is_terminal(stream) else text


def error(message: str, hint: str | None = None) -> None:
    _write(sys.stderr, f"callctl: {styled('error:', 'error', sys.stderr)} {redact(message)}")
    if hint:
        _write(sys.stderr, f"callctl: {styled('hint:', 'hint', sys.stderr)} {redact(hint)}")


def ask(question: str) -> bool:
    """A yes or no question on the terminal; anything but y or yes is no."""
    sys.stderr.write(f"{redact(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def ask_for(question: str) -> str:
    """What somebody types on the terminal."""
    sys.stderr.write(f"{redact(question)} ")
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def document(value: object) -> None:
    """One JSON document."""
    import json

    own(json.dumps(plain(value), ensure_ascii=False, indent=2))


def line(value: object) -> None:
    """One JSON value on a line of its own, for work that goes on."""
    import json

    own(json.dumps(plain(value), ensure_ascii=False))


def plain(value: object) -> object:
    """``value`` in JSON's types. Keys keep the order of their fields; times are ISO 8601; sets are sorted.

    What looks like a key is hidden in every text, but for the digests that callctl has made (:data:`_DIGESTS`).
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _field(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {hide_keys(str(key)): _field(str(key), item) for key, item in value.items()}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str):
        return hide_keys(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return f"{value:f}"  # exact, and without an exponent: prices are small
    return hide_keys(str(value))  # UUID, Path


def _field(name: str, value: object) -> object:
    if name in _DIGESTS and isinstance(value, str):
        return value
    # Nobody measures a statement to the picosecond.
    return round(value, 3) if name == "seconds" and isinstance(value, float) else plain(value)


def counted(number: int, noun: str) -> str:
    """'1 step', '1,200 steps'."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(number: int) -> str:
    """'812 bytes', '64.0 kB', '1.2 GB': in powers of 1024, as PostgreSQL prints them."""
    if number < 1024:
        return counted(number, "byte")
    value = float(number)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1024
        if value < 1024 or unit == "TB":
            break
    return f"{value:.1f} {unit}"


def steps(numbers: Sequence[int]) -> str:
    """'step 4', 'steps 13 to 1', 'steps 1 to 4 and 7 to 13'."""
    return f"step{'' if len(numbers) == 1 else 's'} {spans(numbers)}"


def spans(numbers: Sequence[int]) -> str:
    """'4', '5 and 6', '1 to 4 and 7 to 13', '13 to 7 and 4 to 1': numbers in order, up or down."""
    found: list[list[int]] = []
    for number in numbers:
        if found and abs(number - found[-1][-1]) == 1:
            found[-1].append(number)
        else:
            found.append([number])
    parts: list[str] = []
    for span in found:
        parts += [f"{span[0]} to {span[-1]}"] if len(span) > 2 else [str(number) for number in span]
    return " and ".join((", ".join(parts[:-1]), parts[-1])) if len(parts) > 1 else parts[0]


def _write(stream: TextIO, text: str) -> None:
    """A line, at once. What cannot be written is dropped (see ``callctl.output``): output stops no migration."""
    with contextlib.suppress(OSError):
        stream.write(text + "\n")
        stream.flush()


def annotation_data(text: str) -> str:
    """Text as a workflow command of GitHub carries it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def annotation_property(text: str) -> str:
    """A property's value in a workflow command of GitHub."""
    return annotation_data(text).replace(":", "%3A").replace(",", "%2C")
