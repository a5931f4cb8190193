"""A proxy between callctl and its server, which sees each statement and can do something at it.

It knows nothing of callctl but the application names of its connections. What to do, and where, is the observer's
to say: one ``Observer`` an attempt.

In a pipeline the client waits for no answer between two statements. Each of them is asked and answered by itself all
the same, with a Flush of the proxy's own behind it, so that a fault strikes between two statements as everywhere else.
"""

from __future__ import annotations

import contextlib
import select
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from tests.support.faults import wire
from tests.support.faults.kinds import Moment

from callctl.sandbox.server import PORT, socket_url

# What becomes of the connection when something was done at it: it goes on as if nothing had been; both ends are closed;
# whatever the server still says is passed on until it hangs up. Or bytes: the ErrorResponse that callctl gets instead.
Outcome: TypeAlias = Literal["go on", "close", "drain"] | bytes


@dataclass(frozen=True)
class Fault:
    """Something to do at one statement: before it is passed on, right after, or with the answer still in hand."""

    moment: Moment
    act: Callable[[Session], Outcome]


class Observer(Protocol):
    """Is asked at each statement. Runs in the connection's thread."""

    def statement(self, session: Session, text: str) -> Fault | None: ...

    def answered(self, session: Session, text: str, failed: bool) -> None: ...

    def cancelled(self) -> None: ...


class _Gone(Exception):
    """One of the two ends has hung up."""


