"""What is expected where, and in whose names."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest
from tests.support.steps import ALL, EXPANDED
from tests.support.unit.namings import DEPLOYED, MIXED, OTHER_SCHEMA

from callctl.migration.steps.contract import (
    Expected,
    as_printed,
    differences_sql,
    expectations,
    expected_of,
    own_tables,
    step_check,
)
from callctl.statements.naming import DOCUMENTED, Naming


def by_name(applied: Sequence[int]) -> dict[str, Expected]:
    return {
        f"{expectation.relation} {expectation.kind} {expectation.name}": expectation
        for expectation in expected_of(applied)
    }


def definition(name: str, naming: Naming, applied: Sequence[int] = ALL) -> str:
    """What is expected of one object, as the query carries it."""
    sql = differences_sql(expected_of(applied), naming)
    text = re.search(r"'(\{\"tables\".*\})'::jsonb", sql)
    assert text is not None
    objects = json.loads(text[1].replace("''", "'"))["objects"]
    (entry,) = (item for item in objects if item["name"] == name)
    return str(entry["facts"].get("definition") or entry["facts"].get("body"))


def test_a_later_step_removes_what_an_earlier_one_made() -> None:
    key = "chatapp.chatbots trigger zzz_callctl_sync_2_flags"
    assert key not in by_name([1, 2])
    assert by_name([1, 2, 3])[key].facts
    assert by_name([1, 2, 3, 4, 7, 8])[key].facts
    assert by_name(ALL)[key].facts is None


def test_a_column_whose_drop_waits_is_there() -> None:
    assert by_name([1, 2, 3, 4, 7])["chatapp.chatbots column chatbottype"].facts == {}
    assert by_name(ALL)["chatapp.chatbots column chatbottype"].facts is None


def test_no_check_has_objects_that_come_and_go_in_one_state() -> None:
    for applied in (*(range(1, to + 1) for to in ALL), EXPANDED, sorted({*EXPANDED, 5})):
        expected = expected_of(applied)
        assert len({expectation.key for expectation in expected}) == len(expected)
    assert own_tables(ALL) == ("chatapp.integration_accounts", "chatapp.calls", "chatapp.call_transcripts")
    assert own_tables(range(1, 9)) == ()
    assert {expectation.step for expectation in expectations()} == {0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11}
    assert step_check(8, DOCUMENTED) is None


@pytest.mark.parametrize(
    ("name", "naming", "expected"),
    [
        (
            "idx_chatbots_capabilities",
            DEPLOYED,
            "CREATE INDEX idx_chatbots_capabilities ON chatapp.chatbots USING btree (enabled_chat, enabled_call)"
            " WHERE (deleted_at IS NULL)",
        ),
        (
            "idx_chatbots_capabilities",
            MIXED,
            'CREATE INDEX idx_chatbots_capabilities ON "My App".chatbots USING btree (enabled_chat, enabled_call)'
            ' WHERE ("deletedAt" IS NULL)',
        ),
        (
            "idx_chatbot_packages_capabilities",
            DEPLOYED,
            "CREATE INDEX idx_chatbot_packages_capabilities ON chatapp.chatbot_packages USING btree"
            " (enable_chat, enable_call)",
        ),
        (
            "check_chatbot_capabilities",
            MIXED,
            "CREATE TRIGGER check_chatbot_capabilities BEFORE INSERT OR UPDATE OF chatbot_package_id, enabled_chat,"
            ' enabled_call ON "My App".chatbots FOR EACH ROW EXECUTE FUNCTION'
            " \"My App\".check_chatbot_capabilities('chatbot_package_id')",
        ),
        (
            "calls_company_id_fkey",
            OTHER_SCHEMA,
            "FOREIGN KEY (company_id) REFERENCES platform.companies(id) ON DELETE CASCADE",
        ),
    ],
)
def test_definitions_in_the_names_found(name: str, naming: Naming, expected: str) -> None:
    assert definition(name, naming) == expected


def test_the_body_of_the_function_that_keeps_both_forms() -> None:
    body = definition("sync_chatbots()", MIXED, range(1, 5))
    assert 'NEW."chatbotType"' in body
    assert "attname = 'chatbotType'" in body
    assert "chatbottype" not in body
    assert definition("sync_chatbots()", DOCUMENTED, range(1, 5)).count("chatbottype") == body.count("chatbotType")


@pytest.mark.parametrize(
    ("name", "printed"),
    [("chatapp", "chatapp"), ("My App", '"My App"'), ("user", '"user"'), ("values", '"values"'), ("a$b", '"a$b"'),
     ('a"b', '"a""b"'), ("1st", '"1st"')],
)  # fmt: skip
def test_names_as_postgresql_prints_them(name: str, printed: str) -> None:
    assert as_printed(name) == printed
