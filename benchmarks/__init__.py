"""What ./dev bench measures. Each is a module or a package that runs with python -m benchmarks.NAME."""
