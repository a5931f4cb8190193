"""Rows of the platform beside the steps: companies, call settings, accounts, models. Promises to write down who
changed what. May import migration, secrets, statements, database, config.
"""

__all__ = [
    "accounts",
    "call_settings",
    "companies",
    "seeding",
]
