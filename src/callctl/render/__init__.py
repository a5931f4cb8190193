"""The only room that prints: text, JSON, pages, progress. Promises stdout for results and stderr for the rest, and no
secret on either. May import everything below; only cli imports it.
"""

__all__ = [
    "backup",
    "checks",
    "coderefs",
    "config",
    "console",
    "demo",
    "doctor",
    "documents",
    "drift",
    "explain",
    "forecast",
    "loadtest",
    "log",
    "migration",
    "pages",
    "progress",
    "rehearsal",
    "run_page",
    "sandbox",
    "secrets",
    "tenants",
    "watch",
]
