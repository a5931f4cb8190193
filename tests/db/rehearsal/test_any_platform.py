"""A platform of any shape can be rehearsed: other names, types, units, enums, soft deletes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, note
from hypothesis import settings as profile
from tests.conftest import THOROUGH, MakeDatabase, connect
from tests.support.db.before import Before, befores
from tests.support.db.before_rows import build

from callctl.config.settings import Settings
from callctl.rehearsal.rehearse import Options, rehearsed

pytestmark = pytest.mark.one_server


@profile(
    max_examples=25 if THOROUGH else 2,
    derandomize=not THOROUGH,
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(befores())
def test_any_platform_holds(database: MakeDatabase, before: Before) -> None:
    note(str(before))
    url = database(None)
    with connect(url) as db:
        build(db, before)
    with rehearsed(Settings(database_url=url, schema=before.schema), Options(80)) as play:
        result = play(lambda event: None)
    problems = [(stage.name, stage.what, stage.details) for stage in result.stages if stage.result == "did not hold"]
    assert problems == []
    assert [table for table in result.tables if table.problem] == []
