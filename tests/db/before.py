"""Generated before-databases: every spelling, type and neighbour that reading the field says to expect.

A ``Before`` is a plain value that hypothesis draws; ``build`` makes the database of it with SQL of its own, which
shares nothing with ``sql/baselines``. The rows follow from ``seed``: whatever the seed, each database holds at
least one row of every shape (unknown types, NULLs, every form of the settings, soft-deleted rows, breaches of
the package rule), so that no example proves less than another.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

import psycopg
from hypothesis import strategies as st
from psycopg import sql

TIMES = ("timestamp with time zone", "timestamp without time zone")
TYPED = ("chatbots", "chatbot_packages")
SOFT = ("users", "companies", "chatbots", "chatbot_packages", "ai_models")
TYPE_SPELLINGS = ("chatbottype", "chatbot_type", "chatbotType")
SOFT_SPELLINGS = (None, "deletedat", "deleted_at", "deletedAt")
ROLES = ("callctl_test_application", "callctl_test_reader")

# What a type column holds besides the two that the document knows.
ODD_TYPES = ("Call", "voice", "")

Value: TypeAlias = str | int | bool | None


@dataclass(frozen=True)
class TypeColumn:
    """The type column of one table. ``kind`` is text, varchar, varchar(50), char(10) or an enum's (schema, name)."""

    name: str = "chatbottype"
    kind: str | tuple[str, str] = "varchar(50)"
    nullable: bool = True
    default: str | None = "'chat'"
    extras: frozenset[str] = frozenset()

    @property
    def is_enum(self) -> bool:
        """Whether the column is of an enum type."""
        return isinstance(self.kind, tuple)


@dataclass(frozen=True)
class Before:
    """One before-database. ``enums`` maps (schema, name) to labels; schema "own" is the platform's."""

    schema: str = "chatapp"
    types: tuple[TypeColumn, TypeColumn] = (TypeColumn(), TypeColumn())
    enums: tuple[tuple[tuple[str, str], tuple[str, ...]], ...] = ()
    soft: tuple[str | None, ...] = ("deleted_at", "deleted_at", "deletedat", "deletedat", "deletedat")
    times: str = TIMES[0]
    models: str = "documented"
    chatbot_settings: tuple[bool, str | None] = (True, None)  # nullable, default
    company_settings: str | None = None  # default
    touch: bool = True
    touched: frozenset[str] = frozenset()
    avatar: str = "varchar(500)"
    neighbours: frozenset[str] = frozenset()
    seed: int = 1
    rows: int = 16

    def type_of(self, table: str) -> TypeColumn:
        """The type column of that table."""
        return self.types[TYPED.index(table)]

    def soft_of(self, table: str) -> str | None:
        """The soft-delete column of that table, if it has one."""
        return self.soft[SOFT.index(table)]


# The names and shapes of the two baselines of the sandbox.
DOCUMENTED = Before()
DEPLOYED = Before(
    types=(
        TypeColumn("chatbot_type", ("public", "chatbot_type"), nullable=False),
        TypeColumn("chatbot_type", ("public", "chatbot_type"), nullable=False),
    ),
    enums=((("public", "chatbot_type"), ("chat", "call")),),
    soft=("deleted_at", "deleted_at", "deleted_at", None, None),
    times=TIMES[1],
    models="deployed",
    chatbot_settings=(False, "'{}'"),
    company_settings="'{}'",
    touch=False,
)

