"""For which companies calls are switched on: settings.features.callEnabled, the master administrator's alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callctl.database.actions import record_action
from callctl.errors import UNCHANGED, Code, Refused
from callctl.events import OnEvent, ignore
from callctl.redaction import is_utf8, printable
from callctl.statements.naming import read_naming
from callctl.stored_bytes import unknown_encoding
from callctl.tenants.operation import Operation, assert_applied, assert_stored, operation, question, rows

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

STEP = 12
_BRINGS = "the companies' flag"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# A name is a user's input: of a file that is no list of names, messages show the beginnings of its lines.
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Company:
    """A company as its row says.

    ``call_enabled`` is None if the flag is not set, which is as good as false, or is no boolean: then ``problem``
    says what is committed there. ``call_chatbots`` are enabled for calls and not deleted.
    """

    id: str
    slug: str | None
    name: str | None
    deleted: bool
    call_enabled: bool | None
    problem: str | None
    call_chatbots: int

    @property
    def taking_calls(self) -> int:
        """The number of chatbots that would take calls: enabled for calls, in an enabled company."""
        return self.call_chatbots if self.call_enabled else 0

    @property
    def title(self) -> str:
        """The company's name in messages."""
        return self.slug or self.id


@dataclass(frozen=True)
class Switch:
    """Companies that are switched on or off together: ``changing`` get another flag, ``unchanged`` have it already.

    The companies are as they were before.
    """

    enable: bool
    changing: tuple[Company, ...]
    unchanged: tuple[Company, ...]

    @property
    def call_chatbots(self) -> int:
        """The number of call-enabled chatbots that begin or cease to take calls."""
        return sum(company.call_chatbots if self.enable else company.taking_calls for company in self.changing)


def companies(connection: Connection, settings: Settings) -> tuple[Company, ...]:
    """Every company that is not deleted, by slug. Reads only.

    Raises Refused before step 12.
    """
    with question(connection, settings):
        assert_applied(connection, settings, STEP, _BRINGS)
        naming = read_naming(connection, settings.schema)
        values = {"ids": None, "slugs": None, "without_flag": False}
        return tuple(Company(*row) for row in rows(connection, naming, "tenants/companies/found.sql", values))


def choose(
    connection: Connection, settings: Settings, names: Sequence[str], *, enable: bool, without_flag: bool = False
) -> Switch:
    """The companies of these ids and slugs, and which of them have another flag. Reads only.

    ``without_flag``: every company in which no flag is stored, deleted or not, and no other; ``names`` are empty.

    Raises Refused before step 12, and if one is unknown, ambiguous, deleted, or has settings that cannot take the
    flag: the message has them all.
    """
    with question(connection, settings):
        assert_applied(connection, settings, STEP, _BRINGS)
        return _chosen(connection, settings, names, enable, without_flag=without_flag)


def switch(
    settings: Settings,
    names: Sequence[str],
    *,
    enable: bool,
    without_flag: bool = False,
    wait: bool = False,
    on_event: OnEvent = ignore,
) -> Switch:
    """Set the flag of these companies, all of them or none, in one transaction with its row of the audit trail.

    If all have it already, nothing at all is written. Raises as :func:`choose`, and LockHeld, StepFailed,
    Interrupted; then nothing was changed.
    """
    command = f"companies {'enable' if enable else 'disable'}"
    with operation(settings, command, wait=wait, on_event=on_event) as running:
        chosen = choose(running.connection, settings, names, enable=enable, without_flag=without_flag)
        if not chosen.changing:
            return chosen
        running.make_ready()
        listed = [company.id for company in (*chosen.changing, *chosen.unchanged)]
        return running.transaction("a company's row", lambda: _write(running, names, listed, enable, without_flag))


