"""As much of PostgreSQL's wire protocol (version 3) as a proxy has to read: where messages end, and what they ask.

"Message Formats" in PostgreSQL's manual. Nothing here sends or receives.
"""

from __future__ import annotations

import struct

CANCEL_REQUEST = 80877102
REFUSED_WITH_N = (80877103, 80877104)  # SSLRequest, GSSENCRequest


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """Whole messages (type byte, length, body), and the beginning of one that is still on its way."""
    messages = []
    while len(data) >= 5:
        end = 1 + struct.unpack("!i", data[1:5])[0]
        if len(data) < end:
            break
        messages.append(data[:end])
        data = data[end:]
    return messages, data


def startup_parameters(packet: bytes) -> dict[str, str]:
    """What a StartupMessage says: user, database, application_name, …"""
    words = packet[8:].split(b"\0")
    pairs = zip(words[::2], words[1::2], strict=False)
    return {name.decode(): value.decode() for name, value in pairs if name}


def ends_request(message: bytes) -> bool:
    """Whether the server answers after this one: Query, Sync, Terminate."""
    return message[:1] in (b"Q", b"S", b"X")


def statement(messages: list[bytes]) -> str:
    """The SQL of a request: a Query's, or the Parse's of an extended query; empty where it has none."""
    for message in messages:
        if message[:1] == b"Q":
            return message[5:-1].decode()
        if message[:1] == b"P":
            return message[5:].split(b"\0")[1].decode()
    return ""


def backend_pid(message: bytes) -> int:
    """The server process, of a BackendKeyData."""
    return int(struct.unpack("!i", message[5:9])[0])


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", 4 + len(body)) + body


def query(sql: str) -> bytes:
    """A Query message."""
    return _message(b"Q", sql.encode() + b"\0")


def error_response(sqlstate: str, text: str, status: str) -> bytes:
    """An ErrorResponse, and the ReadyForQuery behind it with this transaction status (I, T, E)."""
    fields = {"S": "ERROR", "V": "ERROR", "C": sqlstate, "M": text}
    body = b"".join(name.encode() + value.encode() + b"\0" for name, value in fields.items()) + b"\0"
    return _message(b"E", body) + _message(b"Z", status.encode())
