"""The shared parts of all answers: lines and tables on stdout, notes and errors on stderr, JSON, the frame of a page.

This module holds what every command needs, without importing rich: lines, errors, JSON. How each answer
looks is decided in ``render.migration``, how long work looks in ``render.progress``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, TextIO

from callctl.redaction import hide_keys, printable, redact

if TYPE_CHECKING:
    from callctl.config.database_url import Target
    from callctl.config.settings import Output
    from callctl.errors import CallctlError, Code, State

# The only place that prints: stdout is the result, stderr is progress, warnings and errors.

# The version of the JSON output: another one where a key was renamed, removed or changed in meaning.
VERSION = 1
# Members of callctl's documents that look like a key and are not.
_DIGESTS = ("sha256",)
# Fewer columns than these leave no room for a wide indentation.
_NARROW = 60
# A word, or what is within quotes with the words that touch it.
_WORDS = re.compile(r"(?:'[^']*'|\"[^\"]*\"|[^\s'\"]|['\"])+")
_STYLES = {"error": "1;31", "warning": "33", "hint": "36", "good": "32", "faint": "2", "strong": "1"}


def is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colour(stream: TextIO) -> bool:
    """Return whether ANSI sequences may go to ``stream``. NO_COLOR, a pipe and a dumb terminal all say no."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def width(stream: TextIO) -> int:
    """Columns to fill: those of the terminal behind ``stream`` (20 to 120), and 80 where there is none."""
    if not is_terminal(stream):
        return 80
    columns = 0
    if not os.environ.get("COLUMNS"):
        with contextlib.suppress(OSError, ValueError):  # a terminal that does not say
            columns = os.get_terminal_size(stream.fileno()).columns
    return max(20, min(columns or shutil.get_terminal_size((80, 24)).columns, 120))


def styled(text: str, style: str, stream: TextIO) -> str:
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if text and has_colour(stream) else text


