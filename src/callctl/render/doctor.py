"""Draws what doctor examined."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from callctl.redaction import printable, redact
from callctl.render import console as render

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.doctor.examination import Examined
    from callctl.render import documents

_STYLES = {"ok": "good", "unknown": "hint", "warns": "warning", "fails": "error"}


def examined(parts: Sequence[Examined], output: Output) -> None:
    """Each part, what to do about it where there is something to do, and how many fail."""

    def text() -> None:
        for part in parts:
            render.item(f"{part.level} ", _STYLES[part.level], redact(printable(f"{part.id}: {part.what}")), sys.stdout)
            if part.do is not None:
                render.copied("fix: ", redact(printable(part.do)), sys.stdout)
        fail, warn, unknown = (sum(part.level == level for part in parts) for level in ("fails", "warns", "unknown"))
        render.out(f"{fail} fail, {warn} warn, {unknown} unknown, {len(parts) - fail - warn - unknown} ok")

    render.answer(output, lambda: examined_document(parts), text)


def examined_document(parts: Sequence[Examined]) -> documents.Doctor:
    return {
        "parts": [
            {
                "id": part.id,
                "level": part.level,
                "what": redact(part.what),
                "do": None if part.do is None else redact(part.do),
            }
            for part in parts
        ]
    }
