"""The way out where there is no callctl: psql runs the same files to the same end, and callctl goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from tests.conftest import MakeDatabase, connect
from tests.support.db.snapshot import (
    Snapshot,
    Table,
    assert_same,
    assert_same_catalog,
    row_differences,
    take,
    touched_columns,
)
from tests.support.steps import LAST

from callctl.config.settings import Settings
from callctl.database.programs import find_binaries
from callctl.files import sql_names, sql_root
from callctl.migration import adoption, migrate
from callctl.migration.checks.verify import verify
from callctl.migration.steps.numbered import Step, all_steps, parts


def psql(url: str, *files: str) -> None:
    """Run files of sql/ with psql, stopping at the first error."""
    binaries = find_binaries()
    program = binaries.bin / "psql"
    assert program.exists(), f"no psql in {binaries.bin}: these tests need it"
    named = [argument for file in files for argument in ("-f", str(sql_root() / file))]
    done = subprocess.run(
        [str(program), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, *named],
        env=binaries.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def files_of(steps: Sequence[Step]) -> list[str]:
    """What an operator runs: callctl's store, then each step's own file between those beside it."""
    return [*sql_names("store"), "store_keys.sql", *(name for step in steps for name in parts(step.directory, "up"))]


def run_all(url: str) -> None:
    """The store, then every step in order."""
    psql(url, *files_of(all_steps()))


def by_name(models: Table, known: Table) -> dict[str, dict[str, str | None]]:
    """Models by name, without what differs from run to run: a new row's id and times."""
    return {
        str(row["model_name"]): {
            name: value for name, value in row.items() if key in known or name not in ("id", "created_at", "updated_at")
        }
        for key, row in models.items()
    }


def without_models(look: Snapshot) -> dict[str, Table]:
    """The other tables."""
    return {name: rows for name, rows in look.rows.items() if name != "chatapp.ai_models"}


def test_psql_ends_where_callctl_ends(database: MakeDatabase) -> None:
    """Catalog and rows are the same, apart from generated ids and timestamps."""
    by_callctl, by_psql = database("documented"), database("documented")
    with connect(by_callctl) as one, connect(by_psql) as other:
        first = take(one)
        assert_same(first, take(other))
        migrate.up(Settings(database_url=by_callctl))
        run_all(by_psql)
        right, found = take(one), take(other)
        assert_same_catalog(right, found)
        assert row_differences(without_models(right), without_models(found), touched_columns(first)) == []
        known = first.table("ai_models")
        assert by_name(right.table("ai_models"), known) == by_name(found.table("ai_models"), known)


def test_what_psql_did_is_adopted_and_goes_back(database: MakeDatabase) -> None:
    """adopt records all steps, verify passes, and down loses nothing."""
    url = database("documented")
    settings = Settings(database_url=url)
    with connect(url, prepare_threshold=None) as db:
        first = take(db)
        run_all(url)
        assert [step.adopted for step in adoption.adopt(settings)] == [True] * LAST
        status = migrate.status(db, settings)
        assert [(step.applied, step.adopted) for step in status.steps] == [(True, True)] * LAST
        assert verify(db, settings).passed
        assert migrate.up(settings).steps == ()
        migrate.down(settings, to=0)
        assert_same(first, take(db), touched_columns(first))


def test_psql_may_run_twice(database: MakeDatabase) -> None:
    """Every file up to step 4 may run again by hand after it was cut short; so may the store."""
    url = database("documented")
    files = files_of(all_steps()[:4])
    with connect(url) as db:
        psql(url, *sql_names("store"), *files)
        once = take(db)
        psql(url, *files)
        assert_same(once, take(db), touched_columns(once))


def test_callctl_goes_on_where_psql_stopped(database: MakeDatabase) -> None:
    """Some steps by psql, adopted; the rest by callctl; and back."""
    url = database("documented")
    settings = Settings(database_url=url)
    with connect(url, prepare_threshold=None) as db:
        first = take(db)
        psql(url, *files_of(all_steps()[:6]))
        adopted = [step.number for step in adoption.adopt(settings) if step.adopted]
        assert adopted == [1, 2, 3, 4, 5, 6]
        assert [step.number for step in migrate.up(settings).steps] == list(range(7, LAST + 1))
        migrate.down(settings, to=0)
        assert_same(first, take(db), touched_columns(first))
