"""Contacts matched per second, beside what else could do it. `python -m benchmarks.matching` runs the table."""
