"""Every field that callctl keeps for a way back, by the same four situations: none may differ from the others.

A new kept field is one more line of FIELDS. Each field has a row of its own for each situation, and all of them take
the same trip: one up, down, up on each baseline.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.conftest import MakeDatabase
from tests.support.db.platforms import Platform

from callctl.migration import migrate
from callctl.sandbox.lifecycle import BASELINES, Baseline


@dataclass(frozen=True)
class Field:
    """One kept field: which direction takes it away, and what a row holds of it.

    ``put`` is written before that direction and ``read`` again after the other one; ``gone`` is what another row under
    the same id has instead. ``{type}`` is the type column.
    """

    name: str
    relation: str
    taken_by: str
    put: str
    read: str
    kept: Any
    gone: Any
    documented_only: bool = False

    def __str__(self) -> str:
        return f"{self.relation}.{self.name} taken by {self.taken_by}"


LONG = "https://example.com/" + "a" * 800
FIELDS = (
    Field("avatar_url", "users", "down", f"avatar_url = '{LONG}'", "avatar_url", LONG, LONG[:500]),
    Field("type", "chatbots", "up", "{type} = 'voice'", "{type}", "voice", "chat", documented_only=True),
    Field("type", "chatbot_packages", "up", "{type} = 'voice'", "{type}", "voice", "chat", documented_only=True),
    Field("capabilities", "chatbots", "down", "enabled_call = true", "enabled_call", True, False),
    Field("capabilities", "chatbot_packages", "down", "enable_call = true", "enable_call", True, False),
    Field("call", "chatbots", "up", """settings = '{{"call": {{"a": 1}}}}'""", "settings", {"call": {"a": 1}}, {}),
    Field("call", "chatbots", "down", """settings = '{{"call": {{"a": 1}}}}'""", "settings", {"call": {"a": 1}}, {}),
    Field(
        "callEnabled",
        "companies",
        "up",
        """settings = '{{"features": {{"callEnabled": true}}}}'""",
        "settings #> '{{features,callEnabled}}'",
        True,
        None,
    ),
    Field(
        "callEnabled",
        "companies",
        "down",
        """settings = '{{"features": {{"callEnabled": true}}}}'""",
        "settings #> '{{features,callEnabled}}'",
        True,
        False,
    ),
    Field("model_type", "ai_models", "down", "model_type = 'both'", "model_type", "both", "chat"),
)


SITUATIONS = ("kept", "key changed", "another row with its id", "deleted")


@dataclass
class Kept:
    """The row of one field in one situation, and what was seen of it."""

    platform: Platform
    field: Field
    situation: str
    row: str
    seen: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def moved(self) -> str:
        """Its other key."""
        return self.row.replace("aaaa-", "bbbb-")

    @property
    def table(self) -> str:
        return f"chatapp.{self.field.relation}"

    def make(self) -> None:
        """A row like another, under its own id and its own unique names."""
        row = self._row("ORDER BY id LIMIT 1")
        row |= {name: self.row for name in ("email", "slug", "model_id", "model_name", "name") if name in row}
        if self.field.relation in ("chatbots", "chatbot_packages"):
            row[self.platform.tables[0].type] = "chat"
        if self.field.relation == "chatbots":
            row |= {"package_id": None, "settings": {}}
        if self.field.relation == "companies":
            row["settings"] = {}
        self._insert({**row, "id": self.row})

    def put(self) -> None:
        """Write what the next direction takes away."""
        assignment = self.field.put.format(type=self.platform.tables[0].type)
        self._do(f"UPDATE {self.table} SET {assignment} WHERE id = '{self.row}'")

    def change(self) -> None:
        """What happens to the row while its value is kept."""
        if self.situation == "key changed":
            self._do(f"UPDATE {self.table} SET id = '{self.moved}' WHERE id = '{self.row}'")
        elif self.situation == "another row with its id":
            # Deleted, and inserted again with the very same values in every other column.
            with self.platform.db.transaction():
                row = self._row(f"WHERE id = '{self.row}'")
                self._delete()
                self._insert(row)
        elif self.situation == "deleted":
            self._delete()

    def look(self) -> None:
        """What the row holds after the way back."""
        read = self.field.read.format(type=self.platform.tables[0].type)
        for name, key in (("row", self.row), ("moved", self.moved)):
            found = self._do(f"SELECT {read} FROM {self.table} WHERE id = '{key}'").fetchone()
            self.seen[name] = (found or ("no row",))[0]

    def _delete(self) -> None:
        self._do(f"DELETE FROM {self.table} WHERE id = '{self.row}'")
        keys = f"'{self.row}', '{self.moved}'"
        found = self._do(f"SELECT count(*) FROM callctl.saved_value WHERE row_id IN ({keys})").fetchone()
        self.seen["kept of the deleted"] = (found or (None,))[0]

    def _row(self, which: str) -> dict[str, Any]:
        found = self._do(f"SELECT to_jsonb(t) FROM {self.table} AS t {which}").fetchone()
        return dict((found or ({},))[0])

    def _insert(self, row: dict[str, Any]) -> None:
        columns = ", ".join(f'"{name}"' for name in row)
        values = f"SELECT {columns} FROM jsonb_populate_record(NULL::{self.table}, %s)"
        self._do(f"INSERT INTO {self.table} ({columns}) {values}", Jsonb(row))

    def _do(self, statement: str, *values: object) -> psycopg.Cursor[Any]:
        return self.platform.db.execute(statement.encode(), values or None)


def trip(url: str, baseline: str) -> list[Kept]:
    """Up, down and up with every row; a value taken by up comes back down, one taken by down comes back up."""
    platform = Platform(url, baseline == "deployed")
    rows = [
        Kept(platform, each, situation, f"00000000-0000-4000-aaaa-{number:06}{place:06}")
        for number, each in enumerate(FIELDS)
        for place, situation in enumerate(SITUATIONS)
        if baseline == "documented" or not each.documented_only  # an enum has no unknown types
    ]

    def of(taken_by: str, act: Callable[[Kept], None]) -> None:
        for each in rows:
            if each.field.taken_by == taken_by:
                act(each)

    for each in rows:
        each.make()
    of("up", Kept.put)
    platform.up()
    of("up", Kept.change)
    of("down", Kept.put)
    migrate.down(platform.settings, to=0, truncate_avatars=True)
    of("up", Kept.look)
    of("down", Kept.change)
    platform.up()
    of("down", Kept.look)
    platform.db.close()
    return rows


@pytest.mark.parametrize("baseline", BASELINES)
def test_every_kept_field(database: MakeDatabase, baseline: Baseline) -> None:
    """It comes back, under another key too; it is not given to another row with its id, and goes with its row."""
    wanted: dict[tuple[str, str], dict[str, Any]] = {}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for kept in trip(database(baseline), baseline):
        case = (str(kept.field), kept.situation)
        found[case] = kept.seen
        wanted[case] = {
            "kept": {"row": kept.field.kept, "moved": "no row"},
            "key changed": {"row": "no row", "moved": kept.field.kept},
            "another row with its id": {"row": kept.field.gone, "moved": "no row", "kept of the deleted": 0},
            "deleted": {"row": "no row", "moved": "no row", "kept of the deleted": 0},
        }[kept.situation]
    assert found == wanted
    assert len(found) == len(SITUATIONS) * (len(FIELDS) if baseline == "documented" else len(FIELDS) - 2)
