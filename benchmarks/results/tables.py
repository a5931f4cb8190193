"""Result files as they stand in docs/reference/measurements.md, between markers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from benchmarks.online.report import BASE, medians

NAMES = {
    "floor": "no migration: the load alone",
    "script": "the document's script, one transaction",
    "script-reader": "the document's script, one transaction, with the reader",
    "statements": "the document's script, statement by statement",
    "by-hand": "an online plan by hand, no journal",
    "alembic": "alembic, thirteen migrations",
    "dbmate": "dbmate, thirteen migrations",
    "yoyo": "yoyo, thirteen migrations",
    "callctl": "**callctl**",
    "callctl-one-session": "**callctl**, with one session",
    "callctl-reader": "**callctl**, with the reader",
    "callctl-deferred": "**callctl**, drops deferred",
    "callctl-contract": "**callctl**, the deferred drops",
    "by-hand-shadow": "`avatar_url` back through a shadow column by hand, step 1 only",
    "callctl-down": "**callctl**, all the way down",
    "callctl-down-reader": "**callctl**, all the way down, with the reader",
    "callctl-down-to-1": "**callctl**, down to step 1",
}

OTHER_WAY = frozenset(
    {"callctl-contract", "by-hand-shadow", "callctl-down", "callctl-down-reader", "callctl-down-to-1"}
)


def online(content: Mapping[str, Any]) -> str:
    """The table of a run under load, and what it was measured on."""
    rows = content["rows"]
    settings = content["settings"]
    floor = next((tool for tool in content["tools"] if tool["tool"] == "floor"), None)
    on_time = ""
    if floor is not None:
        on_time = (
            f" With the load alone, 99% of the transactions start within {_time(floor['start_p99_ms'])} of their plan."
        )
    lines = [
        f"{rows['users']:,} users, {rows['chatbots']:,} chatbots, {rows['companies']:,} companies "
        f"({settings['baseline']} baseline); {settings['clients']} clients, {settings['rate']:g} transactions a "
        f"second; the reader holds for {settings['reader_s']:g} s. {where(content)}{on_time}",
        "",
        "| who | runs | wall s | × script | stall | the worst | × script | p50 | p99 | p99.9 | over 1 s late "
        "| done of planned | WAL MB | memory MB | errors of clients |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    results = medians(content["tools"])
    base = next((result for result in results if result["tool"] == BASE and "wall_s" in result), None)
    lines += [_row(result, base) for result in results if "wall_s" in result]
    failed = [tool for tool in content["tools"] if "failed" in tool]
    if failed:
        lines += ["", "Failed, and not tried again:", ""]
        lines += [f"- {NAMES[tool['tool']]}: `{_last_line(tool['failed'])}`" for tool in failed]
    return "\n".join(lines)


def _row(result: Mapping[str, Any], base: Mapping[str, Any] | None) -> str:
    wall = stall = ""
    if base is not None and result["tool"] != "floor" and result["tool"] not in OTHER_WAY:  # the script only goes up
        wall, stall = _ratio(result["wall_s"], base["wall_s"]), _ratio(result["stall_ms"], base["stall_ms"])
    errors = ", ".join(f"{count} {name}" for name, count in result["errors"].items())
    cells = [
        NAMES[result["tool"]] + (" (failed)" if "failed" in result else ""),
        f"{result['runs']}",
        f"{result['wall_s']:.1f}",
        wall,
        _time(result["stall_ms"]),
        _time(result["worst_ms"]) if result["runs"] > 1 else "",
        stall,
        *(_time(result[name]) for name in ("p50_ms", "p99_ms", "p999_ms")),
        _share(result["late_share"]),
        f"{result['completed']:,} of {result['planned']:,}",
        f"{result['wal_mb']:,.0f}",
        f"{result['memory_mb']:.0f}" if result["memory_mb"] else "",
        errors,
    ]
    return f"| {' | '.join(cells)} |"


def growth(content: Mapping[str, Any]) -> str:
    """The table of how callctl grows with the database."""
    lines = [
        f"callctl alone, no load. {where(content)}",
        "",
        "| chatbots | rows of users, chatbots, companies | wall s | s a million rows | memory MB |",
        "|---|---|---|---|---|",
    ]
    for size in content["sizes"]:
        per_million = size["wall_s"] / size["rows"] * 1e6
        lines.append(
            f"| {size['chatbots']:,} | {size['rows']:,} | {size['wall_s']:.1f} | {per_million:.1f}"
            f" | {size['memory_mb']:.0f} |"
        )
    return "\n".join(lines)


def holds(content: Mapping[str, Any]) -> str:
    """The longest lock that clients wait behind, a row a command, a column a size."""
    by_size = {(hold["command"], hold["rows"]): hold for hold in content["holds"]}
    sizes = sorted({rows for _, rows in by_size})
    apart = max(hold["looks_ms"] for hold in by_size.values())
    lines = [
        f"{where(content)} Looks at `pg_locks` came at most {apart:.0f} ms apart.",
        "",
        f"| longest hold, ms | {' | '.join(f'{rows:,} chatbots' for rows in sizes)} |",
        f"|---|{'---|' * len(sizes)}",
    ]
    for command in dict.fromkeys(command for command, _ in by_size):
        cells = " | ".join(f"{by_size[command, rows]['longest_ms']:.1f}" for rows in sizes)
        lines.append(f"| {command} | {cells} |")
    return "\n".join(lines)


def mutations(content: Mapping[str, Any]) -> str:
    """How many mutations callctl verify caught, and the document's SQL."""
    scores: Mapping[str, Mapping[str, int]] = content["scores"]
    lines = [
        f"PostgreSQL {content['settings']['postgresql']}, {content['date'][:10]}, commit `{content['commit'][:10]}`"
        f"{' with changes' if content['changed'] else ''}; caught of tried.",
        "",
        "| broken | callctl verify | the document's SQL, by what it expects | the document's SQL, by heart |",
        "|---|---|---|---|",
    ]
    names = {"row": "a rule for rows", "store": "callctl's own schema"}
    total = {key: sum(score[key] for score in scores.values()) for key in ("tried", "callctl", "expected", "by_heart")}
    for kind, score in [*scores.items(), ("**all**", total)]:
        tried = score["tried"]
        cells = " | ".join(f"{score[key]} of {tried}" for key in ("callctl", "expected", "by_heart"))
        lines.append(f"| {names.get(kind, kind)} | {cells} |")
    return "\n".join(lines)


