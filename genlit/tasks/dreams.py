"""Dreams: what a world model imagines when it is told what was really done, beside what came of it.

Notation: B dreams of H steps each, S numbers in a state, A in an action.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from genlit.data.environments import Episode
from genlit.protocols import Simulates


class Windows(NamedTuple):
    """Stretches of episodes; what lies beyond an episode's end is NaN."""

    states: Tensor  # (B, H + 1, S)
    actions: Tensor  # (B, H, A); 0 beyond the end
    episode: Tensor  # which of them each is of, (B,)


def windows(episodes: Sequence[Episode], horizon: int, every: int = 1) -> Windows:
    """All stretches of so many steps that begin every so many steps of the episodes."""
    states, actions, which = [], [], []
    for k, episode in enumerate(episodes):
        beyond = episode.states.new_full((horizon, episode.states.shape[1]), torch.nan)
        lived = torch.cat([episode.states, beyond])
        idle = episode.actions.new_zeros(horizon, episode.actions.shape[1])
        done = torch.cat([episode.actions, idle])
        for first in range(0, len(episode), every):
            states.append(lived[first : first + horizon + 1])
            actions.append(done[first : first + horizon])
            which.append(k)
    return Windows(torch.stack(states), torch.stack(actions), torch.tensor(which))


def dream(world: Simulates, start: Tensor, actions: Tensor) -> Tensor:
    """The states that are imagined from a start (B, S) under actions (B, H, A); (B, H + 1, S)."""
    states = [start]
    for action in actions.unbind(1):
        states.append(world.imagine(states[-1], action.to(start)).state)
    return torch.stack(states, 1)


class OpenLoopError(NamedTuple):
    """How far dreams are from what came, step by step."""

    error: Tensor  # after 1, ..., H steps, (H,): the root of the mean square, in deviations
    stderr: Tensor  # of that, over episodes, (H,); NaN of fewer than two
    staying: Tensor  # that of imagining that nothing changes, (H,)
    n: Tensor  # how many windows were that long, (H,)


def open_loop_error(
    world: Simulates, lived: Windows, std: Tensor, particles: int = 1
) -> OpenLoopError:
    """The error of a world model that sees the first state and then the actions only.

    Args:
        world: The model.
        lived: What really came.
        std: The deviations in which entries of states are measured, (S,); with 0, as they are.
        particles: How often each window is dreamed; the squared errors are averaged.
    """
    std = torch.where(std > 0, std, 1.0)
    device = getattr(world, "device", torch.device("cpu"))
    start = lived.states[:, 0].repeat_interleave(particles, 0).to(device)
    dreamed = dream(world, start, lived.actions.repeat_interleave(particles, 0)).cpu()
    real = lived.states.repeat_interleave(particles, 0)
    errors = (dreamed - real)[:, 1:] / std
    return OpenLoopError(
        root_mean_square(errors),
        standard_error(errors, lived.episode.repeat_interleave(particles)),
        root_mean_square((lived.states[:, :1] - lived.states)[:, 1:] / std),
        lived.states[:, 1:, 0].isfinite().sum(0),
    )


def root_mean_square(errors: Tensor) -> Tensor:
    """The root of the mean square over dreams and entries of (B, H, S), NaN left out; (H,)."""
    return errors.square().mean(2).nanmean(0).sqrt()


def standard_error(errors: Tensor, episode: Tensor) -> Tensor:
    """That of the root of the mean square, (H,), as if episodes alone were drawn independently.

    Windows of one episode lie over each other, so that each tells little anew. The mean is a ratio
    of sums over episodes, and its root is taken to be straight near it.

    Args:
        errors: Of dreams, (B, H, S), NaN beyond the end.
        episode: Which episode each is of, (B,).
    """
    squares = errors.double().square().mean(2)
    known = squares.isfinite()
    n = int(episode.max()) + 1
    sums, counts = (
        squares.new_zeros(n, squares.shape[1]).index_add_(0, episode, part)
        for part in (squares.nan_to_num(0.0), known.double())
    )
    mean = sums.sum(0) / counts.sum(0)
    there = (counts > 0).sum(0)
    off = (sums - mean * counts).square().sum(0) * there / (there - 1).clamp(min=0)
    return (off.sqrt() / counts.sum(0) / (2 * mean.sqrt())).where(there > 1, torch.nan).float()
