"""One step file at work: statements, batches, transactions, index builds, failures. Promises that a run that stops
resumes from its last checkpoint. May import steps, and the rooms below migration; not checks.
"""

__all__ = [
    "failures",
    "indexes",
    "script",
    "transactions",
]
