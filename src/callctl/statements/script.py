"""A ``.sql`` file -> statements with positions, kinds, directives and checks.

The format is docs/reference/sql-format.md. A statement keeps the very bytes of the file: what is read by
sqlglot is only looked at, never printed back.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import LiteralString

from sqlglot import TokenType, exp, parse_one
from sqlglot.errors import SqlglotError

from callctl.errors import Code, ConfigError
from callctl.files import read_sql
from callctl.statements.tokens import Token, Unreadable, line_of, tokens

DIRECTIVES = frozenset({"no-transaction", "batched", "again", "commit", "rewrites", "generated", "repeatable"})

_CHECK = re.compile(r"check(?P<warns> \(warns\))?: *(?P<id>[a-z0-9][a-z0-9_.-]*): *(?P<sentence>\S.*)")
_UNREAD = re.compile(
    r"(?i)\boverriding\s+(?:system|user)\s+value\b|\bon\s+commit\s+(?:drop|delete\s+rows|preserve\s+rows)\b"
)
_HEADER = re.compile(r"(?P<key>[a-z][a-z-]*):(?:\s+(?P<value>.*))?")


@dataclass(frozen=True)
class Check:
    """A query that returns offenders; the sentence is true when it returns none."""

    id: str
    sentence: str
    warns: bool


@dataclass(frozen=True)
class Statement:
    """One statement of a file, without the ``;``.

    ``number`` counts the statements of the file and ``line`` the lines, both from 1. ``comment`` is what
    is above it, without directives and without ``--``.
    """

    sql: LiteralString
    source: str
    number: int
    line: int
    directives: frozenset[str] = frozenset()
    check: Check | None = None
    comment: str = ""

    @property
    def place(self) -> str:
        """``file:line``."""
        return f"{self.source}:{self.line}"

    @cached_property
    def kind(self) -> str:
        """The kind of the statement in lower case: ``alter table``, ``update``, ``select``, ``create index``, ``do``, …

        ``unknown`` is what sqlglot cannot read at all.
        """
        return _kind(self.sql)

    @property
    def opaque(self) -> bool:
        """Whether sqlglot cannot see what is in it: it knows only how it begins, or it has a body."""
        if self.kind == "call":
            return False  # its arguments are all there is in it
        return self.kind in ("create function", "create procedure") or isinstance(tree(self.sql), exp.Command | None)

    @property
    def summary(self) -> str:
        """One short line that says what it does, for the progress."""
        if self.check is not None:
            return f"check {self.check.id}"
        words = " ".join(self.sql.split())
        if self.kind == "do":
            return self.comment.splitlines()[0] if self.comment else "do"
        return words if len(words) <= 72 else words[:71] + "…"


@dataclass(frozen=True)
class Script:
    """A file: its statements in order and the ``key: value`` lines of its header."""

    name: str
    text: LiteralString
    sha256: str
    header: Mapping[str, str]
    statements: tuple[Statement, ...]


@lru_cache(maxsize=512)
def tree(sql: str) -> exp.Expr | None:
    """The statement as sqlglot reads it; a ``Command`` where it knows only the beginning, None if nothing.

    The tree is shared: look at it, change nothing.
    """
    # What sqlglot cannot read and what has no names in it is blanked out; the positions stay.
    readable = _UNREAD.sub(lambda match: " " * len(match[0]), sql)
    log = logging.getLogger("sqlglot")
    before = log.disabled
    # sqlglot warns on stderr of every statement it reads as a Command; that is what ``opaque`` is for.
    log.disabled = True
    try:
        return parse_one(readable, dialect="postgres")
    except (SqlglotError, ValueError, RecursionError):
        return None
    finally:
        log.disabled = before


_OBJECTS = frozenset(
    """aggregate column constraint database domain extension function index materialized operator owned
    policy procedure publication role rule schema sequence server statistics subscription table tablespace
    trigger type user view""".split()  # noqa: SIM905
)


def _kind(sql: str) -> str:
    node = tree(sql)
    if node is None:
        return "unknown"
    if isinstance(node, exp.Query | exp.Values):
        return "select"
    if isinstance(node, exp.Insert | exp.Update | exp.Delete | exp.Merge):
        return node.key
    words = [token.word for token in tokens(sql) if token.word]
    first = words[0] if words else "unknown"
    if first in ("create", "alter", "drop", "comment"):
        object_kind = next((word for word in words[1:8] if word in _OBJECTS), "")
        return f"{first} {'materialized view' if object_kind == 'materialized' else object_kind}".strip()
    return first


@lru_cache(maxsize=256)
def load_script(name: str) -> Script:
    """The script of a file that belongs to callctl, by its name below ``sql/``."""
    return parse_script(read_sql(name), name)


def parse_script(text: LiteralString, name: str) -> Script:
    """The statements of a file's text.

    Raises :class:`ConfigError`, with ``file:line``, for text that ends inside a string or a comment, and for
    a directive or a check that is unknown, misspelt or not directly above a statement.
    """
    try:
        stream = tokens(text)
    except Unreadable as error:
        raise ConfigError(Code.SQL_FILE, f"{name}: cannot be read as SQL: {error}") from error
    header: Mapping[str, str] = MappingProxyType({})
    statements: list[Statement] = []
    gap = 0
    for group, end in _split(stream):
        comments = _comments(text, gap, group[0].start)
        if not statements:
            header = _header(comments, text)
        ended = line_of(text, gap) if statements else 0
        statements.append(_statement(text, name, len(statements) + 1, comments, group, ended))
        gap = end
    if not statements:
        header = _header(_comments(text, 0, len(text)), text)
    for comment in _comments(text, gap, len(text)) if statements else ():
        _no_directive(comment.text, f"{name}:{comment.line}")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Script(name, text, digest, header, tuple(statements))


def _split(stream: Sequence[Token]) -> Iterator[tuple[list[Token], int]]:
    """The tokens of each statement, without its semicolon, and the offset after the semicolon.

    A semicolon inside parentheses (a rule's commands) or in ``BEGIN ATOMIC … END`` ends nothing.
    """
    group: list[Token] = []
    atomic: int | None = None
    for index, token in enumerate(stream):
        if token.says("atomic") and index and stream[index - 1].says("begin"):
            atomic = token.depth
        if token.type == TokenType.END and atomic is not None and token.depth < atomic:
            atomic = None
        # BEGIN does not open a depth, END closes one: after an atomic body the depth is one too low.
        if token.type == TokenType.SEMICOLON and atomic is None and not _inside(group):
            if group:
                yield group, token.end
            group = []
        else:
            group.append(token)
    if group:
        yield group, group[-1].end


def _inside(group: Sequence[Token]) -> bool:
    opened = sum(token.type == TokenType.L_PAREN for token in group)
    return opened > sum(token.type == TokenType.R_PAREN for token in group)


@dataclass(frozen=True)
class _Comment:
    text: str
    line: int
    last_line: int


def _comments(text: str, start: int, end: int) -> list[_Comment]:
    """The comments between two tokens; nothing but white space and semicolons is beside them."""
    comments: list[_Comment] = []
    position = start
    while position < end:
        begin = position
        if text.startswith("--", position):
            position = text.find("\n", position, end)
            position = end if position < 0 else position
            body = text[begin + 2 : position]
        elif text.startswith("/*", position):
            depth = 0
            while position < end:
                if text.startswith("/*", position):
                    depth, position = depth + 1, position + 2
                elif text.startswith("*/", position):
                    depth, position = depth - 1, position + 2
                    if not depth:
                        break
                else:
                    position += 1
            body = text[begin + 2 : position - 2]
        else:
            position += 1
            continue
        comments.append(_Comment(body.rstrip(), line_of(text, begin), line_of(text, position)))
    return comments


def _header(comments: Sequence[_Comment], text: str) -> Mapping[str, str]:
    """``key: value`` of the comments from the top to the first blank line; deeper lines continue a value."""
    header: dict[str, str] = {}
    key = ""
    expected = comments[0].line if comments else 0
    if text[: len(text) - len(text.lstrip())].count("\n") > 0:
        return MappingProxyType({})
    for comment in comments:
        if comment.line != expected:
            break
        expected = comment.last_line + 1
        match = _HEADER.fullmatch(comment.text.strip())
        if match and not comment.text.startswith("   "):
            key = match["key"]
            if key not in ("callctl", "check"):
                header[key] = match["value"] or ""
        elif key in header and comment.text.startswith("  "):
            header[key] = f"{header[key]} {comment.text.strip()}".strip()
        else:
            key = ""
    return MappingProxyType(header)


def _statement(
    text: LiteralString, name: str, number: int, comments: Sequence[_Comment], group: Sequence[Token], ended: int
) -> Statement:
    """The statement of these tokens; the one before it ended on line ``ended``."""
    start, end = group[0].start, group[-1].end
    line = line_of(text, start)
    above: list[str] = []
    expected = line
    for comment in reversed(comments):
        # A comment that begins on the line where the statement before ended is that statement's.
        if comment.last_line in (expected - 1, expected) and comment.line != ended:
            above.insert(0, comment.text.strip())
            expected = comment.line
        else:
            expected = -1
            _no_directive(comment.text, f"{name}:{comment.line}")
    for left, right in pairwise(group):
        for comment in _comments(text, left.end, right.start):
            _no_directive(comment.text, f"{name}:{comment.line}")
    directives: set[str] = set()
    checks: list[Check] = []
    rest: list[str] = []
    for body in above:
        place = f"{name}:{line}"
        if body.startswith("callctl:"):
            directives |= _directives(body, place)
        elif body.startswith(("check:", "check (")):
            checks.append(_check(body, place))
        else:
            rest.append(body)
    if len(checks) > 1:
        raise ConfigError(Code.SQL_FILE, f"{name}:{line}: one statement has {len(checks)} checks above it")
    return Statement(
        text[start:end],
        name,
        number,
        line,
        frozenset(directives),
        checks[0] if checks else None,
        "\n".join(rest).strip(),
    )


def _no_directive(comment: str, place: str) -> None:
    if comment.strip().startswith("callctl:") or _CHECK.fullmatch(comment.strip()):
        raise ConfigError(
            Code.SQL_FILE,
            f"{place}: '{comment.strip()}' is not directly above a statement",
            hint="move the comment to the line above the statement, without a blank line between them",
        )


def _directives(body: str, place: str) -> set[str]:
    named = {word.strip() for word in body.removeprefix("callctl:").split(",")}
    unknown = sorted(named - DIRECTIVES)
    if unknown:
        raise ConfigError(
            Code.SQL_FILE,
            f"{place}: unknown directive '{unknown[0]}'",
            hint=f"use one of the directives {', '.join(sorted(DIRECTIVES))}",
        )
    others = named & {"no-transaction", "generated", "commit"}
    if "batched" in named and others:
        raise ConfigError(Code.SQL_FILE, f"{place}: 'batched' does not go with {', '.join(sorted(others))}")
    if "again" in named and not named & {"batched", "no-transaction"}:
        raise ConfigError(Code.SQL_FILE, f"{place}: 'again' goes with 'batched' or 'no-transaction'")
    return named


def _check(body: str, place: str) -> Check:
    match = _CHECK.fullmatch(body)
    if match is None:
        raise ConfigError(
            Code.SQL_FILE, f"{place}: '{body}' is not a check", hint="write '-- check: some-id: what is true'"
        )
    return Check(match["id"], match["sentence"], match["warns"] is not None)
