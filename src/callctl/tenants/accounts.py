"""The integration accounts: the state of each, and those of the specification for databases to develop on."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias
from uuid import uuid4

from callctl.database import connection as database
from callctl.database.connection import is_sandbox
from callctl.errors import Code, Refused, State, StepFailed
from callctl.files import read_sql
from callctl.migration.checks.row_checks import unbound_rows
from callctl.redaction import without_query
from callctl.secrets.envelope import key_ledger
from callctl.secrets.envelope.cipher import BOUND, Decrypter, Encrypter, Place, read_envelope
from callctl.secrets.envelope.fields import ACCOUNTS, CREDENTIALS, applicable, declared, walk
from callctl.secrets.rows.row import Rule
from callctl.secrets.rows.tables import bound_fields
from callctl.secrets.webhooks.accounts import assert_accounts
from callctl.statements.adaptation import adapt
from callctl.statements.naming import read_naming
from callctl.statements.script import load_script
from callctl.tenants.operation import offenders, question, rows

if TYPE_CHECKING:
    from psycopg import sql

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection
    from callctl.events import OnEvent
    from callctl.secrets.envelope.ring import KeyRing
    from callctl.statements.naming import Naming

# The integration accounts and how each is: status, errors, tokens, webhook addresses. Never a secret.

# Each trouble is what a check of verify's finds: there is one answer to whether an account has it.
Trouble: TypeAlias = Literal["error", "token", "webhook missing", "webhook malformed", "status", "unbound"]
_CHECKS: dict[Trouble, str] = {
    "error": "verify/accounts_errors.sql",
    "token": "verify/accounts_tokens.sql",
    "webhook missing": "verify/accounts_addressed.sql",
    "webhook malformed": "verify/accounts_webhooks.sql",
    "status": "verify/accounts_status.sql",
}


@dataclass(frozen=True)
class Account:
    """An account that is not deleted, as it was at ``seen_at``, the server's time.

    ``last_error_at`` is None if there is no error, or where its time is not known. ``webhook_url`` is without what
    may be a secret in it.
    """

    id: str
    account_type: str
    account_name: str
    company_id: str
    company_slug: str | None
    company_name: str | None
    status: str
    is_active: bool
    last_error_at: datetime | None
    last_verified_at: datetime | None
    token_expires_at: datetime | None
    webhook_url: str | None
    seen_at: datetime
    troubles: tuple[Trouble, ...] = ()


def accounts(connection: Connection, settings: Settings) -> tuple[Account, ...]:
    """Every account that is not deleted, by company. Reads only.

    Raises Refused if the table is not there, or archived, and if a question takes longer than
    ``statement_timeout``.
    """
    with question(connection, settings):
        assert_accounts(connection, settings)
        naming = read_naming(connection, settings.schema)
        ids_by_trouble = {trouble: offenders(connection, naming, [name]) for trouble, name in _CHECKS.items()}
        ids_by_trouble["unbound"] = unbound_rows(connection, settings, ACCOUNTS)
        listed = rows(connection, naming, "tenants/list_accounts.sql", {})
    result = []
    for row in listed:
        account = Account(*row)
        troubles = tuple(trouble for trouble in ids_by_trouble if account.id in ids_by_trouble[trouble])
        result.append(replace(account, webhook_url=without_query(account.webhook_url), troubles=troubles))
    return tuple(result)


# The integration accounts of the specification's section 11, for databases that are there to develop on.
#
# Their secrets are made up, and still stored as every secret is: as envelopes under the primary key.

DEVELOPMENT = "development"
DevelopmentOutcome: TypeAlias = Literal["insert", "unchanged", "deleted"]


@dataclass(frozen=True)
class _Documented:
    """An account as the specification has it."""

    type: str
    name: str
    webhook_url: str
    credentials: dict[str, Any]


_ACCOUNTS = (
    _Documented(
        "twilio",
        "Test Twilio Account",
        "https://your-domain.com/api/webhooks/twilio/voice/test-account-id",
        {
            "accountSid": "ACxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "authToken": "test_auth_token_encrypted",
            "phoneNumber": "+15550100",
        },
    ),
    _Documented(
        "whatsapp",
        "Test WhatsApp Business Account",
        "https://your-domain.com/api/webhooks/whatsapp/call/test-account-id",
        {
            "businessAccountId": "123456789012345",
            "phoneNumberId": "987654321098765",
            "phoneNumber": "+15550200",
            "accessToken": "test_access_token_encrypted",
        },
    ),
)


@dataclass(frozen=True)
class DevelopmentAccount:
    """One development account. ``deleted``: soft-deleted, and left alone. ``id``: None if it is not there yet."""

    type: str
    name: str
    id: str | None
    outcome: DevelopmentOutcome


# ---- where they may be ---------------------------------------------------------------------------------


def needs_name(connection: Connection, settings: Settings) -> bool:
    """Return whether the user has to type the database's name first: everywhere but in a sandbox.

    Raises Refused if the database is marked as a development database by neither a sandbox nor callctl.yaml.
    """
    if is_sandbox(connection):
        return False
    if settings.environment != DEVELOPMENT or not settings.environment_in_file:
        name_clause = f"; its environment is {settings.environment}" if settings.environment else ""
        raise Refused(
            Code.NOT_DEVELOPMENT,
            f"this database is not marked as a development database{name_clause}; nothing was written",
            hint="use a database of callctl sandbox start, or write `environment: "
            "development` in callctl.yaml (an option or a variable does not count)",
        )
    return True


def database_name(connection: Connection) -> str:
    """Return the name of the connected database."""
    return str(database.value(connection, "SELECT current_database()"))


def assert_development(connection: Connection, settings: Settings, name: str | None) -> None:
    """Raise Refused unless this is a sandbox, or marked for development and ``name`` is the database's name."""
    if not needs_name(connection, settings):
        return
    actual = database_name(connection)
    if name is None:
        raise Refused(
            Code.CONFIRMATION_NEEDED,
            "the name of the development database was not given; nothing was written",
            hint=f"add --development-database {actual} if this is the development database",
        )
    if name != actual:
        raise Refused(
            Code.WRONG_DATABASE,
            f"this database is not called {name!r}; nothing was written",
            hint="give the name of the connected database",
        )


