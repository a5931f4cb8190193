"""Values that a rotation leaves: another tool's ciphertext, and what no declared path reaches because of its shape."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.conftest import connect
from tests.db.conftest import Callctl
from tests.db.secrets.test_rotation_together import configuration
from tests.support.db import accounts

from callctl.config.sections import SecretField
from callctl.secrets.envelope.cipher import BOUND
from callctl.secrets.inventory import key_use
from callctl.secrets.rotation.rotate import rotate

pytestmark = pytest.mark.one_server

Database = psycopg.Connection[Any]

CANARY = accounts.CANARY
FOREIGN = {
    "packed": f"{'0a' * 12}:{'0b' * 16}:{'0c' * 30}",
    "vault": "vault:v1:" + base64.b64encode(b"some bytes of ciphertext").decode(),
    "laravel": base64.b64encode(json.dumps({"iv": "a", "value": "b", "mac": "c"}).encode()).decode(),
}
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def only(db: Database, rows: Sequence[tuple[str, Any, str | None]]) -> list[str]:
    """Accounts of these types, credentials and access tokens, and no others; their ids in order."""
    db.execute("DELETE FROM chatapp.integration_accounts")
    ids = []
    for account_type, credentials, token in rows:
        row = db.execute(
            "INSERT INTO chatapp.integration_accounts (company_id, account_type, account_name, credentials,"
            " access_token) SELECT id, %s, 'an account', %s, %s FROM chatapp.companies ORDER BY id LIMIT 1"
            " RETURNING id::text",
            (account_type, Jsonb(credentials), token),
        ).fetchone()
        assert row is not None
        ids.append(row[0])
    return ids


def stored(db: Database) -> dict[str, tuple[Any, str | None]]:
    rows = db.execute("SELECT id::text, credentials, access_token FROM chatapp.integration_accounts").fetchall()
    return {id: (credentials, token) for id, credentials, token in rows}


# ---- another tool's ciphertext -----------------------------------------------------------------------------


def test_foreign_ciphertext_is_left_and_named_until_it_is_asked_for(url: str, keys: Path) -> None:
    """In a text column and in a document; what is plaintext beside it is encrypted."""
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        ids = only(
            db,
            [
                ("custom", {"password": FOREIGN["packed"], "turnServers": [{"credential": FOREIGN["laravel"]}]}, JWT),
                ("custom", {"password": "plain", "turnServers": []}, FOREIGN["vault"]),
                ("custom", {"password": FOREIGN["packed"]}, None),
            ],
        )
        before = stored(db)
        with connect(url) as other:
            counted = key_use.look(other, settings).counted
        assert (counted.total("foreign"), counted.total("plaintext"), counted.due, counted.left_count) == (4, 2, 2, 4)
        found = {(each.field, each.values, tuple(sorted(each.rows))) for each in counted.foreign.values()}
        assert found == {
            ("credentials.password", 2, tuple(sorted((ids[0], ids[2])))),
            ("credentials.turnServers[].credential", 1, (ids[0],)),
            ("access_token", 1, (ids[1],)),
        }
        done = rotate(settings)
        assert (done.values, done.failures) == (2, 4)
        assert {(each.field, each.values, tuple(sorted(each.rows))) for each in done.foreign} == found
        assert all(each.reason.startswith("foreign: it looks like ciphertext of ") for each in done.left)
        after = stored(db)
        assert after[ids[0]][0] == before[ids[0]][0]
        assert after[ids[1]][1] == FOREIGN["vault"]
        assert json.loads(after[ids[0]][1] or "")["kid"] == after[ids[1]][0]["password"]["kid"] == "k2"
        assert not any(value in repr(done) for value in FOREIGN.values())
        # Asked for, they are encrypted, and decrypt to what they were.
        assert key_use.look(db, settings, encrypt_foreign=True).counted.due == 4
        again = rotate(settings, encrypt_foreign=True)
        assert (again.values, again.failures) == (4, 0)
        assert {each.was for each in again.changed} == {"foreign ciphertext"}
        opened = {each.plaintext for each in accounts.seen(db, accounts.ring_of(settings)).values()}
        assert opened == {*FOREIGN.values(), JWT, "plain"}
        assert rotate(settings).failures == 0


def test_many_rows_of_one_form_are_each_looked_at(url: str, keys: Path) -> None:
    """The quick way of the rotation does not take a foreign value for plaintext, whichever row comes first."""
    settings = accounts.settings_of(url, keys, batch_size=40)
    with connect(url) as db:
        rows = [("custom", {"password": FOREIGN["packed"] if n % 5 == 3 else f"{CANARY} {n}"}, None) for n in range(60)]
        ids = only(db, rows)
        done = rotate(settings)
        assert (done.values, done.failures) == (48, 12)
        assert {each.row_id for each in done.left} == {id for n, id in enumerate(ids) if n % 5 == 3}
        assert done.foreign[0].values == 12
        assert len(done.foreign[0].rows) == 5


def test_at_the_terminal_foreign_ciphertext_is_warned_of(
    url: str, keys: Path, tmp_path: Path, callctl: Callctl
) -> None:
    config = configuration(tmp_path, keys)
    with connect(url) as db:
        (id,) = only(db, [("custom", {"password": FOREIGN["packed"]}, None)])
        for command, what in (
            ("--status", "not encrypted again without --encrypt-foreign"),
            ("--dry-run", "not encrypted again without --encrypt-foreign"),
            ("--yes", "only --encrypt-foreign encrypts it again"),
        ):
            code, out, err = callctl(url, "--config", config, "rotate-secrets", command)
            assert code == 3
            assert "1 value" in err
            assert f"ciphertext of a tool that packs iv, tag and ciphertext{'' if command == '--yes' else ':'}" in err
            assert id in err
            assert "credentials.password" in err
            assert what in err
            assert FOREIGN["packed"] not in out + err
        code, out, err = callctl(url, "--config", config, "keys", "list")
        assert "1 value with the form of another tool's ciphertext" in err
        code, out, err = callctl(url, "--config", config, "rotate-secrets", "--yes", "--encrypt-foreign")
        assert code == 0
        # Before it is encrypted, and after.
        assert f"row {id}; to be encrypted again" in err
        assert "foreign ciphertext" in out
        code, out, err = callctl(url, "--config", config, "rotate-secrets", "--status", "--encrypt-foreign")
        assert code == 2


# ---- other shapes ------------------------------------------------------------------------------------------

SECRET = f"{CANARY} secret"


@pytest.mark.parametrize(
    ("account_type", "credentials", "places"),
    [
        ("custom", [SECRET], ["credentials"]),
        ("custom", [{"password": SECRET}], ["credentials"]),
        ("twilio", SECRET, ["credentials"]),
        ("twilio", 12345, ["credentials"]),
        ("custom", {"turnServers": {"credential": SECRET}}, ["credentials.turnServers"]),
        ("custom", {"turnServers": {"0": {"credential": SECRET}}}, ["credentials.turnServers"]),
        ("custom", {"turnServers": SECRET}, ["credentials.turnServers"]),
        ("custom", {"turnServers": [SECRET, SECRET]}, ["credentials.turnServers[]"]),
        ("custom", {"turnServers": [[{"credential": SECRET}]]}, ["credentials.turnServers[]"]),
        (
            "custom",
            {"turnServers": [{"auth": {"credential": SECRET}}]},
            ["credentials.turnServers[].auth.credential"],
        ),
        ("custom", {"turnServers": [{"credential": [SECRET]}]}, ["credentials.turnServers[].credential"]),
        ("custom", {"sip": {"password": SECRET}}, ["credentials.sip.password"]),
        ("twilio", {"twilio": {"authToken": SECRET, "apiKeySecret": SECRET}},
         ["credentials.twilio.apiKeySecret", "credentials.twilio.authToken"]),
        ("twilio", {"accessToken": SECRET}, ["credentials.accessToken"]),
        ("whatsapp", {"appSecret": {"value": SECRET}}, ["credentials.appSecret"]),
        ("whatsapp", {"appSecret": [SECRET]}, ["credentials.appSecret"]),
        ("whatsapp", {"appSecret": 12345}, ["credentials.appSecret"]),
        # A name that may be a secret itself is not shown.
        ("twilio", {"0123456789abcdef" * 4: {"authToken": SECRET}}, ["credentials.….authToken"]),
        # Nothing there could be a secret.
        ("custom", [], []),
        ("custom", "", []),
        ("custom", None, []),
        ("custom", {"turnServers": {}}, []),
        ("custom", {"turnServers": ["", None, True]}, []),
        ("custom", {"turnServers": [[], {"credential": None}]}, []),
        ("custom", {"password": None, "turnServers": None, "sip": {"password": ""}}, []),
        ("custom", {"stunServers": [SECRET], "username": SECRET}, []),
    ],
)  # fmt: skip
def test_what_no_path_reaches_because_of_the_shape_is_listed(
    url: str, keys: Path, account_type: str, credentials: Any, places: list[str]
) -> None:
    """By row and field; as it was afterwards, whichever way a row goes."""
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        ids = only(db, [(account_type, credentials, None)] * 3)
        before = stored(db)
        with connect(url) as other:
            counted = key_use.look(other, settings).counted
        wanted = sorted((id, place) for id in ids for place in places)
        assert sorted((each.row_id, each.field) for each in counted.unreadable) == wanted
        assert counted.left_count == len(wanted)
        done = rotate(settings)
        assert sorted((each.row_id, each.field) for each in done.left) == wanted
        assert done.failures == len(wanted)
        assert stored(db) == before
        assert CANARY not in repr((done, counted))


def test_a_value_in_reach_beside_one_that_is_not_is_encrypted(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        credentials = {"password": SECRET, "turnServers": [{"credential": SECRET}, SECRET]}
        only(db, [("custom", credentials, None)] * 60)
        done = rotate(settings)
        assert (done.values, done.failures) == (120, 60)
        ((after, _), *_) = stored(db).values()
        assert after["password"]["kid"] == after["turnServers"][0]["credential"]["kid"] == "k2"
        assert after["turnServers"][1] == SECRET


def test_a_declared_path_that_meets_another_type(url: str, keys: Path) -> None:
    """In any table, and in what callctl saved of one."""
    field = SecretField("tokens", None, "config", ("servers", "[]", "secret"))
    settings = accounts.settings_of(url, keys, secret_fields=(field,))
    with connect(url) as db:
        db.execute("CREATE TABLE chatapp.tokens (id integer PRIMARY KEY, config jsonb)")
        documents = [
            {"servers": [{"secret": SECRET}]}, {"servers": {"secret": SECRET}}, {"servers": SECRET}, [SECRET], {}, None,
            # Beside a declared field, what another name says is for the scan.
            {"servers": [], "other": {"secret": SECRET}},
        ]  # fmt: skip
        for number, document in enumerate(documents):
            db.execute("INSERT INTO chatapp.tokens VALUES (%s, %s)", (number, Jsonb(document)))
        db.execute(
            "INSERT INTO callctl.saved_row (relation, row_id, contents)"
            " VALUES ('tokens', '00000000-0000-0000-0000-000000000001', %s)",
            (Jsonb({"id": 9, "config": {"servers": {"secret": SECRET}}}),),
        )
        done = rotate(settings)
        left = sorted((each.table, each.row_id, each.field) for each in done.left)
        assert left == [
            ("saved rows of tokens", "00000000-0000-0000-0000-000000000001", "config.servers"),
            ("tokens", "1", "config.servers"),
            ("tokens", "2", "config.servers"),
            ("tokens", "3", "config"),
        ]
        assert CANARY not in repr(done.left)


def test_at_the_terminal_what_was_not_reached_is_a_failure(
    url: str, keys: Path, tmp_path: Path, callctl: Callctl
) -> None:
    config = configuration(tmp_path, keys)
    with connect(url) as db:
        (id,) = only(db, [("custom", {"turnServers": {"credential": SECRET}}, None)])
    for command in ("--status", "--dry-run", "--yes"):
        code, out, err = callctl(url, "--config", config, "rotate-secrets", command)
        text = " ".join(out.split())
        assert code == 3, err
        assert "left as they were: 1 value" in text
        assert f"row {id}, credentials.turnServers: misshapen: a list is declared here, and an object is stored" in text
        assert CANARY not in out + err
    assert "under key k2 already" not in out


# ---- what is said of nothing to write ------------------------------------------------------------------------


def test_already_under_the_key_is_never_said_beside_plaintext(
    url: str, keys: Path, tmp_path: Path, callctl: Callctl
) -> None:
    config = configuration(tmp_path, keys)
    rotate(accounts.settings_of(url, keys))
    command = ("--config", config, "rotate-secrets", "--yes")
    assert "every value of the declared fields is under key k2 already" in callctl(url, *command)[1]
    with connect(url) as db:
        db.execute('UPDATE chatapp.companies SET settings = \'{"sip": {"password": "hunter2-hunter2"}}\'')
        code, out, err = callctl(url, *command)
        assert (code, "already" in out) == (0, False)
        assert "look like a secret in plaintext, outside the declared fields" in err
        assert "no value was written; " in out
        assert "outside the declared fields, see the warnings" in out
        only(db, [])
        db.execute("UPDATE chatapp.companies SET settings = '{}'")
        assert "the declared fields have no rows" in callctl(url, *command)[1]


# ---- in a bound field --------------------------------------------------------------------------------------


def test_foreign_ciphertext_in_a_bound_field_needs_its_row_named_and_the_option(url: str, keys: Path) -> None:
    """Each of the two decisions is the operator's own: that the value belongs there, and that it is encrypted again."""
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        (id,) = only(db, [("custom", {"password": "plain"}, "token")])
        assert rotate(settings, binding="bind").failures == 0
        db.execute("UPDATE chatapp.integration_accounts SET access_token = %s", (FOREIGN["vault"],))
        cases: list[tuple[dict[str, Any], str]] = [
            ({}, "unbound: ciphertext of Vault transit"),
            ({"encrypt_foreign": True}, "unbound: ciphertext of Vault transit"),
            ({"bind_new": [id]}, "foreign: it looks like ciphertext of Vault transit"),
        ]
        for options, reason in cases:
            counted = key_use.look(db, settings, **options).counted
            unbound = int(reason.startswith("unbound"))
            assert (counted.total("foreign"), counted.due, counted.left_count, counted.unbound) == (1, 0, 1, unbound)
            (tenant,) = counted.by_tenant()
            assert tenant[1:] == (2, 0, 1 - unbound, unbound)
            # Each is listed once: by its row, or by its field.
            assert (len(counted.unreadable), len(counted.foreign)) == (unbound, 1 - unbound)
            done = rotate(settings, **options)
            assert (done.values, done.failures, len(done.foreign)) == (0, 1, 1 - unbound)
            assert done.left[0].reason.startswith(reason)
            assert stored(db)[id][1] == FOREIGN["vault"]
        both: dict[str, Any] = {"bind_new": [id], "encrypt_foreign": True}
        assert key_use.look(db, settings, **both).counted.due == 1
        done = rotate(settings, **both)
        assert (done.values, done.failures) == (1, 0)
        seen = accounts.seen(db, accounts.ring_of(settings))
        assert {(each.plaintext, each.version) for each in seen.values()} == {
            ("plain", BOUND),
            (FOREIGN["vault"], BOUND),
        }
        assert rotate(settings).failures == 0


def test_what_no_path_reaches_in_a_bound_document_is_misshapen_and_not_unbound(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        (id,) = only(db, [("custom", {"turnServers": [{"credential": "plain"}]}, None)])
        assert rotate(settings, binding="bind").failures == 0
        moved = {"turnServers": {"credential": "moved"}}
        db.execute("UPDATE chatapp.integration_accounts SET credentials = %s", (Jsonb(moved),))
        for named in ([], [id]):
            counted = key_use.look(db, settings, bind_new=named).counted
            assert (counted.total("misshapen"), counted.unbound, counted.left_count, counted.due) == (1, 0, 1, 0)
            done = rotate(settings, bind_new=named)
            assert (done.values, done.failures) == (0, 1)
            assert done.left[0].reason.startswith("misshapen: ")
            assert stored(db)[id][0] == moved
