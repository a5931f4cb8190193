"""A run seen and steered from another terminal: what it is at, how long it still takes, and orders for it.

It reads what the server shows of every session, and what runs say of themselves in callctl's schema; an order is a
row of the audit trail. It may import ``migration`` and what is below it.
"""

__all__ = [
    "look",
    "steer",
]