# What may stand on a type column. {t} is the table, {n} its bare name, {c} the column, {s} the schema.
EXTRAS: dict[str, tuple[str, ...]] = {
    "several columns": ("CREATE INDEX {n}_several ON {t} (name, {c} DESC NULLS LAST)",),
    "partial": ("CREATE INDEX {n}_partial ON {t} (name) WHERE {c} = 'call'",),
    "on live rows": ("CREATE INDEX {n}_live ON {t} ({c}) WHERE is_active AND {c} IS NOT NULL",),
    "unique": (
        'CREATE UNIQUE INDEX "{n} Unique" ON {t} (id, {c})',
        'COMMENT ON INDEX {s}."{n} Unique" IS \'it''s unique\'',
    ),
    "covering": ("CREATE INDEX {n}_covering ON {t} (name) INCLUDE ({c}) WITH (fillfactor = 70)",),
    "hash": ("CREATE INDEX {n}_hash ON {t} USING hash ({c})",),
    "clustered": (
        "CREATE INDEX {n}_clustered ON {t} ({c}, created_at)",
        "ALTER TABLE {t} CLUSTER ON {n}_clustered",
    ),
    "unique constraint": (
        "ALTER TABLE {t} ADD CONSTRAINT {n}_key UNIQUE (id, {c}, name) DEFERRABLE INITIALLY DEFERRED",
        "COMMENT ON CONSTRAINT {n}_key ON {t} IS 'a key'",
    ),
    "check": (
        "ALTER TABLE {t} ADD CONSTRAINT {n}_type_check CHECK ({c} IN ('chat', 'call', 'Call', 'voice', ''))",
        "COMMENT ON CONSTRAINT {n}_type_check ON {t} IS 'one of these'",
    ),
    "check of several columns": (
        "ALTER TABLE {t} ADD CONSTRAINT \"{n} Several\" CHECK ({c} IS NULL OR name <> '' OR is_active)",
    ),
    "unvalidated check": (
        "ALTER TABLE {t} ADD CONSTRAINT {n}_unvalidated CHECK ({c} NOT IN ('fax', 'it''s', 'tty')) NOT VALID",
        "COMMENT ON CONSTRAINT {n}_unvalidated ON {t} IS 'to be validated'",
    ),
    "statistics": (
        "CREATE STATISTICS {s}.{n}_statistics (ndistinct, dependencies) ON {c}, name FROM {t}",
        "COMMENT ON STATISTICS {s}.{n}_statistics IS 'they go together'",
    ),
    "comment": ("COMMENT ON COLUMN {t}.{c} IS 'what it is: it''s \"chat\" or ''call'''",),
    "grants": (
        "GRANT SELECT ({c}), UPDATE ({c}) ON {t} TO callctl_test_reader",
        "GRANT SELECT ({c}) ON {t} TO callctl_test_application WITH GRANT OPTION",
    ),
    "statistics target": ("ALTER TABLE {t} ALTER COLUMN {c} SET STATISTICS 250",),
    "options": ("ALTER TABLE {t} ALTER COLUMN {c} SET (n_distinct = 2)",),
}
# These need more of the column than that it is there.
TEXT_EXTRAS: dict[str, tuple[str, ...]] = {
    "expression": ("CREATE INDEX {n}_lower ON {t} (lower({c}))",),
    "partial on some": ("CREATE INDEX {n}_some ON {t} (name) WHERE {c} IN ('call', 'Call', 'voice')",),
    "operator class": ("CREATE INDEX {n}_pattern ON {t} ({c} text_pattern_ops)",),
    "length check": ("ALTER TABLE {t} ADD CONSTRAINT {n}_length CHECK (length({c}) <= 30)",),
    "storage": ("ALTER TABLE {t} ALTER COLUMN {c} SET STORAGE EXTERNAL",),
    "collation": (),  # part of the column itself
    "lookup": (),  # a foreign key; made after the rows
}
NOT_NULL_EXTRAS: dict[str, tuple[str, ...]] = {
    "replica identity": (
        "CREATE UNIQUE INDEX {n}_identity ON {t} ({c}, id)",
        "ALTER TABLE {t} REPLICA IDENTITY USING INDEX {n}_identity",
    ),
}
ENUM_EXTRAS: dict[str, tuple[str, ...]] = {
    "enum partial": ("CREATE INDEX {n}_enum ON {t} (name) WHERE {c} > 'chat'",),
}

