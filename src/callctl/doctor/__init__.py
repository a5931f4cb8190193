"""This machine and the way to the server: programs, connection, rights, clock, disk, keys. Promises to write nothing.
Whether the steps can run is for preflight. May import secrets, database, config and the ground.
"""

__all__ = [
    "examination",
]
