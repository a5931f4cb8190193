"""No password and no key survives redact()."""

from __future__ import annotations

import base64
import random

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callctl.redaction import has_password, hide_keys, looks_like_a_key, redact, without_quotes

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://me:{SECRET}@db:5432/x",
        f"postgres://:{SECRET}@/x?host=/tmp",
        f"postgresql://me:a@{SECRET}/b@db/x",
        f"postgresql://me:a {SECRET} b@db/x",
        f"postgresql://db/x?user=me&password={SECRET}&sslmode=require",
        f"POSTGRESQL://db/x?sslpassword={SECRET}",
        f"host=db password={SECRET} dbname=x",
        f"host=db password = '{SECRET}' dbname=x",
        f"host=db password='it\\'s {SECRET}' dbname=x",
        f"host=db password='{SECRET}",
        f"cannot connect to postgresql://me:{SECRET}@db/x: refused",
    ],
)
def test_a_password_is_hidden(text: str) -> None:
    assert has_password(text)
    assert SECRET not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me@db:5432/x",
        "postgresql://db:5432/x?sslmode=require",
        "host=db user=me",
        'password authentication failed for user "me"',
        "",
    ],
)
def test_what_holds_no_password_stays(text: str) -> None:
    assert not has_password(text)
    assert redact(text) == text


@pytest.mark.parametrize(
    "conninfo",
    [
        f"host=db password=two {SECRET}",
        f"postgresql://me:100%{SECRET}@db/x",
        f"postgresql://me:a/{SECRET}@db/x",
        f"postgresql://me:a@{SECRET}@localhost:1/x",
        f"postgresql://db/x?password=a&{SECRET}",
        f"postgresql://db/x?password=a={SECRET}",
        f"postgresql://[::1]:5432{SECRET}@db/x",
    ],
)
def test_what_libpq_makes_of_a_password_it_cannot_read_is_hidden(conninfo: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        psycopg.connect(conninfo, connect_timeout=2)
    assert SECRET not in redact(str(caught.value))


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="%"), min_size=1))
def test_any_password_goes_out_of_a_url(password: str) -> None:
    url = f"postgresql://me:{password}@db.internal/x"
    assert redact(url) == "postgresql://me:***@db.internal/x"


def forms(key: bytes) -> list[str]:
    digits = key.hex()
    grouped = [
        between.join(digits[at : at + size] for at in range(0, 64, size))
        for size in (1, 2, 4, 8, 16, 32)
        for between in (" ", "-", ":", ", ", "_", "\n", ".", "', '")
    ]
    escaped = ["".join(f"{mark}{digits[at : at + 2]}" for at in range(0, 64, 2)) for mark in ("\\x", " 0x", "%")]
    plain = [digits, digits.upper(), f"0x{digits}", f"key_{digits}_", digits[:-1], digits[5:]]
    return [*plain, *grouped, *escaped, base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()]


@pytest.mark.parametrize("seed", range(50))
def test_a_key_is_hidden_however_it_is_written(seed: int) -> None:
    for form in forms(random.Random(seed).randbytes(32)):
        for text in (form, f"cannot read /etc/{form}: no", f'"{form}"', f"1234 {form} 12", f"a={form}"):
            shown = redact(text)
            pieces = {form[at : at + 12] for at in range(len(form) - 11)}
            assert not [piece for piece in pieces if piece in shown], (text, shown)
            assert looks_like_a_key(form)


@pytest.mark.parametrize(
    "text",
    [
        "00000000-0000-4000-8000-000000000001, 123e4567-e89b-12d3-a456-426614174000",
        "123e4567-e89b-12d3-a456-426614174000 " * 5,
        "2026-01-31 04:00:00 2026-01-31T04:00:00+00:00 12:12:12.123456 0/16B3748",
        "(1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015)",
        "key k1 (file /Users/JohnSmith/Projects/MyChat2/secrets/k1.key): check value 8209f9021b95",
        "chatapp.integration_accounts_company_id_account_type_phone_number_key",
        "/private/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T/tmpabc/callctl.yaml",
        "https://hooks.example/123e4567-e89b-12d3-a456-426614174000/events?since=2026",
    ],
)
def test_what_is_no_key_stays(text: str) -> None:
    assert hide_keys(text) == text


def test_a_uuid_may_be_an_id() -> None:
    assert not looks_like_a_key("123e4567-e89b-12d3-a456-426614174000")
    assert looks_like_a_key("123e4567-e89bb12d3-a456-426614174000f0")


def test_a_parsers_quotes_go() -> None:
    assert without_quotes("found undefined alias 'abc'") == "found undefined alias '…'"
    assert without_quotes("found character '\\t' that") == "found character '\\t' that"
    assert without_quotes("""a 'b" c' d "e' f""") == "a '…' f"


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)
