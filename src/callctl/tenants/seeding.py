"""seed-models: the models of a catalog into the database, and on request the development accounts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from callctl.database import connection as database
from callctl.database import store
from callctl.database.actions import record_action
from callctl.database.guarded import Failing, in_transaction
from callctl.database.lock import at_work
from callctl.errors import Code, Refused, State
from callctl.events import OnEvent, ignore
from callctl.files import read_sql
from callctl.migration.steps import call_models
from callctl.migration.steps.call_models import (
    COLUMNS,
    OWN,
    STAMPS,
    STEP,
    TABLE,
    Model,
    Value,
    as_sent,
    as_text,
    contradictions,
    in_catalogue,
    load_catalogue,
    misfits,
    raise_misfits,
    read_columns,
    says,
    stored,
    unfilled,
)
from callctl.migration.steps.numbered import status
from callctl.secrets.envelope import key_ledger
from callctl.secrets.envelope.ring import load_key_ring
from callctl.tenants import accounts as tenants_accounts

if TYPE_CHECKING:
    from psycopg import sql

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.secrets.envelope.ring import KeyRing
    from callctl.statements.naming import Naming
    from callctl.tenants.accounts import DevelopmentAccount, Encrypted

# The rows of a catalog: what is stored, what of it differs, and writing what the catalog decides.
#
# A field that only callctl has written follows the catalog. A field that an administrator has
# written is an administrator's: it is kept and shown, unless the run overwrites.

_LOOK = "check the triggers, the rules and the column types of ai_models"
Outcome: TypeAlias = Literal["insert", "update", "unchanged", "kept", "deleted"]


@dataclass(frozen=True)
class Difference:
    """One field that the database has otherwise than the catalog, both in the catalog's unit.

    ``written``: it gets the catalog's value; otherwise it is an administrator's, and kept.
    """

    field: str
    here: str | None
    catalogue: str
    written: bool


@dataclass(frozen=True)
class Seed:
    """One model of the catalog, and what it needs.

    ``insert`` and ``update`` write; an update may keep differences, too. ``kept`` has nothing but such. ``deleted`` is
    soft-deleted, and left alone. ``id`` is None for one that is not there yet.
    """

    model: Model
    id: str | None
    outcome: Outcome
    differences: tuple[Difference, ...] = ()


class _Row(NamedTuple):
    """A row under one of the catalog's keys; ``values`` by field, as the columns give them as text."""

    id: str
    live: bool
    is_made: bool
    values: Mapping[str, str | None]


def look_at_rows(
    connection: Connection, naming: Naming, models: Sequence[Model], catalogue: str, *, overwrite: bool
) -> tuple[Seed, ...]:
    """Return the action for each model of the catalog, in its order. Reads only.

    Raises Refused, naming model and field, if the table would not keep what the catalog says, if a new row would
    lack something, and if two rows have the same key.
    """
    table = naming.tables[TABLE]
    columns = read_columns(connection, naming)
    problems = misfits(models, columns, table)
    if problems:  # a column that is not there could not be read either
        raise_misfits(problems, catalogue)
    rows = _rows(connection, naming, models)
    written = _written(connection, rows)
    seeds = tuple(_seed(model, rows.get(model.key), written, naming, overwrite) for model in models)
    raise_misfits(unfilled([seed.model for seed in seeds if seed.outcome == "insert"], columns, table), catalogue)
    return seeds


def _seed(
    model: Model, row: _Row | None, written: Mapping[str, Mapping[str, Value]], naming: Naming, overwrite: bool
) -> Seed:
    if row is None:
        return Seed(model, None, "insert")
    if not row.live:
        return Seed(model, row.id, "deleted")
    table = naming.tables[TABLE]
    differences = []
    for field, value in model.fields().items():
        here = row.values[field]
        if says(here, stored(field, value, table).value):
            continue
        before = written[row.id].get(field)
        untouched = before is not None and says(here, stored(field, before, table).value)
        shown = in_catalogue(field, here, table)
        differences.append(Difference(field, shown, as_text(value), untouched or overwrite))
    outcome: Outcome = "unchanged"
    if differences:
        outcome = "update" if any(difference.written for difference in differences) else "kept"
    return Seed(model, row.id, outcome, tuple(differences))


