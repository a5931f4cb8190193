"""Draws --help: options and commands in groups, in the order in which a reader looks for them.

It is click's own text, and not typer's with rich: importing what that needs takes longer than all the rest of --help.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

HELP_NAMES = ["-h", "--help"]
# The commands in the groups in which a reader looks for one.
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "Migrate": ("preflight", "migrate", "verify", "diff", "backup", "restore", "purge", "code-refs"),
    "Secrets": ("rotate-secrets", "webhooks", "keys", "accounts"),
    "Operate": ("seed-models", "companies", "settings", "loadtest", "log", "doctor", "config", "explain"),
    "Try it": ("demo", "sandbox"),
}
# An option of the same name belongs to the same group in every command; those named in none say what to do.
WHAT_TO_DO = "What to do"
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "Which database": ("--config", "--database", "--environment", "--schema"),
    WHAT_TO_DO: (),
    "How carefully": (
        "--backup-taken-at",
        "--batch-size",
        "--batch-time",
        "--batch-workers",
        "--brake-command",
        "--confirm",
        "--confirm-database",
        "--dry-run",
        "--lock-hold",
        "--lock-timeout",
        "--lock-wait",
        "--maintenance-notified",
        "--max-replication-lag",
        "--max-waiting-clients",
        "--pause-file",
        "--statement-timeout",
        "--wait",
        "--workers",
        "--yes",
    ),
    "Output": (
        "everything",  # --all, where it says how much is shown
        "--github",
        "--help",
        "--junit",
        "--names",
        "--output",
        "--overwrite",
        "--report",
        "--version",
        "--wide",
    ),
}


def arrange(command: Any) -> Any:
    """``command``, and those below it, with options and commands in groups."""
    command.format_options = partial(_write_groups, command)
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            # FILE, and not typer's {FILE}.
            parameter.get_usage_pieces = partial(_usage, parameter.get_usage_pieces)
        else:
            parameter._get_number_range_help_str = lambda: None  # the words say it
    for below in getattr(command, "commands", {}).values():
        arrange(below)
    return command


def _write_groups(command: Any, context: Any, formatter: Any) -> None:
    sections: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Arguments", *OPTIONS, *COMMANDS, "Commands")}
    for parameter in command.get_params(context):
        if parameter.param_type_name == "argument":
            sections["Arguments"].append((" ".join(parameter.get_usage_pieces(context)), parameter.help or ""))
        elif (record := parameter.get_help_record(context)) is not None:
            sections[_group(OPTIONS, [*parameter.opts, parameter.name], WHAT_TO_DO)].append(record)
    commands = getattr(command, "commands", {})
    at_the_top = context.parent is None
    for name in sorted(commands, key=_ORDER.index) if at_the_top else commands:
        title = _group(COMMANDS, [name], "Commands") if at_the_top else "Commands"
        # The first sentence; the help of the command has the rest.
        sections[title].append((name, commands[name].get_short_help_str(limit=1000)))
    for title, records in sections.items():
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


_ORDER = [name for names in COMMANDS.values() for name in names]


def _usage(pieces: Callable[[Any], list[str]], context: Any) -> list[str]:
    return [piece.replace("{", "").replace("}", "") for piece in pieces(context)]


def _group(groups: Mapping[str, tuple[str, ...]], names: Sequence[str], otherwise: str) -> str:
    return next((title for title, members in groups.items() if set(members).intersection(names)), otherwise)
