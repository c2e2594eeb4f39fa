"""Finished runs on one page that needs nothing but itself."""

from genlit.report.folders import find_runs
from genlit.report.page import write
from genlit.report.read import Run, read_runs

__all__ = ["Run", "find_runs", "read_runs", "write"]
