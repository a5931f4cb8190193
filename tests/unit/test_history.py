"""The judge of histories finds each kind of lost write, and nothing in a history that has none."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from tests.support.faults.history import forms, paths
from tests.support.faults.history.decoding import Decoder
from tests.support.faults.history.forms import CALL, CHAT, State
from tests.support.faults.history.judge import judge
from tests.support.faults.history.records import (
    FORMS,
    ClientTransaction,
    Commit,
    Finding,
    History,
    Mark,
    Outcome,
    Patch,
    Place,
    Row,
    Value,
    Version,
    View,
    Write,
    WriteKind,
)
from tests.support.faults.history.telling import tell

HYBRID = (True, True)
DEFAULT_CALL = {"voiceId": "alloy", "voiceSettings": {"speed": 1.0}}
BOT: Place = ("chatbots", "bot")
VOICE: Place = ("chatbots", "voice")
PACKAGE: Place = ("chatbot_packages", "package")
COMPANY: Place = ("companies", "company")
USER: Place = ("users", "user")
ROWS: Mapping[Place, Row] = {
    BOT: {"id": "bot", "name": "b", "type": "call", "settings": '{"mark": 1}'},
    VOICE: {"id": "voice", "name": "v", "type": "voice", "settings": None},
    PACKAGE: {"id": "package", "name": "p", "type": "chat"},
    COMPANY: {"id": "company", "name": "c", "settings": '{"features": {"x": 1}}'},
    USER: {"id": "user", "avatar_url": "https://example.com/a.png"},
}
WITH_FORMS = ("chatbots", "chatbot_packages")


def flag_columns(flags: tuple[bool, bool]) -> dict[str, str | None]:
    """The two columns of a pair of flags."""
    return {"chat": str(flags[0]).lower(), "call": str(flags[1]).lower()}


class Simulation:
    """A database in memory: it records the versions that a correct server and a correct callctl leave."""

    def __init__(self, rows: Mapping[Place, Row] = ROWS) -> None:
        self.rows: dict[Place, dict[str, str | None]] = {place: dict(row) for place, row in rows.items()}
        self.events: list[Commit | Mark] = []
        self.log: list[ClientTransaction] = []
        self._clock, self._xids = itertools.count(), itertools.count(700)
        self.mark("start", "down", "down")

    # ---- what happens ------------------------------------------------------------------------------

    def mark(self, label: str, view: View, next_view: View) -> None:
        """Look at every row."""
        self._view = next_view
        self.events.append(Mark(label, view, next_view, {place: dict(row) for place, row in self.rows.items()}))

    def moving(self) -> None:
        """callctl begins to work."""
        self.mark("a command begins", self._view, "moving")

    def client(
        self,
        *writes: Write,
        outcome: Outcome = "acknowledged",
        replica: bool = False,
        stored: Mapping[str, str | None] | None = None,
        written: bool = True,
        committed: bool = True,
        **more: Any,
    ) -> None:
        """One transaction. ``stored`` is in the row in place of what was meant; without ``written``, nothing is."""
        start, xid = next(self._clock), next(self._xids)
        versions: list[Version] = []
        done = []
        for write in writes:
            claimed = tuple(key for key in write.keys if self._touches(write, key))
            for key in claimed if written else ():
                versions.append(self._apply(write, key, replica, stored or {}))
            done.append(replace(write, claimed=claimed) if not write.claimed else write)
        if committed and versions and outcome == "acknowledged":
            self.events.append(Commit(xid, tuple(versions)))
        self.log.append(
            ClientTransaction("a client", start, next(self._clock), outcome, xid, tuple(done), replica, **more)
        )

    def callctl(self, place: Place, **changes: str | None) -> None:
        """callctl writes one row."""
        old, new = dict(self.rows[place]), {**self.rows[place], **changes}
        self.rows[place] = new
        self.events.append(Commit(next(self._xids), (Version("update", place[0], old, dict(new)),)))

    def raw(self, *versions: Version) -> None:
        """A transaction of no client."""
        self.events.append(Commit(next(self._xids), versions))

    def add_flags(self) -> None:
        """The flags columns, with their defaults; no row version."""
        for place, row in self.rows.items():
            if place[0] in WITH_FORMS:
                row |= flag_columns(CHAT)

    def add_type(self) -> None:
        """The type column, with its default."""
        for place, row in self.rows.items():
            if place[0] in WITH_FORMS:
                row["type"] = "chat"

    def drop(self, *names: str) -> None:
        """Columns."""
        for place, row in self.rows.items():
            if place[0] in WITH_FORMS:
                for name in names:
                    row.pop(name, None)

    def up(self, saved: Mapping[Place, tuple[bool, bool]] | None = None) -> None:
        """All steps but the drops: backfill, saved flags back, settings."""
        self.moving()
        self.add_flags()
        self.fill_flags(saved)
        for place, row in list(self.rows.items()):
            document = paths.load(row.get("settings"))
            if place[0] == "companies" and paths.at_path("companies", document) == paths.ABSENT:
                self.callctl(place, settings=json.dumps(paths.meant(row["settings"], Patch(FLAG, False))))
            if place[0] == "chatbots" and row["call"] == "true" and not (document or {}).get("call"):
                self.callctl(place, settings=json.dumps(paths.meant(row["settings"], Patch(("call",), DEFAULT_CALL))))
        self.mark("both forms", "up", "up")

    def fill_flags(self, saved: Mapping[Place, tuple[bool, bool]] | None = None) -> None:
        """The backfill."""
        for place, row in list(self.rows.items()):
            if place[0] in WITH_FORMS:
                right = (saved or {}).get(place, forms.flags_of_type(row["type"]))
                if forms.flags_in(row) != right:
                    self.callctl(place, **flag_columns(right))

    def contract(self) -> None:
        """The drops."""
        self.moving()
        self.drop("type")
        self.mark("flags only", "up", "up")

    def down(
        self,
        saved: Mapping[Place, str | None] | None = None,
        *,
        settings: Mapping[Place, str | None] | None = None,
        drop: bool = True,
    ) -> None:
        """All the way back: the type from the flags, or the saved one; these settings."""
        self.moving()
        for place, text in (settings or {}).items():
            self.callctl(place, settings=text)
        self.add_type()
        for place, row in list(self.rows.items()):
            flags = forms.flags_in(row)
            if flags is not None:
                right = (saved or {}).get(place, forms.type_of_flags(flags))
                if row["type"] != right:
                    self.callctl(place, type=right)
        if drop:
            self.drop("chat", "call")
            self.mark("type only", "down", "down")

    def history(self) -> History:
        """The recorded history."""
        return History(self.events, self.log, DEFAULT_CALL)

    def findings(self) -> list[Finding]:
        """The judge's findings."""
        return judge(self.history())

    def kinds(self) -> set[str]:
        """The kinds of the judge's findings."""
        return {finding.kind for finding in self.findings()}

    # ---- what a correct database does --------------------------------------------------------------

    def _touches(self, write: Write, key: str) -> bool:
        there = (write.table, key) in self.rows
        return {"insert": not there, "copy": not there, "insert or nothing": not there, "upsert": True}.get(
            write.kind, there
        )

    def _apply(self, write: Write, key: str, replica: bool, stored: Mapping[str, str | None]) -> Version:
        place = (write.table, key)
        old = self.rows.get(place)
        if write.kind == "delete":
            del self.rows[place]
            return Version("delete", write.table, old, None)
        values = {
            name: json.dumps(paths.meant((old or {}).get(name), value)) if isinstance(value, Patch) else value
            for name, value in write.values.items()
        }
        new: dict[str, str | None] = dict(old) if old is not None else self._fresh(write.table, key)
        new |= values
        if not replica:
            new |= self._settled(write, new)
        new |= stored
        if write.new_key is not None:
            new["id"] = write.new_key
            del self.rows[place]
        self.rows[write.table, str(new["id"])] = new
        return Version("insert" if old is None else "update", write.table, old and dict(old), dict(new))

    def _fresh(self, table: str, key: str) -> dict[str, str | None]:
        row: dict[str, str | None] = {"id": key, "name": "no name", "settings": None}
        template = self.rows[PACKAGE]
        if table in WITH_FORMS:
            row |= {"type": "chat"} if "type" in template else {}
            row |= flag_columns(CHAT) if "chat" in template else {}
        return row

    def _settled(self, write: Write, new: Row) -> dict[str, str | None]:
        """The other form, from the one that was written."""
        flags = forms.flags_in(new)
        if flags is None or "type" not in new or not FORMS & write.values.keys():
            return {}
        by_flags = {"chat", "call"} & write.values.keys() and not (write.kind != "update" and flags == CHAT)
        if by_flags:
            return {} if forms.agree(new["type"], flags) else {"type": forms.type_of_flags(flags)}
        if new["type"] == "chat" and flags != CALL:
            return {}
        return flag_columns(forms.flags_of_type(new["type"]))


