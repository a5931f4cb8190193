"""What preflight's queries list by hand agrees with what the steps do: with the contract and the steps' own statements.

The files stay readable and runnable by themselves, so their lists stay in them. Each list of tables, columns, indexes
or constraints is compared here with what it is a list of. A list that nothing here speaks of fails, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeAlias

import pytest
from sqlglot import exp

from callctl.files import sql_names
from callctl.migration.checks.findings import questions
from callctl.migration.checks.preflight import needed
from callctl.migration.steps.contract import RELIED_ON, Expected, expectations
from callctl.migration.steps.numbered import ARCHIVED, TYPED, all_steps
from callctl.statements.script import load_script, tree

Listed: TypeAlias = frozenset[tuple[Any, ...]]

# ---- what the steps do -----------------------------------------------------------------------------------


@cache
def platform_objects() -> tuple[Expected, ...]:
    """What the steps leave of the platform's schema."""
    return tuple(
        expectation
        for expectation in expectations()
        if expectation.step and expectation.relation.startswith("chatapp.")
    )


def new_tables() -> Listed:
    return frozenset(
        (expectation.step, expectation.table)
        for expectation in platform_objects()
        if expectation.kind == "table" and expectation.facts
    )


def new_names() -> frozenset[str]:
    return frozenset(table for _, table in new_tables())


def new_columns() -> Listed:
    """The columns that a step adds to a table of the platform and did not find there."""
    return frozenset(
        (expectation.step, expectation.table, expectation.name)
        for expectation in platform_objects()
        if expectation.kind == "column"
        and expectation.facts
        and expectation.always is None
        and "type" in expectation.facts
        if expectation.table not in new_names() and (expectation.step, expectation.table) not in typed_again()
    )


def typed_again() -> Listed:
    """Step 1 gives a column that was there another type."""
    return frozenset({(1, "users")})


def new_relations() -> Listed:
    """The tables and the named indexes that the steps make."""
    return frozenset(
        (expectation.step, expectation.name if expectation.kind == "index" else expectation.table)
        for expectation in platform_objects()
        if expectation.facts
        and (expectation.kind == "table" or (expectation.kind == "index" and expectation.name.startswith("idx_")))
    )


def new_constraints() -> Listed:
    return frozenset(
        (expectation.step, expectation.table, expectation.name)
        for expectation in platform_objects()
        if expectation.kind == "constraint" and expectation.facts and expectation.table not in new_names()
    )


def altered() -> Listed:
    """The tables of the platform whose catalog a step changes."""
    return frozenset(
        (expectation.step, expectation.table)
        for expectation in platform_objects()
        if expectation.table not in new_names()
    )


def columns_changed() -> Listed:
    """The tables of the platform that a step gives a column, takes one from, or whose column it gives another type."""
    pairs = {
        (expectation.step, expectation.table)
        for expectation in platform_objects()
        if expectation.kind == "column" and expectation.table not in new_names()
    }
    return frozenset(pairs)


def columns_dropped() -> Listed:
    return frozenset(
        (expectation.step, expectation.table)
        for expectation in platform_objects()
        if expectation.kind == "column" and expectation.facts is None
    )


def synced() -> Listed:
    """The tables to which a step gives callctl's triggers that keep both forms in step, or from which it takes them."""
    return frozenset(
        (expectation.step, expectation.table)
        for expectation in platform_objects()
        if expectation.kind == "trigger" and expectation.name.startswith("zzz_callctl_sync")
    )


def indexed() -> Listed:
    """The tables of the platform on which a step builds an index."""
    return frozenset(
        (expectation.step, expectation.table)
        for expectation in platform_objects()
        if expectation.kind == "index" and expectation.facts and expectation.table not in new_names()
    )


def referred() -> Listed:
    """The tables of the platform to which a new table's foreign key refers."""
    pairs = set()
    for expectation in platform_objects():
        match = re.search(r"REFERENCES chatapp\.(\w+)", (expectation.facts or {}).get("definition", ""))
        if match and match[1] not in new_names():
            pairs.add((expectation.step, match[1]))
    return frozenset(pairs)


