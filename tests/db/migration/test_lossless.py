"""Up, and back, and up again: nothing is lost, on any database the generator can think of.

The proof compares with copies taken by the tests themselves. CALLCTL_TEST_PROFILE=thorough runs many more
examples, other ones each time, and shrinks what fails; the default is the same few each time, and every second one of
the long lists: CALLCTL_TEST_SEED=1 takes the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import Any, TypeVar

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, example, given, note, seed
from hypothesis import settings as profile
from hypothesis import strategies as st
from tests.conftest import SEED, MakeDatabase, connect
from tests.support.db.application import NewApplication, OldApplication
from tests.support.db.before import DEPLOYED, DOCUMENTED, Before, befores
from tests.support.db.before_rows import build
from tests.support.db.expectation import NEW_TABLES, Again, Down, flags, flags_of_type, plain, settings
from tests.support.db.snapshot import (
    Snapshot,
    assert_same,
    assert_same_catalog,
    catalog_differences,
    row_differences,
    take,
    touched_columns,
)
from tests.support.steps import LAST

from callctl.config.settings import Settings
from callctl.migration import migrate
from callctl.migration.checks.verify import verify
from callctl.sandbox.lifecycle import BASELINES

THOROUGH = os.environ.get("CALLCTL_TEST_PROFILE") == "thorough"


Property = TypeVar("Property", bound=Callable[..., None])


def examples(count: int, many: int) -> Callable[[Property], Property]:
    """Run a property on ``count`` examples, others with the next CALLCTL_TEST_SEED; on ``many`` when thorough."""
    chosen = profile(
        max_examples=many if THOROUGH else count,
        derandomize=not THOROUGH,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, *([Phase.shrink] if THOROUGH else [])),
        suppress_health_check=list(HealthCheck),
        print_blob=THOROUGH,
    )
    return chosen if THOROUGH or not SEED else lambda test: chosen(seed(SEED)(test))


def one_of(several: int, *rows: tuple[Any, ...]) -> Callable[[Property], Property]:
    """Explicit examples: all when thorough, else one of so many, the next ones with the next CALLCTL_TEST_SEED."""

    def with_examples(test: Property) -> Property:
        for row in rows if THOROUGH else rows[SEED % several :: several]:
            test = example(*row)(test)
        return test

    return with_examples


class Subject:
    """One before-database, and how to work on it."""

    def __init__(self, db: psycopg.Connection[Any], url: str, before: Before) -> None:
        self.db = db
        self.before = before
        self.settings = Settings(database_url=url, schema=before.schema, batch_size=5)

    def up(self, to: int | None = None, *, defer_drops: bool = False) -> None:
        """Apply the steps."""
        migrate.up(self.settings, to=to, defer_drops=defer_drops)

    def down(self, to: int = 0, *, through_shadow: bool | None = None) -> None:
        """Take them back."""
        migrate.down(self.settings, to=to, through_shadow=through_shadow)

    def applied(self) -> tuple[int, ...]:
        """The applied steps."""
        return migrate.status(self.db, self.settings).applied

    def look(self) -> Snapshot:
        """How it stands."""
        return take(self.db)

    def failing(self) -> set[str]:
        """The checks of verify that fail."""
        return {check.id for check in verify(self.db, self.settings).checks if not check.passed and not check.warns}


@contextmanager
def subject(database: MakeDatabase, before: Before) -> Iterator[Subject]:
    """Build that before-database."""
    url = database(None)
    with connect(url, prepare_threshold=None) as db:
        build(db, before)
        yield Subject(db, url, before)


def touched(before: Before, look: Snapshot) -> set[tuple[str, str]]:
    """The columns that the platform's own triggers write, as snapshots name tables."""
    return {(table, column) for table, column in touched_columns(look)}


def assert_back(before: Before, first: Snapshot, now: Snapshot) -> None:
    """The database is the one before up."""
    assert_same(first, now, touched(before, first))


