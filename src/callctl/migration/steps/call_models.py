"""The models of step 13: the catalog, the columns that keep it, and those that wait for step 6.

Prices are exact decimals in US dollars, per million tokens and per audio second (specification, section 11). They are
written to whatever columns the table has: a column that keeps another unit gets the value converted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from callctl.database import connection as database
from callctl.errors import Code, ConfigError, Refused, UsageError
from callctl.files import read_sql
from callctl.statements.naming import DOCUMENTED, Naming, TableNaming, has_type
from callctl.statements.script import Script, parse_script
from callctl.statements.tokens import identifier

if TYPE_CHECKING:
    from psycopg import sql

    from callctl.database.connection import Connection

# The model catalog, what a table's columns keep of it, and the SQL of step 13 that callctl's own becomes.

SOURCE = "steps/13_call_models/up.sql"
STEP = 13
OWN = "models.yaml"
EXAMPLES = "models-examples.yaml"

Value: TypeAlias = str | bool | int | Decimal

# Field of the catalog -> column of the specification.
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "provider": "provider",
        "type": "model_type",
        "key": "model_name",
        "display_name": "display_name",
        "description": "description",
        "supports_audio": "supports_audio",
        "input_price_usd_per_million_tokens": "input_cost_per_token",
        "output_price_usd_per_million_tokens": "output_cost_per_token",
        "audio_input_price_usd_per_second": "audio_cost_per_second_input",
        "audio_output_price_usd_per_second": "audio_cost_per_second_output",
        "context_window_tokens": "context_window",
        "max_output_tokens": "max_output_tokens",
    }
)
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class Model:
    """One model of the catalog. Prices in US dollars; limits in tokens. None: the catalog does not say."""

    key: str
    provider: Literal["openai", "google", "anthropic"]
    type: Literal["chat", "call", "both"]
    display_name: str
    description: str | None = None
    supports_audio: bool | None = None
    input_price_usd_per_million_tokens: Decimal | None = None
    output_price_usd_per_million_tokens: Decimal | None = None
    audio_input_price_usd_per_second: Decimal | None = None
    audio_output_price_usd_per_second: Decimal | None = None
    context_window_tokens: int | None = None
    max_output_tokens: int | None = None

    def fields(self) -> dict[str, Value]:
        """Return the model's values in the catalog's own units."""
        return {field: value for field in COLUMNS if (value := getattr(self, field)) is not None}

    def documented(self) -> Mapping[str, Value]:
        """The model as the specification's columns hold it, prices per token."""
        return {COLUMNS[field]: _documented(field, value) for field, value in self.fields().items()}


class Stored(NamedTuple):
    """A field as a table keeps it: the actual column, and the value in that column's unit."""

    column: str
    value: Value


def stored(field: str, value: Value, table: TableNaming) -> Stored:
    """A field's value, exactly, as this table keeps it."""
    column = COLUMNS[field]
    kept = _documented(field, value)
    if column in table.units:
        assert isinstance(kept, Decimal)
        kept *= table.units[column]
    return Stored(table.columns.get(column, column), kept)


def _documented(field: str, value: Value) -> Value:
    if isinstance(value, Decimal) and COLUMNS[field].endswith("_per_token"):
        return value / _MILLION
    return value


# ---- files ---------------------------------------------------------------------------------------------


def load_catalogue(text: str | None = None, name: str = OWN) -> tuple[Model, ...]:
    """The models of a catalog; where ``text`` is None, of the file ``name`` that comes with callctl.

    Raises ConfigError naming the file, the model and the field.
    """
    from callctl.migration.steps import catalogue_form

    return tuple(Model(**entry) for entry in catalogue_form.read(read_sql(name) if text is None else text, name))


