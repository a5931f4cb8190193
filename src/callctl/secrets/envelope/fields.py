"""Declares the fields that hold a secret, and finds them in a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from callctl.config.sections import SecretField

if TYPE_CHECKING:
    from callctl.config.settings import Settings

# Path as text, what contains the value, its key or position there, the value.
Found: TypeAlias = tuple[str, Any, str | int, object]

__all__ = [
    "ACCOUNTS",
    "ARRAY",
    "CREDENTIALS",
    "DECLARED",
    "WEBHOOK_SECRET",
    "Found",
    "SecretField",
    "applicable",
    "declared",
    "walk",
]

ACCOUNTS = "integration_accounts"
CREDENTIALS = "credentials"
# The part of a path that stands for every position of an array.
ARRAY = "[]"

# The fields of the specification. The rest of the credentials (accountSid, phoneNumber, sipUri, …) stays readable.
DECLARED: tuple[SecretField, ...] = (
    SecretField(ACCOUNTS, "twilio", CREDENTIALS, ("authToken",)),
    SecretField(ACCOUNTS, "twilio", CREDENTIALS, ("apiKeySecret",)),
    SecretField(ACCOUNTS, "whatsapp", CREDENTIALS, ("accessToken",)),
    SecretField(ACCOUNTS, "whatsapp", CREDENTIALS, ("appSecret",)),
    SecretField(ACCOUNTS, "custom", CREDENTIALS, ("password",)),
    SecretField(ACCOUNTS, "custom", CREDENTIALS, ("turnServers", ARRAY, "credential")),
    SecretField(ACCOUNTS, None, "access_token"),
    SecretField(ACCOUNTS, None, "refresh_token"),
)

# Not among them: the application reads it to check signatures. callctl encrypts those that it has replaced and keeps.
WEBHOOK_SECRET = SecretField(ACCOUNTS, None, "webhook_secret")


def declared(settings: Settings) -> tuple[SecretField, ...]:
    """The specification's fields, then those that callctl.yaml adds; each once."""
    return tuple(dict.fromkeys((*DECLARED, *settings.secret_fields)))


def applicable(
    fields: Iterable[SecretField], table: str, column: str, account_type: str | None
) -> tuple[SecretField, ...]:
    """Those of ``fields`` that a row of ``table`` with this account type has in ``column``."""
    return tuple(
        field
        for field in fields
        if field.table == table and field.column == column and field.account_type in (None, account_type)
    )


def walk(credentials: Any, fields: Iterable[SecretField]) -> Iterator[Found]:
    """Every secret field that is there: its path as text, what contains it, its key or index there, its value.

    ``container[key] = new`` replaces the value in place. A field that is absent, null, or inside something of
    another type than its path says is passed over: what is wrong with it is for ``credentials.problems`` to say.
    A place that two paths reach is given twice.
    """
    for field in fields:
        path = field.path
        if len(path) == 1 and path[0] != ARRAY:  # the most by far
            if isinstance(credentials, dict):
                value = credentials.get(path[0])
                if value is not None:
                    yield field.text, credentials, path[0], value
        elif path:
            yield from _below(credentials, path, 0, field.text)


def _below(container: Any, path: tuple[str, ...], depth: int, text: str) -> Iterator[Found]:
    name = path[depth]
    last = depth == len(path) - 1
    entries: Iterable[tuple[str | int, Any]]
    if name == ARRAY:
        entries = enumerate(container) if isinstance(container, list) else ()
    else:
        entries = ((name, container.get(name)),) if isinstance(container, dict) else ()
    for key, value in entries:
        if value is None:
            continue
        if last:
            yield text, container, key, value
        else:
            yield from _below(value, path, depth + 1, text)