def written() -> Listed:
    """The tables of the platform whose rows a step's own statements write on the way up or down."""
    pairs = set()
    for step in all_steps():
        for way in ("up", "down"):
            for statement in step.script("up" if way == "up" else "down").statements:
                node = tree(statement.sql)
                for write in node.find_all(exp.Update, exp.Insert, exp.Delete) if node is not None else ():
                    target = write.this.this if isinstance(write.this, exp.Schema) else write.this
                    if isinstance(target, exp.Table) and target.db == "chatapp":
                        pairs.add((step.number, target.name))
    return frozenset(pairs)


def read() -> Listed:
    """The tables of the platform that a step's own statements read on the way up."""
    return frozenset(
        (requirement.step, requirement.need.table) for step in all_steps() for requirement in needed([step], "up")
    )


def every_table() -> Listed:
    return frozenset((table.partition(".")[2],) for table in RELIED_ON) | frozenset((name,) for name in new_names())


# ---- what the files list ---------------------------------------------------------------------------------


def value(node: exp.Expr) -> Any:
    if isinstance(node, exp.Cast):
        return value(node.this)
    if isinstance(node, exp.Array):
        return [value(item) for item in node.expressions]
    if isinstance(node, exp.Literal):
        return node.this.removeprefix("chatapp.") if node.is_string else int(node.this)
    return None


def lists(name: str) -> Iterator[list[tuple[Any, ...]]]:
    """Each list of the file that names a table or an index, row by row: ``VALUES`` and ``IN``, in their order."""
    known = {table for (table,) in every_table()}
    for statement in load_script(name).statements:
        node = tree(statement.sql)
        assert node is not None, statement.place
        for listing in node.find_all(exp.Values, exp.In, bfs=False):
            items = [item.expressions if isinstance(item, exp.Tuple) else [item] for item in listing.expressions]
            rows = [tuple(value(item) for item in row) for row in items]
            if any(item in known or str(item).startswith("idx_") for row in rows for item in row if item is not None):
                yield rows


def steps_of(row: tuple[Any, ...]) -> list[int]:
    """The steps of one row: an array of numbers, else the one number that is there; none where there is neither."""
    arrays = [item for item in row if isinstance(item, list) and all(isinstance(number, int) for number in item)]
    return arrays[0] if arrays else [item for item in row if isinstance(item, int)][:1]


def by_step(rows: list[tuple[Any, ...]], *others: int) -> Listed:
    """(step, table, …) of each row and each of its steps; ``others`` are the places that are kept beside these two."""
    return frozenset(
        (step, next(item for item in row if isinstance(item, str)), *(row[place] for place in others))
        for row in rows
        for step in steps_of(row)
    )


# ---- which list is a list of what ------------------------------------------------------------------------

# What a list leaves out is named here, step by step: a new step is missing from the list, or is named here as well.
READ_ONLY_IN_PASSING = frozenset({(6, "ai_models"), (13, "chatbots")})  # where models wait for step 6 (deferred drops)
# Where a step writes a few rows: those alone of which something was saved, or that the catalog has.
FEW_ROWS = frozenset({(1, "users"), (2, "chatbot_packages"), (3, "chatbots"), (13, "ai_models")})
# The rows that were written since step 4.
SINCE_STEP_4 = frozenset({(5, "chatbot_packages"), (6, "chatbots")})
SMALL_INDEXES = frozenset({(7, "ai_models")})


def names_of(rows: Listed) -> Listed:
    return frozenset((row[1],) for row in rows)


