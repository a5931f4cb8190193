"""A table on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from callctl.render import console as render

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
