"""The dangers of a statement on a live database, under stable ids, and what to run instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callctl.forecast.locks import Mode

if TYPE_CHECKING:
    from callctl.forecast.outlook import Line, Transaction


@dataclass(frozen=True)
class Hazard:
    """A danger by its id, which stays the same from version to version.

    ``danger`` says what happens, ``instead`` what to run. ``bad`` is an example that has it, ``good`` the same work
    without it; both are tests. ``found`` tells whether a line has it, in its transaction.
    """

    id: str
    danger: str
    instead: str
    bad: str
    good: str
    found: Callable[[Transaction, Line], bool]


def hazards_of(transaction: Transaction, line: Line) -> Iterator[Hazard]:
    """The hazards of one statement. A table that no client uses yet has none."""
    if line.weight == "shown":
        yield from (hazard for hazard in HAZARDS if hazard.found(transaction, line))


def _rewrites(transaction: Transaction, line: Line) -> bool:
    return bool(line.effects.rewrites)


def _reads_behind_lock(transaction: Transaction, line: Line) -> bool:
    return not _adds_key(transaction, line) and any(mode.blocks_writes for _, mode in line.effects.reads)


def _adds_key(transaction: Transaction, line: Line) -> bool:
    return "add foreign key" in line.effects.kinds


def _builds_behind_lock(transaction: Transaction, line: Line) -> bool:
    return any(line.effects.locks.get((name, Mode.SHARE)) for name in line.effects.builds)


def _breaks(transaction: Transaction, line: Line) -> bool:
    return bool(line.effects.drops)


def _keeps_locks(transaction: Transaction, line: Line) -> bool:
    """Whether rows are read or written while an earlier statement's lock is held."""
    if len(transaction.lines) == 1 or not (line.work.bytes_read or line.effects.writes or line.effects.rewrites):
        return False
    before = transaction.lines[: transaction.lines.index(line)]
    return any(mode.blocks_writes for each in before if each.weight == "shown" for _, mode in each.effects.locks)


def _writes_every_row(transaction: Transaction, line: Line) -> bool:
    return bool(line.effects.every_row)


def _cannot_be_inside(transaction: Transaction, line: Line) -> bool:
    return not transaction.alone and bool(
        {"create index concurrently", "drop index concurrently", "vacuum", "vacuum full"} & set(line.effects.kinds)
    )


def _unknown(transaction: Transaction, line: Line) -> bool:
    return bool(line.effects.unknown)


HAZARDS: tuple[Hazard, ...] = (
    Hazard(
        "table-rewrite",
        "the whole table is written again, and reads and writes wait until that has ended",
        "add the column without the default, set the default, fill the rows in batches",
        "ALTER TABLE chatapp.users ADD COLUMN token uuid DEFAULT gen_random_uuid();",
        "ALTER TABLE chatapp.users ADD COLUMN token uuid;\n"
        "ALTER TABLE chatapp.users ALTER COLUMN token SET DEFAULT gen_random_uuid();",
        _rewrites,
    ),
    Hazard(
        "read-behind-lock",
        "every row is read while reads and writes wait",
        "add the constraint NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own",
        "ALTER TABLE chatapp.users ADD CONSTRAINT users_avatar CHECK (avatar_url <> '');",
        "ALTER TABLE chatapp.users ADD CONSTRAINT users_avatar CHECK (avatar_url <> '') NOT VALID;\n"
        "ALTER TABLE chatapp.users VALIDATE CONSTRAINT users_avatar;",
        _reads_behind_lock,
    ),
    Hazard(
        "foreign-key-at-once",
        "every row is compared while the writers of both tables wait",
        "add the foreign key NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own",
        "ALTER TABLE chatapp.users ADD CONSTRAINT users_company FOREIGN KEY (company_id)"
        " REFERENCES chatapp.companies (id);",
        "ALTER TABLE chatapp.users ADD CONSTRAINT users_company FOREIGN KEY (company_id)"
        " REFERENCES chatapp.companies (id) NOT VALID;\n"
        "ALTER TABLE chatapp.users VALIDATE CONSTRAINT users_company;",
        _adds_key,
    ),
    Hazard(
        "index-behind-lock",
        "the index is built while writers wait",
        "use CREATE INDEX CONCURRENTLY, outside of a transaction",
        "CREATE INDEX users_avatar ON chatapp.users (avatar_url);",
        "CREATE INDEX CONCURRENTLY users_avatar ON chatapp.users (avatar_url);",
        _builds_behind_lock,
    ),
    Hazard(
        "breaks-code",
        "code that still names it fails from then on",
        "deploy code that does not name it first",
        "ALTER TABLE chatapp.users DROP COLUMN avatar_url;",
        "ALTER TABLE chatapp.users ALTER COLUMN avatar_url DROP NOT NULL;",
        _breaks,
    ),
    Hazard(
        "lock-kept",
        "clients wait behind an earlier lock of the same transaction while these rows are read or written",
        "commit first",
        "BEGIN;\nALTER TABLE chatapp.users ADD COLUMN nickname text;\n"
        "UPDATE chatapp.companies SET settings = settings;\nCOMMIT;",
        "ALTER TABLE chatapp.users ADD COLUMN nickname text;\nUPDATE chatapp.companies SET settings = settings;",
        _keeps_locks,
    ),
    Hazard(
        "every-row-at-once",
        "each row stays locked from when it is written to the end of the transaction, and its other writers wait",
        "write some thousand rows at a time, by ranges of the key, and commit after each",
        "UPDATE chatapp.companies SET settings = settings;",
        "UPDATE chatapp.companies SET settings = settings\n"
        "WHERE id >= '00000000-0000-0000-0000-000000000000' AND id < '04000000-0000-0000-0000-000000000000';",
        _writes_every_row,
    ),
    Hazard(
        "not-in-a-transaction",
        "PostgreSQL refuses this statement in a transaction",
        "run it before BEGIN, or after COMMIT",
        "BEGIN;\nCREATE INDEX CONCURRENTLY users_avatar ON chatapp.users (avatar_url);\nCOMMIT;",
        "CREATE INDEX CONCURRENTLY users_avatar ON chatapp.users (avatar_url);",
        _cannot_be_inside,
    ),
    Hazard(
        "not-known",
        "what is locked is known only when it runs",
        "read it, and run it on a copy first",
        "DO $$ BEGIN EXECUTE 'TRUNCATE chatapp.users'; END $$;",
        "ALTER TABLE chatapp.users ADD COLUMN nickname text;",
        _unknown,
    ),
)
"""The hazards, in the order in which a line shows them."""