def read_catalogue(file: str) -> tuple[Model, ...]:
    """The models of an operator's file. Raises as :func:`load_catalogue`, and UsageError if there is none."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(
            Code.FILE_UNREADABLE,
            f"--catalog: no such file: {file}",
            hint="remove --catalog to use callctl's own catalog",
        ) from None
    except (OSError, ValueError) as problem:  # ValueError: not UTF-8, or a name with a NUL in it
        reason = problem.strerror.lower() if isinstance(problem, OSError) and problem.strerror else "it is not UTF-8"
        raise ConfigError(
            Code.FILE_UNREADABLE,
            f"cannot read {file}: {reason}",
            hint="check the path, the read permission and the encoding (UTF-8)",
        ) from None
    return load_catalogue(text, file)


class Contradiction(NamedTuple):
    """A price that the specification gives twice, differently: in its SQL, and in a comment beside it."""

    key: str
    field: str
    of_its_sql: Decimal
    of_its_comment: Decimal
    line: int


CONTRADICTIONS = (
    Contradiction(
        "gemini-2.0-flash-exp", "input_price_usd_per_million_tokens", Decimal("0.75"), Decimal("0.075"), 3109
    ),
    Contradiction("gemini-2.0-flash-exp", "output_price_usd_per_million_tokens", Decimal("3"), Decimal("0.30"), 3110),
)


def contradictions(models: Sequence[Model]) -> tuple[str, ...]:
    """Return a warning for each price of these models on which the specification contradicts itself."""
    return tuple(
        f"model {known.key}: {known.field} is {known.of_its_sql} in the specification's SQL, but the comment beside "
        f"it (L{known.line}) says {known.of_its_comment}: ask the provider which is right"
        for model in models
        for known in CONTRADICTIONS
        if model.key == known.key and getattr(model, known.field) == known.of_its_sql
    )


# ---- step 13 -------------------------------------------------------------------------------------------


def seed_script(models: Sequence[Model], naming: Naming = DOCUMENTED) -> Script:
    """The statements that insert the models, in documented names save columns of another unit.

    With the documented naming it is the text of step 13's ``up.sql``.
    """
    table = naming.tables["ai_models"]
    parts = [_HEAD]
    for model in models:
        values = {}
        for field, value in model.fields().items():
            kept = stored(field, value, table)
            moved = COLUMNS[field] in table.units
            values[identifier(kept.column) if moved else COLUMNS[field]] = _literal(kept.value)
        names = ["id", *values, "created_at", "updated_at"]
        texts = ["gen_random_uuid()", *values.values(), "NOW()", "NOW()"]
        parts.append(
            _INSERT.format(
                columns=",\n    ".join(names), values=",\n    ".join(texts), key=_literal(model.key), step=STEP
            )
        )
    parts.append(_WITHHELD.format(step=STEP))
    parts.append(
        _FOUND.format(step=STEP, keys=", ".join(_literal(model.key) for model in models if model.type != "chat"))
    )
    return parse_script("\n".join(parts), SOURCE)


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, int):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


_HEAD = """\
-- Step 13: the models that can take calls. Generated from models.yaml; a test keeps the two equal.
-- Specification: section 11. Prices are US dollars per token and per audio second; where the table keeps another unit,
-- callctl converts. Models that an earlier down put away return as the same rows.

SELECT callctl.bring_back_rows('chatapp.ai_models'::regclass, 'model_name'::name);
"""

_INSERT = """\
WITH added AS (
  INSERT INTO chatapp.ai_models (
    {columns}
  )
  SELECT
    {values}
  WHERE NOT EXISTS (SELECT 1 FROM chatapp.ai_models AS m WHERE m.model_name = {key})
  RETURNING id
)
INSERT INTO callctl.made (step, kind, relation, name)
SELECT {step}, 'row', 'ai_models', id::text FROM added;
"""

_WITHHELD = """\
-- While chatbots has its type column (migrate up --defer-drops) the old application is at work, and must not offer
-- these models: they are inactive, or where the table has no is_active, they wait in callctl.saved_row, until step 6.
SELECT callctl.withhold_model('chatapp.ai_models'::regclass, r.name::uuid)
FROM callctl.made AS r
WHERE r.step = {step} AND r.kind = 'row'
  AND EXISTS (
    SELECT FROM pg_attribute AS a
    WHERE a.attrelid = 'chatapp.chatbots'::regclass AND NOT a.attisdropped
      AND lower(a.attname) IN ('chatbottype', 'chatbot_type'));
"""

_FOUND = """\
-- Where step 7 was adopted, models of these names that take calls were put there by the same migration.
-- callctl: repeatable
INSERT INTO callctl.made (step, kind, relation, name)
SELECT {step}, 'row', 'ai_models', m.id::text
FROM chatapp.ai_models AS m
WHERE m.model_name IN ({keys}) AND m.model_type = 'call'
  AND (SELECT h.adopted FROM callctl.history AS h WHERE h.step = 7 ORDER BY h.id DESC LIMIT 1)
