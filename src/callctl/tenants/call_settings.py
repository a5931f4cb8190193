"""The call settings of a chatbot as ``sql/call-settings.schema.json`` has them: defaults, ranges, voices.

That file is the one truth. callctl reads the keywords of JSON Schema that it uses, and no others; the SQL of step 12
and of verify says the same, and tests hold the two against each other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Literal, NamedTuple, TypeAlias

from callctl.files import read_sql

SOURCE = "call-settings.schema.json"
Kind: TypeAlias = Literal["string", "number", "integer", "boolean", "object"]
_IN_WORDS: Mapping[Kind, str] = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
}
KEYWORDS = frozenset("description type default enum minimum maximum maxLength pattern properties".split())  # noqa: SIM905


class Problem(NamedTuple):
    """What is wrong with one field. ``reason`` never holds what stands there, unless it is a number."""

    path: str
    reason: str


@dataclass(frozen=True)
class Field:
    """A field by its path, such as ``('voiceSettings', 'pitch')``; times are seconds."""

    path: tuple[str, ...]
    kind: Kind
    required: bool
    description: str
    default: Any
    one_of: tuple[str, ...]
    low: Decimal | None
    high: Decimal | None
    longest: int | None
    pattern: str | None

    @property
    def name(self) -> str:
        """The path as messages have it: ``voiceSettings.pitch``."""
        return ".".join(self.path)

    def problem(self, value: Any) -> str | None:
        """Why ``value`` (JSON with numbers as Decimal) may not stand there; None where it may."""
        if not _is(self.kind, value):
            said = f" but {_number(value)}" if isinstance(value, Decimal) else ""
            return f"is not {_IN_WORDS[self.kind]}{said}"
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:
            return f"is {_number(value)}, not from {self.low} to {self.high}"
        if self.one_of and value not in self.one_of:
            return f"is none of {', '.join(self.one_of)}"
        if self.longest is not None and len(value) > self.longest:
            return f"has {len(value):,} characters, and at most {self.longest} are allowed"
        if self.pattern is not None and not re.fullmatch(self.pattern.removeprefix("^").removesuffix("$"), value):
            return f"is not of the form of {self.default}"
        return None


@dataclass(frozen=True)
class Schema:
    """All fields in their order, and the voices of the providers whose voices are known."""

    fields: tuple[Field, ...]
    voices: Mapping[str, tuple[str, ...]]

    @property
    def unlisted(self) -> tuple[str, ...]:
        """The providers whose voices nobody has listed."""
        providers = next(field.one_of for field in self.fields if field.path == ("voiceProvider",))
        return tuple(name for name in providers if name not in self.voices)

    def defaults(self) -> dict[str, Any]:
        """``settings.call`` as a new chatbot gets it, numbers as Decimal."""
        made: dict[str, Any] = {}
        for field in self.fields:
            if field.kind != "object":
                inner = made
                for part in field.path[:-1]:
                    inner = inner.setdefault(part, {})
                inner[field.path[-1]] = field.default
        return made

    def problems(self, call: Any) -> Iterator[Problem]:
        """What is wrong with these call settings (JSON with numbers as Decimal), field by field."""
        if call is None or call == {}:
            yield Problem("call", "is missing: the chatbot has no call settings")
            return
        if not isinstance(call, Mapping):
            yield Problem("call", "is not an object")
            return
        for field in self.fields:
            there, value = _at(call, field.path)
            if there:
                reason = field.problem(value)
                if reason is not None:
                    yield Problem(field.name, reason)
            elif field.required:
                yield Problem(field.name, "is missing, and a chatbot that takes calls needs it")
        provider, voice = call.get("voiceProvider"), call.get("voiceId")
        voices = self.voices.get(provider) if isinstance(provider, str) else None
        if voices is not None and isinstance(voice, str) and voice not in voices:
            yield Problem("voiceId", f"is none of {provider}'s voices: {', '.join(voices)}")


@cache
def load_schema() -> Schema:
    """The schema that callctl brings."""
    document = parse(read_sql(SOURCE))
    fields = tuple(_fields(document["properties"], (), document["required"]))
    voices = {}
    for rule in document["allOf"]:
        provider = rule["if"]["properties"]["voiceProvider"]["const"]
        voices[provider] = tuple(rule["then"]["properties"]["voiceId"]["enum"])
    return Schema(fields, voices)


def parse(text: str) -> Any:
    """JSON with every number as a Decimal, so that 1.0 stays 1.0 and nothing is rounded."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def _fields(properties: Mapping[str, Any], above: tuple[str, ...], required: Sequence[str]) -> Iterator[Field]:
    for name, each in properties.items():
        assert each.keys() <= KEYWORDS, f"{SOURCE}: {name} has a keyword that callctl does not read"
        path = (*above, name)
        yield Field(
            path,
            each["type"],
            name in required,
            each["description"],
            each.get("default"),
            tuple(each.get("enum", ())),
            each.get("minimum"),
            each.get("maximum"),
            int(each["maxLength"]) if "maxLength" in each else None,
            each.get("pattern"),
        )
        yield from _fields(each.get("properties", {}), path, ())


def _is(kind: Kind, value: Any) -> bool:
    if kind == "integer":
        return isinstance(value, Decimal) and value == value.to_integral_value()
    kinds: Mapping[Kind, type] = {"string": str, "number": Decimal, "boolean": bool, "object": dict}
    return isinstance(value, kinds[kind])


def _number(value: Decimal) -> str:
    """A number as messages have it: PostgreSQL's may have a hundred thousand digits."""
    text = str(value)
    return text if len(text) <= 20 else f"{value:.3e}"


def _at(call: Mapping[str, Any], path: tuple[str, ...]) -> tuple[bool, Any]:
    """Whether something stands at a path, and what."""
    value: Any = call
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return False, None
        value = value[part]
    return True, value
