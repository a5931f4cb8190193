"""The key ring: the keys that callctl.yaml names, from where each comes, read and checked.

A key is 32 bytes, written as 64 hexadecimal digits. Its value is in no message, no repr and no log. The
check value tells two keys apart without saying anything of either.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from callctl.config.sections import COMMAND_SECONDS, KeyEntry
from callctl.errors import Code, ConfigError
from callctl.redaction import hide_tokens

if TYPE_CHECKING:
    import subprocess

    from callctl.config.settings import Settings

# Where the value of a key comes from: a variable, a file, or what a command prints.
#
# Only the caller gets the value: no message holds it, and of a command nothing is repeated but its
# program's name, its exit code and, if its entry says ``show_stderr: true``, the end of what it wrote to stderr with
# what may be a secret hidden.

# A key is 64 characters and a newline. What is longer is something else, and is not read to its end.
_MOST_BYTES = 4096


def read_source(entry: KeyEntry, environ: Mapping[str, str], *, seconds: float = COMMAND_SECONDS) -> str:
    """The text that an entry's source holds, white space around it taken off. Raises ConfigError."""
    if entry.kind == "env":
        text = _variable(entry, environ)
    elif entry.kind == "file":
        text = _file(entry)
    else:
        text = _command(entry, environ, seconds)
    return text.strip()


def source_failed(entry: KeyEntry, problem: str, hint: str) -> ConfigError:
    """The error that names a key's id and source."""
    return ConfigError(Code.KEY_UNREADABLE, f"key {entry.id} ({entry.source}): {problem}", hint=hint)


def _variable(entry: KeyEntry, environ: Mapping[str, str]) -> str:
    name = entry.location[0]
    value = environ.get(name)
    if value is None:
        raise source_failed(entry, "the variable is not set", f"set {name} in the environment of callctl")
    if not value.strip():
        raise source_failed(entry, "the variable is empty", f"set {name} in the environment of callctl")
    return value


def _file(entry: KeyEntry) -> str:
    path = entry.location[0]
    try:
        # Without O_NONBLOCK a named pipe would hold callctl up for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        hint = f"check the path, or make a new key with callctl keys generate --out {path}"
        raise source_failed(entry, "no such file", hint) from None
    except (OSError, ValueError) as problem:
        reason = (getattr(problem, "strerror", None) or "it has no usable name").lower()
        raise source_failed(
            entry, f"the file cannot be opened: {reason}", "give the user who runs callctl permission to read the file"
        ) from None
    try:
        # Asked of the open file, not of the name: nothing can change it in between.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise source_failed(entry, "it is not a regular file", "name a file that contains only the key")
        if status.st_mode & 0o077:
            mode = f"{stat.S_IMODE(status.st_mode):03o}"
            raise source_failed(
                entry, f"users other than its owner can use the file (mode {mode})", f"run: chmod 600 {path}"
            )
        content = os.read(descriptor, _MOST_BYTES + 1)
    except OSError as problem:
        reason = (problem.strerror or "it failed").lower()
        raise source_failed(entry, f"the file cannot be read: {reason}", "check the disk that holds the file") from None
    finally:
        os.close(descriptor)
    return _decoded(content, entry)


def _decoded(content: bytes, entry: KeyEntry) -> str:
    hint = "make it give only the 64 hexadecimal digits of one key"
    if not content.strip():
        problem = "the file is empty" if entry.kind == "file" else "the command printed nothing"
        raise source_failed(entry, problem, hint)
    if len(content) > _MOST_BYTES:
        problem = "the file contains more than a key" if entry.kind == "file" else "the command prints more than a key"
        raise source_failed(entry, problem, hint)
    # What is not ASCII is not hexadecimal, and is refused as such.
    return content.decode("ascii", errors="replace")


# ---- commands ------------------------------------------------------------------------------------------


def _command(entry: KeyEntry, environ: Mapping[str, str], seconds: float) -> str:
    import subprocess

    program = entry.location[0]
    try:
        process = subprocess.Popen(
            entry.location,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
            # A group of its own, so that what the command has started ends with it.
            process_group=0,
        )
    except FileNotFoundError:
        hint = f"install {program}, or give its full path; a command runs without a shell"
        raise source_failed(entry, "no such program", hint) from None
    except OSError as problem:
        reason = (problem.strerror or "it failed").lower()
        raise source_failed(
            entry, f"the command cannot be run: {reason}", "name a program that this user can run"
        ) from None
    code: int | None = None
    try:
        content, stderr, in_time = _bounded_output(process, seconds)
        code = process.wait() if in_time else None
    finally:
        if code is None:
            _kill(process)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    if code is None:
        hint = "run the command by hand, and check that it asks for no input: callctl gives it no terminal"
        raise source_failed(entry, f"the command did not end in {seconds:g} seconds{_last_words(entry, stderr)}", hint)
    if len(content) <= _MOST_BYTES and code != 0:
        how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        hint = "run the command by hand to see why" + (
            "" if entry.show_stderr else "; or add show_stderr: true to its entry"
        )
        raise source_failed(entry, f"the command {how}{_last_words(entry, stderr)}", hint)
    return _decoded(content, entry)


