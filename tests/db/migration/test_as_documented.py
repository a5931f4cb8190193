"""The document's own DDL and callctl's steps leave the same catalog, but for what docs/explanation/as-documented.md names."""

# ruff: noqa: E501

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import MakeDatabase, connect
from tests.support.db import snapshot

from callctl.config.settings import Settings
from callctl.migration import migrate

SUPPORT = Path(__file__).parents[2] / "support" / "db"
PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "as-documented.md"


def named() -> set[str]:
    """The objects that the page says callctl adds."""
    return set(re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE))


def test_the_steps_leave_what_the_document_leaves(database: MakeDatabase) -> None:
    by_document, by_callctl = database("documented"), database("documented")
    with connect(by_document) as one, connect(by_callctl) as other:
        one.execute((SUPPORT / "specification.sql").read_bytes())
        migrate.up(Settings(database_url=by_callctl))
        document, steps = snapshot.take(one).catalog, snapshot.take(other).catalog
    assert len(steps) > 900
    # The rows of the catalog say the same again, an object at a time.
    facts = [fact for fact in {*document, *steps} if not fact[0].startswith("row of ")]
    differing = {fact[0] for fact in facts if document.get(fact) != steps.get(fact)}
    assert differing == named()
    assert [fact for fact in document if fact[0] in named()] == [], "an object that both make differs"
