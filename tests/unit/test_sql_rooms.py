"""sql/ mirrors src/callctl: a file is in the folder of the package that reads it, and each file is read."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import callctl
from callctl.files import sql_root

PACKAGES = Path(callctl.__file__).parent
# What a DBA reads and runs (docs/explanation/architecture.md), and the package that reads all of it.
SUBJECTS = {
    "store": "database",
    "steps": "migration/steps",
    "preflight": "migration/checks",
    "verify": "migration/checks",
    "baselines": "sandbox",
}
SHARED = {"store_keys.sql": "migration"}


def package_of(folder: str) -> str:
    """The package that a folder belongs to: of its name, or the nearest above it."""
    parts = folder.split("/")
    while parts and not (PACKAGES / "/".join(parts) / "__init__.py").exists():
        parts.pop()
    return "/".join(parts)


def constants(source: str) -> set[str]:
    """The texts that a module is written with."""
    nodes = ast.walk(ast.parse(source))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def patterns(source: str) -> set[str]:
    """The names of .sql files that a module builds, as patterns: f"loadtest/own/{name}.sql"."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)]
    built = {"".join(str(v.value) if isinstance(v, ast.Constant) else r"(\w+)" for v in node.values) for node in nodes}
    return {pattern for pattern in built if re.fullmatch(r"[a-z/]+/\(\\w\+\)\.sql", pattern)}


SOURCES = {path.relative_to(PACKAGES): path.read_text(encoding="utf-8") for path in PACKAGES.rglob("*.py")}
CONSTANTS = {module: constants(source) for module, source in SOURCES.items()}
PATTERNS = {module: patterns(source) for module, source in SOURCES.items()}
WORDS = set().union(*CONSTANTS.values())


def readers(name: str) -> set[str]:
    """The packages with a module that reads this file: by its name, by one that it builds, or with all of a folder."""
    folder, _, file = name.rpartition("/")
    return {
        module.parent.as_posix()
        for module, texts in CONSTANTS.items()
        if name in texts
        or (any(re.fullmatch(pattern, name) for pattern in PATTERNS[module]) and file.removesuffix(".sql") in WORDS)
        or f'sql_names("{folder}")' in SOURCES[module]
    }


def test_each_file_is_in_the_folder_of_the_package_that_reads_it() -> None:
    astray = {}
    for path in sql_root().rglob("*.sql"):
        name = path.relative_to(sql_root()).as_posix()
        if name.partition("/")[0] in SUBJECTS:
            continue
        package = SHARED.get(name) or package_of(path.parent.relative_to(sql_root()).as_posix())
        if package not in readers(name):
            astray[name] = sorted(readers(name)) or "no package reads it"
    assert astray == {}


def test_each_file_that_a_module_names_is_there() -> None:
    """A name without a folder is a part of a step, or of a message."""
    named = {text for text in WORDS if re.fullmatch(r"\w[\w/]*/\w+\.sql", text)}
    assert {name for name in named if not (sql_root() / name).exists()} == set()


def test_each_folder_of_a_subject_is_read() -> None:
    assert {folder for folder in SUBJECTS if not (sql_root() / folder).is_dir()} == set()
    assert {path.name for path in sql_root().glob("*.sql")} == set(SHARED)
    for folder, package in SUBJECTS.items():
        texts = [module.read_text(encoding="utf-8") for module in (PACKAGES / package).glob("*.py")]
        assert any(re.search(rf'["/]{folder}["/]', text) for text in texts), folder


def test_the_architecture_names_each_folder() -> None:
    text = (Path(__file__).parents[2] / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    folders = {path.name for path in sql_root().iterdir() if path.is_dir()}
    assert {folder for folder in folders if f"`sql/{folder}/`" not in text} == set()


def test_each_file_is_in_ascii() -> None:
    """A session of an SQL_ASCII database sends nothing else, unless its cursor encodes it; fill() says UTF8 itself."""
    names = (path.relative_to(sql_root()).as_posix() for path in sql_root().rglob("*.sql"))
    assert [name for name in names if not (sql_root() / name).read_bytes().isascii()] == ["baselines/rows.sql"]
