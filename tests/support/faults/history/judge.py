"""The judge: replays the committed row versions of a history and returns each contradiction of an acknowledged write.

It is a pure function of the history. Per row it keeps the last version and the set of states that the acknowledged
writes allow (``forms``, ``paths``); each later version and each mark must be among them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.faults.history import forms, paths
from tests.support.faults.history.forms import State, States, flags_in
from tests.support.faults.history.paths import PathStates
from tests.support.faults.history.records import (
    FORMS,
    ClientTransaction,
    Commit,
    Finding,
    History,
    Mark,
    Place,
    Row,
    Value,
    Version,
    View,
    Write,
)

FORM_TABLES = frozenset({"chatbots", "chatbot_packages"})
# The platform's own trigger sets it; a foreign key's action may set the other.
NOT_COMPARED = frozenset({"updated_at", "package_id"})
INSERTS = frozenset({"insert", "copy", "upsert", "insert or nothing"})
FOREVER = 1 << 62


@dataclass
class Life:
    """When a row existed, in the clients' real time: the earliest and the latest moment of its begin and of its end."""

    begun: tuple[int, int] = (-1, -1)
    ended: tuple[int, int] = (FOREVER, FOREVER)


@dataclass
class Subject:
    """The state of one row."""

    row: Row
    states: States | None
    path: PathStates | None
    life: Life
    stale: bool = False  # the last writer's triggers did not fire: the other form may lag behind


