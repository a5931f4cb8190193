"""How answers about keys look."""

from __future__ import annotations

import sys
from pathlib import Path

from callctl.render import console as render


def generated(key: str | None, path: Path | None, output: str) -> None:
    """A new key: itself, or the file that it was written to."""
    if output == "json":
        import json

        if path is None:
            render.own(json.dumps({"key": key}, indent=2))
        else:
            render.document({"file": path})
    elif path is None:
        render.own(str(key))
    else:
        render.out(str(path))
    if path is not None:
        render.note("The new key is in this file, which only you can read; keep a copy elsewhere before you use it")
    elif render.is_terminal(sys.stdout):
        render.warning("the key now stands in the terminal's scrollback; --out FILE puts it into a file instead")
