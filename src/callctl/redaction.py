"""Passwords out of whatever is printed."""

from __future__ import annotations

import re

_URL_PASSWORD = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s:@/?#]*:)(?P<secret>\S*)(?=@)", re.IGNORECASE)
_WHOLE_URL_PASSWORD = re.compile(
    r"\A(?P<before>\s*[a-z][a-z0-9+.-]*://[^:@/?#]*:)(?P<secret>.*)(?=@)", re.IGNORECASE | re.DOTALL
)
_KEY_PASSWORD = re.compile(
    r"(?P<before>\b(?:ssl)?password\s*=\s*)(?P<secret>'(?:[^'\\]|\\.)*'?|[^\s&]+)", re.IGNORECASE
)

# libpq quotes what it could not make sense of, and that is often a piece of a password with a space, a % or
# an @ in it: 'missing "=" after "…"', 'invalid percent-encoded token: "…"', 'host name "…@db"'.
_LIBPQ_QUOTES = re.compile(
    r'(?P<before>\b(?:missing "=" after|percent-encoded (?:token|value):|URI query parameter:'
    r'|in URI \([^)]*\):|integer value|port number:|invalid connection option) ")(?P<secret>.*)(?=")',
    re.IGNORECASE,
)
_LIBPQ_HOST = re.compile(r"""(?P<before>\b(?:host|host name|server at) ["'])(?P<secret>[^"'\n]*)(?=@)""", re.IGNORECASE)

_ALL = (_WHOLE_URL_PASSWORD, _URL_PASSWORD, _KEY_PASSWORD, _LIBPQ_QUOTES, _LIBPQ_HOST)


_QUERY = re.compile(r"(?P<before>[?#]).+", re.DOTALL)


def without_query(url: str | None) -> str | None:
    """A URL without what may be a secret in it: a password, a query."""
    return None if url is None else _QUERY.sub("\\g<before>\N{HORIZONTAL ELLIPSIS}", redact(url))


def printable(text: str) -> str:
    """A name that somebody typed, without what a terminal would obey."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def has_password(conninfo: str) -> bool:
    """Whether a URL or a libpq connection string holds a password."""
    return redact(conninfo) != conninfo


def redact(text: str) -> str:
    """``text`` with the password of every URL and connection string in it replaced by ``***``.

    Errs on the side of hiding too much: a password with unencoded ``@``, ``/`` or spaces goes as a whole.
    """
    for pattern in _ALL:
        text = pattern.sub(lambda found: found["before"] + ("***" if found["secret"] else ""), text)
    return text
