"""Integration secrets: opened, encrypted, counted, rotated, replaced. Promises that no value leaves it but as an
envelope, except in the file that new webhook secrets are written to. May import statements, database, config; inside,
webhooks is above rotation, then inventory, rows, envelope.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = [
    "envelope",
    "inventory",
    "load_key_ring",
    "rotate",
    "rotation",
    "rows",
    "webhooks",
]

if TYPE_CHECKING:
    from callctl.secrets.envelope.ring import load_key_ring
    from callctl.secrets.rotation.rotate import rotate

_PLACES = {
    "load_key_ring": "callctl.secrets.envelope.ring",
    "rotate": "callctl.secrets.rotation.rotate",
}


def __getattr__(name: str) -> object:
    """A name of another module, imported when it is first asked for: the face itself imports nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    attribute: object = getattr(import_module(_PLACES[name]), name)
    return attribute