# ---- what is there, and what is missing ----------------------------------------------------------------


def look_at_development(connection: Connection, naming: Naming) -> tuple[DevelopmentAccount, ...]:
    """Each development account, and whether it is there, in whatever company. Reads only.

    Raises Refused if there is no table for them, or one is missing and there is no company to give it to.
    """
    if not database.relation_exists(connection, naming.schema, ACCOUNTS):
        raise Refused(
            Code.STEP_NOT_APPLIED,
            f"table {naming.schema}.{ACCOUNTS} does not exist; nothing was written",
            hint="run callctl verify",
        )
    keys = {
        "types": [documented.type for documented in _ACCOUNTS],
        "names": [documented.name for documented in _ACCOUNTS],
    }
    stored_accounts: dict[tuple[str, str], tuple[str, bool]] = {}
    for id, kind, name, live in connection.execute(_composed("tenants/seed/accounts.sql", naming), keys):
        stored_accounts.setdefault((kind, name), (id, live))
    accounts = tuple(
        _account(documented, stored_accounts.get((documented.type, documented.name))) for documented in _ACCOUNTS
    )
    if any(account.outcome == "insert" for account in accounts):
        _company(connection, naming)
    return accounts


def _account(documented: _Documented, stored_account: tuple[str, bool] | None) -> DevelopmentAccount:
    if stored_account is None:
        return DevelopmentAccount(documented.type, documented.name, None, "insert")
    return DevelopmentAccount(
        documented.type, documented.name, stored_account[0], "unchanged" if stored_account[1] else "deleted"
    )


