"""The kinds of faults, one row for each: from here tests, the benchmark and the page in docs/explanation have them."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal, TypeAlias

Moment: TypeAlias = Literal["before", "during", "after"]
"""When a fault strikes: before the server gets the message, while it works, when it has answered."""

MOMENTS: tuple[Moment, ...] = ("before", "during", "after")


@dataclass(frozen=True)
class Kind:
    """``name`` is that of the function in ``actions`` that does it; ``title`` what the page calls it.

    ``exits``: what callctl may exit with (docs/reference, exit codes). ``goes_on``: callctl goes on talking to the
    server for a moment. ``answers``: an error that stands for the server's answer, so that it has one moment only.
    """

    name: str
    title: str
    exits: frozenset[int]
    goes_on: bool = False
    answers: bool = False

    @property
    def moments(self) -> tuple[Moment, ...]:
        """The moments at which it can strike."""
        return ("before",) if self.answers else MOMENTS


LOST = frozenset({4, 5})
STOPPED = frozenset({130})

KINDS = (
    Kind("kill", "`kill -9` of callctl", frozenset({-signal.SIGKILL})),
    Kind("terminate", "`pg_terminate_backend`", LOST),
    Kind("cut", "the connection is cut", LOST),
    Kind("crash", "a backend is killed, the server recovers", LOST),
    Kind("restart", "the server stops at once, and starts again", LOST),
    Kind("sigint", "Ctrl-C", STOPPED, goes_on=True),
    Kind("sigint2", "Ctrl-C twice", STOPPED, goes_on=True),
    Kind("disk_full", "the disk is full (53100)", LOST, goes_on=True, answers=True),
    Kind("internal_error", "the server has an error (XX000)", LOST, goes_on=True, answers=True),
)
