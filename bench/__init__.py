"""Benchmarks of the API; see README.md."""
