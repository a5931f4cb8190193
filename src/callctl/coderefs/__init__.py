"""The code in a source tree that still names a column that the migration drops. Promises to read and never write, and
needs no database. May import nothing but the ground.
"""

__all__ = [
    "search",
]