def _rows(connection: Connection, naming: Naming, models: Sequence[Model]) -> dict[str, _Row]:
    """The row of each key that has one: the live one, else one that is soft-deleted."""
    from psycopg import sql

    table = naming.tables[TABLE]
    soft = table.soft_delete
    live = sql.SQL("t.{} IS NULL").format(sql.Identifier(soft)) if soft else sql.SQL("true")
    fields = [field for field in COLUMNS if any(getattr(model, field) is not None for model in models)]
    columns = [sql.SQL("t.{}::text").format(_column(naming, field)) for field in fields]
    query = _composed("tenants/seed/found.sql", naming, key=_column(naming, "key"), live=live, columns=_listed(columns))
    rows_by_key: dict[str, _Row] = {}
    twice: dict[str, list[str]] = {}
    for id, key, is_live, is_made, *values in connection.execute(query, {"keys": [model.key for model in models]}):
        row = _Row(id, is_live, is_made, dict(zip(fields, values, strict=True)))
        other = rows_by_key.get(key)
        if other is not None and other.live and row.live:
            twice.setdefault(key, [other.id]).append(row.id)
        if other is None or row.live:
            rows_by_key[key] = row
    if twice:
        listed = "; ".join(
            f"model {key}: {len(ids)} rows have this key ({', '.join(ids)})" for key, ids in twice.items()
        )
        raise Refused(
            Code.MODEL_DUPLICATE,
            f"{listed}; nothing was written",
            hint="delete the duplicate models, or give each model a different key",
        )
    return rows_by_key


def _written(connection: Connection, rows: Mapping[str, _Row]) -> dict[str, dict[str, Value]]:
    """Return the values that callctl last wrote into each row, by id and field.

    Step 13 writes its rows from callctl's own catalog, and keeps no record of it.
    """
    own = {model.key: model.fields() for model in load_catalogue(name=OWN)}
    written_values = {row.id: dict(own.get(key, {})) if row.is_made else {} for key, row in rows.items()}
    if database.relation_exists(connection, "callctl", "seeded_model"):  # an older callctl's schema has no such table
        recorded = connection.execute(read_sql("tenants/seed/written.sql"), {"ids": list(written_values)})
        for id, contents in recorded.fetchall():
            written_values[id].update(
                {field: _read(field, value) for field, value in contents.items() if field in COLUMNS}
            )
    return written_values


def _read(field: str, value: Any) -> Value:
    """A value of the record: prices are there as text, so that they are exact."""
    read: Value = Decimal(value) if "_price_" in field else value
    return read


# ---- writing -------------------------------------------------------------------------------------------


def lock_models(connection: Connection, naming: Naming) -> None:
    """Hold off other writers of models until the end of the transaction."""
    connection.execute(_composed("tenants/seed/lock.sql", naming))


def write_rows(connection: Connection, naming: Naming, seeds: Sequence[Seed], catalogue: str) -> tuple[Seed, ...]:
    """Write what :func:`look` said, in the caller's transaction, and read it again. Returns the seeds with their ids.

    While chatbots has its type column, a model for calls waits for step 6. Raises Refused if a row does not say
    afterwards what was written: then the caller's transaction must not commit.
    """
    waits = call_models.waits(connection, naming)
    waiting = set(call_models.bring_back(connection, naming))
    inactive = call_models.as_left(
        connection, naming, [seed.id for seed in seeds if seed.id and seed.outcome == "update"]
    )
    columns = read_columns(connection, naming)
    stamps = [name for name in STAMPS if name in columns]
    written_seeds = []
    for seed in seeds:
        if seed.outcome == "insert":
            fields = list(seed.model.fields())
            seed = replace(seed, id=_insert(connection, naming, seed.model, stamps))
            if seed.id and seed.model.type != "chat" and waits:
                waiting.add(seed.id)
        elif seed.outcome == "update":
            fields = [difference.field for difference in seed.differences if difference.written]
            _update(connection, naming, seed, fields, stamps)
        else:
            fields = []
        if fields:
            contents = {field: _recorded(getattr(seed.model, field)) for field in fields}
            values = {"id": seed.id, "contents": json.dumps(contents, ensure_ascii=False)}
            connection.execute(read_sql("tenants/seed/remember.sql"), values)
        written_seeds.append(seed)
    database.fire_deferred(connection)
    _assert_written(connection, naming, written_seeds, catalogue)
    call_models.left_as_stored(connection, naming, inactive)
    call_models.withhold(connection, naming, sorted(waiting))
    return tuple(written_seeds)


