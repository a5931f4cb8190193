"""docs/how-to/on-call.md: each situation as a terminal of 80 columns shows it, beside what the page says of it."""

# ruff: noqa: E501 - a situation is read in its line.

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.conftest import connect
from tests.support.cli.screen import Screen
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
    Situation("7", "migrate up --yes", running, 6, Code.LOCK_HELD, r"migrate up", r"step 4", r"--wait|migrate status"),
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


def test_the_page_has_ten_situations() -> None:
    assert list(SECTIONS) == [str(number) for number in range(1, 11)]
    named = set(re.findall(r"CALLCTL-[A-Z-]+[A-Z]", PAGE.replace("CALLCTL-DATABASE-URL", "")))
    assert named <= {code.value for code in Code}
