"""What fills in gaps without a model: means, nearest neighbours, chains of regressions.

Answers have one draw, (n, 1, *shape), but for regressions, which are drawn as often as models are.
"""

import warnings
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genlit.progress import track
from genlit.randomness import derive_seed
from genlit.tasks.task import Problems, Solver

NEIGHBOURS = 5
TREES, TURNS = 20, 5  # of a forest, and how often each column is gone through
BLOCK = 250  # events whose distances to all references are in memory at once


def completers(
    references: Tensor, known: Tensor | None, draws: int, seed: int
) -> dict[str, Solver]:
    """The baselines by name.

    Args:
        references: Training events, (N, *shape).
        known: Which of their entries are observed, of that shape; None where all are.
        draws: How often a method that draws fills in each.
        seed: Seeds what is random.
    """
    complete = known is None
    if known is not None:
        references = references.where(known, torch.nan)
    found: dict[str, Solver] = {"training mean": partial(filled_with, references.nanmean(0))}
    if references.dim() == 2:
        found["5 nearest neighbours"] = partial(nearest_rows, references)
        found["chained regressions"] = partial(regressed, references, complete, draws, seed)
        found["chained forests"] = partial(forested, references, complete, seed)
    else:
        found["5 nearest neighbours"] = partial(nearest, references)
    return found


def completed(problems: Problems, guess: Tensor) -> Tensor:
    """Problems with a guess (n, *shape) in their gaps, as one draw of each; (n, 1, *shape)."""
    given = torch.as_tensor(problems.given).cpu()
    known = torch.as_tensor(problems.more["observed"]).cpu()
    return torch.where(known, given, guess.to(given)).unsqueeze(1)


def filled_with(mean: Tensor, problems: Problems) -> Tensor:
    """The same in all gaps of an entry."""
    return completed(problems, mean.expand(len(problems), *mean.shape))


def nearest(references: Tensor, problems: Problems) -> Tensor:
    """The mean of the references that are nearest in the observed entries."""
    given = torch.as_tensor(problems.given).flatten(1).float()
    known = torch.as_tensor(problems.more["observed"]).flatten(1).float()
    flat = references.flatten(1).float()
    squares, found = flat.square(), []
    for x, seen in zip(given.split(BLOCK), known.split(BLOCK), strict=True):
        # |x - r|² over what is observed of x, but for the part that all references share.
        distance = seen @ squares.mT - 2 * (seen * x) @ flat.mT
        chosen = distance.topk(min(NEIGHBOURS, len(flat)), largest=False).indices
        found.append(flat[chosen].mean(1))
    return completed(problems, torch.cat(found).view(-1, *references.shape[1:]))


def nearest_rows(references: Tensor, problems: Problems) -> Tensor:
    """The mean of the rows that are nearest in the entries observed of both, by scikit-learn."""
    from sklearn.impute import KNNImputer

    imputer: Any = KNNImputer(n_neighbors=NEIGHBOURS, keep_empty_features=True)
    imputer.fit(references.double().numpy())
    return completed(problems, torch.as_tensor(imputer.transform(gappy(problems))))


def regressed(rows: Tensor, complete: bool, draws: int, seed: int, problems: Problems) -> Tensor:
    """Each column drawn from its Bayesian ridge regression on all others, in turns; each draw anew.

    References:
        | Multivariate Imputation by Chained Equations (van Buuren & Groothuis-Oudshoorn, 2011)
    """
    seeds = [derive_seed("regressions", seed, k) for k in range(draws)]
    each = [
        chained(rows, complete, problems, s, sample_posterior=True)
        for s in track(seeds, "chained regressions")
    ]
    return torch.cat(each, 1)


def forested(rows: Tensor, complete: bool, seed: int, problems: Problems) -> Tensor:
    """Each column by random trees that know all others, in turns.

    References:
        | MissForest - Non-Parametric Missing Value Imputation (Stekhoven & Buehlmann, 2012)
    """
    from sklearn.ensemble import ExtraTreesRegressor

    state = derive_seed("forests", seed)
    trees = ExtraTreesRegressor(TREES, random_state=state % 2**32)
    return chained(rows, complete, problems, state, estimator=trees, max_iter=TURNS)


def chained(rows: Tensor, complete: bool, problems: Problems, seed: int, **options: Any) -> Tensor:
    """What scikit-learn's chained regressions make of gaps, as one draw.

    Where no training row has gaps, they must see those of the problems to learn to fill them in.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    imputer: Any = IterativeImputer(random_state=seed % 2**32, keep_empty_features=True, **options)
    known, asked = rows.double().numpy(), gappy(problems)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if complete:
            guess = imputer.fit_transform([*known, *asked])[len(known) :]
        else:
            guess = imputer.fit(known).transform(asked)
    return completed(problems, torch.as_tensor(guess))


def gappy(problems: Problems) -> Any:
    """Rows of numbers as scikit-learn takes them, NaN in gaps."""
    given = torch.as_tensor(problems.given).double()
    return given.where(torch.as_tensor(problems.more["observed"]), torch.nan).numpy()
