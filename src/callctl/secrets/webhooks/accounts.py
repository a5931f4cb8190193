"""Selects the accounts of a run about webhook secrets, and records the progress of the run.

Never a value. Never a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from callctl import __version__
from callctl.database import connection as database
from callctl.database import store
from callctl.errors import Code, Refused
from callctl.events import Notice, OnEvent
from callctl.files import read_sql
from callctl.secrets.envelope.fields import ACCOUNTS, WEBHOOK_SECRET
from callctl.secrets.rows import tables
from callctl.statements.naming import assert_platform

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# Accounts of one transaction: their rows are locked while the file is seen onto the disk.
ROWS_AT_ONCE = 100

Direction: TypeAlias = Literal["new", "back"]
CHOSEN = {"new": "secrets/webhooks/chosen.sql", "back": "secrets/webhooks/chosen_back.sql"}


class Scope(NamedTuple):
    """The chosen accounts: one, those of one company, or all.

    Ids are UUIDs as PostgreSQL prints them. Ids are UUIDs as PostgreSQL prints them.
    """

    account: str | None = None
    company: str | None = None

    @property
    def text(self) -> str:
        """As the ledger and messages name it."""
        if self.account is not None:
            return f"account {self.account}"
        return f"company {self.company}" if self.company is not None else "all accounts"


@dataclass(frozen=True)
class Account:
    """An account whose provider has to be told. ``fingerprint`` is that of its new secret; None if it is the old one
    again."""

    account_id: str
    company_id: str
    account_type: str
    account_name: str
    webhook_url: str | None
    fingerprint: str | None = None


@dataclass(frozen=True)
class NotPutBack:
    """An account that was left as it is, and why."""

    account_id: str
    reason: str


@dataclass(frozen=True)
class Chosen:
    """The plan of a run; nothing was changed. ``deleted`` are soft-deleted, ``without`` have no webhook secret."""

    direction: Direction
    scope: str
    accounts: tuple[Account, ...]
    deleted: int
    without: int


def choose(connection: Connection, settings: Settings, scope: Scope, direction: Direction) -> Chosen:
    """The accounts that a run would write. Changes nothing. Raises Refused if there are none to speak of."""
    store.assert_owner(connection, settings.schema)
    with database.read_only(connection):
        return _choose(connection, settings, scope, direction)


def _choose(connection: Connection, settings: Settings, scope: Scope, direction: Direction) -> Chosen:
    assert_accounts(connection, settings)
    rows: Sequence[tuple[Any, ...]] = ()
    if direction == "new" or tables.keeps_webhook_secrets(connection):
        rows = ask(connection, settings, CHOSEN[direction], {**scope._asdict(), "above": None})
    row = ask(connection, settings, "secrets/webhooks/passed_over.sql", scope._asdict())[0]
    deleted, without, all_of_them = row
    if not rows and scope != Scope():
        raise _nothing(scope, direction, deleted, all_of_them)
    return Chosen(direction, scope.text, tuple(as_account(account_row) for account_row in rows), deleted, without)


def _nothing(scope: Scope, direction: Direction, deleted: int, all_of_them: int) -> Refused:
    """The named account or company has nothing to do."""
    if not all_of_them:
        problem = (
            f"there is no integration account {scope.account}" if scope.account else f"{scope.text} has no account"
        )
        return Refused(
            Code.ACCOUNT_UNKNOWN,
            f"{problem}; nothing was changed",
            hint="give an id of integration_accounts or of companies",
        )
    if direction == "back":
        return Refused(
            Code.NO_WEBHOOK_SECRET,
            f"callctl keeps no webhook secret of {scope.text}; nothing was changed",
            hint="run callctl rotate-secrets --status to see the kept webhook secrets and until when",
        )
    if scope.account and deleted:
        return Refused(
            Code.ACCOUNT_UNKNOWN,
            f"{scope.text} is soft-deleted, and callctl skips such accounts; nothing was changed",
            hint="name another one",
        )
    return Refused(
        Code.NO_WEBHOOK_SECRET,
        f"{scope.text} has no webhook secret to replace; nothing was changed",
        hint="create the account's first webhook secret in the application",
    )


def assert_accounts(connection: Connection, settings: Settings) -> None:
    """Raise Refused if the accounts are not there, or are archived, or the database is not the platform's."""
    assert_platform(connection, settings.schema)
    if where := store.absence(connection, settings.schema, ACCOUNTS):
        raise Refused(
            Code.STEP_NOT_APPLIED,
            f"table {settings.schema}.{ACCOUNTS} {where}; nothing was changed",
            hint="run callctl migrate up first",
        )


