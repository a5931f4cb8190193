"""The database's address as people paste it: understood where nothing else can be meant, else refused with the reason.

And no message holds a value of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from callctl.config.database_url import database, unreadable
from callctl.config.file import Unusable
from callctl.config.settings import Settings, load_settings
from callctl.database.connection import connect
from callctl.errors import CallctlError, ConfigError, ConnectionFailed, UsageError

SECRET = "s3cr3t"
# Where nothing listens, and nothing is looked up.
NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (" postgresql://me@db/x", "postgresql://me@db/x"),
        ("postgresql://me@db/x\r\n", "postgresql://me@db/x"),
        ("\ufeffpostgresql://me@db/x", "postgresql://me@db/x"),
        ('"postgresql://me@db/x"\n', "postgresql://me@db/x"),
        ("'postgresql://me@db/x'", "postgresql://me@db/x"),
        ("\u201cpostgresql://me@db/x\u201d", "postgresql://me@db/x"),
        ("postgresql+psycopg://me:a%40b@db/x", "postgresql://me:a%40b@db/x"),
        ("postgresql+psycopg2://me@db/x?sslmode=require", "postgresql://me@db/x?sslmode=require"),
        ("postgres+asyncpg://me@db/x", "postgres://me@db/x"),
        ("PostgreSQL://me@db/x", "postgresql://me@db/x"),
        # What libpq reads stays as it is.
        ("postgresql://db/x?ssl=true", "postgresql://db/x?ssl=true"),
        ("postgresql:///x?host=/tmp&port=5433", "postgresql:///x?host=/tmp&port=5433"),
        ("postgresql://a:1,b:2/x?target_session_attrs=any", "postgresql://a:1,b:2/x?target_session_attrs=any"),
        ("postgresql://me:p@[::1]:5432/x", "postgresql://me:p@[::1]:5432/x"),
        ("postgresql://me:a?b=c#d@db/x", "postgresql://me:a?b=c#d@db/x"),
        (r"host=db password='it\'s \\ x' dbname=x", r"host=db password='it\'s \\ x' dbname=x"),
        ("password=a://b dbname=x", "password=a://b dbname=x"),
        ("service=platform", "service=platform"),
    ],
)
def test_what_can_mean_one_thing_only_is_understood(written: str, meant: str) -> None:
    assert database(written) == meant
    assert unreadable(meant) is None


@pytest.mark.parametrize(
    ("url", "problem", "hint"),
    [
        (f"postgresql://me:{SECRET}@db/x?schema={SECRET}", "the parameter schema, which is not libpq's", "--schema"),
        (f"postgresql://db/x?currentSchema={SECRET}", "the parameter currentSchema, which", "--schema"),
        (f"postgresql://db/x?pgbouncer={SECRET}", "the parameter pgbouncer, which is not", "remove pgbouncer"),
        ("postgresql://db/x?connection_limit=5", "the parameter connection_limit, which", "remove connection_limit"),
        ("postgresql://db/x?pgbouncer=true&schema=a", "the parameters pgbouncer, schema, which are not", "--schema"),
        (f"postgresql+asyncpg://db/x?ssl={SECRET}", "the parameter ssl, which", "sslmode=require"),
        (f"postgresql://db/x?sslmode={SECRET}", "has an sslmode that libpq does not know", "verify-full"),
        (f"postgresql://db/x?sslmod={SECRET}", "has a parameter sslmod that", "write sslmode if you meant that"),
        ("postgresql://db/x?host=a&host=b", "has the parameter host more than once", "host=a,b"),
        (f"postgresql://db/x?password=a&{SECRET}", "has a parameter that libpq does not have", "remove the parameter"),
        (
            f"postgresql://db/x?password=a&{SECRET}=b",
            "has a parameter that libpq does not have",
            "remove the parameter",
        ),
        (f"postgresql://db/x?password=a={SECRET}", "no single = in its parameter password", "%3D"),
        (f"jdbc:postgresql://db/x?user=me&password={SECRET}", "is a JDBC URL", "postgresql://user@host"),
        (f"mysql://me:{SECRET}@db/x", "does not begin with postgresql://", "postgresql://user@host"),
        (f"prisma+postgres://host/?api_key={SECRET}", "does not begin with postgresql://", "postgresql://user@host"),
        (f"postgresql+other://me:{SECRET}@db/x", "does not begin with postgresql://", "postgresql://user@host"),
        (f"postgresql+psycopg://db/{SECRET}%20b", "its database's name contains a %", "without +driver"),
        (f"psql postgresql://me:{SECRET}@db/x", "begins with the command psql", "only the URL"),
        (f'psql "postgresql://me:{SECRET}@db/x"', "begins with the command psql", "only the URL"),
        (f"DATABASE_URL=postgresql://me:{SECRET}@db/x", "a variable (DATABASE_URL)", "only the URL"),
        (f'export DATABASE_URL="postgresql://me:{SECRET}@db/x"', "a variable (DATABASE_URL)", "only the URL"),
        (f"DATABASE_URL: postgresql://me:{SECRET}@db/x", "a variable (DATABASE_URL)", "only the URL"),
        ("$DATABASE_URL", "the name of a variable, not a URL", "double quotes"),
        (f'"postgresql://me:{SECRET}@db/x', "begins with a quotation mark", "postgresql://user@host"),
        (f"postgresql://me:a {SECRET}@db/x", "white space", "%20"),
        (f"postgresql://me:a@db/x\nPASSWORD={SECRET}", "white space", "%20"),
        (f"postgresql://me:100%{SECRET}@db/x", "has a % that two", "%25"),
        (f"postgresql://me:{SECRET}%00@db/x", "has a % that two", "%25"),
        (f"postgresql://me:a/{SECRET}@db/x", "has an @ before", "/ as %2F"),
        (f"postgresql://me:12/{SECRET}@db/x", "has an @ before", "/ as %2F"),
        (f"postgresql://me:a@{SECRET}@db/x", "has an @ before", "@ as %40"),
        (f"postgresql://me:{SECRET}@@db/x", "has an @ before", "@ as %40"),
        ("\x00", "is not text", "postgresql://user@host"),
    ],
)
def test_what_cannot_be_a_url_is_refused_by_what_is_wrong_with_it(
    url: str, problem: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(Unusable) as caught:
        database(url)
    assert problem in caught.value.message
    assert hint in caught.value.hint
    with pytest.raises(UsageError, match=r"^--database "):
        load_settings({"database": url}, environ={}, directory=tmp_path)
    with pytest.raises(ConfigError, match=r"^DATABASE_URL ") as wrong:
        load_settings(environ={"DATABASE_URL": url}, directory=tmp_path)
    assert SECRET not in f"{wrong.value.message}{wrong.value.hint}"


@pytest.mark.parametrize(
    ("conninfo", "problem", "hint"),
    [
        (f"host=db password=two {SECRET}", "a word has no =", "single quotes"),
        (SECRET, "a word has no =", "postgresql://user@host"),
        (f"host=db password='two {SECRET}", "a single quote that is not closed", r"write ' as \'"),
        (f"host=db password=a {SECRET}=b", "an option that libpq does not have", "host, port"),
        (f"host=db schema={SECRET}", "has the option schema, which is not libpq's", "--schema"),
        (f"postgresql://me:{SECRET}@[::1/x", "an IPv6 address without its closing bracket", "[::1]:5432"),
        (f"host=127.0.0.1 port={SECRET}", "gives port a value", "give port another value"),
        (f"postgresql://127.0.0.1:{SECRET}/x", "gives port a value", "give port another value"),
        (f"host=127.0.0.1 port=1 sslmode={SECRET}", "gives sslmode a value", "verify-full"),
        (f"host=127.0.0.1 port=1 channel_binding={SECRET}", "gives channel_binding a value", "another value"),
        (f"host=127.0.0.1 port=1 keepalives='{SECRET}\"x'", "gives keepalives a value", "another value"),
    ],
)
def test_what_libpq_cannot_read_is_said_in_other_words(conninfo: str, problem: str, hint: str) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        connect(Settings(database_url=database(conninfo), database_source="DATABASE_URL"))
    assert "DATABASE_URL" in caught.value.message
    assert problem in caught.value.message
    assert hint in str(caught.value.hint)
    assert SECRET not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    "password",
    ["two words", "100%", 'a"b', "a'b", "a\\b", "a@b", "a/b", "a?b=c", "a#b", "a&b", "[::1]", "a:b", "${P}", "é", "%z"],
)
@pytest.mark.parametrize(
    "form",
    [
        "postgresql://me:{}@" + NOWHERE + "/x",
        "postgresql://" + NOWHERE + "/x?user=me&password={}",
        "postgresql://me:{}@[::1]:1/x",
        "postgresql://me:{}@127.0.0.1:1,127.0.0.2:1/x",
        "host=127.0.0.1 port=1 password={}",
        "host=127.0.0.1 port=1 password='{}'",
        "host=127.0.0.1 port=1 password='{}",
    ],
)
def test_no_password_comes_back_out_of_libpq(password: str, form: str) -> None:
    conninfo = form.format(f"{SECRET}{password}{SECRET}")
    with pytest.raises((Unusable, CallctlError)) as caught:
        connect(Settings(database_url=database(conninfo), database_source="DATABASE_URL"))
    assert isinstance(caught.value, Unusable | CallctlError)
    assert SECRET not in f"{caught.value.message}{caught.value.hint}"


def test_a_service_file_gives_away_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "service"
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    for content in (
        f"[platform]\npassword {SECRET}\n",
        f"[platform]\nhost=127.0.0.1\nport=1\npassword=a\n{SECRET}=b\n",
        f"[platform]\nhost=127.0.0.1\nport={SECRET}\n",
        f"[platform]\nhost=127.0.0.1\nport=1\nsslmode={SECRET}\n",
        f"[platform]\nhost=127.0.0.1\nport=1\npassword={SECRET}\n",
        f"[other]\npassword={SECRET}\n",
    ):
        file.write_text(content)
        with pytest.raises(ConnectionFailed) as caught:
            connect(Settings(database_url="service=platform", database_source="DATABASE_URL"))
        assert SECRET not in f"{caught.value.message}{caught.value.hint}", content


@pytest.mark.parametrize("value", ["", "postgresql+psycopg://db/a%25b", "host=db x"])
def test_a_hint_has_one_verb(value: str) -> None:
    try:
        problem = unreadable(database(value))
    except Unusable as refused:
        problem = refused
    assert problem is not None
    assert "write write" not in problem.hint
    assert "write postgresql://" in problem.hint
