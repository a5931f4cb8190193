"""Synthetic rows: in the target's shapes, let in by its constraints, and with no value of it."""

from __future__ import annotations

import pytest
from tests.conftest import connect
from tests.db.rehearsal.conftest import MakeCopy

from callctl.sandbox.lifecycle import drop_database

CANARY = "canary-8361"

# A table of each kind of constraint, with names that need quotes.
CONSTRAINED = '''
CREATE DOMAIN chatapp.email AS text CHECK (VALUE ~ '^[a-z0-9.]+@[a-z.]+$');
CREATE DOMAIN chatapp.percent AS integer NOT NULL CHECK (VALUE BETWEEN 0 AND 100);
CREATE TYPE chatapp.mood AS ENUM ('good', 'bad "x"', 'it''s');
CREATE TABLE chatapp."Odd ""Names""" (
  "Primary Key" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "select" varchar(2) NOT NULL,
  mail chatapp.email NOT NULL UNIQUE,
  share chatapp.percent,
  mood chatapp.mood NOT NULL,
  status text NOT NULL CHECK (status IN ('open', 'closed')),
  rating integer NOT NULL CHECK (rating >= 1 AND rating <= 5),
  price numeric(4,2) NOT NULL CHECK (price >= 0),
  colour char(7) CHECK (colour ~ '^#[0-9A-F]{6}$'),
  began timestamptz NOT NULL,
  ended timestamptz CHECK (ended IS NULL OR ended > '2000-01-01'),
  doubled integer GENERATED ALWAYS AS (rating * 2) STORED,
  tags text[] NOT NULL,
  during tstzrange,
  small smallint,
  flags bit(8),
  CHECK (ended > began)
);
CREATE TABLE chatapp.tree (
  id integer PRIMARY KEY,
  parent integer REFERENCES chatapp.tree (id),
  UNIQUE (id, parent)
);
CREATE TABLE chatapp.profile (
  user_id uuid PRIMARY KEY REFERENCES chatapp.users (id),
  note text
);
CREATE TABLE chatapp.membership (
  company_id uuid NOT NULL REFERENCES chatapp.companies (id),
  package_id uuid NOT NULL REFERENCES chatapp.chatbot_packages (id),
  PRIMARY KEY (company_id, package_id)
);
CREATE TABLE chatapp.leaf (
  id integer PRIMARY KEY,
  tree_id integer NOT NULL,
  tree_parent integer,
  FOREIGN KEY (tree_id, tree_parent) REFERENCES chatapp.tree (id, parent)
);
CREATE SCHEMA other;
CREATE TABLE other.region (code text PRIMARY KEY);
CREATE TABLE chatapp.place (id serial PRIMARY KEY, region text NOT NULL REFERENCES other.region);
'''


def constrained(url: str) -> None:
    with connect(url) as db:
        db.execute(CONSTRAINED.encode())
        db.execute(
            'INSERT INTO chatapp."Odd ""Names""" ("select", mail, share, mood, status, rating, price,'
            " began, ended, tags) SELECT 'x', 'm' || i || '@example.com', 5, 'good',"
            " CASE i % 2 WHEN 0 THEN 'open' ELSE 'closed' END, 3, 1, now(),"
            " now() + interval '1 day', '{}'"
            " FROM generate_series(1, 120) AS i"
        )
        db.execute("INSERT INTO chatapp.tree SELECT i, nullif(i - 1, 0) FROM generate_series(1, 90) AS i")
        db.execute("INSERT INTO chatapp.leaf SELECT i, i, nullif(i - 1, 0) FROM generate_series(1, 40) AS i")
        db.execute("INSERT INTO chatapp.profile SELECT id, 'n' FROM chatapp.users LIMIT 70")
        db.execute(
            "INSERT INTO chatapp.membership SELECT c.id, p.id"
            " FROM chatapp.companies AS c, chatapp.chatbot_packages AS p LIMIT 60"
        )
        db.execute("INSERT INTO other.region SELECT 'r' || i FROM generate_series(1, 7) AS i")
        db.execute("INSERT INTO chatapp.place (region) SELECT 'r' || (1 + i % 7) FROM generate_series(1, 50) AS i")
        db.execute("ANALYZE")


