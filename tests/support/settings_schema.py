"""Hold a callctl.yaml against its published schema."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from callctl.config.file import yaml_document

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[2] / "docs/reference/callctl.schema.json").read_text(encoding="utf-8")
)
_VALIDATOR = Draft202012Validator(SCHEMA)


def problems(text: str) -> list[str]:
    """What the schema refuses in the text of a callctl.yaml."""
    root, construct = yaml_document(text)
    document = None if root is None else construct(root)
    return [f"{error.json_path}: {error.message}" for error in _VALIDATOR.iter_errors(_json(document))]


def _json(value: Any) -> Any:
    """A document of YAML as JSON has it: a time is its text, and so is a key."""
    if isinstance(value, dict):
        return {str(name): _json(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_json(entry) for entry in value]
    return value.isoformat() if isinstance(value, datetime) else value
