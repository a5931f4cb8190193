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
    """Whether something is answered after this one, or nothing ever: Query, Execute, Sync, Flush, Terminate; and
    CopyDone and CopyFail, behind the rows of a COPY.
    """
    return message[:1] in (b"Q", b"E", b"S", b"H", b"X", b"c", b"f")


def statement(messages: list[bytes]) -> str:
    """The SQL of a request: a Query's, or the Parse's of an extended query; empty where it has none."""
    for message in messages:
        if message[:1] == b"Q":
            return message[5:-1].decode()
        if message[:1] == b"P":
            return message[5:].split(b"\0")[1].decode()
    return ""


def bound(messages: list[bytes]) -> bytes:
    """The values that a request binds to its parameters, as they are sent; empty where it has none."""
    return b"".join(message for message in messages if message[:1] == b"B")


def backend_pid(message: bytes) -> int:
    """The server process, of a BackendKeyData."""
    return int(struct.unpack("!i", message[5:9])[0])


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", 4 + len(body)) + body


FLUSH = _message(b"H", b"")
SYNC = _message(b"S", b"")
# What ends an answer: ReadyForQuery, and CopyInResponse, which asks the client for rows; or of one Execute,
# CommandComplete, EmptyQueryResponse, PortalSuspended and ErrorResponse.
READY = (b"Z", b"G")
EXECUTED = (b"C", b"I", b"s", b"E")

REFUSED = "refused by the fault test"  # what no server takes for a statement


def query(sql: str) -> bytes:
    """A Query message."""
    return _message(b"Q", sql.encode() + b"\0")


def extended(sql: str) -> bytes:
    """Parse, Bind and Execute of a statement without parameters."""
    parse = _message(b"P", b"\0" + sql.encode() + b"\0" + struct.pack("!h", 0))
    return parse + _message(b"B", b"\0\0" + struct.pack("!hhh", 0, 0, 0)) + _message(b"E", b"\0" + struct.pack("!i", 0))


def command(answer: bytes) -> str:
    """What a CommandComplete in the answer says was done; empty where there is none."""
    for message in split(answer)[0]:
        if message[:1] == b"C":
            return message[5:-1].decode()
    return ""


def error_response(sqlstate: str, text: str) -> bytes:
    """An ErrorResponse."""
    fields = {"S": "ERROR", "V": "ERROR", "C": sqlstate, "M": text}
    return _message(b"E", b"".join(name.encode() + value.encode() + b"\0" for name, value in fields.items()) + b"\0")