ON CONFLICT (kind, relation, name) DO NOTHING;

-- A model of one of these names that was there before has been a chat model until now; it stays one, and takes calls.
UPDATE chatapp.ai_models AS m SET model_type = 'both'
WHERE m.model_name IN ({keys})
  AND m.model_type = 'chat'
  AND NOT EXISTS (
    SELECT FROM callctl.made AS r WHERE r.kind = 'row' AND r.relation = 'ai_models' AND r.name = m.id::text);
"""


# The columns of ai_models as they are, and whether they keep what a catalog says, to the last digit.

TABLE = "ai_models"
# What every insert fills beside the catalog's fields.
STAMPS = ("created_at", "updated_at")
_WHOLE = MappingProxyType({"smallint": 2**15, "integer": 2**31, "bigint": 2**63})


@dataclass(frozen=True)
class Column:
    """One column. ``required``: NOT NULL, and nothing fills it by itself. ``length`` in characters."""

    name: str
    required: bool
    type: str
    precision: int | None
    scale: int | None
    length: int | None
    labels: Sequence[str] | None

    def misfit(self, value: Value) -> str | None:
        """Why it does not keep this value as it is, or None. What is not known here the server says."""
        if isinstance(value, bool):
            return None
        if isinstance(value, str):
            if self.labels is not None and value not in self.labels:
                return f"has no label {value} (its labels are {', '.join(self.labels)})"
            if self.length is not None and len(value) > self.length:
                return f"stores {self.length} characters, and the value has {len(value)}"
            return None
        number = Decimal(value)
        if self.length is not None and len(as_sent(number)) > self.length:
            return f"stores {self.length} characters, too few for {_short(number)}"
        if self.type in _WHOLE:
            if number != number.to_integral_value():
                return f"stores whole numbers and would round {_short(number)}"
            return None if abs(number) < _WHOLE[self.type] else f"is {self.type}, too small for {_short(number)}"
        if self.precision is not None and self.scale is not None:
            if number != round(number, self.scale):
                return f"stores {self.scale} decimals and would round {_short(number)}"
            if abs(number) >= Decimal(10) ** (self.precision - self.scale):
                return (
                    f"has room for {self.precision - self.scale} digits before the point, too few for {_short(number)}"
                )
        return None


def read_columns(connection: Connection, naming: Naming) -> dict[str, Column]:
    """The columns of this database's table, by name."""
    rows = connection.execute(read_sql("migration/steps/model_columns.sql"), {"schema": naming.schema}).fetchall()
    return {row[0]: Column(*row) for row in rows}


def assert_it_fits(connection: Connection, models: Sequence[Model], naming: Naming) -> None:
    """Raise Refused if step 13 could not insert these models. A column that step 7 will add is not asked about."""
    table = naming.tables[TABLE]
    columns = read_columns(connection, naming)
    raise_misfits([*unfilled(models, columns, table), *misfits(models, columns, table, missing=False)], OWN)


def raise_misfits(problems: Sequence[str], catalogue: str) -> None:
    """Raise Refused with these problems, if there are any."""
    if problems:
        raise Refused(
            Code.MODELS_DO_NOT_FIT,
            f"the models of {catalogue} do not fit table {TABLE}: {'; '.join(problems)}",
            hint="widen the column, give it a default, or change the catalog; nothing was written",
        )


def unfilled(models: Sequence[Model], columns: Mapping[str, Column], table: TableNaming) -> list[str]:
    """Return the columns that a new row of these models would leave without a needed value."""
    known = {table.columns.get(column, column): field for field, column in COLUMNS.items()}
    problems = []
    for column in columns.values():
        if not column.required or column.name in ("id", *STAMPS):
            continue
        field = known.get(column.name)
        without = [model.key for model in models if field is None or getattr(model, field) is None]
        if without:
            problem = f"the catalog has no {field}" if field else "nothing in a catalog fills it"
            problems.append(f"{_named(without)}: column {column.name} is NOT NULL without a default, and {problem}")
    return problems


def misfits(
    models: Iterable[Model], columns: Mapping[str, Column], table: TableNaming, *, missing: bool = True
) -> list[str]:
    """Return the values that the columns would change: model, field, column, why. ``missing`` columns count as well."""
    problems = []
    for model in models:
        for field, value in model.fields().items():
            name, kept = stored(field, value, table)
            column = columns.get(name)
            why = ("is not there" if missing else None) if column is None else column.misfit(kept)
            if why is not None:
                problems.append(f"model {model.key}: {field}: column {name} {why}")
    return problems


