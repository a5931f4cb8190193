"""Which secret is under which key, and what looks like a secret elsewhere. Promises to read only, but where
it records that a key is retired. May import rows and envelope.
"""

__all__ = [
    "census",
    "key_retirement",
    "key_use",
    "plaintext_copies",
    "scan",
    "scan_tables",
    "scan_thread",
    "unmatched_fields",
]
