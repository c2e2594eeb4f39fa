"""Says how good imputations are, where the truth is known."""

from torch import Tensor

from genlit.cli.asking import mean_and_error
from genlit.tasks.imputation import DRAWS, LEVEL, interval


def drawn(k: int) -> str:
    """How many draws there are, in words."""
    return "1 draw of each" if k == 1 else f"{k} draws of each"


def report(x: Tensor, judged: Tensor, answers: Tensor, thing: str, things: str, units: str) -> None:
    """Prints how good imputations (n, draws, *shape) are in the entries that are judged.

    Args:
        x: The truth, (n, *shape).
        judged: Which entries count, of that shape.
        answers: The imputations.
        thing: What one of these entries is called.
        things: What events are called.
        units: What is said of the units of the error.
    """

    def of_judged(entries: Tensor) -> Tensor:
        counted = judged.flatten(1).sum(1)
        return (entries.where(judged, 0.0).flatten(1).sum(1) / counted)[counted > 0]

    errors = of_judged((answers - x.unsqueeze(1)).square().mean(1))
    if len(errors) == 0:
        return
    text = mean_and_error(errors)
    print(f"mean squared error of a single draw {text} per {thing}, {len(errors)} {things}{units}")
    if answers.shape[1] >= DRAWS:
        low, high = interval(answers, LEVEL)
        inside = mean_and_error(of_judged(((low <= x) & (x <= high)).float()))
        width = mean_and_error(of_judged(high - low))
        print(f"intervals of {LEVEL:.0%}: {inside} of the true values are inside, width {width}")
