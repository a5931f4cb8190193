"""How a run looks that another callctl is at, as ``migrate status`` sees it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from callctl.migration.steps.numbered import all_steps
from callctl.render import console as render

if TYPE_CHECKING:
    from callctl.events import Holder
    from callctl.migration.live_runs import Committed, Live, LiveRun, Session
    from callctl.render import documents

_TIME = "%Y-%m-%d %H:%M:%S%z"
# A run at work is silent for as long as it takes to send the next statement, or pauses between two attempts at a lock.
_SILENT_SECONDS = 5.0


def live_document(live: Live) -> documents.LiveRuns:
    """The keys that a live run adds to the document of ``migrate status``."""
    return {
        "runs": [_run_document(run) for run in live.runs],
        "left": [_session_document(session) for session in live.left],
        "unseen": live.unseen,
    }


def _run_document(run: LiveRun) -> documents.LiveRun:
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


def live(live: Live) -> None:
    """What is at work, on stdout; nothing where nothing is."""
    if live.unseen:
        render.item("unseen", "hint", live.unseen, sys.stdout)
    for run in live.runs:
        _run(run)
    if live.left:
        named = "; ".join(f"pid {session.pid}: {_at(session) or 'idle'}" for session in live.left)
        text = f"no callctl holds the migration lock, but sessions of an earlier run still hold its work lock: {named}"
        render.item("left", "warning", text, sys.stdout)
        for session in live.left:
            _waits(session)


def _run(run: LiveRun) -> None:
    stream = sys.stdout
    command = run.command or "a callctl that does not say which command"
    render.item("running", "strong", f"{command}{_step(run)}", stream)
    named = f"pid {run.pid}, application {run.application or 'not given'}, role {run.role or 'not visible'}"
    if run.seen and run.since is not None:
        where = "the server's own host (a local socket)" if run.host == "local" else run.host
        named += f", from {where}; connected {run.since:{_TIME}}, {_age(run.seconds)} ago"
    render.detail(named, stream, hang=2)
    if run.committed is not None:
        render.detail(f"step {run.step} {run.direction}: {_committed(run.committed)}", stream, hang=2)
    elif run.step and run.uncommitted:
        render.detail(f"step {run.step} {run.direction}: nothing is committed yet", stream, hang=2)
    for session in run.sessions:
        if session.seen and (doing := _at(session)):
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
            f"its sessions have sent the server nothing for {_age(run.silent_seconds)}: it pauses, or its process is"
            " stopped or cut off",
            stream,
            hang=2,
        )
        render.copied("if that process is gone: ", f"SELECT pg_terminate_backend({run.pid});", stream)


def _step(run: LiveRun) -> str:
    if not run.migrates:
        return ""
    if run.step is None:
        return ", before its first step"
    step = all_steps()[run.step - 1]
    return f", step {run.step} of {len(all_steps())} ({step.name})"


def _committed(committed: Committed) -> str:
    if committed.of_rows is not None:
        return f"{committed.rows:,} of {committed.of_rows:,} rows committed"
    of = f" of {committed.of_statements}" if committed.of_statements else ""
    return f"committed up to statement {committed.statement}{of}"


def _at(session: Session) -> str:
    """What a session is at, or waits for; empty where it is between two statements."""
    if session.waits_for:
        by = f", held by {_holders(session.holders)}" if session.holders else ""
        return f"waits for {session.waits_for}{by}"
    if session.building:
        return f"builds an index: {session.building}"
    if session.active:
        return f"runs {session.statement or 'a statement'}, for {_age(session.seconds)}"
    return "" if session.state in (None, "idle") else f"is {session.state}, for {_age(session.seconds)}"


def _holders(holders: Sequence[Holder]) -> str:
    return "; ".join(f"pid {holder.pid} ({holder.application}, {holder.state}, for {holder.age})" for holder in holders)


def _waits(session: Session) -> None:
    if session.waits_for and session.holders:
        ends = " ".join(f"SELECT pg_terminate_backend({holder.pid});" for holder in session.holders)
        render.copied(f"to end {'it' if len(session.holders) == 1 else 'them'}: ", ends, sys.stdout)


def _age(seconds: float | None) -> str:
    return str(timedelta(seconds=int(seconds or 0)))
