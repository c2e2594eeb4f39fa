"""Finished runs on one page that needs nothing but itself."""

from genlit.report.page import write
from genlit.report.read import Run, find_runs, read_runs

__all__ = ["Run", "find_runs", "read_runs", "write"]
