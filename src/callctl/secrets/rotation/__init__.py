"""Every secret under the primary key, by any number of processes. Promises that a write of the application is
never overwritten. May import inventory, rows and envelope.
"""

__all__ = [
    "rotate",
]