def _company(connection: Connection, naming: Naming) -> str:
    (statement,) = load_script("tenants/seed/company.sql").statements
    company = database.value(connection, adapt(statement, naming).sql)
    if company is None:
        raise Refused(
            Code.NO_COMPANY,
            "there is no company for the accounts; nothing was written",
            hint="create a company first",
        )
    return str(company)


# ---- writing -------------------------------------------------------------------------------------------


class Encrypted(NamedTuple):
    """The values of a missing account: id, company, and credentials as JSON with envelopes as secrets."""

    id: str
    company: str
    credentials: str


def encrypt(
    connection: Connection, settings: Settings, naming: Naming, ring: KeyRing, on_event: OnEvent
) -> dict[str, Encrypted]:
    """Return the new values of each account, by name. Every envelope opens again, and is bound where its field is.

    To be called outside of the transaction that writes: encryptions are counted, and the count committed, before they
    are made. Raises Refused if the primary key has none left.
    """
    fields = declared(settings)
    documents = {documented.name: copy.deepcopy(documented.credentials) for documented in _ACCOUNTS}
    slots = [
        (documented.name, slot)
        for documented in _ACCOUNTS
        for slot in walk(documents[documented.name], applicable(fields, ACCOUNTS, CREDENTIALS, documented.type))
    ]
    encryptions = key_ledger.Encryptions(settings, connection, ring.primary, on_event)
    encryptions.give_back(encryptions.reserve() - len(slots))
    decrypter, encrypter = Decrypter(ring), Encrypter(ring.primary)
    company = _company(connection, naming)
    rule = Rule(bound=bound_fields(connection))
    types = {documented.name: documented.type for documented in _ACCOUNTS}
    ids = {name: str(uuid4()) for name in documents}
    for name, (path, container, key, value) in slots:
        place = Place(company, ACCOUNTS, ids[name], path)
        version = BOUND if rule.requires_bound(ACCOUNTS, types[name], path) else 1
        encrypted = encrypter.encrypt(str(value), place, version)
        written = read_envelope(encrypted)
        if written is None or decrypter.decrypt(written, place).plaintext != str(value):
            raise StepFailed(
                Code.ROUND_TRIP_FAILED,
                "a secret did not decrypt to the original plaintext; nothing was written",
                hint="report this as a bug in callctl, or check this machine's memory",
                state=State("unchanged", "nothing was written"),
            )
        container[key] = encrypted
    return {name: Encrypted(ids[name], company, json.dumps(document)) for name, document in documents.items()}


def write_development(
    connection: Connection, naming: Naming, accounts: Sequence[DevelopmentAccount], encrypted: Mapping[str, Encrypted]
) -> tuple[DevelopmentAccount, ...]:
    """Insert those that are missing, in the caller's transaction. Returns the accounts with their ids."""
    urls = {documented.name: documented.webhook_url for documented in _ACCOUNTS}
    written_accounts = []
    for account in accounts:
        if account.outcome == "insert":
            if account.name not in encrypted:
                raise Refused(
                    Code.ROW_DELETED,
                    f"another session deleted account {account.name}; nothing was written",
                    hint="run the same command again",
                )
            id, company, credentials = encrypted[account.name]
            values = {"id": id, "company": company, "type": account.type, "name": account.name}
            values |= {"url": urls[account.name], "credentials": credentials}
            connection.execute(_composed("tenants/seed/account.sql", naming), values)
            database.fire_deferred(connection)
            stored = connection.execute(_composed("tenants/seed/account_stored.sql", naming), values).fetchone()
            if stored != (True,):
                others = database.in_the_way(connection, naming.schema, ACCOUNTS)
                raise Refused(
                    Code.NOT_STORED,
                    f"account {account.name} is not stored as callctl wrote it; {others}; nothing was written",
                    hint=database.UNHINDERED,
                )
            account = replace(account, id=id)
        written_accounts.append(account)
    return tuple(written_accounts)


def _composed(file: str, naming: Naming) -> sql.Composed:
    from psycopg import sql

    text = sql.SQL(read_sql(file))
    return text.format(accounts=sql.Identifier(naming.schema, ACCOUNTS))
