"""The steps, and the state of each in a database: files, contract, model catalog, ways down. Promises
to run no step. May import the rooms below migration.
"""

__all__ = [
    "call_models",
    "contract",
    "numbered",
    "shadow",
]
