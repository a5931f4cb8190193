"""The migration on a copy without rows: the target's schema on a server of callctl's own, synthetic rows, all steps up,
down and up again. Promises to read only, and that no value of a row leaves the target. May import every room below.
"""

__all__ = [
    "building",
    "filling",
    "lock_samples",
    "rehearse",
    "stages",
    "survey",
]
