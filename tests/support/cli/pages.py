"""Carries out a page of the documentation: every command of it, in order, in one shell, against one sandbox.

A ``console`` block holds commands (``$ …``) and what they print, stdout and stderr as they come. A line
that is only ``…`` stands for any number of lines; a command with nothing below it may print what it likes.
A line ``# exits with 5`` right below a command says how it ends; otherwise it must end with 0.

A ``sql`` block runs in a second session that stays open through the page. Blocks of another kind are not run.

The name of a baseline behind the kind (``console deployed``) says that the block is about such a database alone, as the
text above it does: it is run where the page is carried out on that baseline, and passed over elsewhere.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from callctl.database.programs import find_binaries
from callctl.files import sql_root

ANYTHING = "…"
_BLOCK = re.compile(r"^```(?P<kind>\w+)(?: (?P<only>[^\n]+))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_EXITS = re.compile(r"# exits with (\d+)")
# What differs from run to run and from machine to machine.
_MOVING = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:?\d\d|Z)"), "<time>"),
    (re.compile(r"host=[^ &]*/callctl-\w+"), "host=<sockets>"),
    (re.compile(r"\bon [^ ]*/callctl-\w+:\d+"), "on <sockets>"),
    # The times of a forecast: an interval, one that is a single value, and what is expected of a run.
    (re.compile(r"<?\b\d+(\.\d+)?( (ms|s|min))? to \d+(\.\d+)? (ms|s|min)\b"), "<interval>"),
    (re.compile(r"(?<=wait )<?\d+(\.\d+)? (ms|s|min)\b"), "<interval>"),
    (re.compile(r"(?<=waiting )\d+ s\b"), "<seconds> s"),
    (re.compile(r"\b\d\d:\d\d:\d\d UTC\b"), "<time>"),
    (re.compile(r"(?<=longest )<?\d+(\.\d+)? (ms|s|min)\b"), "<interval>"),
    (re.compile(r"(?<=; )<?\d+(\.\d+)? (ms|s|min)(?=;|$)"), "<interval>"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s|min) \(<interval> in 4 of 5 runs\)"), "<expected>"),
    (re.compile(r"\b\d+\.\d+ s\b"), "<seconds> s"),
    (re.compile(r"(?<![\w.])\d+\.\d\d(?![\w.])"), "<seconds>"),
    (re.compile(r"\b\d+ [kM]B\b"), "<size>"),
    (re.compile(r"\bPostgreSQL \d+(\.\d+)?\b"), "PostgreSQL <version>"),
    (re.compile(r"\b[\w-]+@[\w.-]+\b"), "<client>"),
    (re.compile(r"\bpid \d+\b"), "pid <pid>"),
    (re.compile(r"pg_terminate_backend\(\d+\)"), "pg_terminate_backend(<pid>)"),
    (re.compile(r"\bfor \d\d:\d\d:\d\d\b"), "for <age>"),
    (re.compile(r"\b[\d,]+ rows of \d+ tables\b"), "<rows> of <tables>"),
    # Facts of the SQL files that grow with them, and that no reader goes by.
    (re.compile(r"\.sql:\d+\b"), ".sql:<line>"),
    (re.compile(r"\b[\d,]+ (checks|statements|rows changed|objects)\b"), r"<number> \1"),
    (re.compile(r" +"), " "),
)


@dataclass(frozen=True)
class Command:
    """One command of a page, what the page says it prints, and how it ends."""

    text: str
    prints: tuple[str, ...]
    exits: int
    line: int
    only: str | None = None


@dataclass(frozen=True)
class Sql:
    """Statements that a second session runs between two commands."""

    text: str
    line: int
    only: str | None = None


def read(page: Path) -> Iterator[Command | Sql]:
    """What a page says to do, in order; ``only`` is the baseline that it says it of."""
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 2
        if block["kind"] == "sql":
            yield Sql(block["body"], line, block["only"])
        elif block["kind"] == "console":
            yield from _commands(block["body"], line, block["only"])


def _commands(body: str, first: int, only: str | None) -> Iterator[Command]:
    lines = body.splitlines()
    position = 0
    while position < len(lines):
        line = first + position
        assert lines[position].startswith("$ "), f"line {line}: a console block begins with a command"
        text = lines[position].removeprefix("$ ")
        while text.endswith("\\"):
            position += 1
            text += "\n" + lines[position]
        position += 1
        prints: list[str] = []
        while position < len(lines) and not lines[position].startswith("$ "):
            prints.append(lines[position])
            position += 1
        exits = _EXITS.fullmatch(prints[0]) if prints else None
        yield Command(text, tuple(prints[1:] if exits else prints), int(exits[1]) if exits else 0, line, only)


PROGRAM = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m callctl "$@"\n'


def carry_out(page: Path, directory: Path, *, started: str | None = None, program: str = PROGRAM) -> None:
    """Run a page in ``directory``; ``started`` says with what a sandbox is started before it begins.

    ``program`` is the text of what ``callctl`` is in the page's shell. Raises AssertionError naming the line where the
    page is wrong.
    """
    shell = _Shell(directory, program)
    other: psycopg.Connection[Any] | None = None
    try:
        if started is not None:
            shell.run(f"callctl sandbox start {started}")
            shell.run('export CALLCTL_DATABASE_URL="$(callctl sandbox url)"')
        for part in read(page):
            if part.only is not None and part.only not in (started or "").split():
                continue
            if isinstance(part, Sql):
                if other is None:
                    url = shell.run("callctl sandbox url")[1].strip()
                    other = psycopg.connect(url, autocommit=True)
                other.execute(part.text.encode())
                continue
            code, output = shell.run(part.text)
            place = f"{page.name}:{part.line}: {part.text}"
            assert code == part.exits, f"{place}\nexited with {code}\n{output}"
            problem = difference(part.prints, output)
            assert problem is None, f"{place}\n{problem}\nit printed:\n{output}"
    finally:
        if other is not None:
            other.close()
        shell.run("callctl sandbox stop")
        shell.close()


class _Shell:
    """One bash for a whole page: directories and variables last from command to command."""

    def __init__(self, directory: Path, program: str) -> None:
        programs = directory / "bin"
        programs.mkdir()
        callctl = programs / "callctl"
        callctl.write_text(program)
        callctl.chmod(0o755)
        environment = {
            name: value
            for name, value in os.environ.items()
            if name == "CALLCTL_PG_BIN" or not name.startswith(("CALLCTL_", "PG", "DATABASE_URL"))
        }
        environment |= {
            # psql belongs to the sandbox's own PostgreSQL.
            "PATH": os.pathsep.join((str(programs), str(find_binaries().bin), environment["PATH"])),
            "CALLCTL_SANDBOX_DIR": str(directory / "sandbox"),
            "NO_COLOR": "1",
        }
        work = directory / "work"
        work.mkdir()
        (work / "sql").symlink_to(sql_root())  # as in a checkout
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=work,
            env=environment,
        )

    def run(self, command: str) -> tuple[int, str]:
        """The exit code of a command and what it printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n<exit %s>\\n' $?\n")
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if ended := re.fullmatch(r"<exit (\d+)>\n", line):
                return int(ended[1]), "".join(lines).rstrip("\n")
            lines.append(line)
        raise AssertionError(f"the shell ended in: {command}")

    def close(self) -> None:
        self._process.communicate()


def difference(documented: tuple[str, ...], printed: str) -> str | None:
    """Where what was printed is not what the page says; None where it is."""
    if not documented:
        return None
    wanted = [_settled(line) for line in documented if line.strip()]
    printed_lines = [_settled(line) for line in printed.splitlines() if line.strip()]
    if _matches(wanted, printed_lines):
        return None
    missing = [line for line in wanted if line != ANYTHING and line not in printed_lines]
    return "not printed: " + repr(missing[0]) if missing else "printed in another order, or more than that"


def _matches(wanted: list[str], printed_lines: list[str]) -> bool:
    if not wanted:
        return not printed_lines
    if wanted[0] == ANYTHING:
        return any(_matches(wanted[1:], printed_lines[skipped:]) for skipped in range(len(printed_lines) + 1))
    return bool(printed_lines) and wanted[0] == printed_lines[0] and _matches(wanted[1:], printed_lines[1:])


def _settled(line: str) -> str:
    """A line without what moves."""
    for pattern, stands_for in _MOVING:
        line = pattern.sub(stands_for, line)
    return line.strip()