def test_every_constraint_lets_the_rows_in(documented: str, copy: MakeCopy) -> None:
    constrained(documented)
    made = copy(documented)
    assert {name: table.problem for name, table in made.tables.items() if table.problem} == {}
    with connect(documented) as db:
        for name, table in made.tables.items():
            schema = "other" if name == "region" else "chatapp"
            quoted = psycopg_identifier(schema, name)
            (rows,) = db.execute(f"SELECT count(*) FROM {quoted}".encode()).fetchall()[0]
            assert table.rows == min(rows, 200) == made.rows(f"SELECT count(*) FROM {quoted}")[0][0], name
    assert made.rows('SELECT DISTINCT status FROM chatapp."Odd ""Names""" ORDER BY 1') == [("closed",), ("open",)]
    assert made.rows("SELECT nextval('chatapp.place_id_seq') > max(id) FROM chatapp.place") == [(True,)]


def psycopg_identifier(schema: str, name: str) -> str:
    quoted = name.replace('"', '""')
    return f'{schema}."{quoted}"'


def test_foreign_keys_hold(documented: str, copy: MakeCopy) -> None:
    constrained(documented)
    made = copy(documented)
    keys = made.rows(
        "SELECT conrelid::regclass::text, confrelid::regclass::text, pg_get_constraintdef(oid), conname"
        " FROM pg_constraint WHERE contype = 'f'"
    )
    assert len(keys) > 12
    for table, _, definition, name in keys:
        made.db.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'.encode())
        made.db.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}'.encode())  # looks at each row
    assert made.rows("SELECT count(*) > 50 FROM chatapp.tree WHERE parent IS NOT NULL") == [(True,)]


def test_a_table_whose_rows_cannot_be_made_is_named(documented: str, copy: MakeCopy) -> None:
    with connect(documented) as db:
        db.execute(
            "CREATE TABLE chatapp.hard (id integer PRIMARY KEY, code text NOT NULL CHECK (md5(code) LIKE 'abcdef%'));"
            "CREATE TABLE chatapp.below (id integer PRIMARY KEY, hard integer NOT NULL REFERENCES chatapp.hard);"
            "CREATE TYPE chatapp.pair AS (a integer, b integer);"
            "CREATE TABLE chatapp.odd_type (id integer PRIMARY KEY, pair chatapp.pair NOT NULL);"
        )
        db.execute("SET session_replication_role = replica")
        db.execute("ALTER TABLE chatapp.hard DROP CONSTRAINT hard_code_check")
        for table, row in (("hard", "i, 'x'"), ("below", "i, i"), ("odd_type", "i, ROW(1, 2)::chatapp.pair")):
            db.execute(f"INSERT INTO chatapp.{table} SELECT {row} FROM generate_series(1, 9) AS i".encode())
        db.execute("ALTER TABLE chatapp.hard ADD CONSTRAINT c CHECK (md5(code) LIKE 'abcdef%') NOT VALID")
        db.execute("ANALYZE")
    made = copy(documented)
    problems = {name: table.problem for name, table in made.tables.items() if table.problem}
    assert set(problems) == {"hard", "below", "odd_type"}
    assert "check constraint" in str(problems["hard"])
    assert problems["below"] == "column hard refers to chatapp.hard, which has no rows"
    assert "no value of type chatapp.pair can be made" in str(problems["odd_type"])
    assert all(made.tables[name].rows == 0 for name in problems)


def test_tables_that_refer_to_each_other_are_filled(documented: str, copy: MakeCopy) -> None:
    with connect(documented) as db:
        db.execute("ALTER TABLE chatapp.companies ADD COLUMN owner_id uuid")
        db.execute("UPDATE chatapp.companies AS c SET owner_id = (SELECT u.id FROM chatapp.users AS u LIMIT 1)")
        db.execute("ALTER TABLE chatapp.companies ADD FOREIGN KEY (owner_id) REFERENCES chatapp.users, ALTER owner_id SET NOT NULL")  # fmt: skip  # noqa: E501
        db.execute("ANALYZE")
    made = copy(documented)
    assert {name: table.problem for name, table in made.tables.items() if table.problem} == {}
    assert made.tables["companies"].rows == 20


