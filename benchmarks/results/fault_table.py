"""How many faults were tried, as a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.support.faults.kinds import KINDS

from benchmarks.results.tables import where

ONE = re.compile(r"(?:rotation, (?P<scene>\w+), )?(?P<fault>\w+) in turn(?: (?P<direction>up|down))?")
COLUMNS = {"up": "migrate up", "down": "migrate down", "live": "rotation", "archived": "rotation of archived rows"}


def faults(content: Mapping[str, Any]) -> str:
    """A row for each fault, a column for each way; below, the chains in which they take turns."""
    tried: dict[tuple[str, str], int] = {}
    others: list[str] = []
    for chain in content["chains"]:
        count = sum(chain["actions"].values())
        match = ONE.fullmatch(chain["what"])
        if match is None:
            others.append(f"{chain['what']} {count:,}")
        else:
            tried[match["fault"], match["direction"] or match["scene"]] = count
    total = sum(count for chain in content["chains"] for count in chain["actions"].values())
    earlier = sorted({chain["commit"][:10] for chain in content["chains"]} - {content["commit"][:10]})
    told = f" Of some chains it was commit {', '.join(f'`{commit}`' for commit in earlier)}." if earlier else ""
    columns = {column: name for column, name in COLUMNS.items() if any(way == column for _, way in tried)}
    lines = [
        f"{total:,} faults. {where(content)}{told}",
        "",
        f"| fault | {' | '.join(columns.values())} |",
        f"|---|{'---|' * len(columns)}",
    ]
    for kind in KINDS:
        cells = (f"{tried[kind.name, column]:,}" if (kind.name, column) in tried else "" for column in columns)
        lines.append(f"| {kind.title} | {' | '.join(cells)} |")
    if others:
        lines += ["", f"Taking turns at every point: {', '.join(others)}."]
    return "\n".join(lines)