@cache
def expected() -> dict[str, list[Listed]]:
    """The lists of each file, in the order in which they stand, as what the steps do has them."""
    work = altered() | written()
    everything = every_table()
    flags = new_columns()
    archived = frozenset(ARCHIVED.items())
    typed = frozenset(TYPED.items())
    rewritten = (written() | indexed()) - FEW_ROWS - SMALL_INDEXES
    return {
        "applied-tables": [archived],
        "archived-dependents": [archived, archived, names_of(archived)],
        "archived-tables": [archived, archived, archived],
        "column-grants": [columns_changed() - typed_again()],
        "expected-tables": [(work | read() | referred()) - READ_ONLY_IN_PASSING],
        # Left out: what calls only refers to, and the rows that step 13 inserts.
        "inheritance-children": [
            (work | referred()) - {(10, "conversations"), (10, "end_users"), (13, "ai_models")},
        ],
        "invalid-indexes": [everything],
        "lock-holders": [everything],
        # Step 12 alters nothing: there this asks for more than its statements need.
        "ownership": [altered() | new_tables() | {(12, "chatbots")}],
        "platform-triggers": [work, work, synced()],
        "prepared-transactions": [everything],
        "publications": [
            written() - FEW_ROWS - SINCE_STEP_4,
            names_of(written()),
            columns_changed(),
            names_of(work),
        ],
        "removed-dependents": [flags],
        "replica-identity-down": [flags],
        "restored-objects": [archived, archived, archived],
        "row-security": [
            (work | read()) - READ_ONLY_IN_PASSING,
            # The tables whose policies the new ones' are told apart by.
            frozenset({("chatbots",), ("companies",)}),
            names_of(referred()),
            work,
        ],
        # A column and its default, and of avatar_url the type.
        "saved-definitions": [typed | typed_again()],
        "subscriptions": [columns_dropped()],
        "subscriptions-down": [synced() - columns_dropped()],
        "table-sizes": [rewritten, names_of(rewritten)],
        "target-objects": [flags, new_relations(), new_tables(), new_constraints()],
        "temp-files": [rewritten],
        "type-column-in-use": [names_of(typed)],
        "unvalidated-constraints": [everything],
    }


# Lists of columns with the types that are needed, and of privileges: the steps' reads are asked about by
# needed-columns; that each table is in them is what is checked here.
PARTLY = {
    "expected-columns": 3,
    "model-columns": 1,
    "privileges": 1,
    "privileges-down": 1,
}


def file_lists(query: str) -> list[list[tuple[Any, ...]]]:
    return list(lists(f"preflight/{query}.sql"))


def as_listed(rows: list[tuple[Any, ...]], like: Listed) -> Listed:
    """The rows of a list in the form of the set that it is compared with."""
    width = len(next(iter(like)))
    if width == 1:
        return frozenset((next(item for item in row if isinstance(item, str)),) for row in rows)
    return by_step(rows, *((2,) if width == 3 else ()))


@pytest.mark.parametrize("query", [name.split("/")[1].removesuffix(".sql") for name in sql_names("preflight")])
def test_the_lists_of_a_query_are_what_the_steps_do(query: str) -> None:
    listings = file_lists(query)
    if query in PARTLY:
        assert len(listings) == PARTLY[query]
        return
    wanted = expected().get(query, [])
    assert len(listings) == len(wanted), f"{query} lists tables or indexes; say in this test what it is a list of"
    for rows, like in zip(listings, wanted, strict=True):
        assert as_listed(rows, like) == like


def test_each_table_that_is_referred_to_or_written_has_its_privilege_and_its_key_asked_about() -> None:
    (privileges,) = file_lists("privileges")
    asked = by_step(privileges, 1)
    assert {(step, table) for step, table, privilege in asked if privilege == "REFERENCES"} == referred()
    # Of what is altered, only the owner may: that is asked by ownership.
    owned = altered() | {(12, "chatbots")}
    assert {(step, table) for step, table, privilege in asked if privilege in ("UPDATE", "INSERT")} >= written() - owned
    keys = by_step(file_lists("expected-columns")[2])
    assert keys >= referred()
    assert keys >= written() - FEW_ROWS - SINCE_STEP_4


def test_a_row_for_a_step_that_its_file_does_not_ask_for_is_found() -> None:
    """Its header has the steps; a row for another would never be shown."""
    for question in questions():
        if question.steps is None:
            continue
        text = "\n".join(query.statement.sql for query in question.queries)
        named = {int(number) for part in re.findall(r"ARRAY\[([\d, ]+)\]", text) for number in part.split(",")}
        for rows in lists(question.name):
            named |= {row[0] for row in by_step(rows)}
        assert named <= question.steps, question.name
