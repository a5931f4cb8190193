"""The settings: one table of them, where a value is found, and the sections of callctl.yaml. Promises that what it
returns has been checked, and that an error names the place and never a secret. May import nothing but the ground.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = [
    "Settings",
    "database_url",
    "file",
    "load_settings",
    "overview",
    "sections",
    "settings",
]

if TYPE_CHECKING:
    from callctl.config.settings import Settings, load_settings

_PLACES = {
    "Settings": "callctl.config.settings",
    "load_settings": "callctl.config.settings",
}


def __getattr__(name: str) -> object:
    """A name of another module, imported when it is first asked for: the face itself imports nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    attribute: object = getattr(import_module(_PLACES[name]), name)
    return attribute
