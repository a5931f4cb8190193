"""What benchmarks/rotation.py makes of what it measured, and that what it compares is the same work."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from benchmarks.results import saved, tables
from benchmarks.rotation import accounts, table, ways

from callctl.secrets.envelope.cipher import Decrypter, Encrypter, Place, read_envelope
from callctl.secrets.envelope.fields import ACCOUNTS, DECLARED, applicable, walk
from callctl.secrets.envelope.ring import KeyRing

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "measurements.md"


def measured(way: str, rate: float, form: str = "k1", memory: float = 0.0) -> dict[str, Any]:
    return {"way": way, "form": form, "rows": 1000, "seconds": 1.0, "rows_per_s": rate, "memory_mb": memory}


def content(*results: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "rotation", "date": "2026-01-02T03:04:05Z", "commit": "0123456789abcdef", "changed": False,
        "machine": {"cpus": 2, "cpu": "Some CPU", "memory_gib": 8}, "settings": {"postgresql": "18"},
        "rows": 1000, "secrets": 4, "bytes_a_row": {"k1": 1400}, "ways": list(results),
    }  # fmt: skip


def test_the_limit_is_the_faster_of_its_two_forms_and_the_median_of_its_rounds() -> None:
    results = [measured("limit", rate) for rate in (100.0, 900.0, 110.0)]
    results += [measured("limit-table", 105.0), measured("limit", 1.0, form="plaintext")]
    assert table.limit(results, "k1", 1) == 110
    assert table.limit(results, "plaintext", 1) == 1
    assert table.limit(results, "k1", 2) is None


def test_the_table_gives_each_way_its_share_of_both_limits() -> None:
    results = [measured("limit", 1000.0), measured("limit-2", 1600.0), measured("callctl", 480.0, memory=61.2)]
    page = table.rotation(content(*results, measured("callctl-2", 800.0), measured("row-by-row", 50.0)))
    assert "| k1 | **callctl** | 480 | 0.48 | 0.30 | 61 |" in page
    assert "| k1 | **callctl**, `--workers 2` | 800 | 0.80 | 0.50 |  |" in page
    assert "| k1 | SELECT, UPDATE, COMMIT a row | 50 | 0.05 | 0.03 |  |" in page
    assert "1,000 integration accounts of 4 secrets (on disk 1,400 bytes as k1 a row)" in page


def test_every_way_has_a_name_and_starts_where_it_can() -> None:
    assert set(ways.WAYS) == set(table.NAMES)
    assert {way for limits in table.LIMITS.values() for way in limits} <= set(ways.WAYS)


@pytest.mark.parametrize("number", range(3))
def test_each_account_has_so_many_declared_secrets_and_the_ways_agree_on_them(number: int) -> None:
    """What the rows that go through an ORM write is what a rotation would write."""
    account_type, plain = accounts._account(random.Random(number), number)
    keys = {name: accounts.key(name) for name in ("k1", "k2")}
    old = accounts._encrypted(Encrypter(keys["k1"]), plain)
    text, *tokens, id = ways._Again().row("id", old["credentials"], old["access_token"], old["refresh_token"])
    new = {"credentials": json.loads(text), "access_token": tokens[0], "refresh_token": tokens[1]}

    def opened(account: dict[str, Any]) -> list[tuple[str, str]]:
        fields = applicable(DECLARED, ACCOUNTS, "credentials", account_type)
        values = [value for *_, value in walk(account["credentials"], fields)]
        found = []
        for value in (*values, account["access_token"], account["refresh_token"]):
            envelope = read_envelope(value)
            assert envelope is not None
            there = Decrypter(KeyRing(keys["k2"], keys)).decrypt(envelope, Place("", "", "", ""))
            found.append((there.plaintext, there.key.id))
        return found

    assert len(opened(new)) == accounts.SECRETS
    assert [each for each, _ in opened(new)] == [each for each, _ in opened(old)]
    assert ({key for _, key in opened(old)}, {key for _, key in opened(new)}) == ({"k1"}, {"k2"})
    assert id == "id"


def test_the_page_shows_the_committed_result() -> None:
    page = PAGE.read_text(encoding="utf-8")
    newest = saved.newest("rotation")
    assert newest["commit"][:10] in page
    assert tables.replace(page, "rotation", table.rotation(newest)) == page
