"""The document's own SQL, as statements and as thirteen steps, and the plan by hand; run as a program, it runs either.

Run: python -m benchmarks.online.document (script|statements) STEPS.json, the database in CALLCTL_DATABASE_URL
"""

from __future__ import annotations

import json
import os
import sys
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests" / "support" / "db" / "specification.sql"

# Of the statements of SOURCE, in order: how many belong to each of the thirteen steps.
STATEMENTS = (1, 1, 1, 7, 1, 1, 2, 2, 6, 10, 4, 3, 2)


def steps() -> list[list[str]]:
    """The statements of each step."""
    from callctl.statements.script import parse_script

    texts = [statement.sql for statement in parse_script(SOURCE.read_text(encoding="utf-8"), SOURCE.name).statements]
    if len(texts) != sum(STATEMENTS):
        raise ValueError(f"{SOURCE.name} has {len(texts)} statements, not {sum(STATEMENTS)}: divide them anew")
    rest = iter(texts)
    return [list(islice(rest, count)) for count in STATEMENTS]


def plan_by_hand() -> list[list[str]]:
    """The statements of the online plan, and the document's own for the steps that make tables and models."""
    own = [step for number, step in enumerate(steps(), start=1) if number in {9, 10, 11, 13}]
    return [_statements("by_hand_batches.sql"), _statements("by_hand.sql"), *own]


def shadow_by_hand() -> list[list[str]]:
    """The statements that take step 1 back through a shadow column, and nothing else."""
    return [_statements("by_hand_batches.sql"), _statements("by_hand_down.sql")]


def _statements(name: str) -> list[str]:
    from callctl.statements.script import parse_script

    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return [statement.sql for statement in parse_script(text, name).statements]


def main(how: str, file: str) -> int:
    """Run all of it, split into statements before: in one transaction, or a transaction a statement."""
    import psycopg

    divided = json.loads(Path(file).read_text(encoding="utf-8"))

    number = 0
    with psycopg.connect(os.environ["CALLCTL_DATABASE_URL"], autocommit=True, application_name=how) as connection:
        if how == "script":
            connection.execute("BEGIN")
        for number, step in enumerate(divided, start=1):
            for statement in step:
                try:
                    connection.execute(statement.encode())
                except psycopg.Error as error:
                    print(f"step {number}: {error}", file=sys.stderr)
                    return 1
        if how == "script":
            connection.execute("COMMIT")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
