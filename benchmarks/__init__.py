"""Measurements: `python -m benchmarks.NAME` prints a table and writes results/NAME.json.

What README and docs quote comes from these files; `python -m benchmarks.tables` puts it there.
"""
