"""Generated before-databases: every spelling, type and neighbour that reading the field says to expect.

A ``Before`` is a plain value that hypothesis draws; ``build`` makes the database of it with SQL of its own,
which shares nothing with ``sql/baselines``. The rows follow from ``seed``: whatever the seed, each database
holds a row of every shape (unknown types, NULLs, every form of the settings, soft-deleted rows, breaches of
the package rule), so that no example proves less than another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from psycopg import sql
from tests.support.db.before_objects import (
    ENUM_EXTRAS,
    EXTRAS,
    MODEL_COLUMNS,
    NEIGHBOURS,
    NOT_NULL_EXTRAS,
    TEXT_EXTRAS,
)

TIMES = ("timestamp with time zone", "timestamp without time zone")
TYPED = ("chatbots", "chatbot_packages")
SOFT = ("users", "companies", "chatbots", "chatbot_packages", "ai_models")
TYPE_SPELLINGS = ("chatbottype", "chatbot_type", "chatbotType")
SOFT_SPELLINGS = (None, "deletedat", "deleted_at", "deletedAt")
ROLES = ("callctl_test_application", "callctl_test_reader")

# What a type column holds besides the two that the document knows.
ODD_TYPES = ("Call", "voice", "")


@dataclass(frozen=True)
class TypeColumn:
    """The type column of one table. ``kind`` is a type as SQL writes it, or an enum's (schema, name)."""

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
        default = draw(
            st.sampled_from((None, "'chat'", "'call'") + (() if isinstance(kind, tuple) else ("lower('CHAT')",)))
        )
        menu = [*EXTRAS]
        menu += ENUM_EXTRAS if isinstance(kind, tuple) else TEXT_EXTRAS
        menu += [] if nullable else NOT_NULL_EXTRAS
        extras = draw(st.frozensets(st.sampled_from(menu), max_size=8))
        if isinstance(kind, tuple):
            extras -= {"check", "unvalidated check"} if len(labels) < 5 else {"unvalidated check"}
        if kind == "char(10)":
            extras -= {"operator class", "lookup"}
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
        f"""CREATE TABLE {s}.companies (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            name varchar(255) NOT NULL,
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
            {_type_column(before, "chatbots")},
            package_id uuid REFERENCES {s}.chatbot_packages ON DELETE SET NULL,
            ai_model_id uuid REFERENCES {s}.ai_models, name varchar(255) NOT NULL, {chatbot_settings},
            is_active boolean NOT NULL DEFAULT true, {_columns(before, "chatbots")})""",
        f"""CREATE TABLE {s}.end_users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            company_id uuid NOT NULL REFERENCES {s}.companies ON DELETE CASCADE, name varchar(255),
            {_columns(before, "end_users")})""",
        f"""CREATE TABLE {s}.conversations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            company_id uuid NOT NULL REFERENCES {s}.companies ON DELETE CASCADE,
            chatbot_id uuid NOT NULL REFERENCES {s}.chatbots ON DELETE CASCADE,
            end_user_id uuid REFERENCES {s}.end_users ON DELETE SET NULL,
            {_columns(before, "conversations")})""",
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
        out += [statement.format(s=s, a=before.avatar) for statement in NEIGHBOURS[name]]
    known = {**EXTRAS, **TEXT_EXTRAS, **NOT_NULL_EXTRAS, **ENUM_EXTRAS}
    for table in TYPED:
        column = before.type_of(table)
        for extra in sorted(column.extras):
            out += [
                statement.format(s=s, t=f"{s}.{table}", n=table, c=quoted(column.name)) for statement in known[extra]
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
