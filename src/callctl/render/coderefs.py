"""Draws the list of references to a dropped column: as text, as JSON, as annotations of GitHub."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from callctl.render import console as render

if TYPE_CHECKING:
    from callctl.coderefs.search import CodeRefs, Reference
    from callctl.config.settings import Output
    from callctl.render import documents

_SHOWN = 5


def code_refs(answer: CodeRefs, shown: Iterable[Reference], output: Output) -> None:
    """The answer of ``callctl code-refs``; ``shown`` are the references to list."""
    render.answer(output, lambda: code_refs_document(answer, shown), lambda: _code_refs_text(answer, shown))


def _code_refs_text(answer: CodeRefs, shown: Iterable[Reference]) -> None:
    for reference in shown:
        place = f"{reference.file}:{reference.line}:{reference.column}"
        related = ", related" if reference.related else f", {reference.why}" if reference.why else ""
        render.out(_printable(f"{place}: {reference.kind}{related}: {reference.text}"))
    _summary(answer)


def github(answer: CodeRefs, shown: Iterable[Reference], workspace: str) -> None:
    """The same as workflow commands, which GitHub shows beside the lines of a pull request.

    ``workspace`` is the checkout's directory: GitHub wants the names of files from there on.
    """
    for reference in shown:
        title = f"{reference.identifier} is dropped" if reference.counts else f"names {reference.identifier}"
        if reference.why:
            title = f"{reference.identifier}, {reference.why}"
        properties = {
            "file": _from(workspace, reference.file),
            "line": str(reference.line),
            "col": str(reference.column),
            "endColumn": str(reference.column + len(reference.identifier)),
            "title": title,
        }
        written = ",".join(f"{name}={render.annotation_property(value)}" for name, value in properties.items())
        level = "error" if reference.counts else "notice"
        render.out(f"::{level} {written}::{render.annotation_data(_printable(f'{reference.kind}: {reference.text}'))}")
    _summary(answer)


def code_refs_document(answer: CodeRefs, shown: Iterable[Reference]) -> documents.CodeReferences:
    return {
        "clear": answer.clear,
        "columns": list(answer.columns),
        "files": answer.files,
        "counts": {**answer.counts, "allowed": answer.allowed},
        "references": [
            {
                "file": reference.file,
                "line": reference.line,
                "column": reference.column,
                "kind": reference.kind.value,
                "identifier": reference.identifier,
                "related": reference.related,
                "text": reference.text,
            }
            for reference in shown
        ],
        "skipped": list(answer.skipped),
        "unread": list(answer.unread),
    }


def warnings(answer: CodeRefs) -> None:
    """Print the gaps of the answer to stderr."""
    for skipped in answer.skipped:
        hint = "" if skipped.read else "; --exclude leaves it out"
        render.warning(_printable(f"{skipped.file}: {skipped.why}{hint}"))
    if answer.unread:
        names = ", ".join(answer.unread[:_SHOWN]) + (", …" if len(answer.unread) > _SHOWN else "")
        number = len(answer.unread)
        others = "1 file of another kind names" if number == 1 else f"{number:,} files of other kinds name"
        render.warning(_printable(f"{others} the column too, and does not count: {names}"))


def _summary(answer: CodeRefs) -> None:
    number = answer.counts
    aside = [f"{number['comment']:,} in comments", f"{number['related']:,} related", f"{answer.allowed:,} allowed"]
    beside = ", ".join(part for part in aside if not part.startswith("0 "))
    read = f"{render.counted(answer.files, 'file')} read" + (f"; not counted: {beside}" if beside else "")
    columns = ", ".join(answer.columns)
    if answer.clear:
        render.out(f"{render.styled('clear', 'good', sys.stdout)}: nothing names {columns}; {read}")
        return
    counting = [reference for reference in answer.references if reference.counts]
    unread = f"{_paths(answer.not_read)} could not be read" if answer.not_read else ""
    if not counting:
        render.out(f"{render.styled('not clear', 'error', sys.stdout)}: {unread}; nothing else names {columns}; {read}")
        return
    kinds = ", ".join(f"{number[kind]:,} {kind}" for kind in ("code", "string", "sql") if number[kind])
    files = render.counted(len({reference.file for reference in counting}), "file")
    references = f"{render.counted(len(counting), 'reference')} to {columns} in {files} ({kinds})"
    references = "; ".join(part for part in (references, unread) if part)
    render.out(f"{render.styled('not clear', 'error', sys.stdout)}: {references}; {read}")


def _paths(number: int) -> str:
    return "1 file or directory" if number == 1 else f"{number:,} files or directories"


def _printable(text: str) -> str:
    """``text`` without what a terminal would obey: a file's name or line may hold anything."""
    return "".join(
        character if character.isprintable() else " " if character == "\t" else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def _from(workspace: str, file: str) -> str:
    relative = os.path.relpath(file, workspace)
    return file if relative.startswith("..") else relative.replace(os.sep, "/")
