"""The webhook secrets that were replaced and can be put back: what is kept, and until when. Never a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.files import read_sql

if TYPE_CHECKING:
    from callctl.database.connection import Connection


@dataclass(frozen=True)
class Kept:
    """A webhook secret that was replaced. ``fingerprint`` is that of the one in its place: see :func:`fingerprint`."""

    account_id: str
    company_id: str
    rotation: int
    kept_at: datetime
    keep_until: datetime
    fingerprint: str


def exists(connection: Connection) -> bool:
    """Whether callctl's schema has a place for them; an older one has none."""
    return database.relation_exists(connection, "callctl", "kept_webhook_secret")


def kept(connection: Connection) -> tuple[Kept, ...]:
    """All that is kept, in the order of when its time is over; what should be gone already goes with the next run."""
    if not exists(connection):
        return ()
    return tuple(Kept(*row) for row in connection.execute(read_sql("secrets/rows/kept_secrets.sql")).fetchall())


def digest(secret: str) -> str:
    """SHA-256 of a secret in hexadecimal. Only of random ones: nobody can try them out."""
    import hashlib

    return hashlib.sha256(secret.encode()).hexdigest()


def fingerprint(secret: str) -> str:
    """The first 12 digits of :func:`digest`: which secret it is, without saying it."""
    return digest(secret)[:12]
