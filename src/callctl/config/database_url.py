"""The database's address as people paste it: what libpq understands of it, and how messages name the target.

A URL is only ever cleaned of what cannot be part of it (white space and quotes around it, the driver that SQLAlchemy
names in it). Everything else that libpq would refuse, or would read as another address than was meant, is refused here:
libpq's messages quote what it could not read, and that may be a piece of the password. No message holds a value.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from callctl.config.file import Unusable
from callctl.redaction import looks_like_a_key

EXAMPLE = "write postgresql://user@host:5432/database"

_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9.:-]{0,30})(?:\+(?P<driver>[a-z0-9_]{1,30}))?://", re.IGNORECASE)
_OURS = ("postgresql", "postgres")
# SQLAlchemy's names of drivers that take the same address as libpq, with the same defaults.
_DRIVERS = ("psycopg", "psycopg2", "psycopg2cffi", "psycopg_async", "asyncpg", "aiopg")
_QUOTES = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d", "\u2018": "\u2019"}
_AROUND = " \t\r\n\f\v\ufeff\u200b\u00a0"
_ASSIGNMENT = re.compile(
    r"(?:export\s+|set\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]{0,60})(?:\s*=\s*|:\s+)[\"']?[\w.:-]+(?:\+\w+)?://"
)
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")

_SCHEMA = "remove {name} from the URL, and give --schema or CALLCTL_SCHEMA"
_POOL = "remove {name} from the URL: callctl opens only the few sessions that it needs"
_TLS = "write sslmode=require, or sslmode=verify-full with sslrootcert, instead"
# Parameters that other tools put into a URL, and what to do about each.
_OTHER_TOOLS = {
    "schema": _SCHEMA,
    "currentSchema": _SCHEMA,
    "search_path": _SCHEMA,
    "searchpath": _SCHEMA,
    "pgbouncer": "remove {name} from the URL, and use the server's own port or a pooler in session mode",
    "connection_limit": _POOL,
    "pool_timeout": _POOL,
    "pool_size": _POOL,
    "pool": _POOL,
    "max_overflow": _POOL,
    "pool_max_conns": _POOL,
    "pool_min_conns": _POOL,
    "statement_cache_size": _POOL,
    "prepared_statement_cache_size": _POOL,
    "ssl": _TLS,
    "sslaccept": _TLS,
    "sslidentity": _TLS,
    "statement_timeout": "remove {name} from the URL, and give --statement-timeout",
    "lock_timeout": "remove {name} from the URL, and give --lock-timeout",
}
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def database(value: object) -> str:
    """A URL or a libpq connection string, cleaned of what is around it. Raises Unusable, which quotes nothing of it."""
    if not isinstance(value, str) or not value.strip(_AROUND) or "\x00" in value:
        raise Unusable("is not text", f"{EXAMPLE}, or a libpq connection string")
    if "://" in value and not _decodes(value):
        hint = "write %XX of UTF-8 bytes; put a password that is not UTF-8 into .pgpass or PGPASSWORD"
        raise Unusable("has percent-encoded bytes that are not UTF-8", hint)
    text = value.strip(_AROUND)
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip(_AROUND)
    if text[:1] in _QUOTES or text[:1] == "<":
        raise Unusable("begins with a quotation mark or a bracket", EXAMPLE)
    if text.startswith("$") or "${" in text.partition("://")[0]:
        hint = "write the variable in double quotes, so that the shell replaces it by the URL"
        raise Unusable("is the name of a variable, not a URL", hint)
    if text == "psql" or re.match(r"psql\s", text):
        raise Unusable("begins with the command psql", "give only the URL that follows, without quotes")
    named = _ASSIGNMENT.match(text)
    if named is not None and named["name"] not in _libpq_parameters():
        name = named["name"]
        shown = f" ({name})" if name.isupper() and not looks_like_a_key(name) else ""
        raise Unusable(f"begins with the name of a variable{shown}", "give only the URL that follows")
    match = _SCHEME.match(text)
    return text if match is None else _url(text, match)


def _decodes(text: str) -> bool:
    """Return whether what is percent-encoded in ``text`` is UTF-8."""
    try:
        unquote_to_bytes(text).decode()
    except UnicodeError:
        return False
    return True


def _url(text: str, match: re.Match[str]) -> str:
    scheme, driver, rest = match["scheme"].lower(), match["driver"], text[match.end() :]
    if scheme == "jdbc:postgresql":
        hint = "write postgresql://user@host:5432/database: in JDBC the user and the password are parameters"
        raise Unusable("is a JDBC URL, which libpq does not read", hint)
    if scheme not in _OURS or (driver is not None and driver.lower() not in _DRIVERS):
        raise Unusable("does not begin with postgresql://", EXAMPLE)
    behind_user = rest.rpartition("@")[2]
    if driver is not None and "%" in behind_user.partition("?")[0].partition("/")[2]:
        # SQLAlchemy takes the database's name as it is written, libpq decodes it.
        hint = f"{EXAMPLE}, without +driver, and the database's name as libpq reads it"
        raise Unusable("names a driver, and its database's name contains a %", hint)
    if re.search(r"[\s\x00-\x1f\ufeff\u200b]", rest):
        raise Unusable("contains white space", "write a space as %20; a URL is one line")
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00", rest):
        raise Unusable("has a % that two hexadecimal digits do not follow", "write a % as %25")
    if rest.count("@") > 1 or ("@" in rest and "@" not in rest.partition("/")[0]):
        # libpq ends the password at the first @ or /, and takes what follows for the host or the database.
        hint = "write @ as %40, / as %2F, : as %3A, ? as %3F, # as %23 and % as %25 in a user name or a password"
        raise Unusable("has an @ before the one that separates the password from the host", hint)
    url = f"{scheme}://{rest}"
    _check_parameters(behind_user.partition("?")[2])
    return url


def _check_parameters(query: str) -> None:
    """Raise Unusable for a parameter that libpq does not have."""
    if not query:
        return
    known = _libpq_parameters()
    # What seems to be another parameter may be what is behind an & in a password.
    names_may_be_secret = "password=" in query
    parts = [part.partition("=") for part in query.split("&")]
    # Of JDBC's, libpq has this one.
    foreign = [name for name, _, value in parts if name in _OTHER_TOOLS and (name, value) != ("ssl", "true")]
    if foreign:
        raise _not_libpqs("parameter", foreign)
    seen: set[str] = set()
    for name, equals, value in parts:
        if name in known and name in seen:  # libpq would take the last of them without a word
            raise Unusable(
                f"has the parameter {name} more than once", "keep one of them; write several hosts as host=a,b"
            )
        seen.add(name)
        if name == "sslmode" and equals and value not in SSL_MODES:
            raise Unusable("has an sslmode that libpq does not know", f"use one of {', '.join(SSL_MODES)}")
        if name not in known and (name, value) != ("ssl", "true"):
            plain = equals and _PARAMETER.fullmatch(name) and not looks_like_a_key(name)
            shown = f" {name}" if plain and not names_may_be_secret else ""
            close = difflib.get_close_matches(name, known, n=1) if shown else []
            hint = (
                f"write {close[0]} if you meant that; otherwise remove {name} from the URL"
                if close
                else "remove the parameter from the URL"
            )
            raise Unusable(f"has a parameter{shown} that libpq does not have", hint)
        if not equals or "=" in value:
            hint = "write name=value with & between parameters; in a value write = as %3D and & as %26"
            raise Unusable(f"has no single = in its parameter {name}", hint)


def _not_libpqs(noun: str, names: Sequence[str]) -> Unusable:
    """The refusal of what other tools put there; what to do about each is the hint."""
    unique = list(dict.fromkeys(names))
    hints = dict.fromkeys(_OTHER_TOOLS[name].format(name=name) for name in unique)
    named = f"the {noun} {unique[0]}, which is" if len(unique) == 1 else f"the {noun}s {', '.join(unique)}, which are"
    return Unusable(f"has {named} not libpq's", "; ".join(hints))


def _libpq_parameters() -> frozenset[str]:
    """The parameters of the libpq in use."""
    from psycopg import pq

    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


# libpq's variables that say where a database is. Each other part has a default.
_ADDRESS = ("PGSERVICE", "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER")


def address_variables(environ: Mapping[str, str]) -> list[str]:
    """The names of libpq's variables that say which database is meant. PGSERVICEFILE chooses none: PGSERVICE does."""
    return [name for name in _ADDRESS if environ.get(name)]


