"""The result file of ./dev bench queries as it stands in docs/explanation/performance.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.results.tables import where


def queries(content: Mapping[str, Any]) -> str:
    """The specification's queries on large tables: times and indexes, and what is read on even larger ones."""
    rows, many = content["rows"], content["many"]
    calls_of = content["calls_of"]
    tenants = list(calls_of)
    lines = [
        f"{rows['calls']:,} calls, {rows['call_transcripts']:,} lines; median of {content['settings']['runs']} runs."
        f" {where(content)}",
        "",
        f"| query | specification | {' | '.join(f'{name} ({calls_of[name]:,} calls)' for name in tenants)} | reads | "
        f"on {many['calls']:,} calls and {many['call_transcripts']:,} lines |",
        "|---|---|" + "---|" * (len(tenants) + 2),
    ]
    for each in content["queries"]:
        times = " | ".join(_time(each[name]["ms"]) for name in tenants)
        plans = [each["many"][0], each["many"][1], each["many, large"]]
        reads = sorted({found for name in tenants for found in _reads(each[name])})
        later = sorted({found for plan in plans for found in _reads(plan)})
        lines.append(
            f"| `{each['query']}` | {each['documented']} | {times} | {', '.join(reads) or 'nothing'} |"
            f" {', '.join(later) or 'nothing'} |"
        )
    return "\n".join(lines)


def changes(content: Mapping[str, Any]) -> str:
    """What another index would do, and what deleting a parent costs."""
    lines = ["| query | for | with | time | reads | MB of the index |", "|---|---|---|---|---|---|"]
    for each in content["words"]:
        lines.append(
            f"| `search`, `{each['word']}` ({each['is']}) | {each['for']} | as documented | {_time(each['ms'])} |"
            f" {', '.join(_reads(each))} | |"
        )
    for each in content["changes"]:
        lines.append(
            f"| `{each['query']}` | {each['for']} | {each['with']} |"
            f" {_time(each['ms'])} | {', '.join(_reads(each))} | {each['mb'] or ''} |"
        )
    for each in content["keys"]:
        for name, text in (("documented", "as documented"), ("indexed", f"with calls ({each['column']})")):
            size = each["mb"] if name == "indexed" else ""
            lines.append(
                f"| deleting {each['parent']} without calls | | {text} | {_time(each[name]['ms'])} |"
                f" {', '.join(_reads(each[name]))} | {size} |"
            )
    return "\n".join(lines)


def _reads(plan: Mapping[str, Any]) -> list[str]:
    return [f"**all of {table.removeprefix('all of ')}**" for table in plan["scanned"]] + [
        f"`{index}`" for index in plan["indexes"]
    ]


def index_sizes(content: Mapping[str, Any]) -> str:
    """What the documented indexes take."""
    return ", ".join(f"`{each['index']}` {each['mb']:,}" for each in content["indexes"])


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2f} ms"