def test_a_deferrable_key_is_kept(documented: str, copy: MakeCopy) -> None:
    with connect(documented) as db:
        db.execute("CREATE TABLE chatapp.ranked (id integer PRIMARY KEY, rank integer NOT NULL UNIQUE DEFERRABLE)")
        db.execute("INSERT INTO chatapp.ranked SELECT i, i FROM generate_series(1, 33) AS i; ANALYZE")
    assert copy(documented).tables["ranked"].rows == 33


def test_types_that_this_role_may_not_count_are_the_usual_ones(documented: str, copy: MakeCopy) -> None:
    """Row-level security hides rows, so the query of the types is refused."""
    with connect(documented) as db:
        db.execute("ALTER TABLE chatapp.chatbots ENABLE ROW LEVEL SECURITY; ANALYZE")
        db.execute("DROP ROLE IF EXISTS day_reader; CREATE ROLE day_reader LOGIN")
        db.execute("GRANT USAGE ON SCHEMA chatapp TO day_reader")
        db.execute("GRANT SELECT ON ALL TABLES IN SCHEMA chatapp TO day_reader")
    try:
        made = copy(documented.replace("user=postgres", "user=day_reader"))
    finally:
        with connect(documented) as db:
            db.execute("DROP OWNED BY day_reader; DROP ROLE day_reader")
    assert "SQLSTATE 42501" in made.left_out["shape", "types of chatbots"]
    assert set(made.rows("SELECT DISTINCT chatbottype FROM chatapp.chatbots")) == {("chat",), ("call",)}


def test_a_unique_key_that_lets_in_fewer_is_named(documented: str, copy: MakeCopy) -> None:
    with connect(documented) as db:
        db.execute("CREATE TABLE chatapp.switch (name boolean PRIMARY KEY, n integer)")
        db.execute("CREATE TABLE chatapp.lonely (id integer, yes boolean, EXCLUDE (yes WITH =))")
        db.execute("INSERT INTO chatapp.switch VALUES (true, 1), (false, 2)")
        db.execute("INSERT INTO chatapp.lonely SELECT i, NULL FROM generate_series(1, 30) AS i")
        db.execute("ANALYZE; UPDATE pg_class SET reltuples = 40 WHERE relname = 'switch'")
    made = copy(documented)
    assert made.tables["switch"].rows == 2
    assert made.tables["switch"].problem == "a unique key lets in no more"
    assert made.tables["lonely"].rows == 30


def test_types_are_in_their_shares_and_unknown_ones_are_placeholders(documented: str, copy: MakeCopy) -> None:
    with connect(documented) as db:
        db.execute("UPDATE chatapp.chatbots SET chatbottype = 'chat', package_id = NULL")
        db.execute(f"UPDATE chatapp.chatbots SET chatbottype = '{CANARY}-a' WHERE id IN (SELECT id FROM chatapp.chatbots LIMIT 40)")  # fmt: skip  # noqa: E501
        db.execute(f"UPDATE chatapp.chatbots SET chatbottype = '{CANARY}-b' WHERE id = (SELECT min(id::text)::uuid FROM chatapp.chatbots)")  # fmt: skip  # noqa: E501
        db.execute("UPDATE chatapp.chatbots SET chatbottype = NULL WHERE id = (SELECT max(id::text)::uuid FROM chatapp.chatbots)")  # fmt: skip  # noqa: E501
    made = copy(documented, most=150)
    assert {share.type for share in made.look.types["chatbots"]} == {"chat", None, "unknown-1", "unknown-2"}
    counts = dict(made.rows("SELECT chatbottype, count(*) FROM chatapp.chatbots GROUP BY 1"))
    assert set(counts) == {"chat", None, "unknown-1", "unknown-2"}
    assert 15 < counts["unknown-1"] < 60
    assert counts["unknown-2"] < 10
    assert CANARY not in str(made.look)


