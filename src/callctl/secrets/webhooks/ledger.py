"""The ledger's rows of runs about webhook secrets, and how far such a run has come. One callctl at a time writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from callctl import __version__
from callctl.database import store
from callctl.events import Notice, OnEvent
from callctl.files import read_sql
from callctl.secrets.envelope.fields import ACCOUNTS, WEBHOOK_SECRET
from callctl.secrets.webhooks.accounts import Direction, NotPutBack

if TYPE_CHECKING:
    from callctl.database.connection import Connection

KINDS = {"new": "webhook_secrets", "back": "webhook_secrets_back"}


@dataclass(frozen=True)
class Begun:
    """A run, and where it goes on: behind the account ``reached``, with so many ``accounts`` done before."""

    rotation: int
    started_at: datetime
    reached: str | None = None
    accounts: int = 0


def begin(connection: Connection, direction: Direction, scope: str, key: str, on_event: OnEvent) -> Begun:
    """Go on with the run that was stopped, if it is the same; else begin one, and give the other up."""
    kind = KINDS[direction]
    found = None
    for id, old_kind, old_scope, counts, started_at, client in connection.execute(
        read_sql("secrets/webhooks/under_way.sql")
    ).fetchall():
        done = counts.get("accounts", 0)
        if (old_kind, old_scope) == (kind, scope):
            found = Begun(id, started_at, counts.get("reached"), done)
            if done:
                on_event(
                    Notice(
                        f"going on with run {id}, begun by {client}: {done:,} accounts are done, and stay as they are"
                    )
                )
        else:
            end(connection, id, "given up")
            on_event(Notice(f"run {id} ({old_scope}) was not finished; this one takes its place"))
    if found is not None:
        return found
    values = {"kind": kind, "to_key": key, "scope": scope, "client": store.client(), "version": __version__}
    row = connection.execute(read_sql("secrets/webhooks/begin.sql"), values).fetchone()
    assert row is not None
    return Begun(*row)


def reached(
    connection: Connection, rotation: int, account: str, accounts: int, failures: int, left: Sequence[NotPutBack]
) -> None:
    """Write how far a run has come, in the transaction that writes the accounts; ``left`` is of this one."""
    from psycopg.types.json import Jsonb

    counts = Jsonb({"accounts": accounts, "reached": account})
    values = {"rotation": rotation, "counts": counts, "failures": failures}
    connection.execute(read_sql("secrets/webhooks/reached.sql"), values)
    if left:
        listed = {
            "rotation": rotation,
            "relation": ACCOUNTS,
            "rows": [each.account_id for each in left],
            "paths": [WEBHOOK_SECRET.text for _ in left],
            "reasons": [each.reason for each in left],
        }
        connection.execute(read_sql("secrets/rotation/failure.sql"), listed)


def end(connection: Connection, rotation: int, outcome: str) -> None:
    """Write its end: 'done', or 'given up'."""
    values = {"rotation": rotation, "outcome": outcome}
    connection.execute(read_sql("secrets/webhooks/finish.sql"), values)