def _insert(connection: Connection, naming: Naming, model: Model, stamps: Sequence[str]) -> str:
    from psycopg import sql

    fields = model.fields()
    columns = [*(_column(naming, field) for field in fields), *map(sql.Identifier, stamps)]
    values = [*map(sql.Placeholder, fields), *(sql.SQL("NOW()") for _ in stamps)]
    query = _composed("tenants/seed/insert.sql", naming, columns=_listed(columns), values=_listed(values))
    id = database.value(connection, query, _parameters(naming, fields))
    if id is None:
        raise Refused(
            Code.NOT_STORED,
            f"model {model.key}: a trigger or a rule of the table refused the row; nothing was written",
            hint=_LOOK,
        )
    return str(id)


def _update(connection: Connection, naming: Naming, seed: Seed, fields: Sequence[str], stamps: Sequence[str]) -> None:
    from psycopg import sql

    changes = [sql.SQL("{} = {}").format(_column(naming, field), sql.Placeholder(field)) for field in fields]
    changes += [sql.SQL("{} = NOW()").format(sql.Identifier(name)) for name in stamps if name == "updated_at"]
    query = _composed("tenants/seed/update.sql", naming, changes=_listed(changes))
    values = {field: getattr(seed.model, field) for field in fields}
    connection.execute(query, {**_parameters(naming, values), "id": seed.id})


def _assert_written(connection: Connection, naming: Naming, seeds: Sequence[Seed], catalogue: str) -> None:
    """A trigger, a rule or a type that callctl does not know may have made something else of it."""
    models = [seed.model for seed in seeds if seed.outcome in ("insert", "update")]
    wrong = []
    kept = {
        seed.model.key: {difference.field for difference in seed.differences if not difference.written}
        for seed in seeds
    }
    for again in look_at_rows(connection, naming, models, catalogue, overwrite=False) if models else ():
        if again.id is None:
            wrong.append(f"model {again.model.key} was written, but the table does not have it")
        wrong += [
            f"model {again.model.key}: {difference.field}: the table stored {difference.here} instead of"
            f" {difference.catalogue}"
            for difference in again.differences
            if difference.field not in kept[again.model.key]
        ]
    if wrong:
        raise Refused(Code.NOT_STORED, f"{'; '.join(wrong)}; nothing was written", hint=_LOOK)


def _parameters(naming: Naming, fields: Mapping[str, Value]) -> dict[str, str]:
    """Values as text: the server knows what type each column has."""
    table = naming.tables[TABLE]
    return {field: as_sent(stored(field, value, table).value) for field, value in fields.items()}


def _recorded(value: Value) -> object:
    return as_text(value) if isinstance(value, Decimal) else value


def _column(naming: Naming, field: str) -> sql.Identifier:
    from psycopg import sql

    return sql.Identifier(naming.tables[TABLE].columns.get(COLUMNS[field], COLUMNS[field]))


def _listed(parts: Sequence[Any]) -> sql.Composed:
    from psycopg import sql

    listed: sql.Composed = sql.SQL(", ").join(parts)
    return listed


def _composed(file: str, naming: Naming, **parts: Any) -> sql.Composed:
    from psycopg import sql

    text = sql.SQL(read_sql(file))
    composed: sql.Composed = text.format(models=sql.Identifier(naming.schema, TABLE), **parts)
    return composed


# seed-models: the models of a catalog into the database, and on request the development accounts.

COMMAND = "seed-models"


@dataclass(frozen=True)
class SeedOptions:
    """The options of a seeding. ``catalogue`` names it in messages and in the audit trail.

    ``development_database`` is the typed name; a sandbox does not ask for it.
    """

    catalogue: str
    models: tuple[Model, ...]
    overwrite: bool = False
    dev_accounts: bool = False
    development_database: str | None = None


