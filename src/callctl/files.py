"""Finds ``sql/`` in the wheel or the checkout, and handles files that only their owner can read.

Files that their owner alone can read. Whose a file is.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from functools import cache
from pathlib import Path
from typing import LiteralString

from callctl.errors import Code, ConfigError, Refused


@cache
def sql_root() -> Path:
    """The directory that holds ``steps/``, ``verify/`` and the rest.

    A wheel carries it inside the package. An editable install does not see what the build adds, so the
    checkout's own ``sql/`` is the second choice.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "sql", package.parents[1] / "sql"):
        if (candidate / "steps").is_dir():
            return candidate
    raise ConfigError(
        Code.INSTALLATION_BROKEN, "the SQL files that belong to callctl are missing", hint="install callctl again"
    )


@cache
def read_sql(name: str) -> LiteralString:
    """The text of one file, by its name below the root (``steps/04_backfill_capabilities/up.sql``).

    It is part of the program, as if it were written in the code: psycopg takes it as it is.
    """
    try:
        return (sql_root() / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(Code.INSTALLATION_BROKEN, f"cannot read {name}: {error}") from error


def sql_names(directory: str) -> tuple[str, ...]:
    """The ``.sql`` files right in a directory (``verify``), as names for :func:`read_sql`, sorted."""
    root = sql_root()
    return tuple(sorted(path.relative_to(root).as_posix() for path in (root / directory).glob("*.sql")))


def step_directories() -> tuple[Path, ...]:
    """The directories of the steps (``01_users_avatar_url``, …), in order."""
    return tuple(sorted(path for path in (sql_root() / "steps").iterdir() if path.is_dir()))


class PrivateFile:
    """A new file with mode 0600. What is added to it is on the disk before the call returns.

    Nothing that is there is ever overwritten. A file that nothing was left in is removed when it is closed.
    """

    def __init__(self, name: str) -> None:
        """Raises as :func:`assert_new`."""
        self.path = Path(name)
        self._settled = self._size = 0
        try:
            # O_EXCL does not follow a symbolic link either.
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise _there_already(self.path) from None
        except (OSError, ValueError) as problem:
            raise unwritable(self.path, problem) from None
        os.fchmod(self._descriptor, 0o600)  # whatever the umask takes away

    def add(self, text: str) -> None:
        """Raises ConfigError; nothing of this text is in the file then."""
        data = memoryview(text.encode())
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)
            if not self._size:
                sync_directory(self.path.absolute().parent)
        except OSError as problem:
            self._cut(self._size)
            raise unwritable(self.path, problem) from None
        self._size = os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def settle(self) -> None:
        """Keep the lines added so far: :meth:`take_back` no longer removes them."""
        self._settled = self._size

    @property
    def unsettled(self) -> bool:
        """Whether something was added since :meth:`settle`."""
        return self._size > self._settled

    def take_back(self) -> None:
        """Remove what was added since :meth:`settle`."""
        if self.unsettled:
            self._cut(self._settled)

    def _cut(self, size: int) -> None:
        # On a disk that fails even this, what is too much stays: it is nothing that is in force.
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, size)
            self._size = os.lseek(self._descriptor, size, os.SEEK_SET)
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close it, and remove it where it is empty."""
        os.close(self._descriptor)
        if not self._size:
            self.path.unlink(missing_ok=True)


def size(number: int) -> str:
    """'812 bytes', '64.0 kB', '1.2 GB': in powers of 1024, as PostgreSQL prints them."""
    if number < 1024:
        return f"{number} byte{'' if number == 1 else 's'}"
    value = float(number)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1024
        if value < 1024 or unit == "TB":
            break
    return f"{value:.1f} {unit}"


def create_private(name: str, text: str) -> Path:
    """Write a new file with mode 0600, and see it onto the disk; nothing that is there is ever overwritten.

    Raises Refused if there is something of that name, ConfigError if it cannot be written; then no file is left.
    """
    file = PrivateFile(name)
    try:
        file.add(text)
    finally:
        file.close()
    return file.path


def assert_new(name: str) -> None:
    """Raise Refused if there is something of that name, ConfigError if its directory cannot be written to."""
    path = Path(name)
    try:
        there = os.path.lexists(path)
    except ValueError as problem:
        raise unwritable(path, problem) from None
    if there:
        raise _there_already(path)
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise unwritable(path, OSError(0, "its directory does not exist, or you have no write permission"))


def _there_already(path: Path) -> Refused:
    return Refused(
        Code.FILE_EXISTS, f"{path} already exists; nothing was written", hint="name a file that does not exist"
    )


def sync_directory(directory: Path) -> None:
    """See the entry of a new file onto the disk, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def unwritable(path: Path, problem: Exception) -> ConfigError:
    """The error for a file that cannot be written."""
    reason = (getattr(problem, "strerror", None) or "the name cannot be used").lower()
    return ConfigError(
        Code.FILE_UNWRITABLE,
        f"cannot write {path}: {reason}",
        hint="name a file in a directory that you can write to",
    )


# ---- reports -------------------------------------------------------------------------------------------

# In each report, near its beginning.
REPORT_MARK = "<!-- written by callctl -->"
_MARKED_BYTES = 4096


def is_report(path: Path) -> bool:
    """Return whether callctl has written this file: it begins as its reports do."""
    try:
        with path.open("rb") as file:
            return REPORT_MARK.encode() in file.read(_MARKED_BYTES)
    except OSError:
        return False


def write_whole(path: Path, text: str, *, replace: bool) -> None:
    """Write a file that is there when it is whole; without ``replace`` none that is there is overwritten.

    Raises OSError, with what was there left as it was and nothing else.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if not replace and os.path.lexists(path):
            raise FileExistsError(17, "the file exists already", str(path))
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


# ---- directories of callctl's own ----------------------------------------------------------------------

_MARK = ".callctl"


def mark(directory: Path) -> None:
    """Put callctl's mark into a directory that it has just made: without one, nothing is ever removed.

    The mark names the directory by device and inode, so that a copy of it, or another one at its place, has none.
    """
    create_private(str(directory / _MARK), json.dumps({"made_by": "callctl", **_identity(directory)}) + "\n")


def is_marked(directory: Path) -> bool:
    """Return whether callctl made this directory; not if the path is a symbolic link, even to such a directory."""
    try:
        document = json.loads((directory / _MARK).read_text(encoding="utf-8"))
        return bool(
            stat.S_ISDIR(directory.lstat().st_mode) and document == {"made_by": "callctl", **_identity(directory)}
        )
    except (OSError, ValueError):
        return False


def assert_marked(directory: Path, hint: str) -> None:
    """Raise Refused if something is there that callctl has not made; an empty directory, and nothing, is no harm."""
    with contextlib.suppress(OSError):
        if not directory.is_symlink() and not any(directory.iterdir()):
            return
    if os.path.lexists(directory) and not is_marked(directory):
        raise Refused(
            Code.NOT_MADE_BY_CALLCTL,
            f"callctl did not make {directory}, which has no mark of callctl; it was not changed",
            hint=hint,
        )


def remove_marked(directory: Path, hint: str) -> None:
    """Remove a directory that callctl has made, and all that is in it. Raises as :func:`assert_marked`."""
    assert_marked(directory, hint)
    if is_marked(directory):
        shutil.rmtree(directory, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):  # it is not there, or no longer empty
            directory.rmdir()


def _identity(directory: Path) -> dict[str, int]:
    status = directory.lstat()
    return {"device": status.st_dev, "inode": status.st_ino}