@dataclass
class Judge:
    """One pass over a history."""

    history: History
    findings: list[Finding] = field(default_factory=list)
    subjects: dict[Place, Subject] = field(default_factory=dict)
    lives: defaultdict[Place, list[Life]] = field(default_factory=lambda: defaultdict(list))
    view: View = "down"
    label: str = ""

    def __post_init__(self) -> None:
        self.paths = paths.Paths(self.history.default_call)
        self.clients = {
            transaction.xid: transaction for transaction in self.history.transactions if transaction.xid is not None
        }
        self._reported: set[tuple[str, Place, str]] = set()

    def find(self, kind: str, place: Place, detail: str) -> None:
        """Record a violation, each once."""
        if (kind, place, detail) not in self._reported:
            self._reported.add((kind, place, detail))
            self.findings.append(Finding(kind, place, detail, self.label))

    def run(self) -> list[Finding]:
        """Return the violations, in the order of the history."""
        committed: set[int] = set()
        for number, event in enumerate(self.history.events):
            if isinstance(event, Mark):
                (self._mark if number else self._begin)(event)
                self.view, self.label = event.next_view, f"after {event.label!r}"
                continue
            committed.add(event.xid)
            client = self.clients.get(event.xid)
            if client is None:
                for version in event.versions:
                    self._callctl(version)
            else:
                self._client(client, event)
        for client in self.history.transactions:
            self._outcome(client, committed)
        return self.findings

    # ---- marks -------------------------------------------------------------------------------------

    def _begin(self, mark: Mark) -> None:
        for place, row in mark.rows.items():
            self._born(place, row, Life(), forms_of=self._seen(place[0], row))
            if (path := self.subjects[place].path) is not None:
                path.left(next(iter(path.down)))

    def _seen(self, table: str, row: Row) -> States | None:
        """The states that a row tells of itself."""
        if table not in FORM_TABLES:
            return None
        flags = flags_in(row)
        if "type" in row:
            kind = row["type"]
            return frozenset({State(kind, forms.flags_of_type(kind) if flags is None else flags)})
        assert flags is not None
        return frozenset({State(forms.type_of_flags(flags), flags)})

    def _seen_after(self, row: Row, before: States) -> States:
        """The states that a row tells of itself once it contradicts all that were possible."""
        flags = flags_in(row)
        if flags is not None and "type" in row:
            return frozenset({State(row["type"], flags)})
        if flags is not None:
            kinds = {state.type for state in before if forms.agree(state.type, flags)}
            return frozenset(State(kind, flags) for kind in {*kinds, forms.type_of_flags(flags)})
        pairs = {state.flags for state in before if forms.agree(row["type"], state.flags)}
        return frozenset(State(row["type"], pair) for pair in {*pairs, forms.flags_of_type(row["type"])})

    def _born(self, place: Place, row: Row, life: Life, forms_of: States | None) -> None:
        path = None
        if place[0] in paths.PATHS:
            value = paths.at_path(place[0], paths.load(row.get("settings")))
            path = self.paths.inserted(place[0], value, self.view)
        self.subjects[place] = Subject(row, forms_of, path, life)
        self.lives[place].append(life)

    def _mark(self, mark: Mark) -> None:
        self.label = f"at {mark.label!r}"
        for place in sorted(self.subjects.keys() - mark.rows.keys()):
            self.find("row lost", place, "the row is gone, and no committed transaction deleted it")
            del self.subjects[place]
        for place, row in mark.rows.items():
            if place not in self.subjects:
                self.find("row from nowhere", place, "the row is there, and no committed transaction made it")
                self._born(place, row, Life(), self._seen(place[0], row))
                continue
            self._mark_row(place, row, self.subjects[place], mark.view)

    def _mark_row(self, place: Place, row: Row, subject: Subject, view: View) -> None:
        for name in sorted((row.keys() & subject.row.keys()) - FORMS - {"settings"}):
            if row[name] != subject.row[name]:
                self.find("untraced change", place, f"{name} is {row[name]!r}, was {subject.row[name]!r}")
        if subject.states is not None:
            self._mark_forms(place, row, subject)
        if subject.path is not None:
            document = paths.load(row.get("settings"))
            before = paths.load(subject.row.get("settings"))
            if paths.beside_path(place[0], document) != paths.beside_path(place[0], before):
                self.find("untraced change", place, f"settings are {row.get('settings')}")
            value = paths.at_path(place[0], document)
            if not self.paths.possible(place[0], subject.path, value, view):
                right = sorted(subject.path.up if view == "up" else subject.path.down)
                self.find("settings lost", place, f"{_path(place)} is {_short(value)}, must be {_listed(right)}")
                (subject.path.up if view == "up" else subject.path.down).add(value)
            self.paths.seen(place[0], subject.path, value, view)
        subject.row = row

    def _mark_forms(self, place: Place, row: Row, subject: Subject) -> None:
        assert subject.states is not None
        if len({"type", "chat"} & row.keys()) < 2:
            subject.stale = False
        fitting = frozenset(state for state in subject.states if _shows(row, state))
        if not fitting and subject.stale:
            # One form lags behind; the one that was written must be there.
            if not any(_shows_one(row, state) for state in subject.states):
                self.find("forms lost", place, f"the row says {_said(row)}, must say {_right(subject.states)}")
            return
        if not fitting:
            self.find("forms lost", place, f"the row says {_said(row)}, must say {_right(subject.states)}")
            fitting = self._seen_after(row, subject.states)
        subject.states = fitting

    # ---- what callctl wrote ------------------------------------------------------------------------

    def _callctl(self, version: Version) -> None:
        place = (version.table, version.old_key)
        if version.kind != "update":
            self.find(f"{version.kind} by callctl", place, "only a client may do that")
            self._follow(version, None)
            return
        subject = self.subjects.get(place)
        old, new = version.old, version.new
        assert old is not None
        assert new is not None
        if subject is None:
            self.find("row from nowhere", place, "callctl wrote a row that no committed transaction made")
            self._follow(version, None)
            return
        self._continuous(place, subject, old)
        for name in sorted((new.keys() & old.keys()) - FORMS - NOT_COMPARED - {"settings"}):
            if new[name] != old[name]:
                self.find("overwritten by callctl", place, f"{name} {old[name]!r} became {new[name]!r}")
        if subject.states is not None:
            self._callctl_forms(place, subject, old, new)
        if subject.path is not None and new.get("settings") != old.get("settings"):
            before, after = paths.load(old.get("settings")), paths.load(new.get("settings"))
            if paths.beside_path(place[0], before) != paths.beside_path(place[0], after):
                self.find(
                    "overwritten by callctl", place, f"settings {old.get('settings')} became {new.get('settings')}"
                )
            value = paths.at_path(place[0], after)
            # On the way up callctl may fill in the default before it puts back what was saved.
            if not self.paths.is_default(place[0], value) and not self.paths.possible(
                place[0], subject.path, value, "moving"
            ):
                right = sorted(subject.path.down | subject.path.up)
                self.find(
                    "settings overwritten by callctl",
                    place,
                    f"{_path(place)} became {_short(value)}, not {_listed(right)}",
                )
            subject.path.left(value)
        self._follow(version, subject)

    def _callctl_forms(self, place: Place, subject: Subject, old: Row, new: Row) -> None:
        """A form that callctl changes must say what the last acknowledged write means, or what its other form says."""
        assert subject.states is not None
        if "type" in new and new["type"] != old.get("type"):
            right = {state.type for state in subject.states} | {
                forms.type_of_flags(state.flags) for state in subject.states
            }
            if new["type"] not in right:
                self.find(
                    "forms overwritten by callctl", place, f"type became {new['type']!r}, not {sorted(map(str, right))}"
                )
        flags = flags_in(new)
        if flags is not None and flags != flags_in(old):
            allowed = {state.flags for state in subject.states} | {
                forms.flags_of_type(state.type) for state in subject.states
            }
            if flags not in allowed:
                self.find("forms overwritten by callctl", place, f"flags became {flags}, not {sorted(allowed)}")

    def _continuous(self, place: Place, subject: Subject, old: Row) -> None:
        """A version's old row is the new row of the one before."""
        for name in sorted((old.keys() & subject.row.keys()) - FORMS):
            if old[name] != subject.row[name]:
                self.find("untraced change", place, f"{name} was {subject.row[name]!r}, then {old[name]!r}")

    def _follow(self, version: Version, subject: Subject | None) -> None:
        """Keep the row of a version; the states stay."""
        place = (version.table, version.old_key)
        if version.new is None:
            self.subjects.pop(place, None)
        elif subject is None:
            self._born((version.table, version.key), version.new, Life(), self._seen(version.table, version.new))
        else:
            subject.row = version.new
            if version.key != version.old_key:
                del self.subjects[place]
                self.subjects[version.table, version.key] = subject

    # ---- what a client wrote -----------------------------------------------------------------------

    def _client(self, client: ClientTransaction, commit: Commit) -> None:
        if client.outcome in ("refused", "rolled back"):
            self.find(f"committed though {client.outcome}", ("", client.client), f"transaction {commit.xid}")
        chains = _chains(commit.versions)
        for write in client.writes:
            for key in write.keys:
                place = (write.table, key)
                chain = chains.get(place, [])
                later = sum(key in other.keys and other.table == write.table for other in client.writes)
                taken = _take(chain, last=later == 1 or write is client.writes[-1])
                if taken is not None:
                    self._write(client, write, taken)
                elif client.outcome == "acknowledged" and key in write.claimed:
                    self.find("lost write", place, f"{client.client} was told of {words(write)}, nothing was stored")
        for place, chain in chains.items():
            for version in chain:
                self.find("unasked write", place, f"{version.kind} in a transaction of {client.client}")
                self._follow(version, self.subjects.get((version.table, version.old_key)))

    def _write(self, client: ClientTransaction, write: Write, version: Version) -> None:
        place = (version.table, version.old_key)
        subject = self.subjects.get(place)
        if version.kind == "delete":
            if write.kind != "delete":
                self.find("unasked write", place, f"{words(write)} deleted the row")
            if subject is not None:
                subject.life.ended = (client.start, client.end)
                del self.subjects[place]
            return
        assert version.new is not None
        if version.kind == "insert":
            self._inserted(client, write, version.new, place)
            return
        assert version.old is not None
        if subject is None:
            self.find("row from nowhere", place, f"{words(write)} changed a row that no committed transaction made")
            self._follow(version, None)
            return
        self._continuous(place, subject, version.old)
        self._updated(client, write, version.old, version.new, subject)
        if version.key != version.old_key:
            # The life under this id ends, and one under another begins.
            subject.life.ended = (client.start, client.end)
            subject.life = Life((client.start, client.end))
            self.lives[version.table, version.key].append(subject.life)
        self._follow(version, subject)

    def _inserted(self, client: ClientTransaction, write: Write, new: Row, place: Place) -> None:
        if write.kind not in INSERTS:
            self.find("unasked write", place, f"{words(write)} inserted the row")
        self._named(write, None, new, place)
        states = None
        if place[0] in FORM_TABLES:
            states = forms.inserted(write.values, type_exists="type" in new, flags_exist=flags_in(new) is not None)
        self._born(place, new, Life((client.start, client.end)), states)
        if states is not None:
            self._stored_forms(client, write, None, new, self.subjects[place], place)

    def _updated(self, client: ClientTransaction, write: Write, old: Row, new: Row, subject: Subject) -> None:
        place = (write.table, str(old["id"]))
        self._named(write, old, new, place)
        named = {*write.values, *({"id"} if write.kind == "rekey" else ())}
        for name in sorted((new.keys() & old.keys()) - named - FORMS - NOT_COMPARED):
            if new[name] != old[name]:
                self.find("unasked write", place, f"{words(write)} changed {name}: {old[name]!r} to {new[name]!r}")
        if write.kind == "rekey" and new["id"] != write.new_key:
            self.find("lost write", place, f"the id became {new['id']}, not {write.new_key}")
        if subject.path is not None and "settings" in write.values:
            value = paths.at_path(place[0], paths.load(new.get("settings")))
            self.paths.written(place[0], subject.path, value, self.view)
        if subject.states is not None:
            meant = self._proposed(write, new) if write.kind == "upsert" else [write.values]
            before = subject.states
            subject.states = frozenset().union(*(forms.updated(before, values, old, new) for values in meant))
            self._stored_forms(client, write, old, new, subject, place)

    def _proposed(self, write: Write, new: Row) -> list[dict[str, Value]]:
        """The values that an upsert takes from the row that it proposes, by the rule of an INSERT."""
        proposed = forms.inserted(write.values, type_exists="type" in new, flags_exist=flags_in(new) is not None)
        shown: list[dict[str, Value]] = [{**_shown(state)} for state in proposed]
        return [{name: taken.get(name, value) for name, value in write.values.items()} for taken in shown]

    def _named(self, write: Write, old: Row | None, new: Row, place: Place) -> None:
        """The columns that a statement names hold what it means."""
        for name, value in write.values.items():
            if name in FORMS:
                continue
            if name == "settings":
                right = paths.meant(None if old is None else old.get(name), value)
                if paths.dump(paths.load(new.get(name))) != paths.dump(right):
                    detail = f"settings are {new.get(name)}, {words(write)} means {paths.dump(right)}"
                    self.find("lost write", place, detail)
            elif new.get(name) != value:
                self.find("lost write", place, f"{name} is {new.get(name)!r}, {words(write)} means {value!r}")

    def _stored_forms(
        self, client: ClientTransaction, write: Write, old: Row | None, new: Row, subject: Subject, place: Place
    ) -> None:
        """The version stored with a write holds the form written, and the other form agrees with it."""
        assert subject.states is not None
        if any(_shows(new, state) for state in subject.states):
            if FORMS & write.values.keys():
                subject.stale = False
            return
        if not FORMS & write.values.keys() and old is not None:
            if all(new.get(name) == old.get(name) for name in FORMS):
                return  # a form that lagged behind still does
            self.find("unasked write", place, f"{words(write)} changed the forms from {_said(old)} to {_said(new)}")
        elif client.replica:
            subject.stale = True
            for name in FORMS & write.values.keys():
                if new.get(name) != write.values[name]:
                    detail = f"{name} is {new.get(name)!r}, {words(write)} means {write.values[name]!r}"
                    self.find("lost write", place, detail)
            return
        else:
            # Which of the two went wrong: the form that was written, or the other one.
            written = {name: new.get(name) for name in FORMS & write.values.keys()}
            kept = any(all(value == _shown(state)[name] for name, value in written.items()) for state in subject.states)
            kind = "forms disagree" if kept or len(written) == len(FORMS) else "lost write"
            self.find(kind, place, f"{words(write)} stored {_said(new)}, must be {_right(subject.states)}")
        subject.stale = True

    # ---- what clients were told --------------------------------------------------------------------

    def _outcome(self, client: ClientTransaction, committed: set[int]) -> None:
        self.label = f"transaction {client.xid} of {client.client}"
        if client.outcome == "refused" and not client.expected:
            kind = "replica writer refused" if client.replica else "unexpected error"
            self.find(kind, _place(client), client.error)
        if client.outcome != "acknowledged":
            return
        for write in client.writes:
            if write.claimed and client.xid not in committed:
                detail = f"{client.client} was told of {words(write)}, and of its commit; there is none"
                self.find("lost write", (write.table, write.claimed[0]), detail)
            for key in write.keys:
                if key not in write.claimed:
                    self._nothing_written(client, write, key)

    def _nothing_written(self, client: ClientTransaction, write: Write, key: str) -> None:
        """A statement was told that it did not write a row: right only if there may have been none to write."""
        place = (write.table, key)
        lives = self.lives.get(place, [])
        if write.kind in ("insert", "copy", "upsert"):
            swallowed = True
        elif write.kind == "insert or nothing":
            swallowed = not any(life.begun[0] < client.end and life.ended[1] > client.start for life in lives)
        else:
            swallowed = any(life.begun[1] < client.start and life.ended[0] > client.end for life in lives)
        if swallowed:
            self.find("swallowed write", place, f"{client.client}: {words(write)} did not write the row")


