"""How the tests of preflight ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import psycopg
from tests.support.steps import ALL

from callctl.config.settings import Settings
from callctl.migration.checks.findings import Finding
from callctl.migration.checks.preflight import preflight
from callctl.statements.naming import read_naming

SETTINGS = Settings(lock_timeout_ms=100, statement_timeout_ms=20_000)
Connection: TypeAlias = psycopg.Connection[Any]


def ask(
    connection: Connection,
    pending: Sequence[int] = ALL,
    direction: Any = "up",
    *,
    schema: str = "chatapp",
    **options: Any,
) -> tuple[Finding, ...]:
    naming = read_naming(connection, schema)
    return preflight(connection, replace(SETTINGS, schema=schema), naming, pending, direction, **options)


def of(findings: Sequence[Finding], id: str, level: str | None = None) -> list[Finding]:
    return [finding for finding in findings if finding.id == id and level in (None, finding.level)]


def objects(findings: Sequence[Finding]) -> set[str]:
    return {name for finding in findings for name in finding.objects}