def _bounded_output(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bytes, bool]:
    """Return the end of a process's stdout and stderr, even if it does not end in time.

    Too much is cut off, and ends it.
    """
    import selectors
    import time

    assert process.stdout is not None
    assert process.stderr is not None
    content, stderr = bytearray(), bytearray()
    until = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, content)
        selector.register(process.stderr, selectors.EVENT_READ, stderr)
        while selector.get_map():
            seconds_left = until - time.monotonic()
            if seconds_left <= 0:
                return bytes(content), bytes(stderr), False
            for key, _ in selector.select(seconds_left):
                piece = os.read(key.fd, 65536)
                if not piece:
                    selector.unregister(key.fileobj)
                key.data.extend(piece)
            del stderr[:-_MOST_BYTES]
            if len(content) > _MOST_BYTES:
                _kill(process)
                return bytes(content), bytes(stderr), True
    return bytes(content), bytes(stderr), _ended(process, until)


def _ended(process: subprocess.Popen[bytes], until: float) -> bool:
    import subprocess
    import time

    try:
        process.wait(max(0.01, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it has started."""
    import contextlib
    import signal

    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _last_words(entry: KeyEntry, stderr: bytes) -> str:
    """The last line of what a command wrote to stderr, as part of a message, where its entry asks for that.

    What may be a secret is hidden, and what may be a piece of one. A program that was given a key can print it in any
    way: no rule finds every one, so nothing is shown unless it is asked for.
    """
    if not entry.show_stderr:
        return ""
    lines = stderr.decode("utf-8", errors="replace").split("\n")
    text = hide_tokens(next((line for line in reversed(lines) if line.strip()), ""))
    return f": {text[:200]}" if text else ""


# The key ring: the keys that callctl.yaml names, read and checked.

KEY_BYTES = 32
_CHECK_LABEL = b"callctl key check value 1"
_NO_KEYS_HINT = "name the keys in callctl.yaml under `keys:`; callctl keys generate makes a new key"


@dataclass(frozen=True)
class Key:
    """A key of the ring. ``source`` says where its value came from, ``check_value`` which key it is."""

    id: str
    source: str
    legacy: bool
    secret: bytes = field(repr=False)
    check_value: str


@dataclass(frozen=True)
class KeyRing:
    """The primary key, which encrypts, and every key that decrypts, by id and in the order of callctl.yaml."""

    primary: Key
    keys: Mapping[str, Key]

    @property
    def legacy(self) -> tuple[Key, ...]:
        """The keys to try for a value that carries no key id, in the order of callctl.yaml."""
        return tuple(key for key in self.keys.values() if key.legacy)


def generate() -> str:
    """A new key from the system's random generator, as 64 hexadecimal digits."""
    import secrets

    return secrets.token_hex(KEY_BYTES)


def check_value(secret: bytes) -> str:
    """12 hexadecimal digits that are the same for the same key: HMAC-SHA-256 of a fixed label under it, cut off."""
    import hashlib
    import hmac

    return hmac.new(secret, _CHECK_LABEL, hashlib.sha256).hexdigest()[:12]


def load_key_ring(
    settings: Settings, environ: Mapping[str, str] | None = None, *, command_seconds: float = COMMAND_SECONDS
) -> KeyRing:
    """Read every key of the ring; from here on the process leaves no core dump.

    ``environ`` defaults to the process's own. Raises ConfigError for the first key that cannot be used; the
    message names its id and its source.
    """
    if settings.keys is None:
        raise ConfigError(Code.NO_KEYS, "callctl.yaml names no keys", hint=_NO_KEYS_HINT)
    forbid_core_dumps()
    environ = os.environ if environ is None else environ
    keys: dict[str, Key] = {}
    for entry in settings.keys.ring:
        secret = _secret(read_source(entry, environ, seconds=command_seconds), entry)
        for other in keys.values():
            if other.secret == secret:
                hint = "remove one of the two ids: a leak of this key exposes the values of both"
                raise source_failed(entry, f"it has the same value as key {other.id} ({other.source})", hint)
        keys[entry.id] = Key(entry.id, entry.source, entry.legacy, secret, check_value(secret))
    return KeyRing(keys[settings.keys.primary], MappingProxyType(keys))


def _secret(text: str, entry: KeyEntry) -> bytes:
    hint = "give a key of exactly 64 hexadecimal digits; callctl keys generate makes one"
    digits = 2 * KEY_BYTES
    if len(text) != digits:
        raise source_failed(entry, f"it has {len(text)} characters instead of {digits}", hint)
    if not all(character in "0123456789abcdefABCDEF" for character in text):
        raise source_failed(entry, "it contains characters that are not hexadecimal digits", hint)
    return bytes.fromhex(text)


def forbid_core_dumps() -> None:
    """See to it that this process, which holds keys, leaves no memory image behind; a second call changes nothing.

    On Linux other processes of the same user can no longer read its memory or its environment either.
    """
    import contextlib
    import ctypes
    import resource
    import sys

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        pr_set_dumpable = 4
        # No library, or one without prctl: then the limit alone has to do.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(pr_set_dumpable, 0, 0, 0, 0)
