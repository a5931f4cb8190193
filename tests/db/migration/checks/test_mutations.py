"""Break every object that the steps leave, and every attribute of it, one at a time: verify fails and names it.

What there is to break is read off the catalog of a migrated database (mutations.py), not off callctl: an object that
comes in without a check fails here. Nothing is copied: each mutation is a transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest
from tests.conftest import SEED, THOROUGH, connect
from tests.db.migration.checks.test_invariants import advised
from tests.support.db import contract_writer
from tests.support.db.migrated import Migrated, State, connection_to
from tests.support.db.mutations import (
    ADDED,
    NEW_TABLES,
    TUNED,
    Connection,
    Mutation,
    broken_guards,
    broken_objects,
    broken_store,
)

from callctl.config.settings import Settings
from callctl.errors import Refused
from callctl.migration import migrate
from callctl.migration.checks import verify
from callctl.migration.checks.verify import CheckResult, Report, examine
from callctl.sandbox.server import Server

pytestmark = pytest.mark.one_server

SUPPORT = Path(__file__).parents[3] / "support" / "db"
PARTS = 6
ONE_IN = 1 if THOROUGH else 5  # of the attributes, which all go through the same comparison
FULL = State("documented")
DEPLOYED = State("deployed")
EXPANDED = State("documented", deferred=True)
KINDS = ("table", "column", "constraint", "index", "trigger", "function")
# On the other databases only what is not the same there: what carries a name that differs, or is made only there.
# Without one of them callctl refuses the schema as somebody else's.
RECOGNISED_BY = ("callctl.history", "callctl.installation", "callctl.definition")
# Of these verify reads rows before it compares anything.
READ_FIRST = ("callctl.history", "callctl.installation", "callctl.made")
OF_PLATFORM_TABLES = ("column", "index", "trigger", "function")


def fast(db: Connection) -> Report:
    """The catalog's part of verify."""
    return examine(db, Settings(), fast=True)


def outcome(db: Connection, mutation: Mutation) -> str | None:
    """None where verify fails and says the object's name; else what is wrong with that."""
    with db.transaction(force_rollback=True):
        db.execute(mutation.sql.encode())
        try:
            report = fast(db)
        except Refused as refused:
            return None if mutation.object in str(refused) else f"{mutation.id}: refused: {refused}"
        failing = [check for check in report.checks if not check.passed and not check.warns]
    if not failing or report.passed:
        return f"{mutation.id}: missed"
    if not any(mutation.object in f"{check.sample} {check.error}" for check in failing):
        return f"{mutation.id}: failed without naming it: {failing[0]}"
    return None


def outcomes(migrated: Migrated, state: State, mutations: list[Mutation]) -> list[str]:
    """What went wrong."""
    assert mutations, "nothing to break"
    with connection_to(migrated.url(state)) as db:
        assert fast(db).passed
        return [problem for mutation in mutations if (problem := outcome(db, mutation)) is not None]


def of_state(migrated: Migrated, state: State) -> list[Mutation]:
    """Every mutation of what up has made here."""
    with connection_to(migrated.url(state)) as db:
        return list(broken_objects(db, migrated.before(state)))


def sampled(mutations: list[Mutation]) -> list[Mutation]:
    """One in so many, or all of them when thorough."""
    return mutations[SEED % ONE_IN :: ONE_IN]


@pytest.mark.parametrize("part", range(PARTS))
def test_every_attribute_of_every_object(migrated: Migrated, part: int) -> None:
    mutations = of_state(migrated, FULL)
    assert {mutation.kind for mutation in mutations} == set(KINDS)
    assert len(mutations) > 1000
    assert outcomes(migrated, FULL, sampled(mutations[part::PARTS])) == []


GUARDS = {
    "orphan": {"calls-orphans", "transcripts-orphans", "accounts-orphans"},
    "triggers off": {"foreign-keys-watched"},
    "eats writes": {"store-writes", "writes-kept", "additions-swallow"},
    "laid open": {"secrets-closed", "secrets-owned"},
    "added": {"store-additions"},
    "sequence behind": {"store-sequences"},
    "sessions": {"sessions-checked", "sessions-write"},
}


