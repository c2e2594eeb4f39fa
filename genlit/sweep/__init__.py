"""W&B sweep files run here: many trials of one experiment, searched by Optuna, no server asked."""

from genlit.sweep.laws import SweepError
from genlit.sweep.schema import Sweep, read

__all__ = ["Sweep", "SweepError", "read"]