FLAG = ("features", "callEnabled")


def write(kind: WriteKind, place: Place, **values: Value) -> Write:
    """One statement about one row."""
    return Write(kind, place[0], (place[1],), values)


def rekey(place: Place, new: str) -> Write:
    """UPDATE of the id."""
    return Write("rekey", place[0], (place[1],), new_key=new)


def update(place: Place, **values: Value) -> Write:
    """UPDATE by key."""
    return write("update", place, **values)


def flags_are(place: Place, flags: tuple[bool, bool]) -> Write:
    """The new application writes both flags."""
    return update(place, **flag_columns(flags))


# ---- clean histories -------------------------------------------------------------------------------


def whole_way(sim: Simulation) -> None:
    """Both applications write in each state of the database, and nothing is lost."""
    sim.client(update(BOT, name="mark 1", type="chat"))
    sim.client(update(BOT, type="call"))
    sim.up()
    sim.client(flags_are(BOT, HYBRID))
    sim.client(update(PACKAGE, type="call"))
    sim.client(update(VOICE, settings=Patch(("call",), {"voiceId": "v"})))
    sim.client(update(COMPANY, settings=Patch(FLAG, True)))
    sim.contract()
    sim.client(flags_are(PACKAGE, HYBRID))
    sim.client(write("insert", ("chatbots", "new"), name="mark 2", chat="false", call="true"))
    sim.down(
        {VOICE: "voice"},
        settings={COMPANY: '{"features": {"x": 1}}', VOICE: None, BOT: '{"mark": 1}', ("chatbots", "new"): None},
    )
    sim.client(update(VOICE, name="mark 3"))
    sim.client(update(PACKAGE, type="call"))
    sim.moving()
    sim.add_flags()
    sim.fill_flags({BOT: HYBRID})
    sim.callctl(COMPANY, settings='{"features": {"x": 1, "callEnabled": true}}')
    sim.callctl(VOICE, settings='{"call": {"voiceId": "v"}}')
    sim.mark("both forms again", "up", "up")


