"""The code in a source tree that still names a column that the migration drops. Needs no database."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from bisect import bisect_right
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE, getincrementaldecoder
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

from callctl.coderefs.imports import Link, links, renamed
from callctl.coderefs.languages import Kind, Spans, reader, scripts
from callctl.errors import Code, Refused, UsageError
from callctl.redaction import redact

# A column's name as programmers write it: chatbot_type, chatbotType, ChatbotType, CHATBOT_TYPE, chatbot-type.

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# What an escape in a string leaves right before a name: "SELECT id,\nchatbot_type" has no column nchatbot_type.
_ESCAPES = "abfnrtv0"


@dataclass(frozen=True)
class Named:
    """A place in a text that names a column: ``text[start:end]`` is the whole identifier.

    ``exact`` says that it is the column's name and nothing more; otherwise it only contains it, such as
    ``chatbotTypes``.
    """

    start: int
    end: int
    exact: bool


class Spellings:
    """All ways of writing some columns' names. Upper and lower case are one: PostgreSQL folds names itself."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        """Raises ValueError, naming the column, if one is no name: letters, digits, ``_`` and ``-``."""
        self.columns = columns
        names = sorted((_words(column) for column in columns), key=len, reverse=True)
        self._firsts = tuple(sorted({words[0].encode() for words in names}))
        every = "|".join("[_-]?".join(words) for words in names)
        self._name = re.compile(every, re.IGNORECASE)
        self._low = re.compile(every.encode())

    def may_name(self, data: bytes) -> bool:
        """Return whether these bytes, in an encoding that contains ASCII, can name a column at all. Quick."""
        low = data.lower()
        return any(first in low for first in self._firsts) and self._low.search(low) is not None

    def name(self, text: str) -> bool:
        """Return whether ``text`` is a column's name and nothing more."""
        return self._name.fullmatch(text) is not None

    def find(self, text: str) -> Iterator[Named]:
        """Every identifier of a text that is or contains a column's name, each once, in order."""
        last = -1
        for match in self._name.finditer(text):
            if match.start() < last:
                continue
            hyphens = "-" in match[0]
            start, end = match.span()
            while start > 0 and _belongs(text[start - 1], hyphens):
                start -= 1
            while end < len(text) and _belongs(text[end], hyphens):
                end += 1
            if start < match.start() and text[start - 1 : start] == "\\" and text[start] in _ESCAPES:
                start += 1
            # -- of an option, $ of a variable: marks before a name, not letters of it.
            while start < match.start() and text[start] in "-$":
                start += 1
            last = end
            yield Named(start, end, exact=(start, end) == match.span())


def _belongs(character: str, hyphens: bool) -> bool:
    return character.isalnum() or character in "_$" or (hyphens and character == "-")


def _words(column: str) -> list[str]:
    """'chatbotType' and 'chatbot_type' -> ['chatbot', 'type']."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", column):
        raise ValueError(column)
    return [word.lower() for word in _WORD.findall(column)]


# The files below a directory: what git knows and does not ignore, or else what is there, in order.

# Other people's code, and generated code, which is not to be changed, though git may know some of it.
_NEVER = frozenset(
    """.git .hg .svn .bzr .jj node_modules bower_components .venv venv __pycache__ site-packages .tox .nox .mypy_cache
    .pytest_cache .ruff_cache .yarn .pnpm-store""".split()  # noqa: SIM905
)
# What a build makes: left out only where no git says whether it is source.
_BUILT = frozenset(
    """dist build out .next .nuxt .output .svelte-kit .turbo .cache .parcel-cache .vercel coverage htmlcov target
    .eggs vendor""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Tree:
    """The files of all paths asked for, each once, sorted, below the given path; and the directories that were not
    looked into, with the reason."""

    files: tuple[str, ...]
    unread: tuple[tuple[str, str], ...]


