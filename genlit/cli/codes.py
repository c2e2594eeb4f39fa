"""Where a trained model's codes lie: the middle and the width of each latent variable."""

import argparse
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genlit.cli.asking import ask_for_events, find_events
from genlit.cli.place import Place
from genlit.latent import Spread
from genlit.protocols import Decoder, Generates
from genlit.randomness import isolated
from genlit.tasks.blocks import block_of, in_blocks

SURVEYED = 500  # events whose codes tell what the data's codes are like
FEW = 16  # drawn codes over which a variable's influence is a mean
DRAWN = 2000  # codes that tell the width of a prior that is not N(0, 1)
ACTIVE = 0.01  # the variance of a code's mean over events above which a variable is active


def prior_spread(model: Any, seed: int) -> Spread | None:
    """Where the codes of a model's prior lie; None where it has no prior.

    A prior that is N(0, 1) is known by its density, and has mean 0 and deviation 1 to the last
    digit; those of another are found from what it draws.

    Args:
        model: The model.
        seed: Of what is drawn.
    """
    if not isinstance(model, Decoder):
        return None
    with torch.no_grad(), isolated("prior", seed):
        z = model.draw_codes(DRAWN).float()
        few = z[:16]
        normal = -0.5 * (few.square() + math.log(2 * math.pi)).sum(-1)
        standard = torch.allclose(model.log_prior(few[None])[0].float(), normal, atol=1e-3)
    if standard:
        return Spread(torch.zeros(z.shape[1]), torch.ones(z.shape[1]), "the prior")
    return Spread(z.mean(0).cpu(), z.std(0).cpu(), "the prior")


def drawn_spread(model: Any, seed: int) -> Spread:
    """Where the codes lie that a model draws; of normal ones to the last digit.

    A latent variable whose mean and deviation are within chance of 0 and 1 is taken to have these.

    Args:
        model: The model, which Generates.
        seed: Of what is drawn.
    """
    if (known := prior_spread(model, seed)) is not None:
        return known
    with torch.no_grad(), isolated("prior", seed):
        z = model.draw_codes(DRAWN).float().cpu()
    mean, std = z.mean(0), z.std(0)
    chance = 5 / DRAWN**0.5  # standard errors; those of a deviation are smaller by √2
    normal = (mean.abs() < chance) & ((std - 1).abs() < chance / 2**0.5)
    return Spread(mean.where(~normal, 0.0), std.where(~normal, 1.0), "the prior")


def spread_of(codes: Tensor) -> Spread:
    """Where codes of events (n, D) lie."""
    return Spread(codes.mean(0), codes.std(0, correction=0), "codes of the data")


def ask_for_codes(model: Any, x: Tensor, seed: int) -> Tensor:
    """The codes of events, (n, D) float32 on the CPU."""
    block = block_of(model.shape)
    codes = in_blocks(
        lambda p: model.encode(x[p].to(model.device)), len(x), block, "encode", seed
    ).float()
    if not torch.isfinite(codes).all():
        raise ValueError(f"{type(model).__name__} has codes that are not finite: it has diverged")
    return codes


def surveyed(place: Place, model: Any, seed: int) -> Tensor:
    """Codes of some hundred test events that the run's data have, (n, D)."""
    options = argparse.Namespace(file=None, split="test", n=None, binarize=None, seed=seed)
    return ask_for_codes(model, find_events(options, place, model, SURVEYED), seed)


def activity(codes: Tensor, prior: Spread | None) -> Tensor:
    """The variance of each latent variable's mean over events, in units of its prior's; (D,).

    Where there is no prior it is in units of the codes themselves.

    References:
        | Importance Weighted Autoencoders (Burda, Grosse & Salakhutdinov, 2016), section 5.2

    Args:
        codes: The mean of q(z | x) of each event, (n, D).
        prior: Where the codes of the prior lie.
    """
    variance = codes.var(0, correction=0)
    return variance if prior is None else variance / prior.std.square().clamp_min(1e-12)


def influence(model: Any, spread: Spread, seed: int) -> Tensor:
    """By how much each latent variable changes what a model makes, where it has no codes of events.

    That is the mean squared change of a pixel as the variable goes from a deviation below its mean
    to one above, all others being drawn; (D,).

    Args:
        model: The model, which Generates.
        spread: Where its codes lie.
        seed: Of what is drawn.
    """
    with torch.no_grad(), isolated("influence", seed):
        z = model.draw_codes(FEW).float().cpu()
    ends = z.repeat(2, z.shape[1], 1, 1)  # below and above, variable, code
    for k, sign in enumerate((-1.0, 1.0)):
        places = spread.mean + sign * spread.std
        ends[k].diagonal(dim1=0, dim2=2).copy_(places.expand(FEW, -1))
    flat = ends.flatten(0, 2)
    events = ask_for_events(
        model, lambda p: model.decode(flat[p].to(model.device)), len(flat), "decode", seed
    ).unflatten(0, ends.shape[:3])
    return (events[1] - events[0]).square().flatten(1).mean(1)


def active_ones(activities: Tensor, events: int) -> str:
    """How many latent variables are active, in words."""
    return (
        f"{int((activities > ACTIVE).sum())} of {len(activities)} latent variables are active "
        f"(variance of the code over {events} events above {ACTIVE})"
    )


def most_active(activities: Tensor, n: int) -> list[int]:
    """The n latent variables of the largest activity (D,), the largest first."""
    return activities.argsort(descending=True, stable=True)[:n].tolist()


def looked_at_first(model: Any, activities: Tensor, n: int) -> list[int]:
    """So many latent variables: those with a meaning of their own, and then the most active.

    Of those that tell a category the first stands for all.
    """
    meant = model.meanings() if isinstance(model, Generates) else []
    categories = model.categories() if isinstance(model, Generates) else []
    others = [d for d in most_active(activities, len(activities)) if d not in meant]
    return one_of_each([*meant, *others], categories)[:n]


def one_of_each(dims: list[int], categories: Sequence[range]) -> list[int]:
    """Latent variables, of those that tell a category only the first that is named."""
    chosen: list[int] = []
    for dim in dims:
        group = next((group for group in categories if dim in group), range(dim, dim + 1))
        if not any(other in group for other in chosen):
            chosen.append(dim)
    return chosen


def require_dims(dims: list[int], model: Any, n: int) -> None:
    """Makes sure that a model of n latent variables has these.

    Raises:
        ValueError: If it does not.
    """
    if max(dims) >= n:
        raise ValueError(
            f"{type(model).__name__} has no latent variable {max(dims)}: set --dims among 0 to "
            f"{n - 1}"
        )