def as_sent(value: Value) -> str:
    """A value as it is sent to the server, which knows the column's type: a number as it is, without zeros at its end.

    An integer column takes 5 and not 5.00, and a text column keeps what it is given.
    """
    if isinstance(value, Decimal):
        with localcontext(prec=200):
            return f"{value.normalize():f}"
    return as_text(value)


def as_text(value: Value) -> str:
    """A value as it is shown and recorded."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def says(text: str | None, value: Value) -> bool:
    """Return whether what a column gives as text is this value; 5 and 5.0000 are the same."""
    if text is None:
        return False
    if isinstance(value, bool):
        return text in (("true", "t", "1") if value else ("false", "f", "0"))
    return text == value if isinstance(value, str) else _number(text) == value


def in_catalogue(field: str, text: str | None, table: TableNaming) -> str | None:
    """Return a column's value as text in the catalog's unit for this field."""
    column = COLUMNS[field]
    number = _number(text) if text is not None and column.endswith("_per_token") else None
    if number is None or not number.is_finite():
        return text
    with localcontext(prec=200):
        return f"{(number / table.units.get(column, 1) * 1_000_000).normalize():f}"


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except ArithmeticError:
        return None


def _short(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _named(keys: Sequence[str]) -> str:
    return f"model {keys[0]}" if len(keys) == 1 else f"models {', '.join(keys)}"


# Models for calls that wait while chatbots has its type column, so that the old application does not offer them.
#
# Where the table says of a model whether it is active, they are inactive; elsewhere they are in callctl's own schema.
# Step 6 makes them available. Of an inactive one the whole row is kept as callctl left it, so that a later write is
# seen.

_TABLE = "ai_models"
_KEY = "model_name"


@dataclass(frozen=True)
class Withheld:
    """One such model. ``inserted``: it is in the table, inactive; otherwise step 6 inserts it."""

    key: str
    inserted: bool


def waits(connection: Connection, naming: Naming) -> bool:
    """Return whether a model for calls that is inserted now has to wait for step 6."""
    return has_type(connection, naming, "chatbots")


def models(connection: Connection, naming: Naming) -> tuple[Withheld, ...]:
    """The models that step 6 makes available, by key. Reads only; none where an older callctl made its schema."""
    if not database.relation_exists(connection, "callctl", "withheld_model") or not waits(connection, naming):
        return ()
    rows = connection.execute(_composed("migration/steps/withheld.sql", naming)).fetchall()
    return tuple(Withheld(*row) for row in rows)


def bring_back(connection: Connection, naming: Naming) -> tuple[str, ...]:
    """Put the models that wait in callctl's schema into the table, until :func:`withhold`. Returns their ids."""
    rows = connection.execute(_composed("migration/steps/bring_back.sql", naming)).fetchone()
    return tuple(rows[0]) if rows else ()


def as_left(connection: Connection, naming: Naming, ids: Sequence[str]) -> tuple[str, ...]:
    """Those of the models that callctl made inactive and that are stored as it left them."""
    rows = connection.execute(_composed("migration/steps/as_left.sql", naming), {"ids": list(ids)}).fetchall()
    return tuple(row[0] for row in rows)


def left_as_stored(connection: Connection, naming: Naming, ids: Sequence[str]) -> None:
    """Take note that callctl itself has left these models as they are stored now."""
    connection.execute(_composed("migration/steps/left_as_stored.sql", naming), {"ids": list(ids)})


def withhold(connection: Connection, naming: Naming, ids: Iterable[str]) -> None:
    """Let these models wait. Raises psycopg.Error where one is not stored as it was meant."""
    for id in ids:
        connection.execute(_composed("migration/steps/withhold.sql", naming), {"id": id})


def _composed(file: str, naming: Naming) -> sql.Composed:
    from psycopg import sql

    table: Any = sql.Identifier(naming.schema, _TABLE)
    key = naming.tables[_TABLE].columns.get(_KEY, _KEY)
    text = sql.SQL(read_sql(file))
    composed: sql.Composed = text.format(
        models=table,
        key=sql.Identifier(key),
        table=sql.Literal(table.as_string(None)),
        key_name=sql.Literal(key),
    )
    return composed
