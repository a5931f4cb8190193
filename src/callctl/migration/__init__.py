"""The numbered steps, up and down: plan, run, adopt, look at a live run. Promises that what is reported as done is
committed and was checked. May import secrets, statements, database, config; inside, this folder is above run and
checks, and these over steps.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = [
    "adopt",
    "adoption",
    "checks",
    "down",
    "history",
    "live_runs",
    "migrate",
    "plan",
    "planning",
    "preflight",
    "reviewed",
    "run",
    "run_record",
    "status",
    "steps",
    "up",
    "verify",
]

if TYPE_CHECKING:
    from callctl.migration.adoption import adopt
    from callctl.migration.checks.preflight import preflight
    from callctl.migration.checks.verify import verify
    from callctl.migration.migrate import down, history, up
    from callctl.migration.planning import plan
    from callctl.migration.steps.numbered import status

_PLACES = {
    "adopt": "callctl.migration.adoption",
    "down": "callctl.migration.migrate",
    "history": "callctl.migration.migrate",
    "plan": "callctl.migration.planning",
    "preflight": "callctl.migration.checks.preflight",
    "status": "callctl.migration.steps.numbered",
    "up": "callctl.migration.migrate",
    "verify": "callctl.migration.checks.verify",
}


def __getattr__(name: str) -> object:
    """A name of another module, imported when it is first asked for: the face itself imports nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    attribute: object = getattr(import_module(_PLACES[name]), name)
    return attribute
