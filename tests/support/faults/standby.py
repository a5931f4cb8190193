"""A real replica of a test's own server, streaming, and gone at the end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from callctl.database.programs import find_binaries, reachable_binaries, run_as, server_user
from callctl.sandbox.server import Server, give, is_ready, server_argv, socket_url

SETTINGS = {"wal_level": "replica", "max_wal_senders": "4"}


@contextmanager
def replica_of(server: Server) -> Iterator[str]:
    """The URL of a replica of ``server``, which must have been started with SETTINGS."""
    user = server_user()
    binaries = reachable_binaries(find_binaries(), server.directory, user)
    data, sockets, log = (server.directory / name for name in ("replica", "replica-socket", "replica-log"))
    sockets.mkdir(mode=0o700)
    give(sockets, user)
    copied = run_as(
        [
            *(*user.prefix, str(binaries.bin / "pg_basebackup"), "-D", str(data), "-R", "-X", "stream", "-c", "fast"),
            *("-d", f"{server.url()}&application_name=east"),
        ],
        user.ids,
        env=binaries.environment(),
        cwd=server.directory,
    )
    assert copied.returncode == 0, copied.stderr
    uid, gid = user.ids or (None, None)
    with log.open("wb") as output:
        process = subprocess.Popen(
            server_argv(binaries, data, sockets, user, {"fsync": "off"}),
            env=binaries.environment(),
            cwd=server.directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=uid,
            group=gid,
            extra_groups=[] if user.ids else None,
            umask=0o077,
        )
    try:
        deadline = time.monotonic() + 60
        while not is_ready(data):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield socket_url(sockets, "postgres")
    finally:
        process.terminate()
        process.wait(30)
