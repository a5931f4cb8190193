"""The rows of a generated before-database: at least one of every shape, and the same for the same seed."""

from __future__ import annotations

import json
import uuid
from random import Random
from typing import Any, TypeAlias

import psycopg
from psycopg import sql
from tests.support.db.before import ODD_TYPES, ROLES, SOFT, Before, late_statements, statements

Value: TypeAlias = str | int | bool | None


def make_roles(db: psycopg.Connection[Any]) -> None:
    """The roles that grants name; they belong to the server and outlive the database."""
    for role in ROLES:
        db.execute(
            f"DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )


def build(db: psycopg.Connection[Any], before: Before) -> None:
    """Make that before-database in an empty one."""
    make_roles(db)
    if db.info.server_version < 130000:
        db.execute("CREATE EXTENSION IF NOT EXISTS pgcrypto")  # for gen_random_uuid()
    for statement in statements(before):
        db.execute(statement.encode())
    Rows(before).insert(db)
    for statement in late_statements(before):
        db.execute(statement.encode())
    db.execute("ANALYZE")


CALL_SETTINGS = {
    "voiceId": "shimmer",
    "voiceProvider": "openai",
    "voiceSettings": {"pitch": 0, "speed": 1.25, "stability": 0.5},
    "callGreeting": "Grüß Gott, 你好",
    "endCallPhrase": "goodbye",
    "silenceTimeout": 120,
    "maxCallDuration": 900,
    "recordingEnabled": True,
    "transcriptionEnabled": True,
    "interruptionEnabled": False,
    "callButtonText": "Call",
    "callButtonColor": "#1D4ED8",
    "callButtonPosition": "bottom-left",
    "vadThreshold": 0.6,
    "echoCancellation": True,
    "noiseSuppression": True,
}

COMPANY_SHAPES: tuple[Any, ...] = (
    None,
    {},
    {"locale": "de", "n": 2.50},
    {"features": None, "locale": "en"},
    {"features": {}},
    {"features": {"callEnabled": True, "analytics": True}, "note": "pilot"},
    {"features": {"callEnabled": False}},
    {"features": {"labels": ["ä", "日本", {"deep": [1, None]}], "analytics": False}, "x": None},
    {"features": {"callEnabled": True}},
    {"features": None},
)
CHATBOT_SHAPES: tuple[Any, ...] = (
    None,
    {},
    {"theme": {"color": "#0EA5E9"}, "tags": ["a", "b"]},
    {"call": None, "theme": None},
    {"call": {}},
    {"call": CALL_SETTINGS, "greeting": "Hello"},
    {"call": None},
    {"call": CALL_SETTINGS},
)


class Rows:
    """The rows of a before-database; the same for the same value."""

    def __init__(self, before: Before) -> None:
        self.before = before
        self.random = Random(before.seed)
        self.ids: dict[str, list[str]] = {}

    def id(self, table: str) -> str:
        """Another id, of this table."""
        row_id = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        self.ids.setdefault(table, []).append(row_id)
        return row_id

    def some(self, table: str, *, none: bool = False) -> str | None:
        """The id of some row of that table, or with ``none`` sometimes None."""
        return None if none and self.random.random() < 0.2 else self.random.choice(self.ids[table])

    def type_values(self, table: str) -> list[str | None]:
        """Every value that the type column of that table can hold."""
        column = self.before.type_of(table)
        labels = (
            dict(self.before.enums)[column.kind] if isinstance(column.kind, tuple) else ("chat", "call", *ODD_TYPES)
        )
        return [*labels, *([None] if column.nullable else [])]

    def soft(self, table: str, number: int) -> dict[str, Value]:
        """The soft-delete column, set on every fourth row."""
        column = self.before.soft_of(table)
        return {column: "2024-05-06 07:08:09.123456+00" if number % 4 == 3 else None} if column else {}

    def insert(self, db: psycopg.Connection[Any]) -> None:
        """Insert them all."""
        before, random = self.before, self.random
        for number, shape in enumerate(COMPANY_SHAPES):
            self.put(db, "companies", number, name=f"Company {number}", slug=f"c{number}", settings=_json(shape))
        avatars: tuple[str | None, ...] = (
            None,
            "",
            "x" * 250,
            "https://example.com/ä.png",
            "y" * 255,
            "trailing   ",
        )
        if before.avatar == "varchar(500)":
            avatars += ("a" * 399, "b" * 499, "c" * 500, "日" * 500, "d" * 490 + " " * 10)
        if before.avatar in ("varchar", "text"):
            avatars += ("e" * 2000,)
        for number, avatar in enumerate(avatars):
            self.put(
                db,
                "users",
                number,
                company_id=self.some("companies", none=True),
                email=f"u{number}",
                avatar_url=avatar,
            )
        kinds = self.type_values("chatbot_packages")
        for number in range(max(len(kinds), 6)):
            self.put(db, "chatbot_packages", number, name=f"Package {number}", type=kinds[number % len(kinds)])
        for model in _models(before):
            self.put(db, "ai_models", len(self.ids.get("ai_models", [])), **model)
        kinds = self.type_values("chatbots")
        shapes = [shape for shape in CHATBOT_SHAPES if shape is not None or before.chatbot_settings[0]]
        every = [(kind, shape) for kind in kinds for shape in shapes]
        random.shuffle(every)
        # All kinds and all shapes first, whatever the shuffle says.
        every = (
            [(kind, shapes[i % len(shapes)]) for i, kind in enumerate(kinds)] + [("call", s) for s in shapes] + every
        )
        for number, (kind, shape) in enumerate(every[: max(before.rows, len(kinds) + len(shapes))]):
            self.put(
                db, "chatbots", number, company_id=self.some("companies"), type=kind,
                name=f"Bot {number} {'語' * (number % 3)}",
                settings=_json(shape), package_id=self.some("chatbot_packages", none=True),
                ai_model_id=self.some("ai_models", none=True),
            )  # fmt: skip
        for number in range(8):
            self.put(db, "end_users", number, company_id=self.some("companies"), name=f"Visitor {number}")
        for number in range(8):
            self.put(
                db, "conversations", number, company_id=self.some("companies"),
                chatbot_id=self.some("chatbots"),
                end_user_id=self.some("end_users", none=True),
            )  # fmt: skip

    def put(self, db: psycopg.Connection[Any], table: str, number: int, **values: Value) -> str:
        """Insert one row; ``type`` stands for the type column by whatever name."""
        before = self.before
        row: dict[str, Value] = {
            "id": self.id(table),
            "created_at": f"2023-01-02 03:04:05.{number:06}+00",
            "updated_at": f"2024-01-02 03:04:05.{number:06}+00",
        }
        for name, value in values.items():
            row[before.type_of(table).name if name == "type" else name] = value
        if table in SOFT:
            row |= self.soft(table, number)
        insert(db, before.schema, table, row)
        return str(row["id"])


def insert(db: psycopg.Connection[Any], schema: str, table: str, row: dict[str, Value]) -> None:
    """Insert one row, its values as literals that PostgreSQL casts as it likes."""
    db.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(schema, table),
            sql.SQL(", ").join(sql.Identifier(name) for name in row),
            sql.SQL(", ").join(sql.Literal(value) for value in row.values()),
        )
    )


def _json(shape: Any) -> str | None:
    return None if shape is None else json.dumps(shape)


def _models(before: Before) -> list[dict[str, Value]]:
    names = [
        ("openai", "gpt-4"),
        ("google", "gemini-pro"),
        ("anthropic", "claude-3"),
        ("openai", "gpt-4o-realtime-preview"),
    ]
    if before.models == "documented":
        return [
            {
                "provider": provider, "model_name": name, "display_name": name.upper(),
                "supports_audio": i == 1, "input_cost_per_token": "0.000000123456",
                "audio_cost_per_second_input": "0.010000" if i else None,
                "context_window": 1000 * i,
            }
            for i, (provider, name) in enumerate(names)
        ]  # fmt: skip
    if before.models == "deployed":
        return [
            {
                "provider": provider, "model_id": name, "display_name": name.upper(),
                "input_limit": 1000, "output_limit": 10,
                "input_price_per_million": "1.2345",
            }
            for provider, name in names
        ]  # fmt: skip
    return [{"provider": provider, "model_name": name} for provider, name in names]
