"""Prints what callctl brings when it is installed, without extras: each distribution and its size, as a table.

The sizes are those of the environment that runs it, `.venv/bin/python docs/installed_sizes.py`: of the files that each
distribution has installed, without what Python compiles from them.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


def needed(name: str) -> dict[str, Distribution]:
    """A distribution and all that it needs on this platform, by their names."""
    found: dict[str, Distribution] = {}
    ahead = [(name, frozenset[str]())]
    seen = set()
    while ahead:
        name, extras = ahead.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found[name] = distribution(name)
        for line in found[name].requires or []:
            wanted = Requirement(line)
            marker = wanted.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""})):
                ahead.append((re.sub(r"[-_.]+", "-", wanted.name).lower(), frozenset(wanted.extras)))
    return found


def size(installed: Distribution) -> int:
    """In bytes, of the files that are there."""
    paths = [Path(str(path.locate())) for path in installed.files or () if path.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.is_file())


def main() -> None:
    sizes = {f"{name} {found.version}": size(found) for name, found in needed("callctl").items() if name != "callctl"}
    print("| distribution | MB |\n|---|---|")
    for name, number in sorted(sizes.items(), key=lambda entry: -entry[1]):
        print(f"| {name} | {number / 1e6:.2f} |")
    print(f"| all | {sum(sizes.values()) / 1e6:.1f} |")


if __name__ == "__main__":
    sys.exit(main())
