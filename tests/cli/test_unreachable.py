"""What answers at the address is not what callctl needs: every such thing has its message, its hint and exit code 4."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from callctl.cli import run

PASSWORD = "correct-horse"


def message(kind: bytes, body: bytes = b"") -> bytes:
    """One message of PostgreSQL's protocol (manual, chapter 54)."""
    return kind + struct.pack("!i", len(body) + 4) + body


READY = message(b"Z", b"I")


def startup(connection: socket.socket) -> None:
    """Read the client's startup packet; say no to encryption first, if it asks."""
    while True:
        (length,) = struct.unpack("!i", connection.recv(4))
        code = connection.recv(length - 4)[:4]
        if code in (struct.pack("!i", 80877103), struct.pack("!i", 80877104)):
            connection.sendall(b"N")
            continue
        return


def web_server(connection: socket.socket) -> None:
    connection.recv(1024)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def wants_another_password(connection: socket.socket) -> None:
    startup(connection)
    connection.sendall(message(b"R", struct.pack("!i", 3)))
    connection.recv(1024)
    fields = b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "me"\0\0'
    connection.sendall(message(b"E", fields))


def speaks_as(version: str, banner: str) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        startup(connection)
        parameters = {"server_version": version, "client_encoding": "UTF8", "standard_conforming_strings": "on"}
        connection.sendall(message(b"R", struct.pack("!i", 0)))
        for name, value in parameters.items():
            connection.sendall(message(b"S", name.encode() + b"\0" + value.encode() + b"\0"))
        connection.sendall(READY)
        while (kind := connection.recv(1)) == b"Q":
            (length,) = struct.unpack("!i", connection.recv(4))
            connection.recv(length - 4)
            column = b"version\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)
            text = banner.encode()
            connection.sendall(
                message(b"T", struct.pack("!h", 1) + column)
                + message(b"D", struct.pack("!hi", 1, len(text)) + text)
                + message(b"C", b"SELECT 1\0")
                + READY
            )
        assert kind in (b"X", b"")

    return serve


@pytest.fixture
def listening() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Serve one connection after another on loopback in the given way; gives the URL."""
    servers: list[socket.socket] = []

    def listen(serve: Callable[[socket.socket], None]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def loop() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.settimeout(10)
                with connection:
                    try:
                        serve(connection)
                    except OSError:
                        continue

        threading.Thread(target=loop, daemon=True).start()
        return f"postgresql://me:{PASSWORD}@127.0.0.1:{server.getsockname()[1]}/platform?gssencmode=disable"

    yield listen
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


@pytest.mark.parametrize(
    ("serve", "error", "hint"),
    [
        pytest.param(web_server, "does not speak PostgreSQL's protocol", "port", id="a web server"),
        pytest.param(
            wants_another_password, 'password authentication failed for user "me"', ".pgpass", id="wrong password"
        ),
        pytest.param(
            speaks_as("11.22", "PostgreSQL 11.22 on x86_64-pc-linux-gnu"),
            "the server is PostgreSQL 11.22; callctl needs PostgreSQL 12 or later",
            "upgrade",
            id="PostgreSQL 11",
        ),
        pytest.param(
            speaks_as("13.0.0", "CockroachDB CCL v23.1.1 (x86_64-pc-linux-gnu)"),
            "the server is not PostgreSQL but CockroachDB",
            "PostgreSQL 12 or later",
            id="something like PostgreSQL",
        ),
    ],
)
@pytest.mark.parametrize("command", ["migrate status", "migrate up --yes", "preflight", "verify"])
def test_what_answers_is_not_what_callctl_needs(
    command: str,
    serve: Callable[[socket.socket], None],
    error: str,
    hint: str,
    listening: Callable[[Callable[[socket.socket], None]], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CALLCTL_DATABASE_URL", listening(serve))
    assert run(command.split()) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    said = captured.err.splitlines()
    assert any(line.startswith("callctl: error: ") and error in line for line in said), captured.err
    assert any(line.startswith("callctl: hint: ") and hint in line for line in said), captured.err
    assert PASSWORD not in captured.err
    assert "Traceback" not in captured.err
