"""Running Markov chains of any model, and how fast they forget where they were."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genlit.protocols import EnergyBounded, MarkovChain, Samples, Unanswerable, require

WINDOW = 5  # autocorrelation times that the window of their own estimate spans


class Chain(NamedTuple):
    """Markov chains of a model side by side; their state has whatever form the model likes best."""

    samples: Callable[[int], Any]  # the state of n chains that begin at samples of the model
    step: Callable[[Any], Any]
    look: Callable[[Any], Tensor]  # the events (n, *shape) of a state


def chain_of(model: Any) -> Chain:
    """The chain of a model as it is now: of events, or else of its hidden layers, too.

    A state of a `MarkovChain` is nothing but events, so that it can begin at any.

    Raises:
        Unanswerable: If the model has none.
    """
    require(model, "chains", MarkovChain, EnergyBounded)
    if isinstance(model, MarkovChain):
        return Chain(partial(draw_states, model), model.step, lambda x: x)
    path, shape = model.path(), model.shape
    return Chain(
        samples=path.samples,
        step=lambda state: path.move(state, 1.0),
        look=lambda state: path.events(state).view(-1, *shape),
    )


def require_chain(model: Any, question: str, at_events: bool, remedy: str) -> None:
    """Makes sure that a model has a chain, and that it can begin where it is to.

    Args:
        model: The model.
        question: What it is to be asked for.
        at_events: Whether chains are to begin at given events, and not at samples of the model.
        remedy: How to have them begin at samples.

    Raises:
        Unanswerable: If there is no chain, or it cannot begin there.
    """
    require(model, question, MarkovChain, EnergyBounded)
    if not isinstance(model, MarkovChain):
        if at_events:
            raise Unanswerable(
                f"the chains of {type(model).__name__} move hidden layers that no event tells, and "
                f"so begin at samples: {remedy}"
            )
    elif not at_events:
        require(model, "samples to start chains at", Samples)


@torch.no_grad()
def draw_states(model: Any, n: int) -> Tensor:
    """Draws n samples as states of the model's own Markov chain of events, (n, *shape).

    Where a model knows zeros and ones only, grey levels of a sample are the probabilities of
    ones that its chain ended with: drawing from them is the last half of its last step.
    """
    samples: Tensor = model.sample(n)
    if getattr(model, "binary", False):
        return (torch.rand_like(samples) < samples).to(samples.dtype)
    return samples


@torch.no_grad()
def clamped(step: Callable[[Tensor], Tensor], x: Tensor, observed: Tensor, steps: int) -> Tensor:
    """Runs chains with observed entries held at their values; the others start at coin flips.

    Args:
        step: Moves B chains by one step.
        x: Events, (B, *shape); entries that are not observed do not matter.
        observed: True where x is known, of the shape of x.
        steps: How many steps to run.

    Returns:
        The last states, (B, *shape), equal to x where observed.
    """
    state = torch.where(observed, x, torch.rand_like(x).round())
    for _ in range(steps):
        state = torch.where(observed, x, step(state))
    return state


@torch.no_grad()
def snapshots(
    step: Callable[[Any], Any],
    state: Any,
    times: Sequence[int],
    look: Callable[[Any], Tensor] = lambda x: x,
) -> Tensor:
    """What is seen of chains at some times.

    Args:
        step: Moves B chains by one step.
        state: Where they stand at time 0.
        times: When to look, in steps, in ascending order.
        look: The events (B, *shape) of a state, where it is not these themselves.

    Returns:
        (B, len(times), *shape).
    """
    seen, now = [], 0
    for time in times:
        for _ in range(time - now):
            state = step(state)
        seen.append(look(state))
        now = time
    return torch.stack(seen, 1)


def doubling(steps: int) -> list[int]:
    """Times 0, 1, 2, 4, 8, ... and at last `steps`, at each of which a chain is worth a look."""
    return [0, *(2**k for k in range(steps.bit_length()) if 2**k < steps), steps]


class Mixing(NamedTuple):
    """How fast chains forget, as seen by one number that they were asked for at every step."""

    time: float  # integrated autocorrelation time in steps; 1 where each step is a fresh draw
    stderr: float  # its standard error over the chains
    window: int  # the lag to which autocorrelations were added up
    closed: bool  # whether the run was long enough; where not, the true time may be far longer
    states: int  # of all chains together

    @property
    def independent(self) -> float:
        """How many independent samples the states are worth; never more than there are."""
        return self.states / max(self.time, 1.0)


def autocorrelation_time(series: Tensor) -> Mixing:
    """The integrated autocorrelation time τ = 1 + 2 Σ_t ρ(t) of a number that chains carry along.

    The mean of the number over a run of T steps has the variance of one over T / τ independent
    draws. Autocorrelations ρ are about the mean of all chains, so that chains which stay each in a
    corner of its own are seen to be slow; their sum ends at the first lag that is `WINDOW` τ (and
    `WINDOW` at least), beyond which there is little but noise. Where no lag up to half the run is,
    the sum up to there is given: of chains that never move it is the length of the run.

    Args:
        series: The number at successive steps in independent chains, (steps, chains).

    Raises:
        ValueError: If there are fewer than 2 chains or 2 steps.

    References:
        | Monte Carlo Methods in Statistical Mechanics (Sokal, 1997), section 3
    """
    steps, chains = series.shape
    if min(steps, chains) < 2:
        raise ValueError(
            f"an autocorrelation time takes 2 chains and 2 steps or more, not {chains} and {steps}"
        )
    covariance = autocovariance(series, (steps + 1) // 2)
    variance = float(covariance[0].mean())
    if variance == 0:  # all chains carry the same number and never change it
        return Mixing(float(steps), 0.0, len(covariance) - 1, False, series.numel())
    sums = 2 * covariance.cumsum(0) - covariance[0]  # up to each lag, (lags, chains)
    times = sums.mean(1) / variance
    closed = torch.arange(len(times)) >= WINDOW * times.clamp(min=1)
    window = int(closed.int().argmax()) if closed.any() else len(times) - 1
    time = float(times[window])
    # The standard error of a ratio of means over independent chains.
    residual = (sums[window] - time * covariance[0]) / variance
    stderr = float((residual.square().sum() / (chains * (chains - 1))).sqrt())
    return Mixing(time, stderr, window, bool(closed.any()), series.numel())


def autocovariance(series: Tensor, lags: int) -> Tensor:
    """Mean products of deviations from the common mean, in float64.

    Args:
        series: A number at successive steps in several chains, (steps, chains).
        lags: How many lags, beginning with 0.

    Returns:
        (lags, chains), of which the first is the variance of each chain about the common mean.
    """
    steps = len(series)
    deviation = series.double() - series.double().mean()
    spectrum = torch.fft.rfft(deviation, n=2 * steps, dim=0)  # padded, since runs are no circles
    products = torch.fft.irfft(spectrum.abs().square(), n=2 * steps, dim=0)[:lags]
    return products / torch.arange(steps, steps - lags, -1, device=series.device)[:, None]
