"""callctl in a pseudo-terminal, as a person sees it."""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from types import MappingProxyType

from tests.support import processes

# What moves the cursor or colours takes no column.
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen:
    """callctl in a pseudo-terminal, and the lines it has written there."""

    def __init__(
        self,
        url: str,
        columns: int,
        *arguments: str,
        answer: str | None = None,
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
        process = subprocess.Popen(
            [sys.executable, "-m", "callctl", *arguments],
            env={**environment, "CALLCTL_DATABASE_URL": url, "TERM": "xterm-256color", **environ},
            stdin=there, stdout=there, stderr=there, start_new_session=True,
        )  # fmt: skip
        os.close(there)
        seen = b""
        try:
            while True:
                try:
                    piece = os.read(here, 65536)
                except OSError:  # Linux's way to say that the other side of a terminal is closed
                    break
                if not piece:
                    break
                seen += piece
                if answer is not None and b"[y/N]" in seen:
                    os.write(here, f"{answer}\n".encode())
                    answer = None
        finally:
            os.close(here)
            self.code = process.wait(processes.PATIENCE_SECONDS)
        # A line that was drawn again is what it was last.
        drawn = (line.rstrip("\r").rpartition("\r")[2] for line in _ANSI.sub("", seen.decode()).split("\n"))
        self.lines = self.drawn = [line.rstrip() for line in drawn]
        target = ("callctl: target: ", "  ")  # and the lines that it is folded into
        if self.lines[0].startswith(target[0]):
            self.lines = list(itertools.dropwhile(lambda line: line.startswith(target), self.lines))
        self.text = " ".join(" ".join(self.lines).split())

    def assert_fits(self, columns: int) -> None:
        wide = [line for line in self.drawn if len(line) > columns]
        assert wide == []
        assert not any(line.endswith("…") for line in self.lines)
