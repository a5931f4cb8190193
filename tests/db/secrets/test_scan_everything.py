"""What keys retire looks into: every schema, every kind of table, every type of column; and what it says it did not."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import connect
from tests.db.conftest import Callctl
from tests.db.secrets.test_rotation_together import configuration
from tests.support.db import accounts

from callctl.config.settings import Settings
from callctl.errors import Refused, UsageError
from callctl.events import Event, ScanProgress
from callctl.sandbox.server import Server
from callctl.secrets.envelope.cipher import Encrypter, Place
from callctl.secrets.envelope.ring import KeyRing
from callctl.secrets.inventory import key_retirement, key_use
from callctl.secrets.inventory import scan as secret_scan
from callctl.secrets.inventory import scan_finder as secret_scan_finder
from callctl.secrets.inventory.scan import scan
from callctl.secrets.inventory.scan_finder import NotLookedInto
from callctl.secrets.rotation.rotate import rotate

pytestmark = pytest.mark.one_server

NOWHERE = Place("", "", "", "")
Database = psycopg.Connection[Any]


@pytest.fixture
def settings(url: str, keys: Path) -> Settings:
    """Of a database whose declared fields are all under k2: but for what a test adds, k1 can be retired."""
    settings = accounts.settings_of(url, keys)
    rotate(settings)
    return settings


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    with connect(url) as db:
        yield db


@pytest.fixture
def ring(settings: Settings) -> KeyRing:
    return accounts.ring_of(settings)


def encrypted(ring: KeyRing, key: str = "k1") -> str:
    """An envelope as JSON text."""
    return json.dumps(Encrypter(ring.keys[key]).encrypt("canary-4f1d", NOWHERE, 1))


def refused(settings: Settings, *names: str) -> str:
    with pytest.raises(Refused, match="key k1 cannot be retired: ") as error:
        key_retirement.retire(settings, "k1", not_scanned=names)
    assert accounts.CANARY not in error.value.message
    return f"{error.value.message}\n{error.value.hint}"


PLACES = {
    "another schema": "CREATE SCHEMA other; CREATE TABLE other.t AS SELECT {0}::text AS x",
    "a name with a dot, a quote and a percent": 'CREATE SCHEMA "o.""%s";'
    ' CREATE TABLE "o.""%s"."t%" AS SELECT {0}::text AS "x%s"',
    "a copy of the accounts elsewhere": "CREATE SCHEMA backup; CREATE TABLE backup.integration_accounts AS"
    " SELECT 'custom' AS account_type, jsonb_build_object('password', {0}::jsonb) AS credentials,"
    " {0}::text AS access_token",
    "a partition": "CREATE TABLE chatapp.parted (n int, x text) PARTITION BY RANGE (n);"
    "CREATE TABLE chatapp.part PARTITION OF chatapp.parted FOR VALUES FROM (0) TO (9);"
    "INSERT INTO chatapp.parted VALUES (1, {0})",
    "a child": "CREATE TABLE chatapp.parent (x text); CREATE TABLE chatapp.child (y text) INHERITS (chatapp.parent);"
    "INSERT INTO chatapp.child VALUES (NULL, {0})",
    "a materialized view": "CREATE MATERIALIZED VIEW public.m AS SELECT {0}::text AS x",
    "an unlogged table": "CREATE UNLOGGED TABLE public.u AS SELECT {0}::text AS x",
    "a table of callctl's": "INSERT INTO callctl.action (command, detail, client, callctl_version)"
    " VALUES ('x', jsonb_build_object('a', {0}::jsonb), '', '')",
    "what callctl left in a place": "INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, left_there)"
    " SELECT id, 'settings.call', 'down', jsonb_build_object('apiKey', {0}::jsonb) FROM chatapp.chatbots LIMIT 1",
    "a webhook secret": "UPDATE chatapp.integration_accounts SET webhook_secret = {0}"
    " WHERE id = (SELECT min(id::text)::uuid FROM chatapp.integration_accounts)",
    "a column of many": "CREATE TABLE public.wide (" + ", ".join(f"c{n} text" for n in range(250)) + ");"
    "INSERT INTO public.wide (c249) VALUES ({0})",
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_wherever_it_is(settings: Settings, db: Database, ring: KeyRing, place: str) -> None:
    db.execute(PLACES[place].replace("{0}", f"'{encrypted(ring)}'").encode())
    message = refused(settings)
    number = 2 if "copy of the accounts" in place else 1
    assert f"cannot be retired: {number} value" in message
    assert "under it, outside the declared fields" in message


# Of each type, how a value with an envelope is written; {0} is the envelope as a literal.
TYPES = {
    "text": "{0}::text",
    "varchar": "{0}::varchar(4000)",
    "char": "{0}::char(900)",
    "citext": "{0}::public.citext",
    "json": "json_build_object('a', {0}::json)",
    "json with a repeated member": "('{{\"a\": ' || {0} || ', \"a\": 1}}')::json",
    "jsonb": "jsonb_build_array(1, jsonb_build_object('a', {0}::jsonb))",
    "name of a member": "jsonb_build_object({0}::text, 1)",
    "json in a string": "jsonb_build_object('a', {0}::text)",
    "json in a string in a string": "jsonb_build_object('a', jsonb_build_object('b',"
    " jsonb_build_object('c', {0}::text)::text)::text)",
    "deep json": "(repeat('{{\"a\":', 3000) || {0} || repeat('}}', 3000))::json",
    "text array": "ARRAY['x', {0}::text]",
    "array of arrays": "ARRAY[ARRAY[{0}::text], ARRAY['y']]",
    "jsonb array": "ARRAY[jsonb_build_object('a', {0}::text)]",
    "domain": "{0}::public.note",
    "domain over a domain": "{0}::public.noted",
    "array of a domain": "ARRAY[{0}::public.noted]",
    "row": "ROW(1, {0})::public.pair",
    "array of rows": "ARRAY[ROW(1, {0})::public.pair]",
    "row in a row": "ROW(ROW(1, {0})::public.pair, NULL)::public.nested",
    "jsonb in a row": "ROW(jsonb_build_object('a', {0}::text))::public.holder",
    "xml": "xmlelement(name a, {0}::text)",
    "hstore": "public.hstore('a', {0})",
    "hstore of members": "public.hstore(ARRAY(SELECT key FROM json_each_text({0}) ORDER BY 1),"
    " ARRAY(SELECT value FROM json_each_text({0}) ORDER BY key))",
    "bytea": "convert_to({0}, 'UTF8')",
    "bytea array": "ARRAY[convert_to({0}, 'UTF8')]",
    "bytea of hex": "convert_to(encode(convert_to({0}, 'UTF8'), 'hex'), 'UTF8')",
    "bytea of base64": "convert_to(encode(convert_to({0}, 'UTF8'), 'base64'), 'UTF8')",
    "hex": "encode(convert_to({0}, 'UTF8'), 'hex')",
    "upper hex": "upper(encode(convert_to({0}, 'UTF8'), 'hex'))",
    "base64": "encode(convert_to({0}, 'UTF8'), 'base64')",
    "base64 on one line": "replace(encode(convert_to({0}, 'UTF8'), 'base64'), E'\\n', '')",
    "base64 at the second place": "encode(convert_to('x' || {0}, 'UTF8'), 'base64')",
    "base64 at the third place": "encode(convert_to('xy' || {0}, 'UTF8'), 'base64')",
    "base64 in json": "jsonb_build_object('a', encode(convert_to({0}, 'UTF8'), 'base64'))",
    "base64 in an array": "ARRAY[encode(convert_to({0}, 'UTF8'), 'base64')]",
    "range of text": "public.texts({0}, NULL)",
    "tsvector": "array_to_tsvector(ARRAY[{0}::text])",
}  # fmt: skip
EXTENSIONS = """CREATE EXTENSION citext SCHEMA public; CREATE EXTENSION hstore SCHEMA public;
CREATE DOMAIN public.note AS text; CREATE DOMAIN public.noted AS public.note;
CREATE TYPE public.pair AS (n int, x text);
CREATE TYPE public.nested AS (p public.pair, q text); CREATE TYPE public.holder AS (j jsonb);
CREATE TYPE public.texts AS RANGE (subtype = text)"""


def test_it_is_found_in_whatever_type(settings: Settings, db: Database, ring: KeyRing) -> None:
    """Named, without a key id, and in the forms that jsonb and callctl write: each in a table of its own."""
    db.execute(EXTENSIONS.encode())
    types = dict(TYPES)
    try:
        db.execute("SELECT xmlelement(name a, 'x')")
    except psycopg.errors.FeatureNotSupported:  # a server without libxml
        del types["xml"]
    expected = {}
    compact = json.dumps(json.loads(encrypted(ring)), separators=(",", ":"))
    for number, (name, value) in enumerate(types.items()):
        forms = [encrypted(ring), compact, json.dumps(accounts.bare(ring, "x"))]
        first = f"'{forms[0]}'"
        db.execute(f"CREATE TABLE public.t{number} AS SELECT {value.format(first)} AS x WHERE false".encode())
        for form in forms:
            literal = f"'{form}'"
            db.execute(f"INSERT INTO public.t{number} SELECT {value.format(literal)}".encode())
        expected[f"public.t{number}"] = (name, len(forms))
    found = scan(db, settings, ring, plaintext=False)
    counted: dict[str, int] = {}
    for outside in found.places:
        assert (outside.key, outside.well_formed) == ("k1", True), (expected[outside.table], outside)
        counted[outside.table] = counted.get(outside.table, 0) + outside.values
    assert {expected[table][0]: number for table, number in counted.items()} == dict(expected.values())
    assert found.not_looked_into == ()
    assert f"cannot be retired: {sum(counted.values())} values" in refused(settings)


def test_text_that_is_not_utf8_is_looked_into(server: Server, keys: Path) -> None:
    """Where the server does not check its text, an envelope may be beside any byte, and in a table of any name."""
    settings = accounts.settings_of("", keys)
    ring = accounts.ring_of(settings)
    with connect(server.url("postgres")) as admin:
        admin.execute("CREATE DATABASE unchecked TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        with connect(server.url("unchecked"), client_encoding="UTF8") as db:
            db.execute(f"CREATE TABLE \"caf\u00e9\" AS SELECT 1 AS n, E'\\351 ' || '{encrypted(ring)}' AS x".encode())
            found = scan(db, settings, ring)
            assert found.not_looked_into == ()
            assert [(each.table, each.values, each.key) for each in found.places] == [("public.caf\u00e9", 1, "k1")]
    finally:
        with connect(server.url("postgres")) as admin:
            admin.execute("DROP DATABASE unchecked")


def test_other_keys_and_other_text_do_not_count(settings: Settings, db: Database, ring: KeyRing) -> None:
    prose = (
        "const { encrypted, iv, authTag } = encrypt(text); // see {{authTag}} and "
        + base64.b64encode(b"encrypted" * 30).decode()
    )
    db.execute("CREATE TABLE public.notes AS SELECT %s::text AS x UNION ALL SELECT %s", (prose, encrypted(ring, "k2")))
    done = key_retirement.retire(settings, "k1")
    assert done.not_scanned == ()
    assert done.tables > 10
    assert done.schemas == 3


def test_what_cannot_be_parsed_is_not_looked_into(
    settings: Settings, db: Database, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is no piece of an envelope: it is counted by column, and the table has to be named."""
    broken = encrypted(ring).replace('": "', '" oops "')
    db.execute(
        "CREATE TABLE public.odd AS SELECT %s::text AS x, ''::text AS y UNION ALL SELECT %s, ''", (broken, broken)
    )
    db.execute("CREATE TABLE public.long AS SELECT %s || repeat('x', 20000) AS z", (encrypted(ring, "k2"),))
    monkeypatch.setattr(secret_scan_finder, "LONGEST", 10_000)
    monkeypatch.setattr(secret_scan_finder, "LONGEST", 10_000)
    message = refused(settings)
    assert "2 tables were not scanned" in message
    assert "\n  public.long: 1 value of column z could not be parsed" in message
    assert "\n  public.odd: 2 values of column x could not be parsed" in message
    assert "under it" not in message.split("\n  ")[0].replace("may hold values under this key", "")
    assert "--not-scanned public.long --not-scanned public.odd" in message
    done = key_retirement.retire(settings, "k1", not_scanned=["public.odd", "public.long"])
    assert [each.name for each in done.not_scanned] == ["public.long", "public.odd"]


