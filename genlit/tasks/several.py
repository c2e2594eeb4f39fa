"""Several correct answers: whether a model knows them all, or gives their mean."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genlit.callbacks.pictures import is_image, side_by_side
from genlit.data.loader import in_unit_interval
from genlit.protocols import Conditional
from genlit.randomness import generator, permutation
from genlit.tasks.blocks import block_of, in_blocks
from genlit.tasks.task import Many, Problems, Score, Solver, Task
from genlit.tasks.valid import coverage, distance_from_mean, nearest_valid

PICTURED, SHOWN = 8, 3  # rows of a picture, and draws of a solver in a row
BLOCK = 500  # conditions whose distances to all training conditions are in memory at once


class SeveralAnswers(Task):
    """Answering questions of which all right answers are known, several times each.

    - nearest_valid: the mean squared error of a draw to the right answer that it is nearest to;
    - from_mean: its squared distance from the mean of the right answers, beside theirs: 0 at the
      mean, 1 as far as right answers are;
    - coverage: the share of right answers that some draw hits, which is to be nearer to it than
      0.4 of the way to the next one; all_covered: the share of questions with all of them hit;
    - error: the mean squared error to the one answer that happened, which the mean has least of;
      best_of_draws: that of the best draw.

    Questions with one right answer have no number of those that compare several. Baselines are the
    condition itself, if it is of the same form, the mean of all training answers, the answers of
    the nearest training conditions, and as oracles the mean of the right answers, and one of them
    at random.

    References:
        | Mixture Density Networks (Bishop, 1994)
        | NIPS 2016 Tutorial: Generative Adversarial Networks (Goodfellow, 2016), section 1

    Args:
        draws: How many answers are drawn to each question.
        n: How many questions; fewer where there are fewer.
    """

    verb = "answer"
    question = "answers"
    protocols = (Conditional,)

    def __init__(self, draws: int = 8, n: int = 500) -> None:
        if min(draws, n) < 1:
            raise ValueError(f"draws is {draws} and n {n}: each is 1 or more")
        self.draws, self.n = draws, n

    @property
    def name(self) -> str:
        return f"several_{self.draws}draws"

    def pose(self, data: Any, split: str, seed: int) -> Problems:
        """Takes events of a split at random.

        Raises:
            ValueError: If the data do not know all answers.
        """
        if not hasattr(data, "valid"):
            raise ValueError(
                f"{type(data).__name__} does not know all right answers: take genlit.data.Futures "
                "or genlit.data.InverseSinusoid"
            )
        given = in_unit_interval(data.conditions[split])
        chosen = permutation(len(given), "several answers", split, seed)[: self.n]
        truth, valid = in_unit_interval(data.events(split, chosen)), data.valid(split)[chosen]
        source = f"{type(data).__name__}, {split}, generated"
        return Problems(given[chosen], truth, source, {"valid": valid})

    def solve(self, model: Any, problems: Problems) -> Tensor:
        """Draws (n, draws, *shape)."""
        given, seed = torch.as_tensor(problems.given), int(torch.randint(2**31, ()))
        shape = torch.as_tensor(problems.truth).shape[1:]

        def answer(part: slice) -> Tensor:
            return model.sample_given(given[part].to(model.device)).float()

        draws = [
            in_blocks(answer, len(given), block_of(shape), "several answers", seed, k)
            for k in range(self.draws)
        ]
        return torch.stack(draws, 1)

    def baselines(self, data: Any, seed: int) -> dict[str, Solver]:
        train = in_unit_interval(data.splits["train"])
        known = in_unit_interval(data.conditions["train"])
        found: dict[str, Solver] = {
            "mean of training answers": partial(constant, train.mean(0)),
            "nearest neighbours": partial(neighbours, known, train, self.draws),
        }
        return {"condition": itself, **found} if known.shape == train.shape else found

    def oracles(self, data: Any, seed: int) -> dict[str, Solver]:
        return {
            "mean of right answers": mean_of_valid,
            "one right answer": partial(any_valid, self.draws, seed),
        }

    def score(self, problems: Problems, answers: Many) -> list[Score]:
        made, truth = torch.as_tensor(answers).cpu(), torch.as_tensor(problems.truth)
        valid = torch.as_tensor(problems.more["valid"])
        covered = coverage(made, valid)
        every = torch.where(covered.isnan(), covered, (covered > 1 - 1e-9).double())
        errors = (made - truth[:, None]).double().square().flatten(2).mean(2)
        return [
            Score("nearest_valid", nearest_valid(made, valid).mean(1), "", 0.0),
            Score("from_mean", distance_from_mean(made, valid).mean(1), "", 1.0),
            Score("coverage", covered, "", 1.0),
            Score("all_covered", every, "", 1.0),
            Score("error", errors.mean(1), "", 0.0),
            Score("best_of_draws", errors.amin(1), "", 0.0),
        ]

    def picture(self, problems: Problems, answers: Mapping[str, Many]) -> Tensor | None:
        """Questions as rows: the condition, all right answers, and the first draws of each."""
        valid = torch.as_tensor(problems.more["valid"])
        given = torch.as_tensor(problems.given)[:, None]
        if not is_image(valid.shape[2:]) or given.shape[2:] != valid.shape[2:]:
            return None
        columns = {"given": given, "right answers": valid}
        for name, drawn in answers.items():
            columns[name] = torch.as_tensor(drawn)[:, :SHOWN].cpu()
        return side_by_side({name: images[:PICTURED] for name, images in columns.items()})


def itself(problems: Problems) -> Tensor:
    """The condition as the one answer, (n, 1, *shape)."""
    return torch.as_tensor(problems.given)[:, None]


def constant(answer: Tensor, problems: Problems) -> Tensor:
    """The same answer to all questions."""
    return answer.expand(len(problems), 1, *answer.shape)


def neighbours(known: Tensor, answers: Tensor, draws: int, problems: Problems) -> Tensor:
    """The answers to the nearest conditions that are known, one draw each."""
    rows, found = known.flatten(1), []
    for given in torch.as_tensor(problems.given).flatten(1).split(BLOCK):
        found.append(torch.cdist(given, rows).topk(min(draws, len(rows)), 1, False).indices)
    return answers[torch.cat(found)]


def mean_of_valid(problems: Problems) -> Tensor:
    """The mean of the right answers; the truth where none is right."""
    mean = torch.as_tensor(problems.more["valid"]).nanmean(1, keepdim=True)
    return torch.where(mean.isnan(), torch.as_tensor(problems.truth)[:, None], mean)


def any_valid(draws: int, seed: int, problems: Problems) -> Tensor:
    """A right answer at random in every draw; the truth where none is right."""
    valid, truth = torch.as_tensor(problems.more["valid"]), torch.as_tensor(problems.truth)
    there = valid.flatten(2).isfinite().all(-1).double()
    there[there.sum(1) == 0, 0] = 1.0
    which = torch.multinomial(there, draws, True, generator=generator("any answer", seed))
    drawn = valid[torch.arange(len(valid))[:, None], which]
    return torch.where(drawn.isnan(), truth[:, None], drawn)
