"""Applications, each on every model that can be asked: problems, baselines, and how to score.

A task is data, a measure, and a page in docs/; the model comes by config. Read `task` first.
"""

from genlit.tasks.examination import Examination
from genlit.tasks.task import Task

__all__ = ["Examination", "Task"]
