"""A real PgBouncer before the tests' server: Debian's package, unpacked into the cache and not installed.

One on PATH is used first. Otherwise ``apt-get download`` fetches it, which checks it against the archive's signature.
It is kept in CALLCTL_CACHE, else ~/.cache/callctl.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from callctl.database.programs import server_user
from callctl.sandbox.server import SUPERUSER, make_directory, socket_url

# PgBouncer itself, and what it needs that a minimal Debian may lack.
PACKAGES = ("pgbouncer", "libc-ares2", "libevent-2.1-7")
START_SECONDS = 20.0


def program() -> Path:
    """The program; fetched, with its libraries beside it, if it is neither on PATH nor in the cache."""
    path = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path:
        return Path(path)
    cache = Path(os.environ.get("CALLCTL_CACHE") or Path.home() / ".cache" / "callctl")
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"pgbouncer-{platform.machine()}"
    with (cache / "lock").open("w") as lock:  # several workers may want it at the same moment
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _fetch(target)
    return target / "pgbouncer"


def _fetch(target: Path) -> None:
    work = target.with_name(target.name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    (work / "flat").mkdir(parents=True)
    for package in PACKAGES:
        subprocess.run(["apt-get", "download", "-qq", package], cwd=work, check=True, stdout=subprocess.DEVNULL)
    for archive in work.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(archive), str(work / "root")], check=True)
    for path in (work / "root" / "usr" / "sbin" / "pgbouncer", *(work / "root" / "usr" / "lib").rglob("*.so.*")):
        shutil.copy(path, work / "flat")
    (work / "flat").rename(target)
    shutil.rmtree(work)


@contextmanager
def pgbouncer(url: str, mode: str, pool: int) -> Iterator[str]:
    """Run PgBouncer before the server of ``url``; gives the URL of the same database through it.

    ``mode`` is session, transaction or statement; ``pool`` how many server connections it may open. It listens on a
    Unix socket only.
    """
    user = server_user()
    parsed = urlsplit(url)
    server = parse_qs(parsed.query)
    home = make_directory(user)
    # A copy, because whom it runs as (not root, as with the server) may not be able to enter the cache.
    binary = program()
    (home / "bin").mkdir(mode=0o755)
    for path in (binary, *binary.parent.glob("*.so.*")):
        shutil.copy(path, home / "bin")
    (home / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={server['host'][0]} port={server['port'][0]} user={SUPERUSER}\n"
        "[pgbouncer]\nlisten_addr =\nlisten_port = 5432\n"
        f"unix_socket_dir = {home}\nauth_type = any\nlogfile = {home}/log\n"
        f"pool_mode = {mode}\ndefault_pool_size = {pool}\nquery_wait_timeout = 10\n"
    )
    uid, gid = user.ids or (None, None)
    process = subprocess.Popen(
        [*user.prefix, str(home / "bin" / "pgbouncer"), "-q", str(home / "pgbouncer.ini")],
        env={**os.environ, "LD_LIBRARY_PATH": str(home / "bin")}, cwd=home, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        user=uid, group=gid, extra_groups=[] if user.ids else None,
    )  # fmt: skip
    try:
        _await(process, home)
        yield socket_url(home, parsed.path.removeprefix("/"))
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(home, ignore_errors=True)


def _await(process: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(home / ".s.PGSQL.5432"))
                return
            except OSError:
                time.sleep(0.02)
    log = (home / "log").read_text() if (home / "log").exists() else "nothing"
    raise AssertionError(f"PgBouncer does not start; it said: {log[-2000:]}")
