"""The stored form of a secret: the key ring, the ledger of keys, which fields hold one, opening and encrypting.
Promises that what belongs elsewhere is not given out. May import the rooms below secrets.
"""

__all__ = [
    "cipher",
    "fields",
    "key_ledger",
    "ring",
    "search",
]