@pytest.mark.parametrize("kind", GUARDS)
def test_what_lets_wrong_rows_in_or_lays_secrets_open(migrated: Migrated, kind: str) -> None:
    """The check that speaks of the kind fails and names the object, beside whatever else fails."""
    missed: list[str] = []
    with connection_to(migrated.url(FULL)) as db:
        mutations = [mutation for mutation in broken_guards(db) if mutation.kind == kind]
        assert len(mutations) >= 7
        for mutation in sampled(mutations):
            with db.transaction(force_rollback=True):
                db.execute(mutation.sql.encode())
                report = examine(db, Settings(), fast=kind != "orphan")
            failing = [check for check in report.checks if not check.passed and check.id in GUARDS[kind]]
            text = f"{[check.columns for check in failing]} {[(check.sample, check.mends) for check in failing]}"
            if report.passed or mutation.object not in text:
                missed.append(f"{mutation.id}: {mutation.sql}: {text}")
    assert missed == []


def test_where_the_database_names_things_otherwise(migrated: Migrated) -> None:
    """The deployed baseline: the tables that are not new, and the function that callctl made there."""
    mutations = of_state(migrated, DEPLOYED)
    chosen = [mutation for mutation in mutations if mutation.kind in OF_PLATFORM_TABLES and not mutation.on(NEW_TABLES)]
    assert {"idx_ai_models_model_type", "update_updated_at_column", "audio_cost_per_second_input"} <= {
        mutation.object for mutation in chosen
    }
    assert outcomes(migrated, DEPLOYED, sampled(chosen)) == []


def test_while_the_drops_wait(migrated: Migrated) -> None:
    """The triggers and functions that keep type and flags in step, and the type columns themselves."""
    kept = [
        Mutation("column", "chatbottype", change, sql.format(table=table))
        for table in ("chatbots", "chatbot_packages")
        for change, sql in (
            ("gone", "ALTER TABLE chatapp.{table} DROP COLUMN chatbotType CASCADE"),
            ("renamed", "ALTER TABLE chatapp.{table} RENAME COLUMN chatbotType TO renamed"),
        )
    ]
    mutations = [mutation for mutation in of_state(migrated, EXPANDED) if "sync" in mutation.object]
    assert {mutation.kind for mutation in mutations} == {"trigger", "function"}
    assert outcomes(migrated, EXPANDED, [*kept, *sampled(mutations)]) == []


