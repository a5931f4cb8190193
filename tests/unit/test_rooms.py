"""Between rooms only what a face names is imported. The order of the rooms is import-linter's (pyproject.toml)."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import callctl

SOURCE = Path(callctl.__file__).parents[1]
FACES = sorted(
    ".".join(path.parent.relative_to(SOURCE).parts)
    for path in SOURCE.glob("callctl/**/__init__.py")
    if path.parent.name not in ("callctl", "cli")
)
MOST_MODULES = 20  # more are no longer one room
# These have a module for each group of commands, and no order among the modules: they grow with the command line.
MOST_OF = {"cli": 28, "render": 28}


def imported(path: Path) -> list[tuple[str, str]]:
    """What a file imports: the module, and the name in it."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    statements = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return [(each.module or "", alias.name) for each in statements for alias in each.names]


def problems(importer: str, module: str, name: str, faces: dict[str, set[str]]) -> list[str]:
    """What is wrong about a module's import of a name of another."""
    parts = module.split(".")
    home = importer.rpartition(".")[0]
    found = []
    for depth in range(1, len(parts) + 1):
        room = ".".join(parts[:depth])
        inner = parts[depth] if depth < len(parts) else name
        if room in faces and room != home and not f"{home}.".startswith(f"{room}.") and inner not in faces[room]:
            found.append(f"{importer} imports {inner} of {room}, which its face does not name")
    same_room = home == module.rpartition(".")[0]
    if parts[0] == "callctl" and not same_room and name.startswith("_") and name != "__version__":
        found.append(f"{importer} imports {name} of {module}")
    return found


def test_only_what_a_face_names_is_imported() -> None:
    faces = {face: set(importlib.import_module(face).__all__) for face in FACES}
    found = []
    for path in sorted(SOURCE.glob("callctl/**/*.py")):
        importer = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for module, name in imported(path):
            found += problems(importer, module, name, faces)
    assert found == []


def test_the_rule_notices() -> None:
    faces = {"callctl.a": {"b"}}
    assert problems("callctl.c.d", "callctl.a.b", "f", faces) == []
    assert problems("callctl.c.d", "callctl.a", "b", faces) == []
    assert problems("callctl.a.x", "callctl.a.hidden", "f", faces) == []
    assert len(problems("callctl.c.d", "callctl.a.hidden", "f", faces)) == 1
    assert len(problems("callctl.c.d", "callctl.a", "hidden", faces)) == 1
    assert len(problems("callctl.c.d", "callctl.a.b", "_f", faces)) == 1


@pytest.mark.parametrize("face", FACES)
def test_a_face_has_a_paragraph_and_all_that_it_names(face: str) -> None:
    module = importlib.import_module(face)
    assert module.__doc__
    for name in module.__all__:
        assert hasattr(module, name) or importlib.import_module(f"{face}.{name}")


def test_a_face_imports_nothing() -> None:
    code = (
        f"import sys, importlib; [importlib.import_module(each) for each in {FACES!r}];"
        "print([each for each in sys.modules if each.startswith('callctl.')"
        f" and each not in {FACES!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_folder_grows_without_a_word() -> None:
    sizes = {path.name: len(list(path.glob("*.py"))) - 1 for path in (SOURCE / "callctl").rglob("*") if path.is_dir()}
    assert {name: size for name, size in sizes.items() if size > MOST_OF.get(name, MOST_MODULES)} == {}