@pytest.fixture
def scanner(settings: Settings, db: Database) -> Iterator[Settings]:
    """As a role that owns callctl's schema and may read the platform's, and little else."""
    db.execute("CREATE ROLE scanner LOGIN")
    db.execute(
        "GRANT USAGE, CREATE ON SCHEMA chatapp, callctl TO scanner;"
        "GRANT ALL ON ALL TABLES IN SCHEMA chatapp, callctl TO scanner; GRANT CREATE ON DATABASE %s TO scanner"
        .replace("%s", db.info.dbname).encode()
    )  # fmt: skip
    yield settings
    db.execute("DROP OWNED BY scanner CASCADE")
    db.execute("DROP ROLE scanner")


def test_what_the_role_may_not_read_has_to_be_named(scanner: Settings, db: Database, ring: KeyRing) -> None:
    db.execute(
        "CREATE SCHEMA hidden; CREATE TABLE hidden.t (x text); CREATE TABLE chatapp.closed (x text);"
        "CREATE TABLE chatapp.ruled (x text); GRANT SELECT ON chatapp.ruled TO scanner;"
        "ALTER TABLE chatapp.ruled ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON chatapp.ruled USING (x <> 'y');"
        "CREATE TABLE chatapp.partly (x text, y text); GRANT SELECT (x) ON chatapp.partly TO scanner"
    )
    db.execute("SET ROLE scanner")
    try:
        found = scan(db, scanner, ring)
    finally:
        db.execute("RESET ROLE")
    assert {each.name: each.why for each in found.not_looked_into} == {
        "hidden.t": "role scanner has no USAGE on its schema",
        "chatapp.closed": "role scanner may not SELECT from it",
        "chatapp.partly": "role scanner may not SELECT from it",
        "chatapp.ruled": "row-level security may hide rows from role scanner",
    }
    assert secret_scan.scan(db, scanner, ring).not_looked_into == ()


