"""Draws a result file of ./dev bench online, and prints its table.

Run: ./dev bench online_picture FILE.json [PICTURE.svg]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

# This file is run as a script; its parts are found from the project's directory.
from benchmarks.online import picture
from benchmarks.results import tables


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 2:
        print("usage: ./dev bench online_picture FILE.json [PICTURE.svg]", file=sys.stderr)
        return 2
    content = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    print(tables.growth(content) if content["kind"] == "growth" else tables.online(content))
    if len(arguments) > 1:
        Path(arguments[1]).write_text(picture.svg(content), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
