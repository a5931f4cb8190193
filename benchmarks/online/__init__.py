"""The parts of the benchmark ``online``: a load, tools that migrate under it, what clients saw, tables and pictures."""
