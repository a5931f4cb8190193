"""Text of a database whose encoding is SQL_ASCII: any bytes, of which the server knows no encoding.

To a session in UTF8 the server refuses a row with one byte that is not UTF-8; in SQL_ASCII psycopg gives bytes in place
of text. So a session here is in SQL_ASCII and has loaders of its own: UTF-8 is read as such, and any other byte as the
surrogate escape that Python has for it. Written again it is the same byte; shown, it is an escape.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg.abc import Buffer, Dumper, Loader

AS_STORED = b"SET client_encoding TO 'SQL_ASCII'"
# The last is psycopg's for every type that it does not know, such as an enum.
_TEXTS = ("text", "varchar", "bpchar", "name", 0)


def unknown_encoding(connection: Any) -> bool:
    """Return whether this connection's database does not know the encoding of its text."""
    return bool(connection.info.parameter_status("server_encoding") == "SQL_ASCII")


def adapt(connection: Any) -> None:
    """Let text through this connection as it is stored; its client_encoding is :data:`AS_STORED`."""
    from psycopg.types.json import set_json_dumps, set_json_loads

    text, binary, dumper = _adapters()
    for name in _TEXTS:
        connection.adapters.register_loader(name, text)
        connection.adapters.register_loader(name, binary)
    connection.adapters.register_dumper(str, dumper)
    set_json_loads(_loads, connection)
    set_json_dumps(_dumps, connection)


def statement(connection: Any, query: Any) -> Any:
    """Return ``query`` as this connection can send it: composed text in UTF-8, where psycopg would want ASCII."""
    from psycopg.sql import Composable

    if isinstance(query, bytes) or not unknown_encoding(connection):
        return query
    return composed(query) if isinstance(query, Composable) else stored(query)


def composed(query: Any) -> bytes:
    """Return composed text for a session in SQL_ASCII: psycopg would refuse a name that is not UTF-8."""
    from psycopg.sql import Composed, Identifier

    if isinstance(query, Composed):
        return b"".join(composed(part) for part in query)
    if isinstance(query, Identifier):
        return b".".join(b'"%b"' % stored(name.replace('"', '""')) for name in query._obj)
    return bytes(query.as_bytes(None))


def as_text(data: bytes) -> str:
    """Return text as it is stored."""
    return data.decode("utf-8", "surrogateescape")


def stored(text: str) -> bytes:
    """Return the bytes that :func:`as_text` gave ``text`` for. Raises UnicodeEncodeError for other surrogates."""
    return text.encode("utf-8", "surrogateescape")


def _loads(data: str | bytes) -> Any:
    return json.loads(data if isinstance(data, str) else as_text(data))


def _dumps(value: Any) -> bytes:
    # Such a server takes no escape of a character outside of ASCII.
    return stored(json.dumps(value, ensure_ascii=False))


@cache
def _adapters() -> tuple[type[Loader], type[Loader], type[Dumper]]:
    from psycopg import DataError, adapt, pq

    class Text(adapt.Loader):
        def load(self, data: Buffer) -> str:
            return as_text(bytes(data))

    class Binary(Text):
        format = pq.Format.BINARY

    class Stored(adapt.Dumper):
        def dump(self, obj: str) -> bytes:
            if "\x00" in obj:
                raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
            return stored(obj)

    return Text, Binary, Stored