def tree(paths: tuple[str, ...], exclude: tuple[str, ...] = ()) -> Tree:
    """The files below ``paths``, without what ``exclude`` (globs) matches.

    A glob matches a path below the one given, its last part, or a directory on the way. A file that is named
    itself is always among them, unless it is excluded. Raises UsageError if a path is not there.
    """
    globs = tuple(re.compile(translate(glob.rstrip("/"))) for glob in exclude)
    seen: set[str] = set()
    files: list[str] = []
    unread: list[tuple[str, str]] = []
    roots = [os.path.realpath(given) for given in paths]
    for given in paths:
        root = Path(given)
        closed: list[tuple[str, str]] = []
        if not root.exists():
            raise UsageError(
                Code.FILE_UNREADABLE,
                f"no such file or directory: {given}",
                hint="name the files or directories that hold your source",
            )
        real_root = os.path.realpath(root)
        if root.is_file():
            below = [] if _excluded(root.name, globs) else [""]
        else:
            below = sorted(name for name in _below(root, closed) if not _excluded(name, globs))
            unread += [(path, why) for path, why in closed if not _excluded(os.path.relpath(path, root), globs)]
        for name in below:
            path = os.path.normpath(os.path.join(root, name))  # noqa: PTH118 - pathlib takes seconds for 100,000
            link = os.path.islink(path)  # noqa: PTH114
            if link and name and os.path.isdir(path):  # noqa: PTH112
                # One that leads to what is read anyway hides nothing.
                if not any(_is_below(os.path.realpath(path), above) for above in roots):
                    unread.append((path, "a symbolic link to a directory, which is not followed"))
                continue
            real = os.path.realpath(path) if link else os.path.normpath(os.path.join(real_root, name))  # noqa: PTH118
            if real not in seen and os.path.isfile(path):  # noqa: PTH113
                seen.add(real)
                files.append(path)
    return Tree(tuple(files), tuple(unread))


def _is_below(path: str, above: str) -> bool:
    return path == above or path.startswith(above.rstrip(os.sep) + os.sep)


def _excluded(name: str, globs: tuple[re.Pattern[str], ...]) -> bool:
    parts = name.split("/")
    ways = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return any(glob.match(part) for glob in globs for part in (*ways, *parts))


def _below(root: Path, closed: list[tuple[str, str]]) -> Iterator[str]:
    """The files below a directory, relative to it; directories that could not be read are added to ``closed``."""
    listed = _known_to_git(root)
    if not listed:
        yield from _walked(root, closed)
        return
    for name in listed:
        if _NEVER.isdisjoint(name.split("/")[:-1]):
            path = root / name
            if path.is_dir() and not path.is_symlink():  # a submodule, or a repository inside this one
                yield from (f"{name.rstrip('/')}/{inner}" for inner in _below(path, closed))
            else:
                yield name


