"""callctl takes a chat platform's PostgreSQL database through its voice call migration, and back."""

__version__ = "0.1.0"
