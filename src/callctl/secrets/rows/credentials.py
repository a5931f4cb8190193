"""Credentials against the shapes that the specification gives each account type. Says where, never what."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from callctl.redaction import looks_like_a_key

Trouble: TypeAlias = Literal["missing", "extra", "wrong type"]

# What a member is: text; a secret, which is text or an envelope; a list of one of these; an object.
_TEXT = "text"
_SECRET = "secret"

# The specification's examples name every member of each type and call none of them optional.
SHAPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "twilio": {
            "accountSid": _TEXT,
            "authToken": _SECRET,
            "phoneNumber": _TEXT,
            "apiKeySid": _TEXT,
            "apiKeySecret": _SECRET,
        },
        "whatsapp": {
            "businessAccountId": _TEXT,
            "phoneNumberId": _TEXT,
            "phoneNumber": _TEXT,
            "accessToken": _SECRET,
            "appId": _TEXT,
            "appSecret": _SECRET,
            "wabizPhoneNumberId": _TEXT,
        },
        "custom": {
            "sipUri": _TEXT,
            "username": _TEXT,
            "password": _SECRET,
            "domain": _TEXT,
            "proxyServer": _TEXT,
            "stunServers": [_TEXT],
            "turnServers": [{"urls": _TEXT, "username": _TEXT, "credential": _SECRET}],
        },
    }
)


def problems(account_type: str, credentials: object) -> tuple[tuple[str, Trouble], ...]:
    """Where the credentials of an account differ from its type's shape: each path with what is wrong there.

    Null counts as missing. Whether an object in place of a secret is an envelope that opens is not asked here.
    Of an account type that the specification does not have there is nothing to say.
    """
    shape = SHAPES.get(account_type)
    return () if shape is None else tuple(_object("credentials", shape, credentials))


# Credentials that are alike in this are alike in their problems, too: names, types, and those of what is in a list.
_known: dict[tuple[str, Hashable], bool] = {}
_MOST_KNOWN = 4_096


def fit(account_type: str, credentials: Mapping[str, Any]) -> bool:
    """Whether there are no :func:`problems`. For a loop over very many, most of them alike."""
    types = tuple(map(type, credentials.values()))
    alike = (account_type, (tuple(credentials), types, _in_lists(credentials) if list in types else None))
    known = _known.get(alike)
    if known is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        known = _known[alike] = not problems(account_type, credentials)
    return known


def _in_lists(credentials: Mapping[str, Any]) -> Hashable:
    return tuple([
        tuple([(tuple(each), tuple(map(type, each.values()))) if type(each) is dict else type(each) for each in value])
        for value in credentials.values()
        if type(value) is list
    ])  # fmt: skip


def _object(path: str, shape: Mapping[str, Any], value: object) -> Iterator[tuple[str, Trouble]]:
    if not isinstance(value, dict):
        yield path, "wrong type"
        return
    for name, kind in shape.items():
        if value.get(name) is None:
            yield f"{path}.{name}", "missing"
        else:
            yield from _member(f"{path}.{name}", kind, value[name])
    for name in value:
        if name not in shape:
            yield f"{path}.{shown(name)}", "extra"


def _member(path: str, kind: Any, value: object) -> Iterator[tuple[str, Trouble]]:
    if isinstance(kind, list):
        if not isinstance(value, list):
            yield path, "wrong type"
            return
        found: dict[tuple[str, Trouble], None] = {}
        for each in value:  # the same at several positions is said once
            found.update(dict.fromkeys(_member(f"{path}[]", kind[0], each)))
        yield from found
    elif isinstance(kind, Mapping):
        yield from _object(path, kind, value)
    elif type(value) is not str and not (kind == _SECRET and isinstance(value, dict)):
        yield path, "wrong type"


def shown(name: str) -> str:
    """The name of a member that is not expected, as it is where it looks like a name: it may be a secret itself."""
    plain = len(name) <= 40 and name.isascii() and name.isidentifier() and not looks_like_a_key(name)
    return name if plain else "…"
