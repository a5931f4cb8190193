"""What callctl reads from the catalog about names."""

from __future__ import annotations

import pytest
from tests.conftest import MakeDatabase, connect

from callctl.database import store
from callctl.errors import ConfigError, Refused
from callctl.statements.naming import DOCUMENTED, Naming, read_naming


def naming_after(url: str, change: str, schema: str = "chatapp") -> Naming:
    with connect(url) as db:
        db.execute(change.encode())
        return read_naming(db, schema)


def test_the_documented_names_move_nothing(documented: str) -> None:
    with connect(documented) as db:
        naming = read_naming(db, "chatapp")
    assert naming.describe() == ()
    assert naming.tables["chatbots"].columns["chatbottype"] == "chatbottype"
    assert naming.tables["companies"].soft_delete == "deleted_at"
    assert naming.notes == ()


def test_the_deployed_names(deployed: str) -> None:
    with connect(deployed) as db:
        naming = read_naming(db, "chatapp")
    tables = naming.tables
    assert tables["chatbots"].columns["chatbottype"] == "chatbot_type"
    assert tables["chatbots"].columns["deletedat"] == "deleted_at"
    assert tables["chatbot_packages"].absent == {"deletedat", "deleted_at"}
    assert tables["ai_models"].columns["model_name"] == "model_id"
    assert tables["ai_models"].columns["max_output_tokens"] == "output_limit"
    assert tables["ai_models"].units["input_cost_per_token"] == 1_000_000
    assert ("chatbots", "chatbotType", "chatbot_type") in naming.describe()
    assert ("chatbot_packages", "deletedAt", "(none)") in naming.describe()


def test_quoted_spellings_a_mix_and_another_schema(documented: str) -> None:
    naming = naming_after(
        documented,
        """ALTER TABLE chatapp.chatbots RENAME chatbotType TO "chatbotType";
        ALTER TABLE chatapp.chatbots RENAME deletedAt TO "deletedAt";
        ALTER TABLE chatapp.chatbot_packages ALTER chatbotType TYPE text;
        ALTER TABLE chatapp.chatbot_packages DROP deletedAt;
        ALTER TABLE chatapp.chatbots RENAME package_id TO package;
        ALTER TABLE chatapp.ai_models RENAME model_name TO "modelName";
        ALTER SCHEMA chatapp RENAME TO "My App";""",
        "My App",
    )
    assert naming.describe() == (
        ("", "chatapp", "My App"),
        ("chatbots", "chatbotType", "chatbotType"),
        ("chatbots", "deletedAt", "deletedAt"),
        ("chatbots", "package_id", "package"),
        ("chatbot_packages", "deletedAt", "(none)"),
        ("ai_models", "model_name", "modelName"),
    )


def test_a_domain_is_a_text_type(documented: str) -> None:
    change = "CREATE DOMAIN kind AS text; ALTER TABLE chatapp.chatbots ALTER chatbotType TYPE kind"
    assert naming_after(documented, change).tables["chatbots"].columns["chatbottype"] == "chatbottype"


def test_everything_undecidable_is_said_at_once(documented: str) -> None:
    with pytest.raises(Refused) as refused:
        naming_after(
            documented,
            """ALTER TABLE chatapp.chatbots ADD chatbot_type text;
            ALTER TABLE chatapp.chatbot_packages DROP chatbotType;
            ALTER TABLE chatapp.companies ADD deletedAt timestamptz;
            UPDATE chatapp.companies SET deletedAt = now(), deleted_at = NULL
              WHERE id = (SELECT min(id::text)::uuid FROM chatapp.companies);
            UPDATE chatapp.companies SET deletedAt = deleted_at WHERE deletedAt IS NULL;""",
        )
    message = refused.value.message
    assert "chatapp.chatbots has 2 type columns (chatbot_type, chatbottype)" in message
    assert "chatapp.chatbot_packages has no type column" in message
    assert "chatapp.companies has two soft-delete columns, deleted_at and deletedat" in message
    assert "disagree on 1 row (id " in message


def test_two_soft_delete_columns_that_agree_are_one(documented: str) -> None:
    naming = naming_after(
        documented,
        "ALTER TABLE chatapp.chatbots ADD deleted_at timestamptz;UPDATE chatapp.chatbots SET deleted_at = deletedAt",
    )
    assert naming.tables["chatbots"].soft_delete == "deleted_at"


def test_a_type_column_that_is_neither_text_nor_enum_is_refused(documented: str) -> None:
    with pytest.raises(Refused, match=r"chatapp\.chatbots\.chatbottype is of type integer"):
        naming_after(
            documented,
            "ALTER TABLE chatapp.chatbots DROP chatbotType;ALTER TABLE chatapp.chatbots ADD chatbotType integer",
        )


def test_a_type_column_that_callctl_removed_keeps_its_name(deployed: str) -> None:
    with connect(deployed) as db:
        store.create(db, "chatapp")
        db.execute(
            "INSERT INTO callctl.definition (step, ordinal, relation, kind, name, ddl) "
            "VALUES (6, 1, 'chatbots', 'column', 'chatbot_type', '')"
        )
        db.execute("ALTER TABLE chatapp.chatbots DROP chatbot_type")
        db.execute("ALTER TABLE chatapp.chatbots ADD enabled_chat boolean, ADD enabled_call boolean")
        naming = read_naming(db, "chatapp")
    assert naming.tables["chatbots"].columns["chatbottype"] == "chatbot_type"
    assert naming.notes == ()


def test_flags_without_a_type_column_are_noted(documented: str) -> None:
    naming = naming_after(
        documented,
        "ALTER TABLE chatapp.chatbots DROP chatbotType, ADD enabled_chat boolean, ADD enabled_call boolean",
    )
    assert naming.tables["chatbots"].columns["chatbottype"] == "chatbottype"
    assert len(naming.notes) == 1
    assert "chatapp.chatbots has the capability flags and no type column" in naming.notes[0]


def test_a_missing_table_is_not_there(documented: str) -> None:
    naming = naming_after(documented, "DROP TABLE chatapp.end_users CASCADE")
    assert not naming.tables["end_users"].exists
    assert naming.tables["users"].exists


def test_a_missing_schema_is_refused_with_those_that_are_there(documented: str) -> None:
    with connect(documented) as db, pytest.raises(ConfigError, match='no schema "shop"') as refused:
        read_naming(db, "shop")
    assert refused.value.hint is not None
    assert refused.value.hint.startswith("a table chatbots is in chatapp; ")


def test_an_empty_database_says_so(database: MakeDatabase) -> None:
    with connect(database(None)) as db, pytest.raises(ConfigError) as refused:
        read_naming(db, "chatapp")
    assert refused.value.hint is not None
    assert "check that it is the right database" in refused.value.hint


def test_reading_needs_no_right_to_write(baseline: str) -> None:
    with connect(baseline) as db:
        db.execute("SET default_transaction_read_only = on")
        assert set(read_naming(db, "chatapp").tables) == set(DOCUMENTED.tables)
