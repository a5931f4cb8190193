"""A model catalog as an operator writes it: YAML, and the form that it must have.

The published schema (docs/reference/model-catalogue.schema.json) is made from the classes here. Importing this is slow.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from callctl.config.file import no_entry_twice, yaml_document
from callctl.errors import Code, ConfigError

# What one file may hold, in characters: far more than any list of models.
LONGEST = 1_000_000
# Problems that a message names; it counts the rest.
SHOWN = 10
HINT = "docs/reference/model-catalogue.md has every field, its type and its range; nothing was written"

_PRICE = re.compile(r"(0|[1-9][0-9]{0,5})(\.[0-9]{1,12})?", re.ASCII)
_NO_CONTROL = r"[^\x00-\x1f\x7f-\x9f]"


def _as_price(value: object) -> object:
    if value is None:
        return None
    if not isinstance(value, str):
        raise PydanticCustomError("price", 'the price is not a decimal in quotes, such as "0.75"')
    if not _PRICE.fullmatch(value):
        raise PydanticCustomError(
            "price",
            'the price is not a plain decimal from "0" to "999999.999999999999", without a unit or an exponent',
        )
    return Decimal(value)


# Beside the categories: letters and marks that show nothing.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def _visible(value: str) -> str:
    """A key or a name without characters that show nothing, or that turn the others around."""
    for character in value:
        category = unicodedata.category(character)
        selector = unicodedata.name(character, "").find("VARIATION SELECTOR") >= 0
        if category in ("Cc", "Cf", "Zl", "Zp") or selector or character in _BLANK:
            raise PydanticCustomError(
                "invisible",
                "an invisible or bidirectional character is not allowed: {code}",
                {"code": f"U+{ord(character):04X}"},
            )
    return value


_PRICE_SCHEMA = {"anyOf": [{"type": "string", "pattern": f"^{_PRICE.pattern}$"}, {"type": "null"}]}
_Price = Annotated[Decimal | None, BeforeValidator(_as_price), WithJsonSchema(_PRICE_SCHEMA)]
_Tokens = Annotated[int, Field(ge=1, le=2_147_483_647)]
# One price of a pair without the other would count half of what a call costs.
PAIRS = (
    ("input_price_usd_per_million_tokens", "output_price_usd_per_million_tokens"),
    ("audio_input_price_usd_per_second", "audio_output_price_usd_per_second"),
)


class Entry(BaseModel):
    """One model. A field that is left out, or null, is not written and not compared."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        title="Model",
        json_schema_extra={"dependentRequired": {name: [other] for a, b in PAIRS for name, other in ((a, b), (b, a))}},
    )
    key: Annotated[
        str, Field(min_length=1, max_length=100, pattern=r"^[^\s\x00-\x1f\x7f-\x9f]+$"), AfterValidator(_visible)
    ] = Field(description="The provider's name of the model, unique in the table.")
    provider: Literal["openai", "google", "anthropic"] = Field(description="Who runs it.")
    type: Literal["chat", "call", "both"] = Field(description="The capability of the model.")
    display_name: Annotated[
        str, Field(min_length=1, max_length=100, pattern=rf"^{_NO_CONTROL}+$"), AfterValidator(_visible)
    ] = Field(description="The name that customers see when they choose a model.")
    description: Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")] | None = Field(
        default=None, description="The description that customers see below the name."
    )
    supports_audio: bool | None = Field(default=None, description="Whether the model takes and gives audio.")
    input_price_usd_per_million_tokens: _Price = Field(
        default=None, description="US dollars for a million input tokens."
    )
    output_price_usd_per_million_tokens: _Price = Field(
        default=None, description="US dollars for a million output tokens."
    )
    audio_input_price_usd_per_second: _Price = Field(
        default=None, description="US dollars for a second of audio input."
    )
    audio_output_price_usd_per_second: _Price = Field(
        default=None, description="US dollars for a second of audio output."
    )
    context_window_tokens: _Tokens | None = Field(
        default=None, description="The largest number of input tokens of a request."
    )
    max_output_tokens: _Tokens | None = Field(
        default=None, description="The largest number of output tokens of an answer."
    )

    @model_validator(mode="after")
    def _whole_pairs(self) -> Self:
        for pair in PAIRS:
            given = [name for name in pair if getattr(self, name) is not None]
            if len(given) == 1:
                (other,) = set(pair) - set(given)
                raise PydanticCustomError("pair", f"{other} is missing, although {given[0]} is given")
        return self


