"""callctl explain"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common

EPILOG = """
Needs no database and no settings file. CODE is the word in brackets at the end of an error, with or without
CALLCTL-, or the id of a finding of preflight or of a check of verify.

\b
Examples:
  callctl explain CALLCTL-LOCK-HELD
  callctl explain lock-held
"""


def register(app: typer.Typer) -> None:
    app.command("explain", epilog=EPILOG)(explain)


def explain(
    context: typer.Context,
    code: Annotated[
        str | None, typer.Argument(metavar="CODE", help="Code, finding or check; without one, list all codes.")
    ] = None,
) -> None:
    """Explain an error code: what it means, what customers see, what to run."""
    common.answering()
    from callctl import explanations
    from callctl.render import explain as render_explain

    if code is None:
        render_explain.listed(explanations.pages(), common.output())
        return
    from callctl.migration.checks.findings import described

    render_explain.explanation(explanations.explained(code, described()), common.output())
