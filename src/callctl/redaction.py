"""Passwords and keys out of whatever is printed.

Others' words (the server's, libpq's, a key command's, those of callctl.yaml and the command line) may hold a secret
that was pasted in the wrong place. Each source hides what it can name; :func:`redact` is the last net, and every error,
warning, note and event goes through it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import pairwise

HIDDEN = "***"

# ---- passwords -----------------------------------------------------------------------------------------

_URL_PASSWORD = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s:@/?#]*:)(?P<secret>\S*)(?=@)", re.IGNORECASE)
_WHOLE_URL_PASSWORD = re.compile(
    r"\A(?P<before>\s*[a-z][a-z0-9+.-]*://[^:@/?#]*:)(?P<secret>.*)(?=@)", re.IGNORECASE | re.DOTALL
)
_KEY_PASSWORD = re.compile(
    r"(?P<before>\b(?:ssl)?password\s*=\s*)(?P<secret>'(?:[^'\\]|\\.)*'?|[^\s&]+)", re.IGNORECASE
)

# libpq quotes what it could not make sense of, and that is often a piece of a password with a space, a % or
# an @ in it: 'missing "=" after "…"', 'invalid percent-encoded token: "…"', 'host name "…@db"'.
_LIBPQ_QUOTES = re.compile(
    r'(?P<before>\b(?:missing "=" after|percent-encoded (?:token|value):|URI query parameter:'
    r"|unexpected spaces found in|in URI(?: \([^)]*\))?:|address in URI:|integer value|port number:"
    r'|invalid connection option|invalid \w{1,40} value:) ")(?P<secret>.*)(?=")',
    re.IGNORECASE | re.DOTALL,
)
_LIBPQ_HOST = re.compile(r"""(?P<before>\b(?:host|host name|server at) ["'])(?P<secret>[^"'\n]*)(?=@)""", re.IGNORECASE)

_ALL = (_WHOLE_URL_PASSWORD, _URL_PASSWORD, _KEY_PASSWORD, _LIBPQ_QUOTES, _LIBPQ_HOST)


_QUERY = re.compile(r"(?P<before>[?#]).+", re.DOTALL)


def without_query(url: str | None) -> str | None:
    """A URL without what may be a secret in it: a password, a query."""
    return None if url is None else _QUERY.sub("\\g<before>\N{HORIZONTAL ELLIPSIS}", redact(url))


def has_password(conninfo: str) -> bool:
    """Return whether a URL or a libpq connection string holds a password."""
    return _without_passwords(conninfo) != conninfo


def _without_passwords(text: str) -> str:
    for pattern in _ALL:
        text = pattern.sub(lambda match: match["before"] + (HIDDEN if match["secret"] else ""), text)
    return text


# ---- keys ----------------------------------------------------------------------------------------------

# A key is 64 hexadecimal digits. Half of them in a row are no name that anybody would choose.
_HEX = re.compile(r"[0-9a-f]{32,}", re.IGNORECASE)
# In groups, as hexdump and people write them: "0123abcd 89ef…", "01:23:…", "0x01, 0x23", "\x01\x23".
_GAP = r"(?:[\s:;,.|/'\"_-]{1,4}(?:0x|\\x)?|\\x|%)"
_GROUPS = re.compile(
    rf"(?<![0-9A-Za-z])(?:0x|\\x|%)?[0-9a-f]+(?:{_GAP}[0-9a-f]+(?![0-9A-Za-z\\%])|{_GAP}[0-9a-f]+(?=\\x|%))+",
    re.IGNORECASE,
)
_UUID = re.compile(
    r"(?<![0-9A-Za-z-])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9A-Za-z]|-[0-9A-Za-z])", re.IGNORECASE
)
# Digits in groups that make a key, or one of which a part was lost. Timestamps, pids and lists of numbers in a row
# have hardly a letter among them; of a key's digits more than a third are letters.
_IN_GROUPS, _LETTERS = 48, 6

# 32 bytes in base64 are 43 characters and "=", which is often left out.
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{43,}={0,2}")
_BASE64_LENGTH = 43


def _digits(text: str) -> tuple[int, int]:
    """The number of hexadecimal digits in groups of them, and the number of letters among these."""
    plain = re.sub(r"0x|\\x", "", text, flags=re.IGNORECASE)
    digits = [character for character in plain if character in "0123456789abcdefABCDEF"]
    return len(digits), sum(character.isalpha() for character in digits)


def _hide_groups(text: str, digits: int, letters: int) -> str:
    """A run of groups with the parts of that number of digits hidden; a UUID is kept, and separates them."""
    parts: list[str] = []
    end = 0
    for start, stop in [*(match.span() for match in _UUID.finditer(text)), (len(text), len(text))]:
        part = text[end:start]
        counts = _digits(part)
        parts += [HIDDEN if counts[0] >= digits and counts[1] >= letters else part, text[start:stop]]
        end = stop
    return "".join(parts)


def _is_base64(run: str) -> bool:
    """Return whether a run of base64's characters holds 32 random bytes, and is not a path or a long name."""
    body = run.rstrip("=")
    if body != run:
        return _mixed(body[-_BASE64_LENGTH:], 3)
    windows = (body[start : start + _BASE64_LENGTH] for start in range(min(len(body) - _BASE64_LENGTH + 1, 4096)))
    return any(_mixed(window, 5) and ("/" not in window or _restless(window)) for window in windows)


def _mixed(text: str, least: int) -> bool:
    return sum(map(str.isupper, text)) >= least and sum(map(str.islower, text)) >= least


def _restless(text: str) -> bool:
    """Return whether capitals, small letters and digits alternate as in random text, unlike those of a path."""
    longest = max(text.split("/"), key=len)
    kinds = [(letter.isupper(), letter.islower(), letter.isdigit()) for letter in longest]
    return len(longest) >= 12 and sum(a != b for a, b in pairwise(kinds)) >= 0.4 * len(longest)


def hide_keys(text: str) -> str:
    """``text`` with what looks like a 32-byte key replaced by ``***``: in hexadecimal, also in groups, or base64."""
    text = _HEX.sub(HIDDEN, text)
    text = _GROUPS.sub(lambda run: _hide_groups(run[0], _IN_GROUPS, _LETTERS), text)
    return _BASE64.sub(lambda run: HIDDEN if _is_base64(run[0]) else run[0], text)


def looks_like_a_key(text: str) -> bool:
    """Return whether ``text`` holds what may be a key in hexadecimal or base64, or is half of one.

    A UUID is not one.
    """
    if hide_keys(text) != text:
        return True
    run = _GROUPS.fullmatch(text.strip())
    return run is not None and _hide_groups(run[0], 32, 1) != run[0]


def redact(text: str) -> str:
    """``text`` with the password of every URL and connection string, and every key, in it replaced by ``***``.

    Errs on the side of hiding too much: a password with unencoded ``@``, ``/`` or spaces goes as a whole.
    """
    return hide_keys(_without_passwords(text))


# ---- others' words -------------------------------------------------------------------------------------


def printable(text: str) -> str:
    """A typed name, without characters that a terminal would obey."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def is_utf8(text: str) -> bool:
    """Return whether ``text`` can be sent to a server or written as UTF-8: an undecodable byte cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def in_utf8(text: str) -> str:
    r"""``text`` with each byte that is not UTF-8 as an escape: 'caf\xe9'. For names of files, users and hosts."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a surrogate pair, which no byte stands for
        return text.encode("utf-8", "backslashreplace").decode()


def name_shown(text: str) -> str:
    """A name that another wrote, as a message may repeat it: in quotes, on one line, cut off, without a secret."""
    shown = HIDDEN if looks_like_a_key(text) else redact(printable(text))
    return repr(shown if len(shown) <= 60 else shown[:57] + "...")


_QUOTED = re.compile(r"""(?P<mark>["'`])(?P<text>.*)(?P=mark)""", re.DOTALL)


def without_quotes(text: str) -> str:
    """A message of a parser without what it quotes, unless that is a character or two."""
    return _QUOTED.sub(lambda match: match[0] if len(match["text"]) <= 2 else "'\N{HORIZONTAL ELLIPSIS}'", text)


# Runs of characters that may be a key or a token: base64, which has slashes as a path does, but hardly ever no
# capital, no small letter or no digit; hexadecimal and what vaults hand out, which have a digit.
_LONG_RUN = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_TOKEN = re.compile(r"[A-Za-z0-9+=_.-]{16,}")
_HEX_WORD = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{8,}(?![0-9A-Za-z])", re.IGNORECASE)


def hide_tokens(text: str) -> str:
    """``text`` with all hidden that may be a key, a token, or a piece of one, on one line.

    For what a program wrote that handles keys. Hides more than :func:`redact`: some of it is a date or an address.
    """
    text = redact("".join(character if character.isprintable() else " " for character in text))
    text = _hide(_LONG_RUN, text, (str.isupper, str.islower, str.isdigit))
    text = _hide(_TOKEN, text, (str.isdigit,))
    text = hide_hex_words(text)
    text = _GROUPS.sub(lambda run: HIDDEN if _a_piece(run[0]) else run[0], text)
    return " ".join(text.split())


def hide_hex_words(text: str) -> str:
    """``text`` with every word of eight hexadecimal digits or more hidden: a group of a key that was taken apart."""
    return _HEX_WORD.sub(HIDDEN, text)


def _a_piece(run: str) -> bool:
    digits, letters = _digits(run)
    return digits >= (8 if letters else 16)


def _hide(runs: re.Pattern[str], text: str, kinds: Iterable[Callable[[str], bool]]) -> str:
    """``text`` with the runs hidden that have a character of every kind."""
    return runs.sub(lambda run: HIDDEN if all(any(map(kind, run[0])) for kind in kinds) else run[0], text)
