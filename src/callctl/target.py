"""Which database a run talks to, as its first line, its questions and its result name it."""

from __future__ import annotations

from dataclasses import dataclass

# What an environment is called where a run has to name its database.
_PRODUCTION = ("production", "prod")


@dataclass(frozen=True)
class Target:
    """A database that has answered. Names are the server's own; never a password.

    ``host`` is the host that answered, or the directory of its socket; ``environment`` is the setting, None where it
    is not set.
    """

    database: str
    host: str
    port: int
    role: str
    postgresql: str
    environment: str | None
    schema: str

    @property
    def place(self) -> str:
        """'platform on db.example:5432 (production)'."""
        environment = f" ({self.environment})" if self.environment else ""
        return f"{self.database} on {server(self.host, self.port)}{environment}"

    @property
    def text(self) -> str:
        """All of it on one line, behind 'callctl: target:'."""
        environment = f"environment {self.environment}" if self.environment else "environment not set"
        return (
            f"{self.database} on {server(self.host, self.port)} as {self.role}, PostgreSQL {self.postgresql},"
            f" {environment}, schema {self.schema}"
        )


def server(host: str, port: int | str) -> str:
    """'db.example:5432', '[::1]:5432'."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_production(environment: str | None) -> bool:
    """Whether a database of this ``environment`` is changed only by who names it: 'production' or 'prod', any case."""
    return (environment or "").strip().casefold() in _PRODUCTION
