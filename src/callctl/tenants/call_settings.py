"""The call settings of chatbots: what the schema allows, which chatbots differ, and defaults for those without.

That file is the one truth. callctl reads the keywords of JSON Schema that it uses, and no others; the SQL of step 12
and of verify says the same, and tests hold the two against each other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from callctl.database.actions import record_action
from callctl.database.pace import Pace
from callctl.errors import UNCHANGED, Code, Interrupted, Refused, State
from callctl.events import OnEvent, RotationProgress, ignore
from callctl.files import read_sql
from callctl.statements.naming import Naming, read_naming
from callctl.tenants.operation import (
    Operation,
    assert_applied,
    assert_stored,
    offenders,
    operation,
    question,
    rows,
)

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# The call settings of a chatbot as ``sql/call-settings.schema.json`` has them: defaults, ranges, voices.

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
    """A fault of one field. ``reason`` never holds what is there, unless it is a number."""

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
        """Why ``value`` (JSON with numbers as Decimal) may not are there; None if it may."""
        if not _is(self.kind, value):
            actual = f" but {_number(value)}" if isinstance(value, Decimal) else ""
            return f"is not {_IN_WORDS[self.kind]}{actual}"
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:
            return f"is {_number(value)}, not from {self.low} to {self.high}"
        if self.one_of and value not in self.one_of:
            return f"is not one of {', '.join(self.one_of)}"
        if self.longest is not None and len(value) > self.longest:
            return f"has {len(value):,} characters, and at most {self.longest} are allowed"
        if self.pattern is not None and not re.fullmatch(self.pattern.removeprefix("^").removesuffix("$"), value):
            return f"does not have the form of {self.default}"
        return None


@dataclass(frozen=True)
class Schema:
    """All fields in their order, and the voices of the providers whose voices are known."""

    fields: tuple[Field, ...]
    voices: Mapping[str, tuple[str, ...]]

    @property
    def unlisted(self) -> tuple[str, ...]:
        """The providers for which there is no list of voices."""
        providers = next(field.one_of for field in self.fields if field.path == ("voiceProvider",))
        return tuple(name for name in providers if name not in self.voices)

    def defaults(self) -> dict[str, Any]:
        """``settings.call`` as a new chatbot gets it, numbers as Decimal."""
        document: dict[str, Any] = {}
        for field in self.fields:
            if field.kind != "object":
                inner = document
                for part in field.path[:-1]:
                    inner = inner.setdefault(part, {})
                inner[field.path[-1]] = field.default
        return document

    def problems(self, call: Any) -> Iterator[Problem]:
        """Yield the faults of these call settings (JSON with numbers as Decimal), field by field."""
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
                yield Problem(field.name, "is missing, and a chatbot that takes calls needs the setting")
        provider, voice = call.get("voiceProvider"), call.get("voiceId")
        voices = self.voices.get(provider) if isinstance(provider, str) else None
        if voices is not None and isinstance(voice, str) and voice not in voices:
            yield Problem("voiceId", f"is not one of {provider}'s voices: {', '.join(voices)}")


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
    for name, schema in properties.items():
        assert schema.keys() <= KEYWORDS, f"{SOURCE}: {name} has a keyword that callctl does not read"
        path = (*above, name)
        yield Field(
            path,
            schema["type"],
            name in required,
            schema["description"],
            schema.get("default"),
            tuple(schema.get("enum", ())),
            schema.get("minimum"),
            schema.get("maximum"),
            int(schema["maxLength"]) if "maxLength" in schema else None,
            schema.get("pattern"),
        )
        yield from _fields(schema.get("properties", {}), path, ())


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
    """Return whether something is at a path, and what."""
    value: Any = call
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return False, None
        value = value[part]
    return True, value


# The call settings of the chatbots: which are not as they should be, and defaults for those that have none.

STEP = 12
_BRINGS = "the chatbots' call settings"
# verify's own questions: they know every chatbot that offends, and this module says of each what is wrong.
_CHECKS = ("verify/call_settings_range.sql", "verify/call_settings_voice.sql", "verify/call_settings_voice_known.sql")
_AT_ONCE = 1_000


@dataclass(frozen=True)
class Offence:
    """One thing that is wrong with a chatbot's call settings; ``path`` is below ``settings.call``, or that itself."""

    chatbot_id: str
    company_id: str
    deleted: bool
    path: str
    reason: str


@dataclass(frozen=True)
class Unlisted:
    """The number of chatbots with a voice of a provider without a list of voices: those were not checked."""

    provider: str
    chatbots: int


@dataclass(frozen=True)
class Checked:
    """The result of a check of all call-enabled chatbots, ``chatbots`` of them."""

    chatbots: int
    offences: tuple[Offence, ...]
    unlisted: tuple[Unlisted, ...]

    @property
    def missing(self) -> int:
        """The number of chatbots without any call settings."""
        return sum(offence.path == "call" and offence.reason.startswith("is missing") for offence in self.offences)


