"""String literals that are names: by a cast, or as the argument of to_regclass and its like."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from sqlglot import TokenType

from callctl.errors import Refused
from callctl.statements.naming import DOCUMENTED_SCHEMA, Naming
from callctl.statements.tokens import Edit, Token, identifier, literal

_REG = frozenset(
    "regclass regtype regproc regprocedure regoper regoperator regnamespace regcollation regconfig".split()  # noqa: SIM905
)
_SCHEMA = re.compile(r'(?<![\w$".])(?:(?i:chatapp)|"chatapp")(?=\s*\.)')


@lru_cache(maxsize=64)
def _pattern(words: frozenset[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(words))), re.IGNORECASE)


def mentioned(sql: str, naming: Naming) -> bool:
    """Whether a name that moves, or that one moves to, occurs in the text at all, if only in a comment."""
    words = {*naming.moved, *naming.actual}
    if naming.schema_moved:
        words.add(DOCUMENTED_SCHEMA)
    if words:
        words.add("natural")  # such a join depends on names that it does not mention
    return bool(words) and _pattern(frozenset(words)).search(sql) is not None


def cast_of(items: Sequence[Token], index: int) -> str:
    """The type that a string is cast to, if it says it is a name: ``regclass``, …, ``name``; else ``''``."""

    def word(at: int) -> str:
        return items[at].word or items[at].text.lower() if 0 <= at < len(items) else ""

    at = index + 2
    if word(index + 1) in ("::", "as"):
        if word(index + 1) == "as" and (word(index - 1), word(index - 2)) != ("(", "cast"):
            return ""
        if word(at) == "pg_catalog" and word(at + 1) == ".":
            at += 2
        return word(at) if word(at) in _REG or word(at) == "name" else ""
    function = word(index - 2)
    if word(index - 1) == "(" and word(index + 1) == ")" and function.startswith("to_reg"):
        return function.removeprefix("to_") if function.removeprefix("to_") in _REG else ""
    return ""


def _array_casts(items: Sequence[Token]) -> dict[int, str]:
    """Strings inside ``ARRAY[…]::name[]`` by index."""
    found: dict[int, str] = {}
    for index, token in enumerate(items):
        if token.text != "]" or index + 3 >= len(items) or items[index + 1].text != "::":
            continue
        kind = items[index + 2].word
        if (kind in _REG or kind == "name") and items[index + 3].text == "[":
            at = index - 1
            while at >= 0 and not (items[at].text == "[" and items[at].depth == token.depth):
                if items[at].type == TokenType.STRING:
                    found[at] = kind
                at -= 1
    return found


def literal_edits(
    items: Sequence[Token], naming: Naming, refuse: Callable[[int, str, str | None], Refused]
) -> list[Edit]:
    """The edits to the literals that are names.

    A column's name belongs to the nearest relation (``'chatapp.chatbots'::regclass``, or the row type in
    ``NULL::chatapp.chatbots``) before it.
    """
    edits: list[Edit] = []
    relation: str | None = None
    arrays = _array_casts(items)
    for index, token in enumerate(items):
        if token.type != TokenType.STRING:
            relation = _row_type(items, index) or relation
            continue
        kind = arrays.get(index) or cast_of(items, index)
        if not kind:
            continue
        is_array = index not in arrays and index + 3 < len(items) and items[index + 3].text == "["
        text = token.text
        if is_array and mentioned(text, naming):
            raise refuse(token.start, f"callctl does not look into '{text}'", f"write ARRAY[…]::{kind}[]")
        if kind == "name":
            edits += _name(token, relation, naming, refuse)
            continue
        moved = text
        if kind == "regnamespace":
            if naming.schema_moved and text.strip().lower() in (DOCUMENTED_SCHEMA, f'"{DOCUMENTED_SCHEMA}"'):
                moved = identifier(naming.schema)
        elif naming.schema_moved:
            moved = _SCHEMA.sub(lambda _: identifier(naming.schema), text)
        if kind == "regclass":
            relation = re.sub(r'^.*\.|"', "", text).strip().lower()
        if moved != text:
            edits.append(Edit(token.start, token.end, literal(moved)))
    return edits


def _row_type(items: Sequence[Token], index: int) -> str | None:
    """The table of ``NULL::schema.table`` whose ``NULL`` stands here."""
    after = items[index + 1 : index + 5]
    if items[index].word != "null" or len(after) < 4 or (after[0].text, after[2].text) != ("::", "."):
        return None
    return after[3].word or None


def _name(
    token: Token, relation: str | None, naming: Naming, refuse: Callable[[int, str, str | None], Refused]
) -> list[Edit]:
    if token.text == DOCUMENTED_SCHEMA and naming.schema_moved:
        return [Edit(token.start, token.end, literal(naming.schema))]
    if token.text not in naming.moved:
        return []
    if relation is None:
        raise refuse(
            token.start,
            f"cannot tell which table '{token.text}'::name is a column of",
            "a '…'::regclass literal or NULL::table before it says which",
        )
    table = naming.tables.get(relation)
    if table is None or token.text not in table.moved:
        return []
    if token.text in table.absent:
        return [Edit(token.start, token.end, "NULL")]
    return [Edit(token.start, token.end, literal(table.columns[token.text]))]
