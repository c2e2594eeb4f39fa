"""Moving among the codes of a generator: ways between them, and the codes of given events.

A generator is here no more than `decode`, a function from codes (B, D) to events (B, *shape) that
is differentiable, and the `Spread` of its codes.

Searches are by Adam (Kingma & Ba, 2015), in standard deviations of codes, with a rate that falls to
0 and with one second moment for all variables of a code. So they do not depend on the axes of
codes, and leave alone what an event does not depend on.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from genlit.edges import edge_error
from genlit.progress import track

Decode = Callable[[Tensor], Tensor]


class Spread(NamedTuple):
    """Where codes lie."""

    mean: Tensor  # (D,)
    std: Tensor  # (D,)
    of: str = "the prior"  # in words: what they are the mean and the deviation of


class Wish(NamedTuple):
    """What events are to be like."""

    target: Tensor  # (B, *shape)
    observed: Tensor  # (B, *shape), bool: False where any value will do
    edges: Tensor | None = None  # (B, 2, H, W): what `edge_error` takes; None asks for none


class Projection(NamedTuple):
    """Codes whose events are near given ones."""

    codes: Tensor  # (B, D)
    errors: Tensor  # (B,): sums of squared errors of observed entries, and of edges


class Search(NamedTuple):
    """How codes are searched for.

    The cost of a code is the sum of squared errors of observed entries and of edges, and `weight`
    times its squared distance to where it should be, in standard deviations of codes. So, without
    edges, `weight` is the variance of pixels at which the code of the least cost is the most
    probable one.
    """

    weight: float = 0.01
    steps: int = 300
    lr: float = 0.1  # in standard deviations of codes a step, at first


USUAL = Search()


# Ways


def lerp(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Codes on a straight line from a to b, (B, D) each; (B, steps, D), both ends included."""
    t = shares(a, steps)
    return (1 - t) * a[:, None] + t * b[:, None]


