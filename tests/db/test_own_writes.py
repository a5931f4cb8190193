"""A rule or a trigger of others on callctl's own tables: a run refuses, or stops, and names it."""

from __future__ import annotations

from functools import partial

import pytest
from tests.conftest import connect
from tests.db.conftest import Callctl
from tests.support.db.snapshot import take
from tests.support.steps import LAST

from callctl.config.settings import Settings
from callctl.database import store
from callctl.errors import StepFailed
from callctl.migration import migrate

# It is about triggers that are the same on each major.
pytestmark = pytest.mark.one_server

TABLES = ("history", "checkpoint", "saved_value", "definition", "made", "saved_row", "installation")
EATS = (
    "CREATE FUNCTION public.eats() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    " CREATE TRIGGER eats BEFORE INSERT ON callctl.{0} FOR EACH ROW EXECUTE FUNCTION public.eats()"
)
RULE = "CREATE RULE eats AS ON INSERT TO callctl.{0} DO INSTEAD NOTHING"


@pytest.mark.parametrize("what", ["rule", "trigger"])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.applied
def test_a_run_refuses_before_it_changes_anything(documented: str, callctl: Callctl, table: str, what: str) -> None:
    with connect(documented) as db:
        db.execute((RULE if what == "rule" else EATS).format(table).encode())
        before = take(db)
    code, out, err = callctl(documented, "migrate", "down", "--all", "--yes")
    said = " ".join((out + err).split())
    assert code == 3, said
    assert f"{what} eats on callctl.{table}" in said
    assert f"DROP {what.upper()} eats ON callctl.{table};" in said
    assert "taken back" not in said
    with connect(documented) as db:
        assert take(db) == before
        db.execute(f"DROP {what} eats ON callctl.{table}".encode())
    assert len(migrate.down(Settings(database_url=documented), to=0).steps) == LAST


@pytest.mark.applied
def test_what_comes_in_the_middle_of_a_run_stops_it(documented: str) -> None:
    """The history row and the checkpoint are looked at where they are stored, whatever was there when the run began."""
    reached = store.Checkpoint(1, True, 0)
    for table, swallow in (
        ("history", "BEFORE INSERT"),
        ("history", "AFTER INSERT"),
        ("checkpoint", "BEFORE DELETE"),
        ("checkpoint", "BEFORE INSERT"),
    ):
        with connect(documented) as db, db.transaction(force_rollback=True):
            row = db.execute("SELECT clock_timestamp()").fetchone()
            assert row is not None
            if swallow == "BEFORE DELETE":
                store.checkpoint(db, 13, "down", "x", reached)
            db.execute(
                "CREATE FUNCTION public.eats() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " IF TG_WHEN = 'AFTER' THEN DELETE FROM callctl.history WHERE id = NEW.id; END IF; RETURN NULL; END $$;"
                f"CREATE TRIGGER eats {swallow} ON callctl.{table} FOR EACH ROW EXECUTE FUNCTION public.eats()".encode()
            )
            write = (
                partial(store.checkpoint, db, 13, "down", "x", reached)
                if (table, swallow) == ("checkpoint", "BEFORE INSERT")
                else partial(store.record, db, 13, "down", "x", "x", row[0])
            )
            with pytest.raises(StepFailed, match=rf"callctl\.{table} does not hold .* as callctl wrote it"):
                write()
