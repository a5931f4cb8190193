"""What could be a secret in a document, and no declared path reaches it because the document has another shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from callctl.secrets.envelope.fields import ACCOUNTS, ARRAY, CREDENTIALS, DECLARED, SecretField, walk
from callctl.secrets.envelope.format import Malformed, read
from callctl.secrets.rows.credentials import shown

# The names under which the specification keeps secrets in credentials, of whichever account type.
NAMES = frozenset(each.path[-1] for each in DECLARED if each.path)

# A place and why what is stored there was not read. Never the value.
Stray = tuple[str, str]


def could_hold(value: Any) -> bool:
    """Whether there is a text or a number anywhere in a value."""
    if isinstance(value, dict | list):
        return any(map(could_hold, value.values() if isinstance(value, dict) else value))
    return value is not None and value != "" and not isinstance(value, bool)


def strays(
    document: Any,
    fields: Iterable[SecretField],
    table: str,
    column: str,
    holds: Callable[[Any], bool] = could_hold,
) -> list[Stray]:
    """Where the document of a column could hold a secret that none of its ``fields`` reaches: each place once.

    That is so where a path meets another type than it says; and, in the credentials of an account, under the name of a
    secret in a place that no path leads to.
    """
    paths = [each for each in fields if each.path]
    found: dict[str, str] = {}
    met: list[Any] = []
    for field in paths:
        for place, value, wanted in _other_types(document, field.path, column):
            if holds(value):
                met.append(value)
                found[place] = (
                    f"misshapen: {wanted} is declared here, and {_type(value)} is stored; it was not encrypted"
                )
    if (table, column) == (ACCOUNTS, CREDENTIALS):
        reached = {(id(container), key) for _, container, key, _ in walk(document, paths)}
        for place, value in _named(document, column, reached, met):
            if holds(value):
                found.setdefault(place, "misshapen: no declared path leads to a secret here; it was not encrypted")
    return list(found.items())


def _other_types(value: Any, path: tuple[str, ...], place: str) -> Iterator[tuple[str, Any, str]]:
    """Where a path meets another type than it says: the place, what is there, and what should be."""
    if not path or value is None:
        return
    name, *rest = path
    if name == ARRAY:
        if not isinstance(value, list):
            yield place, value, "a list"
            return
        for each in value:
            yield from _other_types(each, tuple(rest), f"{place}{ARRAY}")
    elif not isinstance(value, dict):
        yield place, value, "an object"
    else:
        yield from _other_types(value.get(name), tuple(rest), f"{place}.{name}")


def _named(value: Any, place: str, reached: set[tuple[int, str | int]], met: list[Any]) -> Iterator[tuple[str, Any]]:
    """Every text under the name of a secret that is not among those ``reached``, nor in what was ``met`` already."""
    waiting = [(value, place)]
    while waiting:
        value, place = waiting.pop()
        if any(value is each for each in met):
            continue
        if isinstance(value, list):
            waiting += [(each, f"{place}{ARRAY}") for each in value]
        elif isinstance(value, dict):
            for name, each in value.items():
                if (id(value), name) in reached:
                    continue
                where = f"{place}.{shown(name)}"
                if name not in NAMES or isinstance(each, dict) or _is_envelope(each):
                    waiting.append((each, where))
                else:
                    yield where, each


def _type(value: Any) -> str:
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a single value"


def _is_envelope(value: Any) -> bool:
    try:
        return isinstance(value, str) and read(value) is not None
    except Malformed:
        return True
