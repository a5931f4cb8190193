"""What must be in each row after a way down, and after another up, worked out from copies taken before.

Reading of the promise: docs/explanation/losslessness.md. Nothing here looks at callctl's store or its SQL.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.support.db.application import FLAGS
from tests.support.db.before import Before
from tests.support.db.snapshot import Row, Snapshot, Table

NEW_TABLES = ("integration_accounts", "calls", "call_transcripts")
# What the columns of step 7 hold in a row where nobody has written to them.
NEW_MODEL = {"model_type": "chat", "supports_audio": "false"}
CATALOGUE = ("gpt-4o-realtime-preview-2024-10-01", "gpt-4o-realtime-preview", "gemini-2.0-flash-exp")
MISSING: Any = object()  # a path that is not there, as opposed to one that holds null


def flags_of_type(kind: str | None) -> tuple[bool, bool]:
    """The document's mapping (L104-131): chat and call."""
    return (kind != "call", kind == "call")


def type_of_flags(flags: tuple[bool, bool]) -> str:
    """And back; a hybrid counts as chat."""
    return "call" if flags == (False, True) else "chat"


def flags(table: str, row: Row) -> tuple[bool, bool]:
    """The flags of a row."""
    chat, call = FLAGS[table]
    return row[chat] == "true", row[call] == "true"


def settings(row: Row | None) -> Any:
    """A row's settings; None is SQL NULL."""
    text = row["settings"] if row else None
    return None if text is None else json.loads(text, parse_float=Decimal)


def call_flag(value: Any) -> Any:
    """settings.features.callEnabled, or MISSING."""
    features = (value or {}).get("features")
    return features.get("callEnabled", MISSING) if isinstance(features, dict) else MISSING


def call_settings(value: Any) -> Any:
    """settings.call, or MISSING."""
    return (value or {}).get("call", MISSING)


def company_down(now: Any, before: Any) -> Any:
    """Company settings after a way down: the path as it was, everything else as it is."""
    old = call_flag(None if before is MISSING else before)
    if old is not MISSING:
        return {**(now or {}), "features": {**((now or {}).get("features") or {}), "callEnabled": old}}
    if call_flag(now) is MISSING:
        return now
    rest = {**now, "features": {key: value for key, value in now["features"].items() if key != "callEnabled"}}
    if not rest["features"] and before is not MISSING and not isinstance((before or {}).get("features"), dict):
        if "features" in (before or {}):
            rest["features"] = None
        else:
            del rest["features"]
        if before is None and not rest:
            return None
    return rest


def chatbot_down(now: Any, before: Any) -> Any:
    """Chatbot settings after a way down."""
    old = call_settings(None if before is MISSING else before)
    if old is not MISSING:
        return {**(now or {}), "call": old}
    if call_settings(now) is MISSING:
        return now
    rest = {key: value for key, value in now.items() if key != "call"}
    return None if before is None and not rest else rest


