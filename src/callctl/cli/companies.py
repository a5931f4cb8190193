"""callctl companies"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from callctl.cli import common
from callctl.cli.common import LockTimeout, LockWait, StatementTimeout, Wait, Wide, Yes
from callctl.errors import Code, UsageError

EPILOG = """
A chatbot takes calls if it is enabled for calls and its company is switched on. Companies are off by default
(features.callEnabled in their settings).

\b
A pilot:
  callctl companies list
  callctl companies enable acme globex
  callctl companies list --enabled
"""
WRITE_EPILOG = """
All companies change, or none does: if one is unknown, deleted, or has settings that cannot take the flag,
callctl changes nothing (exit code 3). The other settings stay as they are. callctl.action records the old and
the new value.

\b
Examples:
  callctl companies {command} acme 1b4d2d86-df3f-6aa8-b16f-21b431107028
  callctl companies {command} --file pilots.txt --dry-run
"""

app = typer.Typer(
    help="Switch calls on or off for companies.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)

Named: TypeAlias = Annotated[
    list[str] | None, typer.Argument(metavar="COMPANY", help="Company id or slug.", show_default=False)
]
NamesFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--file", metavar="FILE", help="File with one id or slug per line, or - for stdin; # starts a comment."
    ),
]
WithoutFlag: TypeAlias = Annotated[
    bool,
    typer.Option("--without-flag", help="All companies without a flag, deleted ones too: they are off, and get false."),
]
LookOnly: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Show which companies would change; change nothing.")
]


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="companies")


@app.command("list")
def list_(
    context: typer.Context,
    enabled: Annotated[bool, typer.Option("--enabled", help="Only companies with calls switched on.")] = False,
    wide: Wide = False,
    statement_timeout: StatementTimeout = None,
) -> None:
    """List companies, whether calls are on, and their chatbots that take calls. Changes nothing."""
    common.answering()
    settings = common.settings(context, statement_timeout=statement_timeout)
    from callctl.render import tenants as render_tenants
    from callctl.tenants import companies

    with common.connected(settings) as connection:
        listed = companies.companies(connection, settings)
    render_tenants.companies_listed(listed, settings.output, only_enabled=enabled, wide=wide)


@app.command(epilog=WRITE_EPILOG.format(command="enable"))
def enable(
    context: typer.Context,
    company: Named = None,
    file: NamesFile = None,
    dry_run: LookOnly = False,
    wait: Wait = False,
    yes: Yes = False,
    lock_timeout: LockTimeout = None,
    lock_wait: LockWait = None,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Switch calls on for companies."""
    options = {"lock_timeout": lock_timeout, "lock_wait": lock_wait, "statement_timeout": statement_timeout}
    _switch(context, company, file, options, enable=True, dry_run=dry_run, wait=wait, yes=yes)


@app.command(epilog=WRITE_EPILOG.format(command="disable"))
def disable(
    context: typer.Context,
    company: Named = None,
    file: NamesFile = None,
    without_flag: WithoutFlag = False,
    dry_run: LookOnly = False,
    wait: Wait = False,
    yes: Yes = False,
    lock_timeout: LockTimeout = None,
    lock_wait: LockWait = None,
    statement_timeout: StatementTimeout = None,
) -> None:
    """Switch calls off for companies."""
    options = {"lock_timeout": lock_timeout, "lock_wait": lock_wait, "statement_timeout": statement_timeout}
    _switch(
        context,
        company,
        file,
        options,
        enable=False,
        without_flag=without_flag,
        dry_run=dry_run,
        wait=wait,
        yes=yes,
    )


def _switch(
    context: typer.Context,
    given: list[str] | None,
    file: str | None,
    options: dict[str, str | None],
    *,
    enable: bool,
    dry_run: bool,
    wait: bool,
    yes: bool,
    without_flag: bool = False,
) -> None:
    settings = common.settings(context, **options)
    from callctl.render import progress as render_progress
    from callctl.render import tenants as render_tenants
    from callctl.tenants import companies

    names = [name.strip() for name in given or () if name.strip()]
    if file is not None:
        names += common.lines_of(file)
    if without_flag and (given or file is not None):
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            "--without-flag takes no names: it selects every company without a flag",
            hint="name companies, or give --without-flag",
        )
    if not names and not without_flag:
        raise UsageError(
            Code.OPTION_MISSING,
            "no company given" + (f": {file} has no line with an id or a slug" if file else ""),
            hint="give ids or slugs, or a file of them with --file; callctl companies list shows them",
        )
    if dry_run:
        common.answering()
    with common.connected(settings, writes=not dry_run) as connection:
        chosen = companies.choose(connection, settings, names, enable=enable, without_flag=without_flag)
        if dry_run or not chosen.changing:
            render_tenants.switched(chosen, settings.output, dry_run=dry_run, target=common.target())
            return
        if common.asks(connection, yes=yes):
            render_tenants.switch_preview(chosen)
        common.confirm(connection, settings, render_tenants.switch_question(chosen), yes=yes)
    with render_progress.until_answered(settings.output) as on_event:
        result = companies.switch(
            settings, names, enable=enable, without_flag=without_flag, wait=wait, on_event=on_event
        )
    render_tenants.switched(result, settings.output, target=common.target())
