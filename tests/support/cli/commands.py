"""The commands of callctl by their words, and which of them change a database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from callctl.cli import app

# Of those that connect. Every other one has to say that it does nothing but answer: tests/cli/test_target.py.
WRITERS = frozenset({
    "migrate up", "migrate down", "migrate adopt", "companies enable", "companies disable", "settings init",
    "seed-models", "rotate-secrets", "webhooks rotate", "webhooks restore", "keys retire", "loadtest", "backup",
    "restore", "purge", "migrate pause", "migrate resume", "migrate slower", "migrate faster",
})  # fmt: skip


def commands() -> frozenset[str]:
    """Every command that ``callctl --help`` leads to; no groups."""

    def below(command: Any, path: tuple[str, ...]) -> Iterator[str]:
        children = getattr(command, "commands", None)
        if children is None:
            yield " ".join(path)
            return
        for name, child in children.items():
            yield from below(child, (*path, name))

    return frozenset(below(get_command(app), ()))
