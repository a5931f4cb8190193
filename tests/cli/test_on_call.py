"""docs/how-to/on-call.md: each situation as a terminal of 80 columns shows it, beside what the page says of it."""

# ruff: noqa: E501 - a situation is read in its line.

from __future__ import annotations

import os
import random
import re
import shlex
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.conftest import connect
from tests.support.cli.screen import Screen
from tests.support.db import accounts
from tests.support.faults import proxy as faulty
from tests.support.faults import wire
from tests.support.faults.proxy import Fault, Proxy, Session

from callctl.config.settings import Settings
from callctl.database import lock
from callctl.errors import Code
from callctl.migration import migrate

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "on-call.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\d+)\. .*\n((?:(?!^## ).*\n?)*)", PAGE, re.MULTILINE))
IN_THE_WAY = (
    "CREATE FUNCTION public.in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NEW; END $$;"
    "CREATE TRIGGER zz BEFORE UPDATE ON chatapp.chatbots FOR EACH ROW"
    " WHEN (OLD.id = '{}') EXECUTE FUNCTION public.in_the_way()"
)


@contextmanager
def nothing(_: str) -> Iterator[None]:
    """Everything is as it is."""
    yield


def at_a_row(action: str) -> Callable[[str], Iterator[None]]:
    """Something happens when the step writes the last chatbot, behind batches that are committed."""

    @contextmanager
    def scene(url: str) -> Iterator[None]:
        with connect(url) as db:
            (last,) = db.execute(
                "SELECT id FROM chatapp.chatbots WHERE chatbotType::text = 'call' ORDER BY id DESC LIMIT 1"
            ).fetchone() or ("",)
            db.execute(IN_THE_WAY.format(action, last).encode())
        yield

    return scene  # type: ignore[return-value]


class FullDisk:
    """The server's answer to the first UPDATE of chatbots."""

    def statement(self, session: Session, text: str) -> Fault | None:
        if "UPDATE chatapp.chatbots" not in text:
            return None
        return Fault("before", lambda _: wire.error_response("53100", "could not extend file: No space left on device"))

    def answered(self, session: Session, text: str, failed: bool) -> None: ...

    def cancelled(self) -> None: ...


@contextmanager
def full_disk(url: str) -> Iterator[str]:
    target = conninfo_to_dict(url)
    proxy = Proxy(Path(str(target["host"])))
    try:
        proxy.watch(FullDisk())
        yield proxy.url(str(target["dbname"]))
    finally:
        proxy.close()


@contextmanager
def held(url: str) -> Iterator[None]:
    with connect(url) as db, db.transaction():
        db.execute("LOCK TABLE chatapp.users IN ACCESS SHARE MODE")
        yield


@contextmanager
def running(url: str) -> Iterator[None]:
    with lock.MigrationLock(Settings(database_url=url), command="migrate up") as other:
        other.tell(4)
        yield


@contextmanager
def broken(url: str) -> Iterator[None]:
    migrate.up(Settings(database_url=url))
    with connect(url) as db:
        db.execute("DROP INDEX chatapp.idx_calls_company_id")
    yield


@contextmanager
def written(url: str) -> Iterator[None]:
    migrate.up(Settings(database_url=url))
    with connect(url) as db:
        db.execute(
            "INSERT INTO chatapp.calls (company_id, chatbot_id, source, direction, status)"
            " SELECT company_id, id, 'web', 'inbound', 'pending' FROM chatapp.chatbots ORDER BY id LIMIT 3"
        )
    yield


@contextmanager
def leaked(url: str) -> Iterator[None]:
    """Two accounts have secrets under the leaked key; callctl.yaml already names the new one."""
    settings = Settings(database_url=url)
    migrate.up(settings)
    with tempfile.TemporaryDirectory() as home:
        old = accounts.settings_of(url, Path(home), "k1")
        with connect(url) as db:
            accounts.fill(db, accounts.ring_of(old), 2, forms=("k1",))
        accounts.key_file(Path(home), "k2")
        config = Path(home) / "callctl.yaml"
        config.write_text("keys: {primary: k2, ring: [{id: k2, file: k2}, {id: k1, file: k1}]}\n")
        with mock.patch.dict(os.environ, CALLCTL_CONFIG=str(config)):
            yield


class Pooled(Session):
    """A connection through a pooler in transaction mode: the server process behind it changes."""

    def _answer(self, ends: tuple[bytes, ...]) -> tuple[bytes, bool]:
        answer, failed = super()._answer(ends)
        if b"pg_backend_pid()" in b"".join(self.request):
            pid = str(self.pid)
            another = str(random.randrange(10 ** (len(pid) - 1), 10 ** len(pid)))
            answer = answer.replace(pid.encode(), another.encode())
        return answer, failed


