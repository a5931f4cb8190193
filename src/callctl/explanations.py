"""The page of each code, in ``codes/*.md``, with four parts, of which ``Then`` may follow."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from callctl.errors import Code, Refused

_PAGES = Path(__file__).resolve().parent / "codes"
_PREFIX = "CALLCTL-"
_PART = re.compile(r"(Customers|Database|Run|Then): (.+)", re.DOTALL)


@dataclass(frozen=True)
class Explanation:
    """A situation: what it means, what customers see now, what is in the database, and what to run.

    ``id`` is a code, a finding's or a check's. A finding and a check say nothing of the database, and ``customers`` is
    why they matter.
    """

    id: str
    means: str
    customers: str
    run: str
    database: str | None = None
    then: str | None = None


@cache
def pages() -> Mapping[str, tuple[Explanation, ...]]:
    """The pages of all codes, by the heading that they are under."""
    headings: dict[str, list[Explanation]] = {}
    for path in sorted(_PAGES.glob("*.md")):
        for text in re.split(r"^# ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            heading, *codes = re.split(r"^## ", text, flags=re.MULTILINE)
            headings[heading.strip()] = [_page(code) for code in codes]
    return {heading: tuple(listed) for heading, listed in headings.items()}


def _page(text: str) -> Explanation:
    """The page that begins with its code. Raises KeyError if a part is missing."""
    code, means, *paragraphs = (" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
    parts = {match[1]: match[2] for paragraph in paragraphs if (match := _PART.fullmatch(paragraph))}
    return Explanation(code, means, parts["Customers"], parts["Run"], parts["Database"], parts.get("Then"))


def explained(name: str, others: Iterable[Explanation]) -> Explanation:
    """The page of a code, or what ``others`` say of a finding or a check; in any case, with or without the prefix.

    Raises Refused, with the nearest name, if there is none.
    """
    known = {page.id: page for listed in pages().values() for page in listed}
    known |= {other.id.upper(): other for other in others}
    asked = name.strip().strip("[]").upper().replace("_", "-")
    for candidate in (asked, _PREFIX + asked):
        if candidate in known:
            return known[candidate]
    names = {**{code.removeprefix(_PREFIX): page for code, page in known.items()}, **known}
    near = dict.fromkeys(names[match].id for match in difflib.get_close_matches(asked, names, 3))
    hint = f"run callctl explain {' or '.join(near)}" if near else "run callctl explain, which lists all codes"
    raise Refused(Code.NO_SUCH_CODE, f"no code, finding or check is called {name!r}", hint=hint)
