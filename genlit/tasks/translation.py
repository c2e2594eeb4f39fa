"""Making images from images: labels to photos, aerial views to maps."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genlit.data.loader import in_unit_interval
from genlit.protocols import Conditional
from genlit.randomness import permutation
from genlit.tasks.blocks import block_of, in_blocks
from genlit.tasks.label_maps import (
    IGNORED,
    class_accuracy,
    confusion,
    in_colours,
    intersection_over_union,
    mean_of_classes,
    nearest_classes,
    pixel_accuracy,
)
from genlit.tasks.likeness import PICTURED, WINDOW, pictured, similarity
from genlit.tasks.pixels import decibels, gradient_ratio
from genlit.tasks.task import Many, Problems, Score, Solver, Task

BLOCK = 100  # training pairs that are looked at at once


class Translation(Task):
    """Making an image from another one, where data have the true answers.

    Scores are the mean absolute error of pixels in [0, 1], the peak signal-to-noise ratio in dB (at
    most 58.9, that of rounding to 8 bits), the structural similarity, and the gradient ratio: the
    mean absolute difference of neighbouring pixels beside that of the truth, image by image, below
    1 where answers are blurred. Of answers that are maps with known colours, each pixel has the
    class whose colour is nearest: the share that is right, its mean over the classes of each map,
    and the mean intersection over union.

    Beside models, answers are the condition as it is, the training mean, the answer to the nearest
    training condition, and the best that colours alone can do.

    References:
        | Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2017)

    Args:
        n: How many images; fewer where there are fewer.
        references: How many training pairs baselines know, at most.
    """

    verb = "translate"
    question = "translations"
    protocols = (Conditional,)

    def __init__(self, n: int = 200, references: int = 1000) -> None:
        if min(n, references) < 1:
            raise ValueError(f"n is {n} and references {references}: both must be 1 or more")
        self.n, self.references = n, references

    @property
    def name(self) -> str:
        return "translate"

    def pose(self, data: Any, split: str, seed: int) -> Problems:
        """Takes pairs of a split.

        Raises:
            ValueError: If the data are no images that are made from images.
        """
        refuse_no_pairs(data)
        every = data.conditions[split]
        chosen = permutation(len(every), "translation", split, seed)[: self.n]
        given = in_unit_interval(every[chosen]).cpu()
        truth = in_unit_interval(data.events(split, chosen)).cpu()
        n, colours = len(given), getattr(data, "colours", None)
        more = {"shown": in_colours(given, colours)}
        if colours is not None:
            more["colours"] = colours.expand(n, -1, -1)
        if (palette := getattr(data, "palette", None)) is not None:
            labels, void = nearest_classes(truth, palette), getattr(data, "void", None)
            more["palette"] = palette.expand(n, -1, -1)
            more["labels"] = labels if void is None else labels.where(labels != void, IGNORED)
        return Problems(given, truth, f"{source_of(data)}, {split}", more)

    def solve(self, model: Any, problems: Problems) -> Tensor:
        given, truth = torch.as_tensor(problems.given), torch.as_tensor(problems.truth)
        seed = int(torch.randint(2**31, ()))

        def translate(part: slice) -> Tensor:
            return model.sample_given(given[part].to(model.device)).float()

        block = block_of(given.shape[1:])
        answers = in_blocks(translate, len(given), block, "translate", seed)
        if answers.shape != truth.shape:
            raise ValueError(
                f"{type(model).__name__} answered with shape {tuple(answers.shape[1:])} in place "
                f"of {tuple(truth.shape[1:])}: it was trained on other data"
            )
        return answers.clamp(0, 1)

    def baselines(self, data: Any, seed: int) -> dict[str, Solver]:
        refuse_no_pairs(data)
        found: dict[str, Solver] = {"training mean": partial(always, mean_image(data))}
        if tuple(data.shape) == tuple(data.condition_shape):
            found["as it is"] = as_it_is
        if not getattr(data, "paired", True):
            return found
        chosen = permutation(len(data.conditions["train"]), "references", seed)[: self.references]
        conditions, images = data.conditions["train"][chosen].cpu(), data.events("train", chosen)
        found["nearest neighbour"] = partial(nearest_answers, conditions, images.cpu())
        if (rule := colour_rule(data, conditions, images.cpu())) is not None:
            found["colours alone"] = rule
        return found

    def score(self, problems: Problems, answers: Many) -> list[Score]:
        truth, answer = torch.as_tensor(problems.truth), torch.as_tensor(answers).cpu()
        error = (answer - truth).double()
        scores = [
            Score("absolute_error", error.abs().flatten(1).mean(1), "", 0.0),
            Score("psnr", decibels(error.square().flatten(1).mean(1)), "dB", float("inf")),
            Score("gradient_ratio", gradient_ratio(answer, truth), "", 1.0),
        ]
        if min(truth.shape[-2:]) >= WINDOW:
            scores.append(Score("ssim", similarity(answer, truth), "", 1.0))
        return scores + scores_of_maps(problems, answer)

    def picture(self, problems: Problems, answers: Mapping[str, Many]) -> Tensor | None:
        """Rows of one problem each: what is given, the truth, and what each solver makes of it."""
        colours = (
            torch.as_tensor(problems.more["colours"])[0] if "colours" in problems.more else None
        )
        columns = {"given": torch.as_tensor(problems.more["shown"])}
        for name, images in {"truth": problems.truth, **answers}.items():
            columns[name] = in_colours(torch.as_tensor(images)[:PICTURED].cpu(), colours)
        if columns["given"].shape[1:] != columns["truth"].shape[1:]:
            columns = alike(columns)
        return pictured(columns)


def refuse_no_pairs(data: Any) -> None:
    """Makes sure that data are images that are made from images.

    Raises:
        ValueError: If they are not.
    """
    of, given = getattr(data, "shape", ()), getattr(data, "condition_shape", ())
    if len(of) != 3 or len(given) != 3 or not hasattr(data, "conditions"):
        raise ValueError(
            f"Translation takes images that are made from images, and {type(data).__name__} has "
            f"events of shape {tuple(of)} and conditions of {tuple(given)}: take data such as "
            "AerialMaps, CamVid, EdgesToDigits or PairedFolder"
        )


def source_of(data: Any) -> str:
    """Where data come from."""
    return getattr(data, "source", "") or type(data).__name__


def scores_of_maps(problems: Problems, answer: Tensor) -> list[Score]:
    """How right the classes of maps are, where the colours of classes are known."""
    if "labels" not in problems.more:
        return []
    palette = torch.as_tensor(problems.more["palette"])[0]
    labels = torch.as_tensor(problems.more["labels"])
    counts = confusion(labels, nearest_classes(answer, palette), len(palette))
    return [
        Score("pixel_accuracy", pixel_accuracy(counts), "", 1.0),
        Score("class_accuracy", class_accuracy(counts), "", 1.0),
        Score("iou", intersection_over_union(counts), "", 1.0),
    ]


def alike(columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Images in colour and of the size of the truth, so that they can stand side by side."""
    size = columns["truth"].shape[-2:]
    coloured = {name: x.expand(-1, 3, -1, -1) for name, x in columns.items()}
    return {
        name: torch.nn.functional.interpolate(x, size, mode="nearest")
        for name, x in coloured.items()
    }


