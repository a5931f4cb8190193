"""Why a mutant that survived is right to: reasons.yaml, written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("reasons.yaml")


@cache
def reasons() -> tuple[dict[str, str], ...]:
    """Each names a file, the line before and after the change, and the reason."""
    return tuple(yaml.safe_load(FILE.read_text(encoding="utf-8")) or ())


def reason(row: Mapping[str, Any]) -> str:
    """Of one mutant as a result file describes it; empty if there is none."""
    same = ("file", "was", "becomes")
    return next((entry["reason"] for entry in reasons() if all(entry[key] == row[key] for key in same)), "")