class Catalogue(BaseModel):
    """The models that callctl seed-models writes."""

    model_config = ConfigDict(extra="forbid", strict=True, title="Model catalog of callctl")
    models: Annotated[list[Entry], Field(min_length=1)] = Field(description="The models, in the order of the list.")


def schema() -> dict[str, Any]:
    """The JSON Schema of a catalog, for editors and other programs."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Catalogue.model_json_schema()}


def read(text: str, name: str) -> list[dict[str, Any]]:
    """The models of a catalog, each as its fields; a field that is not given is None.

    Raises ConfigError naming the file, the model and the field of everything that is wrong.
    """
    document = _yaml(text, name)
    listed = document.get("models") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed:
        raise ConfigError(Code.MODEL_CATALOG, f"{name}: no list of models under 'models:'", hint=HINT)
    try:
        entries = Catalogue.model_validate(document).models
    except ValidationError as error:
        problems = [_said(detail, listed) for detail in error.errors(include_url=False)]
        raise _unusable(name, problems) from None
    shared = [
        f"model {key}: key: {number} models have this key"
        for key, number in Counter(entry.key for entry in entries).items()
        if number > 1
    ]
    if shared:
        raise _unusable(name, shared)
    return [entry.model_dump() for entry in entries]


def _yaml(text: str, name: str) -> object:
    if len(text) > LONGEST:
        raise ConfigError(Code.MODEL_CATALOG, f"{name}: the catalog is larger than {LONGEST:,} characters", hint=HINT)
    try:
        root, construct = yaml_document(text)
        if root is None:
            return None
        no_entry_twice(root, name, "a model")
        value: object = construct(root)
        return value
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        raise ConfigError(Code.MODEL_CATALOG, f"{place}: not YAML: {reason}", hint=HINT) from None
    except (ValueError, RecursionError) as error:  # a date such as 2026-13-45; a thousand brackets
        raise ConfigError(
            Code.MODEL_CATALOG, f"{name}: a value cannot be read: {error}", hint="put the value in quotes"
        ) from None
    except (AttributeError, LookupError, TypeError):  # !!timestamp x, !!bool x: the parser's own mistakes
        raise ConfigError(
            Code.MODEL_CATALOG, f"{name}: a value does not fit its tag", hint="remove tags such as !!int"
        ) from None


def _unusable(name: str, problems: list[str]) -> ConfigError:
    others = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return ConfigError(Code.MODEL_CATALOG, f"{name}: {'; '.join(problems[:SHOWN])}{others}", hint=HINT)


def _said(error: ErrorDetails, listed: list[Any]) -> str:
    """One problem: the model by its key, or by its number where it has none; the field; what is wrong with it."""
    where = error["loc"]
    message = error["msg"][:1].lower() + error["msg"][1:]
    if error["type"] == "literal_error":
        message += f", not {_short(error['input'])}"
    elif error["type"] == "extra_forbidden":
        message = "no such field"
    elif error["type"] == "string_pattern_mismatch":
        message = "white space and control characters are not allowed"
    if len(where) < 2:
        return f"{where[0] if where else 'the file'}: {message}"
    index = int(where[1])
    key = listed[index].get("key") if isinstance(listed[index], dict) else None
    model = _short(key).strip("'") if isinstance(key, str) and key else f"number {index + 1}"
    field = ".".join(str(part) for part in where[2:])
    return f"model {model}: {ascii(field)[1:-1]}: {message}" if field else f"model {model}: {message}"


def _short(value: object) -> str:
    """A value as a message may show it: on one line, and nothing that a terminal would obey."""
    text = ascii(value) if not isinstance(value, str) or not value.isprintable() else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