def test_nothing_is_found_where_nothing_is_lost() -> None:
    sim = Simulation()
    whole_way(sim)
    assert [str(finding) for finding in sim.findings()] == []


def quiet(do: Callable[[Simulation], None]) -> Any:
    """A case whose name is the function's."""
    return pytest.param(do, id=do.__name__)


def refused_and_rolled_back(sim: Simulation) -> None:
    sim.client(update(BOT, name="mark"), outcome="rolled back", written=False)
    sim.client(update(BOT, chat="true"), outcome="refused", written=False, error="42703")


def unknown_and_not_committed(sim: Simulation) -> None:
    sim.client(update(BOT, name="mark"), outcome="unknown", written=False)


def no_row_to_write(sim: Simulation) -> None:
    sim.client(write("delete", BOT))
    sim.client(update(BOT, name="mark"))
    sim.client(write("insert or nothing", VOICE, name="mark"))
    sim.client(write("insert", BOT, name="another"))


def a_hybrid_saved_whole_by_the_old_application(sim: Simulation) -> None:
    sim.up()
    sim.client(flags_are(BOT, HYBRID))
    sim.client(update(BOT, type="chat"))


def written_away_and_back_where_no_trigger_is(sim: Simulation) -> None:
    sim.up()
    sim.contract()
    sim.client(flags_are(VOICE, CALL))
    sim.client(flags_are(VOICE, CHAT))
    sim.down({VOICE: "voice"}, settings={BOT: '{"mark": 1}', COMPANY: '{"features": {"x": 1}}'})


def a_hybrid_from_before_two_ways_back(sim: Simulation) -> None:
    sim.up()
    sim.contract()
    sim.client(flags_are(PACKAGE, HYBRID))
    sim.down({VOICE: "voice"}, settings={BOT: '{"mark": 1}', COMPANY: '{"features": {"x": 1}}'})
    sim.client(update(PACKAGE, type="call"))
    sim.client(update(PACKAGE, type="chat"))
    sim.up({PACKAGE: HYBRID})


