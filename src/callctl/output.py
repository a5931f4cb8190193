"""Makes stdout and stderr that never stop the work: they drop unwritable output and keep the reason for the end.

A log file on a full disk, a closed descriptor or a reader that has left (``| head``) must not end a migration between
two transactions. So the descriptors are protected below every buffer: callctl's own lines, rich's live display, the
help and the interpreter's flush at its end all go through :class:`Unfailing`.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, TextIO

_STDOUT, _STDERR = 1, 2


class Unfailing(io.RawIOBase):
    """A file descriptor that takes every write. After the first that fails, the rest is dropped."""

    def __init__(self, descriptor: int, problem: OSError | None = None) -> None:
        super().__init__()
        self._descriptor = descriptor
        # Why something could not be written; None while all of it was.
        self.problem = problem

    def write(self, data: Any, /) -> int:
        size = memoryview(data).nbytes
        while self.problem is None:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # a pipe that another process has set to non-blocking, and that is full
                select.select([], [self._descriptor], [])
            except OSError as problem:
                self.problem = problem
        return size

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)


def protect() -> None:
    """Open the standard descriptors that are closed on /dev/null, and make sys.stdout and sys.stderr unfailing.

    A descriptor left closed would be the next file's or connection's: what a child process prints would go there.
    """
    closed = [descriptor for descriptor in (0, _STDOUT, _STDERR) if not _is_open(descriptor)]
    for descriptor in closed:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != descriptor:
            os.dup2(nowhere, descriptor)
            os.close(nowhere)
        os.set_inheritable(descriptor, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _stream(sys.stdout, _STDOUT, closed)
    sys.stderr = _stream(sys.stderr, _STDERR, closed)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _stream(given: TextIO | None, descriptor: int, closed: list[int]) -> TextIO:
    problem = OSError(errno.EBADF, os.strerror(errno.EBADF)) if descriptor in closed else None
    return io.TextIOWrapper(
        io.BufferedWriter(Unfailing(descriptor, problem)),
        encoding=given.encoding if given is not None else "utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )


def reader_left(stream: TextIO) -> bool:
    """Return whether nothing that is written to ``stream`` can be read any more: its pipe is closed, or it failed."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    if isinstance(raw, Unfailing) and raw.problem is not None:
        return True
    try:
        polled = select.poll()
        polled.register(stream.fileno(), 0)
        return any(found & (select.POLLERR | select.POLLNVAL) for _, found in polled.poll(0))
    except (OSError, ValueError, AttributeError):  # a stream of a test; a system without poll
        return False


def problem(stream: TextIO) -> OSError | None:
    """Why not all of what went to an unfailing ``stream`` was written; None if it was, or if its reader has left.

    A reader that leaves (``| head``) has what it wanted.
    """
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    error = raw.problem if isinstance(raw, Unfailing) else None
    return None if isinstance(error, BrokenPipeError) else error
