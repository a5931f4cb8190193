"""Call sessions against a database, in rows of their own, measured and removed. Promises that the rows of the
platform are left as they were. May import migration, secrets, statements, database, config.
"""

__all__ = [
    "measure",
    "run",
    "sessions",
]