@dataclass(frozen=True)
class Seeded:
    """The result or the plan of a run; ``accounts`` is None if they were not requested.

    ``withheld`` are the models that wait for step 6, whichever catalog they came from.
    """

    catalogue: str
    models: tuple[Seed, ...]
    accounts: tuple[DevelopmentAccount, ...] | None
    warnings: tuple[str, ...]
    withheld: tuple[call_models.Withheld, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether there is anything to write."""
        models = any(model.outcome in ("insert", "update") for model in self.models)
        return models or any(account.outcome == "insert" for account in self.accounts or ())


def look(connection: Connection, settings: Settings, options: SeedOptions) -> Seeded:
    """Return the plan of :func:`seed`. Changes nothing, and does not ask whether the database is there to develop on.

    Raises Refused if step 13 is not applied, and as :func:`seed` if the table does not fit the catalog.
    """
    with database.read_only(connection):
        return _found(connection, _naming(connection, settings), options)


def seed(settings: Settings, options: SeedOptions, *, wait: bool = False, on_event: OnEvent = ignore) -> Seeded:
    """Insert the models that are missing, and update the fields that only callctl has written.

    One transaction, with its row in the audit trail; none where there is nothing to write. Raises Refused, naming model
    and field, if the table would round a price, lacks a value or has a key twice; ConfigError if development
    accounts need keys that are not there; LockHeld; StepFailed. Nothing is written then.
    """
    ring = load_key_ring(settings) if options.dev_accounts else None
    with at_work(settings, command="seed-models", wait=wait, on_event=on_event) as (connection, _):
        if options.dev_accounts:
            tenants_accounts.assert_development(connection, settings, options.development_database)
        naming = _naming(connection, settings)
        with database.read_only(connection):
            seed_plan = _found(connection, naming, options)
        if not seed_plan.writes:
            return seed_plan
        failing = Failing(COMMAND, lambda: State("unchanged", "nothing was written"), quoted=not options.dev_accounts)
        encrypted: Mapping[str, Encrypted] = {}
        if ring is not None and any(account.outcome == "insert" for account in seed_plan.accounts or ()):
            encrypted = _encrypted(connection, settings, naming, ring, failing, on_event)
        write = partial(_write, connection, settings, naming, options, encrypted)
        return in_transaction(connection, settings, write, failing=failing, on_event=on_event)


def _naming(connection: Connection, settings: Settings) -> Naming:
    """Return the names of this database, if its models can be seeded."""
    migration_status = status(connection, settings)
    if STEP not in migration_status.applied or STEP in migration_status.half_done:
        raise Refused(
            Code.STEP_NOT_APPLIED,
            f"step {STEP} is not applied: the columns that a catalog needs may be missing; nothing was written",
            hint="run callctl migrate up first; callctl migrate status shows the state of each step",
        )
    return migration_status.naming


def _found(connection: Connection, naming: Naming, options: SeedOptions) -> Seeded:
    seeds = look_at_rows(connection, naming, options.models, options.catalogue, overwrite=options.overwrite)
    accounts = tenants_accounts.look_at_development(connection, naming) if options.dev_accounts else None
    return Seeded(
        options.catalogue, seeds, accounts, contradictions(options.models), call_models.models(connection, naming)
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
        return tenants_accounts.encrypt(connection, settings, naming, ring, on_event)
    except psycopg.Error as error:
        raise failing.error(error, connection) from error


def _write(
    connection: Connection, settings: Settings, naming: Naming, options: SeedOptions, encrypted: Mapping[str, Encrypted]
) -> Seeded:
    store.create(connection, settings.schema)
    lock_models(connection, naming)
    seed_plan = _found(connection, naming, options)  # again: the application may have written meanwhile
    seeds = write_rows(connection, naming, seed_plan.models, options.catalogue)
    accounts = seed_plan.accounts
    if accounts is not None:
        accounts = tenants_accounts.write_development(connection, naming, accounts, encrypted)
    seeded = replace(seed_plan, models=seeds, accounts=accounts, withheld=call_models.models(connection, naming))
    if seeded.writes:
        record_action(connection, COMMAND, _detail(seeded, options))
    return seeded


def _detail(seeded: Seeded, options: SeedOptions) -> Mapping[str, Any]:
    """Return the written values and the values that they replaced, for the audit trail."""
    updated = {
        model_seed.model.key: {
            difference.field: {"before": difference.here, "after": difference.catalogue}
            for difference in model_seed.differences
            if difference.written
        }
        for model_seed in seeded.models
        if model_seed.outcome == "update"
    }
    return {
        "catalogue": options.catalogue,
        "overwrite": options.overwrite,
        "inserted": {
            model_seed.model.key: model_seed.id for model_seed in seeded.models if model_seed.outcome == "insert"
        },
        "updated": updated,
        "accounts": {account.name: account.id for account in seeded.accounts or () if account.outcome == "insert"},
    }
