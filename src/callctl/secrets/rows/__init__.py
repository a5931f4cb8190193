"""One row of secrets: where they are in it, what would be written, and whether that opens again. Promises to
change nothing else of a document. May import envelope.
"""

__all__ = [
    "credentials",
    "decisions",
    "fast_path",
    "reencrypt",
    "row",
    "tables",
]
