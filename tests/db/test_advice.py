"""The commands that a failing check advises are run, as verify prints them: verify passes after them."""

from __future__ import annotations

import re

import pytest
from tests.conftest import connect
from tests.db.conftest import Callctl
from tests.db.migration.checks.test_invariants import BREAKAGES, COMMAND, FULL, NO_STATEMENT
from tests.support.db.migrated import SETTLE

from callctl.config.settings import Settings
from callctl.migration.checks.verify import verify

COMMANDS = re.compile(
    r"\b(migrate down --to \d+|migrate up|(?<=and )up\b|(?<=then )up\b|loadtest --clean|settings init"
    r"|companies disable --without-flag|seed-models"
    r"|migrate adopt --changed-records)"
)


def commands(advice: str) -> list[list[str]]:
    """The commands of callctl in an advice, in order, as they would be typed."""
    return [["migrate", "up"] if each == "up" else each.split() for each in COMMANDS.findall(advice)]


def test_the_commands_of_an_advice() -> None:
    assert commands("callctl migrate down --to 4, then callctl migrate up: it loses nothing") == [
        ["migrate", "down", "--to", "4"],
        ["migrate", "up"],
    ]
    assert commands("run callctl migrate down --to 7, then up, for it") == [
        ["migrate", "down", "--to", "7"],
        ["migrate", "up"],
    ]


@pytest.mark.parametrize("check", [check for check, reason in NO_STATEMENT.items() if reason == COMMAND])
@pytest.mark.applied
def test_the_commands_end_in_a_passing_verify(documented: str, callctl: Callctl, check: str) -> None:
    breakage = next(each for each in BREAKAGES[check] if each.state == FULL)
    with connect(documented) as db:
        db.execute(SETTLE)
        db.execute(breakage.sql.encode())
    settings = Settings(database_url=documented)
    with connect(documented) as db:
        failing = [found for found in verify(db, settings).checks if not found.passed and not found.warns]
    assert check in {found.id for found in failing}
    said = []
    for found in failing:
        for each in found.mends:
            if each.endswith(";"):
                with connect(documented) as db:
                    db.execute(each.replace(" CONCURRENTLY", "").encode())
    for words in commands(next(found.mends[0] for found in failing if found.id == check)):
        code, out, err = callctl(documented, *words, *([] if "--clean" in words else ["--yes"]))
        said.append((words, code, out, err))
    with connect(documented) as db:
        left = [
            (found.id, found.sample) for found in verify(db, settings).checks if not found.passed and not found.warns
        ]
    assert left == [], said
