"""What is to be done about one row of secrets: new values, what they were before, and what was left."""

from __future__ import annotations

from typing import Any, NamedTuple

PLAINTEXT = "plaintext"
# What another tool has encrypted, where it was to be encrypted once more. No id of a key has a space.
FOREIGN = "foreign ciphertext"
# So many failures are listed, of a range or of all; all are counted.
MOST_LISTED = 1_000


class Change(NamedTuple):
    """One value that is encrypted under the primary key; ``was`` is 'plaintext', or the id of the key it was under."""

    account_type: str | None
    path: str
    was: str

    def as_json(self) -> dict[str, Any]:
        """As it stands in the store, without how many there are."""
        return {"account_type": self.account_type, "field": self.path, "from": self.was}


class Failure(NamedTuple):
    """One value left as it was. ``reason`` begins with one of a few words; never a value."""

    path: str
    reason: str


class Reencrypted(NamedTuple):
    """What is to be done about one row: a new text for each column, or None to leave it.

    ``misshapen`` is the account type whose shape its credentials do not have: see credentials.problems.
    """

    values: tuple[str | None, ...]
    changes: tuple[Change, ...]
    failures: tuple[Failure, ...]
    misshapen: str | None = None


class Changes(dict[tuple[str | None, str], "dict[str, Change]"]):
    """One object for all changes that are the same: by account type and path, and then by what the value was."""

    def __missing__(self, place: tuple[str | None, str]) -> dict[str, Change]:
        made = self[place] = _AtOnePlace(place)
        return made


class _AtOnePlace(dict[str, Change]):
    def __init__(self, place: tuple[str | None, str]) -> None:
        super().__init__()
        self._place = place

    def __missing__(self, was: str) -> Change:
        made = self[was] = Change(*self._place, was)
        return made