def _known_to_git(root: Path) -> set[str]:
    """Return the files that git tracks or would add here; nothing without git, or if git ignores all of them."""
    command = ("git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    # A hook's own variables speak of the repository that is being committed to, not of this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        listing = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL, env=environment)
    except OSError:
        return set()
    names = {os.fsdecode(name) for name in listing.stdout.split(b"\0")} if listing.returncode == 0 else set()
    return {name for name in names if name.strip("./")}  # an empty submodule lists itself


def _walked(root: Path, closed: list[tuple[str, str]]) -> Iterator[str]:
    def unreadable(error: OSError) -> None:
        closed.append((os.path.normpath(error.filename), (error.strerror or "cannot be read").lower()))

    for place, directories, files in os.walk(root, onerror=unreadable):
        here = os.path.relpath(place, root)
        links = [directory for directory in directories if os.path.islink(os.path.join(place, directory))]  # noqa: PTH114, PTH118
        directories[:] = sorted(set(directories) - _NEVER - _BUILT - set(links))
        for name in (*files, *links):
            yield name if here == "." else f"{here}/{name}"


# What in a source tree still names a column that the migration drops. Needs no database.

COLUMN = "chatbot_type"  # the column of chatbots and chatbot_packages, and the enum type of that name
LARGEST = 5_000_000  # bytes; what is larger is data or a bundle, and not edited by hand
_WIDTH = 120
_AROUND = 200
_LARGE = "is larger than 5 MB and names the column: search it by hand"
_ALLOW = re.compile(r"\bcallctl:\s*allow\b")


@dataclass(frozen=True)
class Reference:
    """One place that names a column. ``line`` and ``column`` count from 1, ``column`` in characters.

    ``related`` says that the identifier only contains the name. ``why`` one counts that is not the column's name.
    ``text`` is the line without the space around it, cut to 120 characters.
    """

    file: str
    line: int
    column: int
    kind: Kind
    identifier: str
    related: bool
    text: str
    why: str = ""

    @property
    def counts(self) -> bool:
        """Whether dropping the column may break it."""
        return self.kind is not Kind.COMMENT and not self.related


@dataclass(frozen=True)
class Skipped:
    """A file or directory that was not read, or (``read``) not as it should be, and why."""

    file: str
    why: str
    read: bool = False


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
    def not_read(self) -> int:
        """The number of source files and directories that were not read."""
        return sum(not skipped.read for skipped in self.skipped)

    @property
    def clear(self) -> bool:
        """Whether all source files were read, and no code in them names the columns any more."""
        return not self.not_read and not any(reference.counts for reference in self.references)

    @property
    def counts(self) -> dict[str, int]:
        """The number of references of each kind; ``related`` references count as no other kind."""
        number = Counter("related" if reference.related else reference.kind.value for reference in self.references)
        return {name: number[name] for name in ("code", "string", "sql", "comment", "related")}


@dataclass(frozen=True)
class FileRefs:
    """The references in one file.

    ``counting``: where in ``text`` the references are that count; ``links``: what it imports and exports, if there are
    any.
    """

    references: tuple[Reference, ...]
    allowed: int
    sure: bool
    text: str
    counting: frozenset[int]
    links: tuple[Link, ...]


def code_refs(paths: Sequence[str], *, columns: Sequence[str] = (COLUMN,), exclude: Sequence[str] = ()) -> CodeRefs:
    """Read every source file below ``paths`` and list what names ``columns``, comments and related names too.

    Raises UsageError for a path that is not there and a column that is no name, and Refused if there is no
    source file at all: "nothing names it" would say nothing.
    """
    try:
        spellings = Spellings(tuple(dict.fromkeys(columns)))
    except ValueError as error:
        raise UsageError(
            Code.OPTION_VALUE,
            f"--column is not a column name: {str(error)!r}",
            hint=f"give the column as the database or the code spells it, such as {COLUMN}",
        ) from None
    source_tree = tree(tuple(paths), tuple(exclude))
    skipped = [Skipped(name, why) for name, why in source_tree.unread]
    held: dict[str, FileRefs] = {}
    unread: list[str] = []
    files = 0
    for name in source_tree.files:
        known = reader(name) is not None
        try:
            data, why = _bytes(Path(name), spellings)
        except OSError as error:  # whatever its kind: nothing is known of it
            skipped.append(Skipped(name, (error.strerror or "cannot be read").lower()))
            continue
        if data is None:
            if known:
                skipped.append(Skipped(name, why))
            elif why == _LARGE:
                unread.append(name)
            continue
        files += known
        if not spellings.may_name(data):
            continue
        if not known:
            unread.append(name)
            continue
        text, odd = _text(data)
        held[name] = file_refs(name, text, spellings)
        if not held[name].sure:
            odd = odd or "a part of the file cannot be parsed, so its comments count as code"
        if odd:
            skipped.append(Skipped(name, odd, read=True))
    if not files:
        raise Refused(
            Code.NO_SOURCE_FILES,
            f"found no source file in {', '.join(paths)}",
            hint="name the directories that hold your source: an empty search proves nothing",
        )
    _follow_names(source_tree.files, held, spellings)
    references = tuple(reference for name in source_tree.files if name in held for reference in held[name].references)
    allowed = sum(of_file.allowed for of_file in held.values())
    return CodeRefs(spellings.columns, files, references, allowed, tuple(skipped), tuple(unread))


def _follow_names(files: Sequence[str], held: dict[str, FileRefs], spellings: Spellings) -> None:
    """Add to ``held`` who imports a symbol of the column's under the other name that a module gives it."""

    def bears(file: str, link: Link) -> bool:
        named = spellings.name(link.name.rpartition(".")[2]) and not spellings.name(link.alias)
        return named and link.start in held[file].counting

    if not any(bears(name, link) for name, of_file in held.items() for link in of_file.links):
        return
    texts = {name: of_file.text for name, of_file in held.items()}
    for name in files:
        if name not in held and any(scripts(name, "<script>;</script>")):
            with contextlib.suppress(OSError):  # it is among those that could not be read
                texts[name] = _normal(_text(_bytes(Path(name), spellings)[0] or b"")[0])
    modules = {name: [*links(name, text)] for name, text in texts.items()}
    for name, found in renamed(modules, lambda file, link: file in held and bears(file, link)).items():
        held[name] = file_refs(name, texts[name], spellings, also=[Named(link.start, link.end, True) for link in found])


def _normal(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def file_refs(name: str, text: str, spellings: Spellings, *, also: Sequence[Named] = ()) -> FileRefs:
    """Return the references in one text, read as a file of this name.

    Its kind of file is one that ``coderefs.languages`` reads.

    ``also``: what else in it is the column, under another name.
    """
    read = reader(name)
    assert read is not None
    text = _normal(text)
    spans = read(text)
    starts = [0, *(newline.end() for newline in re.finditer("\n", text))]
    allowed_lines = set(_allowed_lines(text, spans, starts))
    names = {named.start: named for named in (*spellings.find(text), *also)}
    lines = {start: bisect_right(starts, start) for start in names}
    code = {start for start in names if spans.kind(start) is not Kind.COMMENT}
    counting = {start for start in code if names[start].exact and lines[start] not in allowed_lines}
    # A longer name that such a line uses: who changes the line takes back its import, too.
    beside = {lines[start] for start in counting}
    used = {text[start : named.end] for start, named in names.items() if not named.exact and lines[start] in beside}
    here = tuple(links(name, text)) if counting else ()
    imports = (link.start for link in here if link.source is not None and link.alias in used)
    counting |= {start for start in imports if start in code and lines[start] not in allowed_lines}
    references: list[Reference] = []
    allowed = 0
    for start, named in sorted(names.items()):
        exact = named.exact or start in counting
        if exact and start in code and start not in counting:
            allowed += 1
            continue
        line = lines[start]
        begin, end = starts[line - 1], (starts[line] - 1 if line < len(starts) else len(text))
        references.append(
            Reference(
                file=name,
                line=line,
                column=start - begin + 1,
                kind=spans.kind(start),
                identifier=text[start : named.end],
                related=not exact,
                text=_shown(text, start, named.end, (begin, end)),
                why=_another_name(named, also) if exact else "",
            )
        )
    return FileRefs(tuple(references), allowed, spans.sure, text, frozenset(counting), here)


def _another_name(named: Named, also: Sequence[Named]) -> str:
    """Why a name counts that is not the column's; '' where it is."""
    return "by another name" if named in also else "" if named.exact else "imported for a line that counts"


def _allowed_lines(text: str, spans: Spans, starts: list[int]) -> Iterator[int]:
    """The lines that a comment ``callctl: allow`` speaks of: its own, and the next if it is alone."""
    for span in spans.comments():
        if _ALLOW.search(text, span.start, span.end):
            first, last = bisect_right(starts, span.start), bisect_right(starts, span.end - 1)
            yield from range(first, last + 1)
            before = text[starts[first - 1] : span.start]
            # {/* … */} is how JSX writes a comment on a line of its own.
            if before.strip() in ("", "{"):
                yield last + 1


def _bytes(path: Path, spellings: Spellings) -> tuple[bytes | None, str]:
    """Return a file's contents in an encoding that contains ASCII, or None and why it is not read. Raises OSError."""
    with path.open("rb") as file:
        data = file.read(LARGEST)
        wide = _wide(data)
        if wide is not None:
            if len(data) == LARGEST:
                return None, f"is {wide.upper()} and larger than 5 MB"
            return data.decode(wide, errors="replace").encode(), ""
        if b"\0" in data and not _is_text(data):
            return None, "is binary"
        if len(data) < LARGEST:
            return data, ""
        # Too large to take apart, but not to be looked through: most hold nothing of it.
        named = spellings.may_name(data)
        while not named and (chunk := file.read(LARGEST)):
            data = data[-256:] + chunk
            named = spellings.may_name(data)
    return (None, _LARGE) if named else (b"", "")


def _wide(data: bytes) -> str | None:
    """The encoding of two or four bytes a character that a text is in: by its byte order mark, or by its zeros."""
    if data.startswith((BOM_UTF32_LE, BOM_UTF32_BE)):
        return "utf-32"
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "utf-16"
    even, odd = data[0:1024:2], data[1:1024:2]
    if odd and not any(odd) and all(even):
        return "utf-16-le"
    if odd and not any(even) and all(odd):
        return "utf-16-be"
    return None


def _is_text(data: bytes) -> bool:
    """Return whether the bytes are UTF-8 with text's control characters and some zero bytes, as JavaScript reads."""
    try:
        # A character may be cut where the reading was.
        text = getincrementaldecoder("utf-8")().decode(data, final=len(data) < LARGEST)
    except UnicodeDecodeError:
        return False
    return not re.search(r"[\x01-\x08\x0e-\x1a\x1c-\x1f]", text)


def _text(data: bytes) -> tuple[str, str]:
    """The text of a file, and what was odd about its encoding."""
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("latin-1"), "is not in UTF-8 and was read as Latin-1"


def _shown(text: str, start: int, end: int, line: tuple[int, int]) -> str:
    """The identifier at ``text[start:end]`` and its line around it: 120 characters, no password."""
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
