"""Filling in what is missing, several times over, so that the answers tell how sure they are."""

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genlit.callbacks.pictures import gaps_marked
from genlit.data.incomplete import BreastCancer
from genlit.data.loader import in_unit_interval
from genlit.data.masks import observed
from genlit.protocols import Imputes
from genlit.randomness import derive_seed, permutation
from genlit.tasks.blocks import block_of, in_blocks
from genlit.tasks.chosen import chosen_events
from genlit.tasks.digits import recognized
from genlit.tasks.likeness import pictured
from genlit.tasks.neighbours import completers
from genlit.tasks.task import Many, Problems, Published, Score, Solver, Task

DRAWS = 19  # the fewest whose lowest and highest have one of 20 equal chances beyond each
LEVEL = 0.9  # of intervals
MIWAE = Published(
    "MIWAE", "mse_of_expectation", 0.287,
    "MIWAE (Mattei & Frellsen, 2019), the authors' notebook after 1001 epochs: breast cancer set, "
    "half of all entries hidden completely at random, another mask",
)  # fmt: skip


class Imputation(Task):
    """Filling in missing entries of events, given those that are observed.

    Each model draws several answers. Scores are of missing entries alone, all of which count the
    same: the mean squared error of single draws, of their mean, and of the mean of ever more draws,
    which is best for a model that knows the right law; from 19 draws on, how many true entries are
    in intervals that 90 % should be in, and how wide these are; and of MNIST the share of completed
    digits that a classifier recognizes. Beside models, answers are training means, the mean of the
    5 nearest neighbours, and of tables scikit-learn's chained regressions, drawn as often, and
    chained forests.

    An answer that changes what is observed is an error.

    Args:
        mask: What is missing: half (the lower half), box (one in the middle), random:P (each pixel
            with probability P), a .npy or PNG, or data: the gaps that the data have.
        n: How many events; fewer where there are fewer.
        draws: How often each is filled in.
        references: How many training events the nearest neighbours are looked for among, at most.
    """

    verb = "impute"
    question = "imputations"
    protocols = (Imputes,)

    def __init__(
        self, mask: str = "half", n: int = 500, draws: int = DRAWS, references: int = 20_000
    ) -> None:
        if min(n, draws, references) < 1:
            raise ValueError(
                f"n is {n}, draws {draws}, references {references}: all must be 1 or more"
            )
        self.mask, self.n, self.draws, self.references = mask, n, draws, references

    @property
    def name(self) -> str:
        path, mask = Path(self.mask), self.mask
        if path.suffix.lower() in (".npy", ".png"):  # two of one name may hide different pixels
            mask = f"{path.stem}_{sha256(path.read_bytes()).hexdigest()[:6]}"
        many = "" if self.draws == DRAWS else f"_{self.draws}_draws"
        return f"impute_{re.sub('[^A-Za-z0-9.]+', '_', mask)}{many}"

    def pose(self, data: Any, split: str, seed: int) -> Problems:
        """Hides entries of events of a split, or takes those that the data hides.

        Raises:
            ValueError: If the mask does not fit the data.
        """
        gaps: Tensor | None = getattr(data, "observed", {}).get(split)
        if (gaps is None) == (self.mask == "data"):
            have = "has no gaps" if gaps is None else "has gaps of its own, from which models learn"
            way = "half, box, random:0.5 or a file" if gaps is None else "data"
            raise ValueError(f"{type(data).__name__} {have}: set mask to {way}")
        self.published = published(data)  # pyright: ignore[reportAttributeAccessIssue]
        problems, places = chosen_events(data, split, self.n, "imputation", seed)
        truth = torch.as_tensor(problems.truth)
        if gaps is None:
            draw = derive_seed("imputation", self.mask, split, seed)
            known = observed(self.mask, tuple(truth.shape[1:]), len(truth), draw)
        else:
            known = gaps[places].cpu()
        counted = (~known & truth.isfinite()).flatten(1).sum(1).double()
        more = {"observed": known, "counted": counted.mean().expand(len(truth)), **problems.more}
        return Problems(torch.where(known, truth, 0.0), truth, problems.source, more)

    def solve(self, model: Any, problems: Problems) -> Tensor:
        """Draws answers, (n, draws, *shape)."""
        given, known = (torch.as_tensor(t) for t in (problems.given, problems.more["observed"]))
        seed = int(torch.randint(2**31, ()))

        def impute(part: slice) -> Tensor:
            return model.impute(given[part].to(model.device), known[part].to(model.device)).float()

        size = block_of(given.shape[1:])
        every = [in_blocks(impute, len(given), size, "impute", seed, k) for k in range(self.draws)]
        draws = torch.stack(every, 1)
        if given.dim() == 4:
            draws = draws.clamp(0, 1)
        refuse_changed(draws, given, known, type(model).__name__)
        return draws

    def baselines(self, data: Any, seed: int) -> dict[str, Solver]:
        n = len(data.events("train"))
        chosen = permutation(n, "references", seed)[: self.references]
        references = in_unit_interval(data.events("train", chosen)).cpu()
        gaps: Tensor | None = getattr(data, "observed", {}).get("train")
        known = None if gaps is None else gaps[chosen].cpu()
        return completers(references, known, self.draws, seed)

    def score(self, problems: Problems, answers: Many) -> list[Score]:
        draws, truth = torch.as_tensor(answers).double(), torch.as_tensor(problems.truth).double()
        known = torch.as_tensor(problems.more["observed"])
        counts = ~known & truth.isfinite()
        weight = torch.as_tensor(problems.more["counted"])
        truth, d = truth.nan_to_num(0.0), draws.shape[1]

        def mean(entries: Tensor, about: float = 0.0) -> Tensor:
            """Numbers whose mean is that of all missing entries; `about` lessens their spread."""
            beside = (entries - about).where(counts, 0.0)
            return about + beside.flatten(1).sum(1) / weight

        of_draw = mean((draws - truth.unsqueeze(1)).square().mean(1))
        of_mean = mean((draws.mean(1) - truth).square())
        # What the mean of d draws is off by beside that of ever more: their variance over d.
        expected = of_mean - (of_draw - of_mean) / (d - 1) if d > 1 else of_mean
        scores = [
            Score("mse_of_draw", of_draw, "", 0.0),
            Score("mse_of_mean", of_mean, "", 0.0),
            Score("mse_of_expectation", expected, "", 0.0),
        ]
        if d >= DRAWS:
            low, high = interval(draws, LEVEL)
            inside = ((low <= truth) & (truth <= high)).double()
            scores.append(Score("coverage_90", mean(inside, LEVEL), "", LEVEL))
            scores.append(Score("width_90", mean(high - low), "", 0.0))
        return scores + legibility(problems, draws)

    def picture(self, problems: Problems, answers: Mapping[str, Many]) -> Tensor | None:
        """Rows of one image each: truth, what is given, then a draw and the mean of each solver.

        What is missing is red.
        """
        truth, known = torch.as_tensor(problems.truth), torch.as_tensor(problems.more["observed"])
        columns: dict[str, Many] = {"truth": truth, "given": gaps_marked(truth, known)}
        for name, answer in answers.items():
            draws = torch.as_tensor(answer)
            columns[name] = draws[:, 0]
            if draws.shape[1] > 1:
                columns[f"{name}, mean"] = draws.mean(1)
        return pictured(columns)


