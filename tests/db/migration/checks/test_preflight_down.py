"""What preflight --down asks: everything that the statements of the way back read, before the first of them runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.conftest import connect
from tests.support.db.preflight_asking import SETTINGS, ask, of
from tests.support.steps import ALL, LAST

from callctl.errors import Refused
from callctl.migration import migrate
from callctl.migration.checks.findings import Need
from callctl.migration.checks.preflight import needed
from callctl.migration.steps.numbered import all_steps

SHAPES = (
    "NULL",
    "'[]'",
    "'\"x\"'",
    "'5'",
    "'null'",
    "'{}'",
    """'{"features": []}'""",
    """'{"features": "x"}'""",
    """'{"features": null}'""",
    """'{"features": {}}'""",
    """'{"features": {"callEnabled": "x"}}'""",
    """'["call", "callEnabled"]'""",
    """'{"call": []}'""",
    """'{"call": null}'""",
)


def columns(steps: Any, direction: Any) -> set[tuple[str, str | None]]:
    return {(requirement.need.table, requirement.need.column) for requirement in needed(steps, direction)}


def test_what_the_way_back_reads_is_taken_from_its_statements() -> None:
    down = tuple(reversed(all_steps()))
    assert columns(down, "down") == {
        ("ai_models", None),
        ("companies", None),
        ("companies", "id"),
        ("companies", "settings"),
        ("chatbots", None),
        ("chatbots", "id"),
        ("chatbots", "settings"),
        ("chatbots", "enabled_chat"),
        ("chatbots", "enabled_call"),
        ("chatbot_packages", None),
        ("chatbot_packages", "id"),
        ("chatbot_packages", "enable_chat"),
        ("chatbot_packages", "enable_call"),
        ("integration_accounts", None),
        ("calls", None),
        ("users", None),
        ("users", "id"),
        ("users", "avatar_url"),
    }
    # With the drops deferred no step makes the type column: it must be there.
    without = [step for step in down if step.number not in (5, 6)]
    assert {("chatbots", "chatbottype"), ("chatbot_packages", "chatbottype")} <= columns(without, "down")
    first = next(
        requirement
        for requirement in needed(down, "down")
        if requirement.need == Need("chatapp", "chatbots", "enabled_call")
    )
    assert (first.step, first.place) == (12, "steps/12_company_settings/down.sql:30")


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("chatbots", "enabled_call"),
        ("chatbots", "enabled_chat"),
        ("chatbot_packages", "enable_call"),
        ("chatbot_packages", "enable_chat"),
    ],
)
@pytest.mark.applied
def test_a_renamed_flag_is_named_before_anything_is_taken_back(baseline: str, table: str, column: str) -> None:
    settings = replace(SETTINGS, database_url=baseline)
    with connect(baseline) as connection:
        connection.execute(f"ALTER TABLE chatapp.{table} RENAME {column} TO able".encode())
        with pytest.raises(Refused, match=f"reads chatapp.{table}.{column}") as refused:
            migrate.down(settings, to=0)
        assert len(migrate.status(connection, settings).applied) == LAST
        assert refused.value.hint == f"ALTER TABLE chatapp.{table} RENAME COLUMN able TO {column};"
        connection.execute(refused.value.hint.encode())
    migrate.down(settings, to=0)


@pytest.mark.applied
def test_a_column_that_is_gone_and_a_table_that_is_gone(documented: str) -> None:
    with connect(documented) as connection:
        connection.execute("ALTER TABLE chatapp.companies RENAME settings TO options")
        connection.execute("ALTER TABLE chatapp.ai_models RENAME TO models")
        findings = of(ask(connection, ALL, "down"), "needed-columns", "blocks")
    assert {finding.objects for finding in findings} == {("chatapp.companies.settings",), ("chatapp.ai_models",)}
    assert not of(findings, "needed-columns", "ok")


@pytest.mark.parametrize("change", ["DROP FUNCTION {} CASCADE", "ALTER FUNCTION {} RENAME TO other"])
@pytest.mark.applied
def test_a_trigger_function_that_is_gone_stops_nothing(deployed: str, change: str) -> None:
    settings = replace(SETTINGS, database_url=deployed)
    with connect(deployed) as connection:
        connection.execute(change.format("chatapp.update_updated_at_column()").encode())
        migrate.down(settings, to=0)
        assert connection.execute("SELECT count(*) FROM callctl.made WHERE kind = 'function'").fetchone() == (0,)
        migrate.up(settings)


# What a row's settings hold before up, by what becomes of it.
BEFORE = {
    "held": """'{"features": {"callEnabled": true}, "call": {"voiceId": "x"}}'""",
    "object": "'{}'",
    "nothing": "NULL",
    "null": """'{"features": null}'""",
}
# The shapes that the saved value of a held row does not fit into.
MISFITS = {
    "chatbots": ("'[]'", "'\"x\"'", "'5'", "'null'", """'["call", "callEnabled"]'"""),
    "companies": (
        *("'[]'", "'\"x\"'", "'5'", "'null'", """'["call", "callEnabled"]'"""),
        *("""'{"features": []}'""", """'{"features": "x"}'"""),
    ),
}


@pytest.mark.one_server
@pytest.mark.applied
def test_a_settings_shape_blocks_exactly_where_down_could_not_write_into_it(documented: str) -> None:
    """Each shape is tried: what blocks can be lifted by the statement of the finding, and what does not goes down.

    In both tables at once, in a row of each kind: what blocks names the rows that held something, and no other.
    """
    settings = replace(SETTINGS, database_url=documented)
    with connect(documented) as connection:
        rows = [
            (table, before, str(row[0]))
            for table in MISFITS
            for before, row in zip(
                BEFORE,
                connection.execute(f"SELECT id FROM chatapp.{table} ORDER BY id LIMIT 4".encode()).fetchall(),
                strict=True,
            )
        ]

        def write(table: str, id: str, value: str) -> None:
            connection.execute(f"UPDATE chatapp.{table} SET settings = {value} WHERE id = %s".encode(), (id,))

        for shape in SHAPES:
            for table, _, id in rows:
                write(table, id, shape)
            blocked = of(ask(connection, (12, 13), "down"), "settings-shapes", "blocks")
            misfits = [(table, id) for table, before, id in rows if before == "held" and shape in MISFITS[table]]
            assert sorted(id for finding in blocked for id in finding.objects) == sorted(id for _, id in misfits), shape
            if blocked:
                with pytest.raises(Refused, match="settings-shapes"):
                    migrate.down(settings, to=11)
                for finding in blocked:
                    connection.execute(finding.do.partition(";")[0].encode())
            migrate.down(settings, to=11)
            for table, id in misfits:
                stored = f"SELECT settings = {shape}::jsonb FROM chatapp.{table} WHERE id = %s"
                assert connection.execute(stored.encode(), (id,)).fetchone() == (True,)
            for table, before, id in rows:
                write(table, id, BEFORE[before])
            migrate.up(settings)
