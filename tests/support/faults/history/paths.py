"""The settings documents: what a client's write makes of one, and the one path of each that callctl may write."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import Any

from tests.support.faults.history.records import Patch, Value, View

ABSENT = "absent"  # no JSON text: a string would have quotes
EMPTY = "no call settings, or the defaults"
PATHS = {"companies": ("features", "callEnabled"), "chatbots": ("call",)}


def load(text: str | None) -> Any:
    """A settings document; numbers keep their digits. None is SQL NULL."""
    return None if text is None else json.loads(text, parse_float=str)


def dump(value: Any) -> str:
    """One text for equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def meant(old: str | None, value: Value) -> Any:
    """The document that a write means: the whole one, or the old one with one path changed."""
    if not isinstance(value, Patch):
        return load(value)
    document = load(old)
    if value.remove:
        document = copy.deepcopy(document)
        _remove(document, value.path)
        return document
    return _set(document, value.path, load(json.dumps(value.value)))


def _set(document: Any, path: tuple[str, ...], value: Any) -> Any:
    """As the clients' SQL does it: what is no object on the way is replaced by one."""
    if not path:
        return copy.deepcopy(value)
    members = dict(document) if isinstance(document, dict) else {}
    members[path[0]] = _set(members.get(path[0]), path[1:], value)
    return members


def _remove(document: Any, path: tuple[str, ...]) -> None:
    for name in path[:-1]:
        document = document.get(name) if isinstance(document, dict) else None
    if isinstance(document, dict):
        document.pop(path[-1], None)


def at_path(table: str, document: Any) -> str:
    """The value at the feature's path, as text; ABSENT where it is not there."""
    for name in PATHS[table]:
        if not isinstance(document, dict) or name not in document:
            return ABSENT
        document = document[name]
    return dump(document)


def beside_path(table: str, document: Any) -> str:
    """Everything but the feature's path; containers that hold nothing else count as absent."""
    rest = copy.deepcopy(document)
    _remove(rest, PATHS[table])
    if isinstance(rest, dict) and table == "companies" and rest.get("features") in (None, {}):
        rest.pop("features", None)
    return dump(rest or {})


@dataclass
class PathStates:
    """The values that the feature's path may have in the state before the migration, and in the one after it."""

    down: set[str]
    up: set[str]
    down_left: set[str] = field(default_factory=set)  # what callctl has left since the last up ended
    up_left: set[str] = field(default_factory=set)  # what may be saved beside it

    def left(self, value: str) -> None:
        """callctl has left this value: written away and back, it may be put back, or what was saved beside it."""
        self.down_left.add(value)
        self.up_left |= self.up


class Paths:
    """The rules of both paths; ``default_call`` are the call settings that a chatbot without any gets."""

    def __init__(self, default_call: Any) -> None:
        self._default = dump(load(json.dumps(default_call)))

    def up_value(self, table: str, value: str) -> str:
        """One text for the values that the state after the migration does not tell apart."""
        if table == "chatbots" and value in (ABSENT, "null", "{}", self._default):
            return EMPTY
        return value

    def _brought_up(self, table: str, value: str) -> set[str]:
        """The value that a migration makes of one from before it."""
        if table == "companies" and value == ABSENT:
            return {"false"}
        return {self.up_value(table, value)}

    def is_default(self, table: str, value: str) -> bool:
        """True for what a migration fills in where there is nothing."""
        return self.up_value(table, value) == (EMPTY if table == "chatbots" else "false")

    def seen(self, table: str, states: PathStates, value: str, view: View) -> None:
        """The value that is there when a direction has ended."""
        if view == "up":
            # A company without the flag is off; the next way up says so in the row.
            states.up = {self.up_value(table, value)} | self._brought_up(table, value)
            states.down_left, states.up_left = set(states.down), set(states.up)
        elif view == "down":
            states.down = {value}
            states.left(value)

    def inserted(self, table: str, value: str, view: View) -> PathStates:
        """A row that a client has inserted."""
        if view == "down":
            return PathStates({value}, self._brought_up(table, value))
        # Made while the feature is there: down removes the path, which had no value before.
        return PathStates({value, ABSENT}, {self.up_value(table, value)} | self._brought_up(table, value))

    def written(self, table: str, states: PathStates, value: str, view: View) -> None:
        """A client has written the document; ``value`` is at the path now."""
        brought = self._brought_up(table, value)
        if view == "up":
            states.up = {self.up_value(table, value)} | brought
            return
        # Written back to what callctl left there while nothing of callctl's was there to see it: put back, or not.
        unseen = states.up_left if value in states.down_left else set()
        if view == "down":
            states.down, states.up = {value}, brought | unseen
            return
        if value in states.down:
            unseen = unseen | states.up
        states.down.add(value)
        states.up = brought | unseen | {self.up_value(table, value)}

    def possible(self, table: str, states: PathStates, value: str, view: View) -> bool:
        """True if the value may be there in that state of the database."""
        in_down, in_up = value in states.down, self.up_value(table, value) in states.up
        return {"down": in_down, "up": in_up, "moving": in_down or in_up}[view]
