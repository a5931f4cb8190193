"""The tools that are compared: how each is started on a database, and what must be done there before."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.online import others
from benchmarks.online.command import Command
from benchmarks.online.document import ROOT, plan_by_hand, shadow_by_hand, steps

FLOOR = "floor"


@dataclass(frozen=True)
class Tool:
    """One tool: ``command`` makes its command line from the database's URL and a directory of its own.

    ``before`` is run before the load begins. ``reader`` holds chatbots in an open transaction meanwhile.
    ``any_baseline``: it knows more than the documented names.
    """

    name: str
    command: Callable[[str, Path], Command] | None
    before: Callable[[str, Path], Command] | None = None
    reader: bool = False
    any_baseline: bool = False


def callctl_tool(
    name: str, program: str, words: tuple[str, ...], *, before: tuple[str, ...] = (), reader: bool = False
) -> Tool:
    """The real program, as an operator would start it: ``words``, after ``before`` without load."""

    def command(words: tuple[str, ...]) -> Callable[[str, Path], Command]:
        return lambda url, _directory: Command([program, *words], {"CALLCTL_DATABASE_URL": url})

    return Tool(name, command(words), command(before) if before else None, reader=reader, any_baseline=True)


def document_tool(
    name: str,
    how: str,
    parts: Callable[[], list[list[str]]] = steps,
    *,
    reader: bool = False,
    before: Callable[[str, Path], Command] | None = None,
) -> Tool:
    """The document's SQL, or the plan by hand, by psycopg."""

    def command(url: str, directory: Path) -> Command:
        divided = directory / "steps.json"  # an operator's psql would not have to parse them first
        divided.write_text(json.dumps(parts()), encoding="utf-8")
        argv = [sys.executable, "-m", "benchmarks.online.document", how, str(divided)]
        return Command(argv, {"CALLCTL_DATABASE_URL": url, "PYTHONPATH": str(ROOT)}, ROOT)

    return Tool(name, command, reader=reader, before=before)


def tools(program: str) -> dict[str, Tool]:
    """Every tool by its name, in the order of the report; ``program`` is the callctl to run."""
    up, down = ("migrate", "up", "--yes"), ("migrate", "down", "--yes")
    all_tools = [
        Tool(FLOOR, None, any_baseline=True),
        document_tool("script", "script"),
        document_tool("statements", "statements"),
        document_tool("by-hand", "statements", plan_by_hand),
        Tool("alembic", others.alembic),
        Tool("dbmate", others.dbmate),
        Tool("yoyo", others.yoyo),
        callctl_tool("callctl", program, up),
        callctl_tool("callctl-one-session", program, (*up, "--batch-workers", "1")),
        document_tool("script-reader", "script", reader=True),
        callctl_tool("callctl-reader", program, up, reader=True),
        callctl_tool("callctl-deferred", program, (*up, "--defer-drops")),
        callctl_tool("callctl-contract", program, up, before=(*up, "--defer-drops")),
        document_tool("by-hand-shadow", "statements", shadow_by_hand, before=callctl_tool("", program, up).command),
        callctl_tool("callctl-down", program, (*down, "--all"), before=up),
        callctl_tool("callctl-down-reader", program, (*down, "--all"), before=up, reader=True),
        callctl_tool("callctl-down-to-1", program, (*down, "--to", "1"), before=up),
    ]
    return {tool.name: tool for tool in all_tools}
