"""The page of hazards and of lock modes, from the tables that ``migrate plan`` goes by."""

from __future__ import annotations

from callctl.forecast.hazards import HAZARDS
from callctl.forecast.locks import KINDS


def page(generated: str) -> str:
    """Each hazard with its examples, then the table of locks."""
    lines = [
        "# Hazards, and the table of locks",
        "",
        generated,
        "",
        "`callctl migrate plan FILE.sql` names the hazards of each statement by these ids.",
        "[Where the plan comes from](../explanation/forecast.md) says what it can know.",
        "",
    ]
    for hazard in HAZARDS:
        danger = f"{hazard.danger[0].upper()}{hazard.danger[1:]}."
        lines += [f"## {hazard.id}", "", f"{danger} Instead: {hazard.instead}.", "", "With the hazard:", ""]
        lines += ["```sql", *hazard.bad.splitlines(), "```", "", "Without it:", ""]
        lines += ["```sql", *hazard.good.splitlines(), "```", ""]
    lines += [
        "## The table of locks",
        "",
        "*Other table*: the one that a foreign key refers to, or that refers to this one. *Reads*: every row is read",
        "meanwhile.",
        "A statement that rewrites its table, or builds an index, also takes SHARE on it.",
        "",
        "| statement | lock | blocks | other table | reads | PostgreSQL manual |",
        "|---|---|---|---|---|---|",
    ]
    for name, kind in KINDS.items():
        mode = kind.mode.sql if kind.mode is not None else ("as it says" if name == "lock table" else "no table")
        blocked = kind.mode.blocked if kind.mode is not None else ""
        other = kind.other or kind.checked
        lines.append(
            f"| {name} | {mode} | {blocked} | {other.sql if other is not None else ''} | {'yes' if kind.reads else ''}"
            f" | {kind.source} |"
        )
    return "\n".join(lines) + "\n"