def unreadable(conninfo: str) -> Unusable | None:
    """Why libpq cannot read a connection string, without its words, which quote it; None if it can."""
    from psycopg import OperationalError, pq

    try:
        pq.Conninfo.parse(conninfo.encode())
    except OperationalError as error:
        message = str(error)
    else:
        return None
    if message.startswith('missing "="'):
        return Unusable(
            "is not a connection string: a word has no =",
            f"put a value with a space in single quotes, or {EXAMPLE}",
        )
    if "unterminated quoted string" in message:
        return Unusable("has a single quote that is not closed", r"in a quoted value write ' as \' and \ as \\")
    if "invalid connection option" in message:
        name = next((option for option in _OTHER_TOOLS if f'"{option}"' in message), None)
        if name is None:
            return Unusable(
                "has an option that libpq does not have", "use an option of libpq: host, port, user, dbname, …"
            )
        return _not_libpqs("option", [name])
    if '"]"' in message or "IPv6" in message:
        return Unusable(
            "has an IPv6 address without its closing bracket", "write postgresql://user@[::1]:5432/database"
        )
    return Unusable("is not a connection string that libpq can read", EXAMPLE)


_VALUE = re.compile(
    r"(?:connection (?:failed|is bad): )?(?:connection to server [^\n]{1,200}? failed: )?invalid "
    r"(?:integer value .* for connection option \"(?P<option>\w+)\""
    r"|(?P<port>port) number:|(?P<name>\w+) value:)",
    re.DOTALL,
)


