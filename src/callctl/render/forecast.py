"""The outlook of a plan: a line for each statement that matters, whom it blocks, for how long; a summary."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from callctl.forecast.hazards import hazards_of
from callctl.forecast.locks import Mode
from callctl.render import console as render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from callctl.events import Expected
    from callctl.forecast.durations import Interval
    from callctl.forecast.observation import Observation, Observed
    from callctl.forecast.outlook import Line, Outlook, StepOutlook, Transaction
    from callctl.migration.planning import ForSubscribers, Plan
    from callctl.render import documents

# What the first word of a line says, and how it looks.
_STYLES = {
    "all wait": "warning",
    "writers wait": "warning",
    "breaks code": "error",
    "not known": "error",
    "no wait": "good",
}
_COLUMNS = 13


def outlook(plan: Plan | None, outlook: Outlook, *, everything: bool, observation: Observation | None = None) -> None:
    """The steps with their statements, then the summary, on stdout."""
    for step in outlook.steps:
        needed = next(
            (planned.subscribers for planned in (plan.steps if plan else ()) if planned.number == step.number), None
        )
        _step(step, outlook, needed, everything=everything)
    _summary(outlook)
    if observation is not None:
        _observed(observation)


def _observed(observation: Observation) -> None:
    """Show how often each lock was free, and what was in the way."""
    looks = max((observed.looks for observed in observation.locks), default=0)
    every = f"{observation.interval:.2g} s"
    _item("observed", "strong", f"{_seconds(observation.seconds)}, a look every {every}: {looks:,} looks", 10)
    for observed in observation.locks:
        style = "good" if observed.free == observed.looks else "warning" if observed.free else "error"
        _item("", style, f"{observed.mode.sql} on {observed.relation.name}: {_free(observed)}", 10)


def _free(observed: Observed) -> str:
    if observed.free == observed.looks:
        return f"free at each of {observed.looks:,} looks"
    holders = observed.holders.most_common(3)
    named = ", ".join(f"{holder} ({count:,})" for holder, count in holders)
    named += f" and {len(observed.holders) - 3} more" if len(observed.holders) > 3 else ""
    age = f"; in the way: {named}, for up to {_seconds(observed.longest)}"
    if observed.attempts is None:
        return f"never free in {observed.looks:,} looks{age}"
    best = f"; most often free from {observed.best_hour}:00 UTC" if observed.best_hour is not None else ""
    return (
        f"free at {observed.free:,} of {observed.looks:,} looks, so about {observed.attempts:.1f} attempts{age}{best}"
    )


def _step(step: StepOutlook, outlook: Outlook, needed: ForSubscribers | None, *, everything: bool) -> None:
    shown = [(t, line) for t in step.transactions for line in t.lines if everything or line.weight == "shown"]
    if not step.number and not shown:
        return
    title = f"step {step.number} {step.direction}" if step.number else "before the first step"
    title = "file" if step.file else title
    took = f"; {span(step.seconds)}" if step.seconds is not None else "; time not known"
    back = f"; back: {step.back}" if step.back and not outlook.atomic else ""
    _item(title, "strong", f"  {step.name}{took}{back}", len(title))
    if not step.number and not everything:
        _own_keys(shown, outlook)
        return
    for transaction, line in shown:
        _line(transaction, line, outlook)
    if not everything:
        _folded(step)
    if needed is not None:
        named = f"publication{'s' if len(needed.publications) > 1 else ''} {', '.join(needed.publications)}"
        statements = render.counted(len(needed.statements), "statement")
        text = f"on each subscriber of {named}, {needed.when} this step: {statements} (--sql prints them)"
        _item("  to do", "warning", text, _COLUMNS + 2)


def _own_keys(shown: Sequence[tuple[Transaction, Line]], outlook: Outlook) -> None:
    """The foreign keys of callctl's own tables, which are all alike, on one line."""
    tables = list(dict.fromkeys(name.name for _, line in shown for name in (line.strongest() or (None, ()))[1]))
    transaction, line = shown[0]
    facts = _facts(transaction, line, outlook)[1:]
    text = f"add {render.counted(len(shown), 'foreign key')} to callctl's own tables, one transaction each"
    locks = f"{Mode.SHARE_ROW_EXCLUSIVE.sql} on one of {', '.join(tables)}"
    _item("  writers wait", "warning", f"{text}: {'; '.join([locks, *facts])} each", _COLUMNS + 2)


