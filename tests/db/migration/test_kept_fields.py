"""Every field that callctl keeps for a way back, by the same four situations: none may differ from the others.

A new kept field is one more line of FIELDS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from tests.conftest import MakeDatabase
from tests.support.db.platforms import Platform

from callctl.migration import migrate
from callctl.sandbox.baselines import BASELINES

ROW, MOVED = "00000000-0000-4000-8000-00000000aaaa", "00000000-0000-4000-8000-00000000bbbb"


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


def clone(platform: Platform, relation: str, **changes: Any) -> None:
    """A row like another, under its own id and its own unique names."""
    query = f"SELECT to_jsonb(t) FROM chatapp.{relation} AS t ORDER BY id LIMIT 1"
    found = platform.db.execute(query.encode()).fetchone()
    row: dict[str, Any] = found[0] if found else {}
    unique: dict[str, Any] = {
        name: "of its own" for name in ("email", "slug", "model_id", "model_name", "name") if name in row
    }
    insert(platform, relation, {**row, **unique, **changes})


def insert(platform: Platform, relation: str, row: dict[str, Any]) -> None:
    columns = ", ".join(f'"{name}"' for name in row)
    platform.db.execute(
        f"INSERT INTO chatapp.{relation} ({columns})"
        f" SELECT {columns} FROM jsonb_populate_record(NULL::chatapp.{relation}, %s)".encode(),
        (Jsonb(row),),
    )


class Kept:
    """A field's row in one database, and the two directions by what they do to it."""

    def __init__(self, platform: Platform, field: Field) -> None:
        self.platform, self.field = platform, field
        self.type = platform.tables[0].type
        own: dict[str, Any] = {}
        if field.relation in ("chatbots", "chatbot_packages"):
            own[self.type] = "chat"
        if field.relation == "chatbots":
            own |= {"package_id": None, "settings": {}}
        if field.relation == "companies":
            own["settings"] = {}
        clone(platform, field.relation, id=ROW, **own)
        if field.taken_by == "down":
            platform.up()
        self.write(field.put)

    def write(self, assignment: str) -> None:
        named = assignment.format(type=self.type)
        self.platform.db.execute(f"UPDATE chatapp.{self.field.relation} SET {named} WHERE id = '{ROW}'".encode())

    def take(self) -> None:
        """The direction that takes the value away."""
        if self.field.taken_by == "up":
            self.platform.up()
        else:
            migrate.down(self.platform.settings, to=0, truncate_avatars=True)

    def give(self) -> None:
        """The other one."""
        if self.field.taken_by == "up":
            self.platform.down()
        else:
            self.platform.up()

    def read(self, key: str = ROW) -> Any:
        read = self.field.read.format(type=self.type)
        row = self.platform.db.execute(f"SELECT {read} FROM chatapp.{self.field.relation} WHERE id = '{key}'".encode())
        return (row.fetchone() or ("no row",))[0]

    def saved(self) -> int:
        """How many values are kept of the row, live or superseded."""
        row = self.platform.db.execute(
            "SELECT count(*) FROM callctl.saved_value WHERE row_id = ANY (%s)", ([ROW, MOVED],)
        ).fetchone()
        return int(row[0]) if row else 0


CASES = [(field, name) for field in FIELDS for name in BASELINES if name == "documented" or not field.documented_only]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]} on {case[1]}")
def kept(request: pytest.FixtureRequest, database: MakeDatabase) -> Iterator[Kept]:
    """Each field on each baseline; an enum has no unknown types."""
    field, name = request.param
    platform = Platform(database(name), name == "deployed")
    yield Kept(platform, field)
    platform.db.close()


def test_it_comes_back(kept: Kept) -> None:
    kept.take()
    kept.give()
    assert kept.read() == kept.field.kept


def test_it_comes_back_in_a_row_whose_key_has_changed(kept: Kept) -> None:
    kept.take()
    kept.platform.db.execute(f"UPDATE chatapp.{kept.field.relation} SET id = '{MOVED}' WHERE id = '{ROW}'".encode())
    kept.give()
    assert kept.read(MOVED) == kept.field.kept


def test_it_is_not_given_to_another_row_with_its_id(kept: Kept) -> None:
    """Deleted, and inserted again with the very same values in every other column."""
    kept.take()
    relation = kept.field.relation
    with kept.platform.db.transaction():
        (row,) = kept.platform.db.execute(
            f"SELECT to_jsonb(t) FROM chatapp.{relation} AS t WHERE id = '{ROW}'".encode()
        ).fetchone() or ({},)
        kept.platform.db.execute(f"DELETE FROM chatapp.{relation} WHERE id = '{ROW}'".encode())
        assert kept.saved() == 0
        insert(kept.platform, relation, row)
    kept.give()
    assert kept.read() == kept.field.gone


def test_it_goes_with_its_row(kept: Kept) -> None:
    kept.take()
    kept.platform.db.execute(f"DELETE FROM chatapp.{kept.field.relation} WHERE id = '{ROW}'".encode())
    assert kept.saved() == 0
    kept.give()
    assert kept.read() == "no row"
