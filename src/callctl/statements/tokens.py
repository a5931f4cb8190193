"""SQL text -> tokens with exact positions, by sqlglot's tokenizer; and the edits made at those positions."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, LiteralString

from sqlglot import TokenType
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import TokenError

# PostgreSQL's reserved words, and those that may be a function or a type but not a column: a name that is
# one of these needs quotes (appendix C of its manual, 18).
RESERVED = frozenset(
    """all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate
    collation column concurrently constraint create cross current_catalog current_date current_role
    current_schema current_time current_timestamp current_user default deferrable desc distinct do else end
    except false fetch for foreign freeze from full grant group having ilike in initially inner intersect into
    is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on
    only or order outer overlaps placing primary references returning right select session_user similar some
    symmetric system_user table tablesample then to trailing true union unique user using variadic verbose
    when where window with""".split()  # noqa: SIM905
)

QUOTED = TokenType.IDENTIFIER
STRINGS = frozenset(
    {
        TokenType.STRING,
        TokenType.HEREDOC_STRING,
        TokenType.BYTE_STRING,
        TokenType.UNICODE_STRING,
        TokenType.NATIONAL_STRING,
        TokenType.RAW_STRING,
        TokenType.BIT_STRING,
        TokenType.HEX_STRING,
        TokenType.NUMBER,
    }
)


class _Lexer(Postgres.Tokenizer):
    # sqlglot takes the rest of a statement such as LOCK or VACUUM for one string; we want its words.
    COMMANDS: ClassVar[set[TokenType]] = set()


@dataclass(frozen=True)
class Token:
    """One token: ``text[start:end]`` of the statement, and what it says.

    ``word`` is the folded word of an unquoted identifier or key word, the exact name of a quoted one, and
    the empty string of anything else; ``depth`` counts the parentheses (and CASE … END) around it.
    """

    type: TokenType
    start: int
    end: int
    text: str
    word: str
    quoted: bool
    depth: int

    def says(self, *words: str) -> bool:
        """Return whether it is one of these key words, unquoted."""
        return not self.quoted and self.word in words


class Unreadable(Exception):
    """The text ends inside a string, a comment or a quoted name."""


@lru_cache(maxsize=512)
def tokens(sql: str) -> tuple[Token, ...]:
    """The tokens of some SQL, in order. Raises :class:`Unreadable`."""
    try:
        raw = _Lexer().tokenize(sql)
    except TokenError as error:
        raise Unreadable(str(error)) from error
    result: list[Token] = []
    depth = 0
    for token in raw:
        quoted = token.token_type == QUOTED
        word = token.text if quoted else ""
        if not quoted and token.token_type not in STRINGS and re.match(r"[^\W\d]", token.text):
            word = token.text.lower().split()[0]  # ORDER BY is one token
        closes = token.token_type in (TokenType.R_PAREN, TokenType.R_BRACKET) or token.token_type == TokenType.END
        if closes:
            depth -= 1
        result.append(Token(token.token_type, token.start, token.end + 1, token.text, word, quoted, depth))
        opens = token.token_type in (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.CASE)
        if opens:
            depth += 1
    return tuple(result)


def position(items: Sequence[Token], offset: int) -> int:
    """The index of the token that starts at this offset."""
    return bisect.bisect_left([token.start for token in items], offset)


def qualified_names(sql: str) -> set[tuple[str, str]]:
    """The names with a schema before them, as (schema, name). A name in a string is not one of them."""
    items = tokens(sql)
    return {
        (first.word, second.word)
        for first, dot, second in zip(items, items[1:], items[2:], strict=False)
        if dot.text == "."
    }


def line_of(text: str, offset: int) -> int:
    """The line, from 1, that an offset is on."""
    return text.count("\n", 0, offset) + 1


@dataclass(frozen=True, order=True)
class Edit:
    """Put ``text`` in the place of what is from ``start`` up to ``end``."""

    start: int
    end: int
    text: str


def splice(sql: LiteralString, edits: Iterable[Edit]) -> LiteralString:
    """The text with all edits made; nothing else of it moves. Edits do not overlap.

    An edit's text holds no SQL of others: it is callctl's own, or from :func:`identifier` and :func:`literal`.
    """
    parts: list[str] = []
    last = 0
    for edit in sorted(set(edits)):
        if edit.start < last:
            raise ValueError(f"edits overlap at offset {edit.start}")
        parts += (sql[last : edit.start], edit.text)
        last = edit.end
    return "".join((*parts, sql[last:]))


def with_query(sql: LiteralString, name: str, query: str) -> LiteralString:
    """The text with another query in the parentheses that it names: ``name AS (…)``, or ``(…) AS name``.

    Raises ValueError if it names none so, or more than one.
    """
    stream = tokens(sql)
    spans = []
    for index, token in enumerate(stream):
        if not token.says(name):
            continue
        before, after = stream[max(index - 2, 0) : index], stream[index + 1 : index + 3]
        if len(after) == 2 and after[0].says("as") and after[1].type == TokenType.L_PAREN:
            spans.append((index + 2, _partner(stream, index + 2, 1)))
        elif len(before) == 2 and before[1].says("as") and before[0].type == TokenType.R_PAREN:
            spans.append((_partner(stream, index - 2, -1), index - 2))
    if len(spans) != 1:
        raise ValueError(f"{len(spans)} queries are named {name}")
    ((opening, closing),) = spans
    return splice(sql, [Edit(stream[opening].end, stream[closing].start, f"\n{query}\n")])


def _partner(stream: Sequence[Token], index: int, direction: int) -> int:
    """Return the index at which the parenthesis at ``index`` is closed (1) or was opened (-1)."""
    depth = 0
    while True:
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(stream[index].type, 0)
        if depth == 0:
            return index
        index += direction


def identifier(name: str) -> str:
    """A name as SQL writes it: bare where PostgreSQL would fold it to itself, else quoted."""
    if re.fullmatch(r"[a-z_][a-z0-9_$]*", name) and name not in RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A value as a string literal of unknown type, which PostgreSQL reads as the type it is compared with."""
    return "'" + str(value).replace("'", "''") + "'"