@contextmanager
def pooled(url: str) -> Iterator[str]:
    target = conninfo_to_dict(url)
    with mock.patch.object(faulty, "Session", Pooled):
        pooler = Proxy(Path(str(target["host"])))
        try:
            yield pooler.url(str(target["dbname"]))
        finally:
            pooler.close()


@dataclass(frozen=True)
class Situation:
    """What is typed in which scene; what the screen says of the state, of the cause, and to do next."""

    number: str
    typed: str
    scene: Callable[[str], object]
    exit_code: int
    code: Code | None
    state: str
    cause: str
    then: str

    def __str__(self) -> str:
        return self.number


SITUATIONS = (
    Situation("1", "migrate up --yes --lock-wait 1s", held, 5, Code.LOCK_TIMEOUT, r"rolled back as a whole",
              r"no lock on users in 1 s .*; pid \d+ \(", r"SELECT pg_terminate_backend\(\d+\);"),
    Situation("2", "migrate up --yes --batch-size 20", at_a_row("PERFORM pg_terminate_backend(pg_backend_pid());"), 5,
              Code.CONNECTION_LOST, r"step 4 up is not finished; its committed work"
              r" stays", r"connection", r"migrate (up|status)"),
    Situation("3", "preflight", nothing, 4, Code.DATABASE_MISSING, r"cannot connect", r"database \"?no_such_database\"? does not exist",
              r"comes from CALLCTL_DATABASE_URL"),
    Situation("4", "migrate up --yes --batch-size 20", at_a_row("RAISE EXCEPTION 'not on my watch';"), 5, Code.TRIGGER_REFUSED,
              r"step 4 up is partly applied", r"not on my watch", r"callctl migrate up"),
    Situation("5", "verify", broken, 3, None, r"failed", r"idx_calls_company_id", r"CREATE INDEX CONCURRENTLY"),
    Situation("6", "keys retire k1 --yes", leaked, 3, Code.KEY_IN_USE, r"key k1 cannot be retired", r"\d+ in integration_accounts, .*: under it",
              r"run callctl rotate-secrets"),
    Situation("7", "migrate up --yes", running, 6, Code.LOCK_HELD, r"migrate up", r"step 4", r"--wait|migrate status"),
    Situation("8", "migrate up --yes", pooled, 3, Code.POOLER, r"nothing was changed", r"a pooler in transaction mode is in front of the server",
              r"connect to the server itself \(its own port is \d+\)"),
    Situation("9", "migrate up --yes --batch-size 20", full_disk, 5,
              Code.DISK_FULL, r"step 4 up", r"No space left on device", r"callctl migrate up"),
    Situation("10", "migrate down --all --yes", written, 0, None, r"13 steps", r"calls 3|3 calls|calls: 3", r"migrate status|migrate up"),
)  # fmt: skip


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_the_screen_names_target_state_cause_and_what_to_do(documented: str, situation: Situation) -> None:
    url = documented
    with situation.scene(url) as another:  # type: ignore[attr-defined]
        url = another or url
        if situation.number == "3":
            url = re.sub(r"/[^/?]+\?", "/no_such_database?", url)
        screen = Screen(url, 80, *shlex.split(situation.typed))
    text = " ".join(" ".join(screen.drawn).split())
    assert screen.code == situation.exit_code, text
    assert [line for line in screen.drawn if len(line) > 80] == []
    for said in ("test_|no_such_database", situation.state, situation.cause, situation.then):
        assert re.search(said, text), (said, screen.drawn)
    if situation.code is not None:
        assert f"[{situation.code}]" in text, screen.drawn[-12:]
        table = PAGE[: PAGE.index("## 1.")]
        (row,) = (line for line in table.splitlines() if f"](#{situation.number}-" in line)
        assert f"`{situation.code}`" in row


def test_a_leaked_key_is_followed_to_its_end(documented: str) -> None:
    """The commands of section 6 in their order, after the refusal above."""
    with leaked(documented):
        seen = [
            Screen(documented, 80, *shlex.split(line))
            for line in ("rotate-secrets --yes", "rotate-secrets --status", "keys retire k1 --yes")
        ]
    assert [screen.code for screen in seen] == [0, 0, 0], [screen.drawn for screen in seen]
    assert [line for screen in seen for line in screen.drawn if len(line) > 80] == []
    assert all("callctl: target: " in screen.drawn[0] for screen in seen)
    rotated, status, retired = (screen.text for screen in seen)
    assert "encrypted under key k2" in rotated
    assert not re.search(r"\bk1 .*[1-9]", status.partition("under")[2].partition("k2")[0]), status
    assert "key k1 is retired: no value under it was found" in retired
    assert "do not destroy key k1" in retired


def test_the_page_has_ten_situations() -> None:
    assert list(SECTIONS) == [str(number) for number in range(1, 11)]
    named = set(re.findall(r"CALLCTL-[A-Z-]+[A-Z]", PAGE.replace("CALLCTL-DATABASE-URL", "")))
    assert named <= {code.value for code in Code}
