"""The TypeScript compiler, to check and translate what the documentation gives the platform. npm's, fetched once.

It is kept in CALLCTL_CACHE, else ~/.cache/callctl. npm checks what it fetches against the registry.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

# The compiler, and the types of Node's own modules.
PACKAGES = {"typescript": "5.9.3", "@types/node": "20.19.25"}


def compile_strictly(directory: Path) -> None:
    """Check every .ts file of a directory in strict mode and write JavaScript beside it."""
    modules = _modules()
    options = ["--strict", "--noImplicitReturns", "--noUncheckedIndexedAccess", "--target", "es2022"]
    options += ["--module", "commonjs", "--esModuleInterop", "--types", "node", "--typeRoots", str(modules / "@types")]
    options += ["--skipLibCheck"]  # those types want packages for what is not used here
    compiler = modules / "typescript" / "lib" / "tsc.js"
    done = subprocess.run(
        ["node", str(compiler), *options, *(path.name for path in sorted(directory.glob("*.ts")))],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _modules() -> Path:
    cache = Path(os.environ.get("CALLCTL_CACHE") or Path.home() / ".cache" / "callctl")
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / "-".join(["typescript", *PACKAGES.values()])
    with (cache / "lock").open("w") as lock:  # several workers may want it at the same moment
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _fetch(target)
    return target


def _fetch(target: Path) -> None:
    work = target.with_name(target.name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    for name, version in PACKAGES.items():
        place = work / name
        place.mkdir(parents=True)
        subprocess.run(
            ["npm", "pack", "--silent", f"{name}@{version}"], cwd=place, check=True, stdout=subprocess.DEVNULL
        )
        with tarfile.open(next(place.glob("*.tgz"))) as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4
            for member in archive.getmembers():
                # Everything is below one directory, whose name is the package's own choice.
                member.name = member.name.partition("/")[2]
                if member.isfile() and member.name:
                    archive.extract(member, place)
    work.rename(target)
