"""The "before" databases: every shape is there, everything fits, the same seed gives the same rows."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from tests.conftest import ROWS, MakeDatabase, connect

from callctl.database.programs import find_binaries
from callctl.files import sql_root
from callctl.sandbox.lifecycle import BASELINES, Baseline, fill

pytestmark = pytest.mark.one_server

TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'chatapp' ORDER BY 1"

# A table as one hash, whatever the order of its rows.
HASH = "SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM chatapp.{} AS t"

SETTINGS_SHAPES = """
SELECT DISTINCT CASE
  WHEN settings IS NULL THEN 'null'
  WHEN settings = '{}' THEN 'empty'
  WHEN NOT settings ? 'features' THEN 'no features'
  WHEN settings->'features' = 'null' THEN 'features null'
  WHEN settings->'features' = '{}' THEN 'features empty'
  WHEN settings->'features' ? 'callEnabled' THEN 'callEnabled ' || (settings#>>'{features,callEnabled}')
  ELSE 'features' END
FROM chatapp.companies
"""

CALL_SHAPES = """
SELECT DISTINCT CASE
  WHEN settings IS NULL THEN 'null'
  WHEN settings = '{}' THEN 'empty'
  WHEN NOT settings ? 'call' THEN 'no call'
  WHEN settings->'call' = 'null' THEN 'call null'
  WHEN settings->'call' = '{}' THEN 'call empty'
  ELSE 'call' END
FROM chatapp.chatbots WHERE {type} = 'call'
"""

ORPHANS = """
SELECT count(*) FROM (
  SELECT FROM chatapp.chatbots AS c LEFT JOIN chatapp.companies AS p ON p.id = c.company_id WHERE p.id IS NULL
  UNION ALL
  SELECT FROM chatapp.chatbots AS c LEFT JOIN chatapp.chatbot_packages AS p ON p.id = c.package_id
  WHERE p.id IS NULL AND c.package_id IS NOT NULL
  UNION ALL
  SELECT FROM chatapp.chatbots AS c LEFT JOIN chatapp.ai_models AS p ON p.id = c.ai_model_id
  WHERE p.id IS NULL
  UNION ALL
  SELECT FROM chatapp.users AS c LEFT JOIN chatapp.companies AS p ON p.id = c.company_id
  WHERE p.id IS NULL AND c.company_id IS NOT NULL
  UNION ALL
  SELECT FROM chatapp.conversations AS c JOIN chatapp.chatbots AS b ON b.id = c.chatbot_id
  LEFT JOIN chatapp.end_users AS e ON e.id = c.end_user_id
  WHERE b.company_id <> c.company_id OR e.company_id <> c.company_id
  UNION ALL
  SELECT FROM chatapp.conversations AS c LEFT JOIN chatapp.chatbots AS p ON p.id = c.chatbot_id
  WHERE p.id IS NULL
) AS orphan
"""


SOFT_DELETES = """
SELECT count(*) FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.relnamespace = 'chatapp'::regnamespace AND NOT a.attisdropped AND a.attname ~ '^deleted'
  AND c.relkind = 'r'
"""


def values(db: Any, query: str) -> list[Any]:
    return [row[0] for row in db.execute(query)]


def one(db: Any, query: str) -> Any:
    (value,) = values(db, query)
    return value


@pytest.fixture(params=BASELINES)
def schema(request: pytest.FixtureRequest) -> Baseline:
    found: Baseline = request.param
    return found


def type_column(schema: Baseline) -> str:
    return schema.type_column


def test_everything_believable_is_there(database: MakeDatabase, schema: Baseline) -> None:
    kind = type_column(schema)
    with connect(database(schema)) as db:
        assert one(db, "SELECT count(*) FROM chatapp.chatbots") == ROWS
        assert one(db, "SELECT count(*) FROM chatapp.users") == 2 * ROWS
        assert one(db, "SELECT count(*) FROM chatapp.companies") == ROWS / 10
        assert one(db, "SELECT count(*) FROM chatapp.chatbot_packages") == 8
        assert one(db, "SELECT count(*) FROM chatapp.ai_models") == 12
        assert one(db, "SELECT count(*) FROM chatapp.conversations") == ROWS / 2
        assert one(db, ORPHANS) == 0
        assert set(values(db, SETTINGS_SHAPES)) == {
            "null", "empty", "no features", "features null", "features empty", "features",
            "callEnabled true", "callEnabled false",
        }  # fmt: skip
        shapes = {"empty", "no call", "call null", "call empty", "call"}
        assert set(values(db, CALL_SHAPES.replace("{type}", kind))) == shapes | (
            {"null"} if schema == "documented" else set()
        )
        lengths = "SELECT count(*) FROM chatapp.users WHERE length(avatar_url) = {}"
        assert all(one(db, lengths.format(length)) for length in (399, 499, 500))
        assert one(db, "SELECT count(*) FROM chatapp.users WHERE avatar_url LIKE 'data:image/%'")
        assert one(db, "SELECT max(length(avatar_url)) FROM chatapp.users") == 500
        share = one(db, f"SELECT count(*) * 100 / {ROWS} FROM chatapp.chatbots WHERE {kind} = 'call'")
        assert 5 <= share <= 20
        broken = f"""
            SELECT count(*) FROM chatapp.chatbots AS c
            JOIN chatapp.chatbot_packages AS p ON p.id = c.package_id
            WHERE (c.{kind}::text = 'call') <> (p.{kind}::text = 'call')"""
        assert 1 <= one(db, broken) <= ROWS / 20
        assert one(db, "SELECT count(*) FROM chatapp.chatbots WHERE package_id IS NULL")
        busiest = "SELECT max(n) FROM (SELECT count(*) AS n FROM chatapp.chatbots GROUP BY company_id) AS t"
        assert one(db, busiest) > 3 * ROWS / 20  # a few tenants are large


def test_deleted_rows(documented: str, deployed: str) -> None:
    for url, columns in (
        (documented, {"users": "deleted_at", "companies": "deleted_at", "chatbots": "deletedat",
                      "chatbot_packages": "deletedat", "ai_models": "deletedat"}),
        (deployed, {"users": "deleted_at", "companies": "deleted_at", "chatbots": "deleted_at"}),
    ):  # fmt: skip
        with connect(url) as db:
            for table, column in columns.items():
                assert one(db, f"SELECT count({column}) FROM chatapp.{table}") >= 1
                assert one(db, f"SELECT count(*) FILTER (WHERE {column} IS NULL) FROM chatapp.{table}") >= 1
            found = one(db, SOFT_DELETES)
            assert found == len(columns)


def test_unknown_types_where_the_column_can_hold_them(documented: str) -> None:
    query = "SELECT DISTINCT chatbotType FROM chatapp.{}"
    with connect(documented) as db:
        assert set(values(db, query.format("chatbots"))) == {"chat", "call", "Call", "voice", "", None}
        assert set(values(db, query.format("chatbot_packages"))) == {"chat", "call", "Call", "voice", None}


def test_the_deployed_schema_is_the_deployed_one(deployed: str) -> None:
    with connect(deployed) as db:
        enums = "SELECT typnamespace::regnamespace::text FROM pg_type WHERE typtype = 'e'"
        assert values(db, enums) == ["public"] * 26
        assert values(db, "SELECT 1 FROM pg_trigger WHERE NOT tgisinternal") == []
        assert one(db, "SELECT confdeltype::text FROM pg_constraint WHERE contype = 'f' "
                       "AND conname = 'conversations_chatbot_id_chatbots_id_fk'") == "a"  # fmt: skip
        assert values(db, "SELECT 1 FROM pg_attribute WHERE atttypid = 'timestamptz'::regtype "
                          "AND attrelid::regclass::text LIKE 'chatapp.%'") == []  # fmt: skip


def test_indexes_and_constraints_are_all_back_after_loading(
    database: MakeDatabase, empty_database: str, schema: Baseline
) -> None:
    query = """
        SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE relnamespace = 'chatapp'::regnamespace AND indisvalid ORDER BY 1"""
    with connect(empty_database) as plain:
        if plain.info.server_version < 130000:
            plain.execute("CREATE EXTENSION pgcrypto")
        plain.execute((sql_root() / "baselines" / f"{schema}.sql").read_bytes())
        expected = values(plain, query)
    with connect(database(schema)) as db:
        assert values(db, query) == expected
        assert len(expected) > 10


def test_the_seed_decides(database: MakeDatabase, schema: Baseline) -> None:
    hashes = []
    for seed in (1, 1, 2):
        url = database(None)
        fill(url, schema, rows=100, seed=seed)
        with connect(url) as db:
            hashes.append({table: one(db, HASH.format(table)) for table in values(db, TABLES)})
    first, again, other = hashes
    assert first == again
    assert all(first.values())
    assert not set(first.items()) & set(other.items())  # another seed gives other rows in every table


def test_the_shapes_that_are_refused_come_only_when_asked_for(database: MakeDatabase, schema: Baseline) -> None:
    odd = """
        SELECT count(*) FROM chatapp.{} WHERE settings IS NOT NULL AND (jsonb_typeof(settings) <> 'object'
        OR jsonb_typeof(settings->'features') NOT IN ('object', 'null')
        OR jsonb_typeof(settings#>'{{features,callEnabled}}') <> 'boolean')"""
    url = database(None)
    fill(url, schema, rows=50, refused_shapes=True)
    with connect(url) as db:
        assert one(db, odd.format("companies")) == 12
        assert one(db, odd.format("chatbots")) == 6 - 1  # JSON null is none of them
    with connect(database(schema)) as db:
        assert one(db, odd.format("companies")) == 0
        assert one(db, odd.format("chatbots")) == 0


def test_psql_runs_the_files(empty_database: str, schema: Baseline) -> None:
    binaries = find_binaries()
    files = [sql_root() / "baselines" / f"{part}.sql" for part in (schema, "rows", f"{schema}_rows")]
    with connect(empty_database) as db:
        if db.info.server_version < 130000:
            db.execute("CREATE EXTENSION pgcrypto")
    done = subprocess.run(
        [binaries.bin / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", empty_database,
         *(argument for file in files for argument in ("-f", str(file)))],
        env=binaries.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    with connect(empty_database) as db:
        assert one(db, "SELECT count(*) FROM chatapp.chatbots") == 200
