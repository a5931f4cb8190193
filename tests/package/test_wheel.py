"""The wheel: what is in it, and that it works outside the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import callctl

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a program with nothing of this checkout in its environment."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CALLCTL_"))}
    return subprocess.run(
        [str(part) for part in command],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def build(what: str, source: Path, target: Path, pattern: str) -> Path:
    done = run(sys.executable, "-m", "build", "--no-isolation", what, "--outdir", target, source, directory=target)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = target.glob(pattern)
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as the tree gives it."""
    return build("--wheel", ROOT, tmp_path_factory.mktemp("tree"), "*.whl")


@pytest.fixture(scope="module")
def wheel_from_sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as the source distribution gives it, unpacked far from the repository."""
    directory = tmp_path_factory.mktemp("sdist")
    sdist = build("--sdist", ROOT, directory, "*.tar.gz")
    shutil.unpack_archive(sdist, directory)
    return build("--wheel", directory / sdist.name.removesuffix(".tar.gz"), directory, "*.whl")


@pytest.fixture(scope="module")
def python(wheel_from_sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment's Python: the wheel is in it, and this environment's packages without its callctl."""
    directory = tmp_path_factory.mktemp("fresh")
    venv.create(directory, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(directory), "platbase": str(directory)}))
    pip = (sys.executable, "-m", "pip", "--python", directory / "bin" / "python", "--isolated")
    installed = run(*pip, "install", "--no-deps", "--no-index", "-q", wheel_from_sdist, directory=directory)
    assert installed.returncode == 0, installed.stderr
    # What a .pth file names comes after the environment's own packages, and the .pth files there are not
    # read: this environment's editable callctl stays out of sight.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return directory / "bin" / "python"


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def tree(top: Path, prefix: str) -> set[str]:
    return {
        f"{prefix}/{path.relative_to(top).as_posix()}"
        for path in top.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_package_its_sql_and_its_schemas_and_nothing_else(wheel: Path) -> None:
    metadata = {name for name in names(wheel) if name.split("/")[0].endswith(".dist-info")}
    schemas = tree(ROOT / "docs" / "reference" / "schemas", "callctl/schemas")
    package = tree(ROOT / "src" / "callctl", "callctl") | tree(ROOT / "sql", "callctl/sql") | schemas
    assert names(wheel) - metadata == package
    assert {name.split("/", 1)[1] for name in metadata} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_the_sql_in_the_wheel_is_the_sql_in_the_tree(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for path in sorted((ROOT / "sql").rglob("*.sql")):
            name = f"callctl/sql/{path.relative_to(ROOT / 'sql').as_posix()}"
            assert archive.read(name) == path.read_bytes(), name


def test_a_wheel_from_the_sdist_is_the_same(wheel: Path, wheel_from_sdist: Path) -> None:
    assert names(wheel_from_sdist) == names(wheel)


def test_the_wheel_runs_outside_the_repository(python: Path, tmp_path: Path) -> None:
    where = run(python, "-c", "import callctl; print(callctl.__file__)", directory=tmp_path)
    assert str(python.parent.parent) in where.stdout
    version = run(python.parent / "callctl", "--version", directory=tmp_path)
    assert (version.returncode, version.stdout) == (0, f"callctl {callctl.__version__}\n"), version.stderr
    page = run(python.parent / "callctl", "explain", "lock-held", directory=tmp_path)
    assert page.stdout.startswith("CALLCTL-LOCK-HELD\n"), page.stderr
    root = run(python, "-c", "from callctl.files import sql_root; print(sql_root())", directory=tmp_path)
    assert root.stdout.strip() == str(Path(where.stdout.strip()).parent / "sql")


def test_the_wheel_migrates_a_database(python: Path, tmp_path: Path, documented: str) -> None:
    for arguments, code in (
        ("migrate status", 3),
        ("migrate up --yes", 0),
        ("verify", 0),
        ("migrate status", 0),
    ):
        done = run(python, "-m", "callctl", "--database", documented, *arguments.split(), directory=tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
