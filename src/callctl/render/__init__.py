"""The only room that prints: text, JSON, pages, progress. Promises stdout for results and stderr for the rest, and no
secret on either. May import everything below; only cli imports it.
"""

__all__ = [
    "accounts",
    "backup",
    "coderefs",
    "companies",
    "console",
    "demo",
    "documents",
    "keys",
    "loadtest",
    "loadtest_picture",
    "migration",
    "preflight",
    "progress",
    "rotation",
    "run_page",
    "sandbox",
    "seeding",
    "settings",
    "verify",
    "webhooks",
]
