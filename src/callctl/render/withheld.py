"""How models look that wait for step 6."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from callctl.redaction import printable
from callctl.render import console as render

if TYPE_CHECKING:
    from callctl.migration.steps.withheld import Withheld
    from callctl.render import documents


def models_documents(models: Sequence[Withheld]) -> list[documents.WithheldModel]:
    """The models as they are in JSON documents."""
    return [{"key": model.key, "inserted": model.inserted} for model in models]


def lines(models: Sequence[Withheld]) -> None:
    """Which models wait, and how."""
    for inserted, how in ((True, "inactive until"), (False, "not inserted before")):
        keys = [printable(model.key) for model in models if model.inserted is inserted]
        if keys:
            which = render.counted(len(keys), "model")
            render.note(f"{which} {how} callctl migrate up drops the type column: {', '.join(keys)}")
