"""A .sql file in the names of the specification, made to fit this database. Promises to change names at their exact
positions and nothing else, or to refuse. May import config and the ground; not database.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = [
    "Naming",
    "adapt",
    "adaptation",
    "batch_query",
    "load_script",
    "naming",
    "scope",
    "script",
    "tokens",
]

if TYPE_CHECKING:
    from callctl.statements.adaptation import adapt
    from callctl.statements.naming import Naming
    from callctl.statements.script import load_script

_PLACES = {
    "Naming": "callctl.statements.naming",
    "adapt": "callctl.statements.adaptation",
    "load_script": "callctl.statements.script",
}


def __getattr__(name: str) -> object:
    """A name of another module, imported when it is first asked for: the face itself imports nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    attribute: object = getattr(import_module(_PLACES[name]), name)
    return attribute