def published(data: Any) -> tuple[Published, ...]:
    """Numbers of others on these data, where the settings are theirs."""
    theirs = isinstance(data, BreastCancer) and data.missing == 0.5 and data.standardize
    return (MIWAE,) if theirs else ()


def refuse_changed(draws: Tensor, given: Tensor, known: Tensor, name: str) -> None:
    """Makes sure that answers (n, draws, *shape) are finite, and hold what is observed.

    Raises:
        ValueError: If they do not.
    """
    if not torch.isfinite(draws).all():
        raise ValueError(f"{name} answered with numbers that are not finite: it has diverged")
    if not torch.equal(draws.where(known.unsqueeze(1), 0.0), _alike(given, draws)):
        raise ValueError(f"{name} changed entries that are observed")


def _alike(given: Tensor, draws: Tensor) -> Tensor:
    """What is given, 0 in gaps, as often as there are draws."""
    return given.to(draws).unsqueeze(1).expand_as(draws)


def interval(draws: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """The ends of intervals in which a further draw is with a probability, (n, *shape) each.

    Of d draws and a further one, each is as likely to be the k-th as any other. So the k-th of d
    has the rank k / (d + 1), and ends lie between two of them if need be.

    Args:
        draws: (n, d, *shape), d at least 2 / (1 - level) - 1.
        level: The probability.
    """
    ordered, d = draws.sort(1).values, draws.shape[1]

    def end(rank: float) -> Tensor:
        place = min(max(rank * (d + 1) - 1, 0.0), d - 1.0)
        low = min(int(place + 1e-9), d - 1)
        return torch.lerp(ordered[:, low], ordered[:, min(low + 1, d - 1)], max(place - low, 0.0))

    return end((1 - level) / 2), end((1 + level) / 2)


def legibility(problems: Problems, draws: Tensor) -> list[Score]:
    """How many completed digits are recognized, of single draws and of their means; if digits."""
    if "labels" not in problems.more:
        return []
    labels = torch.as_tensor(problems.more["labels"])
    each = [recognized(x, labels) for x in draws.unbind(1)]
    return [
        Score("recognized_draw", torch.stack(each).mean(0), "", 1.0),
        Score("recognized_mean", recognized(draws.mean(1), labels), "", 1.0),
    ]
