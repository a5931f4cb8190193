"""The model catalogue (YAML) and the SQL of step 13 that it becomes.

Prices are exact decimals in US dollars, per million tokens and per audio second (specification, section 11). They are
written to whatever columns the table has: a column that keeps another unit gets the value converted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from callctl.errors import ConfigError, Refused
from callctl.files import read_sql
from callctl.lexer import identifier
from callctl.naming import DOCUMENTED, Naming
from callctl.script import Script, parse_script

if TYPE_CHECKING:
    from callctl.database import Connection

SOURCE = "steps/13_call_models/up.sql"
STEP = 13
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class Model:
    """One model of the catalogue. Prices in US dollars; limits in tokens."""

    key: str
    provider: Literal["openai", "google", "anthropic"]
    type: Literal["chat", "call", "both"]
    display_name: str
    description: str
    supports_audio: bool
    input_price_usd_per_million_tokens: Decimal
    output_price_usd_per_million_tokens: Decimal
    audio_input_price_usd_per_second: Decimal
    audio_output_price_usd_per_second: Decimal
    context_window_tokens: int
    max_output_tokens: int

    def documented(self) -> Mapping[str, object]:
        """The model as the specification's columns hold it, prices per token."""
        return {
            "provider": self.provider,
            "model_type": self.type,
            "model_name": self.key,
            "display_name": self.display_name,
            "description": self.description,
            "supports_audio": self.supports_audio,
            "input_cost_per_token": self.input_price_usd_per_million_tokens / _MILLION,
            "output_cost_per_token": self.output_price_usd_per_million_tokens / _MILLION,
            "audio_cost_per_second_input": self.audio_input_price_usd_per_second,
            "audio_cost_per_second_output": self.audio_output_price_usd_per_second,
            "context_window": self.context_window_tokens,
            "max_output_tokens": self.max_output_tokens,
        }


def load_catalogue(text: str | None = None, name: str = "models.yaml") -> tuple[Model, ...]:
    """The models of a catalogue; callctl's own where ``text`` is None.

    Raises ConfigError naming the file, the model and the field.
    """
    import yaml
    from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

    def decimal_as_string(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError("a price is a decimal in quotes, so that no digit is lost")
        return value

    price = Annotated[Decimal, BeforeValidator(decimal_as_string), Field(ge=0, allow_inf_nan=False)]

    class Entry(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        key: Annotated[str, Field(min_length=1, max_length=100)]
        provider: Literal["openai", "google", "anthropic"]
        type: Literal["chat", "call", "both"]
        display_name: Annotated[str, Field(min_length=1, max_length=100)]
        description: str
        supports_audio: bool
        input_price_usd_per_million_tokens: Annotated[price, Field(strict=False)]
        output_price_usd_per_million_tokens: Annotated[price, Field(strict=False)]
        audio_input_price_usd_per_second: Annotated[price, Field(strict=False)]
        audio_output_price_usd_per_second: Annotated[price, Field(strict=False)]
        context_window_tokens: Annotated[int, Field(gt=0)]
        max_output_tokens: Annotated[int, Field(gt=0)]

    try:
        entries = yaml.safe_load(read_sql(name) if text is None else text)
        listed = entries.get("models") if isinstance(entries, dict) else None
        if not isinstance(listed, list):
            raise ConfigError(
                f"{name}: there is no list under 'models:'", hint="callctl's own models.yaml shows the form"
            )
        found = TypeAdapter(list[Entry]).validate_python(listed)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = first["loc"]
        at = int(where[0]) if where else 0
        assert listed is not None
        model = listed[at].get("key", f"number {at + 1}") if isinstance(listed[at], dict) else f"number {at + 1}"
        path = ".".join(str(part) for part in where[1:]) or "the entry"
        raise ConfigError(f"{name}: model {model}: {path}: {first['msg'].lower()}") from error
    keys = [entry.key for entry in found]
    for key in keys:
        if keys.count(key) > 1:
            raise ConfigError(f"{name}: model {key} stands there twice")
    return tuple(Model(**entry.model_dump()) for entry in found)


def seed_script(models: Sequence[Model], naming: Naming = DOCUMENTED) -> Script:
    """The statements that insert the models, in documented names save columns of another unit.

    With the documented naming it is the text of step 13's ``up.sql``.
    """
    units = naming.tables["ai_models"].units
    columns = naming.tables["ai_models"].columns
    parts = [_HEAD]
    for model in models:
        values = {}
        for column, value in model.documented().items():
            if column in units:
                assert isinstance(value, Decimal)
                values[identifier(columns[column])] = _literal(value * units[column])
            else:
                values[column] = _literal(value)
        names = ["id", *values, "created_at", "updated_at"]
        texts = ["gen_random_uuid()", *values.values(), "NOW()", "NOW()"]
        parts.append(
            _INSERT.format(
                columns=",\n    ".join(names), values=",\n    ".join(texts), key=_literal(model.key), step=STEP
            )
        )
    parts.append(
        _FOUND.format(step=STEP, keys=", ".join(_literal(model.key) for model in models if model.type != "chat"))
    )
    return parse_script("\n".join(parts), SOURCE)


def assert_it_fits(connection: Connection, models: Sequence[Model], naming: Naming) -> None:
    """Raise Refused, naming model and field, where the table would round a price or has a column we can't fill."""
    table = naming.tables["ai_models"]
    rows = connection.execute(read_sql("catalog/model_columns.sql").encode(), {"schema": naming.schema}).fetchall()
    facts: dict[str, tuple[Any, ...]] = {row[0]: row[1:] for row in rows}
    filled = {table.columns.get(name, name) for name in models[0].documented()} | {"id", "created_at", "updated_at"}
    problems = [
        f"column {name} is NOT NULL without a default, and the catalogue has nothing for it"
        for name, (required, _, _) in facts.items()
        if required and name not in filled
    ]
    for model in models:
        for column, value in model.documented().items():
            actual = table.columns.get(column, column)
            if actual not in facts or not isinstance(value, Decimal):
                continue
            scale = facts[actual][1]
            kept = value * table.units.get(column, 1)
            if scale is not None and kept != round(kept, scale):
                problems.append(f"model {model.key}: {actual} keeps {scale} decimals and would round {kept:f}")
    if problems:
        raise Refused(
            f"the models do not fit table ai_models: {'; '.join(problems)}",
            hint="widen the column or give it a default, then run the same command again; nothing was written",
        )


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
