"""Hold JSON against a published schema. A key that the schema does not have is a problem, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).resolve().parents[3] / "docs" / "reference" / "schemas"

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
    "integer": (int,),
    "number": (int, float),
}
# Every keyword that is known here; another would be passed over.
_KNOWN = {
    *("$schema", "$defs", "$ref", "title", "description", "anyOf", "const", "enum", "type", "format"),
    *("properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems"),
}


def problems(value: object, name: str) -> list[str]:
    """What is wrong with ``value``, by the schema of that file name without its ending."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return list(_problems(value, schema, schema.get("$defs", {}), name))


def _problems(value: object, schema: Any, definitions: dict[str, Any], place: str) -> Iterator[str]:
    assert schema is True or set(schema) <= _KNOWN, f"unknown keywords: {set(schema) - _KNOWN}"
    if schema is True:
        return
    if "$ref" in schema:
        yield from _problems(value, definitions[schema["$ref"].removeprefix("#/$defs/")], definitions, place)
    if "anyOf" in schema:
        tried = [list(_problems(value, branch, definitions, place)) for branch in schema["anyOf"]]
        if all(tried):
            yield from min(tried, key=len)
    if "const" in schema and value != schema["const"]:
        yield f"{place}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is none of {schema['enum']}"
    if "type" in schema and not _is(value, schema["type"]):
        yield f"{place}: {value!r} is no {schema['type']}"
        return
    if schema.get("format") == "date-time":
        assert isinstance(value, str)
        if datetime.fromisoformat(value).tzinfo is None:
            yield f"{place}: {value} has no offset"
    if isinstance(value, list):
        firsts = schema.get("prefixItems", [])
        for position, item in enumerate(value):
            kind = firsts[position] if position < len(firsts) else schema.get("items", True)
            yield from _problems(item, kind, definitions, f"{place}[{position}]")
    if isinstance(value, dict) and schema.get("type") == "object":
        properties, others = (
            schema.get("properties", {}),
            schema.get("additionalProperties", "properties" not in schema),
        )
        for key in schema.get("required", []):
            if key not in value:
                yield f"{place}: {key} is missing"
        for key, item in value.items():
            if key not in properties and others is False:
                yield f"{place}: {key} is not in the schema"
            yield from _problems(item, properties.get(key, others or True), definitions, f"{place}.{key}")


def _is(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])
