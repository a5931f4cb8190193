"""Credentials against the shapes that the specification gives each account type. Says where, never what."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from callctl.config.sections import SecretField
from callctl.redaction import looks_like_a_key
from callctl.secrets.envelope.cipher import Malformed, read_envelope
from callctl.secrets.envelope.fields import ACCOUNTS, ARRAY, CREDENTIALS, DECLARED, walk

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
    """Yield the differences between the credentials of an account and its type's shape: each path with its fault.

    Null counts as missing. Whether an object in place of a secret is an envelope that opens is not asked here. Of an
    account type that the specification does not have there is nothing to say.
    """
    shape = SHAPES.get(account_type)
    return () if shape is None else tuple(_object("credentials", shape, credentials))


# Credentials that are alike in this are alike in their problems, too: names, types, and those of what is in a list.
_known: dict[tuple[str, Hashable], bool] = {}
_MOST_KNOWN = 4_096


def fit(account_type: str, credentials: Mapping[str, Any]) -> bool:
    """Return whether there are no :func:`problems`. For a loop over very many, most of them alike."""
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
        tuple([(tuple(item), tuple(map(type, item.values()))) if type(item) is dict else type(item) for item in value])
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
        troubles: dict[tuple[str, Trouble], None] = {}
        for item in value:  # the same at several positions is said once
            troubles.update(dict.fromkeys(_member(f"{path}[]", kind[0], item)))
        yield from troubles
    elif isinstance(kind, Mapping):
        yield from _object(path, kind, value)
    elif type(value) is not str and not (kind == _SECRET and isinstance(value, dict)):
        yield path, "wrong type"


def shown(name: str) -> str:
    """The name of a member that is not expected, as it is where it looks like a name: it may be a secret itself."""
    plain = len(name) <= 40 and name.isascii() and name.isidentifier() and not looks_like_a_key(name)
    return name if plain else "…"


# What could be a secret in a document, and no declared path reaches it because the document has another shape.

# The names under which the specification keeps secrets in credentials, of whichever account type.
STRAY_NAMES = frozenset(field.path[-1] for field in DECLARED if field.path)

# A place and why what is stored there was not read. Never the value.
Stray = tuple[str, str]


def could_hold(value: Any) -> bool:
    """Return whether there is a text or a number anywhere in a value."""
    if isinstance(value, dict | list):
        return any(map(could_hold, value.values() if isinstance(value, dict) else value))
    return value is not None and value != "" and not isinstance(value, bool)


def strays(
    document: Any,
    fields: Iterable[SecretField],
    table: str,
    column: str,
    *,
    whatever: bool = False,
) -> list[Stray]:
    """Yield the places in a column's document that could hold a secret outside of its ``fields``, each once.

    That is so where a path meets another type than it says; and, in the credentials of an account, under the name of a
    secret in a place that no path leads to. ``whatever`` the texts there are: also where these hold nothing, or hold an
    envelope, and those of a like document may be plaintext.
    """
    paths = [secret_field for secret_field in fields if secret_field.path]
    reasons: dict[str, str] = {}
    met: list[Any] = []
    for field in paths:
        for place, value, wanted in _other_types(document, field.path, column):
            if whatever or could_hold(value):
                met.append(value)
                reasons[place] = (
                    f"misshapen: {wanted} is declared here, and {_type(value)} is stored; it was not encrypted"
                )
    if (table, column) == (ACCOUNTS, CREDENTIALS):
        reached = {(id(container), key) for _, container, key, _ in walk(document, paths)}
        for place, value in _named(document, column, reached, met):
            if whatever or (could_hold(value) and not _is_envelope(value)):
                reasons.setdefault(place, "misshapen: no declared path leads to a secret here; it was not encrypted")
    return list(reasons.items())


def _other_types(value: Any, path: tuple[str, ...], place: str) -> Iterator[tuple[str, Any, str]]:
    """Yield the places at which a path meets another type than it says: place, present type, expected type."""
    if not path or value is None:
        return
    name, *rest = path
    if name == ARRAY:
        if not isinstance(value, list):
            yield place, value, "a list"
            return
        for item in value:
            yield from _other_types(item, tuple(rest), f"{place}{ARRAY}")
    elif not isinstance(value, dict):
        yield place, value, "an object"
    else:
        yield from _other_types(value.get(name), tuple(rest), f"{place}.{name}")


def _named(value: Any, place: str, reached: set[tuple[int, str | int]], met: list[Any]) -> Iterator[tuple[str, Any]]:
    """Every text under the name of a secret that is not among those ``reached``, nor in what was ``met`` already."""
    waiting = [(value, place)]
    while waiting:
        value, place = waiting.pop()
        if any(value is container for container in met):
            continue
        if isinstance(value, list):
            waiting += [(item, f"{place}{ARRAY}") for item in value]
        elif isinstance(value, dict):
            for name, member in value.items():
                if (id(value), name) in reached:
                    continue
                where = f"{place}.{shown(name)}"
                if name not in STRAY_NAMES or isinstance(member, dict):
                    waiting.append((member, where))
                else:
                    yield where, member


def _type(value: Any) -> str:
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a single value"


def _is_envelope(value: Any) -> bool:
    try:
        return isinstance(value, str) and read_envelope(value) is not None
    except Malformed:
        return True