def test_what_must_be_gone(migrated: Migrated) -> None:
    back = [
        Mutation("column", "chatbottype", "back", "ALTER TABLE chatapp.chatbots ADD COLUMN chatbotType text"),
        Mutation(
            "function",
            "sync_chatbots",
            "back",
            "CREATE FUNCTION callctl.sync_chatbots() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        ),
        Mutation(
            "trigger",
            "zzz_callctl_sync_2_flags",
            "back",
            "CREATE TRIGGER zzz_callctl_sync_2_flags BEFORE UPDATE ON chatapp.chatbots"
            " FOR EACH ROW EXECUTE FUNCTION chatapp.update_updated_at_column()",
        ),
    ]
    assert outcomes(migrated, FULL, back) == []


def test_the_platforms_own_function_must_do_its_work(migrated: Migrated) -> None:
    """It was found, so its text is the platform's; but the new tables rely on what it does."""
    broken = "CREATE OR REPLACE FUNCTION chatapp.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS '{}'"
    with connection_to(migrated.url(FULL)) as db:
        mutation = Mutation("function", "update_updated_at_column", "empty", broken.format("BEGIN RETURN NEW; END"))
        assert outcome(db, mutation) is None
        db.execute(broken.format("BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END"))
        assert fast(db).passed


def of_the_store(db: Connection) -> Sequence[CheckResult]:
    """What verify says of callctl's own schema."""
    return [check for check in fast(db).checks if check.id.startswith("store-")]


def compared(db: Connection) -> Sequence[CheckResult]:
    """The same without what verify reads first: much quicker."""
    return verify.store_conformance(db, "chatapp")[1]


def test_every_attribute_of_callctls_own_schema(migrated: Migrated, monkeypatch: pytest.MonkeyPatch) -> None:
    """A way back relies on each of them. A lot at a time: each of it must be named.

    A sample of the lots, but always those that break what verify reads before it compares anything.
    """
    monkeypatch.setattr(verify, "SAMPLE", 10_000)
    missed: list[str] = []
    tried = 0
    with connection_to(migrated.url(FULL)) as db:
        assert not [check for check in (*of_the_store(db), *compared(db)) if not check.passed]
        for number, lot in enumerate(broken_store(db)):
            tried += len(lot)
            if (number + SEED) % ONE_IN and not any(
                mutation.kind == "table" and mutation.relation in (*RECOGNISED_BY, *READ_FIRST) for mutation in lot
            ):
                continue
            alone = [mutation for mutation in lot if mutation.kind == "table" and mutation.relation in RECOGNISED_BY]
            missed += [problem for mutation in alone if (problem := outcome(db, mutation)) is not None]
            read = [
                mutation
                for mutation in lot
                if mutation.relation in READ_FIRST and mutation.change == "gone" and mutation not in alone
            ]
            for together, judged in (
                (read, of_the_store),
                ([mutation for mutation in lot if mutation not in alone], compared),
            ):
                with db.transaction(force_rollback=True):
                    for mutation in together:
                        db.execute(mutation.sql.encode())
                    failed = [check for check in judged(db) if not check.passed and not check.warns] if together else []
                named = {row[1] for check in failed for row in check.sample}
                missed += [
                    f"{mutation.id} ({mutation.sql})" for mutation in together if mutation.whole_name not in named
                ]
        # Each by itself: who owns most of it is taken for its owner.
        for mutation in sampled(
            [mutation for mutation in broken_objects(db, frozenset(), "callctl") if mutation.change == "owner"]
        ):
            with db.transaction(force_rollback=True):
                db.execute(mutation.sql.encode())
                named = {row[1] for check in compared(db) if not check.passed for row in check.sample}
            missed += [mutation.id] if named != {mutation.whole_name} else []
    assert missed == []
    assert tried > 1000


def test_a_damaged_schema_of_callctls_own(migrated: Migrated) -> None:
    """What verify itself reads first is damaged: that is the answer, and no error of the server's."""
    with connection_to(migrated.url(FULL)) as db:
        db.execute("ALTER TABLE callctl.history RENAME COLUMN finished_at TO ended_at")
        report = fast(db)
    assert report.steps == ()
    added, failed = (check for check in report.checks if not check.passed)
    assert (added.id, failed.id) == ("store-additions", "store-tables")
    assert added.mends[0] == "ALTER TABLE callctl.history RENAME COLUMN ended_at TO finished_at;"
    assert "column callctl.history.finished_at" in [row[1] for row in failed.sample]
    assert not report.passed


def test_migrate_up_puts_callctls_own_schema_right(migrated: Migrated) -> None:
    """Where no step is pending, too: after an upgrade of callctl, or after damage."""
    url = migrated.url(FULL)
    with connect(url) as db:
        db.execute("DROP TABLE callctl.load_test; DROP FUNCTION callctl.call_flag_before(jsonb)")
        assert {check.id for check in of_the_store(db) if not check.passed} == {"store-tables", "store-functions"}
        read_only = f"{url}{'&' if '?' in url else '?'}options=-cdefault_transaction_read_only%3Don"
        assert migrate.up(Settings(database_url=read_only)).steps == ()  # as on a standby: nothing is to be done there
        assert not fast(db).passed
        assert migrate.up(Settings(database_url=url)).steps == ()
        assert [check for check in fast(db).checks if not check.passed] == []


@pytest.mark.parametrize("sql", TUNED)
def test_tuning_is_no_offence(migrated: Migrated, sql: str) -> None:
    with connection_to(migrated.url(FULL)) as db:
        db.execute(sql.encode())
        assert [check for check in fast(db).checks if not check.passed] == []


@pytest.mark.parametrize("kind", ADDED)
def test_what_others_put_there_is_named(migrated: Migrated, kind: str) -> None:
    with connection_to(migrated.url(FULL)) as db:
        db.execute(ADDED[kind].encode())
        report = fast(db)
        assert report.passed
        (warning,) = (check for check in report.checks if not check.passed)
        assert warning.id == "additions"
        assert any("extra" in str(row) and kind in str(row) for row in warning.sample)


def test_the_contract_is_what_the_steps_leave(server: Server) -> None:
    """./dev contract writes it anew."""
    assert sorted(contract_writer.stale(server)) == []


def test_what_is_said_to_mend_mends(migrated: Migrated) -> None:
    """A statement that the report gives is right: with all of them run, nothing is wrong any more."""
    mended = set()
    with connection_to(migrated.url(FULL)) as db:
        for mutation in [
            candidate for candidate in of_state(migrated, FULL) if candidate.kind not in ("table", "column")
        ][::12]:
            with db.transaction(force_rollback=True):
                db.execute(mutation.sql.encode())
                report = fast(db)
                failing = [check for check in report.checks if not check.passed and not check.warns]
                if not all("statement" in check.columns or check.mends[0].endswith(";") for check in failing):
                    continue  # a command of callctl's own, or nothing
                given = advised(report)
                for statement in given:
                    db.execute(statement.replace(" CONCURRENTLY", "").encode())
                assert fast(db).passed, (mutation, given)
                mended.add(mutation.kind)
    assert mended == {"constraint", "index", "trigger"}


OF_THE_STORE = {
    "table": (
        "row security", "row security forced", "owner", "no INSERT", "no DELETE", "unlogged", "replica identity",
        "inherits",
    ),
    "column": ("numbers: MAXVALUE 1000000", "numbers: CYCLE", "renamed"),
    "constraint": ("renamed",),
    "function": ("owner", "no EXECUTE"),
}  # fmt: skip
ADVISED = ("added", "laid open", "sequence behind")


def test_what_is_said_to_mend_callctls_own_schema_mends(migrated: Migrated) -> None:
    """In the order of the report: what has to be dropped first is named first."""
    with connection_to(migrated.url(FULL)) as db:
        broken = [
            candidate
            for candidate in broken_objects(db, frozenset(), "callctl")
            if candidate.change in OF_THE_STORE.get(candidate.kind, ()) and candidate.relation not in RECOGNISED_BY
        ]
        kinds = {candidate.kind for candidate in broken}
        chosen = [
            candidate
            for kind in sorted(kinds)
            for candidate in [candidate for candidate in broken if candidate.kind == kind][:: 7 if THOROUGH else 14]
        ]
        guards = [
            candidate
            for candidate in broken_guards(db)
            if candidate.kind in ADVISED and "OVERRIDING" not in candidate.sql
        ]
        chosen += sampled(guards)
        assert kinds == set(OF_THE_STORE)
        unmended: list[object] = []
        for mutation in chosen:
            with db.transaction(force_rollback=True):
                db.execute(mutation.sql.encode())
                given = advised(fast(db))
                try:
                    for statement in given:
                        db.execute(statement.encode())
                except psycopg.Error as error:
                    unmended.append((mutation.id, given, str(error)))
                    continue
                unmended += [
                    (mutation.id, given, result.id, result.sample)
                    for result in fast(db).checks
                    if not result.passed and not result.warns
                ]
    assert unmended == [], "\n".join(map(str, unmended))


def test_a_database_that_was_dumped_and_restored(migrated: Migrated) -> None:
    """Everything made again from what PostgreSQL prints of it, as pg_dump does: nothing has changed."""
    with connection_to(migrated.url(FULL)) as db:
        db.execute((SUPPORT / "make_again.sql").read_bytes())
        assert [check for check in fast(db).checks if not check.passed] == []
