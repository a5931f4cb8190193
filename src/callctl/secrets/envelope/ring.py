"""The key ring: the keys that callctl.yaml names, read and checked.

A key is 32 bytes, written as 64 hexadecimal digits. Its value is in no message, no repr and no log. The
check value tells two keys apart without saying anything of either.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from callctl.config.secrets import COMMAND_SECONDS, KeyEntry
from callctl.errors import ConfigError
from callctl.secrets.envelope.key_sources import failed, read_source

if TYPE_CHECKING:
    from callctl.config.settings import Settings

KEY_BYTES = 32
_CHECK_LABEL = b"callctl key check value 1"
_NO_KEYS_HINT = "name the keys in callctl.yaml under `keys:`; callctl keys generate makes one"


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
        raise ConfigError("callctl.yaml names no keys", hint=_NO_KEYS_HINT)
    forbid_core_dumps()
    environ = os.environ if environ is None else environ
    keys: dict[str, Key] = {}
    for entry in settings.keys.ring:
        secret = _secret(read_source(entry, environ, seconds=command_seconds), entry)
        for other in keys.values():
            if other.secret == secret:
                hint = "two ids for one key say nothing about which values a leak of it opens; take one of them out"
                raise failed(entry, f"it has the same value as key {other.id} ({other.source})", hint)
        keys[entry.id] = Key(entry.id, entry.source, entry.legacy, secret, check_value(secret))
    return KeyRing(keys[settings.keys.primary], MappingProxyType(keys))


def _secret(text: str, entry: KeyEntry) -> bytes:
    hint = "a key is 64 hexadecimal digits and nothing else; callctl keys generate makes one"
    digits = 2 * KEY_BYTES
    if len(text) != digits:
        raise failed(entry, f"it has {len(text)} characters instead of {digits}", hint)
    if not all(character in "0123456789abcdefABCDEF" for character in text):
        raise failed(entry, "it holds something else than hexadecimal digits", hint)
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