def test_settings_and_avatars_keep_their_shapes(deployed: str, copy: MakeCopy) -> None:
    with connect(deployed) as db:
        shapes = "SELECT DISTINCT jsonb_typeof(settings), jsonb_typeof(settings #> '{{{}}}') FROM chatapp.{}"
        before = {
            table: set(db.execute(shapes.format(part, table).encode()).fetchall())
            for table, part in (("companies", "features"), ("chatbots", "call"))
        }
        flags = "SELECT DISTINCT settings #> '{features,callEnabled}' FROM chatapp.companies"
        of_before = set(db.execute(flags).fetchall())
    made = copy(deployed)
    for table, part in (("companies", "features"), ("chatbots", "call")):
        assert set(made.rows(shapes.format(part, table))) == before[table]
    assert set(made.rows(flags)) == of_before
    assert made.rows("SELECT max(length(avatar_url)) FROM chatapp.users") == [(500,)]


def test_null_shares_and_distinct_values_are_the_targets(documented: str, copy: MakeCopy) -> None:
    with connect(documented) as db:
        db.execute("ALTER TABLE chatapp.end_users ADD COLUMN plan text, ADD COLUMN half text")
        db.execute("UPDATE chatapp.end_users SET plan = 'p' || (ascii(right(id::text, 1)) % 3)")
        db.execute("UPDATE chatapp.end_users SET half = 'x' WHERE ascii(right(id::text, 1)) % 2 = 0")
        db.execute("ANALYZE")
    made = copy(documented)
    ((plans, nulls, rows),) = made.rows(
        "SELECT count(DISTINCT plan), count(*) FILTER (WHERE half IS NULL), count(*) FROM chatapp.end_users"
    )
    assert plans == 3
    assert 0.25 < nulls / rows < 0.75


def test_a_target_that_was_never_analyzed_is_counted_and_told(documented: str, copy: MakeCopy) -> None:
    with connect(documented) as db:
        db.execute("CREATE TABLE chatapp.fresh (id integer PRIMARY KEY, a text)")
        db.execute("INSERT INTO chatapp.fresh SELECT i, 'x' FROM generate_series(1, 77) AS i")
    made = copy(documented)
    assert made.tables["fresh"].rows == 77
    assert "no statistics" in made.left_out["shape", "columns of chatapp.fresh"]


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_another_encoding_is_taken(encoding: str, documented: str, copy: MakeCopy) -> None:
    with connect(documented) as db:
        name = f"of_{encoding.lower()}"
        drop_database(db, name)
        db.execute(
            f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0".encode()
        )
        url = documented.replace(db.info.dbname, name)
    with connect(url) as db:
        db.execute("CREATE SCHEMA chatapp")
        db.execute(
            "CREATE TABLE chatapp.chatbots (id uuid PRIMARY KEY, chatbottype text, package_id uuid, settings jsonb)"
        )
    made = copy(url)
    assert made.rows("SHOW server_encoding") == [(encoding,)]
    made.db.close()
    with connect(documented) as db:
        drop_database(db, name)


def test_a_type_that_refers_to_a_table_of_types_is_in_it(documented: str, copy: MakeCopy) -> None:
    """With a check that no placeholder passes, as well: an undocumented type that it names is taken."""
    with connect(documented) as db:
        db.execute("CREATE TABLE chatapp.kinds (kind varchar(50) PRIMARY KEY, label text)")
        db.execute(f"UPDATE chatapp.chatbots SET chatbottype = '{CANARY}' WHERE chatbottype NOT IN ('chat', 'call')")
        db.execute(
            "INSERT INTO chatapp.kinds SELECT DISTINCT chatbottype FROM chatapp.chatbots WHERE chatbottype IS NOT NULL"
        )
        db.execute("ALTER TABLE chatapp.chatbots ADD FOREIGN KEY (chatbottype) REFERENCES chatapp.kinds (kind)")
        db.execute("ANALYZE")
    made = copy(documented)
    assert {row[0] for row in made.rows("SELECT kind FROM chatapp.kinds")} >= {"chat", "call", "unknown-1"}
    assert made.tables["chatbots"].problem is None
    with connect(documented) as db:
        db.execute(f"ALTER TABLE chatapp.chatbots ADD CHECK (chatbottype IN ('chat', 'call', '{CANARY}'))")
    made = copy(documented)
    assert {row[0] for row in made.rows("SELECT kind FROM chatapp.kinds")} == {"chat", "call", CANARY}
    assert made.tables["chatbots"].problem is None
