"""Draws the explanation of a code."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from callctl.render import console as render

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.explanations import Explanation
    from callctl.render import documents


def explanation(page: Explanation, output: Output) -> None:
    """One page in full."""

    def text() -> None:
        render.out(page.id)
        render.detail(page.means, sys.stdout, indent=2, hang=0)
        for label, part in (
            ("customers", page.customers),
            ("database", page.database),
            ("run", page.run),
            ("then", page.then),
        ):
            if part is not None:
                render.item(f"{label}:", "strong", part, sys.stdout, columns=11)

    render.answer(output, lambda: explanation_document([page]), text)


def listed(pages: Mapping[str, Sequence[Explanation]], output: Output) -> None:
    """All codes, each with the first sentence of its page."""

    def text() -> None:
        for heading, codes in pages.items():
            render.out(heading)
            for page in codes:
                sentence = page.means.partition(". ")[0].rstrip(".")
                render.copied("", f"{page.id}: {sentence}", sys.stdout, indent=2)

    render.answer(output, lambda: explanation_document([page for codes in pages.values() for page in codes]), text)


def explanation_document(pages: Sequence[Explanation]) -> documents.Explanations:
    return {"explanations": pages}