def ask(
    connection: Connection, settings: Settings, name: str, values: dict[str, Any], *, batch: bool = False
) -> list[tuple[Any, ...]]:
    """The rows of one of the files about the accounts; ``batch``: some of them, locked for this transaction."""
    from psycopg import sql

    statement = sql.SQL(read_sql(name)).format(
        accounts=sql.Identifier(settings.schema, ACCOUNTS),
        limit=sql.SQL(f"LIMIT {ROWS_AT_ONCE}" if batch else ""),
        locking=sql.SQL("FOR NO KEY UPDATE OF t" if batch else ""),
    )
    return connection.execute(statement, values).fetchall()


def as_account(row: tuple[Any, ...], new: str | None = None) -> Account:
    """A row of :func:`ask`; ``new`` is the account's new secret."""
    id, company, account_type, name, url, *_ = row
    return Account(id, company, account_type, name, url, None if new is None else tables.fingerprint(new))


# The ledger's rows of runs about webhook secrets, and how far such a run has come. One callctl at a time writes.

KINDS = {"new": "webhook_secrets", "back": "webhook_secrets_back"}


@dataclass(frozen=True)
class Begun:
    """A run, and where it continues: behind the account ``reached``, after this number of ``accounts``."""

    rotation: int
    started_at: datetime
    reached: str | None = None
    accounts: int = 0


def begin_run(connection: Connection, direction: Direction, scope: str, key: str, on_event: OnEvent) -> Begun:
    """Continue with the run that was stopped, if it is the same; else begin one, and give the other up."""
    kind = KINDS[direction]
    begun = None
    for id, old_kind, old_scope, counts, started_at, client in connection.execute(
        read_sql("secrets/webhooks/under_way.sql")
    ).fetchall():
        count = counts.get("accounts", 0)
        if (old_kind, old_scope) == (kind, scope):
            begun = Begun(id, started_at, counts.get("reached"), count)
            if count:
                on_event(
                    Notice(f"resuming run {id}, which {client} began: {count:,} accounts are done and stay as they are")
                )
        else:
            end_run(connection, id, "given up")
            on_event(Notice(f"run {id} ({old_scope}) was not finished; this run replaces it"))
    if begun is not None:
        return begun
    values = {"kind": kind, "to_key": key, "scope": scope, "client": store.client(), "version": __version__}
    row = connection.execute(read_sql("secrets/webhooks/begin.sql"), values).fetchone()
    assert row is not None
    return Begun(*row)


def run_reached(
    connection: Connection,
    rotation: int,
    account: str,
    accounts: int,
    failures: int,
    not_put_back: Sequence[NotPutBack],
) -> None:
    """Write how far a run has come, in the transaction that writes the accounts; ``not_put_back`` is of this one."""
    from psycopg.types.json import Jsonb

    counts = Jsonb({"accounts": accounts, "reached": account})
    values = {"rotation": rotation, "counts": counts, "failures": failures}
    connection.execute(read_sql("secrets/webhooks/reached.sql"), values)
    if not_put_back:
        listed = {
            "rotation": rotation,
            "relation": ACCOUNTS,
            "rows": [entry.account_id for entry in not_put_back],
            "paths": [WEBHOOK_SECRET.text for _ in not_put_back],
            "reasons": [entry.reason for entry in not_put_back],
        }
        connection.execute(read_sql("secrets/rotation/failure.sql"), listed)


def end_run(connection: Connection, rotation: int, outcome: str) -> None:
    """Write its end: 'done', or 'given up'."""
    values = {"rotation": rotation, "outcome": outcome}
    connection.execute(read_sql("secrets/webhooks/finish.sql"), values)