def test_what_is_elsewhere_has_to_be_named(settings: Settings, db: Database, url: str) -> None:
    db.execute(
        "CREATE EXTENSION file_fdw SCHEMA public; CREATE EXTENSION dblink SCHEMA public;"
        "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; CREATE SCHEMA ext;"
        "CREATE FOREIGN TABLE ext.remote (x text) SERVER files OPTIONS (filename '/nowhere');"
        "CREATE VIEW ext.over AS SELECT * FROM ext.remote; CREATE VIEW ext.twice AS SELECT * FROM ext.over;"
        "CREATE VIEW ext.linked AS SELECT * FROM public.dblink('dbname=x', 'SELECT 1') AS t (n int);"
        "CREATE VIEW ext.here AS SELECT * FROM chatapp.users;"
        "CREATE MATERIALIZED VIEW ext.empty AS SELECT 1 AS n WITH NO DATA;"
        "CREATE TABLE ext.bits (b varbit, short bit(8)); SELECT lo_create(0)"
    )
    names = ["ext.bits", "ext.linked", "ext.over", "ext.remote", "ext.twice", "pg_catalog.pg_largeobject"]
    try:
        message = refused(settings)
        assert "6 tables were not scanned" in message
        assert "\n  ext.remote: it is a foreign table: its rows are on another server" in message
        assert "\n  ext.twice: it is a view of rows that are on another server" in message
        assert "\n  ext.bits: column b is a bit string" in message
        assert "\n  pg_catalog.pg_largeobject: 1 large object" in message
        assert " ".join(f"--not-scanned {name}" for name in names) in message
        assert "1 table was not scanned, and may hold values under this key\n  ext.bits:" in refused(
            settings, *names[1:]
        )
        listed = key_use.look(db, settings).outside
        assert listed.cut_short == tuple(names)
        with pytest.raises(UsageError, match=r"--not-scanned ext\.nothing: the scan did not skip such a table"):
            key_retirement.retire(settings, "k1", not_scanned=[*names, "ext.nothing"])
        with pytest.raises(UsageError, match=r"--not-scanned chatapp\.users: the table was scanned"):
            key_retirement.retire(settings, "k1", not_scanned=[*names, "chatapp.users"])
        assert db.execute("SELECT count(retired_at) FROM callctl.encryption_key").fetchone() == (0,)
        done = key_retirement.retire(settings, "k1", not_scanned=names)
        assert [each.name for each in done.not_scanned] == names
    finally:
        db.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")


