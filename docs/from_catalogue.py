"""The published schema of a model catalog, and the reference page that is made from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from callctl.files import read_sql
from callctl.migration.steps import catalogue_form
from callctl.migration.steps.call_models import COLUMNS, EXAMPLES, OWN

SCHEMA = "model-catalogue.schema.json"


def schema() -> str:
    """The JSON Schema, as a file."""
    return json.dumps(catalogue_form.schema(), ensure_ascii=True, indent=2) + "\n"


def page(generated: str) -> str:
    """Every field with its type, its range and the columns that keep it."""
    generated_schema = catalogue_form.schema()
    entry = generated_schema["$defs"]["Entry"]
    lines = [
        "# The model catalog",
        "",
        generated,
        "The YAML file that `callctl seed-models --catalog FILE` reads: `models:`, and below it a list of models with",
        "these fields and no others. A field that is left out, or null, is neither written nor compared. The same as a",
        f"JSON Schema, for editors and other programs: [{SCHEMA}]({SCHEMA}). How to use it:",
        "[seed models](../how-to/seed-models.md).",
        "",
        "| field | value | means | column of the specification |",
        "|---|---|---|---|",
    ]
    for name, facts in entry["properties"].items():
        needed = "" if name in entry["required"] else ", or left out"
        lines.append(f"| `{name}` | {_value(facts)}{needed} | {facts['description']} | `{COLUMNS[name]}` |")
    lines += [
        "",
        "- Prices are decimals **in quotes**, without an exponent: YAML would make a binary fraction of a number.",
        "- Prices come in pairs: an input price needs an output price.",
        "- No key, and no field of a model, is repeated.",
        "",
        "A table may keep another unit or have other names (`input_price_per_million`, `input_limit`); the values are",
        "converted, exactly. callctl refuses a value that a column cannot hold to the last digit, names the model, the",
        "field and the column, and writes nothing. It also refuses a new model without a required field: each column",
        "that is NOT NULL and has no default needs its field.",
        "",
        f"## callctl's own: `{OWN}`",
        "",
        "Step 13 inserts these models, and so does `callctl seed-models` without a catalog.",
        "",
        "```yaml",
        read_sql(OWN).rstrip(),
        "```",
        "",
        f"## The specification's examples: `{EXAMPLES}`",
        "",
        "What `callctl seed-models --examples` takes.",
        "",
        "```yaml",
        read_sql(EXAMPLES).rstrip(),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _value(facts: Mapping[str, Any]) -> str:
    """What a field takes, in words."""
    kinds = [alternative for alternative in facts.get("anyOf", [facts]) if alternative.get("type") != "null"]
    (kind,) = kinds
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    if kind["type"] == "integer":
        return f"whole number, {kind['minimum']:,} to {kind['maximum']:,}"
    if kind["type"] == "boolean":
        return "`true` or `false`"
    if "maxLength" in kind:
        return f"text, {kind.get('minLength', 0)} to {kind['maxLength']:,} characters"
    return 'decimal in quotes, `"0"` to `"999999.999999999999"`'
