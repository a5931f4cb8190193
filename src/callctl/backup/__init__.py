"""The whole database in one file, and back. Promises that a backup is whole or is not there under its name, and that a
restore is compared with the manifest or leaves nothing. May import migration, secrets, statements, database, config.
"""

__all__ = [
    "file",
    "restore",
    "take",
]
