"""The restricted Boltzmann machine as a model that Lightning can train."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as nnf
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from genlit.boltzmann import energy, gradient, partition
from genlit.boltzmann.energy import Theta
from genlit.chains import clamped
from genlit.model import GenerativeModel
from genlit.progress import track
from genlit.protocols import (
    Batch,
    Denoises,
    Density,
    EnergyBased,
    Imputes,
    MarkovChain,
    Reconstructs,
    Samples,
)
from genlit.randomness import isolated

SMOOTHING = 1e-4  # keeps the log-odds of pixels that never change finite
SITES = 5  # pixels of an image that one validation pass looks at for the pseudo-likelihood


class RBM(
    GenerativeModel, Samples, Density, EnergyBased, MarkovChain, Reconstructs, Imputes, Denoises
):
    """Restricted Boltzmann machine of binary units, learned by (persistent) contrastive divergence.

    The loss is a difference of mean energies, and no likelihood: see `genlit.boltzmann.gradient`.
    Held-out data are judged by `val/pseudo_log_likelihood`, and by `val/reconstruction_error`, the
    cross-entropy of an image and its mean-field reconstruction; both in nats per image.

    References:
        | Training Products of Experts by Minimizing Contrastive Divergence (Hinton, 2002)
        | Training RBMs using Approximations to the Likelihood Gradient (Tieleman, 2008)

    Args:
        shape: The shape of one event.
        hidden: The number of hidden units.
        steps: Gibbs steps before each gradient, the k of CD-k.
        particles: 0 starts every chain at the data (CD); more keeps that many chains running on
            each process (PCD).
        weight_decay: L2 penalty of the weights; biases have none.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run, as PCD needs.
        sample_steps: Gibbs steps before a sample is taken.
        impute_steps: Gibbs steps that fill in missing entries.
        optimizer: Builds the optimizer from the parameters.
    """

    binary: ClassVar[bool] = True
    per_rank: ClassVar[tuple[str, ...]] = ("particles",)

    particles: Tensor  # (particles, hidden), the hidden states of the persistent chains
    base_logits: Tensor  # (V,), log-odds of the means of the training data

    def __init__(
        self,
        shape: Sequence[int],
        hidden: int = 500,
        steps: int = 1,
        particles: int = 0,
        weight_decay: float = 0.0,
        lr_decay: bool = False,
        sample_steps: int = 1000,
        impute_steps: int = 100,
        optimizer: OptimizerCallable = torch.optim.SGD,
    ) -> None:
        super().__init__(shape, optimizer)
        if steps < 1:
            raise ValueError(f"steps is {steps}: a chain needs at least 1 Gibbs step")
        visible = math.prod(self.shape)
        self.steps = steps
        self.weight_decay = weight_decay
        self.lr_decay = lr_decay
        self.sample_steps, self.impute_steps = sample_steps, impute_steps
        self.W = nn.Parameter(0.01 * torch.randn(visible, hidden))
        self.b = nn.Parameter(torch.zeros(visible))
        self.c = nn.Parameter(torch.zeros(hidden))
        # Hidden states suffice: v and E[h | v] follow from them under the newest parameters.
        self.register_buffer("particles", torch.rand(particles, hidden).round())
        self.register_buffer("base_logits", torch.zeros(visible))

    @property
    def theta(self) -> Theta:
        """The parameters, as the functions of `genlit.boltzmann` take them."""
        return Theta(self.W, self.b, self.c)

    # Learning

    def setup(self, stage: str) -> None:
        """Sets out from independent pixels with the means of the training data."""
        data: Any = getattr(self.trainer, "datamodule", None)
        if stage != "fit" or not hasattr(data, "mean") or self.base_logits.any():
            return
        mean = data.mean.flatten().to(self.base_logits)
        self.base_logits.copy_(torch.logit((mean + SMOOTHING) / (1 + 2 * SMOOTHING)))
        with torch.no_grad(), isolated("particles", torch.initial_seed(), self.global_rank):
            self.b.copy_(self.base_logits)
            v = energy.draw(self.base_logits.expand(len(self.particles), -1))
            self.particles.copy_(energy.draw(energy.hidden_logits(self.theta, v)))

    def configure_optimizers(self) -> Any:
        groups = [
            {"params": [self.W], "weight_decay": self.weight_decay},
            {"params": [self.b, self.c], "weight_decay": 0.0},
        ]
        optimizer = self.optimizer(groups)
        if not self.lr_decay:
            return optimizer
        total = self.trainer.estimated_stepping_batches
        if not math.isfinite(total):
            raise ValueError("lr_decay needs a run that ends: set trainer.max_epochs or max_steps")
        falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: max(0.0, 1 - t / total))
        return [optimizer], [{"scheduler": falling, "interval": "step"}]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The gap of mean energies; in training, it moves the particles on."""
        with torch.no_grad():
            data = gradient.phase(self.theta, batch["x"].flatten(1))
            start = self.particles if len(self.particles) else data.hidden
            chains = gradient.run(self.theta, start, self.steps)
            if self.training and len(self.particles):
                self.particles.copy_(chains.hidden)
        return {"loss": gradient.energy_gap(self.theta, data, chains)}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Logs the pseudo-log-likelihood and the reconstruction error of held-out data."""
        v = batch["x"].flatten(1)
        if len(v) == 0:  # a process left without a batch, see `genlit.data.loader`
            return
        with isolated("validation", batch_idx * self.trainer.world_size + self.global_rank):
            sites = torch.randint(v.shape[1], (SITES, len(v)), device=v.device)
        pseudo = torch.stack([energy.pseudo_log_likelihood(self.theta, v, i) for i in sites])
        logits = energy.visible_logits(self.theta, energy.hidden_logits(self.theta, v).sigmoid())
        error = nnf.binary_cross_entropy_with_logits(logits, v, reduction="sum") / len(v)
        self.log_dict(
            {"val/pseudo_log_likelihood": pseudo.mean(), "val/reconstruction_error": error},
            batch_size=len(v),
            sync_dist=self.trainer.world_size > 1,
        )

    # What the model can be asked

    def free_energy(self, x: Tensor) -> Tensor:
        return energy.free_energy(self.theta, x.flatten(1))

    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log p(x); for machines whose smaller layer has at most 22 units."""
        return -self.free_energy(x) - partition.log_partition(self.theta)

    @torch.no_grad()
    def log_partition(self, steps: int, chains: int, reverse: bool = False) -> Tensor:
        """Annealing between independent pixels with the means of the training data and the model.

        Reverse starts where the persistent chains stand, after `sample_steps` more; without such
        chains, where chains from independent pixels come to in as many steps as there are
        temperatures. If these have not converged, the reverse estimate is no upper bound.
        """
        rungs = partition.ladder(steps)
        if not reverse:
            rungs = track(rungs, "annealing")
            return partition.forward_weights(self.theta, self.base_logits, rungs, chains)
        burn_in = self.sample_steps if len(self.particles) else steps
        start = energy.draw(self._run(chains, burn_in))
        rungs = track(rungs[::-1], "annealing in reverse")
        return partition.reverse_weights(self.theta, self.base_logits, rungs, start)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Expected pixels given the hidden units: the grey levels customarily shown and judged.

        Chains start where the persistent ones stand, or at independent pixels if there are none,
        and run for `sample_steps`.
        """
        return self._run(n, self.sample_steps).sigmoid().view(n, *self.shape)

    def _run(self, n: int, steps: int) -> Tensor:
        """Log-odds of the visible units after Gibbs steps, (n, V)."""
        logits = self.base_logits.expand(n, -1)
        if len(self.particles):
            chosen = torch.randperm(len(self.particles), device=self.device)
            h = self.particles[chosen.repeat(math.ceil(n / len(chosen)))[:n]]
            logits = energy.visible_logits(self.theta, h)
        for _ in track(range(steps), "Gibbs sampling"):
            h = energy.draw(energy.hidden_logits(self.theta, energy.draw(logits)))
            logits = energy.visible_logits(self.theta, h)
        return logits

    @torch.no_grad()
    def step(self, x: Tensor) -> Tensor:
        """X -> h ~ p(h | x) -> x' ~ p(x | h), which leaves p(x) as it is."""
        return energy.gibbs_step(self.theta, x.flatten(1)).view_as(x)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Mean-field: expected pixels given the expected hidden units given x."""
        h = energy.hidden_logits(self.theta, x.flatten(1)).sigmoid()
        return energy.visible_logits(self.theta, h).sigmoid().view_as(x)

    denoise = reconstruct

    def impute(self, x: Tensor, observed: Tensor) -> Tensor:
        """Gibbs sampling with observed entries held, whose law tends to p(missing | observed)."""
        return clamped(self.step, x, observed, self.impute_steps)
