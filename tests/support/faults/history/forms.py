"""The type and the flags of a row: what may be true of them after a write, by the reading of the specification.

A row is described by a set of possible states. Where the reading leaves a choice (a type that the mapping does not know
beside a hybrid; a value written away and back while no trigger of callctl's exists), all choices are in the set.
Nothing here knows callctl's triggers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from tests.support.faults.history.records import Row, Value

Flags: TypeAlias = tuple[bool, bool]  # chat, call
CHAT: Flags = (True, False)
CALL: Flags = (False, True)
DEFAULT_TYPE = "chat"


class Saved(NamedTuple):
    """Both forms at the first write while a form's columns were missing: what callctl may have saved of that form."""

    missing: Literal["type", "flags"]
    type: str | None
    flags: Flags


class State(NamedTuple):
    """Both forms of a row, whether or not both columns exist."""

    type: str | None
    flags: Flags
    saved: Saved | None = None

    def kept(self, missing: Literal["type", "flags"]) -> Saved:
        """The saved pair of a form that is missing now."""
        if self.saved is not None and self.saved.missing == missing:
            return self.saved
        return Saved(missing, self.type, self.flags)


States: TypeAlias = frozenset[State]


def flags_of_type(kind: str | None) -> Flags:
    """The specification's mapping."""
    return CALL if kind == "call" else CHAT


def type_of_flags(flags: Flags) -> str:
    """The mapping back: a hybrid counts as chat."""
    return "call" if flags == CALL else "chat"


def agree(kind: str | None, flags: Flags) -> bool:
    """True if the type says the same as the flags, as far as a type can."""
    return (kind == "call") == (flags == CALL)


def flags_in(row: Row | None) -> Flags | None:
    """The flags in a row, None where it has none."""
    if row is None or row.get("chat") is None or row.get("call") is None:
        return None
    return row["chat"] == "true", row["call"] == "true"


def inserted(values: Mapping[str, Value], *, type_exists: bool, flags_exist: bool) -> States:
    """The states of a row inserted with these values: flags that differ from their defaults win, else the type."""
    kind = _text(values["type"]) if "type" in values else DEFAULT_TYPE
    flags = _applied(CHAT, values)
    if not type_exists:
        return frozenset({State(type_of_flags(flags), flags)})
    if not flags_exist or flags == CHAT:
        return frozenset({State(kind, flags_of_type(kind))})
    return frozenset(State(name, flags) for name in _types_beside(flags, kind, named="type" in values))


def updated(states: Iterable[State], values: Mapping[str, Value], old: Row | None, new: Row) -> States:
    """The states after an UPDATE that names these values; ``old`` and ``new`` say which columns exist and held what."""
    type_exists, flags_exist = "type" in new, flags_in(new) is not None
    names_type, names_flags = "type" in values, "chat" in values or "call" in values
    before = flags_in(old)
    after: set[State] = set()
    for state in states:
        if names_flags:
            bases = {state.flags} if before is None else {state.flags, before}
            if "chat" in values and "call" in values:
                bases = {CHAT}
            for base in bases:
                flags = _applied(base, values)
                if names_type:
                    after |= _both(state, _text(values["type"]), flags, before)
                else:
                    after |= _flags(state, flags, old, type_exists=type_exists)
        elif names_type:
            after |= _type(state, _text(values["type"]), before, flags_exist=flags_exist)
        else:
            after.add(state)
    return frozenset(after)


def _applied(base: Flags, values: Mapping[str, Value]) -> Flags:
    chat, call = base
    if "chat" in values:
        chat = values["chat"] == "true"
    if "call" in values:
        call = values["call"] == "true"
    return chat, call


def _text(value: Value) -> str | None:
    assert value is None or isinstance(value, str)
    return value


def _types_beside(flags: Flags, kind: str | None, *, named: bool) -> set[str | None]:
    """The types that may stand beside flags that were written, given the type that is there or named."""
    if not agree(kind, flags):
        return {type_of_flags(flags)}
    if kind in ("chat", "call"):
        return {kind}
    # A type that the mapping does not know: kept by a row whose forms agree, or overwritten by the form that wins.
    return {kind} if named and flags == CHAT else {kind, "chat"}


def _both(state: State, kind: str | None, flags: Flags, before: Flags | None) -> set[State]:
    """The flags win, unless the statement leaves them at what they were."""
    after: set[State] = set()
    if before is None or flags != before:
        after |= {State(name, flags) for name in _types_beside(flags, kind, named=True)}
    if before is None or flags == before:
        after |= _type(state, kind, before, flags_exist=True)
    return after


def _type(state: State, kind: str | None, before: Flags | None, *, flags_exist: bool) -> set[State]:
    """The type was written, and the flags were not."""
    if flags_exist:
        if kind != "chat":
            return {State(kind, flags_of_type(kind))}
        # A hybrid stays one: 'chat' says the same of it. Where the flags column does not hold it yet (not filled,
        # or written by a session without triggers), the type may as well win against it.
        kept = {flags for flags in (state.flags, before) if flags is not None and agree(kind, flags)} or {CHAT}
        if before is not None and before != state.flags:
            kept.add(CHAT)
        return {State(kind, flags) for flags in kept}
    saved = state.kept("flags")
    options = {flags_of_type(kind)}
    if agree(kind, state.flags) and (kind == "chat" or kind == state.type):
        options.add(state.flags)
    if kind == saved.type:
        options.add(saved.flags)
    return {State(kind, flags, saved) for flags in options}


def _flags(state: State, flags: Flags, old: Row | None, *, type_exists: bool) -> set[State]:
    """The flags were written, and the type was not."""
    if type_exists:
        kinds = _types_beside(flags, state.type, named=False)
        if old is not None and "type" in old and agree(old["type"], flags):
            kinds |= _types_beside(flags, old["type"], named=False)  # a type that is not filled yet
        return {State(kind, flags) for kind in kinds}
    saved = state.kept("type")
    kinds = _types_beside(flags, state.type, named=False)
    if flags == saved.flags:
        kinds.add(saved.type)
    return {State(kind, flags, saved) for kind in kinds}
