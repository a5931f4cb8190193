"""The model catalogue, what a table's columns keep of it, and the SQL of step 13 that callctl's own becomes.

Prices are exact decimals in US dollars, per million tokens and per audio second (specification, section 11). They are
written to whatever columns the table has: a column that keeps another unit gets the value converted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

from callctl.errors import ConfigError, UsageError
from callctl.files import read_sql
from callctl.statements.naming import DOCUMENTED, Naming, TableNaming
from callctl.statements.script import Script, parse_script
from callctl.statements.tokens import identifier

SOURCE = "steps/13_call_models/up.sql"
STEP = 13
OWN = "models.yaml"
EXAMPLES = "models-examples.yaml"

Value: TypeAlias = str | bool | int | Decimal

# Field of the catalogue -> column of the specification.
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
    """One model of the catalogue. Prices in US dollars; limits in tokens. None: the catalogue does not say."""

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
        """What the catalogue says of it, in the catalogue's own units."""
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
    """The models of a catalogue; where ``text`` is None, of the file ``name`` that comes with callctl.

    Raises ConfigError naming the file, the model and the field.
    """
    from callctl.migration.steps import catalogue_form

    return tuple(Model(**entry) for entry in catalogue_form.read(read_sql(name) if text is None else text, name))


def read_catalogue(file: str) -> tuple[Model, ...]:
    """The models of an operator's file. Raises as :func:`load_catalogue`, and UsageError where there is none."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"--catalog: there is no file {file}", hint="leave --catalog out for callctl's own") from None
    except (OSError, ValueError) as problem:  # ValueError: not UTF-8, or a name with a NUL in it
        reason = problem.strerror.lower() if isinstance(problem, OSError) and problem.strerror else "it is not UTF-8"
        raise ConfigError(f"cannot read {file}: {reason}", hint="make it a readable UTF-8 file") from None
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
    """What to warn of: prices of these models that the specification contradicts itself on."""
    return tuple(
        f"model {each.key}: {each.field} is {each.of_its_sql}, as the specification's SQL has it; its comment beside it"
        f" (L{each.line}) says {each.of_its_comment}: ask the provider which is right"
        for model in models
        for each in CONTRADICTIONS
        if model.key == each.key and getattr(model, each.field) == each.of_its_sql
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