@dataclass(frozen=True)
class Missing:
    """The call-enabled chatbots without call settings, which ``settings init`` would give the defaults."""

    chatbots: tuple[str, ...]
    deleted: int


@dataclass(frozen=True)
class Given:
    """The chatbots that have got the defaults."""

    chatbots: tuple[str, ...]


def check(connection: Connection, settings: Settings) -> Checked:
    """Hold the call settings of every call-enabled chatbot, deleted or not, against the schema. Reads only.

    Raises Refused before step 12, and if a question takes longer than ``statement_timeout``.
    """
    with question(connection, settings):
        assert_applied(connection, settings, STEP, _BRINGS)
        naming = read_naming(connection, settings.schema)
        missing = rows(connection, naming, "tenants/settings/missing.sql", {})
        offences = [Offence(id, company, deleted, *_without(shape)) for id, company, deleted, shape in missing]
        without = {offence.chatbot_id for offence in offences}
        chatbot_ids = offenders(connection, naming, _CHECKS) - without
        offences += _offences(connection, naming, sorted(chatbot_ids))
        totals: dict[str | None, int] = dict(rows(connection, naming, "tenants/settings/totals.sql", {}))
        unlisted = (Unlisted(name, totals.get(name, 0)) for name in load_schema().unlisted)
        return Checked(
            sum(totals.values()),
            tuple(sorted(offences, key=lambda offence: offence.chatbot_id)),
            tuple(provider for provider in unlisted if provider.chatbots),
        )


def _without(shape: str | None) -> tuple[str, str]:
    if shape is not None:
        return "settings", f"is not an object but {shape}"
    (problem,) = load_schema().problems(None)
    return problem


def _offences(connection: Connection, naming: Naming, ids: list[str]) -> Iterator[Offence]:
    for start in range(0, len(ids), _AT_ONCE):
        page = rows(connection, naming, "tenants/settings/rows.sql", {"ids": ids[start : start + _AT_ONCE]})
        for id, company, deleted, call in page:
            for problem in load_schema().problems(parse(call)):
                yield Offence(id, company, deleted, *problem)


def missing(connection: Connection, settings: Settings) -> Missing:
    """The chatbots that :func:`init` would write. Reads only.

    Raises Refused before step 12, and if settings that are no object could not hold call settings: it names them.
    """
    with question(connection, settings):
        assert_applied(connection, settings, STEP, _BRINGS)
        records = rows(connection, read_naming(connection, settings.schema), "tenants/settings/missing.sql", {})
    odd = [f"\n  {id}: settings is not an object but {shape}" for id, _, _, shape in records if shape is not None]
    if odd:
        number = "1 chatbot" if len(odd) == 1 else f"{len(odd):,} chatbots"
        raise Refused(
            Code.SETTINGS_UNFIT,
            f"the settings of {number} cannot hold call settings; {UNCHANGED}{''.join(odd)}",
            hint="change the settings of these chatbots to an object, then run the same command again",
        )
    return Missing(tuple(id for id, *_ in records), sum(deleted for _, _, deleted, _ in records))


def init(settings: Settings, *, wait: bool = False, on_event: OnEvent = ignore) -> Given:
    """Give every call-enabled chatbot without call settings the defaults of the schema, ``batch_size`` a transaction.

    Each transaction adds its own row to the audit trail. What is is left alone. Raises as :func:`missing`, and
    LockHeld, StepFailed, Interrupted: the message says how many have them; the same command resumes from there.
    """
    with operation(settings, "settings init", wait=wait, on_event=on_event) as running:
        gaps = missing(running.connection, settings)
        if not gaps.chatbots:
            return Given(())
        running.make_ready()
        ids: list[str] = []
        pace = Pace(settings, running.connection, on_event)
        naming = read_naming(running.connection, settings.schema)

        def state() -> State:
            done = f"{len(ids):,} of {len(gaps.chatbots):,} chatbots have the defaults"
            return State("partly done", done) if ids else UNCHANGED

        try:
            while True:
                above = ids[-1] if ids else None
                batch = running.transaction("a chatbot's row", partial(_batch, running, naming, above), state)
                if not batch:
                    return Given(tuple(ids))
                ids += batch
                on_event(RotationProgress(len(ids), max(len(ids), len(gaps.chatbots)), 0, 0.0))
                pace.keep()
        except KeyboardInterrupt:
            left = state()
            raise Interrupted(
                Code.INTERRUPTED, f"interrupted; {left}", hint="run the same command again", state=left
            ) from None


def _batch(running: Operation, naming: Naming, above: str | None) -> list[str]:
    values = {"above": above, "limit": running.settings.batch_size}
    written = sorted(rows(running.connection, naming, "tenants/settings/init.sql", values))
    assert_stored(running, "chatbots", written)
    ids = [id for id, *_ in written]
    if ids:
        record_action(running.connection, running.command, {"chatbots": ids})
    return ids
