"""Draws a running sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callctl.render import console as render
from callctl.sandbox.lifecycle import Baseline

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.render import documents
    from callctl.sandbox.lifecycle import Sandbox


def sandbox_document(running: Sandbox) -> documents.RunningSandbox:
    return {
        "url": running.url,
        "baseline": Baseline[running.baseline],
        "rows": running.rows,
        "seed": running.seed,
        "refused_shapes": running.refused_shapes,
        "postgresql": running.version,
        "directory": running.directory,
    }


def sandbox(running: Sandbox, output: Output) -> None:
    """The URL for a person, and all that is known as JSON."""
    render.answer(output, lambda: sandbox_document(running), lambda: render.out(running.url))
