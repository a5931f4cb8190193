"""The platform's application, before and after the call feature: what each of them writes, at random.

The new one knows the capability flags and the call tables and no type column; the old one knows the type
column and nothing of calls. Both keep the database's own rules, so that every write succeeds.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from random import Random
from typing import Any

import psycopg
from psycopg import sql
from tests.support.db.before import Before
from tests.support.db.before_rows import CALL_SETTINGS, Rows, Value
from tests.support.db.snapshot import Snapshot, take

FLAGS = {"chatbots": ("enabled_chat", "enabled_call"), "chatbot_packages": ("enable_chat", "enable_call")}
CAPABILITIES = ((True, False), (False, True), (True, True))


class Application:
    """Writes to one database; ``random`` decides what."""

    def __init__(self, db: psycopg.Connection[Any], before: Before, random: Random, *, models: bool = True) -> None:
        self.db = db
        self.models = models  # whether it inserts models, whose names are taken the second time
        self.before = before
        self.random = random
        db.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(before.schema)))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every row of a table."""
        cursor = self.db.execute(sql.SQL("SELECT * FROM {} ORDER BY id").format(sql.Identifier(table)))
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def update(self, table: str, key: object, **values: Value) -> None:
        """Write these columns of one row."""
        self.db.execute(
            sql.SQL("UPDATE {} SET {} WHERE id = {}").format(
                sql.Identifier(table),
                sql.SQL(", ").join(
                    sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))
                    for name, value in values.items()
                ),
                sql.Literal(str(key)),
            )
        )

    def insert(self, table: str, **values: Value) -> str:
        """Insert one row with an id of its own."""
        row: dict[str, Value] = {"id": str(uuid.UUID(int=self.random.getrandbits(128), version=4)), **values}
        self.db.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(map(sql.Literal, row.values())),
            )
        )
        return str(row["id"])

    def delete(self, table: str, key: object) -> None:
        """Delete one row, and first what would forbid it."""
        if table == "chatbots":
            self.db.execute("DELETE FROM conversations WHERE chatbot_id = %s", (key,))
        self.db.execute(sql.SQL("DELETE FROM {} WHERE id = %s").format(sql.Identifier(table)), (key,))

    def some(self, table: str, share: float) -> list[dict[str, Any]]:
        """About that share of a table's rows, at least one where there is one."""
        rows = self.rows(table)
        return self.random.sample(rows, min(len(rows), max(1, round(len(rows) * share))))

    def one(self, table: str) -> dict[str, Any]:
        """Any one row."""
        return self.random.choice(self.rows(table))

    def _settings(self, table: str, share: float, shapes: list[Any]) -> None:
        """Write to the settings of some rows as an application does: read, change, write."""
        for row in self.some(table, share):
            settings = row["settings"]
            change = self.random.choice(shapes)
            changed = change(json.loads(json.dumps(settings)) if settings is not None else {})
            if changed is None and not (table == "companies" or self.before.chatbot_settings[0]):
                continue
            self.update(table, row["id"], settings=None if changed is None else json.dumps(changed))

    def edit_other_settings(self) -> None:
        """Keys that are none of the feature's."""
        for table in ("companies", "chatbots"):
            self._settings(
                table,
                0.3,
                [lambda s: {**s, "locale": "fr", "ü": [1, {"2": 2.50}]}, lambda s: {**s, "theme": None}],
            )

    def edit_rows(self) -> None:
        """What any application does all day."""
        for row in self.some("chatbots", 0.2):
            self.update("chatbots", row["id"], name=row["name"] + " ✎")
        for row in self.some("users", 0.3):
            limit = {"varchar(500)": 500, "varchar(255)": 255}.get(self.before.avatar, 700)
            avatar = self.random.choice([None, "z" * limit, "日" * limit, "https://example.com/new.png", " " * 20])
            self.update("users", row["id"], avatar_url=avatar)
        soft = self.before.soft_of("chatbots")
        if soft:
            for row in self.some("chatbots", 0.1):
                self.update("chatbots", row["id"], **{soft: None if row[soft] else "2025-01-01 00:00:00+00"})

    def delete_rows(self) -> None:
        """One of each kind that archived rows may hang on."""
        for table in ("companies", "chatbots", "end_users", "conversations"):
            rows = self.rows(table)
            if len(rows) > 2:
                self.delete(table, self.random.choice(rows)["id"])