def forecast(content: Mapping[str, Any]) -> str:
    """How right the forecasts were, by kind of run; and the runs that took longest beyond what was expected."""
    databases = content["databases"]
    sizes = [database["chatbots"] for database in databases]
    lines = [
        f"{len(databases)} databases of {min(sizes):,} to {max(sizes):,} chatbots (about 3.3 rows in all for each),"
        f" PostgreSQL {content['settings']['postgresql']}. {where(content)}",
        "",
        "| compared | how many | inside the interval | median error | median of took ÷ expected | the worst |",
        "|---|---|---|---|---|---|",
    ]
    for name, figure in content["summary"].items():
        lines.append(
            f"| {name} | {figure['compared']} | {figure['inside']:.0%} | {figure['median_error']:.0%}"
            f" | {figure['median_factor']:.2f} | × {figure['worst_factor']:.2f} |"
        )
    runs = [(database, run) for database in databases for run in database["runs"]]
    outside = [(d, r) for d, r in runs if not r["total"]["low"] <= r["total"]["fact"] <= r["total"]["high"]]
    lines += ["", f"Outside of the interval: {len(outside)} of {len(runs)} runs. The five furthest off:", ""]
    lines += [
        "| chatbots | baseline | load | run | expected s | interval s | took s |",
        "|---|---|---|---|---|---|---|",
    ]

    def off(entry: tuple[Mapping[str, Any], Mapping[str, Any]]) -> float:
        factor: float = entry[1]["total"]["fact"] / entry[1]["total"]["expected"]
        return max(factor, 1 / factor)

    for database, run in sorted(outside, key=off, reverse=True)[:5]:
        total = run["total"]
        lines.append(
            f"| {database['chatbots']:,} | {database['baseline']} | {'yes' if database['load'] else 'no'}"
            f" | {run['run']} | {total['expected']:.1f} | {total['low']:.1f} to {total['high']:.1f}"
            f" | {total['fact']:.1f} |"
        )
    return "\n".join(lines)


