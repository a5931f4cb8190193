"""The server: connections, timeouts, retries, locks, callctl's own schema, and PostgreSQL's client programs. Promises
that an error of the server becomes one of callctl's. May import config and the ground.
"""

__all__ = [
    "actions",
    "brakes",
    "connection",
    "guarded",
    "lock",
    "log",
    "pace",
    "programs",
    "purge",
    "steering",
    "store",
]
