"""What was measured: how it is kept, and the tables that the pages show."""
