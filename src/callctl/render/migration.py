"""Draws the answers of the migrate commands, as text and as JSON documents.

The functions that make the documents (``*_document``) fill the shapes of ``render.documents``.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from callctl.migration.live_runs import Live
from callctl.migration.steps.numbered import all_steps, finishing
from callctl.render import console as render
from callctl.render import forecast as render_forecast
from callctl.render import tenants as render_tenants
from callctl.render.console import table

if TYPE_CHECKING:
    from pathlib import Path

    from callctl.config.database_url import Target
    from callctl.config.settings import Output, Settings
    from callctl.database.store import ChangedRecords, HistoryRow, Saved
    from callctl.events import Holder
    from callctl.forecast.observation import Observation
    from callctl.forecast.outlook import Outlook
    from callctl.migration.adoption import Adopted
    from callctl.migration.live_runs import Committed, LiveRun, Session
    from callctl.migration.migrate import Migrated
    from callctl.migration.planning import Plan, PlannedStep
    from callctl.migration.reviewed import ReviewedPlan
    from callctl.migration.steps.numbered import Status, StepState
    from callctl.render import documents

# How a run looks that another callctl is at, as ``migrate status`` sees it.

_TIME = "%Y-%m-%d %H:%M:%S%z"
_SHORT_TIME = "%Y-%m-%d %H:%M"
# A run at work is silent for as long as it takes to send the next statement, or pauses between two attempts at a lock.
_SILENT_SECONDS = 5.0


def live_document(live: Live) -> documents.LiveRuns:
    """The keys that a live run adds to the document of ``migrate status``."""
    return {
        "runs": [live_run_document(run) for run in live.runs],
        "left": [_session_document(session) for session in live.left],
        "unseen": live.unseen,
    }


def live_run_document(run: LiveRun) -> documents.LiveRun:
    return {
        "command": run.command,
        "direction": run.direction,
        "step": run.step,
        "of_steps": len(all_steps()) if run.migrates else None,
        "pid": run.pid,
        "role": run.role,
        "application": run.application,
        "host": run.host,
        "since": run.since,
        "seconds": _rounded(run.seconds),
        "silent_seconds": _rounded(run.silent_seconds),
        "seen": run.seen,
        "committed": run.committed,
        "uncommitted": run.uncommitted,
        "sessions": [_session_document(session) for session in run.sessions],
    }


def _session_document(session: Session) -> documents.LiveSession:
    return {
        "pid": session.pid,
        "application": session.application,
        "state": session.state,
        "statement": session.statement,
        "seconds": _rounded(session.seconds),
        "waits_for": session.waits_for,
        "held_by": session.holders,
        "building": session.building,
        "seen": session.seen,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def live_run(live: Live) -> None:
    """Print the running callctl to stdout; nothing if there is no run."""
    if live.unseen:
        render.item("unseen", "hint", live.unseen, sys.stdout)
    for run in live.runs:
        _live_run(run)
    if live.left:
        named = "; ".join(f"pid {session.pid}: {session_at(session) or 'idle'}" for session in live.left)
        text = f"no callctl holds the migration lock, but sessions of an earlier run still hold its work lock: {named}"
        render.item("left", "warning", text, sys.stdout)
        for session in live.left:
            _waits(session)


def _live_run(run: LiveRun) -> None:
    stream = sys.stdout
    command = run.command or "a callctl with an unknown command"
    render.item("running", "strong", f"{command}{run_step(run)}", stream)
    named = f"pid {run.pid}, application {run.application or 'not given'}, role {run.role or 'not visible'}"
    if run.seen and run.since is not None:
        where = "the server's own host (a local socket)" if run.host == "local" else run.host
        named += f", from {where}; connected {run.since:{_TIME}}, {age(run.seconds)} ago"
    render.detail(named, stream, hang=2)
    if run.committed is not None:
        render.detail(f"step {run.step} {run.direction}: {committed_text(run.committed)}", stream, hang=2)
    elif run.step and run.uncommitted:
        render.detail(f"step {run.step} {run.direction}: nothing is committed yet", stream, hang=2)
    for session in run.sessions:
        if session.seen and (doing := session_at(session)):
            render.detail(f"pid {session.pid} {doing}", stream, hang=2)
            _waits(session)
    hidden = [run.pid] * (not run.seen) + [session.pid for session in run.sessions if not session.seen]
    if hidden:
        text = (
            f"not visible to this role: host, times, and what pid {' and '.join(map(str, hidden))} does or"
            " waits for; GRANT pg_monitor to it shows them"
        )
        render.detail(text, stream, hang=2)
    elif run.migrates and run.silent_seconds is not None and run.silent_seconds >= _SILENT_SECONDS:
        render.detail(
            f"its sessions have sent the server nothing for {age(run.silent_seconds)}: the run pauses, or its process "
            "is stopped or has lost the network",
            stream,
            hang=2,
        )
        render.copied("if that process is gone: ", f"SELECT pg_terminate_backend({run.pid});", stream)


def run_step(run: LiveRun) -> str:
    if not run.migrates:
        return ""
    if run.step is None:
        return ", before its first step"
    step = all_steps()[run.step - 1]
    return f", step {run.step} of {len(all_steps())} ({step.name})"


def committed_text(committed: Committed) -> str:
    if committed.of_rows is not None:
        return f"{committed.rows:,} of {committed.of_rows:,} rows committed"
    of = f" of {committed.of_statements}" if committed.of_statements else ""
    return f"committed up to statement {committed.statement}{of}"


def session_at(session: Session) -> str:
    """Return the statement or the wait of a session; empty between two statements."""
    if session.waits_for:
        by = f", held by {holders_text(session.holders)}" if session.holders else ""
        return f"waits for {session.waits_for}{by}"
    if session.building:
        return f"builds an index: {session.building}"
    if session.active:
        return f"runs {session.statement or 'a statement'}, for {age(session.seconds)}"
    return "" if session.state in (None, "idle") else f"is {session.state}, for {age(session.seconds)}"


def holders_text(holders: Sequence[Holder]) -> str:
    return "; ".join(f"pid {holder.pid} ({holder.application}, {holder.state}, for {holder.age})" for holder in holders)


def _waits(session: Session) -> None:
    if session.waits_for and session.holders:
        ends = " ".join(f"SELECT pg_terminate_backend({holder.pid});" for holder in session.holders)
        render.copied(f"to end {'it' if len(session.holders) == 1 else 'them'}: ", ends, sys.stdout)


def age(seconds: float | None) -> str:
    return str(timedelta(seconds=int(seconds or 0)))


# How each answer looks: as text for a person, or as the JSON document that scripts rely on.

# Fewer columns than these divide the words of the table of steps.
_TABLE_COLUMNS = 72


# ---- migrate status ------------------------------------------------------------------------------------


def status_document(status: Status, settings: Settings, live: Live) -> documents.Status:
    return {
        "schema": settings.schema,
        "names": [
            {"table": table, "documented": documented, "actual": actual}
            for table, documented, actual in status.naming.describe()
        ],
        "steps": [
            {
                "number": step.number,
                "name": step.name,
                "state": step_state(step),
                "deferred": step.deferred,
                "at": step.at,
                "by": step.by,
                "client": step.client,
                "seconds": step.seconds and round(step.seconds, 3),
            }
            for step in status.steps
        ],
        **live_document(live),
        "withheld_models": render_tenants.models_documents(status.withheld),
    }


def step_state(step: StepState) -> documents.State:
    """'pending', 'applied', 'adopted', 'edited' (its file has changed since), `half up`, or `half down`."""
    if step.half_done:
        return "half up" if step.half_done == "up" else "half down"
    if not step.applied:
        return "pending"
    return "edited" if step.edited else "adopted" if step.adopted else "applied"


def status(
    status: Status,
    settings: Settings,
    live: Live = Live(),  # noqa: B008
    *,
    everything: bool = False,
    names: bool = False,
) -> None:
    """The answer of ``callctl migrate status``: what is at work, then where the steps are.

    In text steps of one state share a line, the ones to look at first. ``everything`` lists them all; ``names`` adds
    what this database calls otherwise than the specification.
    """
    render.answer(
        settings.output,
        lambda: status_document(status, settings, live),
        lambda: _status_text(status, live, everything=everything, names=names),
        _after_status(status, live),
    )


def _status_text(status: Status, live: Live, *, everything: bool, names: bool) -> None:
    live_run(live)
    if everything:
        _every_step(status)
    else:
        _by_state(status, live)
    if names:
        render.called(status.naming.describe())
    pending = len(status.pending)
    if any(step.edited for step in status.steps):
        render.told("an applied step's file has changed since: compare it with the version that was applied")
    render.told(f"{pending} of {len(status.steps)} steps pending" if pending else "every step is applied")
    _deferred(status.deferred)
    render_tenants.withheld_lines(status.withheld)


def _after_status(status: Status, live: Live) -> render.Next:
    if live.may_migrate:
        return render.Next("callctl migrate status", "callctl migrate status, when the run is over")
    for number, direction in status.half_done.items():
        return render.Next(finishing(number, direction, status.applied))
    return render.Next("callctl preflight" if status.pending else "callctl verify")


def _by_state(status: Status, live: Live) -> None:
    """A line for each state that a step is in: partly done, edited, applied, pending."""
    stream = sys.stdout
    for step in status.steps:
        if step.half_done:
            stopped = "under way or stopped" if live.may_migrate else "stopped part-way; the rest is pending"
            if step.half_done == "up" and not live.may_migrate:
                stopped += f"; callctl migrate down --to {step.number - 1} takes it back"
            text = f"step {step.number} {step.half_done} ({step.name}): {stopped}"
            render.item("partly", "warning", text, stream)
    states: dict[documents.State, list[StepState]] = {}
    for step in status.steps:
        if step.deferred and not step.half_done:
            render.item("pending (deferred)", "faint", f"step {step.number} ({step.name})", stream, columns=20)
        elif not step.half_done:
            states.setdefault(step_state(step), []).append(step)
    shown: tuple[documents.State, ...] = ("edited", "applied", "adopted", "pending")
    for state in shown:
        if steps := states.get(state):
            style = "warning" if state == "edited" else "good" if steps[0].applied else "faint"
            render.item(state, style, f"{render.steps([step.number for step in steps])}{_when(steps)}", stream)


def _when(steps: Sequence[StepState]) -> str:
    """': name' of one step; when and by whom those that are applied were."""
    named = f" ({steps[0].name})" if len(steps) == 1 else ""
    times = sorted(step.at for step in steps if step.at)
    if not times:
        return named
    first, last = f"{times[0]:{_TIME}}", f"{times[-1]:{_TIME}}"
    roles = list(dict.fromkeys(step.by for step in steps if step.by))
    by = f" by {roles[0]}" if len(roles) == 1 else f" by {len(roles)} roles" if roles else ""
    return f"{named}: {first}{f' to {last}' if last != first else ''}{by}"


def _every_step(status: Status) -> None:
    if render.width(sys.stdout) < _TABLE_COLUMNS:
        for step in status.steps:
            text = f"{step.name}: {step_state(step)}{' (deferred)' if step.deferred else ''}"
            text += f" {step.at:{_TIME}} by {step.by}" if step.at else ""
            render.item(f"{step.number:>2}", "strong", text, sys.stdout, columns=4)
        return
    table(
        ("step", "name", "state", "at (UTC)", "by"),
        (
            (
                str(step.number),
                step.name,
                step_state(step) + (" (deferred)" if step.deferred else ""),
                f"{step.at.astimezone(UTC):{_SHORT_TIME}}" if step.at else "",
                step.by or "",
            )
            for step in status.steps
        ),
        right=("step",),
    )


def _deferred(numbers: Sequence[int]) -> None:
    """Print the effect of deferring these steps."""
    if numbers:
        which = f"{render.steps(numbers)} {'is' if len(numbers) == 1 else 'are'}"
        render.told(f"{which} deferred: a type column stays, in step with the flags, until callctl migrate up drops it")


# ---- migrate plan --------------------------------------------------------------------------------------


def plan_document(plan: Plan, outlook: Outlook, observation: Observation | None = None) -> documents.Plan:
    first = [step for step in outlook.steps if not step.number]
    return {
        "direction": plan.direction,
        "deferred": list(plan.deferred),
        "forecast": render_forecast.forecast_document(outlook, observation),
        "before": [each for step in first for each in render_forecast.statement_documents(step, outlook)],
        "steps": [
            {
                "number": step.number,
                "name": step.name,
                "direction": step.direction,
                "subscribers": step.subscribers,
                "back": expected.back,
                "seconds": render_forecast.interval(expected.seconds),
                "statements": render_forecast.statement_documents(expected, outlook),
            }
            for step in plan.steps
            for expected in outlook.steps
            if expected.number == step.number
        ],
    }


def plan_sql(plan: Plan) -> str:
    """The plan as a script: each statement verbatim, with comments that say where it comes from."""
    parts: list[str] = ["-- Run it with PGOPTIONS='-c callctl.writes=on', so that what it saves counts as callctl's.\n"]
    for step in plan.steps:
        parts += _on_subscribers(step, "before")
        parts.append(f"-- step {step.number} {step.direction}: {step.name}")
        for statement in step.statements:
            parts += [f"-- {line}".rstrip() for line in statement.comment.splitlines()]
            if statement.directives:
                parts.append(f"-- callctl: {', '.join(sorted(statement.directives))}")
            if statement.check is not None:
                kind = "check (warns)" if statement.check.warns else "check"
                parts.append(f"-- {kind}: {statement.check.id}: {statement.check.sentence}")
            parts.append(statement.sql.strip().removesuffix(";") + ";\n")
        parts += _on_subscribers(step, "after")
    return "\n".join(parts)


def _on_subscribers(step: PlannedStep, when: str) -> list[str]:
    """Return the statements for each subscriber of published tables, as comments: they are not for this server."""
    needed = step.subscribers
    if needed is None or needed.when != when:
        return []
    named = "publication" + ("s " if len(needed.publications) > 1 else " ") + ", ".join(needed.publications)
    lines = [f"-- on each subscriber of {named}, {when} step {step.number} on this server:"]
    if when == "after":
        # It would stop at the first row written before the step: a column of that row is gone.
        lines = [
            f"{lines[0][:-1]},",
            "-- once its slot's confirmed_flush_lsn has passed what pg_current_wal_insert_lsn() says here after it:",
        ]
    for sql in needed.statements:
        lines += [f"--   {line}".rstrip() for line in (sql.strip().removesuffix(";") + ";").splitlines()]
    return [*lines, ""]


def plan(
    plan: Plan, outlook: Outlook, output: Output, *, everything: bool = False, observation: Observation | None = None
) -> None:
    """The plan as a table of what it does here; as JSON with every field."""
    for notice in plan.notices:
        render.note(f"note: {notice}")

    def text() -> None:
        if _has_steps(plan):
            render_forecast.outlook(plan, outlook, everything=everything, observation=observation)
            _counted(plan)

    render.answer(output, lambda: plan_document(plan, outlook, observation), text)


def plan_on_file(plan: ReviewedPlan, file: Path) -> None:
    """Where the plan was written, and how to run it."""
    if plan.blockers:
        blockers = render.counted(len(plan.blockers), "blocker")
        render.warning(f"preflight found {blockers}, so migrate {plan.direction} refuses: see callctl preflight")
    run = f"callctl migrate {plan.direction} --plan {shlex.quote(str(file))}"
    render.note(f"plan written to {file}; to run it: {run}")


def plan_of_files(outlook: Outlook, output: Output, *, everything: bool = False) -> None:
    """Show what the statements of SQL files would do here."""

    def text() -> None:
        render_forecast.outlook(None, outlook, everything=everything)
        files, count = len(outlook.steps), sum(1 for step in outlook.steps for _ in step.lines())
        render.note(f"{render.counted(files, 'file')}, {render.counted(count, 'statement')}; nothing was run")

    render.answer(output, lambda: files_document(outlook), text)


def files_document(outlook: Outlook) -> documents.PlanOfFiles:
    return {
        "forecast": render_forecast.forecast_document(outlook),
        "files": [
            {
                "file": step.name,
                "seconds": render_forecast.interval(step.seconds),
                "statements": render_forecast.statement_documents(step, outlook),
            }
            for step in outlook.steps
        ],
    }


def plan_script(plan: Plan) -> None:
    """The plan as SQL, on stdout."""
    for notice in plan.notices:
        render.note(f"note: {notice}")
    if not _has_steps(plan):
        return
    text = plan_sql(plan)
    if render.has_colour(sys.stdout):
        from rich.console import Console
        from rich.syntax import Syntax

        Console(soft_wrap=True).print(Syntax(text, "postgresql", background_color="default", theme="ansi_dark"))
    else:
        render.out(text)
    _counted(plan)


def _has_steps(plan: Plan) -> bool:
    """Whether the plan has any; where it has none, that is said."""
    if plan.steps:
        return True
    render.note(_nothing(plan))
    _deferred(plan.deferred)
    return False


def _counted(plan: Plan) -> None:
    count = sum(len(step.statements) for step in plan.steps)
    steps, statements = render.counted(len(plan.steps), "step"), render.counted(count, "statement")
    render.note(f"{steps}, {statements}; nothing was run")
    _deferred(plan.deferred)


def _nothing(work: Plan | Migrated) -> str:
    if work.direction == "down":
        return "nothing to do: no step is applied"
    return f"nothing to do: no {'other ' if work.deferred else ''}step is pending"


# ---- migrate up, down, adopt, history ------------------------------------------------------------------


def run(run: Migrated, output: Output, target: Target | None = None) -> None:
    """The end of a run. In JSON it is the last line: the events are before it."""
    following = render.Next(f"callctl {'verify' if run.direction == 'up' else 'migrate status'}") if run.steps else None
    render.answer(output, lambda: run_document(run, target), lambda: _run_text(run, target), following)


def run_document(run: Migrated, target: Target | None) -> documents.Finished:
    return {
        "event": "finished",
        "direction": run.direction,
        "seconds": round(run.seconds, 3),
        "steps": run.steps,
        "deferred": run.deferred,
        "withheld_models": render_tenants.models_documents(run.withheld),
        "kept": run.kept,
        "notes": run.notes,
        "target": target,
    }


def _run_text(run: Migrated, target: Target | None) -> None:
    if not run.steps:
        render.out(_nothing(run))
        _deferred(run.deferred)
        render_tenants.withheld_lines(run.withheld)
        return
    table(
        ("step", "name", "seconds", "rows"),
        ((str(step.number), step.name, f"{step.seconds:.2f}", f"{step.rows:,}") for step in run.steps),
        right=("step", "seconds", "rows"),
    )
    verb = "applied" if run.direction == "up" else "taken back"
    steps = render.counted(len(run.steps), "step")
    render.out(render.styled(f"{steps} {verb} in {run.seconds:.1f} s", "good", sys.stdout))
    render.written(target)
    _deferred(run.deferred)
    render_tenants.withheld_lines(run.withheld)
    _kept(run.kept)
    for text in run.notes:
        render.warning(text)


def _kept(kept: Sequence[Saved]) -> None:
    """Print the rows and values that a rollback kept, and how the next run restores them."""
    if not any(saved.rows for saved in kept):
        return
    render.out("kept in schema callctl, for the next migrate up or down:")
    for saved in kept:
        if saved.rows:
            newer = f", {saved.superseded:,} of them superseded by a newer write" if saved.superseded else ""
            render.out(f"  {saved.kind} {saved.name}: {render.counted(saved.rows, 'row')}{newer}")
    render.out("callctl purge deletes it")


def adopted(steps: Sequence[Adopted], output: Output, exit_code: int, target: Target | None = None) -> None:
    """The end of an adoption: the checks that failed, then the steps."""
    following = render.Next("callctl verify")
    if exit_code:
        text = "callctl migrate up takes the other steps, unless preflight finds blockers"
        following = render.Next("callctl migrate up", text)
    render.answer(
        output,
        lambda: adopted_document(steps, exit_code, target),
        lambda: _adopted_text(steps, target),
        following,
    )


def adopted_document(steps: Sequence[Adopted], exit_code: int, target: Target | None) -> documents.FinishedAdoption:
    return {"event": "finished", "steps": steps, "exit_code": exit_code, "target": target}


def _adopted_text(steps: Sequence[Adopted], target: Target | None) -> None:
    from callctl.render import checks as render_checks

    render_checks.failed([check for step in steps for check in step.failing])
    table(
        ("step", "name", "state", "failed"),
        (
            (
                str(step.number),
                step.name,
                "adopted" if step.adopted else "not proved",
                ", ".join(check.id for check in step.failing),
            )
            for step in steps
        ),
        right=("step",),
    )
    if any(step.adopted for step in steps):
        render.written(target)


def changed_records(changed: Sequence[ChangedRecords]) -> None:
    """Print the changes in callctl's own tables before the question."""
    for record in changed:
        render.note(str(record))