def judge(history: History) -> list[Finding]:
    """Return every violation of a history."""
    return Judge(history).run()


def _chains(versions: Sequence[Version]) -> dict[Place, list[Version]]:
    """The versions of each row in one transaction, in order, under the id that it had first."""
    chains: dict[Place, list[Version]] = {}
    first: dict[Place, Place] = {}
    for version in versions:
        now = (version.table, version.old_key)
        start = first.pop(now, now)
        chains.setdefault(start, []).append(version)
        if version.key != version.old_key:
            first[version.table, version.key] = start
        elif start != now:
            first[now] = start
    return chains


def _take(chain: list[Version], *, last: bool) -> Version | None:
    """The next version of a chain; with later ones that a trigger's own UPDATE made, as one."""
    if not chain:
        return None
    taken = chain.pop(0)
    while last and chain and chain[0].kind == "update" and taken.kind != "delete":
        taken = Version(taken.kind, taken.table, taken.old, chain.pop(0).new)
    return taken


def _place(client: ClientTransaction) -> Place:
    write = client.writes[0]
    return write.table, write.keys[0]


def words(write: Write) -> str:
    """One write, as a finding names it."""
    values = {name: _short(value) for name, value in write.values.items()}
    return f"{write.kind} of {values}"


def _short(value: object) -> str | None:
    text = None if value is None else str(value)
    return text if text is None or len(text) < 80 else f"{text[:76]} ..."


def _listed(values: Sequence[str]) -> str:
    return ", or ".join(str(_short(value)) for value in values)


def _path(place: Place) -> str:
    return ".".join(paths.PATHS[place[0]])


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _shown(state: State) -> dict[str, str | None]:
    return {"type": state.type, "chat": _boolean(state.flags[0]), "call": _boolean(state.flags[1])}


def _shows(row: Row, state: State) -> bool:
    """True if the columns that exist hold this state."""
    flags = flags_in(row)
    return ("type" not in row or row["type"] == state.type) and (flags is None or flags == state.flags)


def _shows_one(row: Row, state: State) -> bool:
    return ("type" in row and row["type"] == state.type) or flags_in(row) == state.flags


def _said(row: Row) -> str:
    return ", ".join(f"{name} {row[name]!r}" for name in ("type", "chat", "call") if name in row)


def _right(states: States) -> str:
    return " or ".join(sorted({f"({state.type!r}, {state.flags[0]}, {state.flags[1]})" for state in states}))