def test_at_the_terminal(
    url: str, settings: Settings, keys: Path, tmp_path: Path, db: Database, callctl: Callctl
) -> None:
    """It says what was scanned, and nothing wider."""
    db.execute("CREATE TABLE public.bits (b varbit)")
    command = ("--config", configuration(tmp_path, keys), "keys", "retire", "k1", "--yes")
    code, out, err = callctl(url, *command)
    assert (code, out) == (3, "")
    assert (
        "error: key k1 cannot be retired: 1 table was not scanned, and may hold values under this key [CALLCTL-" in err
    )
    assert "\n  public.bits: column b is a bit string\n" in err
    assert "callctl keys retire k1 --not-scanned public.bits" in err
    assert callctl(url, *command, "--not-scanned", "public.bits", "--not-scanned", "chatapp.users")[0] == 2
    code, out, err = callctl(url, *command, "--not-scanned", "public.bits")
    assert code == 0, err
    assert out.startswith("key k1 is retired: no value under it was found\nlooked at: ")
    assert re.search(r"looked at: [\d,]+ rows with declared fields; every row of \d+ tables in 2 schemas for", out)
    assert out.endswith("\nnot looked into: public.bits\n")
    code, out, err = callctl(url, *command, "--not-scanned", "public.bits", "--output", "json")
    assert json.loads(out)["not_scanned"] == [{"name": "public.bits", "why": "column b is a bit string"}]