def slerp(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Codes on an arc from a to b, (B, D) each; (B, steps, D), both ends included.

    On an arc codes keep their distance from the origin as those of a Gaussian do, and turn by equal
    angles. Where a and b point in one direction or in opposite ones there is no arc, and it is the
    line.

    References:
        | Animating Rotation with Quaternion Curves (Shoemake, 1985)
    """
    line, t = lerp(a, b, steps), shares(a, steps)
    a, b = a[:, None], b[:, None]
    lengths = a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True)
    angle = ((a * b).sum(-1, keepdim=True) / lengths.clamp_min(1e-12)).clamp(-1, 1).acos()
    sine = angle.sin()
    curve = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / sine.clamp_min(1e-4)
    return curve.where(sine > 1e-3, line)


def shares(like: Tensor, steps: int) -> Tensor:
    """Numbers from 0 to 1, (steps, 1); a single one is 0."""
    return like.new_tensor([k / max(steps - 1, 1) for k in range(steps)])[:, None]


def direction(with_it: Tensor, without: Tensor) -> Tensor:
    """The direction of an attribute in the space of codes: the difference of mean codes, (D,).

    A code that moves by it goes from the middle of events without the attribute to the middle of
    those with it.

    References:
        | Autoencoding beyond Pixels Using a Learned Similarity Metric (Larsen, Sønderby, Larochelle
        | & Winther, 2016), section 4.2.1
        | https://arxiv.org/abs/1512.09300

    Args:
        with_it: Codes of events that have the attribute, (n, D).
        without: Codes of events that do not, (m, D).
    """
    return with_it.mean(0) - without.mean(0)


def moved(z: Tensor, along: Tensor, amounts: Tensor) -> Tensor:
    """Codes (B, D) moved along a direction (D,) by multiples of it (steps,); (B, steps, D)."""
    return z[:, None] + amounts[:, None] * along


# Searches


def project(
    decode: Decode, wish: Wish, starts: Tensor, spread: Spread, search: Search = USUAL
) -> Projection:
    """The codes whose events are nearest to given ones, of those that are likely.

    References:
        | Generative Visual Manipulation on the Natural Image Manifold (Zhu, Krähenbühl, Shechtman &
        | Efros, 2016), section 4.1
        | https://arxiv.org/abs/1609.03552

    Args:
        decode: The generator.
        wish: What events are to be like.
        starts: Codes to begin at, (R, B, D): each event's cost is that of the best of R searches.
        spread: Where the generator's codes lie.
        search: How to search.
    """
    return best_of(decode, wish, starts, spread.mean, spread.std, search)


def agree(
    decode: Decode, wish: Wish, starts: Tensor, spread: Spread, search: Search = USUAL
) -> Projection:
    """Codes near drawn ones whose events are as is wished, and differ where that leaves room.

    The cost has the distance to where a search begins in place of that to the middle of all codes.
    So the codes are, as `weight` tends to 0, samples of those that agree, where the generator is
    linear and its codes are normal.

    References:
        | Generative Visual Manipulation on the Natural Image Manifold (Zhu et al., 2016)
        | Randomize-Then-Optimize: A Method for Sampling from Posterior Distributions in Nonlinear
        | Inverse Problems (Bardsley, Solonen, Haario & Laine, 2014)

    Args:
        decode: The generator.
        wish: What events are to be like.
        starts: Codes that were drawn, (R, B, D): the best of R searches counts.
        spread: Where the generator's codes lie.
        search: How to search.
    """
    return best_of(decode, wish, starts, starts.flatten(0, 1), spread.std, search)


def edit(
    decode: Decode, wish: Wish, start: Tensor, spread: Spread, search: Search = USUAL
) -> Tensor:
    """The path of codes from an event to one that is as is wished, (steps + 1, B, D).

    The cost has the distance to where the path begins, so that the event changes as little as it
    has to.

    References:
        | Generative Visual Manipulation on the Natural Image Manifold (Zhu, Krähenbühl, Shechtman &
        | Efros, 2016), section 4.2
        | https://arxiv.org/abs/1609.03552

    Args:
        decode: The generator.
        wish: What events are to be like.
        start: Codes to begin at, (B, D).
        spread: Where the generator's codes lie.
        search: How to search.
    """
    return torch.stack([z for z, _ in descent(decode, wish, start, start, spread.std, search)])


def best_of(
    decode: Decode, wish: Wish, starts: Tensor, middle: Tensor, std: Tensor, search: Search
) -> Projection:
    """The codes of the least cost that searches from (R, B, D) come across."""
    restarts, events = starts.shape[:2]
    every = repeated(wish, restarts)
    best, lowest = starts.flatten(0, 1), starts.new_full((restarts * events,), torch.inf)
    for z, cost in descent(decode, every, best, middle, std, search):
        better = cost < lowest
        best, lowest = torch.where(better[:, None], z, best), torch.where(better, cost, lowest)
    first = lowest.view(restarts, events).argmin(0)
    codes = best.view(restarts, events, -1)[first, torch.arange(events, device=first.device)]
    with torch.no_grad():
        return Projection(codes, error(decode(codes), wish))


def descent(
    decode: Decode,
    wish: Wish,
    start: Tensor,
    middle: Tensor,
    std: Tensor,
    search: Search,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields codes (B, D) on their way down and their costs (B,): the start, then each step's.

    Args:
        decode: The generator.
        wish: What events are to be like.
        start: Codes to begin at, (B, D).
        middle: The codes to which distance costs, (B, D) or (D,).
        std: The deviations of codes, (D,).
        search: How to search.
    """
    u = torch.zeros_like(start)  # how far codes are from the start, in deviations
    offset = torch.where(std > 0, (start - middle) / std, 0.0)
    mean, square = torch.zeros_like(u), torch.zeros_like(u[:, :1])  # of the gradient
    for step in track(range(search.steps + 1), "search"):
        with torch.enable_grad():
            z = start + std * u.requires_grad_()
            cost = error(decode(z), wish) + search.weight * (offset + u).square().sum(-1)
            (gradient,) = torch.autograd.grad(cost.sum(), u)
        yield z.detach(), cost.detach()
        mean = torch.lerp(gradient, mean, 0.9)
        square = torch.lerp(gradient.square().mean(-1, keepdim=True), square, 0.999)
        scale = (square / (1 - 0.999 ** (step + 1))).sqrt().clamp_min(1e-12)
        rate = search.lr * (1 - step / search.steps) / (1 - 0.9 ** (step + 1))
        u = u.detach() - rate * mean / scale


# Errors


def repeated(wish: Wish, times: int) -> Wish:
    """A wish (B, ...) for so many times as many events, (times B, ...)."""
    target, observed = (x.repeat(times, *[1] * (x.dim() - 1)) for x in wish[:2])
    edges = None if wish.edges is None else wish.edges.repeat(times, 1, 1, 1)
    return Wish(target, observed, edges)


def error(events: Tensor, wish: Wish) -> Tensor:
    """How far events (B, *shape) are from a wish: the sum of squared errors; (B,)."""
    total = squared_error(events, wish)
    return total if wish.edges is None else total + edge_error(events, wish.edges)


def squared_error(events: Tensor, wish: Wish) -> Tensor:
    """The sum of squared errors of observed entries of events (B, *shape); (B,)."""
    return torch.where(wish.observed, events - wish.target, 0.0).square().flatten(1).sum(1)
