"""Where ``sql/`` is: in the wheel, or in the checkout the package is run from. And files for nobody else's eyes."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from callctl.errors import ConfigError, Refused


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
    raise ConfigError("the SQL files that belong to callctl are missing", hint="install callctl again")


@cache
def read_sql(name: str) -> str:
    """The text of one file, by its name below the root (``steps/04_backfill_capabilities/up.sql``)."""
    try:
        return (sql_root() / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {name}: {error}") from error


def sql_names(directory: str) -> tuple[str, ...]:
    """The ``.sql`` files right in a directory (``verify``), as names for :func:`read_sql`, sorted."""
    root = sql_root()
    return tuple(sorted(path.relative_to(root).as_posix() for path in (root / directory).glob("*.sql")))


def step_directories() -> tuple[Path, ...]:
    """The directories of the steps (``01_users_avatar_url``, …), in order."""
    return tuple(sorted(path for path in (sql_root() / "steps").iterdir() if path.is_dir()))


def create_private(name: str, text: str) -> Path:
    """Write a new file with mode 0600, and see it onto the disk; nothing that is there is ever overwritten.

    Raises Refused if there is something of that name, ConfigError if it cannot be written; then no file is left.
    """
    path = Path(name)
    try:
        # O_EXCL does not follow a symbolic link either.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Refused(f"{path} is there already; nothing was written", hint="name a file that is not there") from None
    except (OSError, ValueError) as problem:
        raise _unwritable(path, problem) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask takes away
            file.write(text)
            file.flush()
            os.fsync(descriptor)
    except BaseException as problem:
        path.unlink(missing_ok=True)
        if isinstance(problem, OSError):
            raise _unwritable(path, problem) from None
        raise
    return path


def _unwritable(path: Path, problem: Exception) -> ConfigError:
    reason = (getattr(problem, "strerror", None) or "the name cannot be used").lower()
    return ConfigError(f"cannot write {path}: {reason}", hint="name a file in a directory that exists and is yours")