def test_it_reads_in_ranges_and_tells_how_far_it_is(
    settings: Settings, db: Database, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_scan, "WHOLE_PAGES", 4)
    monkeypatch.setattr(secret_scan, "FIRST_PAGES", 2)
    monkeypatch.setattr(secret_scan, "MOST_PAGES", 8)
    db.execute(
        "CREATE TABLE public.large AS SELECT n, CASE WHEN n %% 7 = 0 THEN %s ELSE repeat('x', 300) END AS x"
        " FROM generate_series(1, 3000) AS n",
        (encrypted(ring),),
    )
    db.execute("ANALYZE public.large")
    ranges: list[str] = []
    reading = secret_scan_finder.rows_statement

    def noted(*given: Any, **others: Any) -> Any:
        query = reading(*given, **others)
        if given[0].name == "large":
            ranges.append(query.as_string(db))
        return query

    monkeypatch.setattr(secret_scan, "rows_statement", noted)
    events: list[Event] = []
    for before_14 in (False, True):
        if before_14:
            monkeypatch.setattr(secret_scan_finder, "_RANGES_SINCE", 10**9)
        ranges.clear()
        found = [
            each for each in scan(db, settings, ring, on_event=events.append).places if each.table == "public.large"
        ]
        assert sum(each.values for each in found) == 3000 // 7
        assert len(ranges) > 10
        assert all("t.ctid" in each for each in ranges)
    progress = [event for event in events if isinstance(event, ScanProgress) and event.table == "public.large"]
    assert len(progress) > 20
    assert all(event.done <= event.total and event.tables < event.of_tables for event in progress)


