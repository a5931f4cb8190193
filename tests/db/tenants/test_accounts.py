"""callctl accounts: what is wrong with which account, by the same questions as verify; and never a secret."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from tests.conftest import connect
from tests.db.conftest import Callctl

from callctl.config.settings import Settings
from callctl.migration import migrate

# It is about plain UPDATE.
pytestmark = pytest.mark.one_server

Database = psycopg.Connection[Any]
CANARY = "canary-7d20"
HOOK = "https://chat.example/api/webhooks/twilio/voice/"


def add(db: Database, name: str, account_type: str = "twilio", **columns: str) -> str:
    """An account in good health, unless ``columns`` (SQL) say otherwise; secrets everywhere a secret may be."""
    values = {
        "credentials": f'\'{{"authToken": "{CANARY}", "accountSid": "{CANARY}", "x": ["{CANARY}"]}}\'',
        "access_token": f"'{CANARY}'",
        "refresh_token": f"'{CANARY}'",
        "webhook_secret": f"'{CANARY}'",
        "description": f"'{CANARY}'",
        "webhook_url": f"'{HOOK}' || gen_random_uuid()",
        **columns,
    }
    names = ", ".join(values)
    row = db.execute(
        f"INSERT INTO chatapp.integration_accounts (company_id, account_type, account_name, {names})"
        f" SELECT id, %s, %s, {', '.join(values.values())} FROM chatapp.companies"
        " WHERE slug = 'company-1' RETURNING id::text".encode(),
        (account_type, name),
    ).fetchone()
    assert row is not None
    if "webhook_url" not in columns:
        db.execute(
            f"UPDATE chatapp.integration_accounts SET webhook_url = '{HOOK}' || id WHERE id = %s".encode(), (row[0],)
        )
    return str(row[0])


ERROR = {"last_error": f"'{CANARY}'"}
TROUBLES: dict[str, tuple[dict[str, str], list[str]]] = {
    "healthy": ({"last_verified_at": "now() - interval '3 days'", "token_expires_at": "now() + interval '8 days'"}, []),
    "a new error": ({**ERROR, "status": "'error'", "last_error_at": "now() - interval '59 minutes'"}, []),
    "an old error": ({**ERROR, "status": "'error'", "last_error_at": "now() - interval '61 minutes'"}, ["error"]),
    "an error by its text alone": ({**ERROR, "last_error_at": "now() - interval '2 days'"}, ["error"]),
    "verified again": (
        {**ERROR, "last_error_at": "now() - interval '2 days'", "last_verified_at": "now() - interval '1 day'"},
        [],
    ),
    "verified before": (
        {**ERROR, "last_error_at": "now() - interval '1 day'", "last_verified_at": "now() - interval '2 days'"},
        ["error"],
    ),
    "in error since nobody knows": ({"status": "'error'"}, ["error"]),
    "a cleared error": ({"last_error_at": "now() - interval '2 days'"}, []),
    "expired": ({"token_expires_at": "now() - interval '1 minute'"}, ["token"]),
    "expires soon": ({"token_expires_at": "now() + interval '6 days'"}, ["token"]),
    "never expires": ({"token_expires_at": "'infinity'", "last_error_at": "'-infinity'"}, []),
    "expired for ever": ({"token_expires_at": "'-infinity'"}, ["token"]),
    "no webhook": ({"webhook_url": "NULL"}, ["webhook missing"]),
    "an empty webhook": ({"webhook_url": "''"}, ["webhook missing", "webhook malformed"]),
    "not set up yet": ({"webhook_url": "NULL", "status": "'pending'"}, []),
    "malformed": ({"webhook_url": f"'https://x:{CANARY}@chat.example/hook?t={CANARY}'"}, ["webhook malformed"]),
    "another's": ({"webhook_url": f"'{HOOK}' || gen_random_uuid()"}, ["webhook malformed"]),
    "a template": ({"webhook_url": f"'{HOOK}{{{{accountId}}}}'"}, ["webhook malformed"]),
    "a template, encoded": ({"webhook_url": f"'{HOOK}%%7B%%7BaccountId%%7D%%7D'"}, ["webhook malformed"]),
    "a template as the host": (
        {"webhook_url": "'https://{{HOST}}/api/webhooks/twilio/voice/one'"},
        ["webhook malformed"],
    ),
    "a user in it": (
        {"webhook_url": f"'https://user:{CANARY}@chat.example/api/webhooks/twilio/voice/one'"},
        ["webhook malformed"],
    ),
    "another host": (
        {"webhook_url": "'https://chat.example@evil.example/api/webhooks/twilio/voice/one'"},
        ["webhook malformed"],
    ),
    "another host, encoded": (
        {"webhook_url": "'https://chat.example%%40evil.example/api/webhooks/twilio/voice/one'"},
        ["webhook malformed"],
    ),
    "a backslash": (
        {"webhook_url": "E'https://evil.example\\\\@chat.example/api/webhooks/twilio/voice/one'"},
        ["webhook malformed"],
    ),
    "control characters": ({"webhook_url": f"E'{HOOK}one\\x1b[2J'"}, ["webhook malformed"]),
    "control characters of two bytes": ({"webhook_url": f"E'{HOOK}one\\u009b2J'"}, ["webhook malformed"]),
    "a bidirectional character": ({"webhook_url": f"E'{HOOK}one\\u202e'"}, ["webhook malformed"]),
    "a line break": ({"webhook_url": f"E'{HOOK}one\\n'"}, ["webhook malformed"]),
    "another's, without hyphens": (
        {"webhook_url": f"'{HOOK}' || replace(gen_random_uuid()::text, '-', '')"},
        ["webhook malformed"],
    ),
    "a name and a port": ({"webhook_url": "'https://chat.example:8443/api/webhooks/twilio/voice/test-account-id'"}, []),
    "an address": ({"webhook_url": "'https://[2001:db8::1]:8443/api/webhooks/twilio/voice/two'"}, []),
    "an error to come": (
        {**ERROR, "status": "'error'", "last_error_at": "now() + interval '1 day'"},
        ["error"],
    ),
    "an error to come, by its text": (
        {**ERROR, "last_error_at": "now() + interval '1 hour'", "last_verified_at": "now() - interval '1 minute'"},
        ["error"],
    ),
    "an error for ever": ({"status": "'error'", "last_error_at": "'infinity'"}, ["error"]),
    "on, inactive": ({"status": "'inactive'"}, ["status"]),
    "off, active": ({"is_active": "false"}, ["status"]),
    "off": ({"is_active": "false", "status": "'inactive'", "token_expires_at": "now()", "webhook_url": "NULL"}, []),
    "pending and off": ({"is_active": "false", "status": "'pending'"}, []),
    "gone": ({"deleted_at": "now()", "status": "'error'", "webhook_url": "'nonsense'"}, ["not listed"]),
    "several": (
        {**ERROR, "status": "'error'", "token_expires_at": "now() - interval '3 days'", "webhook_url": "NULL"},
        ["error", "token", "webhook missing"],
    ),
}


def test_each_problem_is_found_and_no_secret_shown(applied: str, callctl: Callctl) -> None:
    code, out, _ = callctl(applied, "accounts", "--problems")
    assert (code, out) == (0, "0 accounts, none with a problem\n")
    with connect(applied) as db:
        for name, (columns, _) in TROUBLES.items():
            add(db, name, **columns)
        add(db, "custom", "custom", webhook_url="NULL")
        digest = "SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM chatapp.integration_accounts AS t"
        before = db.execute(digest).fetchone()
    code, out, err = callctl(applied, "accounts", "--output", "json")
    assert (code, len(err.splitlines())) == (0, 1)  # the target
    document = json.loads(out)
    found = {each["account_name"]: each["troubles"] for each in document["accounts"]}
    expected = {name: troubles for name, (_, troubles) in TROUBLES.items() if troubles != ["not listed"]}
    assert found == {**expected, "custom": []}
    assert document["total"] == len(found)
    assert document["with_problems"] == sum(1 for troubles in expected.values() if troubles)
    assert {each["company_slug"] for each in document["accounts"]} == {"company-1"}
    outputs = [out]
    for arguments in ((), ("--problems",), ("--problems", "--output", "json")):
        code, out, err = callctl(applied, "accounts", *arguments)
        assert code == (3 if "--problems" in arguments else 0)
        outputs += [out, err]
    assert CANARY not in "".join(outputs)
    text = outputs[1]
    for said in (
        "in error, the last one 1 h ago",
        "in error, since an unknown time",
        "its token expires in 5 d",
        "its token has expired",
        "it has no webhook URL",
        "its webhook URL is not of the documented form: https://x:***@chat.example/hook?…",
        "it is switched on, and its status is inactive",
        "it is switched off, and its status is active",
    ):
        assert said in text
    assert {each["account_name"] for each in json.loads(outputs[5])["accounts"]} == {
        name for name, troubles in expected.items() if troubles
    }
    with connect(applied) as db:
        assert db.execute(digest).fetchone() == before


def test_before_step_9_and_in_the_archive(deployed: str, callctl: Callctl) -> None:
    for step in (None, 9):
        if step is not None:
            migrate.up(Settings(database_url=deployed), to=step)
            assert callctl(deployed, "accounts")[0] == 0
            migrate.down(Settings(database_url=deployed), to=8)
        code, out, err = callctl(deployed, "accounts", "--problems")
        assert (code, out) == (3, "")
        assert f"table chatapp.integration_accounts is {'archived' if step else 'not there'}" in err
        assert "run callctl migrate up first" in err


# Addresses of a kind of account that the document gives no form for. {own}: its id, {other}: that of another account.
CUSTOM = {
    "https://pbx.example/": True,
    "https://pbx.example/hooks?account={own}&x=%20y#z": True,
    "https://pbx.example:5061/a/b@c": True,
    "https://pbx.example/hooks/{other}": False,
    "https://pbx.example/hooks?account={other}": False,
    "https://pbx.example/{own}/{other}": False,
    "https://pbx.example/{OTHER}": False,
    "https://pbx.example/x{bare}y": False,
    "https://pbx.example/{{{{accountId}}}}": False,
    "https://user@pbx.example/": False,
    "https://pbx.example@evil.example/": False,
    "https://pbx.example:x/": False,
    "https://pbx.example/\x1b[2J": False,
    "https://pbx.example/\u202e": False,
    "https://pbx.example/%zz": False,
    "https:///hooks": False,
}


def test_addresses_of_other_kinds(applied_documented: str, callctl: Callctl) -> None:
    with connect(applied_documented) as db:
        other = add(db, "other")
        expected = {}
        for number, (address, good) in enumerate(CUSTOM.items()):
            name = f"custom {number}"
            own = add(db, name, "custom", webhook_url="NULL")
            url = address.format(own=own, other=other, OTHER=other.upper(), bare=other.replace("-", ""))
            db.execute(
                "UPDATE chatapp.integration_accounts SET webhook_url = %s, status = 'active' WHERE id = %s", (url, own)
            )
            expected[name] = good
    _, out, _ = callctl(applied_documented, "accounts", "--output", "json")
    found = {each["account_name"]: each["troubles"] for each in json.loads(out)["accounts"]}
    assert {name: "webhook malformed" not in found[name] for name in expected} == expected
    assert "webhook malformed" not in found["other"]
