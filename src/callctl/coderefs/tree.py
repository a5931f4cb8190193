"""The files below a directory: what git knows and does not ignore, or else what is there, in order."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

from callctl.errors import UsageError

# Other people's code, and what programs wrote. git may know some of it; it is nobody's to change all the same.
_NEVER = frozenset(
    """.git .hg .svn .bzr .jj node_modules bower_components .venv venv __pycache__ site-packages .tox .nox .mypy_cache
    .pytest_cache .ruff_cache .yarn .pnpm-store""".split()  # noqa: SIM905
)
# What a build makes: left out only where no git says whether it is source.
_BUILT = frozenset(
    """dist build out .next .nuxt .output .svelte-kit .turbo .cache .parcel-cache .vercel coverage htmlcov target
    .eggs vendor""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Tree:
    """The files of all paths asked for, each once, sorted, as the path given goes on; and what was not looked
    into, with the reason."""

    files: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


def tree(paths: tuple[str, ...], exclude: tuple[str, ...] = ()) -> Tree:
    """The files below ``paths``, without what ``exclude`` (globs) matches.

    A glob matches a path below the one given, its last part, or a directory on the way. A file that is named
    itself is always among them, unless it is excluded. Raises UsageError if a path is not there.
    """
    globs = tuple(re.compile(translate(glob.rstrip("/"))) for glob in exclude)
    seen: set[str] = set()
    files: list[str] = []
    skipped: list[tuple[str, str]] = []
    for given in paths:
        root = Path(given)
        if not root.exists():
            raise UsageError(f"there is no {given}", hint="name the files or directories that hold your source")
        real_root = os.path.realpath(root)
        if root.is_file():
            below = [] if _excluded(root.name, globs) else [""]
        else:
            below = sorted(each for each in _below(root, skipped) if not _excluded(each, globs))
        for each in below:
            path = os.path.normpath(os.path.join(root, each))  # noqa: PTH118 - pathlib takes seconds for 100,000
            link = os.path.islink(path)  # noqa: PTH114
            if link and each and os.path.isdir(path):  # noqa: PTH112
                skipped.append((path, "a symbolic link to a directory is not followed"))
                continue
            real = os.path.realpath(path) if link else os.path.normpath(os.path.join(real_root, each))  # noqa: PTH118
            if real not in seen and os.path.isfile(path):  # noqa: PTH113
                seen.add(real)
                files.append(path)
    return Tree(tuple(files), tuple(skipped))


def _excluded(name: str, globs: tuple[re.Pattern[str], ...]) -> bool:
    parts = name.split("/")
    ways = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return any(glob.match(each) for glob in globs for each in (*ways, *parts))


def _below(root: Path, skipped: list[tuple[str, str]]) -> Iterator[str]:
    """The files below a directory, relative to it; what could not be looked into is added to ``skipped``."""
    listed = _known_to_git(root)
    if not listed:
        yield from _walked(root, skipped)
        return
    for name in listed:
        if _NEVER.isdisjoint(name.split("/")[:-1]):
            path = root / name
            if path.is_dir() and not path.is_symlink():  # a submodule, or a repository inside this one
                yield from (f"{name.rstrip('/')}/{each}" for each in _below(path, skipped))
            else:
                yield name


def _known_to_git(root: Path) -> set[str]:
    """What git tracks or would add here; nothing where there is no git, or all of it is ignored."""
    command = ("git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    # A hook's own variables speak of the repository that is being committed to, not of this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL, env=environment)
    except OSError:
        return set()
    names = {os.fsdecode(name) for name in done.stdout.split(b"\0")} if done.returncode == 0 else set()
    return {name for name in names if name.strip("./")}  # an empty submodule lists itself


def _walked(root: Path, skipped: list[tuple[str, str]]) -> Iterator[str]:
    def unreadable(error: OSError) -> None:
        skipped.append((os.path.normpath(error.filename), (error.strerror or "cannot be read").lower()))

    for place, directories, files in os.walk(root, onerror=unreadable):
        here = os.path.relpath(place, root)
        links = [each for each in directories if os.path.islink(os.path.join(place, each))]  # noqa: PTH114, PTH118
        directories[:] = sorted(set(directories) - _NEVER - _BUILT - set(links))
        for name in (*files, *links):
            yield name if here == "." else f"{here}/{name}"