def _write(running: Operation, names: Sequence[str], ids: Sequence[str], enable: bool, without_flag: bool) -> Switch:
    connection, settings = running.connection, running.settings
    naming = read_naming(connection, settings.schema)
    rows(connection, naming, "tenants/companies/lock.sql", {"ids": ids})
    # What they were before they were locked may not be what they are. One that has been switched on since is left so.
    chosen = _chosen(connection, settings, ids if without_flag else names, enable, without_flag=without_flag)
    if not chosen.changing:
        return chosen
    values = {"ids": [company.id for company in chosen.changing], "enabled": enable}
    assert_stored(running, "companies", rows(connection, naming, "tenants/companies/write.sql", values))
    record_action(
        connection,
        running.command,
        {
            "companies": [
                {"id": company.id, "slug": company.slug, "before": company.call_enabled, "after": enable}
                for company in chosen.changing
            ]
        },
    )
    return chosen


# ---- the names ---------------------------------------------------------------------------------------------


def _chosen(
    connection: Connection, settings: Settings, names: Sequence[str], enable: bool, *, without_flag: bool = False
) -> Switch:
    naming = read_naming(connection, settings.schema)
    if without_flag:
        values = {"ids": list(names) or None, "slugs": None, "without_flag": True}
        every = [Company(*row) for row in rows(connection, naming, "tenants/companies/found.sql", values)]
        if unfit := [
            f"{candidate.id}: its {candidate.problem}" for candidate in every if candidate.problem is not None
        ]:
            raise _refusal(unfit, len(every), enable)
        return Switch(enable, tuple(every), ())
    wanted = list(dict.fromkeys(names))
    ids = [name for name in wanted if _UUID.fullmatch(name)]
    values = {"ids": ids, "slugs": [name for name in wanted if _can_be_sent(connection, name)], "without_flag": False}
    matches = [Company(*row) for row in rows(connection, naming, "tenants/companies/found.sql", values)]
    by_name: dict[str, list[Company]] = {}
    for company in matches:
        by_name.setdefault(company.id, []).append(company)
        if company.slug is not None and company.slug != company.id:
            by_name.setdefault(company.slug, []).append(company)
    chosen: dict[str, Company] = {}
    problems: list[str] = []
    for name in wanted:
        found_one = _one(name, by_name)
        if isinstance(found_one, str):
            problems.append(f"{_shown(name)}: {found_one}")
        elif found_one.problem is not None:
            problems.append(f"{_shown(name)}: its {found_one.problem}")
        else:
            chosen[found_one.id] = found_one
    if problems:
        raise _refusal(problems, len(wanted), enable)
    changing = tuple(candidate for candidate in chosen.values() if candidate.call_enabled is not enable)
    return Switch(
        enable, changing, tuple(candidate for candidate in chosen.values() if candidate.call_enabled is enable)
    )


def _one(name: str, by_name: Mapping[str, Sequence[Company]]) -> Company | str:
    """The company of an id or a slug, or why there is none. One that is not deleted goes before one that is."""
    candidates = by_name.get(name.lower() if _UUID.fullmatch(name) else name) or by_name.get(name, ())
    if not candidates:
        return "no company has this id or slug"
    live = [candidate for candidate in candidates if not candidate.deleted]
    if len(live) > 1:
        return (
            f"{len(live)} companies have this slug; name one by its id: {', '.join(candidate.id for candidate in live)}"
        )
    return live[0] if live else "is deleted"


def _refusal(problems: Iterable[str], named: int, enable: bool) -> Refused:
    listed = list(problems)
    which = f"{len(listed)} of {named} companies" if named > 1 else "this company"
    lines = "".join(f"\n  {line}" for line in listed)
    return Refused(
        Code.COMPANY_UNFIT,
        f"{which} cannot be switched {'on' if enable else 'off'}; {UNCHANGED}{lines}",
        hint="fix the settings of these companies or remove them from the list; callctl companies list shows the"
        " state of each",
    )


def _can_be_sent(connection: Connection, name: str) -> bool:
    """Return whether this server can have such text: no NUL, and bytes that are not UTF-8 only in SQL_ASCII."""
    return "\0" not in name and (is_utf8(name) or unknown_encoding(connection))


def _shown(name: str) -> str:
    """A name as messages say it: short, and without what a terminal would obey."""
    text = printable(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"
