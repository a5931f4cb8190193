"""Draws the settings with their sources, and the problems of a settings file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from callctl.redaction import printable, redact
from callctl.render import console as render
from callctl.render.console import table

if TYPE_CHECKING:
    from callctl.config.overview import CheckedFile, Origin, Overview
    from callctl.config.settings import Output
    from callctl.render import documents


def shown(overview: Overview, output: Output, *, wide: bool = False) -> None:
    """Every setting with its value and its source."""

    def text() -> None:
        file = "none" if overview.file is None else printable(f"{overview.file} ({overview.file_source})")
        render.copied("settings file: ", file, sys.stdout, indent=0)
        rows = ((origin.name, origin.value or "not set", _source(origin, overview)) for origin in overview.settings)
        table(("setting", "value", "from"), rows, wide=wide)

    render.answer(output, lambda: overview_document(overview), text)


def _source(origin: Origin, overview: Overview) -> str:
    """A source in a table: of a place in the file its name and the line, since its path is above."""
    path, colon, place = origin.source.rpartition(f"{overview.file}:")
    if overview.file is None or path or not colon:
        return printable(origin.source)
    return printable(f"{overview.file.name}:{place.partition(':')[0]}")


def overview_document(overview: Overview) -> documents.ShownSettings:
    return {
        "file": None if overview.file is None else str(overview.file),
        "file_source": overview.file_source,
        "settings": overview.settings,
    }


def checked(file: CheckedFile, output: Output) -> None:
    """The problems of a settings file, each with what to do."""

    def text() -> None:
        for problem in file.problems:
            render.item("problem: ", "error", redact(f"{problem.message} [{problem.code}]"), sys.stdout)
            if problem.hint:
                render.item("fix: ", "hint", redact(problem.hint), sys.stdout)
        name = printable(str(file.file))
        if file.problems:
            render.out(f"{name}: {render.counted(len(file.problems), 'problem')}")
        else:
            render.out(f"{name}: no problem in {render.counted(len(file.keys), 'key')}")

    render.answer(output, lambda: checked_document(file), text)


def checked_document(file: CheckedFile) -> documents.CheckedConfig:
    return {
        "file": str(file.file),
        "keys": file.keys,
        "problems": [
            {"code": problem.code, "message": redact(problem.message), "hint": problem.hint and redact(problem.hint)}
            for problem in file.problems
        ],
    }
