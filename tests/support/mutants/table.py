"""What the last run of the mutants found, as a page shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.support.mutants.areas import AREAS
from tests.support.mutants.reasons import reason


def mutants(content: Mapping[str, Any]) -> str:
    """A row for each area; below, each mutant that survived, with its reason."""
    rows = content["mutants"]
    counts = Counter((row["area"], row["outcome"]) for row in rows)
    changed = " with changes" if content["changed"] else ""
    lines = [
        f"{len(rows)} mutants, seed {content['settings']['seed']}; {content['date'][:10]}, "
        f"commit `{content['commit'][:10]}`{changed}.",
        "",
        "| area | files | tried | killed | survived |",
        "|---|---|---|---|---|",
    ]
    for area in AREAS:
        tried = sum(number for (name, _), number in counts.items() if name == area.name)
        if tried:
            files = ", ".join(f"`{pattern}`" for pattern in area.files)
            killed = counts[area.name, "killed"]
            lines.append(f"| {area.name} | {files} | {tried} | {killed} | {tried - killed} |")
    unnoticed = [row for row in rows if row["outcome"] != "killed"]
    for row in unnoticed:
        lines += ["", f"`{row['file']}:{row['line']}`, {row['kind']}: {reason(row) or 'no reason is known'}", ""]
        lines += ["```diff", f"- {row['was']}", f"+ {row['becomes']}", "```"]
    return "\n".join(lines)
