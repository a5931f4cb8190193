"""What in a source tree still names a column that the migration drops. Needs no database."""

from __future__ import annotations

import re
from bisect import bisect_right
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from callctl.coderefs.languages import reader
from callctl.coderefs.spans import Kind, Spans
from callctl.coderefs.spellings import Spellings
from callctl.coderefs.tree import tree
from callctl.errors import Refused, UsageError
from callctl.redaction import redact

COLUMN = "chatbot_type"  # the column of chatbots and chatbot_packages, and the enum type of that name
LARGEST = 5_000_000  # bytes; what is larger is data or a bundle, and nobody edits it by hand
_WIDTH = 120
_AROUND = 200
_ALLOW = re.compile(r"\bcallctl:\s*allow\b")


@dataclass(frozen=True)
class Reference:
    """One place that names a column. ``line`` and ``column`` count from 1, ``column`` in characters.

    ``related`` says that the identifier only contains the name. ``text`` is the line without the space
    around it, cut to 120 characters.
    """

    file: str
    line: int
    column: int
    kind: Kind
    identifier: str
    related: bool
    text: str

    @property
    def counts(self) -> bool:
        """Whether dropping the column may break it."""
        return self.kind is not Kind.COMMENT and not self.related


@dataclass(frozen=True)
class Skipped:
    """A file that was not read, or not as it should be, and why."""

    file: str
    why: str


@dataclass(frozen=True)
class CodeRefs:
    """The answer: everything that names the columns, in order of file and place.

    ``files`` were examined. ``allowed`` references are excluded by a comment. ``unread`` files name a column
    too, in a kind of file that callctl cannot read.
    """

    columns: tuple[str, ...]
    files: int
    references: tuple[Reference, ...]
    allowed: int
    skipped: tuple[Skipped, ...]
    unread: tuple[str, ...]

    @property
    def clear(self) -> bool:
        """Whether no code names the columns any more."""
        return not any(each.counts for each in self.references)

    @property
    def counts(self) -> dict[str, int]:
        """How many references there are of each kind; ``related`` ones are counted as nothing else."""
        number = Counter("related" if each.related else each.kind.value for each in self.references)
        return {name: number[name] for name in ("code", "string", "sql", "comment", "related")}


@dataclass(frozen=True)
class FileRefs:
    """What one file holds."""

    references: tuple[Reference, ...]
    allowed: int
    sure: bool


def code_refs(paths: Sequence[str], *, columns: Sequence[str] = (COLUMN,), exclude: Sequence[str] = ()) -> CodeRefs:
    """Read every source file below ``paths`` and list what names ``columns``, comments and related names too.

    Raises UsageError for a path that is not there and a column that is no name, and Refused if there is no
    source file at all: "nothing names it" would say nothing.
    """
    try:
        spellings = Spellings(tuple(dict.fromkeys(columns)))
    except ValueError as error:
        raise UsageError(
            f"--column is not the name of a column: {str(error)!r}",
            hint=f"give it as the database or the code has it, such as {COLUMN}",
        ) from None
    found = tree(tuple(paths), tuple(exclude))
    references: list[Reference] = []
    skipped = [Skipped(name, why) for name, why in found.skipped]
    unread: list[str] = []
    files = allowed = 0
    for name in found.files:
        known = reader(name) is not None
        try:
            data, why = _bytes(Path(name), spellings)
        except OSError as error:
            data, why = None, (error.strerror or "cannot be read").lower()
        if data is None:
            if known:
                skipped.append(Skipped(name, why))
            continue
        files += known
        if not spellings.may_name(data):
            continue
        if not known:
            unread.append(name)
            continue
        text, odd = _text(data)
        held = file_refs(name, text, spellings)
        if not held.sure:
            odd = odd or "a quote or a bracket in it never closes, so its comments count as code"
        if odd:
            skipped.append(Skipped(name, odd))
        references += held.references
        allowed += held.allowed
    if not files:
        raise Refused(
            f"there is no source file to read in {', '.join(paths)}",
            hint="name the directories that hold your source; finding nothing in nothing would prove nothing",
        )
    return CodeRefs(spellings.columns, files, tuple(references), allowed, tuple(skipped), tuple(unread))


def file_refs(name: str, text: str, spellings: Spellings) -> FileRefs:
    """What one text names, read as a file of this name. Its kind of file is one that ``coderefs.languages`` reads."""
    read = reader(name)
    assert read is not None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    spans = read(text)
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    allowed_lines = set(_allowed_lines(text, spans, starts))
    references: list[Reference] = []
    allowed = 0
    for found in spellings.find(text):
        line = bisect_right(starts, found.start)
        begin, end = starts[line - 1], (starts[line] - 1 if line < len(starts) else len(text))
        reference = Reference(
            file=name,
            line=line,
            column=found.start - begin + 1,
            kind=spans.kind(found.start),
            identifier=text[found.start : found.end],
            related=not found.exact,
            text=_shown(text, found.start, found.end, (begin, end)),
        )
        if reference.counts and line in allowed_lines:
            allowed += 1
        else:
            references.append(reference)
    return FileRefs(tuple(references), allowed, spans.sure)


def _allowed_lines(text: str, spans: Spans, starts: list[int]) -> Iterator[int]:
    """The lines that a comment ``callctl: allow`` speaks of: its own, and the next if it stands alone."""
    for span in spans.comments():
        if _ALLOW.search(text, span.start, span.end):
            first, last = bisect_right(starts, span.start), bisect_right(starts, span.end - 1)
            yield from range(first, last + 1)
            before = text[starts[first - 1] : span.start]
            # {/* … */} is how JSX writes a comment on a line of its own.
            if before.strip() in ("", "{"):
                yield last + 1


def _bytes(path: Path, spellings: Spellings) -> tuple[bytes | None, str]:
    """What a file holds, or None and why it is not read. Raises OSError."""
    with path.open("rb") as file:
        data = file.read(8192)
        if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            # Everything after works on an encoding that contains ASCII.
            return (data + file.read(LARGEST)).decode("utf-16", errors="replace").encode(), ""
        if b"\0" in data:
            return None, "is binary"
        data += file.read(LARGEST - len(data))
        if len(data) < LARGEST:
            return data, ""
        # Too large to take apart, but not to be looked through: most hold nothing of it.
        named = spellings.may_name(data)
        while not named and (more := file.read(LARGEST)):
            data = data[-256:] + more
            named = spellings.may_name(data)
    return (None, "is over 5 MB and names the column: look for yourself") if named else (b"", "")


def _text(data: bytes) -> tuple[str, str]:
    """The text of a file, and what was odd about its encoding."""
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("latin-1"), "is not UTF-8 and was read as Latin-1"


def _shown(text: str, start: int, end: int, line: tuple[int, int]) -> str:
    """The identifier at ``text[start:end]`` and what stands around it on its line: 120 characters, no password."""
    # Only so much is looked at: minified code has all of it on one line.
    before = redact(text[max(start - _AROUND, line[0]) : start]).lstrip()
    after = redact(text[end : min(end + _AROUND, line[1])]).rstrip()
    room = _WIDTH - (end - start)
    if len(before) + len(after) > room:
        # Each side has half of the room, and what the other leaves.
        half = max(room // 2, 1)
        left, right = max(half, room - len(after)), max(half, room - len(before))
        before = before if len(before) <= left else "…" + before[len(before) - left + 1 :]
        after = after if len(after) <= right else after[: right - 1] + "…"
    return before + text[start:end] + after
