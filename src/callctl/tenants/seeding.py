"""seed-models: the models of a catalogue into the database, and on request the development accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from callctl.database import connection as database
from callctl.database import store
from callctl.database.actions import record_action
from callctl.database.guarded import Failing, in_transaction
from callctl.database.lock import at_work
from callctl.errors import Refused
from callctl.events import OnEvent, ignore
from callctl.migration.steps import withheld
from callctl.migration.steps.catalogue import STEP, Model, contradictions
from callctl.migration.steps.standing import status
from callctl.secrets.envelope import key_ledger
from callctl.secrets.envelope.ring import load_key_ring
from callctl.tenants import dev_accounts, seed_rows

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.secrets.envelope.ring import KeyRing
    from callctl.statements.naming import Naming
    from callctl.tenants.dev_accounts import Account, Encrypted
    from callctl.tenants.seed_rows import Seed

COMMAND = "seed-models"


@dataclass(frozen=True)
class SeedOptions:
    """What is to be seeded. ``catalogue`` names it in messages and in the audit trail.

    ``development_database`` is the name that somebody typed; a sandbox does not ask for it.
    """

    catalogue: str
    models: tuple[Model, ...]
    overwrite: bool = False
    dev_accounts: bool = False
    development_database: str | None = None


@dataclass(frozen=True)
class Seeded:
    """What a run has written, or would; ``accounts`` is None where nobody asked for them.

    ``withheld`` are the models that wait for step 6, whichever catalogue they came from.
    """

    catalogue: str
    models: tuple[Seed, ...]
    accounts: tuple[Account, ...] | None
    warnings: tuple[str, ...]
    withheld: tuple[withheld.Withheld, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether there is anything to write."""
        models = any(each.outcome in ("insert", "update") for each in self.models)
        return models or any(each.outcome == "insert" for each in self.accounts or ())


def look(connection: Connection, settings: Settings, options: SeedOptions) -> Seeded:
    """What :func:`seed` would write. Changes nothing, and does not ask whether the database is there to develop on.

    Raises Refused where step 13 is not applied, and as :func:`seed` where the table does not fit the catalogue.
    """
    with database.read_only(connection):
        return _found(connection, _naming(connection, settings), options)


def seed(settings: Settings, options: SeedOptions, *, wait: bool = False, on_event: OnEvent = ignore) -> Seeded:
    """Insert the models that are missing, and bring up to date what callctl wrote and nobody has changed since.

    One transaction, with its row in the audit trail; none where there is nothing to write. Raises Refused, naming model
    and field, where the table would round a price, lacks a value or has a key twice; ConfigError where development
    accounts need keys that are not there; LockHeld; StepFailed. Nothing is written then.
    """
    ring = load_key_ring(settings) if options.dev_accounts else None
    with at_work(settings, command="seed-models", wait=wait, on_event=on_event) as (connection, _):
        if options.dev_accounts:
            dev_accounts.assert_development(connection, settings, options.development_database)
        naming = _naming(connection, settings)
        with database.read_only(connection):
            found = _found(connection, naming, options)
        if not found.writes:
            return found
        failing = Failing(COMMAND, lambda: "nothing was written", quoted=not options.dev_accounts)
        encrypted: Mapping[str, Encrypted] = {}
        if ring is not None and any(account.outcome == "insert" for account in found.accounts or ()):
            encrypted = _encrypted(connection, settings, naming, ring, failing, on_event)
        write = partial(_write, connection, settings, naming, options, encrypted)
        return in_transaction(connection, settings, write, failing=failing, on_event=on_event)


def _naming(connection: Connection, settings: Settings) -> Naming:
    """What this database calls things, if its models can be seeded."""
    found = status(connection, settings)
    if STEP not in found.applied or STEP in found.half_done:
        raise Refused(
            f"step {STEP} is not applied: the columns that a catalogue needs may not be there; nothing was written",
            hint="run callctl migrate up first (callctl migrate status shows where it stands)",
        )
    return found.naming


def _found(connection: Connection, naming: Naming, options: SeedOptions) -> Seeded:
    seeds = seed_rows.look(connection, naming, options.models, options.catalogue, overwrite=options.overwrite)
    accounts = dev_accounts.look(connection, naming) if options.dev_accounts else None
    return Seeded(
        options.catalogue, seeds, accounts, contradictions(options.models), withheld.models(connection, naming)
    )


def _encrypted(
    connection: Connection, settings: Settings, naming: Naming, ring: KeyRing, failing: Failing, on_event: OnEvent
) -> Mapping[str, Encrypted]:
    """The secrets of the development accounts, under a key that this database then knows."""

    import psycopg

    def record_keys() -> None:
        store.create(connection, settings.schema)
        key_ledger.record(connection, ring)

    in_transaction(connection, settings, record_keys, failing=failing, on_event=on_event)
    try:
        return dev_accounts.encrypt(connection, settings, naming, ring, on_event)
    except psycopg.Error as error:
        raise failing.error(error, connection) from error


def _write(
    connection: Connection, settings: Settings, naming: Naming, options: SeedOptions, encrypted: Mapping[str, Encrypted]
) -> Seeded:
    store.create(connection, settings.schema)
    seed_rows.lock(connection, naming)
    found = _found(connection, naming, options)  # again: the application may have written meanwhile
    seeds = seed_rows.write(connection, naming, found.models, options.catalogue)
    accounts = found.accounts
    if accounts is not None:
        accounts = dev_accounts.write(connection, naming, accounts, encrypted)
    done = replace(found, models=seeds, accounts=accounts, withheld=withheld.models(connection, naming))
    if done.writes:
        record_action(connection, COMMAND, _detail(done, options))
    return done


def _detail(done: Seeded, options: SeedOptions) -> Mapping[str, Any]:
    """What was written, for the audit trail: values of the catalogue, and those that they took the place of."""
    updated = {
        each.model.key: {
            difference.field: {"before": difference.here, "after": difference.catalogue}
            for difference in each.differences
            if difference.written
        }
        for each in done.models
        if each.outcome == "update"
    }
    return {
        "catalogue": options.catalogue,
        "overwrite": options.overwrite,
        "inserted": {each.model.key: each.id for each in done.models if each.outcome == "insert"},
        "updated": updated,
        "accounts": {each.name: each.id for each in done.accounts or () if each.outcome == "insert"},
    }
