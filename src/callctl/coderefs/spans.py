"""What the lexers of source code answer with: which stretches of a text are strings, and which are comments."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a stretch of source text is to the language it is written in."""

    CODE = "code"
    STRING = "string"
    SQL = "sql"
    COMMENT = "comment"


@dataclass(frozen=True)
class Span:
    """``text[start:end]``; a string's or a comment's own marks belong to it."""

    start: int
    end: int
    kind: Kind


@dataclass(frozen=True)
class Spans:
    """The strings and comments of a text, in order and without overlap. What lies between is ``between``.

    ``sure`` is false where the lexer lost its way (a quote or a bracket that never closes). A comment in such
    a text may be anything, so :meth:`kind` calls none one.
    """

    spans: tuple[Span, ...]
    between: Kind = Kind.CODE
    sure: bool = True

    def kind(self, offset: int) -> Kind:
        """What the character at ``offset`` belongs to."""
        # One end mark serves all comparisons: a span that starts here has a lower one.
        place = bisect_right(self.spans, offset, key=lambda span: span.start) - 1
        if place < 0 or self.spans[place].end <= offset:
            return self.between
        kind = self.spans[place].kind
        return self.between if kind is Kind.COMMENT and not self.sure else kind

    def comments(self) -> tuple[Span, ...]:
        """What is surely a comment."""
        return tuple(span for span in self.spans if span.kind is Kind.COMMENT) if self.sure else ()


def shifted(spans: Spans, by: int) -> tuple[Span, ...]:
    """The spans of a text that stands ``by`` characters into a larger one."""
    return tuple(Span(span.start + by, span.end + by, span.kind) for span in spans.spans)
