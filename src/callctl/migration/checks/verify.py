"""Whether the database is as it should be: the catalog against the contract, and every row against its invariants."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.database import store
from callctl.errors import Refused
from callctl.files import read_sql
from callctl.migration.checks.conformance import conformance, step_conformance, store_conformance
from callctl.migration.checks.declared_secrets import BOUND_CHECKS, CHECKS, SECRET, bound_secrets, declared_secrets
from callctl.migration.checks.results import CheckResult, Report
from callctl.migration.checks.row_checks import Asked, answers, asked, asked_alone
from callctl.migration.steps.numbered import all_steps, applied_steps
from callctl.secrets.envelope import key_ledger
from callctl.secrets.envelope.fields import ACCOUNTS
from callctl.secrets.rows import bound_fields
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming, read_naming
from callctl.statements.script import load_script
from callctl.statements.tokens import with_query

if TYPE_CHECKING:
    from callctl.config.accept import Accepted
    from callctl.config.secrets import KeyConfig
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

__all__ = ["CheckResult", "Report", "examine", "step_checks", "verify"]


def verify(
    connection: Connection,
    settings: Settings,
    *,
    steps: Iterable[int] | None = None,
    fast: bool = False,
) -> Report:
    """Run every check of the applied steps (or of ``steps``) on one snapshot, in a READ ONLY transaction.

    Takes no lock beyond ACCESS SHARE. Each query ends within ``statement_timeout``; a check cut short has not passed.
    ``fast`` leaves the rows out. Where ``settings`` have a key ring, every encrypted secret must name one of its keys;
    of the keys the ids alone are used, none is read. The secret fields that ``settings`` declare are looked at as well.
    Raises Refused where there is nothing to verify: callctl has applied no step here; ConfigError where the primary key
    is retired here.
    """
    import psycopg

    with database.read_only(connection):
        try:
            return examine(connection, settings, steps=steps, fast=fast)
        except psycopg.errors.QueryCanceled as error:
            raise Refused(
                f"the catalog gave no answer in time: {database.error_text(error)}",
                hint="--statement-timeout sets how long one query may take",
            ) from error


def examine(
    connection: Connection,
    settings: Settings,
    *,
    steps: Iterable[int] | None = None,
    fast: bool = False,
) -> Report:
    """What :func:`verify` does, in the caller's transaction, whose settings it changes."""
    import psycopg

    connection.execute(
        read_sql("migration/checks/verify_session.sql"),
        {
            "timeout": f"{settings.statement_timeout_ms}ms",
            "known_keys": "" if settings.keys is None else json.dumps(_known(settings.keys)),
        },
    )
    recognised = store.assert_recognised(connection)
    try:
        with connection.transaction():
            store.assert_owner(connection, settings.schema)
            wanted = tuple(sorted(steps)) if steps is not None else applied_steps(store.history(connection))
            if not wanted:
                raise Refused(
                    "there is nothing to verify: no step is applied here",
                    hint="callctl migrate status shows what is; callctl migrate adopt records a migration done without"
                    " callctl",
                )
            naming = read_naming(connection, settings.schema)
            connection.execute("SELECT kind, relation, name FROM callctl.made LIMIT 0")  # which the contract asks
            bound = bound_fields.bound_fields(connection)
            key_ledger.assert_not_retired(connection, settings)
    except (psycopg.ProgrammingError, psycopg.DataError, Refused):
        # callctl's own schema may not be what callctl reads; where it is not, that is the answer.
        if not recognised:
            raise
        objects, damaged = store_conformance(connection, settings.schema)
        if all(check.passed for check in damaged):
            raise
        return Report((), tuple(damaged), objects, fast)
    objects, of_catalog, accepted = conformance(connection, wanted, naming, settings.accept)
    checks = asked(wanted, naming, fast=fast)
    # Fields of the accounts alone are nowhere before step 9.
    if not fast and any(each.table != ACCOUNTS or 9 in wanted for each in settings.secret_fields):
        checks = _asked_of(checks, CHECKS, declared_secrets(connection, settings))
    if not fast and bound:
        checks = _asked_of(checks, BOUND_CHECKS, bound_secrets(connection, settings, bound))
    return Report(wanted, (*of_catalog, *answers(connection, checks, naming)), objects, fast, accepted)


def _asked_of(checks: Iterable[Asked], ids: Collection[str], values: str) -> tuple[Asked, ...]:
    """The checks, those with these ids asked of what ``values`` finds in declared fields."""
    return tuple(
        replace(each, statement=replace(each.statement, sql=with_query(each.statement.sql, SECRET, values)))
        if each.statement.check is not None and each.statement.check.id in ids
        else each
        for each in checks
    )


def _known(keys: KeyConfig) -> list[str]:
    """The ids of the keys; and the empty one, if a key is tried for values without an id."""
    return [key.id for key in keys.ring] + [""] * any(key.legacy for key in keys.ring)


def step_checks(
    connection: Connection, naming: Naming, step: int, accept: Sequence[Accepted] = ()
) -> Sequence[CheckResult]:
    """The checks of one step: its part of the contract but what ``accept`` names, and its ``verify.sql``.

    In the caller's transaction, whose time zone it changes.
    """
    connection.execute("SELECT set_config('TimeZone', 'UTC', true)")  # as verify reads times
    script = load_script(f"{all_steps()[step - 1].directory}/verify.sql")
    of_catalog = step_conformance(connection, step, naming, accept)
    return [
        *((of_catalog,) if of_catalog is not None else ()),
        *(asked_alone(connection, Asked(adapt(each, naming), step, script.header)) for each in script.statements),
    ]