def accepted(changed: Sequence[ChangedRecords], output: Output, target: Target | None = None) -> None:
    """The end of ``migrate adopt --changed-records``."""
    render.answer(
        output,
        lambda: accepted_document(changed, target),
        lambda: _accepted_text(changed, target),
        render.Next("callctl verify") if changed else None,
    )


def accepted_document(changed: Sequence[ChangedRecords], target: Target | None) -> documents.FinishedAcceptance:
    return {"event": "finished", "changed_records": changed, "exit_code": 0, "target": target}


def _accepted_text(changed: Sequence[ChangedRecords], target: Target | None) -> None:
    if not changed:
        render.out("callctl's own tables are unchanged; there is nothing to accept")
        return
    for record in changed:
        render.out(f"accepted {record}")
    render.written(target)


def history(rows: Sequence[HistoryRow], deferred: Sequence[int], output: Output, *, wide: bool = False) -> None:
    """Every step taken; ``deferred`` are the pending ones that the list passes over."""
    render.answer(output, lambda: history_document(rows, deferred), lambda: _history_text(rows, deferred, wide=wide))


def history_document(rows: Sequence[HistoryRow], deferred: Sequence[int]) -> documents.History:
    return {
        "steps": [
            {
                "id": row.id,
                "step": row.step,
                "direction": row.direction,
                "file": row.file,
                "sha256": row.sha256,
                "started_at": row.started_at,
                "finished_at": row.finished_at,
                "database_role": row.database_role,
                "client": row.client,
                "callctl_version": row.callctl_version,
                "adopted": row.adopted,
                "seconds": round(row.seconds, 3),
            }
            for row in rows
        ],
        "deferred": deferred,
    }