class NewApplication(Application):
    """Knows the flags, the call settings, model types and the call tables."""

    def write(self) -> None:
        """Everything it can do, each at least once."""
        with self.db.transaction():
            self._packages()
            self._companies()
            self._chatbots()
            self.edit_other_settings()
            self.edit_rows()
            self._models()
            self._calls()
            self.delete_rows()

    def _flags(self, table: str, pair: tuple[bool, bool]) -> dict[str, Value]:
        return dict(zip(FLAGS[table], pair, strict=True))

    def _packages(self) -> None:
        for pair in CAPABILITIES:
            self.insert("chatbot_packages", name=f"New {pair}", **self._flags("chatbot_packages", pair))
        for row in self.some("chatbot_packages", 0.4):
            self.update(
                "chatbot_packages",
                row["id"],
                **self._flags("chatbot_packages", self.random.choice(CAPABILITIES)),
            )

    def _companies(self) -> None:
        for number, settings in enumerate([{"features": {"callEnabled": True}}, {}, None, {"features": {"x": 1}}]):
            self.insert(
                "companies", name=f"New {number}", slug=f"new-{self.random.getrandbits(60)}",
                settings=None if settings is None else json.dumps(settings),
            )  # fmt: skip

        def flag(value: bool) -> Any:
            return lambda s: {**s, "features": {**(s.get("features") or {}), "callEnabled": value}}

        def without(s: dict[str, Any]) -> dict[str, Any]:
            return {
                **s,
                "features": {k: v for k, v in (s.get("features") or {}).items() if k != "callEnabled"},
            }

        self._settings("companies", 0.4, [flag(True), flag(True), flag(False), without, lambda _: None, lambda _: {}])

    def _allowing(self, pair: tuple[bool, bool]) -> str | None:
        """A package that allows these capabilities, or none at all."""
        fitting = [
            row["id"] for row in self.rows("chatbot_packages")
            if row["enable_chat"] >= pair[0] and row["enable_call"] >= pair[1]
        ]  # fmt: skip
        return str(self.random.choice(fitting)) if fitting and self.random.random() < 0.7 else None

    def _chatbots(self) -> None:
        for number in range(5):
            pair = CAPABILITIES[number % 3]
            settings = self.random.choice([{}, {"call": CALL_SETTINGS}, {"call": {}}, {"greeting": "hi"}])
            self.insert(
                "chatbots", company_id=str(self.one("companies")["id"]), name=f"New bot {number}",
                package_id=self._allowing(pair), settings=json.dumps(settings),
                **self._flags("chatbots", pair),
            )  # fmt: skip
        for row in self.some("chatbots", 0.5):
            pair = self.random.choice(CAPABILITIES)
            self.update("chatbots", row["id"], package_id=self._allowing(pair), **self._flags("chatbots", pair))
        changed = {**CALL_SETTINGS, "voiceId": "verse", "silenceTimeout": 77}
        default = self.db.execute("SELECT callctl.default_call_settings()").fetchone()
        assert default is not None
        self._settings(
            "chatbots",
            0.6,
            [
                lambda s: {**s, "call": changed},
                lambda s: {**s, "call": default[0]},
                lambda s: {**s, "call": {**(s.get("call") or CALL_SETTINGS), "maxCallDuration": 901}},
                lambda s: {**s, "call": {}},
                lambda s: {**s, "call": None},
                lambda s: {k: v for k, v in s.items() if k != "call"},
                lambda _: {"call": changed},
                lambda _: None,
            ],
        )

    def _models(self) -> None:
        for row in self.rows("ai_models"):
            # A model of the catalogue that was there before takes calls after each up: 'chat' is not kept.
            known = "gpt-4o-realtime-preview" in row.values()
            values: dict[str, Value] = {"model_type": self.random.choice(["call", "both", "both" if known else "chat"])}
            if self.random.random() < 0.7:
                values |= {
                    "supports_audio": self.random.random() < 0.5,
                    "audio_cost_per_second_input": "0.123456",
                    "description": "wörks",
                }
            self.update("ai_models", row["id"], **values)
        if self.models:
            self.insert("ai_models", model_type="both", **a_model(self.before, "gpt-new"))

    def _calls(self) -> None:
        accounts = [
            self.insert(
                "integration_accounts", company_id=str(self.one("companies")["id"]),
                account_name=f"Account {number}",
                account_type=["twilio", "whatsapp", "custom"][number % 3],
                credentials=json.dumps({"authToken": f"secret {number}", "n": 1.50}),
                webhook_secret="w" * number,
                webhook_url=f"https://example.com/hook/{self.random.getrandbits(60)}",
            )
            for number in range(4)
        ]  # fmt: skip
        for number in range(10):
            chatbot = self.one("chatbots")
            call = self.insert(
                "calls", source="web", direction="inbound", chatbot_id=str(chatbot["id"]),
                company_id=str(self.random.choice([chatbot["company_id"], self.one("companies")["id"]])),
                end_user_id=str(self.one("end_users")["id"]) if number % 3 else None,
                conversation_id=str(self.one("conversations")["id"]) if number % 2 else None,
                call_sid=f"CA{self.random.getrandbits(60)}" if number % 4 else None, duration=number,
                integration_account_id=self.random.choice([None, *accounts]), summary="Zusammenfassung ✓",
            )  # fmt: skip
            for line in range(number % 3):
                self.insert(
                    "call_transcripts", call_id=call, role="user", content=f"line {line} ünïcode",
                    start_time=line * 10, end_time=line * 10 + 7, duration=7, confidence="0.9876",
                    metadata='{"language": "de"}',
                )  # fmt: skip
        for row in self.some("calls", 0.3):
            self.update("calls", row["id"], status="completed")


