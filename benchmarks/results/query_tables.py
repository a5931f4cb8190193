"""The result file of ./dev bench queries as it stands in docs/reference/measurements.md."""

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
    for query in content["queries"]:
        times = " | ".join(_time(query[name]["ms"]) for name in tenants)
        plans = [query["many"][0], query["many"][1], query["many, large"]]
        reads = sorted({read for name in tenants for read in _reads(query[name])})
        later = sorted({read for plan in plans for read in _reads(plan)})
        lines.append(
            f"| `{query['query']}` | {query['documented']} | {times} | {', '.join(reads) or 'nothing'} |"
            f" {', '.join(later) or 'nothing'} |"
        )
    return "\n".join(lines)


def changes(content: Mapping[str, Any]) -> str:
    """What another index would do, and what deleting a parent costs."""
    lines = ["| query | for | with | time | reads | MB of the index |", "|---|---|---|---|---|---|"]
    for word in content["words"]:
        lines.append(
            f"| `search`, `{word['word']}` ({word['is']}) | {word['for']} | as documented | {_time(word['ms'])} |"
            f" {', '.join(_reads(word))} | |"
        )
    for change in content["changes"]:
        lines.append(
            f"| `{change['query']}` | {change['for']} | {change['with']} |"
            f" {_time(change['ms'])} | {', '.join(_reads(change))} | {change['mb'] or ''} |"
        )
    for key in content["keys"]:
        for name, text in (("documented", "as documented"), ("indexed", f"with calls ({key['column']})")):
            size = key["mb"] if name == "indexed" else ""
            lines.append(
                f"| deleting {key['parent']} without calls | | {text} | {_time(key[name]['ms'])} |"
                f" {', '.join(_reads(key[name]))} | {size} |"
            )
    return "\n".join(lines)


def _reads(plan: Mapping[str, Any]) -> list[str]:
    return [f"**all of {table.removeprefix('all of ')}**" for table in plan["scanned"]] + [
        f"`{index}`" for index in plan["indexes"]
    ]


def index_sizes(content: Mapping[str, Any]) -> str:
    """What the documented indexes take."""
    return ", ".join(f"`{index['index']}` {index['mb']:,}" for index in content["indexes"])


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2f} ms"