def test_a_snapshot_that_would_become_old_is_given_up_for_a_smaller_range(
    settings: Settings, db: Database, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had found counts once; a page that takes too long by itself is named."""
    db.execute(
        "CREATE TABLE public.large AS SELECT n, %s::text AS x FROM generate_series(1, 60) AS n", (encrypted(ring),)
    )
    took = secret_scan._Scanner._attempt
    slow = {"pages": 1}

    def attempt(self: Any, table: Any, where: Any, milliseconds: int, **others: Any) -> bool:
        if table.name == "large" and (where is None or slow["pages"] == 0):
            look = secret_scan_finder.Finder.row

            def late(*row: Any) -> None:
                look(*row)
                raise secret_scan._TooLong

            monkeypatch.setattr(secret_scan_finder.Finder, "row", late)
            try:
                return took(self, table, where, milliseconds, **others)
            finally:
                monkeypatch.setattr(secret_scan_finder.Finder, "row", look)
        return took(self, table, where, milliseconds, **others)

    monkeypatch.setattr(secret_scan._Scanner, "_attempt", attempt)
    found = scan(db, settings, ring)
    assert [(each.values, each.key) for each in found.places if each.table == "public.large"] == [(60, "k1")]
    slow["pages"] = 0
    found = scan(db, settings, ring)
    assert found.not_looked_into == (NotLookedInto("public.large", "a page of it takes longer than 50 s to read"),)


def test_what_moves_behind_the_scan_is_found(
    url: str, settings: Settings, db: Database, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written in a table, a declared field, a new table or a rewritten one, after the scan has been there."""
    db.execute("CREATE TABLE public.a (n int PRIMARY KEY, x text); INSERT INTO public.a VALUES (1, 'x')")
    db.execute("CREATE TABLE public.b AS SELECT 1 AS n, 'x'::text AS x")
    value = f"'{encrypted(ring)}'"
    writes = {
        "public.a, x, ": (f"UPDATE public.a SET x = {value}", "UPDATE public.a SET x = ''"),
        "public.made, x, ": (f"CREATE TABLE public.made AS SELECT {value}::text AS x", "DROP TABLE public.made"),
        "public.a, y, ": (f"ALTER TABLE public.a ADD y text DEFAULT {value}", "ALTER TABLE public.a DROP y"),
        "integration_accounts, access_token, ": (
            f"UPDATE chatapp.integration_accounts SET access_token = {value} WHERE id ="
            " (SELECT min(id::text)::uuid FROM chatapp.integration_accounts)",
            "UPDATE chatapp.integration_accounts SET access_token = NULL",
        ),
        "integration_accounts, credentials.password, ": (
            f"UPDATE chatapp.integration_accounts SET credentials = jsonb_set(credentials, '{{password}}', {value})"
            " WHERE id = (SELECT min(id::text)::uuid FROM chatapp.integration_accounts WHERE account_type = 'custom')",
            "UPDATE chatapp.integration_accounts SET credentials = credentials - 'password'",
        ),
    }
    look_again, look = secret_scan._Scanner.look_again, secret_scan._Scanner.look
    for place, (write, undo) in writes.items():
        with monkeypatch.context() as patched:

            def written(self: Any, *given: Any, write: str = write) -> None:
                if "chatapp" in write or "UPDATE" in write:
                    db.execute(write.encode())
                look_again(self, *given)

            def looked(self: Any, tables: Any, write: str = write) -> None:
                look(self, tables)
                if "TABLE public" in write and not getattr(self, "written", False):
                    self.written = True
                    db.execute(write.encode())

            patched.setattr(secret_scan._Scanner, "look_again", written)
            patched.setattr(secret_scan._Scanner, "look", looked)
            message = refused(settings)
        table, field, _ = place.split(", ")
        late = "written during this scan" if table == "integration_accounts" else "outside the declared fields"
        assert f"\n  1 in {table}, {field}: under it, {late}" in message, message
        db.execute(undo.encode())
    # A table that is rewritten all the time cannot be concluded from.
    with monkeypatch.context() as patched:

        def rewritten(self: Any, tables: Any) -> None:
            look(self, tables)
            db.execute("VACUUM FULL public.b")

        patched.setattr(secret_scan._Scanner, "look", rewritten)
        assert "\n  public.b: it was created or rewritten during the scan" in refused(settings)
    assert key_retirement.retire(settings, "k1").not_scanned == ()


def test_a_row_that_moves_to_an_earlier_page_is_found(
    settings: Settings, db: Database, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a page that is not read yet to one that was: with its old value, which only the second look can see."""
    monkeypatch.setattr(secret_scan, "WHOLE_PAGES", 1)
    monkeypatch.setattr(secret_scan, "FIRST_PAGES", 1)
    db.execute("CREATE TABLE public.moved (n int, x text) WITH (autovacuum_enabled = off)")
    db.execute("INSERT INTO public.moved SELECT n, repeat('x', 700) FROM generate_series(1, 40) AS n")
    db.execute("INSERT INTO public.moved VALUES (99, %s)", (encrypted(ring),))
    db.execute("INSERT INTO public.moved SELECT n, repeat('x', 700) FROM generate_series(100, 140) AS n")
    db.execute("DELETE FROM public.moved WHERE n < 12")
    db.execute("VACUUM public.moved")
    page = "SELECT (ctid::text::point)[0]::int FROM public.moved WHERE n = 99"
    (before,) = db.execute(page).fetchone() or (0,)
    attempt = secret_scan._Scanner._attempt
    done: list[Any] = []

    def moving(self: Any, table: Any, where: Any, milliseconds: int, **others: Any) -> bool:
        through = attempt(self, table, where, milliseconds, **others)
        if table.name == "moved" and not done:
            done.append(table)
            # Longer than what is free on its own page.
            db.execute("UPDATE public.moved SET x = x || repeat(' ', 600) WHERE n = 99")
        return through

    monkeypatch.setattr(secret_scan._Scanner, "_attempt", moving)
    assert "1 in public.moved, x: under it, outside the declared fields" in refused(settings)
    (after,) = db.execute(page).fetchone() or (0,)
    assert (before > 0, after) == (True, 0)
