"""The effects of statements on this database: locks, whom they block, rewrites, rows and time. Promises to read only,
and to say "not known" of what it cannot tell. May import migration, secrets, statements, database, config.
"""

__all__ = [
    "calibration",
    "catalog",
    "drift",
    "durations",
    "effects",
    "functions",
    "hazards",
    "locks",
    "observation",
    "outlook",
    "rows",
]
