"""How a process of a rotation ends: what it says to the one that has started it, and never a value."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from callctl.config.settings import Settings
from callctl.errors import CallctlError, Code, ConfigError
from callctl.secrets.rotation import worker as rotation_worker
from callctl.secrets.rotation.worker import Job, Stopped, work

SECRET = "canary-4f1d of a row"


def ended_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[Any]:
    """What a process says that this happens to."""

    @contextmanager
    def fails(*_: object) -> Iterator[None]:
        raise error
        yield

    monkeypatch.setattr(rotation_worker, "load_key_ring", lambda settings: None)
    monkeypatch.setattr(rotation_worker, "at_the_rotation", fails)
    said: list[Any] = []
    work(Job(Settings(), 1, "keep"), said.append, threading.Event())
    return said


@pytest.mark.parametrize(
    "error", [ValueError(SECRET), KeyError(SECRET), RuntimeError(SECRET), OSError(2, SECRET), MemoryError(SECRET)]
)
def test_a_bug_is_said_by_its_kind_and_place(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: Exception
) -> None:
    (said,) = ended_with(monkeypatch, error)
    said = pickle.loads(pickle.dumps(said))  # as it goes through the pipe
    assert type(said) is CallctlError
    assert said.exit_code == 1
    kind = type(error).__name__
    assert said.message.startswith(f"internal error in a process of the rotation: {kind} ({Path(__file__).name}, ")
    assert "every value can be decrypted" in said.message
    assert SECRET not in said.message + (said.hint or "")
    assert capfd.readouterr() == ("", "")


def test_an_error_of_callctls_own_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ConfigError(Code.NO_KEYS, "no key k2")
    assert ended_with(monkeypatch, error) == [error]


def test_one_that_was_asked_to_stop_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended_with(monkeypatch, Stopped()) == []
