"""The rooms of src/callctl as a page lists them: the paragraph of each face, and a line for each module."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import callctl

PACKAGE = Path(callctl.__file__).parent
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
# From the entrance down, as the contracts in pyproject.toml have it.
ROOMS = (
    "cli",
    "render",
    "rehearsal",
    "sandbox",
    "backup",
    "loadtest",
    "tenants",
    "coderefs",
    "forecast",
    "doctor",
    "watch",
    "migration",
    "migration/run",
    "migration/checks",
    "migration/steps",
    "secrets",
    "secrets/webhooks",
    "secrets/rotation",
    "secrets/inventory",
    "secrets/rows",
    "secrets/envelope",
    "statements",
    "database",
    "config",
)


def rooms() -> str:
    """A picture of the rooms, then one paragraph and one table a room.

    Raises ValueError where a folder is missing from ROOMS.
    """
    folders = {path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")} - {"."}
    if folders != set(ROOMS):
        raise ValueError(f"docs/from_rooms.py does not list the folders that there are: {folders ^ set(ROOMS)}")
    lines = ["```text", *_picture(), "```", ""]
    for room in ROOMS:
        lines += [f"### {room}", "", _docstring(PACKAGE / room / "__init__.py"), "", *_modules(room)]
    lines += ["### The ground", "", "Imports nothing of callctl but other modules of the ground.", "", *_modules("")]
    return "\n".join(lines).rstrip("\n")


def _picture() -> list[str]:
    """The layers of the contracts in pyproject.toml, one a line; those of migration and secrets beside their room."""
    contracts = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = {contract["containers"][0]: contract["layers"] for contract in contracts if contract["type"] == "layers"}
    lines: list[str] = []
    for layer in layers.pop("callctl"):
        if layer == "__main__":
            continue
        inside = layers.get(f"callctl.{layer}")
        lines.append(_members(layer) + (f"   ( {' > '.join(map(_members, inside))} )" if inside else ""))
    return "\n  |\n".join(lines).split("\n")


def _members(layer: str) -> str:
    """'a | b' do not import each other, 'a : b' may."""
    return layer.replace(" | ", " · ").replace(" : ", ", ")


def _modules(room: str) -> list[str]:
    prefix = f"{room}/" if room else ""
    rows = [
        f"| `{prefix}{path.name}` | {_first_line(path)} |"
        for path in sorted((PACKAGE / room).glob("*.py"))
        if path.name != "__init__.py"
    ]
    return ["| module | what it is |", "|---|---|", *rows, ""] if rows else []


def _docstring(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n\n")[0].replace("``", "`")


def _first_line(path: Path) -> str:
    return _docstring(path).replace("\n", " ").replace("|", "\\|")
