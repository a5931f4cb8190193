"""How many ways to break a migrated database callctl verify finds, and how many the document's own verification SQL.

The mutations are those of tests/db: every attribute of every object that the steps leave, and every rule for rows, one
at a time; and of callctl's own schema, one of each table at a time. The document is given two readers: one who compares
with what it says to expect, and one who has the right answer of each of its queries by heart.
Run: ./dev bench mutations [--save FILE.json]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from tests.db.migration.checks.test_invariants import BREAKAGES, DEFERRED, FULL
from tests.support.db.migrated import Migrated, State, connection_to
from tests.support.db.mutations import broken_guards, broken_objects, broken_store

from benchmarks.results import saved
from callctl.config.settings import Settings
from callctl.errors import CallctlError
from callctl.files import sql_names
from callctl.migration.checks import verify
from callctl.migration.checks.verify import examine
from callctl.sandbox.server import start_server
from callctl.statements.script import load_script, parse_script

ROOT = Path(__file__).resolve().parents[1]

SPECIFICATION = ROOT / "tests" / "support" / "db" / "specification_verify.sql"


@dataclass(frozen=True)
class Query:
    """One of the document's, and what it says of the answer."""

    sql: str
    expects: str

    def fails(self, answer: Sequence[tuple[Any, ...]] | None) -> bool:
        """Whether the answer (None: an error) is another than the document says."""
        if answer is None or not self.expects:
            return answer is None
        if self.expects == "zeros":
            return any(value for row in answer for value in row)
        return len(answer) != (0 if self.expects == "none" else int(self.expects))


def document() -> tuple[Query, ...]:
    """Its queries."""
    script = parse_script(SPECIFICATION.read_text(encoding="utf-8"), SPECIFICATION.name)
    return tuple(
        Query(statement.sql, match[1] if (match := re.search(r"expects: (\w+)", statement.comment)) else "")
        for statement in script.statements
    )


def answers(db: psycopg.Connection[Any], queries: Iterable[Query]) -> list[list[tuple[Any, ...]] | None]:
    """The answers, each in an order that does not matter; None where the server refuses."""
    all_rows: list[list[tuple[Any, ...]] | None] = []
    for query in queries:
        try:
            with db.transaction():
                all_rows.append(sorted(db.execute(query.sql.encode()).fetchall(), key=repr))
        except psycopg.Error:
            all_rows.append(None)
    return all_rows


def caught(db: psycopg.Connection[Any], *, fast: bool) -> bool:
    """Whether verify fails."""
    try:
        report = examine(db, Settings(), fast=fast)
    except CallctlError:
        return True
    return not report.passed


def warning() -> set[str]:
    """The checks that only warn."""
    statements = (statement for name in sql_names("verify") for statement in load_script(name).statements)
    return {statement.check.id for statement in statements if statement.check is not None and statement.check.warns}


def score(migrated: Migrated) -> dict[str, dict[str, int]]:
    """Of each kind: tried, and what each of the three found."""
    warns = warning()
    with connection_to(migrated.url(FULL)) as db:
        tried: list[tuple[str, str, State]] = [
            (mutation.kind, mutation.sql, FULL) for mutation in broken_objects(db, migrated.before(FULL))
        ]
        tried += [(mutation.kind, mutation.sql, FULL) for mutation in broken_guards(db)]
    tried += [
        ("row", breakage.sql, breakage.state)
        for check, breakages in BREAKAGES.items()
        for breakage in breakages
        # What only warns is no failure; callctl.yaml's key ring and fields are nothing that the document knows.
        if breakage.state in (FULL, DEFERRED)
        and check not in warns
        and not check.startswith("declared-secrets")
        and check != "accounts-secrets-known-key"
    ]
    scores: dict[str, dict[str, int]] = {}
    queries = document()
    right: dict[State, list[list[tuple[Any, ...]] | None]] = {}
    for kind, sql, state in tried:
        with connection_to(migrated.url(state)) as db:
            if state not in right:
                right[state] = answers(db, queries)
                assert None not in right[state], "a query of the document fails on the right database"
            db.execute(sql.encode())
            seen = answers(db, queries)
            counts = scores.setdefault(kind, {"tried": 0, "callctl": 0, "expected": 0, "by_heart": 0})
            counts["tried"] += 1
            # An answer that is not as expected on the right database either says nothing.
            counts["expected"] += any(
                query.fails(now) and not query.fails(then)
                for query, now, then in zip(queries, seen, right[state], strict=True)
            )
            counts["by_heart"] += seen != right[state]
            counts["callctl"] += caught(db, fast=kind not in ("row", "orphan"))
    scores["store"] = score_of_the_store(migrated, queries, right[FULL])
    return scores


def score_of_the_store(
    migrated: Migrated, queries: Sequence[Query], right: list[list[tuple[Any, ...]] | None]
) -> dict[str, int]:
    """The same of callctl's own schema, a lot at a time; callctl has caught what it names."""
    counts = {"tried": 0, "callctl": 0, "expected": 0, "by_heart": 0}
    with connection_to(migrated.url(FULL)) as db:
        for lot in broken_store(db):
            with db.transaction(force_rollback=True):
                for mutation in lot:
                    db.execute(mutation.sql.encode())
                seen = answers(db, queries)
                checks = verify.store_conformance(db, "chatapp")[1]
            named = {row[1] for check in checks if not check.passed for row in check.sample}
            counts["tried"] += len(lot)
            counts["callctl"] += sum(mutation.whole_name in named for mutation in lot)
            assert seen == right, "the document sees callctl's own schema: then each must be tried by itself"
    return counts


def main() -> None:
    """Print the score, and save it where a file is named."""
    parser = argparse.ArgumentParser(prog="./dev bench mutations", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="write what was measured to a result file")
    options = parser.parse_args()
    verify.SAMPLE = 10_000  # a lot is named as a whole
    with start_server() as server:
        with psycopg.connect(server.url("postgres")) as connection:
            version = str(connection.info.server_version // 10000)
        scores = score(Migrated(server))
    content = {"kind": "mutations", **saved.describe(Path(sys.executable), {"postgresql": version}), "scores": scores}
    for kind, counts in scores.items():
        print(kind, counts)
    if options.save:
        saved.save(options.save, content)


if __name__ == "__main__":
    main()