class OldApplication(Application):
    """Knows the type column."""

    def __init__(self, db: psycopg.Connection[Any], before: Before, random: Random, *, models: bool = True) -> None:
        super().__init__(db, before, random, models=models)
        self._values = Rows(before)

    def write(self) -> None:
        """Everything it can do, each at least once."""
        with self.db.transaction():
            for table in FLAGS:
                column, values = self.before.type_of(table).name, self._values.type_values(table)
                for row in self.some(table, 0.4):
                    self.update(table, row["id"], **{column: self.random.choice(values)})
            package = self.insert("chatbot_packages", name="Old", **self._type("chatbot_packages"))
            self.insert("companies", name="Old", slug=f"old-{self.random.getrandbits(60)}", settings=None)
            for number in range(3):
                self.insert(
                    "chatbots", company_id=str(self.one("companies")["id"]), name=f"Old bot {number}",
                    settings="{}",
                    package_id=package if number == 1 else None, **self._type("chatbots"),
                )  # fmt: skip
            self.edit_other_settings()
            self.edit_rows()
            self._settings("companies", 0.1, [lambda s: {**s, "features": {"callEnabled": True}}, lambda _: {}])
            self._settings("chatbots", 0.1, [lambda s: {**s, "call": {"voiceId": "old"}}, lambda _: {}])
            if self.models:
                self.insert("ai_models", **a_model(self.before, "claude-old"))
                if self.random.random() < 0.5:
                    self.insert("ai_models", **a_model(self.before, "gemini-2.0-flash-exp"))
            self.delete_rows()

    def _type(self, table: str) -> dict[str, Value]:
        return {self.before.type_of(table).name: self.random.choice(self._values.type_values(table))}


def a_model(before: Before, name: str) -> dict[str, Value]:
    """The columns of a model row that an application has to give."""
    key = "model_id" if before.models == "deployed" else "model_name"
    row: dict[str, Value] = {"provider": "openai", key: name}
    if before.models in ("documented", "deployed"):
        row["display_name"] = name
    if before.models == "deployed":
        row |= {"input_limit": 1, "output_limit": 2}
    return row


def snapshot(db: psycopg.Connection[Any]) -> Snapshot:
    """How the database stands now."""
    return take(db)


Settings = Mapping[str, Any] | None