def a_session_without_triggers_leaves_the_other_form_behind(sim: Simulation) -> None:
    sim.up()
    sim.client(update(PACKAGE, type="call"), replica=True)
    sim.client(update(PACKAGE, name="mark"))
    sim.mark("still both", "up", "moving")
    sim.callctl(PACKAGE, **flag_columns(CALL))
    sim.drop("type")
    sim.mark("flags only", "up", "up")


def another_id(sim: Simulation) -> None:
    sim.client(rekey(VOICE, "other"))
    sim.up()
    sim.contract()
    sim.down({("chatbots", "other"): "voice"}, settings={BOT: '{"mark": 1}', COMPANY: '{"features": {"x": 1}}'})


def deleted_and_made_again_in_one_transaction(sim: Simulation) -> None:
    sim.up()
    sim.client(write("delete", VOICE), write("insert", VOICE, name="mark", type="call"))


def an_upsert_follows_the_rule_of_an_insert(sim: Simulation) -> None:
    sim.up()
    sim.client(write("upsert", PACKAGE, type="call", chat="true", call="false"), stored=flag_columns(CALL))


def a_trigger_that_writes_the_row_again(sim: Simulation) -> None:
    sim.up()
    sim.client(update(PACKAGE, type="call"), stored=flag_columns(CHAT))
    commit = sim.events.pop()
    assert isinstance(commit, Commit)
    first = commit.versions[0]
    assert first.new is not None
    second = Version("update", first.table, first.new, {**first.new, **flag_columns(CALL)})
    sim.rows[PACKAGE] |= flag_columns(CALL)
    sim.events.append(Commit(commit.xid, (first, second)))


def a_company_made_while_the_feature_is_there(sim: Simulation) -> None:
    sim.up()
    sim.client(write("insert", ("companies", "late"), name="mark"))
    sim.contract()
    sim.down(settings={COMPANY: '{"features": {"x": 1}}', BOT: '{"mark": 1}'}, saved={VOICE: "voice"})
    sim.up()


@pytest.mark.parametrize(
    "case",
    [
        quiet(refused_and_rolled_back),
        quiet(unknown_and_not_committed),
        quiet(no_row_to_write),
        quiet(a_hybrid_saved_whole_by_the_old_application),
        quiet(written_away_and_back_where_no_trigger_is),
        quiet(a_hybrid_from_before_two_ways_back),
        quiet(a_session_without_triggers_leaves_the_other_form_behind),
        quiet(another_id),
        quiet(deleted_and_made_again_in_one_transaction),
        quiet(an_upsert_follows_the_rule_of_an_insert),
        quiet(a_trigger_that_writes_the_row_again),
        quiet(a_company_made_while_the_feature_is_there),
    ],
)
def test_an_expected_outcome_is_no_finding(case: Callable[[Simulation], None]) -> None:
    sim = Simulation()
    case(sim)
    assert [str(finding) for finding in sim.findings()] == []


# ---- one lost write of each kind -------------------------------------------------------------------


def lost_commit(sim: Simulation) -> None:
    sim.client(update(BOT, name="mark"), written=False)


def lost_row_of_several(sim: Simulation) -> None:
    both = Write("update", "chatbots", ("bot", "voice"), {"name": "mark"}, ("bot", "voice"))
    sim.client(replace(both, keys=("bot",)))
    sim.log[-1] = replace(sim.log[-1], writes=(both,))


def reset_to_the_old_row(sim: Simulation) -> None:
    sim.client(update(BOT, name="mark"), stored={"name": "b"})


def reset_settings(sim: Simulation) -> None:
    sim.client(update(BOT, settings=Patch(("mark",), "mark")), stored={"settings": '{"mark": 1}'})


def swallowed_update(sim: Simulation) -> None:
    sim.client(write("update", ("chatbots", "no such row"), name="mark"))
    sim.log[-1] = replace(sim.log[-1], writes=(update(BOT, name="mark"),))


def swallowed_insert(sim: Simulation) -> None:
    sim.client(write("insert", BOT, name="mark"))
    sim.log[-1] = replace(sim.log[-1], writes=(write("insert", ("chatbots", "new"), name="mark"),))


def swallowed_insert_or_nothing(sim: Simulation) -> None:
    sim.client(write("insert or nothing", BOT, name="mark"))
    sim.log[-1] = replace(sim.log[-1], writes=(write("insert or nothing", ("chatbots", "new"), name="mark"),))


