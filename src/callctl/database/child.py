"""A program of PostgreSQL's at work for callctl: what it says is heard, and it does not outlive who asked for it."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from callctl.redaction import redact

# How long it may take to end by itself once it was asked to.
_PATIENCE_SECONDS = 5.0
# Of what it says, so much is kept: the reason stands at the end.
_KEPT_LINES = 40
_LONGEST = 600
# Not "detail: Query was: ...", which is long and says nothing to who runs it.
_WORTH_TELLING = (": error: ", ": hint: ", "ERROR: ", "FATAL: ")
KILLED = "killed by signal"
_SPEAKER = re.compile(r"\Apg_\w+: ")


class Child:
    """A running program; leaving the context ends it.

    It is in a session of its own, so that a Ctrl-C at the terminal reaches callctl alone. What it writes to stderr goes
    through a pipe: if callctl is killed, its next word there ends it, too. ``keeps`` are descriptors that it inherits.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        keeps: Sequence[int] = (),
        on_line: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._popen: Callable[[], subprocess.Popen[bytes]] = lambda: subprocess.Popen(
            argv,
            env=dict(environment),
            stdin=stdin,
            stdout=stdout,
            pass_fds=keeps,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: list[str] = []
        self._on_line = on_line
        self._listener = threading.Thread(target=self._listen, daemon=True)

    @property
    def output(self) -> IO[bytes]:
        """What it writes, where that is a pipe."""
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout

    def ended(self, seconds: float) -> bool:
        """Whether it has ended by then; waits no longer than that."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            return True
        return False

    def failure(self) -> str | None:
        """Wait for its end: None where it did what it should, else what it said, without passwords."""
        assert self._process is not None
        code = self._process.wait()
        self._listener.join(_PATIENCE_SECONDS)
        if code == 0:
            return None
        said = [line for line in self._lines if any(word in line for word in _WORTH_TELLING)]
        if code < 0:  # its last lines are about its progress, and say nothing of its end
            said.insert(0, f"{KILLED} {-code} ({_signal(-code)})")
        text = "; ".join(_SPEAKER.sub("", line).removeprefix("error: ") for line in said or self._lines[-3:])
        return redact(text)[:_LONGEST] or f"exit status {code}"

    def __enter__(self) -> Child:
        try:
            # In a thread, where Ctrl-C raises nothing: an interrupted Popen does not end the program it has started.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(self._start).result()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # it cancels its statement on the server
            if not self.ended(_PATIENCE_SECONDS):
                self._process.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()
        self._listener.join(_PATIENCE_SECONDS)

    def _start(self) -> None:
        self._process = self._popen()
        self._listener.start()

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for raw in stream:
                line = raw.decode(errors="replace").rstrip()
                self._lines = [*self._lines[-_KEPT_LINES:], line]
                self._on_line(line)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
