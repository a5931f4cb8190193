"""Preflight before and verify after: questions, the catalog against the contract, the rows against their rules.
Promises to change nothing. May import steps, and the rooms below migration; not run.
"""

__all__ = [
    "findings",
    "preflight",
    "row_checks",
    "verify",
]