def swallowed_delete(sim: Simulation) -> None:
    sim.client(write("delete", ("chatbots", "no such row")))
    sim.log[-1] = replace(sim.log[-1], writes=(write("delete", BOT),))


def committed_though_rolled_back(sim: Simulation) -> None:
    sim.client(update(BOT, name="mark"))
    sim.log[-1] = replace(sim.log[-1], outcome="rolled back")


def committed_though_refused(sim: Simulation) -> None:
    sim.client(update(BOT, name="mark"))
    sim.log[-1] = replace(sim.log[-1], outcome="refused")


def the_other_form_stays_behind(sim: Simulation) -> None:
    sim.up()
    sim.client(update(PACKAGE, type="call"), stored=flag_columns(CHAT))


def the_other_form_wins(sim: Simulation) -> None:
    sim.up()
    sim.client(flags_are(PACKAGE, CALL), stored={"type": "chat", **flag_columns(CHAT)})


def a_hybrid_is_flattened(sim: Simulation) -> None:
    sim.up()
    sim.client(flags_are(BOT, HYBRID))
    sim.client(update(BOT, name="mark"), stored=flag_columns(CHAT))


def an_unknown_type_leaves_a_hybrid(sim: Simulation) -> None:
    sim.up()
    sim.client(flags_are(BOT, HYBRID))
    sim.client(update(BOT, type="voice"), stored=flag_columns(HYBRID))


def the_backfill_overwrites_flags_written_before_it(sim: Simulation) -> None:
    sim.moving()
    sim.add_flags()
    # The value that is already there is a write like any other.
    sim.client(flags_are(BOT, CHAT), stored={"type": "call"})
    sim.callctl(BOT, **flag_columns(CALL))


def the_backfill_overwrites_a_newer_type(sim: Simulation) -> None:
    sim.moving()
    sim.add_flags()
    sim.client(update(BOT, type="chat"))
    sim.callctl(BOT, **flag_columns(CALL))


def the_drop_loses_the_type_of_a_session_without_triggers(sim: Simulation) -> None:
    sim.up()
    sim.client(update(PACKAGE, type="call"), replica=True)
    sim.contract()


def a_saved_type_is_not_put_back(sim: Simulation) -> None:
    sim.up()
    sim.contract()
    sim.down(settings={BOT: '{"mark": 1}', COMPANY: '{"features": {"x": 1}}'})


def a_saved_type_wins_against_flags(sim: Simulation) -> None:
    sim.up()
    sim.contract()
    sim.client(flags_are(VOICE, CALL))
    sim.down({VOICE: "voice"}, settings={BOT: '{"mark": 1}', COMPANY: '{"features": {"x": 1}}'})


def a_saved_hybrid_is_not_put_back(sim: Simulation) -> None:
    sim.up()
    sim.client(flags_are(BOT, HYBRID))
    sim.down({VOICE: "voice"}, settings={BOT: '{"mark": 1}', COMPANY: '{"features": {"x": 1}}'})
    sim.up()


def a_saved_hybrid_wins_against_a_newer_type(sim: Simulation) -> None:
    sim.up()
    sim.client(flags_are(BOT, HYBRID))
    sim.down({VOICE: "voice"}, settings={BOT: '{"mark": 1}', COMPANY: '{"features": {"x": 1}}'})
    sim.client(update(BOT, type="call"))
    sim.moving()
    sim.add_flags()
    sim.fill_flags({BOT: HYBRID})


def a_used_id_gets_the_earlier_flags(sim: Simulation) -> None:
    sim.up()
    sim.client(flags_are(BOT, HYBRID))
    sim.down({VOICE: "voice"}, settings={BOT: '{"mark": 1}', COMPANY: '{"features": {"x": 1}}'})
    sim.client(write("delete", BOT))
    sim.client(write("insert", BOT, name="another"))
    sim.moving()
    sim.add_flags()
    sim.fill_flags({BOT: HYBRID})


def a_used_id_gets_the_earlier_settings(sim: Simulation) -> None:
    sim.up()
    sim.client(update(BOT, settings=Patch(("call",), {"voiceId": "v"})))
    sim.contract()
    sim.down({VOICE: "voice"}, settings={BOT: '{"mark": 1}', COMPANY: '{"features": {"x": 1}}'})
    sim.client(write("delete", BOT), write("insert", BOT, name="another"))
    sim.moving()
    sim.callctl(BOT, settings='{"call": {"voiceId": "v"}}')