def _line(transaction: Transaction, line: Line, outlook: Outlook) -> None:
    """One statement: on a terminal below what it does, in a pipe behind it, what it locks."""
    stream = sys.stdout
    label = _label(transaction, line)
    facts = "; ".join(_facts(transaction, line, outlook))
    found = list(hazards_of(transaction, line)) if outlook.hold_limit is None else []
    if not render.is_terminal(stream):
        render.out(f"  {label:<{_COLUMNS}}{line.words}{': ' if facts else ''}{facts}")
        for hazard in found:
            render.out(f"  {'':<{_COLUMNS}}hazard {hazard.id}: {hazard.danger}; instead: {hazard.instead}")
        return
    render.item(f"  {label}", _STYLES[label], line.words, stream, columns=_COLUMNS + 2)
    if facts:
        render.detail(facts, stream, indent=_COLUMNS + 2, hang=0)
    for hazard in found:
        text = f"hazard {hazard.id}: {hazard.danger}; instead: {hazard.instead}"
        render.detail(text, stream, indent=_COLUMNS + 2, hang=2)


def _item(label: str, style: str, text: str, columns: int) -> None:
    """A line with a label; folded on a terminal alone, so that each is one line of a pipe."""
    if render.is_terminal(sys.stdout):
        render.item(label, style, text, sys.stdout, columns=columns)
    else:
        render.out(f"{label:<{columns}}{text}")


def _label(transaction: Transaction, line: Line) -> str:
    if line.effects.unknown:
        return "not known"
    if line.effects.drops:
        return "breaks code"
    strongest = line.strongest()
    if strongest is None or line.weight != "shown" or line.conditional:
        return "no wait"
    if strongest[0].blocks_reads:
        return "all wait"
    return "writers wait" if strongest[0].blocks_writes else "no wait"


def _facts(transaction: Transaction, line: Line, outlook: Outlook) -> list[str]:
    facts = list(line.effects.unknown)
    strongest = line.strongest()
    if strongest is not None:
        mode, tables = strongest
        named = ", ".join(name.name for name in tables)
        facts.append(f"{mode.sql} on {named}")
        if mode.blocks_writes and line.weight == "shown" and not line.conditional:
            facts.append(_wait(transaction, line, mode, outlook))
        other = sorted(
            {
                (name.name, weaker)
                for name, weaker in line.effects.locks
                if weaker.blocks_writes
                and name not in tables
                and name.schema != "callctl"
                and name not in line.effects.makes
            }
        )
        facts += [f"{weaker.sql} on {name}" for name, weaker in other]
    if line.effects.rewrites:
        facts.append(f"rewrites {', '.join(name.name for name in line.effects.rewrites)}")
    elif {"alter column type", "add column"} & set(line.effects.kinds) and not line.effects.unknown:
        facts.append("no rewrite")
    facts += _rows(line)
    seconds = line.work.seconds(outlook.rates)
    if line.work.bytes_read or line.work.rows_written or line.work.bytes_rewritten or line.work.bytes_built:
        facts.append(span(seconds) if seconds is not None else "time not known")
    dropped = [f"{name.name}.{column}" if column else name.name for name, column in line.effects.drops]
    if dropped:
        facts.append(f"code that names {', '.join(dropped)} fails from then on")
    return facts


def _wait(transaction: Transaction, line: Line, mode: Mode, outlook: Outlook) -> str:
    """Who waits, and how long: for the lock's transaction once, at its first such line."""
    first = transaction.lines[transaction.held_from] if transaction.held_from is not None else None
    if transaction.hold is None or (first is not line and len(transaction.lines) > 1):
        return "in the same transaction"
    until = " until the last step has ended" if outlook.atomic and outlook.hold_limit is not None else ""
    return f"{mode.blocked} wait {span(transaction.hold)}{until}"