# What may stand elsewhere in the database.
NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "columns": (
        "ALTER TABLE {s}.chatbots ADD COLUMN \"Extra Data\" jsonb DEFAULT '{{}}'",
        "ALTER TABLE {s}.chatbots ADD COLUMN shout text GENERATED ALWAYS AS (upper(name)) STORED",
        "ALTER TABLE {s}.companies ADD COLUMN position integer GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE {s}.ai_models ADD COLUMN tags text[] NOT NULL DEFAULT '{{}}'",
    ),
    "avatar index": (
        "CREATE INDEX users_avatar ON {s}.users (avatar_url)",
        "CREATE INDEX users_avatar_hash ON {s}.users (md5(avatar_url)) WHERE length(avatar_url) < 400",
        "ALTER TABLE {s}.users ADD CONSTRAINT users_avatar_check CHECK (avatar_url <> 'none')",
    ),
    "avatar column": (
        "ALTER TABLE {s}.users ALTER COLUMN avatar_url SET DEFAULT 'https://example.com/nobody.png'",
        "COMMENT ON COLUMN {s}.users.avatar_url IS 'a picture'",
        "GRANT SELECT (avatar_url) ON {s}.users TO callctl_test_reader",
        "ALTER TABLE {s}.users ALTER COLUMN avatar_url SET STATISTICS 90",
        "ALTER TABLE {s}.users ALTER COLUMN avatar_url SET STORAGE EXTERNAL",
    ),
    "avatar collation": ('ALTER TABLE {s}.users ALTER COLUMN avatar_url TYPE {a} COLLATE "C"',),
    "settings index": (
        "CREATE INDEX companies_settings ON {s}.companies USING gin (settings)",
        "CREATE INDEX chatbots_settings ON {s}.chatbots USING gin (settings jsonb_path_ops)",
    ),
    "comments": (
        "COMMENT ON TABLE {s}.chatbots IS 'the bots'",
        "COMMENT ON SCHEMA {s} IS 'the platform'",
    ),
    "grants": (
        "GRANT USAGE ON SCHEMA {s} TO callctl_test_application, callctl_test_reader",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {s} TO callctl_test_application",
        "GRANT SELECT ON {s}.chatbots TO callctl_test_reader WITH GRANT OPTION",
    ),
    "other tables": (
        "CREATE TABLE {s}.integrations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), status text)",
        "CREATE TABLE public.chatbots (id integer PRIMARY KEY, chatbottype text)",
        "INSERT INTO public.chatbots VALUES (1, 'mine')",
        "CREATE VIEW {s}.company_names AS SELECT id, name FROM {s}.companies",
    ),
}


@st.composite
def befores(draw: st.DrawFn) -> Before:
    """Any before-database that callctl must take up and back."""
    schema = draw(st.sampled_from(("chatapp", "chatapp", "platform", "Chat App")))
    labels = ("chat", "call", *draw(st.sampled_from(((), ("voice",), ("voice", "Call", "")))))
    home = draw(st.sampled_from(("public", "own", "elsewhere")))
    shared = draw(st.booleans())
    enums: dict[tuple[str, str], tuple[str, ...]] = {}
    columns = []
    for table in TYPED:
        kind: str | tuple[str, str] = draw(
            st.sampled_from(("varchar(50)", "varchar(50)", "varchar", "text", "char(10)", "enum", "enum"))
        )
        if kind == "enum":
            kind = (home, "chatbot_type" if shared else f"{table} Kind")
            enums[kind] = labels
        nullable = draw(st.booleans())
        default = draw(st.sampled_from((None, "'chat'", "'call'") + (() if isinstance(kind, tuple) else ("lower('CHAT')",))))
        menu = [*EXTRAS]
        menu += ENUM_EXTRAS if isinstance(kind, tuple) else TEXT_EXTRAS
        menu += [] if nullable else NOT_NULL_EXTRAS
        extras = draw(st.frozensets(st.sampled_from(menu), max_size=8))
        if isinstance(kind, tuple):
            extras -= {"check", "unvalidated check"} if len(labels) < 5 else {"unvalidated check"}
        columns.append(TypeColumn(draw(st.sampled_from(TYPE_SPELLINGS)), kind, nullable, default, extras))
    touch = draw(st.booleans())
    every = ("companies", "users", "chatbots", "chatbot_packages", "ai_models", "conversations", "end_users")
    return Before(
        schema=schema,
        types=(columns[0], columns[1]),
        enums=tuple(enums.items()),
        soft=tuple(draw(st.sampled_from(SOFT_SPELLINGS)) for _ in SOFT),
        times=draw(st.sampled_from(TIMES)),
        models=draw(st.sampled_from(("documented", "deployed", "mixed", "bare"))),
        chatbot_settings=draw(st.sampled_from(((True, None), (True, "'{}'"), (False, "'{}'")))),
        company_settings=draw(st.sampled_from((None, "'{}'", '\'{"features": {"callEnabled": false}}\''))),
        touch=touch,
        touched=draw(st.frozensets(st.sampled_from(every))) if touch else frozenset(),
        avatar=draw(st.sampled_from(("varchar(500)", "varchar(500)", "varchar(255)", "varchar", "text"))),
        neighbours=draw(st.frozensets(st.sampled_from([*NEIGHBOURS]))),
        seed=draw(st.integers(0, 2**32)),
        rows=draw(st.integers(12, 30)),
    )


