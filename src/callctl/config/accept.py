"""The section of callctl.yaml about differences between the catalog and the specification that are meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from callctl.config.values import Unusable

_ENTRIES = ("object", "difference", "reason")
_HINT = "write a list of entries under `accept:`, each with object, difference and reason; callctl verify prints them"


@dataclass(frozen=True)
class Accepted:
    """A difference of the catalog that verify does not fail on.

    ``object`` and ``difference`` as verify prints them, with single spaces; ``reason`` for the reader.
    """

    object: str
    difference: str
    reason: str


def accept(value: object, directory: Path) -> tuple[Accepted, ...]:
    """The section ``accept``. Raises Unusable."""
    if not isinstance(value, list):
        raise Unusable("is not a list of entries", _HINT)
    found: list[Accepted] = []
    for number, each in enumerate(value):
        entry = _entry(each, f"[{number}]")
        if (entry.object, entry.difference) in {(other.object, other.difference) for other in found}:
            raise Unusable(f"[{number}] is a duplicate of an entry above it", "keep one of the two")
        found.append(entry)
    return tuple(found)


def _entry(value: object, where: str) -> Accepted:
    if not isinstance(value, dict):
        raise Unusable(f"{where} is not an entry of object, difference and reason", _HINT)
    for name in value:
        if name not in _ENTRIES:
            raise Unusable(f"{where} has an unknown entry {name!r}", f"the entries are {', '.join(_ENTRIES)}")
    texts = []
    for name in _ENTRIES:
        text = value.get(name)
        if not isinstance(text, str) or not text.strip():
            raise Unusable(f"{where} has no {name}", "give it a text, in quotes where it holds `: ` or ` #`")
        texts.append(" ".join(text.split()))
    return Accepted(*texts)
