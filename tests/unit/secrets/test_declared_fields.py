"""Secret fields are declared once, in ``secrets/envelope/fields.py``; what has to name them again names the same.

That verify's SQL looks at each of them is tried on a server: tests/db/migration/checks/test_invariants.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from callctl.files import read_sql
from callctl.secrets.envelope.fields import ARRAY, CREDENTIALS, DECLARED, WEBHOOK_SECRET
from callctl.secrets.rows.credentials import SHAPES

ROOT = Path(__file__).resolve().parents[3]
MEMBERS = {(field.account_type, field.path) for field in DECLARED if field.column == CREDENTIALS}
COLUMNS = {field.column for field in DECLARED if not field.path}


def secret_members(shape: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of a shape's secrets."""
    if isinstance(shape, Mapping):
        for name, inner in shape.items():
            yield from secret_members(inner, (*path, name))
    elif isinstance(shape, list):
        yield from secret_members(shape[0], (*path, ARRAY))
    elif shape == "secret":
        yield path


def test_the_shapes_of_the_credentials_have_the_same_secrets() -> None:
    assert {(kind, path) for kind, shape in SHAPES.items() for path in secret_members(shape)} == MEMBERS
    assert all(field.account_type in SHAPES for field in DECLARED if field.path)


def fields_part(name: str) -> str:
    """The part of a file of sql/verify that lists the fields."""
    text = read_sql(f"verify/{name}.sql")
    return text[text.index("FROM (\n    SELECT 'access_token'") : text.index(") AS f\n")]


@pytest.mark.parametrize("name", ["accounts_secrets", "accounts_keys"])
def test_verify_lists_the_same_fields(name: str) -> None:
    part = fields_part(name)
    pairs = re.search(r"\(VALUES (.*?)\) AS k \(type, key\)", part, re.DOTALL)
    assert pairs is not None
    listed: set[tuple[str | None, tuple[str, ...]]] = {
        (kind, (key,)) for kind, key in re.findall(r"\('(\w+)', '(\w+)'\)", pairs[1])
    }
    arrays = re.findall(r"format\('credentials\.(\w+)\[%s\]\.(\w+)'.*?WHERE a\.account_type = '(\w+)'", part, re.DOTALL)
    listed |= {(kind, (array, ARRAY, member)) for array, member, kind in arrays}
    assert listed == MEMBERS
    assert set(re.findall(r"SELECT '(\w+)'(?: AS field)?, to_jsonb\(a\.\w+\)", part)) == COLUMNS


def test_both_checks_read_the_secrets_in_the_same_words() -> None:
    """So that one pass over the table does for both."""
    assert fields_part("accounts_secrets") == fields_part("accounts_keys")


def test_whoever_may_read_a_column_with_a_secret_is_named() -> None:
    listed = re.search(r"a\.attname IN \(([^)]*)\)", read_sql("verify/secrets_open.sql"))
    assert listed is not None
    assert set(re.findall(r"'(\w+)'", listed[1])) == {field.column for field in (*DECLARED, WEBHOOK_SECRET)}


def test_what_a_complete_account_has_is_in_its_shape() -> None:
    asked = re.findall(
        r"WHEN '(\w+)' THEN NOT a\.credentials \?& ARRAY\[([^\]]*)\]", read_sql("verify/accounts_incomplete.sql")
    )
    assert {kind for kind, _ in asked} == set(SHAPES)
    assert all(set(re.findall(r"'(\w+)'", members)) <= set(SHAPES[kind]) for kind, members in asked)


@pytest.mark.parametrize("page", ["configuration.md", "envelope.md"])
def test_the_reference_names_each_field(page: str) -> None:
    text = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    names = {field.text if page == "envelope.md" else field.text.removeprefix("credentials.") for field in DECLARED}
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_the_accounts_of_the_tests_have_a_secret_in_each_field() -> None:
    text = (ROOT / "tests" / "support" / "db" / "accounts.py").read_text(encoding="utf-8")
    assert {field.text for field in DECLARED if f'"{field.text}"' not in text} == set()
