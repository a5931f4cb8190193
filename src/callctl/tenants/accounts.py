"""The integration accounts and how each is: status, errors, tokens, webhook addresses. Never a secret."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from callctl.migration.checks.declared_secrets import unbound_rows
from callctl.redaction import without_query
from callctl.secrets.envelope.fields import ACCOUNTS
from callctl.secrets.webhooks.accounts import assert_accounts
from callctl.statements.naming import read_naming
from callctl.tenants.operation import offenders, question, rows

if TYPE_CHECKING:
    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

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

    ``last_error_at`` is None where there is no error, or where nobody knows since when. ``webhook_url`` is without what
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

    Raises Refused where the table is not there, or archived, and where a question takes longer than
    ``statement_timeout``.
    """
    with question(connection, settings):
        assert_accounts(connection, settings)
        naming = read_naming(connection, settings.schema)
        found = {trouble: offenders(connection, naming, [name]) for trouble, name in _CHECKS.items()}
        found["unbound"] = unbound_rows(connection, settings, ACCOUNTS)
        listed = rows(connection, naming, "tenants/list_accounts.sql", {})
    made = []
    for row in listed:
        account = Account(*row)
        troubles = tuple(trouble for trouble in found if account.id in found[trouble])
        made.append(replace(account, webhook_url=without_query(account.webhook_url), troubles=troubles))
    return tuple(made)
