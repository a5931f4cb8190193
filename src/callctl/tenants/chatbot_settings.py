"""The call settings of the chatbots: which are not as they should be, and defaults for those that have none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from callctl.database.actions import record_action
from callctl.database.pace import Pace
from callctl.errors import Interrupted, Refused
from callctl.events import OnEvent, RotationProgress, ignore
from callctl.statements.naming import Naming, read_naming
from callctl.tenants.call_settings import load_schema, parse
from callctl.tenants.operation import (
    NOTHING,
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
    """So many chatbots have a voice of a provider whose voices nobody has listed: those were not checked."""

    provider: str
    chatbots: int


@dataclass(frozen=True)
class Checked:
    """What a check of all call-enabled chatbots, ``chatbots`` of them, has found."""

    chatbots: int
    offences: tuple[Offence, ...]
    unlisted: tuple[Unlisted, ...]

    @property
    def missing(self) -> int:
        """How many have no call settings at all."""
        return sum(each.path == "call" and each.reason.startswith("is missing") for each in self.offences)


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

    Raises Refused before step 12, and where a question takes longer than ``statement_timeout``.
    """
    with question(connection, settings):
        assert_applied(connection, settings, STEP, _BRINGS)
        naming = read_naming(connection, settings.schema)
        missing = rows(connection, naming, "tenants/settings/missing.sql", {})
        offences = [Offence(id, company, deleted, *_without(shape)) for id, company, deleted, shape in missing]
        without = {each.chatbot_id for each in offences}
        found = offenders(connection, naming, _CHECKS) - without
        offences += _offences(connection, naming, sorted(found))
        totals: dict[str | None, int] = dict(rows(connection, naming, "tenants/settings/totals.sql", {}))
        unlisted = (Unlisted(name, totals.get(name, 0)) for name in load_schema().unlisted)
        return Checked(
            sum(totals.values()),
            tuple(sorted(offences, key=lambda each: each.chatbot_id)),
            tuple(each for each in unlisted if each.chatbots),
        )


def _without(shape: str | None) -> tuple[str, str]:
    if shape is not None:
        return "settings", f"is not an object but {shape}"
    (problem,) = load_schema().problems(None)
    return problem


def _offences(connection: Connection, naming: Naming, ids: list[str]) -> Iterator[Offence]:
    for start in range(0, len(ids), _AT_ONCE):
        found = rows(connection, naming, "tenants/settings/rows.sql", {"ids": ids[start : start + _AT_ONCE]})
        for id, company, deleted, call in found:
            for problem in load_schema().problems(parse(call)):
                yield Offence(id, company, deleted, *problem)


def missing(connection: Connection, settings: Settings) -> Missing:
    """The chatbots that :func:`init` would write. Reads only.

    Raises Refused before step 12, and where settings that are no object could not hold call settings: it names them.
    """
    with question(connection, settings):
        assert_applied(connection, settings, STEP, _BRINGS)
        found = rows(connection, read_naming(connection, settings.schema), "tenants/settings/missing.sql", {})
    odd = [f"\n  {id}: settings is not an object but {shape}" for id, _, _, shape in found if shape is not None]
    if odd:
        number = "1 chatbot" if len(odd) == 1 else f"{len(odd):,} chatbots"
        raise Refused(
            f"the settings of {number} cannot hold call settings; {NOTHING}{''.join(odd)}",
            hint="UPDATE these chatbots' settings to an object, then run the same command again",
        )
    return Missing(tuple(row[0] for row in found), sum(row[2] for row in found))


def init(settings: Settings, *, wait: bool = False, on_event: OnEvent = ignore) -> Given:
    """Give every call-enabled chatbot without call settings the defaults of the schema, ``batch_size`` a transaction.

    Each transaction adds its own row to the audit trail. What stands is left alone. Raises as :func:`missing`, and
    LockHeld, StepFailed, Interrupted: the message says how many have them; the same command goes on from there.
    """
    with operation(settings, "settings init", wait=wait, on_event=on_event) as running:
        found = missing(running.connection, settings)
        if not found.chatbots:
            return Given(())
        running.make_ready()
        done: list[str] = []
        pace = Pace(settings, running.connection, on_event)
        naming = read_naming(running.connection, settings.schema)

        def state() -> str:
            return f"{len(done):,} of {len(found.chatbots):,} chatbots have the defaults" if done else NOTHING

        try:
            while True:
                above = done[-1] if done else None
                batch = running.transaction("a chatbot's row", partial(_batch, running, naming, above), state)
                if not batch:
                    return Given(tuple(done))
                done += batch
                on_event(RotationProgress(len(done), max(len(done), len(found.chatbots)), 0, 0.0))
                pace.keep()
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; {state()}", hint="run the same command again") from None


def _batch(running: Operation, naming: Naming, above: str | None) -> list[str]:
    values = {"above": above, "limit": running.settings.batch_size}
    written = sorted(rows(running.connection, naming, "tenants/settings/init.sql", values))
    assert_stored(running, "chatbots", written)
    if written:
        record_action(running.connection, running.command, {"chatbots": [row[0] for row in written]})
    return [row[0] for row in written]
