"""callctl seed-models"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from callctl.cli import common
from callctl.cli.common import LockTimeout, LockWait, Wait, Yes
from callctl.errors import Code, UsageError

if TYPE_CHECKING:
    from callctl.cli.common import Connection
    from callctl.config.settings import Settings
    from callctl.migration.steps.call_models import Model
    from callctl.tenants.seeding import Seeded

EPILOG = """
The catalog is YAML: prices in US dollars per million tokens and per audio second, as decimals in quotes.
callctl writes them to the columns that the table has, exactly or not at all. Rows that only callctl wrote
follow the catalog; values that an administrator changed are kept and shown, unless you pass --overwrite. A
second run writes nothing.

\b
Examples:
  callctl seed-models --dry-run                  callctl's three call models
  callctl seed-models --catalog our-models.yaml  your own catalog
  callctl seed-models --examples                 the specification's examples
  callctl seed-models --dev-accounts

Development accounts go only into a sandbox, or into a database with `environment: development` in callctl.yaml
whose name you type. callctl encrypts their secrets under the primary key of callctl.yaml.
"""


def register(app: typer.Typer) -> None:
    app.command("seed-models", epilog=EPILOG)(seed_models)


def seed_models(
    context: typer.Context,
    catalog: Annotated[
        str | None, typer.Option(metavar="FILE", help="Catalog to use [default: callctl's own].")
    ] = None,
    examples: Annotated[
        bool, typer.Option("--examples", help="Use the catalog of the specification's examples.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written and what differs; write nothing.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace values that differ from the catalog.")
    ] = False,
    dev_accounts: Annotated[
        bool, typer.Option("--dev-accounts", help="Also insert the two integration accounts for development.")
    ] = False,
    development_database: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --dev-accounts: the database's name, if there is no terminal."),
    ] = None,
    wait: Wait = False,
    yes: Yes = False,
    lock_timeout: LockTimeout = None,
    lock_wait: LockWait = None,
) -> None:
    """Insert and update the AI models of a catalog."""
    if catalog is not None and examples:
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            "--catalog and --examples exclude each other",
            hint="give only one of the two options",
        )
    if development_database is not None and not dev_accounts:
        raise UsageError(
            Code.OPTION_MISSING,
            "--development-database needs --dev-accounts",
            hint="add --dev-accounts, or remove --development-database",
        )
    settings = common.settings(context, lock_timeout=lock_timeout, lock_wait=lock_wait)
    from callctl.render import console as render
    from callctl.render import progress as render_progress
    from callctl.render import tenants as render_tenants
    from callctl.tenants import seeding

    name, models = _catalogue(catalog, examples)
    options = seeding.SeedOptions(name, models, overwrite, dev_accounts, development_database)
    if dry_run:
        common.answering()
    with common.connected(settings, writes=not dry_run) as connection:
        if dev_accounts:
            typed = _development(connection, settings, development_database, dry_run=dry_run, yes=yes)
            options = replace(options, development_database=typed)
        seeded = seeding.look(connection, settings, options)
        for text in seeded.warnings:
            render.warning(text)
        # Who has just typed the database's name need not say yes as well.
        if seeded.writes and not dry_run and options.development_database == development_database:
            common.confirm(connection, settings, _question(seeded), yes=yes)
    if seeded.writes and not dry_run:
        with render_progress.until_answered(settings.output) as on_event:
            seeded = seeding.seed(settings, options, wait=wait, on_event=on_event)
    render_tenants.seeded(seeded, settings.output, dry_run=dry_run, target=common.target())


def _catalogue(file: str | None, examples: bool) -> tuple[str, tuple[Model, ...]]:
    from callctl.migration.steps import call_models

    if file is not None:
        return file, call_models.read_catalogue(file)
    name = call_models.EXAMPLES if examples else call_models.OWN
    return name, call_models.load_catalogue(name=name)


def _development(
    connection: Connection, settings: Settings, given: str | None, *, dry_run: bool, yes: bool
) -> str | None:
    """The name of the development database, given or typed; None if none is needed. Raises Refused, ConfigError."""
    from callctl.render import console as render
    from callctl.secrets.envelope.key_ledger import assert_not_retired
    from callctl.secrets.envelope.ring import load_key_ring
    from callctl.tenants import accounts

    needed = accounts.needs_name(connection, settings)
    load_key_ring(settings)  # what is wrong with the keys is said before anybody is asked
    assert_not_retired(connection, settings)
    if not needed or (dry_run and given is None):
        return None
    if given is None and not yes and sys.stdin.isatty() and sys.stderr.isatty():
        given = render.ask_for("Development accounts: type the name of the database that they are to go into:")
    accounts.assert_development(connection, settings, given)
    return given


def _question(seeded: Seeded) -> str:
    from callctl.render.console import counted

    parts = [
        f"{outcome} {counted(number, 'model')}"
        for outcome in ("insert", "update")
        if (number := sum(seed.outcome == outcome for seed in seeded.models))
    ]
    if number := sum(account.outcome == "insert" for account in seeded.accounts or ()):
        parts.append(f"insert {counted(number, 'development account')}")
    text = " and ".join(parts)
    return text[:1].upper() + text[1:]