# Answers without a model


def mean_image(data: Any) -> Tensor:
    """The mean of training images, (*shape)."""
    return data.mean.cpu()


def always(answer: Tensor, problems: Problems) -> Tensor:
    """The same answer to every problem."""
    return answer.expand(len(problems), *answer.shape).clone()


def as_it_is(problems: Problems) -> Tensor:
    """What is given itself."""
    return torch.as_tensor(problems.given).cpu().clone()


def nearest_answers(conditions: Tensor, images: Tensor, problems: Problems) -> Tensor:
    """The image of the training condition at the least squared distance from what is given."""
    given = torch.as_tensor(problems.given).cpu().flatten(1)
    distances = []
    for part in conditions.split(BLOCK):
        theirs = in_unit_interval(part).flatten(1)
        distances.append(theirs.square().sum(1) - 2 * given @ theirs.mT)
    return in_unit_interval(images[torch.cat(distances, 1).argmin(1)])


def colour_rule(data: Any, conditions: Tensor, images: Tensor) -> Solver | None:
    """The rule that knows a pixel's colour alone, where one side is a map of classes.

    From a map, each class becomes its mean colour; to a map, each pixel becomes the class whose
    mean colour is nearest.
    """
    known = getattr(data, "condition_palette", None)
    wanted = getattr(data, "palette", None)
    palette = wanted if known is None else known
    if palette is None:
        return None
    maps, colours = (images, conditions) if known is None else (conditions, images)
    labels = nearest_classes(in_unit_interval(maps), palette)
    means = mean_of_classes(in_unit_interval(colours), labels, len(palette))
    ends = (means, palette) if known is None else (palette, means)
    return partial(recoloured, *ends)


def recoloured(before: Tensor, after: Tensor, problems: Problems) -> Tensor:
    """Each pixel whose colour is nearest to one of `before` gets that one of `after`."""
    labels = nearest_classes(torch.as_tensor(problems.given).cpu(), before)
    return after[labels].movedim(-1, 1)
