"""What the pages that callctl writes have in common: one file that loads nothing, and its colours."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from callctl.files import REPORT_MARK

INK, QUIET, GRID = "#1f2937", "#6b7280", "#e5e7eb"
GOOD, BAD, AMBER, PAPER = "#047857", "#b91c1c", "#b45309", "#ffffff"

_STYLE = (
    f"body{{font:14px system-ui,sans-serif;color:{INK};background:{PAPER};"
    "max-width:1000px;margin:2em auto;padding:0 1em}"
    f"table{{border-collapse:collapse}}td,th{{padding:.2em .8em;text-align:right;border-bottom:1px solid {GRID}}}"
    "td:first-child,th:first-child,.text{text-align:left}"
    f".over td{{color:{BAD}}}dt{{font-weight:600}}dd{{margin:0 0 .5em}}"
    ".facts{display:grid;grid-template-columns:max-content auto;gap:.2em 1.5em}.facts dd{margin:0}"
    f".good{{color:{GOOD}}}.bad{{color:{BAD}}}.amber{{color:{AMBER}}}.quiet{{color:{QUIET}}}"
    f"code{{font-size:12px;overflow-wrap:anywhere}}summary{{cursor:pointer;padding:.3em 0}}"
    f".said{{border-left:4px solid {BAD};padding:.2em 1em;margin:1em 0}}svg{{max-width:100%}}"
)


def page(title: str, body: Iterable[str]) -> str:
    """A page of HTML under a heading; ``body`` is markup, ``title`` text."""
    return "\n".join(
        [
            "<!doctype html>",
            REPORT_MARK,
            '<html lang="en"><head><meta charset="utf-8">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            *body,
            "</body></html>",
            "",
        ]
    )
