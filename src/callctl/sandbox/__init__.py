"""A PostgreSQL of callctl's own, its "before" databases, and the demo. Promises to touch no server and no directory
that callctl did not make. May import every room below; rehearsal, cli and render import it.
"""

__all__ = [
    "demo",
    "lifecycle",
    "server",
]
