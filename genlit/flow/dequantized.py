"""Probabilities of grey levels under a flow, by noise that is learned with it."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from genlit.flow.coupling_flows import RealNVP
from genlit.flow.flow import SETTLING, Flow
from genlit.flow.noise import Noise
from genlit.flow.residual import ResidualConv
from genlit.model import GenerativeModel
from genlit.networks import Network
from genlit.protocols import Batch, Bounded, Encodes, Samples
from genlit.randomness import isolated


class DequantizedFlow(GenerativeModel, Samples, Bounded, Encodes):
    """Variational dequantization: P(x) of levels x is the integral of a flow's density over a cell.

    With k the level of each of D entries, log P(x) >= E[log p((k + u) / levels) - log q(u | x)] -
    D log levels, where u is drawn from q. Where q is uniform that is the bound of a flow that is
    trained on dequantized data; the learned q is closer. More samples raise it further.

    References:
        | Flow++: Improving Flow-Based Generative Models with Variational Dequantization and
        | Architecture Design (Ho, Chen, Srinivas, Duan & Abbeel, 2019)
        | https://arxiv.org/abs/1902.00275

    Args:
        shape: The shape of one event.
        flow: Builds the flow.
        couplings: The number of couplings of the noise; with 0 it is uniform.
        network: Builds the networks of these.
        levels: How many grey levels the data has.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        flow: Callable[[Sequence[int]], Flow] = RealNVP,
        couplings: int = 4,
        network: Network = ResidualConv,
        levels: int = 256,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        self.flow = flow(self.shape)
        self.noise = Noise(self.shape, couplings, network)
        self.levels = levels
        self.lr_decay = lr_decay

    # Learning

    def setup(self, stage: str) -> None:
        """Sets out from the scale of the training data, if these have the levels.

        Raises:
            ValueError: If they have others.
        """
        data: Any = getattr(self.trainer, "datamodule", None)
        if stage == "fit":
            self._refuse_others(getattr(data, "protocol", ""))
        if stage == "fit" and hasattr(data, "events"):
            x = data.events("train", torch.arange(min(SETTLING, len(data.splits["train"]))))
            x = (x / 255 if x.dtype == torch.uint8 else x).to(self.device)
            with isolated("settle"):
                self.flow.settle(self.dequantized(x, torch.rand_like(x)))

    def _refuse_others(self, protocol: str) -> None:
        known = ("", f"{self.levels}_levels", *(("grey",) if self.levels == 256 else ()))
        if protocol.removesuffix("_inverted") not in known:
            raise ValueError(
                f"{type(self).__name__} gives probabilities to {self.levels} grey levels, and this "
                f"data is {protocol}: set data.binarize to levels and data.levels to {self.levels}"
            )

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        nats = -self.log_weight(batch["x"]).mean()
        bits = nats.detach() / (math.log(2) * torch.Size(self.shape).numel())
        return {"loss": nats, "bits_per_dim": bits}

    # What it can be asked

    def dequantized(self, x: Tensor, u: Tensor) -> Tensor:
        """The numbers (k + u) / levels in [0, 1] of levels x = k / (levels - 1)."""
        return ((x * (self.levels - 1)).round() + u) / self.levels

    def log_weight(self, x: Tensor) -> Tensor:
        """Log p((k + u) / levels) - D log levels - log q(u | x) of one u ~ q; (B,) nats."""
        u, log_q = self.noise(x)
        log_p = self.flow.log_prob(self.dequantized(x, u))
        return log_p - math.log(self.levels) * torch.Size(self.shape).numel() - log_q

    def log_prob_bound(self, x: Tensor, samples: int) -> Tensor:
        """The importance-weighted bound, in memory that does not grow with `samples`."""
        total = torch.full((len(x),), -math.inf, device=x.device, dtype=torch.float64)
        for _ in range(samples):
            total = torch.logaddexp(total, self.log_weight(x).double())
        return total - math.log(samples)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        return self.quantized(self.flow.sample(n))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Returns the flow's noise of the middle of each event's cell, (B, entries)."""
        return self.flow.encode(self.dequantized(x, torch.full_like(x, 0.5)))

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        return self.quantized(self.flow.decode(z))

    def quantized(self, y: Tensor) -> Tensor:
        """The level in whose cell each number lies, as k / (levels - 1)."""
        return (y * self.levels).floor().clamp(0, self.levels - 1) / (self.levels - 1)
