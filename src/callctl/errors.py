"""What can go wrong, and the exit code that says so.

Every error a person or a server can cause is one of these: a message that names the thing, a hint that
says what to do next, and an exit code. Anything else that escapes is a bug (exit code 1).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class CallctlError(Exception):
    """Base of everything callctl reports on purpose.

    ``message`` is one lowercase sentence without a full stop; ``hint`` is the next thing to do.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CallctlError):
    """The command line does not say what to do, or says two things."""

    exit_code = 2


class Refused(CallctlError):
    """callctl will not do it, and has changed nothing."""

    exit_code = 3


class ConfigError(CallctlError):
    """A setting, a file or a key is not usable."""

    exit_code = 4


class ConnectionFailed(CallctlError):
    """The database cannot be reached, or is not one that callctl can work with."""

    exit_code = 4


class StepFailed(CallctlError):
    """A step stopped half way; the message says what state the database is in."""

    exit_code = 5


class LockHeld(CallctlError):
    """Another callctl is at work on this database."""

    exit_code = 6


class Interrupted(CallctlError):
    """The operator pressed Ctrl-C; the message says what state the database is in."""

    exit_code = 130


def quoted(names: Iterable[str]) -> str:
    """Some names in a message: the first five, and how many more there are."""
    listed = list(names)
    others = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return ", ".join(listed[:5]) + others