@one_of(2, (DEPLOYED,), (DOCUMENTED,))
@given(before=befores())
@examples(2, 300)
def test_up_and_down_change_nothing(database: MakeDatabase, before: Before) -> None:
    """Catalog and rows after up, down are those before; and again after a second time."""
    with subject(database, before) as at:
        first = at.look()
        at.up()
        assert at.failing() == set()
        upped = at.look()
        assert_flags_say_the_type(before, first, upped)
        at.down()
        assert_back(before, first, at.look())
        at.up()
        again = at.look()
        ignore = touched(before, first)
        assert_same(upped, again, ignore)
        at.down()
        assert_back(before, first, at.look())


@pytest.mark.one_server
@one_of(2, (DEPLOYED,), (DOCUMENTED,))
@given(before=befores())
@examples(2, 150)
def test_through_a_shadow_column_it_is_the_same(database: MakeDatabase, before: Before) -> None:
    """In any schema, with whatever is on the column; twice. A type without a limit goes back in place."""
    before = replace(before, avatar="varchar(255)" if before.avatar == "varchar(255)" else "varchar(500)")
    with subject(database, before) as at:
        first = at.look()
        for _ in range(2):
            at.up()
            at.down(1)
            at.down(0, through_shadow=True)
            assert_back(before, first, at.look())
            row = at.db.execute("SELECT file FROM callctl.history ORDER BY id DESC LIMIT 1").fetchone()
            assert row == ("steps/01_users_avatar_url/down_shadow.sql",)


def assert_flags_say_the_type(before: Before, first: Snapshot, upped: Snapshot) -> None:
    """L104-131, for every row, deleted ones too."""
    for table in ("chatbots", "chatbot_packages"):
        column = before.type_of(table).name
        said = {key: flags(table, row) for key, row in upped.table(table).items()}
        assert said == {key: flags_of_type(row[column]) for key, row in first.table(table).items()}


def model_key(before: Before) -> str:
    """The key column of ai_models."""
    return "model_id" if before.models == "deployed" else "model_name"


def assert_down(before: Before, first: Snapshot, upped: Snapshot, written: Snapshot, downed: Snapshot) -> None:
    """After a way down: the old schema, old values where nothing newer stands, everything else as written."""
    ignore = touched(before, first)
    assert_same_catalog(first, downed)
    right = Down(before, first, upped, written)
    without = {name: plain(rows, "settings") for name, rows in right.rows().items()}
    found = {name: plain(rows, "settings") for name, rows in downed.rows.items()}
    differences = row_differences(without, found, ignore)
    for (table, key), allowed in right.settings().items():
        is_now = settings(downed.table(table)[key])
        if is_now not in allowed:
            was = settings(first.table(table).get(key))
            written_then = settings(written.table(table)[key])
            differences.append(f"{table} {key}: settings {is_now}, not {allowed}; before {was}, written {written_then}")
    assert not differences, "\n".join(differences)


def assert_again(at: Subject, again: Again, now: Snapshot, ignore: set[tuple[str, str]]) -> None:
    """After another up: what was written in between is back, save where the old application wrote since."""
    differences = row_differences(again.new_tables(), {table: now.table(table) for table in NEW_TABLES})
    for table in ("chatbots", "chatbot_packages"):
        for key, right in again.flags(table).items():
            if flags(table, now.table(table)[key]) != right:
                differences.append(f"{table} {key}: flags {flags(table, now.table(table)[key])}, not {right}")
        superseded = at.db.execute(
            "SELECT row_id::text FROM callctl.saved_value WHERE relation = %s AND field = 'capabilities'"
            " AND superseded_at IS NOT NULL",
            (table,),
        ).fetchall()
        missing = again.outvoted(table) - {row[0] for row in superseded}
        if missing:
            differences.append(f"{table}: the outvoted flags of {missing} are not listed as superseded")
    for table, right_settings in (("companies", again.company), ("chatbots", again.chatbot)):
        for key, row in now.table(table).items():
            expected = right_settings(key)
            if settings(row) != expected:
                looks = (again.written, again.downed, again.old)
                past = [settings(look.table(table).get(key)) for look in looks]
                differences.append(
                    f"{table} {key}: settings {settings(row)}, not {expected}; written, downed, old: {past}"
                )
    key_column = model_key(at.before)
    differences += row_differences(
        {"ai_models": again.models(key_column)},
        {"ai_models": now.table("ai_models")},
        {("ai_models", column) for _, column in ignore},
    )
    for name, rows in again.old.rows.items():
        bare = name.rpartition(".")[2]
        own = name.startswith(f"{at.before.schema}.")
        if own and bare == "ai_models":
            continue
        skipped = [
            "settings",
            *([at.before.type_of(bare).name] if own and bare in ("chatbots", "chatbot_packages") else []),
        ]
        skipped += ["enabled_chat", "enabled_call", "enable_chat", "enable_call"]
        differences += row_differences({name: plain(rows, *skipped)}, {name: plain(now.rows[name], *skipped)}, ignore)
    assert not differences, "\n".join(differences)


