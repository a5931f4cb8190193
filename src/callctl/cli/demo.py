"""callctl demo"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.sandbox import SCHEMAS
from callctl.sandbox.lifecycle import Baseline

EPILOG = """
It starts a PostgreSQL of its own, in a directory of its own, and leaves nothing behind. CALLCTL_DATABASE_URL,
DATABASE_URL and the PG* variables are not looked at. Exit code 3 means that the proof did not hold.

\b
Next: callctl sandbox start, a "before" database to try the commands on
"""


def register(app: typer.Typer) -> None:
    app.command("demo", epilog=EPILOG)(demo)


def demo(
    context: typer.Context,
    baseline: Annotated[
        Baseline,
        typer.Option(help=f"The schema: {SCHEMAS}."),
    ] = Baseline.deployed,
    rows: Annotated[
        int | None,
        typer.Option(min=50, max=200_000, metavar="N", help="How many chatbots [default: 3000]."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=1_000_000_000, metavar="N", help="The same seed gives the same rows [default: 1]."),
    ] = None,
) -> None:
    """Watch the whole story on an embedded PostgreSQL. Before, up, new rows, down, and what was kept."""
    output = common.settings_offline(context).output
    from callctl.render import demo as render_demo
    from callctl.sandbox import demo as story
    from callctl.sandbox import lifecycle as sandbox
    from callctl.sandbox.lifecycle import DEFAULT_SEED

    sandbox.ignore_environment()
    with render_demo.screen(output) as tell:
        told = story.demo(
            tell,
            baseline=baseline,
            rows=story.DEFAULT_ROWS if rows is None else rows,
            seed=DEFAULT_SEED if seed is None else seed,
        )
    if not told.holds:
        raise typer.Exit(3)
