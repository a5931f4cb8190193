"""The key ring: every mistake is its own error, which names the key and its source and never its value."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from callctl import files
from callctl.config.settings import Settings, load_settings
from callctl.errors import ConfigError, Refused
from callctl.secrets.envelope.ring import KeyRing, check_value, generate, load_key_ring

ONE = "0123456789abcdef" * 4
TWO = "fedcba9876543210" * 4


def settings(directory: Path, *entries: str, primary: str = "k1") -> Settings:
    lines = [f"    - {entry}" for entry in entries]
    text = "\n".join(["keys:", f"  primary: {primary}", "  ring:", *lines, ""])
    (directory / "callctl.yaml").write_text(text, encoding="utf-8")
    return load_settings(environ={}, directory=directory)


def load(directory: Path, *entries: str, primary: str = "k1", **environ: str) -> KeyRing:
    search = {"PATH": os.environ["PATH"]}
    return load_key_ring(settings(directory, *entries, primary=primary), {**search, **environ}, command_seconds=20)


def key_file(directory: Path, content: str | bytes, mode: int = 0o600) -> str:
    path = directory / "k1.key"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return "{id: k1, file: k1.key}"


def printing(script: str) -> str:
    """An entry with a command that runs a Python script."""
    return f"{{id: k1, command: {json.dumps([sys.executable, '-c', script])}}}"


def refused(directory: Path, *entries: str, **environ: str) -> str:
    """The message and the hint of the error, in which no key stands."""
    with pytest.raises(ConfigError) as caught:
        load(directory, *entries, **environ)
    text = f"{caught.value.message}\n{caught.value.hint}"
    assert caught.value.hint
    for value in (*environ.values(), ONE, TWO):
        assert len(value) < 16 or value[:16] not in text
    assert caught.value.__cause__ is None
    return text


# ---- what is read --------------------------------------------------------------------------------------


def test_a_ring_of_three_sources(tmp_path: Path) -> None:
    (tmp_path / "k2.key").write_text(f"{TWO.upper()}\n")
    (tmp_path / "k2.key").chmod(0o400)
    ring = load(
        tmp_path,
        "{id: k2, file: k2.key}",
        "{id: k1, env: ENCRYPTION_KEY, legacy: true}",
        f"{{id: k0, command: ['{sys.executable}', '-c', 'print(\"ab\" * 32)'], legacy: true}}",
        primary="k2",
        ENCRYPTION_KEY=ONE,
    )
    assert (ring.primary.id, ring.primary.secret) == ("k2", bytes.fromhex(TWO))
    assert list(ring.keys) == ["k2", "k1", "k0"]
    assert [key.id for key in ring.legacy] == ["k1", "k0"]
    assert ring.keys["k1"].source == "env ENCRYPTION_KEY"
    assert ring.keys["k2"].source == f"file {tmp_path}/k2.key"
    assert ring.keys["k0"].source == f"command {sys.executable}"
    assert ring.keys["k0"].secret == b"\xab" * 32


def test_no_repr_shows_a_key(tmp_path: Path) -> None:
    ring = load(tmp_path, "{id: k1, env: K}", K=ONE)
    for shown in (repr(ring), str(ring), repr(ring.primary), repr(ring.keys)):
        assert "0123456789" not in shown
        assert repr(bytes.fromhex(ONE))[2:-1] not in shown


@pytest.mark.parametrize("around", ["{}", "{}\n", "{}\r\n", "  {} \n\n", "\t{}"])
def test_white_space_around_a_key_is_passed_over(around: str, tmp_path: Path) -> None:
    assert load(tmp_path, key_file(tmp_path, around.format(ONE))).primary.secret == bytes.fromhex(ONE)
    assert load(tmp_path, "{id: k1, env: K}", K=around.format(ONE)).primary.secret == bytes.fromhex(ONE)
    assert load(tmp_path, printing(f"print({around.format(ONE)!r})")).primary.secret == bytes.fromhex(ONE)


def test_the_check_value_says_which_key_it_is(tmp_path: Path) -> None:
    """As the reference has it; worked out with another tool: openssl dgst -sha256 -mac HMAC -macopt hexkey:…"""
    assert check_value(bytes.fromhex(ONE)) == "8209f9021b95"
    assert check_value(bytes.fromhex(TWO)) != check_value(bytes.fromhex(ONE))
    assert load(tmp_path, "{id: k1, env: K}", K=ONE).primary.check_value == check_value(bytes.fromhex(ONE))


def test_generated_keys_are_keys(tmp_path: Path) -> None:
    made = {generate() for _ in range(100)}
    assert len(made) == 100
    for key in made:
        assert load(tmp_path, "{id: k1, env: K}", K=key).primary.secret == bytes.fromhex(key)


# ---- what is not ---------------------------------------------------------------------------------------


def test_no_section(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names no keys") as caught:
        load_key_ring(load_settings(environ={}, directory=tmp_path))
    assert "callctl keys generate" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (ONE[:-1], "it has 63 characters instead of 64"),
        (ONE + "0", "it has 65 characters instead of 64"),
        (ONE[:32] + " " + ONE[32:], "it has 65 characters instead of 64"),
        ("0x" + ONE, "it has 66 characters instead of 64"),
        ("ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8=", "it has 44 characters instead of 64"),
        (ONE[:-1] + "g", "it contains characters that are not hexadecimal digits"),
        (ONE[:-1] + "é", "it contains characters that are not hexadecimal digits"),
        (ONE[:-1] + "٣", "it contains characters that are not hexadecimal digits"),
        (ONE[:31] + "  " + ONE[33:], "it contains characters that are not hexadecimal digits"),
    ],
)
def test_what_is_no_key(value: str, problem: str, tmp_path: Path) -> None:
    assert f"key k1 (env K): {problem}" in refused(tmp_path, "{id: k1, env: K}", K=value)
    if value.isascii():
        assert f"key k1 (file {tmp_path}/k1.key): {problem}" in refused(tmp_path, key_file(tmp_path, value))


def test_a_variable_that_is_not_there_or_empty(tmp_path: Path) -> None:
    assert "key k1 (env K): the variable is not set\nset K" in refused(tmp_path, "{id: k1, env: K}")
    assert "key k1 (env K): the variable is empty\nset K" in refused(tmp_path, "{id: k1, env: K}", K=" \n")


def test_two_ids_for_one_value(tmp_path: Path) -> None:
    text = refused(tmp_path, "{id: k1, env: K}", "{id: k2, env: L}", K=ONE, L=ONE.upper())
    assert "key k2 (env L): it has the same value as key k1 (env K)" in text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_a_file_that_is_not_closed(mode: int, tmp_path: Path) -> None:
    text = refused(tmp_path, key_file(tmp_path, ONE, mode))
    assert f"key k1 (file {tmp_path}/k1.key): users other than its owner can use the file (mode {mode:o})" in text
    assert f"run: chmod 600 {tmp_path}/k1.key" in text


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "no such file\ncheck the path, or make a new key with callctl keys generate --out" in refused(
        tmp_path, "{id: k1, file: k1.key}"
    )
    assert "the file is empty" in refused(tmp_path, key_file(tmp_path, "\n"))
    assert "the file contains more than a key" in refused(tmp_path, key_file(tmp_path, ONE * 100))
    assert "it contains characters that are not hexadecimal" in refused(tmp_path, key_file(tmp_path, b"\xff" * 64))
    assert "it is not a regular file" in refused(tmp_path, "{id: k1, file: .}")
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "it is not a regular file" in refused(tmp_path, "{id: k1, file: pipe}")
    (tmp_path / "loop").symlink_to("loop")
    assert "the file cannot be opened: " in refused(tmp_path, "{id: k1, file: loop}")


def test_a_file_behind_a_link_is_asked_about_itself(tmp_path: Path) -> None:
    key_file(tmp_path, ONE, 0o644)
    (tmp_path / "link").symlink_to("k1.key")
    assert "(mode 644)" in refused(tmp_path, "{id: k1, file: link}")


# ---- commands ------------------------------------------------------------------------------------------


def test_white_space_around_a_key_has_an_end(tmp_path: Path) -> None:
    """4,096 bytes are read, and no more: what goes on is no key."""
    most = ONE + " " * (4096 - len(ONE))
    assert load(tmp_path, key_file(tmp_path, most)).primary.secret == bytes.fromhex(ONE)
    with pytest.raises(ConfigError, match="the file contains more than a key"):
        load(tmp_path, key_file(tmp_path, most + " "))


def test_a_command_that_does_not_do_it(tmp_path: Path) -> None:
    source = f"key k1 (command {sys.executable})"
    assert f"{source}: the command ended with exit code 3" in refused(tmp_path, printing("raise SystemExit(3)"))
    assert "the command printed nothing" in refused(tmp_path, printing("pass"))
    assert "was ended by signal 9" in refused(tmp_path, printing("import os; os.kill(os.getpid(), 9)"))
    assert "it has 3 characters instead of 64" in refused(tmp_path, printing("print('abc')"))
    assert "key k1 (command no-such-program): no such program" in refused(
        tmp_path, "{id: k1, command: [no-such-program, --token, s3cret]}"
    )
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert "the command cannot be run: permission denied" in refused(
        tmp_path, f"{{id: k1, command: ['{tmp_path}/script']}}"
    )


def test_a_command_that_goes_on_printing_is_ended(tmp_path: Path) -> None:
    assert "the command prints more than a key" in refused(tmp_path, "{id: k1, command: ['yes', 'no']}")


def test_a_command_gets_no_shell_no_input_and_the_environment(tmp_path: Path) -> None:
    reads, writes = os.pipe()
    os.write(writes, b"typed")
    os.close(writes)
    before = os.dup(0)
    os.dup2(reads, 0)
    try:
        ring = load(tmp_path, printing("import os, sys; assert not sys.stdin.read(); print(os.environ['K'])"), K=ONE)
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(reads)
    assert ring.primary.secret == bytes.fromhex(ONE)
    assert "it has 13 characters" in refused(tmp_path, "{id: k1, command: [echo, '$K;$(id) ab c']}", K=ONE)


def test_a_command_that_waits_is_ended_with_what_it_started(tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! >'{tmp_path}/child'; echo {ONE}; wait"
    with pytest.raises(ConfigError) as caught:
        load_key_ring(settings(tmp_path, f"{{id: k1, command: {json.dumps(['sh', '-c', script])}}}"), command_seconds=2)
    assert "key k1 (command sh): the command did not end in 2 seconds" in caught.value.message
    assert ONE not in caught.value.message
    child = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    for _ in range(100):
        # Dead, and perhaps not yet collected by whoever has it now.
        if not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("what the command had started still runs")


def failing(directory: Path, script: str, *, shown: bool) -> str:
    (directory / "says").write_text(script)
    extra = ", show_stderr: true" if shown else ""
    command = json.dumps([sys.executable, str(directory / "says")])
    return refused(directory, f"{{id: k1, command: {command}{extra}}}")


def test_what_a_command_says_is_shown_where_asked_without_what_may_be_secret(tmp_path: Path) -> None:
    said = [
        "first line",
        f"no {ONE} and no {TWO[:20]}",
        "token hvs.CAESIJ5o9Yx2Kq8Zr0 and ASNFZ4mrz/8BI0VniavN7wEj/WeJq83vASNFZ4mrze8= "
        "and postgresql://me:s3cret@db/x at https://vault.internal/v1/secret is denied",
    ]
    script = f"import sys; print('{ONE}'); sys.stderr.write({chr(10).join(said)!r}); sys.exit(2)"
    text = failing(tmp_path, script, shown=True)
    assert "is denied" in text
    assert "https://vault.internal/v1/secret" in text
    for secret in ("CAESIJ", "ASNF", "8BI0", "WeJq", "ze8=", "s3cret", "first line"):
        assert secret not in text
    text = failing(tmp_path, script, shown=False)
    assert "the command ended with exit code 2\n" in text
    assert "denied" not in text
    assert "add show_stderr: true" in text
    one_line = f"import sys; sys.stderr.write('\\x1b[2Jcannot use {ONE} or {TWO[:20]}\\n\\n'); sys.exit(2)"
    text = failing(tmp_path, one_line, shown=True)
    assert ": [2Jcannot use *** or ***\n" in text


# ---- files and memory ----------------------------------------------------------------------------------


def test_a_private_file_is_new_and_closed(tmp_path: Path) -> None:
    path = files.create_private(str(tmp_path / "new"), "text\n")
    assert path.read_text() == "text\n"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Refused, match="already exists; nothing was written"):
        files.create_private(str(path), "other\n")
    assert path.read_text() == "text\n"
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(Refused):
        files.create_private(str(tmp_path / "link"), "text\n")
    assert not (tmp_path / "gone").exists()
    with pytest.raises(ConfigError, match=r"cannot write .*: no such file or directory"):
        files.create_private(str(tmp_path / "no" / "file"), "text\n")


def test_a_private_file_that_fails_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="no space left on device"):
        files.create_private(str(tmp_path / "new"), "text\n")
    assert not (tmp_path / "new").exists()


def test_a_process_that_holds_keys_dumps_no_core(tmp_path: Path) -> None:
    """In a process of its own: it can't be taken back."""
    settings(tmp_path, "{id: k1, env: K}")
    code = (
        "import ctypes, resource, sys;"
        "from callctl.config.settings import load_settings; from callctl.secrets.envelope.ring import load_key_ring;"
        "load_key_ring(load_settings());"
        "print(resource.getrlimit(resource.RLIMIT_CORE));"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == 'linux' else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "K": ONE},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["(0, 0)", "0"]