class Session(threading.Thread):
    """One connection: its two ends, who it says it is, its server process and its transaction status."""

    def __init__(self, proxy: Proxy, client: socket.socket, number: int) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.application = ""
        self.pid = 0
        self.status = "I"
        self.transaction: list[str] = []  # for the observer: the statements since the connection was last idle
        self.base = ""  # for the observer: what stood in the database then
        self.previous = ""
        self.request: list[bytes] = []  # for the observer: the messages of the statement, its values among them
        self._proxy = proxy
        self._client = client
        self._server: socket.socket | None = None
        self._unread = b""  # what the server has said
        self._unasked: list[bytes] = []  # what the client has asked meanwhile: whole messages, then a part of one
        self._part = b""
        self._skips = False  # after an error, until the next Sync

    @property
    def is_lock(self) -> bool:
        """Whether it is the one that holds callctl's migration lock."""
        return self.application.endswith(" lock")

    @property
    def client_pid(self) -> int:
        """The process at the client's end, where the system tells (Linux)."""
        return int(struct.unpack("3i", self._client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])

    def run(self) -> None:
        with contextlib.suppress(_Gone, OSError, ValueError):  # ValueError: of select, at a socket that was closed here
            if self._begin():
                while self._exchange():
                    pass
        self.close()

    def close(self) -> None:
        for end in (self._client, self._server):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    # ---- the beginning ---------------------------------------------------------------------------------

    def _begin(self) -> bool:
        """Pass the start of a connection on. False if there is none: a cancel request, or callctl went."""
        while True:
            packet = self._startup()
            code = struct.unpack("!i", packet[4:8])[0]
            if code not in wire.REFUSED_WITH_N:
                break
            self._client.sendall(b"N")
        self._server = self._proxy.connect()
        observer = self._proxy.observer
        if code == wire.CANCEL_REQUEST:
            self._server.sendall(packet)
            self._server.recv(1)  # the server hangs up when it has passed the signal on
            if observer is not None:
                observer.cancelled()
            return False
        self.application = wire.startup_parameters(packet).get("application_name", "")
        return self._ask([packet], "(connect)")

    def _startup(self) -> bytes:
        data = b""
        while len(data) < 4 or len(data) < struct.unpack("!i", data[:4])[0]:
            data += self._received(self._client)
        return data

    # ---- request and answer ----------------------------------------------------------------------------

    def _exchange(self) -> bool:
        """One statement and its answer, or the end of a pipeline; False at the end of the connection."""
        messages = self._request()
        last = messages[-1][:1]
        if last == b"X":
            self._to_server(b"".join(messages))
            return False
        if last == b"H":  # nothing is left to flush: each statement's answer was
            return True
        if last == b"S" and (self._skips or len(messages) == 1):
            self._skips = False
            self._to_server(messages[-1])
            self._client.sendall(self._answer(wire.READY)[0])
            return True
        return self._skips or self._ask(messages, wire.statement(messages))

    def _ask(self, request: list[bytes], text: str) -> bool:
        observer = self._proxy.observer
        self.request = request
        fault = observer.statement(self, text) if observer is not None else None
        if fault is not None and fault.moment == "before":
            instead = self._act(fault, request, text)
            if instead is not None:
                return instead
        alone = request[-1][:1] == b"E"
        self._to_server(b"".join(request) + (wire.FLUSH if alone else b""))
        if fault is not None and fault.moment == "during":
            instead = self._act(fault, request, text)
            if instead is not None:
                return instead
        answer, failed = self._answer(wire.EXECUTED if alone else wire.READY)
        if alone:
            self._went(answer, text, failed)
        if fault is not None and fault.moment == "after":
            instead = self._act(fault, request, text)
            if instead is not None:
                return instead
        if observer is not None:
            observer.answered(self, text, failed)
        self._client.sendall(answer)
        return True

    def _went(self, answer: bytes, text: str, failed: bool) -> None:
        """The transaction status after a statement in a pipeline, which the server tells at its end only."""
        if failed:
            self._skips = True
            self.status = "I" if self.status == "I" else "E"
            return
        tag = wire.command(answer)
        if tag in ("BEGIN", "START TRANSACTION"):
            self.status = "T"
        elif tag == "COMMIT" or (tag == "ROLLBACK" and " TO " not in text.upper()):
            self.status = "I"

    def _act(self, fault: Fault, request: list[bytes], text: str) -> bool | None:
        """Do it; None to go on with the statement, else whether the connection goes on without."""
        outcome = fault.act(self)
        if outcome == "go on":
            return None
        if outcome == "close":
            return False
        if outcome == "drain":
            assert self._server is not None
            with contextlib.suppress(OSError):
                while data := self._server.recv(65536):
                    self._client.sendall(data)
            return False
        self._refuse(request, text, outcome)
        return text != "(connect)"

    def _refuse(self, request: list[bytes], text: str, error: bytes) -> None:
        """Answer with this error. The server gets a statement that it does refuse, and so knows what has failed."""
        if text == "(connect)":
            self._client.sendall(error)
            return
        last = request[-1][:1]
        if text.upper().startswith(("COMMIT", "ROLLBACK")):  # a COMMIT that fails has rolled back
            self._to_server(wire.query("ROLLBACK") if last == b"Q" else wire.extended("ROLLBACK") + wire.FLUSH)
            self._answer(wire.READY if last == b"Q" else wire.EXECUTED)
            self.status = "I"
        refused = wire.query(wire.REFUSED) if last == b"Q" else wire.extended(wire.REFUSED)
        self._to_server(refused + {b"Q": b"", b"S": wire.SYNC, b"E": wire.FLUSH}[last])
        answer, failed = self._answer(wire.EXECUTED if last == b"E" else wire.READY)
        assert failed
        if last == b"E":
            self._went(answer, text, failed)
        messages, _ = wire.split(answer)
        self._client.sendall(b"".join(error if message[:1] == b"E" else message for message in messages))

    def _to_server(self, data: bytes) -> None:
        assert self._server is not None
        self._server.sendall(data)

    def _request(self) -> list[bytes]:
        """The messages of the next statement, with the Sync if it is there; what the server says unasked goes on."""
        assert self._server is not None
        messages: list[bytes] = []
        while True:
            while self._unasked:
                messages.append(self._unasked.pop(0))
                if wire.ends_request(messages[-1]):
                    if messages[-1][:1] == b"E" and self._unasked and self._unasked[0][:1] == b"S":
                        messages.append(self._unasked.pop(0))
                    return messages
            ready, _, _ = select.select([self._client, self._server], [], [])
            if self._server in ready:
                self._client.sendall(self._received(self._server))
            if self._client in ready:
                self._listen()

    def _listen(self) -> None:
        """Take what the client says."""
        messages, self._part = wire.split(self._part + self._received(self._client))
        self._unasked += messages

    def _answer(self, ends: tuple[bytes, ...]) -> tuple[bytes, bool]:
        """All that the server says until a message of one of these types, and whether there is an error in it."""
        assert self._server is not None
        answer, failed = b"", False
        while True:
            messages, self._unread = wire.split(self._unread)
            for place, message in enumerate(messages):
                answer += message
                failed = failed or message[:1] == b"E"
                if message[:1] == b"K":
                    self.pid = wire.backend_pid(message)
                if message[:1] == b"Z":
                    self.status = chr(message[5])
                if message[:1] in ends:
                    self._unread = b"".join(messages[place + 1 :]) + self._unread
                    return answer, failed
            ready, _, _ = select.select([self._client, self._server], [], [])
            if self._server in ready:
                try:
                    self._unread += self._received(self._server)
                except _Gone:
                    self._client.sendall(answer + self._unread)
                    raise
            else:
                # More of a pipeline; or a Terminate, and nobody waits for the answer any more. A client that is gone
                # raises: the server finds out when it has done with the statement.
                self._listen()

    @staticmethod
    def _received(end: socket.socket) -> bytes:
        data = end.recv(65536)
        if not data:
            raise _Gone
        return data


class Proxy:
    """Listens on a socket of its own in a private directory, and connects to a server's socket."""

    def __init__(self, sockets: Path) -> None:
        self.observer: Observer | None = None
        self._target = str(sockets / f".s.PGSQL.{PORT}")
        self.directory = Path(tempfile.mkdtemp(prefix="c", dir="/tmp"))  # 0700, and short enough for a socket
        self._sessions: list[Session] = []
        self._beginning = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.directory / f".s.PGSQL.{PORT}"))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, database: str) -> str:
        """The address of one of the server's databases, through here."""
        return socket_url(self.directory, database)

    def watch(self, observer: Observer | None) -> None:
        """From here on this one is asked; connections of the attempt before are closed."""
        with self._beginning:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()
        for session in sessions:
            session.join(10)
        self.observer = observer

    def connect(self) -> socket.socket:
        """A new connection to the server. Raises OSError where it does not listen."""
        end = socket.socket(socket.AF_UNIX)
        end.connect(self._target)
        return end

    def close(self) -> None:
        self.watch(None)
        self._listener.close()
        shutil.rmtree(self.directory)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._beginning:  # one that has not started cannot be waited for
                session = Session(self, client, len(self._sessions))
                session.start()
                self._sessions.append(session)
