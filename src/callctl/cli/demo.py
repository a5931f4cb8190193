"""callctl demo"""

from __future__ import annotations

import typer

EPILOG = """
It starts a PostgreSQL of its own, in a directory of its own, and leaves nothing behind. CALLCTL_DATABASE_URL,
DATABASE_URL and the PG* variables are not looked at.

\b
Next: callctl sandbox start, a "before" database to try the commands on
"""


def register(app: typer.Typer) -> None:
    app.command("demo", epilog=EPILOG)(demo)


def demo() -> None:
    """Watch the whole story on an embedded PostgreSQL: before, up, new rows, down, and what was kept."""
    from callctl import demo as story
    from callctl import render_demo

    with render_demo.screen() as screen:
        story.demo(screen)
