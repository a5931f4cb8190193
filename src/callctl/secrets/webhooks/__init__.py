"""New webhook secrets, and the previous ones put back. Promises that each account is either as before or has
what the file says. May import every room of secrets.
"""

__all__ = [
    "accounts",
    "replace",
]
