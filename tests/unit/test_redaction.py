"""No password survives redact()."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callctl.redaction import has_password, redact

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


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)
