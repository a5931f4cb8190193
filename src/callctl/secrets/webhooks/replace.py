"""Webhook secrets replaced and restored: accounts locked, written and committed a hundred at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from callctl.database import connection as database
from callctl.database import store
from callctl.database.guarded import guarded, with_retries
from callctl.database.lock import ROTATE_SESSION, WEBHOOK_CLASS, MigrationLock, lock_alone
from callctl.database.pace import Pace
from callctl.errors import UNCHANGED, Code, ConfigError, Interrupted, LockHeld, State, StepFailed
from callctl.events import OnEvent, RotationProgress, ignore
from callctl.files import PrivateFile, read_sql
from callctl.secrets.envelope import key_ledger
from callctl.secrets.envelope.cipher import (
    BOUND,
    LABELS,
    Decrypter,
    Encrypter,
    Malformed,
    NotDecrypted,
    Place,
    envelope_text,
    read_envelope,
)
from callctl.secrets.envelope.fields import ACCOUNTS, WEBHOOK_SECRET
from callctl.secrets.envelope.key_ledger import make_ready
from callctl.secrets.envelope.ring import KeyRing, generate, load_key_ring
from callctl.secrets.rows import tables
from callctl.secrets.rows.row import KEPT, Rule, unbound
from callctl.secrets.webhooks import accounts as webhooks_accounts
from callctl.secrets.webhooks.accounts import (
    CHOSEN,
    Account,
    Chosen,
    Direction,
    NotPutBack,
    Scope,
    as_account,
    ask,
    choose,
)

if TYPE_CHECKING:
    from pathlib import Path

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# One run about webhook secrets: accounts locked, written and committed a hundred at a time.
#
# A new secret is in the operator's file, and on the disk, before the transaction that puts it into the database
# commits: no secret is in the database alone. The reverse can happen to a run that is killed in between: the next
# run makes another one for that account, in a file of its own, and of two lines about an account the later one counts.
#
# No secret is in a statement or a parameter, which servers log: new ones travel by COPY in binary, previous ones are
# parameters only as envelopes.


@dataclass(frozen=True)
class Done:
    """The result of a run. ``before`` accounts were done by an earlier run that was stopped; they are not listed.

    ``keep_until`` is for the previous secrets of this run's ``accounts``; ``file`` holds their new ones.
    """

    direction: Direction
    scope: str
    rotation: int
    started_at: datetime
    accounts: tuple[Account, ...]
    before: int
    left: tuple[NotPutBack, ...]
    deleted: int
    without: int
    file: Path | None
    keep_until: datetime | None


@dataclass
class _Batch:
    """The work of one transaction: the accounts with their new values, and the accounts that it skips."""

    rows: list[tuple[Any, ...]]
    values: dict[str, str] = field(default_factory=dict, repr=False)
    not_put_back: list[NotPutBack] = field(default_factory=list)


class Replacement:
    """The work of :func:`replace` (with a file) and of :func:`put_back`."""

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        reader: Connection,
        ring: KeyRing,
        chosen: Chosen,
        scope: Scope,
        on_event: OnEvent,
        file: PrivateFile | None = None,
        grace: timedelta = timedelta(0),
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._reader = reader
        self._ring = ring
        self._chosen = chosen
        self._scope = scope
        self._on_event = on_event
        self._file = file
        self._grace = grace
        self._encryptions = key_ledger.Encryptions(settings, reader, ring.primary, on_event)
        self._decrypter, self._encrypter = Decrypter(ring), Encrypter(ring.primary)
        self._allowed = 0
        self._rotation = 0
        self._before = 0
        self._above: str | None = None
        self._done: list[Account] = []
        self._not_put_back: list[NotPutBack] = []
        self._failures = self._total = 0
        self._committing = False

    def run(self) -> Done:
        import psycopg

        try:
            return self._run()
        except KeyboardInterrupt:
            state = self._state()
            raise Interrupted(Code.INTERRUPTED, f"interrupted; {state}", hint=self._again(), state=state) from None
        except ConfigError as error:  # the file cannot be written to
            state = self._state()
            raise ConfigError(error.code, f"{error.message}; {state}", hint=self._again(), state=state) from None
        except database.NotStored as wrong:
            raise wrong.explained(self._connection, "webhook secrets", self._state()) from None
        except psycopg.Error as error:
            state = self._state()
            raise database.translated(error, "webhook secrets", "", state, self._connection, quoted=False) from error

    def _state(self) -> State:
        uncertain = self._committing and self._file is not None and self._file.unsettled
        if not self._done and not uncertain:
            return UNCHANGED
        done = f"{len(self._done):,} of {self._total:,} accounts are done"
        if self._file is not None:
            done += f", and their new secrets are in {self._file.path}"
        if uncertain:
            return State("unknown", f"{done}; the next run finds out whether the secrets of its last lines are stored")
        return State("partly done", done)

    def _again(self) -> str:
        if self._file is None:
            return "run the same command again to resume"
        return (
            "run the same command again with another file: it resumes, and for an account in both files the new"
            " line counts"
        )

    def _run(self) -> Done:
        make_ready(self._connection, self._settings, self._ring, self._on_event)
        begun = self._retried(self._begin)
        self._rotation, self._above, self._before = begun.rotation, begun.reached, begun.accounts
        pace = Pace(self._settings, self._reader, self._on_event)
        began = time.monotonic()
        self._total = total = sum(account.account_id > (self._above or "") for account in self._chosen.accounts)
        keep_until = None
        while True:
            batch, until = self._retried(self._batch)
            if not batch.rows:
                if not self._more():
                    break
                continue  # those it wanted were deleted while it waited for them
            self._above = batch.rows[-1][0]
            self._done += [
                as_account(row, batch.values[row[0]] if self._file is not None else None)
                for row in batch.rows
                if row[0] in batch.values
            ]
            self._not_put_back += batch.not_put_back
            self._failures += len(batch.not_put_back)
            keep_until = keep_until or until
            gone_through = len(self._done) + len(self._not_put_back)
            rate = gone_through / max(time.monotonic() - began, 0.001)
            remaining = max(total - gone_through, 0)
            self._on_event(
                RotationProgress(gone_through, max(total, gone_through), len(self._not_put_back), remaining / rate)
            )
            pace.keep()
        self._encryptions.give_back(self._allowed)
        self._retried(lambda: webhooks_accounts.end_run(self._connection, self._rotation, "done"))
        return Done(
            direction=self._chosen.direction,
            scope=self._chosen.scope,
            rotation=self._rotation,
            started_at=begun.started_at,
            accounts=tuple(self._done),
            before=self._before,
            left=tuple(self._not_put_back),
            deleted=self._chosen.deleted,
            without=self._chosen.without,
            file=self._file.path if self._file is not None and self._done else None,
            keep_until=keep_until,
        )

    def _retried(self, work: Callable[[], Any]) -> Any:
        """One transaction of its own, tried again where it gets no lock."""

        def attempt() -> Any:
            self._committing = False
            try:
                with guarded(self._connection, self._settings, shared=True):
                    result = work()
                    self._committing = True
            except BaseException:
                if self._file is not None and not self._committing:
                    self._file.take_back()  # rolled back for certain: these secrets are in force nowhere
                raise
            if self._file is not None:
                self._file.settle()
            self._committing = False
            return result

        return with_retries(self._settings, "an account's row", attempt, self._on_event)

    def _begin(self) -> webhooks_accounts.Begun:
        self._connection.execute(read_sql("secrets/webhooks/new_values.sql"))
        chosen = self._chosen
        return webhooks_accounts.begin_run(
            self._connection, chosen.direction, chosen.scope, self._ring.primary.id, self._on_event
        )

    # ---- one batch ---------------------------------------------------------------------------------------

    def _wanted(self) -> dict[str, Any]:
        return {**self._scope._asdict(), "above": self._above}

    def _more(self) -> bool:
        name = CHOSEN[self._chosen.direction]
        return bool(ask(self._connection, self._settings, name, self._wanted()))

    def _batch(self) -> tuple[_Batch, datetime | None]:
        """The next accounts, locked, read and written; the file holds what they get before this transaction commits."""
        name = CHOSEN[self._chosen.direction]
        batch = _Batch(ask(self._connection, self._settings, name, self._wanted(), batch=True))
        until = None
        if batch.rows:
            if self._file is not None:
                until = self._replace(batch, self._file)
            else:
                self._put_back(batch)
            accounts_done = self._before + len(self._done) + len(batch.values)
            failures = self._failures + len(batch.not_put_back)
            webhooks_accounts.run_reached(
                self._connection, self._rotation, batch.rows[-1][0], accounts_done, failures, batch.not_put_back
            )
        return batch, until

    def _replace(self, batch: _Batch, file: PrivateFile) -> datetime:
        while self._allowed < len(batch.rows):
            self._allowed += self._encryptions.reserve()
        kept: list[tuple[str, str, str, str]] = []
        for id, company, *_, secret in batch.rows:
            new = batch.values[id] = generate()
            place = Place(company, ACCOUNTS, id, WEBHOOK_SECRET.text)
            encrypted = envelope_text(self._encrypter.encrypt(secret, place, BOUND))
            self._allowed -= 1
            self._check(encrypted, place, secret)
            kept.append((id, company, encrypted, tables.digest(new)))
        accounts, companies, secrets, left_there = (list(column) for column in zip(*kept, strict=True))
        values = {
            "rotation": self._rotation,
            "accounts": accounts,
            "companies": companies,
            "secrets": secrets,
            "left_there": left_there,
            "seconds": self._grace.total_seconds(),
        }
        until: datetime | None = database.value(self._connection, read_sql("secrets/webhooks/keep.sql"), values)
        assert until is not None
        file.add("".join(self._line(batch_row, batch.values[batch_row[0]]) for batch_row in batch.rows))
        self._write(batch)
        return until

    def _line(self, row: tuple[Any, ...], new: str) -> str:
        """An account in the operator's file."""
        members = {**vars(as_account(row, new)), "webhook_secret": new, "rotation": self._rotation}
        return json.dumps(members, ensure_ascii=False) + "\n"

    def _put_back(self, batch: _Batch) -> None:
        """The newest secret that is kept of each account, if what callctl left there is unchanged."""
        accounts = [row[0] for row in batch.rows]
        # Read behind the locks: what is kept cannot change now, but for the key that it is under.
        rows = self._connection.execute(read_sql("secrets/webhooks/newest.sql"), {"accounts": accounts}).fetchall()
        newest = {account: rest for account, *rest in rows}
        rule = Rule(bound=tables.bound_fields(self._connection))
        used = []
        for id, company, *_, secret in batch.rows:
            if id not in newest:
                continue  # its time was over while the lock was waited for
            number, company_then, encrypted, left_there = newest[id]
            reason = None
            if tables.digest(secret or "") != left_there:
                reason = "another program changed its secret since"
            elif company != company_then:
                reason = "it belongs to another company now"
            else:
                reason = self._left_unbound(rule, encrypted)
            if reason is None:
                try:
                    batch.values[id] = self._opened(encrypted, Place(company, ACCOUNTS, id, WEBHOOK_SECRET.text))
                    used.append(number)
                except (Malformed, NotDecrypted) as problem:
                    reason = f"the kept secret does not decrypt: {problem}"
            if reason is not None:
                batch.not_put_back.append(NotPutBack(id, reason))
        self._write(batch)
        self._connection.execute(read_sql("secrets/webhooks/forget.sql"), {"kept": used})

    def _left_unbound(self, rule: Rule, encrypted: str) -> str | None:
        """Why what is kept is not put back: callctl keeps bound values only, and another may be of another row."""
        try:
            envelope = read_envelope(encrypted)
        except Malformed:
            return None
        if envelope is None or envelope.version in LABELS or not rule.requires_bound(KEPT, None, WEBHOOK_SECRET.text):
            return None
        return f"the kept secret is {unbound(envelope.version, envelope.key_id)}"

    def _opened(self, encrypted: str, place: Place) -> str:
        envelope = read_envelope(encrypted)
        if envelope is None:
            raise Malformed("plaintext")
        return self._decrypter.decrypt(envelope, place).plaintext

    def _write(self, batch: _Batch) -> None:
        """Write the new values into the locked rows. Raises NotStored if they are not stored then."""
        if not batch.values:
            return
        with self._connection.cursor().copy(read_sql("secrets/webhooks/copy.sql")) as copy:
            copy.set_types(["uuid", "text"])
            for id, value in batch.values.items():
                copy.write_row((UUID(id), value))
        ask(self._connection, self._settings, "secrets/webhooks/write.sql", {})
        database.fire_deferred(self._connection)
        wrong = [id for (id,) in ask(self._connection, self._settings, "secrets/webhooks/not_stored.sql", {})]
        if wrong:
            raise database.NotStored((self._settings.schema, ACCOUNTS), wrong)

    def _check(self, encrypted: str, place: Place, secret: str) -> None:
        """Decrypt again what will be kept."""
        if self._opened(encrypted, place) != secret:
            raise StepFailed(
                Code.ROUND_TRIP_FAILED,
                "a webhook secret did not decrypt to the original plaintext; the batch was not written",
                hint="report this as a bug in callctl, or check this machine's memory; earlier batches are committed",
                state=State("partly done"),
            )