def _history_text(rows: Sequence[HistoryRow], deferred: Sequence[int], *, wide: bool) -> None:
    if not rows:
        render.out("no step has run on this database")
        return
    table(
        ("id", "step", "direction", "finished (UTC)", "seconds", "role", "client", "callctl", "file", "sha256"),
        (
            (
                str(row.id),
                str(row.step),
                f"{row.direction}, adopted" if row.adopted else row.direction,
                f"{row.finished_at.astimezone(UTC):{_SHORT_TIME}}",
                f"{row.seconds:.2f}",
                row.database_role,
                row.client,
                row.callctl_version,
                row.file,
                row.sha256[:12],
            )
            for row in rows
        ),
        right=("id", "step", "seconds"),
        spare=("sha256", "file", "id", "callctl", "client"),
        wide=wide,
    )
    _deferred(deferred)


# ---- purge ---------------------------------------------------------------------------------------------


def saved(things: Sequence[Saved]) -> None:
    """Print the rows and values that purge would delete before the question."""
    for thing in things:
        old = f", {thing.superseded:,} of them superseded" if thing.superseded else ""
        render.note(f"{thing.kind} {thing.name}: {render.counted(thing.rows, 'row')}{old}")


def purged(things: Sequence[Saved], output: Output, target: Target | None = None) -> None:
    """Print the rows and values that purge deleted."""
    render.answer(output, lambda: purged_document(things, target), lambda: _purged_text(things, target))


def purged_document(things: Sequence[Saved], target: Target | None) -> documents.Purged:
    return {"deleted": things, "target": target}


def _purged_text(things: Sequence[Saved], target: Target | None) -> None:
    if things:
        render.out(f"deleted {render.counted(sum(thing.rows for thing in things), 'row')} that were saved")
        render.written(target, "deleted from")
    else:
        render.out("nothing is saved")
