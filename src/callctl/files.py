"""Where ``sql/`` is: in the wheel, or in the checkout the package is run from."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from callctl.errors import ConfigError


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
