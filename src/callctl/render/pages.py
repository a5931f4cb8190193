"""The pages and pictures that callctl writes: Jinja2's templates, each of which becomes one file that loads nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from callctl.files import REPORT_MARK
from callctl.redaction import redact
from callctl.render import console as render

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

INK, QUIET, GRID = "#1f2937", "#6b7280", "#e5e7eb"
GOOD, BAD, AMBER, PAPER = "#047857", "#b91c1c", "#b45309", "#ffffff"


def written(template: str, **values: object) -> str:
    """Return the template of ``render/templates`` filled with ``values``, all escaped except Markup."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("callctl.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"counted": render.counted, "lines": _lines, "redact": redact}
    environment.globals |= {
        "INK": INK,
        "QUIET": QUIET,
        "GRID": GRID,
        "GOOD": GOOD,
        "BAD": BAD,
        "AMBER": AMBER,
        "PAPER": PAPER,
        "REPORT_MARK": Markup(REPORT_MARK),
    }
    return environment


def _lines(text: str) -> Markup:
    from markupsafe import Markup, escape

    return Markup("<br>").join(escape(line) for line in redact(text).split("\n"))
