"""A backup comes back where functions name other things without a schema, and have no search_path of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import MakeDatabase, connect
from tests.support.db import backups

from callctl.backup import restore
from callctl.config.settings import Settings
from callctl.errors import StepFailed

# What it is behind: statements with a function that is called slugify, and a query whose answer comes back.
BEHIND = {
    "a generated column": (
        "CREATE TABLE public.t (name text, slug text GENERATED ALWAYS AS (util.slugify(name)) STORED);"
        "INSERT INTO public.t VALUES ('A b')",
        "SELECT slug FROM public.t",
        "a-b",
    ),
    "a check": (
        "CREATE TABLE public.t (name text CHECK (util.slugify(name) <> '')); INSERT INTO public.t VALUES ('A b')",
        "SELECT name FROM public.t",
        "A b",
    ),
    "a domain": (
        "CREATE DOMAIN public.d AS text CHECK (util.slugify(VALUE) <> '');"
        "CREATE TABLE public.t (name public.d); INSERT INTO public.t VALUES ('A b')",
        "SELECT name FROM public.t",
        "A b",
    ),
    "an index": (
        "CREATE TABLE public.t (name text); INSERT INTO public.t VALUES ('A b');"
        "CREATE INDEX t_slug ON public.t (util.slugify(name)) WHERE util.slugify(name) <> ''",
        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'public.t_slug'::regclass",
        True,
    ),
    "an exclusion constraint": (
        "CREATE TABLE public.t (name text); INSERT INTO public.t VALUES ('A b');"
        "ALTER TABLE public.t ADD EXCLUDE USING btree (util.slugify(name) WITH =)",
        "SELECT count(*) FROM pg_constraint WHERE contype = 'x'",
        1,
    ),
    "a materialized view": (
        "CREATE TABLE public.t (name text); INSERT INTO public.t VALUES ('A b');"
        "CREATE MATERIALIZED VIEW public.m AS SELECT util.slugify(name) AS slug FROM public.t",
        "SELECT slug FROM public.m",
        "a-b",
    ),
    "a partition key": (
        "CREATE TABLE public.t (name text) PARTITION BY LIST (util.slugify(name));"
        "CREATE TABLE public.t_1 PARTITION OF public.t FOR VALUES IN ('a-b'); INSERT INTO public.t VALUES ('A b')",
        "SELECT name FROM public.t_1",
        "A b",
    ),
}
FUNCTIONS = """
SET check_function_bodies = off;
CREATE SCHEMA util;
CREATE SCHEMA words;
CREATE FUNCTION words.dashed(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT replace($1, ' ', '-') $$;
CREATE FUNCTION util.lowered(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT lower($1) $$;
CREATE FUNCTION util.slugify(text) RETURNS text LANGUAGE {language} IMMUTABLE STRICT AS $$ {body} $$;
"""
BODIES = {
    "sql": "SELECT dashed(lowered($1))",
    "plpgsql": "BEGIN RETURN dashed(lowered($1)); END",
}


def _owned_paths(connection: psycopg.Connection[Any]) -> list[Any]:
    return connection.execute(
        "SELECT proname, proconfig FROM pg_proc WHERE pronamespace IN ('util'::regnamespace, 'words'::regnamespace)"
        " ORDER BY proname"
    ).fetchall()


@pytest.mark.parametrize("language", BODIES)
@pytest.mark.parametrize("what", BEHIND)
def test_functions_without_a_path_of_their_own(
    what: str, language: str, database: MakeDatabase, tmp_path: Path
) -> None:
    """What they name is in the schemas of the database's path."""
    url, copy = database(None), database(None)
    statements, query, answer = BEHIND[what]
    with connect(url) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET search_path = public, words, util'.encode())
    with connect(url) as connection:
        connection.execute(FUNCTIONS.format(language=language, body=BODIES[language]).encode())
        # PostgreSQL 17 builds indexes and materialized views with an empty path; those of an upgraded database stay.
        connection.execute("ALTER FUNCTION util.slugify(text) SET search_path = util, words")
        connection.execute(statements.encode())
        connection.execute("ALTER FUNCTION util.slugify(text) RESET search_path")
        before = _owned_paths(connection)
        old = connection.info.server_version < 130000
    if (what, language, old) == ("a partition key", "sql", True):
        # PostgreSQL 12 plans the expression of a key where pg_dump only reads it, with an empty path.
        with pytest.raises(StepFailed, match=r"pg_dump .* failed: .*lowered"):
            backups.take(url, tmp_path / "a.dump")
        assert not (tmp_path / "a.dump").exists()
        return
    backups.take(url, tmp_path / "a.dump")
    assert backups.manifest_of(tmp_path / "a.dump")["search_path"] == ["public", "words", "util"]
    restore.restore(Settings(database_url=copy), str(tmp_path / "a.dump"))
    with connect(copy) as connection:
        assert connection.execute(query.encode()).fetchone() == (answer,)
        assert _owned_paths(connection) == before


def test_what_is_in_the_schema_of_the_function(database: MakeDatabase, tmp_path: Path) -> None:
    """The application sets its path itself, so no setting of the database names the schema."""
    url, copy = database(None), database(None)
    with connect(url) as connection:
        connection.execute(FUNCTIONS.format(language="plpgsql", body="BEGIN RETURN lowered($1); END").encode())
        connection.execute("SET search_path = util")
        connection.execute(BEHIND["a generated column"][0].encode())
    backups.take(url, tmp_path / "a.dump")
    restore.restore(Settings(database_url=copy), str(tmp_path / "a.dump"))
    with connect(copy) as connection:
        assert connection.execute("SELECT slug FROM public.t").fetchone() == ("a b",)


def test_the_path_of_a_role(documented: str, database: MakeDatabase, tmp_path: Path) -> None:
    """The application's role has the path, and the backup is taken by another."""
    copy = database(None)
    with connect(documented) as connection:
        connection.execute("CREATE ROLE backup_application")
        try:
            name = connection.info.dbname
            connection.execute(
                f'ALTER ROLE backup_application IN DATABASE "{name}" SET search_path = util, words'.encode()
            )
            connection.execute(FUNCTIONS.format(language="plpgsql", body=BODIES["plpgsql"]).encode())
            with connection.transaction():
                connection.execute("SET LOCAL search_path = util, words")
                connection.execute(
                    "ALTER TABLE chatapp.chatbots ADD slug text GENERATED ALWAYS AS (util.slugify(name)) STORED"
                )
            backups.take(documented, tmp_path / "a.dump")
        finally:
            connection.execute("DROP ROLE backup_application")
    restore.restore(Settings(database_url=copy), str(tmp_path / "a.dump"))
    with connect(copy) as connection:
        assert backups.rows(connection, "chatapp.chatbots WHERE slug IS NULL AND name IS NOT NULL") == 0


def test_a_function_that_has_a_path_keeps_it(database: MakeDatabase, tmp_path: Path) -> None:
    url, copy = database(None), database(None)
    with connect(url) as connection:
        connection.execute(FUNCTIONS.format(language="sql", body=BODIES["sql"]).encode())
        connection.execute("ALTER FUNCTION util.slugify(text) SET search_path = util, words")
        connection.execute("ALTER FUNCTION util.lowered(text) SET work_mem = '8MB'")
        before = _owned_paths(connection)
    backups.take(url, tmp_path / "a.dump")
    restore.restore(Settings(database_url=copy), str(tmp_path / "a.dump"))
    with connect(copy) as connection:
        assert _owned_paths(connection) == before


def test_a_backup_of_before_the_manifest_had_the_path(database: MakeDatabase, tmp_path: Path) -> None:
    url, copy, file = database(None), database(None), tmp_path / "a.dump"
    with connect(url) as connection:
        connection.execute(
            "CREATE FUNCTION public.one() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';"
            "CREATE FUNCTION public.two() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN one(); END';"
            "CREATE TABLE public.t (n integer CHECK (n > public.two())); INSERT INTO public.t VALUES (2)"
        )
    backups.take(url, file)
    manifest = backups.manifest_of(file)
    manifest.pop("search_path")
    file.with_name("a.dump.manifest.json").write_text(json.dumps(manifest))
    restore.restore(Settings(database_url=copy), str(file))