class Down:
    """What a way down must leave, from the copy before up and the copy before down."""

    def __init__(self, shape: Before, before: Snapshot, upped: Snapshot, written: Snapshot) -> None:
        self.shape = shape
        self.before = before
        self.new_models = set(upped.table("ai_models")) - set(before.table("ai_models"))
        self.written = written

    def rows(self) -> dict[str, dict[str, dict[str, str | None]]]:
        """Every table as it must be; settings are compared apart and stand as they were written."""
        expected = {}
        for name in self.before.rows:
            bare = name.rpartition(".")[2]
            own = name.startswith(f"{self.shape.schema}.")
            columns = _columns(self.before.rows[name])
            expected[name] = {
                key: self._row(bare if own else "", key, row, columns)
                for key, row in self.written.rows[name].items()
                if not (own and bare == "ai_models" and key in self.new_models)
            }
        return expected

    def _row(self, table: str, key: str, row: Row, columns: set[str]) -> dict[str, str | None]:
        result = {name: value for name, value in row.items() if name in columns or not columns}
        if table in FLAGS:
            old = self.before.table(table).get(key)
            column = self.shape.type_of(table).name
            if column in row:  # the drops were deferred: the type stood beside the flags, and was the truth
                return {name: value for name, value in result.items() if name not in FLAGS[table]}
            now = flags(table, row)
            unchanged = old is not None and now == flags_of_type(old[column])
            result[column] = old[column] if old is not None and unchanged else type_of_flags(now)
            for flag in FLAGS[table]:
                result.pop(flag, None)
        return result

    def settings(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        """(table, id) -> the settings that are right; two where the promise allows two."""
        expected: dict[tuple[str, str], tuple[Any, ...]] = {}
        for key, row in self.written.table("companies").items():
            old = self.before.table("companies").get(key)
            expected["companies", key] = (company_down(settings(row), settings(old) if old else MISSING),)
        for key, row in self.written.table("chatbots").items():
            old = self.before.table("chatbots").get(key)
            right = chatbot_down(settings(row), settings(old) if old else MISSING)
            # NULL that the application itself turned into {} may stay {}.
            expected["chatbots", key] = (right, {}) if right is None and settings(row) is not None else (right,)
        return expected


class Again:
    """What the next up must leave, from copies: before down, after it, after the old application wrote."""

    def __init__(
        self, shape: Before, written: Snapshot, downed: Snapshot, old: Snapshot, new_models: set[str], default: Any
    ) -> None:
        self.shape, self.written, self.downed, self.old = shape, written, downed, old
        self.new_models = new_models
        self.default = json.loads(json.dumps(default), parse_float=Decimal)

    def flags(self, table: str) -> dict[str, tuple[bool, bool]]:
        """The flags of every row: those written in between, unless the old application wrote another type."""
        column = self.shape.type_of(table).name
        expected = {}
        for key, row in self.old.table(table).items():
            newer, then = self.written.table(table).get(key), self.downed.table(table).get(key)
            if newer is not None and then is not None and then[column] == row[column]:
                expected[key] = flags(table, newer)
            else:
                expected[key] = flags_of_type(row[column])
        return expected

    def outvoted(self, table: str) -> set[str]:
        """Rows with flags that no type says, whose type was written meanwhile: those flags stay listed."""
        column = self.shape.type_of(table).name
        return {
            key
            for key, row in self.old.table(table).items()
            if key in self.written.table(table)
            and flags(table, self.written.table(table)[key]) == (True, True)
            and self.downed.table(table)[key][column] != row[column]
        }

    def company(self, key: str) -> Any:
        """Company settings: the flag written in between unless the old application wrote it; else false."""
        now, then, newer = (snapshot.table("companies").get(key) for snapshot in (self.old, self.downed, self.written))
        flag = call_flag(settings(now))
        if newer is not None and then is not None and flag is call_flag(settings(then)):
            flag = call_flag(settings(newer))
        flag = False if flag is MISSING else flag
        return {
            **(settings(now) or {}),
            "features": {**((settings(now) or {}).get("features") or {}), "callEnabled": flag},
        }

    def chatbot(self, key: str) -> Any:
        """Chatbot settings: call as written in between, unless the old application wrote it."""
        now, then, newer = (snapshot.table("chatbots").get(key) for snapshot in (self.old, self.downed, self.written))
        value = settings(now)
        call = call_settings(value)
        if newer is not None and then is not None and _same(call, call_settings(settings(then))):
            call = call_settings(settings(newer))
        enabled = self.flags("chatbots")[key][1]
        if enabled and call in (MISSING, None, {}):
            call = self.default
        was = newer is not None and flags("chatbots", newer)[1] and call_settings(value) in (MISSING, None, {})
        if was and not enabled and call == self.default:
            # Defaults are not saved for a chatbot that would get them again, and it takes no calls any more.
            call = call_settings(value)
        if call is MISSING:
            return {k: v for k, v in value.items() if k != "call"} if value is not None else None
        return {**(value or {}), "call": call}

    def new_tables(self) -> dict[str, dict[str, Row]]:
        """The three tables: what was written in between, less what deletes took along or nulled."""
        alive = {name: set(self.old.table(name)) for name in ("companies", "chatbots", "end_users", "conversations")}
        accounts = {
            key: row
            for key, row in self.written.table("integration_accounts").items()
            if row["company_id"] in alive["companies"]
        }
        calls: dict[str, Row] = {}
        for key, row in self.written.table("calls").items():
            if row["company_id"] not in alive["companies"] or row["chatbot_id"] not in alive["chatbots"]:
                continue
            kept = dict(row)
            for column, home in (
                ("end_user_id", alive["end_users"]),
                ("conversation_id", alive["conversations"]),
                ("integration_account_id", set(accounts)),
            ):
                kept[column] = row[column] if row[column] in home else None
            calls[key] = kept
        lines = {key: row for key, row in self.written.table("call_transcripts").items() if row["call_id"] in calls}
        return {"integration_accounts": accounts, "calls": calls, "call_transcripts": lines}

    def models(self, key_column: str) -> dict[str, dict[str, str | None]]:
        """The models: as written in between, save what the old application wrote into its own columns."""
        expected: dict[str, dict[str, str | None]] = {}
        for key, row in self.old.table("ai_models").items():
            newer = self.written.table("ai_models").get(key)
            expected[key] = {**(newer or NEW_MODEL), **row}
            if row[key_column] in CATALOGUE and expected[key]["model_type"] == "chat":
                expected[key]["model_type"] = "both"  # step 13: a model of these names takes calls
        taken = {row[key_column] for row in self.old.table("ai_models").values()}
        for key in self.new_models:
            row = self.written.table("ai_models")[key]
            if row[key_column] not in taken:
                expected[key] = dict(row)
        return expected


def _same(value: Any, other: Any) -> bool:
    return value is other or (
        value is not MISSING and other is not MISSING and value == other and type(value) is type(other)
    )


def _columns(table: Table) -> set[str]:
    return set(next(iter(table.values()), {}))


def plain(rows: Mapping[str, Row], *without: str) -> dict[str, dict[str, str | None]]:
    """Rows without some of their columns."""
    return {key: {name: value for name, value in row.items() if name not in without} for key, row in rows.items()}