def refused(conninfo: str, message: str) -> Unusable | None:
    """Why libpq refuses an address before it connects, as its ``message`` says; None if that is not the reason."""
    problem = unreadable(conninfo)
    match = _VALUE.match(message)
    if problem is not None or match is None:
        return problem
    name = match["option"] or match["port"] or match["name"]
    if name not in _libpq_parameters():
        return None
    known = f": {', '.join(SSL_MODES)}" if name == "sslmode" else ""
    return Unusable(
        f"(or the service file, or a variable of libpq) gives {name} a value that libpq does not accept",
        f"give {name} another value{known}; or remove {name}",
    )


# Which database a run talks to, as its first line, its questions and its result name it.

# What an environment is called where a run has to name its database.
_PRODUCTION = ("production", "prod")


@dataclass(frozen=True)
class Target:
    """A database that has answered. Names are the server's own; never a password.

    ``host`` is the host that answered, or the directory of its socket; ``environment`` is the setting, None if it
    is not set.
    """

    database: str
    host: str
    port: int
    role: str
    postgresql: str
    environment: str | None
    schema: str

    @property
    def place(self) -> str:
        """'platform on db.example:5432 (production)'."""
        environment = f" ({self.environment})" if self.environment else ""
        return f"{self.database} on {server(self.host, self.port)}{environment}"

    @property
    def text(self) -> str:
        """All of it on one line, behind 'callctl: target:'."""
        environment = f"environment {self.environment}" if self.environment else "environment not set"
        return (
            f"{self.database} on {server(self.host, self.port)} as {self.role}, PostgreSQL {self.postgresql},"
            f" {environment}, schema {self.schema}"
        )


def server(host: str, port: int | str) -> str:
    """'db.example:5432', '[::1]:5432'."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_production(environment: str | None) -> bool:
    """Return whether only a typed name changes a database of this ``environment``: 'production' or 'prod', any case."""
    return (environment or "").strip().casefold() in _PRODUCTION