def another_id_loses_the_saved_type(sim: Simulation) -> None:
    sim.up()
    sim.contract()
    sim.client(rekey(VOICE, "other"))
    sim.down(settings={BOT: '{"mark": 1}', COMPANY: '{"features": {"x": 1}}'})


def callctl_changes_another_key(sim: Simulation) -> None:
    sim.moving()
    sim.callctl(COMPANY, settings='{"features": {"x": 2, "callEnabled": false}}')


def callctl_overwrites_call_settings(sim: Simulation) -> None:
    sim.client(update(BOT, settings='{"call": {"voiceId": "v"}}'))
    sim.moving()
    sim.callctl(BOT, settings='{"call": {"voiceId": "w"}}')


def callctl_forgets_the_flag_of_a_company(sim: Simulation) -> None:
    sim.up()
    sim.client(update(COMPANY, settings=Patch(FLAG, True)))
    sim.down({VOICE: "voice"}, settings={BOT: '{"mark": 1}', COMPANY: '{"features": {"x": 1}}'})
    sim.up()


def callctl_leaves_the_flag_of_a_company(sim: Simulation) -> None:
    sim.up()
    sim.down({VOICE: "voice"}, settings={BOT: '{"mark": 1}'})


def callctl_changes_a_name(sim: Simulation) -> None:
    sim.callctl(BOT, name="another")


def callctl_shortens_an_avatar(sim: Simulation) -> None:
    sim.callctl(USER, avatar_url="https")


def callctl_deletes_a_row(sim: Simulation) -> None:
    sim.raw(Version("delete", "chatbots", dict(sim.rows.pop(BOT)), None))


def callctl_makes_a_row(sim: Simulation) -> None:
    sim.rows["chatbots", "new"] = {**sim.rows[BOT], "id": "new"}
    sim.raw(Version("insert", "chatbots", None, dict(sim.rows["chatbots", "new"])))


def a_row_vanishes(sim: Simulation) -> None:
    del sim.rows[BOT]


def a_row_appears(sim: Simulation) -> None:
    sim.rows["chatbots", "new"] = {**sim.rows[BOT], "id": "new"}


def a_value_changes_without_a_version(sim: Simulation) -> None:
    sim.rows[USER]["avatar_url"] = "https"


def a_write_changes_a_column_that_it_does_not_name(sim: Simulation) -> None:
    sim.client(update(BOT, type="chat"), stored={"name": "another"})


def a_write_changes_a_row_that_it_does_not_name(sim: Simulation) -> None:
    sim.client(Write("update", "chatbots", ("bot", "voice"), {"name": "mark"}))
    sim.log[-1] = replace(sim.log[-1], writes=(replace(update(BOT, name="mark"), claimed=("bot",)),))


def an_unexpected_error(sim: Simulation) -> None:
    more: dict[str, Any] = {"error": "23514 some_other_check", "expected": False}
    sim.client(update(BOT, type="chat"), outcome="refused", written=False, **more)


def a_session_without_triggers_is_refused(sim: Simulation) -> None:
    more: dict[str, Any] = {"error": "23514 some_other_check", "expected": False}
    sim.client(update(BOT, type="chat"), outcome="refused", written=False, replica=True, **more)