def quoted(name: str) -> str:
    """An identifier as SQL writes it."""
    return sql.Identifier(name).as_string()


def make_roles(db: psycopg.Connection[Any]) -> None:
    """The roles that grants name; they belong to the server and outlive the database."""
    for role in ROLES:
        db.execute(
            f"DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )


def build(db: psycopg.Connection[Any], before: Before) -> None:
    """Make that before-database in an empty one."""
    make_roles(db)
    for statement in statements(before):
        db.execute(statement.encode())
    Rows(before).insert(db)
    for statement in late_statements(before):
        db.execute(statement.encode())
    db.execute("ANALYZE")


def _enum(before: Before, key: tuple[str, str]) -> str:
    home = {"own": before.schema}.get(key[0], key[0])
    return f"{quoted(home)}.{quoted(key[1])}"


def _columns(before: Before, table: str) -> str:
    """created_at, updated_at and the soft-delete column that the table may have."""
    parts = [
        f"created_at {before.times} NOT NULL DEFAULT now()",
        f"updated_at {before.times} NOT NULL DEFAULT now()",
    ]
    soft = before.soft_of(table) if table in SOFT else None
    return ", ".join([*parts, *([f"{quoted(soft)} {before.times}"] if soft else [])])


def _type_column(before: Before, table: str) -> str:
    column = before.type_of(table)
    kind = _enum(before, column.kind) if isinstance(column.kind, tuple) else column.kind
    parts = [quoted(column.name), kind]
    if "collation" in column.extras:
        parts.append('COLLATE "C"')
    parts += [] if column.nullable else ["NOT NULL"]
    parts += [f"DEFAULT {column.default}"] if column.default else []
    return " ".join(parts)


MODEL_COLUMNS = {
    "documented": """provider text NOT NULL, model_name text NOT NULL, display_name text NOT NULL, description text,
      supports_audio boolean NOT NULL DEFAULT false, input_cost_per_token numeric(18,12),
      output_cost_per_token numeric(18,12), audio_cost_per_second_input numeric(12,6),
      audio_cost_per_second_output numeric(12,6), context_window integer, max_output_tokens integer""",
    "deployed": """provider {provider} NOT NULL, model_id varchar(100) NOT NULL UNIQUE,
      display_name varchar(100) NOT NULL, description text, input_limit integer NOT NULL, output_limit integer NOT NULL,
      input_price_per_million numeric(10,4), output_price_per_million numeric(10,4), cached_input_price numeric(10,4),
      settings_schema jsonb NOT NULL DEFAULT '{{}}', is_default boolean NOT NULL DEFAULT false""",
    "mixed": """provider varchar(30) NOT NULL, model_name varchar(120) NOT NULL UNIQUE,
      input_price_per_million numeric(12,6), output_cost_per_token numeric(20,14), context_window bigint,
      "maxOutputTokens" integer, supports_audio boolean""",
    "bare": """provider text NOT NULL, model_name text NOT NULL""",
}


def statements(before: Before) -> Sequence[str]:
    """The statements that make the schema, in order."""
    s = quoted(before.schema)
    out = [f"CREATE SCHEMA {s}"]
    if any(key[0] == "elsewhere" for key, _ in before.enums):
        out.append("CREATE SCHEMA elsewhere")
    for key, labels in before.enums:
        listed = ", ".join(f"'{label}'" for label in labels)
        out += [
            f"CREATE TYPE {_enum(before, key)} AS ENUM ({listed})",
            f"COMMENT ON TYPE {_enum(before, key)} IS 'what a bot is'",
            f"REVOKE USAGE ON TYPE {_enum(before, key)} FROM PUBLIC",
            f"GRANT USAGE ON TYPE {_enum(before, key)} TO callctl_test_application",
        ]
    out.append("CREATE TYPE public.ai_model_provider AS ENUM ('openai', 'google', 'anthropic')")
    nullable, default = before.chatbot_settings
    chatbot_settings = f"settings jsonb {'' if nullable else 'NOT NULL'} {f'DEFAULT {default}' if default else ''}"
    company_settings = f"settings jsonb {f'DEFAULT {before.company_settings}' if before.company_settings else ''}"
    models = MODEL_COLUMNS[before.models].format(provider="public.ai_model_provider")
    out += [
        f"""CREATE TABLE {s}.companies (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name varchar(255) NOT NULL,
            slug varchar(100) UNIQUE, {company_settings}, {_columns(before, "companies")})""",
        f"""CREATE TABLE {s}.users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            company_id uuid REFERENCES {s}.companies ON DELETE CASCADE, email varchar(255) NOT NULL,
            avatar_url {before.avatar}, {_columns(before, "users")})""",
        f"""CREATE TABLE {s}.chatbot_packages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            name varchar(255) NOT NULL, {_type_column(before, "chatbot_packages")},
            is_active boolean NOT NULL DEFAULT true, {_columns(before, "chatbot_packages")})""",
        f"""CREATE TABLE {s}.ai_models (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), {models},
            is_active boolean NOT NULL DEFAULT true, {_columns(before, "ai_models")})""",
        f"""CREATE TABLE {s}.chatbots (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            company_id uuid NOT NULL REFERENCES {s}.companies ON DELETE CASCADE,
            {_type_column(before, "chatbots")}, package_id uuid REFERENCES {s}.chatbot_packages ON DELETE SET NULL,
            ai_model_id uuid REFERENCES {s}.ai_models, name varchar(255) NOT NULL, {chatbot_settings},
            is_active boolean NOT NULL DEFAULT true, {_columns(before, "chatbots")})""",
        f"""CREATE TABLE {s}.end_users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            company_id uuid NOT NULL REFERENCES {s}.companies ON DELETE CASCADE, name varchar(255),
            {_columns(before, "end_users")})""",
        f"""CREATE TABLE {s}.conversations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            company_id uuid NOT NULL REFERENCES {s}.companies ON DELETE CASCADE,
            chatbot_id uuid NOT NULL REFERENCES {s}.chatbots ON DELETE CASCADE,
            end_user_id uuid REFERENCES {s}.end_users ON DELETE SET NULL, {_columns(before, "conversations")})""",
    ]
    if before.touch:
        out.append(
            f"""CREATE FUNCTION {s}.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql
                AS $$ BEGIN NEW.updated_at = now(); RETURN NEW; END $$"""
        )
    for table in sorted(before.touched):
        out.append(
            f"""CREATE TRIGGER update_{table}_updated_at BEFORE UPDATE ON {s}.{table}
                FOR EACH ROW EXECUTE FUNCTION {s}.update_updated_at_column()"""
        )
    for name in sorted(before.neighbours):
        out += [each.format(s=s, a=before.avatar) for each in NEIGHBOURS[name]]
    known = {**EXTRAS, **TEXT_EXTRAS, **NOT_NULL_EXTRAS, **ENUM_EXTRAS}
    for table in TYPED:
        column = before.type_of(table)
        for extra in sorted(column.extras):
            out += [
                each.format(s=s, t=f"{s}.{table}", n=table, c=quoted(column.name)) for each in known[extra]
            ]
    return out


def late_statements(before: Before) -> Sequence[str]:
    """What can only be made once the rows are there."""
    s = quoted(before.schema)
    out = []
    for table in TYPED:
        column = before.type_of(table)
        if "lookup" in column.extras:
            c, lookup = quoted(column.name), f"{s}.{table}_types"
            collation = 'COLLATE "C"' if "collation" in column.extras else ""
            out += [
                f"CREATE TABLE {lookup} (id text {collation} PRIMARY KEY)",
                f"INSERT INTO {lookup} VALUES ('chat'), ('call'), ('Call'), ('voice'), ('')",
                f"ALTER TABLE {s}.{table} ADD CONSTRAINT {table}_lookup FOREIGN KEY ({c}) REFERENCES {lookup}",
                f"COMMENT ON CONSTRAINT {table}_lookup ON {s}.{table} IS 'a known type'",
            ]
    return out


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
        made = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        self.ids.setdefault(table, []).append(made)
        return made

    def some(self, table: str, *, none: bool = False) -> str | None:
        """The id of some row of that table, or with ``none`` sometimes None."""
        return None if none and self.random.random() < 0.2 else self.random.choice(self.ids[table])

    def type_values(self, table: str) -> list[str | None]:
        """Every value that the type column of that table can hold."""
        column = self.before.type_of(table)
        labels = dict(self.before.enums)[column.kind] if isinstance(column.kind, tuple) else ("chat", "call", *ODD_TYPES)
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
        avatars = (None, "", "x" * 250, "https://example.com/ä.png", "y" * 255, "trailing   ")
        if before.avatar == "varchar(500)":
            avatars += ("a" * 399, "b" * 499, "c" * 500, "日" * 500, "d" * 490 + " " * 10)
        if before.avatar in ("varchar", "text"):
            avatars += ("e" * 2000,)
        for number, avatar in enumerate(avatars):
            self.put(db, "users", number, company_id=self.some("companies", none=True), email=f"u{number}", avatar_url=avatar)
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
        every = [(kind, shapes[i % len(shapes)]) for i, kind in enumerate(kinds)] + [("call", s) for s in shapes] + every
        for number, (kind, shape) in enumerate(every[: max(before.rows, len(kinds) + len(shapes))]):
            self.put(
                db, "chatbots", number, company_id=self.some("companies"), name=f"Bot {number} {'語' * (number % 3)}", type=kind,
                settings=_json(shape), package_id=self.some("chatbot_packages", none=True),
                ai_model_id=self.some("ai_models", none=True),
            )  # fmt: skip
        for number in range(8):
            self.put(db, "end_users", number, company_id=self.some("companies"), name=f"Visitor {number}")
        for number in range(8):
            self.put(
                db, "conversations", number, company_id=self.some("companies"), chatbot_id=self.some("chatbots"),
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
    names = [("openai", "gpt-4"), ("google", "gemini-pro"), ("anthropic", "claude-3"), ("openai", "gpt-4o-realtime-preview")]
    if before.models == "documented":
        return [
            {
                "provider": provider, "model_name": name, "display_name": name.upper(), "supports_audio": i == 1,
                "input_cost_per_token": "0.000000123456", "audio_cost_per_second_input": "0.010000" if i else None,
                "context_window": 1000 * i,
            }
            for i, (provider, name) in enumerate(names)
        ]  # fmt: skip
    if before.models == "deployed":
        return [
            {
                "provider": provider, "model_id": name, "display_name": name.upper(), "input_limit": 1000, "output_limit": 10,
                "input_price_per_million": "1.2345",
            }
            for provider, name in names
        ]  # fmt: skip
    return [{"provider": provider, "model_name": name} for provider, name in names]