def _rows(line: Line) -> list[str]:
    work = line.work
    about = "" if work.exact else "about "
    facts = []
    if work.rows_read is None:
        facts.append("rows not known: the table was never analyzed")
    elif work.rows_read:
        strongest = line.strongest()
        # The lock that clients wait for is released before the rows are read.
        apart = work.bytes_read and strongest and strongest[0].blocks_writes and not work.held_bytes_read
        behind = ", for which no client waits" if apart else ""
        facts.append(f"reads {about}{render.counted(work.rows_read, 'row')}{behind}")
    if work.rows_estimated is not None and work.batched:
        facts.append(f"writes about {work.rows_estimated:,}, in batches" if work.rows_estimated else "no row to write")
    elif work.rows_written:
        facts.append(f"writes at most {about}{work.rows_written:,}" + (", in batches" if line.conditional else ""))
    return facts


def _folded(step: StepOutlook) -> None:
    """Show what is left out: callctl's own bookkeeping, and what is done to a table that no client uses yet."""
    own = [line for line in step.lines() if line.weight == "own"]
    new = [line for line in step.lines() if line.weight == "new"]
    parts = []
    if new:
        tables = sorted({name.name for line in new for name, _ in line.effects.locks if name.schema != "callctl"})
        parts.append(f"{render.counted(len(new), 'statement')} on the new table {', '.join(tables)}")
    if own:
        parts.append(f"{render.counted(len(own), 'statement')} of callctl's bookkeeping")
    if parts:
        text = f"{' and '.join(parts)} (--all)"
        _item("  no wait", "faint", text, _COLUMNS + 2)


def _summary(outlook: Outlook) -> None:
    total = "not known: a table was never analyzed"
    if outlook.seconds is not None:
        total = of_a_run(outlook.seconds, outlook.rates.source)
    _item("total", "strong", total, 10)
    unknown = sum(bool(line.effects.unknown) for step in outlook.steps for line in step.lines())
    if outlook.longest is None and unknown:
        # What is not known may well be what clients wait for.
        _item("wait", "strong", "not known: of the other statements, none takes a lock that clients wait for", 10)
    elif outlook.longest is None:
        _item("wait", "strong", "no client waits for a lock that is held", 10)
    else:
        hold, number = outlook.longest
        step = next(step for step in outlook.steps if step.number == number)
        where = step.name if step.file else f"step {number}" if number else "before the first step"
        text = f"longest {span(hold)}, {where}"
        if outlook.lock_timeout is None:
            text += "; and behind each attempt to get a lock, for the lock_timeout of the session that runs it"
        elif not outlook.atomic:
            text += f"; and up to {_seconds(outlook.lock_timeout)} behind each attempt to get a lock (lock_timeout)"
        _item("wait", "strong", text, 10)
    text = f"at most {size(outlook.disk_bytes)} more, and {size(outlook.wal_bytes)} of WAL (estimates)"
    _item("disk", "strong", text, 10)
    if unknown:
        text = f"{render.counted(unknown, 'statement')}: what is locked is not known before it runs"
        _item("not known", "error", text, 10)


RATES = {
    "shipped": "shipped rates, not measured on this server",
    "measured": "rates measured on this server",
    "learned": "rates measured on this server, and earlier runs",
}
"""Where the times of a forecast are from."""


def about(seconds: Interval | Expected) -> str:
    """'3 s (2 to 5 s in 4 of 5 runs)': what is expected, and the ends."""
    return f"{_seconds_or_minutes(seconds.expected)} ({span(seconds)} in 4 of 5 runs)"


def of_a_run(seconds: Interval | Expected, source: str) -> str:
    """As :func:`about`, and where that is from: ``source``, of :data:`RATES`."""
    return f"{about(seconds)}, by {RATES[source]}"


def _seconds_or_minutes(seconds: float) -> str:
    return " ".join(_one(seconds))


def span(interval: Interval | Expected) -> str:
    """'1 to 50 ms', '9 ms to 3 s', '2 to 40 min'; '<1 ms' of what is shorter."""
    (low, unit), (high, of_high) = _one(interval.low), _one(interval.high)
    if (low, unit) == (high, of_high):
        return f"{low} {unit}"
    return f"{low} to {high} {unit}" if unit == of_high else f"{low} {unit} to {high} {of_high}"