LOST: Sequence[tuple[Callable[[Simulation], None], str]] = [
    (lost_commit, "lost write"),
    (lost_row_of_several, "lost write"),
    (reset_to_the_old_row, "lost write"),
    (reset_settings, "lost write"),
    (swallowed_update, "swallowed write"),
    (swallowed_insert, "swallowed write"),
    (swallowed_insert_or_nothing, "swallowed write"),
    (swallowed_delete, "swallowed write"),
    (committed_though_rolled_back, "committed though rolled back"),
    (committed_though_refused, "committed though refused"),
    (the_other_form_stays_behind, "forms disagree"),
    (the_other_form_wins, "lost write"),
    (a_hybrid_is_flattened, "unasked write"),
    (an_unknown_type_leaves_a_hybrid, "forms disagree"),
    (the_backfill_overwrites_flags_written_before_it, "forms overwritten by callctl"),
    (the_backfill_overwrites_a_newer_type, "forms overwritten by callctl"),
    (the_drop_loses_the_type_of_a_session_without_triggers, "forms lost"),
    (a_saved_type_is_not_put_back, "forms lost"),
    (a_saved_type_wins_against_flags, "forms overwritten by callctl"),
    (a_saved_hybrid_is_not_put_back, "forms lost"),
    (a_saved_hybrid_wins_against_a_newer_type, "forms overwritten by callctl"),
    (a_used_id_gets_the_earlier_flags, "forms overwritten by callctl"),
    (a_used_id_gets_the_earlier_settings, "settings overwritten by callctl"),
    (another_id_loses_the_saved_type, "forms lost"),
    (callctl_changes_another_key, "overwritten by callctl"),
    (callctl_overwrites_call_settings, "settings overwritten by callctl"),
    (callctl_forgets_the_flag_of_a_company, "settings lost"),
    (callctl_leaves_the_flag_of_a_company, "settings lost"),
    (callctl_changes_a_name, "overwritten by callctl"),
    (callctl_shortens_an_avatar, "overwritten by callctl"),
    (callctl_deletes_a_row, "delete by callctl"),
    (callctl_makes_a_row, "insert by callctl"),
    (a_row_vanishes, "row lost"),
    (a_row_appears, "row from nowhere"),
    (a_value_changes_without_a_version, "untraced change"),
    (a_write_changes_a_column_that_it_does_not_name, "unasked write"),
    (a_write_changes_a_row_that_it_does_not_name, "unasked write"),
    (an_unexpected_error, "unexpected error"),
    (a_session_without_triggers_is_refused, "replica writer refused"),
]


@pytest.mark.parametrize(("case", "kind"), [pytest.param(*pair, id=pair[0].__name__) for pair in LOST])
def test_one_lost_write_of_each_kind_is_found(case: Callable[[Simulation], None], kind: str) -> None:
    sim = Simulation()
    case(sim)
    last = sim.events[-1]
    if not isinstance(last, Mark) or last.label == "start":
        sim.mark("at the end", "moving", "moving")
    assert kind in sim.kinds()
    assert all(str(finding) in tell(sim.history(), finding) for finding in sim.findings())


@pytest.mark.parametrize("seed", range(6))
def test_each_write_that_is_taken_away_is_found(seed: int) -> None:
    """A long clean history, and then each of its clients' commits taken away in turn."""
    sim, random = Simulation(), Random(seed)
    marks = map("mark {}".format, itertools.count())

    def some() -> None:
        for _ in range(12):
            place = random.choice((BOT, VOICE, PACKAGE))
            values: dict[str, Value] = {"name": next(marks)}
            columns = [name for name in ("type", "chat") if name in sim.rows[place]]
            if random.choice(columns) == "type":
                values["type"] = random.choice(("chat", "call", "voice"))
            else:
                values |= flag_columns(random.choice((CHAT, CALL, HYBRID)))
            sim.client(update(place, **values))

    def types() -> dict[Place, str | None]:
        return {place: row["type"] for place, row in sim.rows.items() if place[0] in WITH_FORMS}

    some()
    sim.up()
    some()
    before, flags = types(), {place: forms.flags_in(sim.rows[place]) for place in (BOT, VOICE, PACKAGE)}
    sim.contract()
    settings = {place: sim.rows[place].get("settings") for place in (BOT, VOICE, COMPANY)}
    sim.down(before, settings={**settings, COMPANY: '{"features": {"x": 1}}', BOT: '{"mark": 1}', VOICE: None})
    sim.up({place: pair for place, pair in flags.items() if pair is not None})
    history = sim.history()
    assert [str(finding) for finding in judge(history)] == []
    clients = {client.xid for client in history.transactions}
    for number, event in enumerate(history.events):
        if isinstance(event, Commit) and event.xid in clients:
            shorter = replace(history, events=[*history.events[:number], *history.events[number + 1 :]])
            assert judge(shorter), event