# New webhook secrets, and the previous ones put back.


def replace(
    settings: Settings, scope: Scope, *, file: str, grace: timedelta, wait: bool = False, on_event: OnEvent = ignore
) -> Done:
    """Give the accounts new random webhook secrets, and keep the previous ones, encrypted, for ``grace``.

    The new ones are in ``file``, which must not be there yet. An account that a transaction of the application holds
    is waited for; whatever secret it has then is the one that is kept. Raises ConfigError, Refused, LockHeld,
    StepFailed, Interrupted: each account that was done before is in the file and in the database.
    """
    with _at_work(settings, "webhooks rotate", wait, on_event) as (connection, reader, ring):
        chosen = choose(connection, settings, scope, "new")
        new_file = PrivateFile(file)
        with closing(new_file):
            return Replacement(settings, connection, reader, ring, chosen, scope, on_event, new_file, grace).run()


def put_back(settings: Settings, scope: Scope, *, wait: bool = False, on_event: OnEvent = ignore) -> Done:
    """Put back the previous webhook secrets that are still kept, of each account the last one.

    An account whose secret another program has changed since is left as it is and listed. Raises as
    :func:`replace`.
    """
    with _at_work(settings, "webhooks restore", wait, on_event) as (connection, reader, ring):
        chosen = choose(connection, settings, scope, "back")
        return Replacement(settings, connection, reader, ring, chosen, scope, on_event).run()


@contextmanager
def _at_work(
    settings: Settings, command: str, wait: bool, on_event: OnEvent
) -> Iterator[tuple[Connection, Connection, KeyRing]]:
    """Two connections and the ring, with no other run on webhook secrets and no migration in progress."""
    ring = load_key_ring(settings)
    with (
        MigrationLock(settings, wait=wait, shared=True, command=command, on_event=on_event),
        closing(database.connect(settings, application_name=ROTATE_SESSION, session=True)) as connection,
        closing(database.connect(settings, application_name=ROTATE_SESSION, session=True)) as reader,
    ):
        store.assert_owner(connection, settings.schema)
        key_ledger.assert_known(connection, ring)
        held = LockHeld(
            Code.LOCK_HELD,
            "another callctl is replacing or restoring webhook secrets",
            hint="wait for that callctl to finish, or run with --wait",
        )
        awaited = "another callctl to finish"
        lock_alone(connection, settings, WEBHOOK_CLASS, wait=wait, held=held, awaited=awaited, on_event=on_event)
        yield connection, reader, ring
