"""Families of q(z | x), each given by what an encoder puts out for x.

A family says which numbers it needs, and makes of them a law: something one can sample, and ask for
log q. S is a number of samples for each of B events, D the number of latent variables.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from genlit.vae.gaussian import kl_to_standard, log_normal, log_normal_of_each


class Law(Protocol):
    """q(z | x) of a batch of B events."""

    def draw(self, samples: int) -> tuple[Tensor, Tensor]:
        """Reparameterized samples (S, B, D), and log q of them in nats, (S, B)."""
        ...

    def log_prob(self, z: Tensor) -> Tensor:
        """Log q(z | x) in nats of z (*S, B, D); (*S, B)."""
        ...

    def log_prob_of_each(self, z: Tensor) -> Tensor:
        """Log q(z | x) in nats of every z (*S, D) given each of the B events; (*S, B)."""
        ...

    def detached(self) -> "Law":
        """The same law, through which no gradient reaches the encoder."""
        ...

    def divergence(self) -> Tensor | None:
        """KL(q || N(0, 1)) of each latent variable, (B, D), where there is a closed form."""
        ...

    @property
    def mean(self) -> Tensor:
        """A code in the middle of the law, (B, D): its mean, where there is a closed form."""
        ...


class Posterior(nn.Module, ABC):
    """Makes laws of latent variables. A base class, since the config chooses among families."""

    outputs: tuple[int, ...]  # the shape of what the encoder puts out for one event

    @abstractmethod
    def forward(self, output: Tensor) -> Law:
        """The law given what the encoder puts out, (B, *outputs)."""


def require_latent(latent: int) -> None:
    """Makes sure that there are latent variables.

    Raises:
        ValueError: If there are none.
    """
    if latent < 1:
        raise ValueError(f"latent is {latent}: a code takes 1 number or more")


class Diagonal(NamedTuple):
    """Independent Gaussians."""

    mean: Tensor  # (B, D)
    log_std: Tensor  # (B, D)

    def draw(self, samples: int) -> tuple[Tensor, Tensor]:
        like = self.mean
        noise = torch.randn(samples, *like.shape, dtype=like.dtype, device=like.device)
        z = like + self.log_std.exp() * noise
        return z, log_normal(noise, 0.0, 0.0) - self.log_std.sum(-1)

    def log_prob(self, z: Tensor) -> Tensor:
        return log_normal(z, self.mean, self.log_std)

    def log_prob_of_each(self, z: Tensor) -> Tensor:
        return log_normal_of_each(z, self.mean, self.log_std).to(z.dtype)

    def detached(self) -> "Diagonal":
        return Diagonal(self.mean.detach(), self.log_std.detach())

    def divergence(self) -> Tensor:
        return kl_to_standard(self.mean[..., None], self.log_std[..., None])


class DiagonalGaussian(Posterior):
    """Independent Gaussians, whose means and log standard deviations the encoder puts out.

    Args:
        latent: The number of latent variables.
    """

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.outputs = (2 * latent,)

    def forward(self, output: Tensor) -> Diagonal:
        return Diagonal(*output.chunk(2, -1))


class IAF(Posterior):
    """Gaussians that inverse autoregressive steps have bent: what one is depends on those before.

    Each step is z_i <- σ(s_i) z_i + (1 - σ(s_i)) m_i, with m_i and s_i functions of the variables
    before the i-th and of the event; then their order is turned round. Sampling takes one pass, and
    log q of samples comes with it; log q of any other z takes a pass for each latent variable.

    References:
        | Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016)
        | https://arxiv.org/abs/1606.04934

    Args:
        latent: The number of latent variables.
        steps: The number of autoregressive steps.
        hidden: Hidden units of each step's network.
        context: Numbers that the encoder puts out for each step's network.
    """

    def __init__(self, latent: int, steps: int = 2, hidden: int = 200, context: int = 50) -> None:
        super().__init__()
        self.latent = latent
        self.outputs = (2 * latent + context,)
        self.steps = nn.ModuleList(Conditioner(latent, hidden, context) for _ in range(steps))

    def forward(self, output: Tensor) -> "Bent":
        mean, log_std, context = output.tensor_split((self.latent, 2 * self.latent), -1)
        return Bent(Diagonal(mean, log_std), context, tuple(self.steps))


class Bent(NamedTuple):
    """A law of `IAF`."""

    base: Diagonal
    context: Tensor  # (B, C)
    steps: tuple[nn.Module, ...]

    @property
    def mean(self) -> Tensor:
        """Where the steps take the mean of the base."""
        return self._bend(self.base.mean)[0]

    def draw(self, samples: int) -> tuple[Tensor, Tensor]:
        z, log_q = self.base.draw(samples)
        z, log_det = self._bend(z)
        return z, log_q - log_det

    def log_prob(self, z: Tensor) -> Tensor:
        """Log q of any z: undoes the steps, each variable after those before it."""
        log_det = z.new_zeros(z.shape[:-1])
        for step in reversed(self.steps):
            z, bent = z.flip(-1), torch.zeros_like(z)
            for _ in range(z.shape[-1]):
                shift, gate = step(bent, self.context)
                bent = (z - (1 - gate.sigmoid()) * shift) / gate.sigmoid()
            log_det = log_det + nnf.logsigmoid(step(bent, self.context)[1]).sum(-1)
            z = bent
        return self.base.log_prob(z) - log_det

    def log_prob_of_each(self, z: Tensor) -> Tensor:
        return self.log_prob(z[..., None, :])

    def detached(self) -> "Bent":
        raise ValueError(
            "IAF has a density of its own samples only, and this gradient asks for that of others: "
            "set objective.gradient to Plain, or posterior to DiagonalGaussian"
        )

    def divergence(self) -> None:
        return None

    def _bend(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Where the steps take z (*S, B, D), and the log-determinant of that, (*S, B)."""
        log_det = z.new_zeros(z.shape[:-1])
        for step in self.steps:
            shift, gate = step(z, self.context)
            z = (gate.sigmoid() * z + (1 - gate.sigmoid()) * shift).flip(-1)
            log_det = log_det + nnf.logsigmoid(gate).sum(-1)
        return z, log_det


class Conditioner(nn.Module):
    """A network whose i-th outputs depend on the inputs before the i-th, and on a context.

    Args:
        latent: The number of inputs.
        hidden: The number of hidden units.
        context: The number of entries of the context.
    """

    before: Tensor  # (hidden, latent), 1 where a hidden unit sees an input
    after: Tensor  # (2 latent, hidden), 1 where an output sees a hidden unit

    def __init__(self, latent: int, hidden: int, context: int) -> None:
        super().__init__()
        self.inner = nn.Linear(latent, hidden)
        self.outer = nn.Linear(hidden, 2 * latent)
        self.context = nn.Linear(context, hidden, bias=False)
        degree = torch.arange(hidden) % max(latent - 1, 1)
        place = torch.arange(latent)
        self.register_buffer("before", (degree[:, None] >= place).float())
        self.register_buffer("after", (place[:, None] > degree).float().repeat(2, 1))
        with torch.no_grad():
            self.outer.weight.mul_(0.1)
            self.outer.bias.copy_(torch.tensor([0.0, 2.0]).repeat_interleave(latent))

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Shifts and gates, both (*S, B, latent), of z of that shape and a context (B, C)."""
        h = nnf.linear(z, self.inner.weight * self.before, self.inner.bias) + self.context(context)
        out = nnf.linear(nnf.silu(h), self.outer.weight * self.after, self.outer.bias)
        shift, gate = out.chunk(2, -1)
        return shift, gate
