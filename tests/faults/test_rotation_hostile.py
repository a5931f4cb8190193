"""Rotations that are killed again and again beside hostile writers; judged by a reader that is not callctl's.

The writers replace secrets in every form, delete rows and insert them again with their ids, change primary keys, move
rows to other companies, write long values and odd text, and touch everything else. The reader knows the documentation
of the envelope, and cryptography's AES-GCM. A short run in CI; CALLCTL_TEST_PROFILE=thorough kills it 53 times.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.conftest import connect
from tests.faults.conftest import THOROUGH
from tests.faults.test_everywhere import Record
from tests.support import processes
from tests.support.db import accounts

pytestmark = pytest.mark.one_server

KILLS = 53 if THOROUGH else 4
WRITERS = 3
ROWS = 600
ODD = (
    "",
    " ",
    "{}",
    '{"iv":1}',
    "null",
    "\u2028 \U0001f512 é",
    "a" * 70_000,
    "'; DROP TABLE users; --",
    "%s %(x)s",
    "\\x00",
)


class Reader:
    """Reads a field as docs/reference/envelope.md says."""

    def __init__(self, directory: Path) -> None:
        self._keys = {id: bytes.fromhex((directory / id).read_text()) for id in ("k1", "k2", "k3")}

    def read(self, value: Any, company: str, row: str) -> tuple[str, str | None]:
        """The plaintext of an access token, and the key it is under. Raises where it does not open."""
        try:
            envelope = json.loads(value)
        except ValueError:
            return value, None
        if not isinstance(envelope, dict) or not {"iv", "encrypted", "authTag"} <= envelope.keys():
            return value, None
        data = None
        if envelope.get("v") == 2:
            parts = ("callctl.envelope.v2", company, "integration_accounts", row, "access_token")
            data = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        key = envelope.get("kid") or "k1"
        ciphertext = bytes.fromhex(envelope["encrypted"] + envelope["authTag"])
        return AESGCM(self._keys[key]).decrypt(bytes.fromhex(envelope["iv"]), ciphertext, data).decode(), key


class Writer(threading.Thread):
    """Has some rows to itself. ``meant``: what each of them holds, by a mark that stays with the row."""

    def __init__(self, url: str, ring: Any, marks: list[str], seed: int) -> None:
        super().__init__(daemon=True)
        self.meant: dict[str, str | None] = {}
        self.wrote = 0
        self.problem: BaseException | None = None
        self._url, self._ring, self._marks, self._random = url, ring, marks, random.Random(seed)
        self._over = threading.Event()

    def run(self) -> None:
        try:
            with connect(self._url) as db:
                self._companies = [row[0] for row in db.execute("SELECT id::text FROM chatapp.companies").fetchall()]
                while not self._over.is_set():
                    self._write(db, self._random.choice(self._marks))
                    self.wrote += 1
                    time.sleep(0.001)
        except BaseException as problem:
            self.problem = problem

    def stop(self) -> None:
        self._over.set()
        self.join()
        if self.problem is not None:
            raise self.problem

    def _write(self, db: psycopg.Connection[Any], mark: str) -> None:
        row = db.execute(
            "SELECT id::text, company_id::text, access_token FROM chatapp.integration_accounts WHERE account_name = %s",
            (mark,),
        ).fetchone()
        act = self._random.choice(("token", "token", "token", "none", "again", "key", "company", "other"))
        if row is None:
            id, company, old = (
                str(uuid.UUID(int=self._random.getrandbits(128))),
                self._random.choice(self._companies),
                None,
            )
            act = "insert"
        else:
            id, company, old = row
        bound = '"v":2' in (old or "")
        if act == "token" or act == "insert" or (act in ("key", "company") and bound):
            # What is bound to another row or company must be written again with it: so the application does.
            text = f"{accounts.CANARY} {self._random.getrandbits(64):x} {self._random.choice(ODD)}"
            if act == "key":
                new_id, new_company = str(uuid.UUID(int=self._random.getrandbits(128))), company
            elif act == "company":
                new_id, new_company = id, self._random.choice(self._companies)
            else:
                new_id, new_company = id, company
            value = self._encrypted(text, new_company, new_id)
            if act == "insert":
                db.execute(
                    "INSERT INTO chatapp.integration_accounts (id, company_id, account_type, account_name, credentials,"
                    " access_token) VALUES (%s, %s, 'twilio', %s, '{}', %s)",
                    (new_id, new_company, mark, value),
                )
            else:
                changed = db.execute(
                    "UPDATE chatapp.integration_accounts SET id = %s, company_id = %s, access_token = %s"
                    " WHERE account_name = %s",
                    (new_id, new_company, value, mark),
                ).rowcount
                assert changed == 1
            self.meant[mark] = text
        elif act == "none":
            db.execute("UPDATE chatapp.integration_accounts SET access_token = NULL WHERE account_name = %s", (mark,))
            self.meant[mark] = None
        elif act == "again":  # the same id, another row
            text = f"{accounts.CANARY} again {self._random.getrandbits(64):x}"
            with db.transaction():
                db.execute("DELETE FROM chatapp.integration_accounts WHERE account_name = %s", (mark,))
                db.execute(
                    "INSERT INTO chatapp.integration_accounts (id, company_id, account_type, account_name, credentials,"
                    " access_token) VALUES (%s, %s, 'custom', %s, '{}', %s)",
                    (id, company, mark, self._encrypted(text, company, id)),
                )
            self.meant[mark] = text
        elif act == "key":
            db.execute(
                "UPDATE chatapp.integration_accounts SET id = gen_random_uuid() WHERE account_name = %s"
                " AND coalesce(access_token, '') NOT LIKE '%%\"v\":2%%'",
                (mark,),
            )
        elif act == "other":
            db.execute(
                "UPDATE chatapp.integration_accounts SET description = md5(random()::text) WHERE account_name = %s",
                (mark,),
            )

    def _encrypted(self, text: str, company: str, id: str) -> str:
        from callctl.secrets.envelope.cipher import Place, envelope_text

        form = self._random.choice(("plaintext", "k1", "bare", "bound"))
        value = accounts.encrypted(self._ring, form, text, Place(company, "integration_accounts", id, "access_token"))
        return envelope_text(value) if isinstance(value, dict) else value


@pytest.mark.applied(9)
def test_killed_among_hostile_writers_and_read_by_another(
    documented: str, tmp_path: Path, record_property: Record
) -> None:
    for id in ("k1", "k2", "k3"):
        accounts.key_file(tmp_path, id)
    settings = accounts.settings_of(documented, tmp_path, "k3", "k2", "k1")
    ring, reader = accounts.ring_of(settings), Reader(tmp_path)
    marks = [[f"mark {writer} {number}" for number in range(ROWS // WRITERS)] for writer in range(WRITERS)]
    for primary in ("k2", "k3"):
        order = [primary, *(id for id in ("k1", "k2", "k3") if id != primary)]
        entries = "".join(
            f"    - {{id: {id}, file: {tmp_path / id}{', legacy: true' if id == 'k1' else ''}}}\n" for id in order
        )
        (tmp_path / f"{primary}.yaml").write_text(f"keys:\n  primary: {primary}\n  ring:\n{entries}")
    writers = [Writer(documented, ring, own, seed) for seed, own in enumerate(marks)]
    rng = random.Random(KILLS)
    for writer in writers:
        writer.start()
    try:
        processes.until(lambda: sum(len(writer.meant) for writer in writers) > ROWS // 2, "rows to begin with")
        killed = 0
        for turn in range(KILLS):
            config = str(tmp_path / f"{('k2', 'k3')[turn % 2]}.yaml")
            arguments = ["--config", config, "rotate-secrets", "--yes", "--batch-size", "20"]
            if turn % 3 == 2:
                arguments += ["--workers", "2"]
            process = processes.start(documented, *arguments)
            time.sleep(rng.uniform(0.4, 1.6))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                killed += 1
            process.communicate()
    finally:
        for writer in writers:
            writer.stop()
    code, out, err = processes.run(documented, "--config", str(tmp_path / "k2.yaml"), "rotate-secrets", "--yes")
    assert code == 0, (out, err)
    meant = {mark: text for writer in writers for mark, text in writer.meant.items()}
    with connect(documented) as db:
        rows = db.execute(
            "SELECT account_name, id::text, company_id::text, access_token FROM chatapp.integration_accounts"
        ).fetchall()
    assert len(rows) == len(meant)
    for mark, id, company, value in rows:
        if meant[mark] is None:
            assert value is None
            continue
        plaintext, key = reader.read(value, company, id)
        assert plaintext == meant[mark], mark
        assert key == "k2", mark
    assert killed > KILLS // 3
    record_property("faults", f"rotation, hostile writers: {killed} kills, {sum(w.wrote for w in writers)} writes")
