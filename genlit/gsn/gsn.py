"""The generative stochastic network as a model that Lightning can train."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from genlit.corruptions import Corruption, SaltAndPepper
from genlit.gsn import walk
from genlit.likelihoods import bernoulli_log_prob
from genlit.model import GenerativeModel
from genlit.protocols import (
    Batch,
    Denoises,
    Encodes,
    HasFilters,
    Imputes,
    LatentMixture,
    MarkovChain,
    Reconstructs,
    Samples,
)

SMOOTHING = 1e-3  # of the means of pixels that are always black


class GSN(
    GenerativeModel,
    Samples,
    LatentMixture,
    MarkovChain,
    Encodes,
    Reconstructs,
    Imputes,
    Denoises,
    HasFilters,
):
    """Generative stochastic network of binary pixels, learned by walkback.

    The chain of `genlit.gsn.walk` starts at an event, and every one of its steps learns to give
    back that event, clean. The loss is the mean over steps of -log p(x | H_t), in nats per event;
    it is no likelihood of x, as H_t has seen x. For that, ask for `ConservativeSampling`.

    With one hidden layer it is the generalized denoising autoencoder.

    References:
        | Deep Generative Stochastic Networks Trainable by Backprop (Bengio et al., 2014)
        | https://arxiv.org/abs/1306.1091
        | Generalized Denoising Auto-Encoders as Generative Models (Bengio et al., 2013)

    Args:
        shape: The shape of one event.
        hidden: The sizes of the hidden layers.
        walkback: Steps of the chain that learn from each event; in one alone, only the first hidden
            layer would.
        corruption: What spoils events before each step: SaltAndPepper, Masking or GaussianNoise.
        noise: The standard deviation of Gaussian noise before and after the activation of hidden
            units.
        noisy_first: Whether the first hidden layer has that noise, too.
        sample_steps: Steps of the chain, from noise, before a sample is taken.
        impute_steps: Steps of the chain that fill in missing entries.
        lr_decay: Whether the learning rate falls linearly to 0 over the run.
        optimizer: Builds the optimizer from the parameters.
    """

    binary = True

    def __init__(
        self,
        shape: Sequence[int],
        hidden: Sequence[int] = (500, 500),
        walkback: int = 4,
        corruption: Callable[[], Corruption] = SaltAndPepper,
        noise: float = 2.0,
        noisy_first: bool = False,
        sample_steps: int = 200,
        impute_steps: int = 100,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        refuse_senseless(hidden, walkback, noise)
        sizes = [math.prod(self.shape), *hidden]
        self.W = nn.ParameterList(
            nn.init.xavier_uniform_(torch.empty(below, above)) for below, above in pairwise(sizes)
        )
        self.b = nn.ParameterList(torch.zeros(size) for size in sizes)
        self.walkback, self.lr_decay = walkback, lr_decay
        self.corruption = corruption()
        self.stds = [noise if noisy_first else 0.0, *[noise] * (len(hidden) - 1)]
        self.sample_steps, self.impute_steps = sample_steps, impute_steps

    @property
    def theta(self) -> walk.Parameters:
        """The parameters, as the functions of `genlit.gsn.walk` take them."""
        return walk.Parameters(list(self.W), list(self.b))

    # Learning

    def setup(self, stage: str) -> None:
        """Sets out from independent pixels with the means of the training data."""
        data: Any = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and hasattr(data, "mean") and not self.b[0].any():
            with torch.no_grad():
                mean = data.mean.flatten().to(self.b[0])
                self.b[0].copy_(torch.logit((mean + SMOOTHING) / (1 + 2 * SMOOTHING)))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The mean over steps, and the last step alone; in nats per event."""
        x = batch["x"].flatten(1)
        steps = islice(self.walk(x), self.walkback)
        losses = torch.stack([-bernoulli_log_prob(logits, x).mean() for logits in steps])
        return {"loss": losses.mean(), "last_step": losses[-1]}

    def walk(self, x: Tensor, then: walk.Move = walk.drawn) -> Iterator[Tensor]:
        """The chain from events (B, V), see `genlit.gsn.walk.walk`."""
        return walk.walk(self.theta, x, self.stds, self.corruption, then)

    # What the model can be asked

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Expected pixels given the hidden units: the grey levels customarily shown and judged.

        Each comes from a chain of its own, which starts at coin flips and runs `sample_steps`.
        """
        return next(self.states(n)).sigmoid().view(n, *self.shape)

    @torch.no_grad()
    def states(self, chains: int) -> Iterator[Tensor]:
        """Log-odds of p(x | H_t), (chains, V), of chains from coin flips after `sample_steps`."""
        start = torch.rand(chains, len(self.b[0]), device=self.device).round()
        yield from islice(self.walk(start), max(self.sample_steps - 1, 0), None)

    @torch.no_grad()
    def log_prob_given(self, states: Tensor, x: Tensor) -> Tensor:
        return walk.log_prob_given(states, x.flatten(1))

    @torch.no_grad()
    def step(self, x: Tensor) -> Tensor:
        """A walk of `walkback` steps from x, as in training: its hidden layers start at 0.

        So this is a chain of events alone. With one hidden layer it has the law that samples have;
        with more, samples come of a chain whose upper layers never start anew.
        """
        logits = last(self.walk(x.flatten(1)), self.walkback)
        return walk.drawn(logits).view_as(x)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The first hidden layer after `walkback` updates without noise, x held; (B, hidden)."""
        layers: walk.Layers = [x.flatten(1), *[None] * len(self.W)]
        still = [0.0] * len(self.W)
        for _ in range(self.walkback - 1):
            layers = walk.updated(self.theta, walk.updated(self.theta, layers, 1, still), 2, still)
        return walk.excited(walk.total_input(self.theta, layers, 1), 0.0)

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Expected pixels given the first hidden layer."""
        return walk.total_input(self.theta, [None, z], 0).sigmoid().view(-1, *self.shape)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    denoise = reconstruct

    @torch.no_grad()
    def impute(self, x: Tensor, observed: Tensor) -> Tensor:
        """Runs the chain, hidden layers and all, with observed entries put back at every step."""
        v, known = x.flatten(1), observed.flatten(1)

        def held(logits: Tensor) -> Tensor:
            return torch.where(known, v, walk.drawn(logits))

        start = torch.where(known, v, torch.rand_like(v).round())
        logits = last(self.walk(start, held), max(self.impute_steps, 1))
        return held(logits).view_as(x)

    @torch.no_grad()
    def filters(self) -> Tensor:
        """The weights of each unit of the first hidden layer, as events: (hidden, *shape)."""
        return self.W[0].mT.reshape(-1, *self.shape)


def last(steps: Iterator[Tensor], n: int) -> Tensor:
    """What the n-th step of a walk came to."""
    return next(islice(steps, n - 1, None))


def refuse_senseless(hidden: Sequence[int], walkback: int, noise: float) -> None:
    """Makes sure that there is a network, and a walk.

    Raises:
        ValueError: If not.
    """
    if not hidden or min(hidden) < 1:
        raise ValueError(f"hidden is {list(hidden)}: name the size of 1 layer or more, as [500]")
    if walkback < 1:
        raise ValueError(f"walkback is {walkback}: a walk takes 1 step or more")
    if noise < 0:
        raise ValueError(f"noise is {noise}: a standard deviation is 0 or more")
