"""How each answer looks: as text for a person, or as the JSON document that scripts rely on.

The functions that make the documents (``*_document``) are a contract: a key may be added, none changes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from callctl import render

if TYPE_CHECKING:
    from collections.abc import Iterable

    from callctl.config import Output, Settings
    from callctl.migrate import Adopted, HistoryRow, Plan, Run, Status

Row = Sequence[str]


def table(headings: Row, rows: Iterable[Row], *, right: Iterable[str] = ()) -> None:
    """Rows under headings, wrapped to a terminal's width; in a pipe a row stays on its line."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # rich drops trailing columns when it has no room; a pipe gets all the room it wants.
    width = None if render.is_terminal(sys.stdout) else 1000
    console = Console(
        width=width,
        no_color=not render.has_colour(sys.stdout),
        force_terminal=render.has_colour(sys.stdout),
        highlight=False,
    )
    drawn = Table(box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for heading in headings:
        drawn.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    with console.capture() as capture:
        console.print(drawn)
    for text in capture.get().splitlines():
        render.out(text.rstrip())


# ---- migrate status ------------------------------------------------------------------------------------


def status_document(status: Status, settings: Settings) -> dict[str, object]:
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
                "state": step_state(step.applied, step.adopted, step.edited),
                "at": step.at,
                "by": step.by,
                "seconds": step.seconds,
            }
            for step in status.steps
        ],
    }


def step_state(applied: bool, adopted: bool, edited: bool) -> str:
    """'pending', 'applied', 'adopted', or 'edited': applied, and its file has changed since."""
    if not applied:
        return "pending"
    return "edited" if edited else "adopted" if adopted else "applied"


def status(status: Status, settings: Settings) -> None:
    if settings.output == "json":
        render.document(status_document(status, settings))
        return
    for name, documented, actual in status.naming.describe():
        render.note(f"{name}: {documented} is called {actual} here")
    table(
        ("step", "name", "state", "at", "by"),
        (
            (
                str(step.number),
                step.name,
                step_state(step.applied, step.adopted, step.edited),
                f"{step.at:%Y-%m-%d %H:%M:%S%z}" if step.at else "",
                step.by or "",
            )
            for step in status.steps
        ),
        right=("step",),
    )
    pending = sum(not step.applied for step in status.steps)
    if any(step.edited for step in status.steps):
        render.note("an applied step's file has changed since: compare it with the version that was applied")
    render.note(f"{pending} of {len(status.steps)} steps pending" if pending else "every step is applied")
    render.note(f"next: {'callctl preflight' if pending else 'callctl verify'}")


# ---- migrate plan --------------------------------------------------------------------------------------


def plan_document(plan: Plan) -> dict[str, object]:
    return {
        "direction": plan.direction,
        "steps": [
            {
                "number": step.number,
                "name": step.name,
                "direction": step.direction,
                "statements": [
                    {
                        "sql": statement.sql,
                        "kind": statement.kind,
                        "source": statement.source,
                        "line": statement.line,
                        "directives": sorted(statement.directives),
                    }
                    for statement in step.statements
                ],
            }
            for step in plan.steps
        ],
    }


def plan_sql(plan: Plan) -> str:
    """The plan as a script: each statement verbatim, with comments that say where it comes from."""
    parts: list[str] = []
    for step in plan.steps:
        parts.append(f"-- step {step.number} {step.direction}: {step.name}")
        for statement in step.statements:
            if statement.directives:
                parts.append(f"-- callctl: {', '.join(sorted(statement.directives))}")
            if statement.check is not None:
                kind = "check (warns)" if statement.check.warns else "check"
                parts.append(f"-- {kind}: {statement.check.id}: {statement.check.sentence}")
            parts.append(statement.sql.strip().removesuffix(";") + ";\n")
    return "\n".join(parts)


def plan(plan: Plan, output: Output) -> None:
    if output == "json":
        render.document(plan_document(plan))
        return
    if not plan.steps:
        render.note("nothing to do: no step is " + ("pending" if plan.direction == "up" else "applied"))
        return
    text = plan_sql(plan)
    if render.has_colour(sys.stdout):
        from rich.console import Console
        from rich.syntax import Syntax

        Console(soft_wrap=True).print(
            Syntax(text, "postgresql", background_color="default", theme="ansi_dark")
        )
    else:
        render.out(text)
    count = sum(len(step.statements) for step in plan.steps)
    render.note(f"{len(plan.steps)} steps, {count} statements; nothing was run")


# ---- migrate up, down, adopt, history ------------------------------------------------------------------


def run(run: Run, output: Output) -> None:
    """The end of a run. In JSON it is the last line: the events stand before it."""
    if output == "json":
        render.line({"event": "finished", "direction": run.direction, "steps": run.steps})
        return
    if not run.steps:
        render.out(f"nothing to do: no step is {'pending' if run.direction == 'up' else 'applied'}")
        return
    table(
        ("step", "name", "seconds", "rows"),
        ((str(step.number), step.name, f"{step.seconds:.2f}", f"{step.rows:,}") for step in run.steps),
        right=("step", "seconds", "rows"),
    )
    verb = "applied" if run.direction == "up" else "taken back"
    seconds = sum(step.seconds for step in run.steps)
    steps = "1 step" if len(run.steps) == 1 else f"{len(run.steps)} steps"
    render.out(render.styled(f"{steps} {verb} in {seconds:.1f} s", "good", sys.stdout))
    render.note(f"next: callctl {'verify' if run.direction == 'up' else 'migrate status'}")


def adopted(steps: Sequence[Adopted], output: Output) -> None:
    if output == "json":
        render.line({"event": "finished", "steps": steps})
        return
    table(
        ("step", "name", "state", "why not"),
        (
            (
                str(step.number),
                step.name,
                "adopted" if step.adopted else "not proved",
                "; ".join(f"{check.id}: {check.count} rows" for check in step.failing),
            )
            for step in steps
        ),
        right=("step",),
    )
    render.note("next: callctl migrate status")


def history(rows: Sequence[HistoryRow], output: Output) -> None:
    if output == "json":
        render.document(rows)
        return
    if not rows:
        render.out("no step has been taken on this database")
        return
    render.document(rows)
