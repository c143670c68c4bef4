"""The standing benchmarks: see README.md."""