# ---- the parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "values", "old", "right"),
    [
        (State("chat", HYBRID), {"type": "chat"}, HYBRID, {("chat", HYBRID)}),
        (State("chat", HYBRID), {"type": "chat"}, CHAT, {("chat", HYBRID), ("chat", CHAT)}),  # not filled yet
        (State("chat", HYBRID), {"type": "voice"}, HYBRID, {("voice", CHAT)}),
        (State("chat", HYBRID), {"type": None}, HYBRID, {(None, CHAT)}),
        (State("chat", CHAT), {"type": "call"}, CHAT, {("call", CALL)}),
        (State("call", CALL), {"chat": "true"}, CALL, {("chat", HYBRID)}),
        (State("call", CALL), {"chat": "true", "call": "false"}, CHAT, {("chat", CHAT)}),
        (State("voice", CHAT), {"chat": "true", "call": "true"}, CHAT, {("voice", HYBRID), ("chat", HYBRID)}),
        (State("call", CALL), {"type": "chat", "chat": "false", "call": "true"}, CALL, {("chat", CHAT)}),
        (State("call", CALL), {"type": "call", "chat": "true", "call": "true"}, CALL, {("chat", HYBRID)}),
        (State("chat", CHAT), {"name": "n"}, CHAT, {("chat", CHAT)}),
    ],
)
def test_which_side_wins_in_an_update(
    state: State, values: dict[str, Value], old: tuple[bool, bool], right: set[tuple[str | None, tuple[bool, bool]]]
) -> None:
    row: Row = {"id": "1", "type": state.type, **flag_columns(old)}
    assert {(each.type, each.flags) for each in forms.updated({state}, values, row, row)} == right


@pytest.mark.parametrize(
    ("values", "right"),
    [
        ({}, ("chat", CHAT)),
        ({"type": "call"}, ("call", CALL)),
        ({"type": "call", "chat": "true", "call": "false"}, ("call", CALL)),
        ({"type": "call", "chat": "true", "call": "true"}, ("chat", HYBRID)),
        ({"chat": "false", "call": "true"}, ("call", CALL)),
        ({"call": "true"}, ("chat", HYBRID)),
        ({"type": None}, (None, CHAT)),
    ],
)
def test_which_side_wins_in_an_insert(values: dict[str, Value], right: tuple[str | None, tuple[bool, bool]]) -> None:
    states = forms.inserted(values, type_exists=True, flags_exist=True)
    assert {(each.type, each.flags) for each in states} == {right}


def test_a_patch_means_what_the_clients_sql_does() -> None:
    patch = Patch(("features", "callEnabled"), True)
    for old in (None, "{}", '{"features": null}'):
        assert paths.meant(old, patch) == {"features": {"callEnabled": True}}
    assert paths.meant('{"a": 2.50, "features": {"x": 1}}', patch) == {
        "a": "2.50",
        "features": {"x": 1, "callEnabled": True},
    }
    assert paths.meant('{"features": {"callEnabled": false}}', Patch(FLAG, remove=True)) == {"features": {}}
    assert paths.meant(None, Patch(FLAG, remove=True)) is None


LINES = [
    (9, "BEGIN 9"),
    (9, "table public.other: INSERT: id[integer]:1"),
    (
        9,
        "table chatapp.chatbots: UPDATE: old-key: id[uuid]:'a' name[character varying]:'it''s: new-tuple: x[y]:''z'''"
        " enabled_chat[boolean]:true new-tuple: id[uuid]:'a' name[character varying]:unchanged-toast-datum"
        ' "chatbotType"[character varying]:null enabled_chat[boolean]:false tags[text[]]:\'{a,"b c"}\''
        " price[numeric]:-1.50",
    ),
    (9, "COMMIT 9"),
    (10, "BEGIN 10"),
    (10, "COMMIT 10"),
    (11, "BEGIN 11"),
    (11, "table chatapp.chatbots: DELETE: id[uuid]:'a' name[character varying]:'two\nlines'"),
    (11, "COMMIT 11"),
]


def test_the_text_of_the_output_plugin_is_read() -> None:
    names = {"chatbots": {"chatbotType": "type", "enabled_chat": "chat"}}
    commits = Decoder({"chatapp.chatbots": "chatbots"}, names).commits(LINES)
    assert [commit.xid for commit in commits] == [9, 11]
    (changed,), (deleted,) = commits[0].versions, commits[1].versions
    name = "it's: new-tuple: x[y]:'z'"
    assert changed.new == {
        "id": "a", "name": name, "type": None, "chat": "false", "tags": '{a,"b c"}', "price": "-1.50",
    }  # fmt: skip
    assert changed.old == {"id": "a", "name": name, "type": None, "chat": "true", "tags": None, "price": None}
    assert deleted == Version("delete", "chatbots", {"id": "a", "name": "two\nlines"}, None)
