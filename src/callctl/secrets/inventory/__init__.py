"""Counts secrets by key, and finds text that looks like a secret elsewhere.

Promises to read only, but where it records that a key is retired. May import rows and envelope.
"""

__all__ = [
    "key_retirement",
    "key_use",
    "plaintext_copies",
    "scan",
    "scan_finder",
]
