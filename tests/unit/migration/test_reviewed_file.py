"""A file that is not a plan is refused in one line, whatever is in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from callctl.errors import ConfigError
from callctl.migration import reviewed
from callctl.migration.reviewed import PlannedStep, ReviewedPlan

FACTS = {"chatapp.users": {"column": {"id": {"type": "uuid", "default": "none"}}}}
PLAN = ReviewedPlan(
    plan=1, callctl="0.1.0", database="platform", schema="chatapp", direction="up", to=None, defer_drops=True,
    atomic=False, truncate_avatars=False, through_shadow=None, new_tables_row_security="inherit",
    steps=(PlannedStep(1, "users_avatar_url", "ab" * 32),), names=(("chatbots", "chatbotType", "chatbot_type"),),
    catalog=FACTS, blockers=("table-names: chatapp.calls is there",),
)  # fmt: skip


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(reviewed.write(PLAN)), **fields})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(reviewed.write(PLAN), encoding="utf-8")
    assert reviewed.read(file) == PLAN
    assert PLAN.wish.defer_drops


NO_PLAN = {
    "": "it is not JSON",
    "[1]": "it is not a plan that callctl wrote",
    "{}": "it is not a plan that callctl wrote",
    "[" * 100_000: "it is not JSON",
    changed(plan=2): "it has format 2, and this callctl reads format 1",
    changed(more=1): "it has an unknown 'more'",
    json.dumps({"plan": 1}): "it has no 'atomic'",
    changed(direction="sideways"): "'direction' is not what callctl writes there",
    changed(to=True): "'to' is not what callctl writes there",
    changed(to="3"): "'to' is not what callctl writes there",
    changed(steps=[{"number": 1, "name": "a", "sha256": None}]): "'steps' is not what callctl writes there",
    changed(steps=[[1]]): "'steps' is not what callctl writes there",
    changed(names=[["a", "b"]]): "'names' is not what callctl writes there",
    changed(catalog={"chatapp.users": {"column": {"id": "uuid"}}}): "'catalog' is not what callctl writes there",
    changed(blockers="none"): "'blockers' is not what callctl writes there",
    changed(atomic=None): "'atomic' is not what callctl writes there",
}


@pytest.mark.parametrize("text", NO_PLAN, ids=range(len(NO_PLAN)))
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        reviewed.read(file)
    assert str(refused.value) == f"{file} cannot be used as a plan: {NO_PLAN[text]}"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    none = tmp_path / "none"
    for path, why in ((tmp_path, "is a directory"), (none, "no such file or directory"), (binary, "it is not UTF-8")):
        with pytest.raises(ConfigError, match=why):
            reviewed.read(path)