def verify(content: Mapping[str, Any]) -> str:
    """What each pass of callctl verify costs, beside the floor of what it reads: a table for each database."""
    parts = [where(content), *(_verified(database) for database in content["databases"])]
    return "\n\n".join(parts)


_VERIFIED = {
    "online": "The database of the online benchmark, migrated",
    "calls": "The same with calls, lines of transcripts and accounts",
}
_COUNTED = ("users", "chatbots", "companies", "calls", "call_transcripts", "integration_accounts")


def _verified(content: Mapping[str, Any]) -> str:
    rows = content["rows"]
    counts = ", ".join(f"{rows[name]:,} {name}" for name in _COUNTED if rows.get(name))
    lines = [
        f"**{_VERIFIED[content['name']]}**: {counts}.",
        "",
        "| one pass | reads | floor | verify | ratio |",
        "|---|---|---|---|---|",
    ]
    for scan in content["passes"]:
        if scan["rows"]:
            read = [name.partition(".")[2] for name in scan["tables"]]
            times = [_time(scan["floor_ms"]), _time(scan["verify_ms"]), f"{scan['verify_ms'] / scan['floor_ms']:.2f}"]
            checks = ", ".join(f"`{check}`" for check in scan["checks"])
            lines.append(f"| {checks} | {', '.join(read)} | {' | '.join(times)} |")
    ratio = content["verify_ms"] / content["floor_ms"]
    whole = f"{_time(content['floor_ms'])} | {_time(content['verify_ms'])} | **{ratio:.2f}**"
    lines += [
        f"| **callctl verify**, all of it | each table once | {whole} |",
        f"| callctl verify --fast | the catalog | | {_time(content['fast_ms'])} | |",
        f"| the same from the shell, Python's start included | | | {_time(content['fast_command_ms'])} | |",
    ]
    return "\n".join(lines)


def replace(page: str, marker: str, text: str) -> str:
    """The page with ``text`` between ``<!-- marker:begin -->`` and ``:end``. Raises ValueError without them."""
    pattern = re.compile(rf"(<!-- {marker}:begin -->\n).*?(<!-- {marker}:end -->)", re.DOTALL)
    new_page, count = pattern.subn(lambda match: f"{match[1]}{text}\n{match[2]}", page)
    if count != 1:
        raise ValueError(f"{count} places for {marker} on the page")
    return new_page


def where(content: Mapping[str, Any]) -> str:
    host = content["machine"]
    changed = " with changes" if content["changed"] else ""
    return (
        f"PostgreSQL {content['settings']['postgresql']}, {host['cpus']} CPUs ({host['cpu']}), "
        f"{host['memory_gib']} GiB, which the server and the clients share; {content['date'][:10]}, "
        f"commit `{content['commit'][:10]}`{changed}."
    )


def _ratio(value: float, base: float) -> str:
    ratio = value / base if base else 0.0
    return f"{ratio:.2f}" if ratio >= 0.1 else f"1/{round(1 / ratio)}" if ratio else "0"


def _share(share: float) -> str:
    return f"{share * 100:.1f}%" if share >= 0.001 else f"{share * 100:.3f}%" if share else "0"


def _time(milliseconds: float) -> str:
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or "deadlock" in line.lower()] or lines
    return telling[-1].replace("`", "'")[:200] if telling else "no message"