def folded(text: str, stream: TextIO, *, indent: int = 0, hanging: int = 0) -> str:
    """``text`` in lines that fit ``stream``, each indented; all but the first by ``hanging`` more.

    On a terminal a word that is longer than a line continues in the next one; elsewhere it stays whole.
    """
    lines = textwrap.wrap(
        text,
        max(width(stream), indent + hanging + 20),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_long_words=is_terminal(stream),
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def hanging(columns: int, stream: TextIO) -> int:
    """Return the indent below a label of this number of columns: less if the terminal is narrow."""
    return columns if width(stream) >= _NARROW else min(columns, 2)


def item(label: str, style: str, text: str, stream: TextIO, *, columns: int = 9) -> None:
    """A line that begins with a label, folded; what is folded is below the text."""
    lines = folded(f"{label:<{columns}}{text}", stream, hanging=hanging(columns, stream))
    _write(stream, _safe(styled(label, style, stream) + lines[len(label) :], stream))


def detail(text: str, stream: TextIO, *, indent: int = 9, hang: int = 5) -> None:
    """A line that belongs to the one above, folded, with ``hang`` for the columns of its own label."""
    indent = hanging(indent, stream)
    _write(stream, _safe(folded(text, stream, indent=indent, hanging=hanging(hang, stream)), stream))


def copied(label: str, text: str, stream: TextIO, *, indent: int = 9) -> None:
    """A line with a statement or command. In a pipe it stays on its line; on a terminal it is folded between words,
    and nothing within quotes is, so that it can still be copied.
    """
    if not is_terminal(stream):
        _write(stream, _safe(f"{'':{indent}}{label}{' '.join(text.split())}", stream))
        return
    first = hanging(indent, stream)
    room = width(stream) - first
    lines, line = [], label.rstrip()
    for word in _WORDS.findall(text):
        if not line or len(line) + 1 + len(word) <= room:
            line += f" {word}" if line else word
        else:
            lines.append(line)
            line = f"  {word}"
    for part in (*lines, line):
        whole = f"{'':{first}}{part}" if len(part) <= room else folded(part, stream, indent=first, hanging=2)
        _write(stream, _safe(whole, stream))


def called(names: Iterable[tuple[str, str, str]]) -> None:
    """Print the names that differ from the specification: (table, documented name, name here)."""
    for table, documented, actual in names:
        copied("", f"{table}: {documented} is called {actual} here", sys.stdout, indent=0)


def told(text: str) -> None:
    """A line for a person, folded on a terminal: the next command, a remark."""
    _write(sys.stderr, redact(folded(text, sys.stderr, hanging=2) if is_terminal(sys.stderr) else text))


def _safe(text: str, stream: TextIO) -> str:
    return hide_keys(text) if stream is sys.stdout else redact(text)


def out(text: str = "") -> None:
    """A line of the result. What looks like a key is hidden; see :func:`own`."""
    _write(sys.stdout, hide_keys(text))


def own(text: str) -> None:
    """A line of the result with a value that callctl made and was asked for: a new key, a file's digest."""
    _write(sys.stdout, text)


def note(text: str) -> None:
    """A line of progress, for a person; on a terminal it is folded."""
    said = redact(text)
    _write(sys.stderr, folded(said, sys.stderr, hanging=2) if is_terminal(sys.stderr) and "\n" not in said else said)


def warning(text: str) -> None:
    _labelled("warning", text)


def target(database: Target) -> None:
    """The first line of every command that talks to a database: to which."""
    _write(sys.stderr, _located(f"callctl: target: {database.text}", sys.stderr))


def written(database: Target | None, verb: str = "written to") -> None:
    """The line of the result that says where a run has written; none where it is not known."""
    if database is not None:
        _write(sys.stdout, _located(f"{verb} {database.place}, schema {database.schema}", sys.stdout))


def _located(text: str, stream: TextIO) -> str:
    """One line, so that a log can be searched for it; a terminal gets it folded at its width."""
    text = printable(redact(text))
    return folded(text, stream, hanging=2) if is_terminal(stream) else text


def error(code: Code, message: str, hint: str | None = None) -> None:
    """Say what failed, with its code at the end of the first line, and what to do next."""
    first, newline, rest = message.partition("\n")
    _labelled("error", f"{first} [{code}]{newline}{rest}")
    if hint:
        _labelled("hint", hint)


class _Answer:
    """Whether this run has printed its result."""

    printed = False


def begin() -> None:
    """Nothing of this run has been printed yet."""
    _Answer.printed = False


def failed(error: CallctlError, state: State, target: Target | None, output: Output) -> None:
    """But as text, end stdout with the error; not where the result is there: it says itself how the run ended."""
    if output == "text" or _Answer.printed:
        return
    result(
        {
            "event": "failed",
            "code": error.code,
            "message": redact(error.message),
            "hint": redact(error.hint) if error.hint else None,
            "state": {"database": state.database, "step": state.step, "direction": state.direction},
            "exit_code": error.exit_code,
            "target": target,
        },
        output=output,
    )


def _labelled(label: str, text: str) -> None:
    """callctl's own words on stderr; on a terminal folded, but for lines that are indented: a statement, a caret."""
    stream = sys.stderr
    lines = redact(f"callctl: {label}: {text}").split("\n")
    if is_terminal(stream):
        lines = [line if line[:1] in ("", " ") else folded(line, stream, hanging=2) for line in lines]
    start = len("callctl: ")
    end = start + len(f"{label}:")
    lines[0] = lines[0][:start] + styled(lines[0][start:end], label, stream) + lines[0][end:]
    _write(stream, "\n".join(lines))


def ask(question: str) -> bool:
    """A yes or no question on the terminal; anything but y or yes is no."""
    sys.stderr.write(f"{folded(redact(f'{question} [y/N]'), sys.stderr, hanging=2)} ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def ask_for(question: str) -> str:
    """The line that the user types on the terminal."""
    sys.stderr.write(f"{redact(question)} ")
    sys.stderr.flush()
    return sys.stdin.readline().strip()


@dataclasses.dataclass(frozen=True)
class Next:
    """The next step after a command: a ``command`` line of callctl, and a ``text`` if a person needs more.

    ``command`` is None if a person has to decide something first; capital letters in it stand for what only a person
    knows.
    """

    command: str | None
    text: str | None = None


def answer(
    output: Output, document: Callable[[], object], text: Callable[[], None], following: Next | None = None
) -> None:
    """Print the result of a command: its ``document``, or its ``text`` and, on stderr, what to do next."""
    if output != "text":
        result(document(), following, output)
        return
    text()
    if following is not None:
        told(f"next: {following.text or following.command}")


def result(document: object, following: Next | None = None, output: Output = "json") -> None:
    """Print a result: the last line of long work where it has an ``event``, otherwise a document of its own.

    It gets the version of the output and the command to run next.
    """
    _Answer.printed = True
    fields = plain(document)
    assert isinstance(fields, dict)
    whole = {"version": VERSION, **fields, "next": plain(following.command if following is not None else None)}
    own(WRITTEN[output](whole, "event" in fields))


def event(fields: Mapping[str, object], output: Output = "json") -> None:
    """A line of work that continues."""
    line = plain(fields)
    assert isinstance(line, dict)
    own(WRITTEN[output]({"version": VERSION, **line}, True))


def event_name(kind: type) -> str:
    """'step_started': what JSON calls an event, from the name of its class."""
    # The demo's line for a run was published under this name.
    return "run" if kind.__name__ == "Migrated" else re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def _json(value: object, one_line: bool) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, indent=None if one_line else 2)


WRITTEN: Mapping[Output, Callable[[object, bool], str]] = MappingProxyType({"json": _json})
"""How each output but text writes a value; whether on one line, for long work. No other file knows a format."""


class Shown(str):
    """A text that callctl made and was asked for, such as a new key: it is printed though it looks like a key."""


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
        return str(value) if isinstance(value, Shown) else hide_keys(value)
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
    # Times of a statement need no picoseconds.
    return round(value, 3) if name == "seconds" and isinstance(value, float) else plain(value)


def counted(number: int, noun: str) -> str:
    """'1 step', '1,200 steps'."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def steps(numbers: Sequence[int]) -> str:
    """'step 4', 'steps 8 to 1', 'steps 1 to 4 and 7 to 9'."""
    return f"step{'' if len(numbers) == 1 else 's'} {spans(numbers)}"


def spans(numbers: Sequence[int]) -> str:
    """'4', '5 and 6', '1 to 4 and 7 to 9', '9 to 7 and 4 to 1': numbers in order, up or down."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and abs(number - runs[-1][-1]) == 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts: list[str] = []
    for span in runs:
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


# A table on stdout.

Row = Sequence[str]


_GAP = 3  # between two columns of a table


def table(
    headings: Row, rows: Iterable[Row], *, right: Iterable[str] = (), spare: Sequence[str] = (), wide: bool = False
) -> None:
    """Rows under headings, wrapped to a terminal's width; in a pipe a row stays on its line.

    ``spare`` are columns that a terminal without room for all leaves out, the first of them first. ``wide``: none is.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [headings, *rows]
    in_full = wide or not is_terminal(sys.stdout)
    shown, left_out = list(range(len(headings))), []
    if spare and not in_full:
        widths = [max(Text(row[column]).cell_len for row in cells) for column in shown]
        for name in spare:
            if sum(widths[column] for column in shown) + _GAP * (len(shown) - 1) <= width(sys.stdout):
                break
            shown.remove(headings.index(name))
            left_out.append(name)
    # rich drops trailing columns when it has no room.
    console = Console(
        width=1000 if in_full else None,
        no_color=not has_colour(sys.stdout),
        force_terminal=has_colour(sys.stdout),
        highlight=False,
    )
    drawn = Table(box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for column in shown:
        heading = headings[column]
        drawn.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in cells[1:]:
        drawn.add_row(*(Text(row[column]) for column in shown))
    with console.capture() as capture:
        console.print(drawn)
    for text in capture.get().splitlines():
        out(text.rstrip())
    if left_out:
        told(f"no room for: {', '.join(left_out)}; --wide shows every column")