def _one(seconds: float) -> tuple[str, str]:
    if seconds < 0.001:
        return "<1", "ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f}", "ms"
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0"), "s"
    return (f"{seconds:.0f}", "s") if seconds < 120 else (f"{seconds / 60:.0f}", "min")


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{round(seconds, 1):g} s"


def size(count: int) -> str:
    """'12 kB', '3.4 MB': bytes as people read them."""
    if count < 1_000_000:
        return f"{count / 1000:.0f} kB"
    return f"{count / 1e6:,.1f} MB" if count < 1_000_000_000 else f"{count / 1e9:,.1f} GB"


# ---- as a document -------------------------------------------------------------------------------------


def forecast_document(outlook: Outlook, observation: Observation | None = None) -> documents.Forecast:
    """The summary of the outlook."""
    longest = outlook.longest
    return {
        "seconds": interval(outlook.seconds),
        "longest_wait": None if longest is None else {"step": longest[1], "seconds": _required(longest[0])},
        "lock_timeout_seconds": outlook.lock_timeout,
        "lock_hold_seconds": outlook.hold_limit,
        "disk_bytes": outlook.disk_bytes,
        "wal_bytes": outlook.wal_bytes,
        "rates": outlook.rates.source,
        "atomic": outlook.atomic,
        "observed": None if observation is None else _observation_document(observation),
    }


def _observation_document(observation: Observation) -> documents.Observation:
    return {
        "seconds": round(observation.seconds, 1),
        "interval_seconds": observation.interval,
        "locks": [
            {
                "table": observed.relation.sql,
                "mode": observed.mode.sql,
                "steps": list(observed.steps),
                "looks": observed.looks,
                "free": observed.free,
                "longest_seconds": round(observed.longest, 1),
                "in_the_way": dict(observed.holders.most_common()),
                "best_hour_utc": observed.best_hour,
            }
            for observed in observation.locks
        ],
    }


def statement_documents(step: StepOutlook, outlook: Outlook) -> Sequence[documents.PlannedStatement]:
    """Each statement of a step as it will be sent, with its effects."""
    found: list[documents.PlannedStatement] = []
    for number, transaction in enumerate(step.transactions, 1):
        for line in transaction.lines:
            found.append(_statement(number, transaction, line, outlook))
    return found


def _statement(number: int, transaction: Transaction, line: Line, outlook: Outlook) -> documents.PlannedStatement:
    statement, effects, work = line.statement, line.effects, line.work
    return {
        "sql": statement.sql,
        "kind": statement.kind,
        "source": statement.source,
        "line": statement.line,
        "directives": sorted(statement.directives),
        "does": line.words,
        "weight": line.weight,
        "transaction": number,
        "only_if_rows": line.conditional,
        "locks": [
            {
                "schema": name.schema,
                "table": name.name,
                "mode": mode.sql,
                "blocks": _blocks(mode),
                "certain": certain and not line.conditional,
            }
            for (name, mode), certain in sorted(effects.locks.items())
        ],
        "rewrites": [name.name for name in effects.rewrites],
        "breaks": [f"{name.name}.{column}" if column else name.name for name, column in effects.drops],
        "rows_read": work.rows_read,
        "rows_written_at_most": work.rows_written,
        "rows_written_estimate": work.rows_estimated,
        "rows_counted": work.exact,
        "seconds": interval(work.seconds(outlook.rates)),
        "hold_seconds": interval(transaction.hold),
        "unknown": effects.unknown,
        "hazards": [hazard.id for hazard in hazards_of(transaction, line)] if outlook.hold_limit is None else [],
    }


def _blocks(mode: Mode) -> Sequence[documents.Blocked]:
    blocked: list[documents.Blocked] = []
    if mode.blocks_reads:
        blocked.append("reads")
    if mode.blocks_writes:
        blocked.append("writes")
    return blocked


def interval(interval: Interval | None) -> documents.Seconds | None:
    """An interval as a document."""
    return None if interval is None else _required(interval)


def _required(interval: Interval) -> documents.Seconds:
    return {
        "low": round(interval.low, 4),
        "expected": round(interval.expected, 4),
        "high": round(interval.high, 4),
    }
