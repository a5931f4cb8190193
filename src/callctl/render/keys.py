"""How answers about keys look."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from callctl.render import console as render

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.render import documents


def key_document(key: str) -> documents.NewKey:
    return {"key": render.Shown(key)}


def file_document(path: Path) -> documents.NewKeyFile:
    return {"file": path}


def generated(key: str, path: Path | None, output: Output) -> None:
    """A new key: itself, or the file that it was written to."""
    if path is None:
        render.answer(output, lambda: key_document(key), lambda: render.own(key))
    else:
        render.answer(output, lambda: file_document(path), lambda: render.out(str(path)))
    if path is not None:
        render.note("The new key is in this file, which only you can read; keep a copy elsewhere before you use it")
    elif render.is_terminal(sys.stdout):
        render.warning("the key now stands in the terminal's scrollback; --out FILE puts it into a file instead")
