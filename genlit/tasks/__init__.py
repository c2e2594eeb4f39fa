"""Applications, each on every model that can be asked: problems, baselines, and how to score.

A task is data, a measure, and a page in docs/; the model comes by config. Read `task` first.
"""

from genlit.tasks.classification import Classification
from genlit.tasks.denoising import Denoising
from genlit.tasks.examination import Examination
from genlit.tasks.imputation import Imputation
from genlit.tasks.next_frame import NextFrame
from genlit.tasks.planners import CrossEntropy, RandomShooting
from genlit.tasks.planning import Planning
from genlit.tasks.reconstruction import Reconstruction
from genlit.tasks.several import SeveralAnswers
from genlit.tasks.superres import SuperRes
from genlit.tasks.task import Task
from genlit.tasks.translation import Translation

__all__ = [
    "Classification",
    "CrossEntropy",
    "Denoising",
    "Examination",
    "Imputation",
    "NextFrame",
    "Planning",
    "RandomShooting",
    "Reconstruction",
    "SeveralAnswers",
    "SuperRes",
    "Task",
    "Translation",
]
