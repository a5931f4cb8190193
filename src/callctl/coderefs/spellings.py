"""A column's name as programmers write it: chatbot_type, chatbotType, ChatbotType, CHATBOT_TYPE, chatbot-type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# What an escape in a string leaves right before a name: "SELECT id,\nchatbot_type" has no column nchatbot_type.
_ESCAPES = "abfnrtv0"


@dataclass(frozen=True)
class Named:
    """Where a text names a column: ``text[start:end]`` is the whole identifier.

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
        """Whether these bytes, in an encoding that contains ASCII, can name a column at all. Quick."""
        low = data.lower()
        return any(first in low for first in self._firsts) and self._low.search(low) is not None

    def find(self, text: str) -> Iterator[Named]:
        """Every identifier of a text that is or contains a column's name, each once, in order."""
        last = -1
        for found in self._name.finditer(text):
            if found.start() < last:
                continue
            hyphens = "-" in found[0]
            start, end = found.span()
            while start > 0 and _belongs(text[start - 1], hyphens):
                start -= 1
            while end < len(text) and _belongs(text[end], hyphens):
                end += 1
            if start < found.start() and text[start - 1 : start] == "\\" and text[start] in _ESCAPES:
                start += 1
            # -- of an option, $ of a variable: marks before a name, not letters of it.
            while start < found.start() and text[start] in "-$":
                start += 1
            last = end
            yield Named(start, end, exact=(start, end) == found.span())


def _belongs(character: str, hyphens: bool) -> bool:
    return character.isalnum() or character in "_$" or (hyphens and character == "-")


def _words(column: str) -> list[str]:
    """'chatbotType' and 'chatbot_type' -> ['chatbot', 'type']."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", column):
        raise ValueError(column)
    return [word.lower() for word in _WORD.findall(column)]
