"""Fields that callctl.yaml declares: one that matches nothing is an error, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import connect
from tests.db.conftest import Callctl
from tests.support.db import accounts

from callctl.config.sections import SecretField
from callctl.config.settings import Settings
from callctl.errors import ConfigError, Refused
from callctl.migration import migrate
from callctl.migration.checks import verify
from callctl.secrets.inventory import key_retirement, key_use
from callctl.secrets.rotation.rotate import rotate

pytestmark = pytest.mark.one_server

Database = psycopg.Connection[Any]

SCHEMA = "SELECT to_regnamespace('callctl') IS NOT NULL"
TABLE = """
CREATE TABLE chatapp.tokens (id integer PRIMARY KEY, token text, config jsonb, kind text, account_type text);
CREATE VIEW chatapp.tokens_view AS SELECT * FROM chatapp.tokens;
CREATE TABLE chatapp.parts (id integer PRIMARY KEY, token text) PARTITION BY RANGE (id);
CREATE TABLE chatapp.parts_1 PARTITION OF chatapp.parts FOR VALUES FROM (1) TO (10);
"""


def field(table: str, column: str, *path: str, account_type: str | None = None, optional: bool = False) -> SecretField:
    return SecretField(table, account_type, column, path, optional)


def every_command(db: Database, settings: Settings) -> list[Callable[[], object]]:
    """What uses declared fields."""
    return [
        lambda: rotate(settings),
        lambda: key_use.look(db, settings),
        lambda: key_use.look(db, settings, binding="bind"),
        lambda: key_use.keys(db, settings),
        lambda: key_retirement.retire(settings, "k1"),
    ]


@pytest.fixture
def tokens(documented: str) -> str:
    with connect(documented) as db:
        db.execute(TABLE.encode())
    return documented


@pytest.mark.parametrize(
    ("mistake", "said", "hint"),
    [
        (field("token", "token"), "schema chatapp has no table token", "did you mean tokens?"),
        (field("Tokens", "token"), "schema chatapp has no table Tokens", "did you mean tokens?"),
        (field("tokens", "tokn"), "table tokens has no column tokn", "did you mean token?"),
        (field("tokens", "confg", "apiKey"), "table tokens has no column confg", "did you mean config?"),
        (field("tokens_view", "token"), "tokens_view is a view, not a table", "did you mean"),
        (field("parts_1", "token"), "parts_1 is a partition: name its parent, parts", "did you mean parts?"),
        (field("chatbots", "settings_", "a"), "table chatbots has no column settings_", "did you mean settings?"),
        (field("parts", "token", account_type="twilio"), "table parts has no column account_type", "fix the fields"),
    ],
)
def test_a_table_or_a_column_that_is_not_there_is_an_error_of_every_command(
    tokens: str, keys: Path, mistake: SecretField, said: str, hint: str
) -> None:
    good = field("tokens", "token")
    settings = accounts.settings_of(tokens, keys, secret_fields=(good, mistake))
    with connect(tokens) as db:
        for command in every_command(db, settings):
            with pytest.raises(ConfigError) as error:
                command()
            assert f"callctl.yaml: secrets.fields[1] matches nothing: {said}" in error.value.message
            assert hint in (error.value.hint or "")
        assert db.execute(SCHEMA).fetchone() == (False,)


def test_all_mistakes_are_named_at_once(tokens: str, keys: Path) -> None:
    wrong = (field("nowhere", "a"), field("tokens", "b"))
    with pytest.raises(ConfigError, match=r"fields\[0\].*nowhere; secrets\.fields\[1\].*no column b"):
        rotate(accounts.settings_of(tokens, keys, secret_fields=wrong))


def test_a_table_that_a_step_makes_or_a_down_archives_is_no_mistake(tokens: str, keys: Path) -> None:
    own = (field("tokens", "token"), field("integration_accounts", "last_error"), field("calls", "notes"))
    settings = accounts.settings_of(tokens, keys, secret_fields=own)
    with connect(tokens) as db:
        assert key_use.look(db, settings).counted.rows == 0
        migrate.up(settings)
        migrate.down(settings, to=8)
        assert rotate(settings).failures == 0
        # Where it is there, or archived, its columns are looked at.
        typo = accounts.settings_of(tokens, keys, secret_fields=(field("integration_accounts", "lst_error"),))
        with pytest.raises(ConfigError, match="integration_accounts has no column lst_error"):
            rotate(typo)


@pytest.mark.parametrize(
    ("documents", "path", "problem"),
    [
        # Nothing could have it.
        ([], ("apiKey",), None),
        ([None, "{}", "null"], ("apiKey",), None),
        (['{"servers": []}', '{"other": 1}'], ("servers", "[]", "password"), None),
        (['{"servers": [{}]}'], ("servers", "[]", "password"), None),
        (['{"a": {}}', '{"b": 1}'], ("a", "b"), None),
        # One row has it, null or not.
        (['{"apiKy": "x"}', '{"apiKey": null}'], ("apiKey",), None),
        (['{"servers": [{"x": 1}, {"password": "y"}]}'], ("servers", "[]", "password"), None),
        # Rows could have it, and none has.
        (['{"apiKey": "x"}'], ("apiKye",), "config of tokens has members, but no row has the member apiKye"),
        (['{"apiKey": "x"}', "{}"], ("apikey",), "no row has the member apikey"),
        (['{"a": {"b": 1}}', '{"c": 1}'], ("a", "x"), "config.a of tokens has members, but no row has the member x"),
        (
            ['{"servers": [{"password": "x"}]}'],
            ("servers", "[]", "pasword"),
            "config.servers[] of tokens has members, but no row has the member pasword",
        ),
        (['{"servers": [{"password": "x"}]}'], ("server", "[]", "password"), "the member server"),
        # A name is a name.
        (['{"a\'b": "x"}'], ("a'b",), None),
        (['{"a\'b": "x"}'], ("a'c",), "the member a'c"),
    ],
)
def test_a_path_that_rows_could_have_and_no_row_has(
    tokens: str, keys: Path, documents: list[str | None], path: tuple[str, ...], problem: str | None
) -> None:
    settings = accounts.settings_of(tokens, keys, secret_fields=(field("tokens", "config", *path),))
    with connect(tokens) as db:
        for number, document in enumerate(documents):
            db.execute("INSERT INTO chatapp.tokens (id, config) VALUES (%s, %s)", (number, document))
        if problem is None:
            key_use.look(db, settings)
            rotate(settings)
            return
        for command in every_command(db, settings):
            with pytest.raises(ConfigError) as error:
                command()
            assert "secrets.fields[0] matches nothing: " in error.value.message
            assert problem in error.value.message
            assert "optional: true" in (error.value.hint or "")
        assert db.execute(SCHEMA).fetchone() == (False,)
        optional = field("tokens", "config", *path, optional=True)
        assert rotate(accounts.settings_of(tokens, keys, secret_fields=(optional,))).failures == 0


def test_an_account_type_that_no_row_has(tokens: str, keys: Path) -> None:
    settings = accounts.settings_of(tokens, keys, secret_fields=(field("tokens", "token", account_type="twillo"),))
    with connect(tokens) as db:
        rotate(settings)
        db.execute("INSERT INTO chatapp.tokens (id, account_type) VALUES (1, 'twilio')")
        with pytest.raises(ConfigError, match="tokens has rows, but no row has the account_type twillo"):
            rotate(settings)


def test_verify_refuses_a_field_that_matches_nothing(url: str, keys: Path) -> None:
    for wrong in (field("tokens", "token"), field("integration_accounts", "credentials", "authTokn")):
        with connect(url) as db, pytest.raises(ConfigError, match="matches nothing"):
            verify.verify(db, accounts.settings_of(url, keys, secret_fields=(wrong,)))


def test_at_the_terminal_it_is_a_fault_of_the_configuration(
    url: str, keys: Path, tmp_path: Path, callctl: Callctl
) -> None:
    key = accounts.key_file(keys, "k2")
    (tmp_path / "callctl.yaml").write_text(
        f"keys: {{primary: k2, ring: [{{id: k2, file: {key}}}, {{id: k1, file: {accounts.key_file(keys, 'k1')},"
        " legacy: true}]}\nsecrets: {fields: [{table: integration_account, column: credentials, path: apiKey}]}\n"
    )
    for command in ("rotate-secrets --yes", "rotate-secrets --status", "rotate-secrets --dry-run", "keys list",
                    "keys retire k1 --yes", "verify"):  # fmt: skip
        code, out, err = callctl(url, "--config", str(tmp_path / "callctl.yaml"), *command.split())
        assert (code, out) == (4, ""), (command, err)
        assert "callctl: error: callctl.yaml: secrets.fields[0] matches nothing: schema chatapp has no table" in err
        assert "callctl: hint: did you mean integration_accounts?" in err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DROP SCHEMA chatapp CASCADE", 'there is no schema "chatapp"'),
        ("DROP TABLE chatapp.chatbots CASCADE", "has no table chatbots"),
        ("ALTER TABLE chatapp.chatbots DROP COLUMN chatbottype CASCADE", "no type column"),
        ("ALTER TABLE chatapp.chatbots ADD COLUMN chatbot_type text", "has 2 type columns"),
        ("CREATE SCHEMA callctl CREATE TABLE history (a integer)", "schema callctl of this database was not made"),
    ],
)
def test_a_database_that_every_other_command_refuses_gets_no_schema(
    tokens: str, keys: Path, change: str, said: str
) -> None:
    """Although the table of a declared field is there."""
    settings = accounts.settings_of(tokens, keys, secret_fields=(field("tokens", "token"),))
    with connect(tokens) as db:
        db.execute("INSERT INTO chatapp.tokens (id, token) VALUES (1, 'a secret')")
        db.execute(change.encode())
        before = db.execute("SELECT count(*) FROM pg_class").fetchone()
        for command in every_command(db, settings):
            with pytest.raises((Refused, ConfigError), match=said):
                command()
        assert db.execute("SELECT count(*) FROM pg_class").fetchone() == before
        assert db.execute("SELECT to_regclass('callctl.rotation')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "ALTER TABLE chatapp.tokens ALTER token TYPE varchar(60)",
            r"character varying\(60\) is too short for an envelope",
        ),
        ("ALTER TABLE chatapp.tokens ALTER token TYPE char(60)", r"character\(60\) is too short"),
        (
            "ALTER TABLE chatapp.tokens DROP token, ADD src text, ADD token text GENERATED ALWAYS AS (src) STORED",
            "it is generated from other columns",
        ),
        (
            "ALTER TABLE chatapp.tokens ADD UNIQUE (token); CREATE TABLE chatapp.refs (id int PRIMARY KEY,"
            " token text REFERENCES chatapp.tokens (token) ON UPDATE CASCADE)",
            "foreign key refs_token_fkey of chatapp.refs refers to it",
        ),
        (
            "CREATE TABLE chatapp.known (token text PRIMARY KEY);"
            "ALTER TABLE chatapp.tokens ADD CONSTRAINT known FOREIGN KEY (token) REFERENCES chatapp.known",
            "foreign key known makes it a key of chatapp.known",
        ),
    ],
)
def test_a_column_that_cannot_hold_an_envelope_is_refused(tokens: str, keys: Path, change: str, said: str) -> None:
    """With ON UPDATE CASCADE the other table's row got this one's bound envelope."""
    settings = accounts.settings_of(tokens, keys, secret_fields=(field("tokens", "token"),))
    with connect(tokens) as db:
        db.execute("DROP VIEW IF EXISTS chatapp.tokens_view")
        db.execute(change.encode())
        with pytest.raises(Refused, match=rf"tokens.token cannot be encrypted: {said}"):
            rotate(settings)
        assert db.execute("SELECT to_regclass('callctl.rotation')").fetchone() == (None,)


def test_a_percent_sign_in_a_path_or_a_name_is_no_parameter(tokens: str, keys: Path) -> None:
    fields = (field("tokens", "config", "rate %s"), field("tokens", "100%", "a%b", "%(key)s"))
    settings = accounts.settings_of(tokens, keys, secret_fields=fields)
    with connect(tokens) as db:
        db.execute('ALTER TABLE chatapp.tokens ADD COLUMN "100%" jsonb')
        db.execute(
            'INSERT INTO chatapp.tokens (id, config, "100%") VALUES'
            """ (1, '{"rate %s": "one", "password": "beside-4f1d-it-all"}', '{"a%b": {"%(key)s": "two"}}')"""
        )
        done = rotate(settings, workers=2)
        assert (done.values, done.failures) == (2, 0)
        assert [each.field for each in done.outside.places] == ["config.password"]
        assert key_use.look(db, settings).counted.due == 0
        assert verify.verify(db, settings).checks
