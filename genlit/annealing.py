"""Annealed importance sampling of a normalizer Z along a path of distributions.

The path is the model's affair, see `genlit.ways.Path`; here is what holds for all of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from genlit.logmath import log_mean_exp
from genlit.progress import track
from genlit.randomness import isolated
from genlit.ways import EventPath, Path, Way

BLOCK = 250  # chains side by side: what is drawn for them depends on neither more nor other ones

Rung = tuple[float, float]  # two neighbouring temperatures, the lower β first


def ladder(steps: int) -> list[Rung]:
    """The neighbouring temperatures of a path from β = 0 to 1, close together near 1.

    There, chains of a trained machine mix the slowest, and their energies differ the most.

    Args:
        steps: The number of pairs.
    """
    fractions = [k / steps for k in range(steps + 1)]
    betas = [0.4 * t + 0.6 * (1 - (1 - t) ** 4) for t in fractions]
    return list(pairwise([*betas[:-1], 1.0]))


@torch.no_grad()
def forward_weights(path: Way, rungs: Iterable[Rung], chains: int) -> Tensor:
    """Annealed importance sampling of Z, from the base to the machine.

    A state is weighted by a change of temperature before it moves at the new one; the other way
    round the weights are biased.

    Args:
        path: The distributions on the way.
        rungs: The temperatures in ascending order, as `ladder` gives them.
        chains: The number of independent weights.

    Returns:
        Log-weights in nats and float64, (chains,). The mean of their exponentials is Z in
        expectation, so their log-mean-exp falls below log Z on average.

    References:
        | Annealed Importance Sampling (Neal, 2001)
        | On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov & Murray, 2008)
        | https://www.cs.toronto.edu/~rsalakhu/papers/dbn_ais.pdf
    """
    state = path.start(chains)
    log_weight: Any = path.log_base  # a tensor after the first rung, and then added to in place
    for low, high in rungs:
        log_weight += path.rise(state, low, high)
        state = path.move(state, high)
    return log_weight


@torch.no_grad()
def reverse_weights(path: Way, rungs: Iterable[Rung], state: Any) -> Tensor:
    """Annealed importance sampling of 1/Z, from samples of the machine to the base.

    Every forward path is run backwards, each transition by its time reversal.

    Args:
        path: The distributions on the way.
        rungs: The temperatures in descending order.
        state: Samples of the machine; where they are not, the result is no bound.

    Returns:
        Log-weights in nats and float64, (chains,). The mean of their exponentials is 1/Z in
        expectation, so minus their log-mean-exp lies above log Z on average.

    References:
        | Accurate and Conservative Estimates of MRF Log-likelihood (Burda et al., 2015)
    """
    log_weight: Any = -path.log_base
    for low, high in rungs:
        state = path.move_back(state, high)
        log_weight -= path.rise(state, low, high)
    return log_weight


def anneal(path: Path, rungs: Sequence[Rung], chains: int) -> Tensor:
    """The log-weights of `forward_weights`, in blocks that processes share; (chains,) on the CPU.

    Call it on every process: all return the same, and the same as a single one would.
    """
    return in_blocks(lambda n, way: forward_weights(path, way, n), rungs, chains, "annealing")


def anneal_back(path: Path, rungs: Sequence[Rung], chains: int) -> Tensor:
    """The log-weights of `reverse_weights` from samples of the path; otherwise as `anneal`.

    Where processes hold different chains of the model, each block begins at those of its process.

    Args:
        path: The distributions on the way.
        rungs: The temperatures in ascending order.
        chains: The number of independent weights.
    """
    return in_blocks(
        lambda n, way: reverse_weights(path, way, path.samples(n)),
        rungs[::-1], chains, "annealing in reverse",
    )  # fmt: skip


@torch.no_grad()
def conservative_weights(path: EventPath, rungs: Sequence[Rung], x: Tensor, chains: int) -> Tensor:
    r"""What log p*(x) lacks to a conservative estimate of log p(x); (B,) nats in float64.

    Forward annealing is a model of its own: it draws x_0 from the base, moves it by T_1 to T_K, and
    p_ann(x) is the law of x_K. Chains that go back from x_K = x by reversed moves propose the
    states that may have led there, and weighting them leaves a product that telescopes:

    .. math:: \frac{p_0(x_0) \prod_k T_k(x_k | x_{k-1})}{\prod_k \tilde T_k(x_{k-1} | x_k)}
        = \frac{p^*_K(x)}{Z_0} \prod_k \frac{p^*_{k-1}(x_{k-1})}{p^*_k(x_{k-1})}

    Its mean is p_ann(x), which sums to 1 over all x, and all factors but p*_K(x) = p*(x) are those
    of `reverse_weights`. So log p*(x) plus what is returned is below log p_ann(x) on average.

    Args:
        path: The distributions on the way.
        rungs: The temperatures in ascending order.
        x: Events (B, *shape).
        chains: Chains for each of them.

    References:
        | Accurate and Conservative Estimates of MRF Log-likelihood (Burda et al., 2015)
        | https://arxiv.org/abs/1412.8566
    """
    groups = x.split(max(1, BLOCK // chains))
    pace = iter(track(range(len(groups) * len(rungs)), "annealing back from events"))
    found = []
    for group in groups:
        state = path.at(group.repeat_interleave(chains, 0))
        log_weights = reverse_weights(path, paced(rungs[::-1], pace), state)
        found.append(log_mean_exp(log_weights.view(len(group), chains), 1))
    next(pace, None)  # lets it clear its line
    return torch.cat(found)


def in_blocks(
    weights: Callable[[int, Iterable[Rung]], Tensor],
    rungs: Sequence[Rung],
    chains: int,
    label: str,
) -> Tensor:
    """Log-weights of many chains, a block of them at a time and each under a seed of its own.

    Block k is done by process k mod W of W, so that the answer does not depend on W.

    Args:
        weights: Runs so many chains over rungs, and returns their log-weights.
        rungs: The temperatures, in the order in which they are passed.
        chains: How many chains to run.
        label: Says what is going on, where it takes long.
    """
    rank, world = (dist.get_rank(), dist.get_world_size()) if several() else (0, 1)
    seed, sizes = common_seed(), [len(b) for b in torch.arange(chains).split(BLOCK)]
    mine = range(rank, len(sizes), world)
    pace = iter(track(range(len(mine) * len(rungs)), label))
    found: dict[int, Tensor] = {}
    for k in mine:
        with torch.no_grad(), isolated(label, seed, k):
            found[k] = weights(sizes[k], paced(rungs, pace)).cpu()
    next(pace, None)  # lets it clear its line
    every = gathered(found)
    return torch.cat([every[k] for k in range(len(sizes))])


def paced(rungs: Sequence[Rung], pace: Iterator[int]) -> Iterator[Rung]:
    """The rungs, each of which moves the display on by one."""
    return (rung for rung, _ in zip(rungs, pace, strict=False))


def several() -> bool:
    """Whether there are other processes."""
    return dist.is_available() and dist.is_initialized()


def common_seed() -> int:
    """A seed from the global generator of the first process, the same on all."""
    seed = [int(torch.randint(2**62, ()))]
    if several():
        dist.broadcast_object_list(seed)
    return seed[0]


def gathered(found: dict[int, Tensor]) -> dict[int, Tensor]:
    """What all processes have found, on every one of them."""
    if not several():
        return found
    every: list[dict[int, Tensor]] = [{} for _ in range(dist.get_world_size())]
    dist.all_gather_object(every, found)
    return {k: block for of_one in every for k, block in of_one.items()}