@one_of(2, (DEPLOYED, 2), (DOCUMENTED, 1))
@given(before=befores(), seed=st.integers(0, 2**32))
@examples(2, 300)
def test_what_was_written_in_between_is_back(database: MakeDatabase, before: Before, seed: int) -> None:
    """The new application writes, down, the old one writes, up: nothing of either is lost; and down again."""
    with subject(database, before) as at:
        first = at.look()
        ignore = touched(before, first)
        at.up()
        upped = at.look()
        NewApplication(at.db, before, Random(f"new {seed}")).write()
        default = at.db.execute("SELECT callctl.default_call_settings()").fetchone()
        assert default is not None
        written = at.look()
        at.down()
        downed = at.look()
        assert_down(before, first, upped, written, downed)
        OldApplication(at.db, before, Random(f"old {seed}")).write()
        old = at.look()
        at.up()
        made = {key for key in upped.table("ai_models") if key not in first.table("ai_models")}
        now = at.look()
        assert_again(
            at,
            Again(before, written, downed, old, made & set(written.table("ai_models")), default[0]),
            now,
            ignore,
        )
        at.down()
        assert_same_catalog(first, at.look())
        differences = row_differences(old.rows, at.look().rows, ignore)
        assert not differences, "\n".join(differences)


@pytest.mark.one_server
@one_of(2, (DOCUMENTED, 3), (DEPLOYED, 4))
@given(before=befores(), seed=st.integers(0, 2**32))
@examples(2, 150)
def test_up_again_at_once_brings_everything_back(database: MakeDatabase, before: Before, seed: int) -> None:
    """Where the old application wrote nothing meanwhile, down and up are as if they had not been."""
    with subject(database, before) as at:
        at.up()
        NewApplication(at.db, before, Random(f"new {seed}")).write()
        written, failing = at.look(), at.failing()
        at.down()
        at.up()
        assert at.failing() <= failing
        ignore = touched(before, written)
        differences = row_differences(
            {name: plain(rows, "settings") for name, rows in written.rows.items()},
            {name: plain(rows, "settings") for name, rows in at.look().rows.items()},
            ignore,
        )
        assert not differences, "\n".join(differences)
        assert catalog_differences(written, at.look()) == []


@pytest.mark.one_server
@given(before=befores(), chain=st.lists(st.integers(0, LAST), min_size=1, max_size=5))
@examples(2, 150)
def test_any_way_there_is_the_same(database: MakeDatabase, before: Before, chain: list[int]) -> None:
    """up --to N and down --to N, in any order, end where the direct way ends."""
    with subject(database, before) as at:
        first = at.look()
        at.up()
        direct = at.look()
        at.down()
        assert_back(before, first, at.look())
        reached = 0
        for number in chain:
            note(f"{reached} -> {number}")
            if number > reached:
                at.up(number)
            elif number < reached:
                at.down(number)
            reached = number
        if reached < LAST:
            at.up()
        assert_same(direct, at.look(), touched(before, first))
        at.down()
        assert_back(before, first, at.look())


@pytest.mark.parametrize("name", BASELINES)
def test_the_baselines_go_up_and_back(database: MakeDatabase, name: str) -> None:
    """The two before-databases of the sandbox, made by other SQL than the generator's."""
    url = database(name)
    with connect(url, prepare_threshold=None) as db:
        first = take(db)
        run = Settings(database_url=url)
        migrate.up(run)
        migrate.down(run, to=0)
        assert_same(first, take(db), touched_columns(first))
