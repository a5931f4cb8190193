"""callctl demo"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.cli.sandbox import SCHEMAS
from callctl.sandbox.lifecycle import Baseline

EPILOG = """
callctl starts its own PostgreSQL in a temporary directory, and removes both at the end. It ignores
CALLCTL_DATABASE_URL, DATABASE_URL and the PG* variables. Exit code 3 if a row is not what it was before.

\b
Next: callctl sandbox start, for a database to try the commands on
"""


def register(app: typer.Typer) -> None:
    app.command("demo", epilog=EPILOG)(demo)


def demo(
    context: typer.Context,
    baseline: Annotated[
        Baseline,
        typer.Option(
            metavar="BASELINE", show_default=False, help=f"Schema to start from: {SCHEMAS} [default: deployed]."
        ),
    ] = Baseline.deployed,
    rows: Annotated[
        int | None,
        typer.Option(min=50, max=200_000, metavar="N", help="Number of chatbots, 50 to 200,000 [default: 3000]."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=1_000_000_000, metavar="N", help="Seed of the generated rows [default: 1]."),
    ] = None,
) -> None:
    """Migrate a throw-away PostgreSQL up and down, and show that nothing was lost."""
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
