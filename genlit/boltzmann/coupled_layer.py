"""Units coupled with each other, that learn: parameters, orders of sweeps, and an objective."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from genlit.boltzmann.couplings import Couplings, mean_field, visible_logits
from genlit.boltzmann.objectives import Learning, PersistentChains, PseudoLikelihood, phase
from genlit.boltzmann.sweeps import Gibbs, neighbours, order
from genlit.progress import track


class Lateral(nn.Module):
    """Couplings of the units of one layer with each other.

    Only the strict upper triangle is learned, so that nothing that may happen to parameters makes
    couplings asymmetric, or couples a unit with itself.

    Args:
        mask: Whether two units may be coupled, (N, N) bool and symmetric.
    """

    mask: Tensor  # (N, N), 1 where `upper` counts

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.upper = nn.Parameter(torch.zeros(mask.shape))
        self.register_buffer("mask", mask.triu(1).to(self.upper), persistent=False)
        self.order = order(mask)

    @property
    def matrix(self) -> Tensor:
        """The couplings, (N, N): symmetric, with zeros on the diagonal."""
        upper = self.upper * self.mask
        return upper + upper.mT


class CoupledLayer(nn.Module):
    """Visible and hidden units with weights between them, and couplings within either.

    Args:
        shape: The shape of one event.
        hidden: The number of hidden units.
        visible_couplings: Whether visible units are coupled with each other.
        hidden_couplings: Whether hidden ones are.
        reach: How many rows and columns apart coupled visible units may be; None for any number.
        objective: Builds what is lowered in training; None takes `PersistentChains` where there are
            hidden units, else `PseudoLikelihood`.
        mean_field_steps: Updates of the means of coupled hidden units given visible ones.
    """

    base: Tensor  # (V,), biases of independent visible units with the means of the training data

    def __init__(
        self, shape: Sequence[int], hidden: int, visible_couplings: bool, hidden_couplings: bool,
        reach: int | None, objective: Learning | None, mean_field_steps: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        if reach is not None and reach < 1:
            raise ValueError(f"reach is {reach}: coupled pixels are at least 1 row or column apart")
        if not hidden and not visible_couplings:
            raise ValueError(
                "without hidden units and visible_couplings nothing is coupled: set one of them"
            )
        visible = math.prod(shape)
        self.mean_field_steps = mean_field_steps
        self.W = nn.Parameter(0.01 * torch.randn(visible, hidden), requires_grad=hidden > 0)
        self.b = nn.Parameter(torch.zeros(visible))
        self.c = nn.Parameter(torch.zeros(hidden), requires_grad=hidden > 0)
        self.R = Lateral(neighbours(shape, reach)) if visible_couplings else None
        self.S = Lateral(neighbours((hidden,), None)) if hidden_couplings else None
        learning = objective or (PersistentChains if hidden else PseudoLikelihood)
        self.objective = learning(visible, hidden)
        self.register_buffer("base", torch.zeros(visible))

    @property
    def theta(self) -> Couplings:
        """The parameters, as the functions of `genlit.boltzmann.couplings` take them."""
        R, S = (None if lateral is None else lateral.matrix for lateral in (self.R, self.S))
        return Couplings(self.W, self.b, self.c, R, S)

    @property
    def gibbs(self) -> Gibbs:
        """The machine as it is now, with the orders in which its units are visited."""
        orders = (None if lateral is None else lateral.order for lateral in (self.R, self.S))
        return Gibbs(self.theta, *orders)

    @property
    def weights(self) -> list[nn.Parameter]:
        """All parameters but the biases."""
        every = [self.W, *(lateral.upper for lateral in (self.R, self.S) if lateral is not None)]
        return [p for p in every if p.requires_grad]

    @torch.no_grad()
    def settle(self, base: Tensor) -> None:
        """Sets out from independent visible units with biases `base` (V,), chains included."""
        self.base.copy_(base)
        self.b.copy_(base)
        self.objective.settle(self.gibbs, self.base)

    def loss(self, v: Tensor) -> Tensor:
        """What is lowered, of states (B, V); in training, chains that persist move on."""
        gibbs = self.gibbs
        with torch.no_grad():
            data = phase(gibbs.theta, v, self.mean_field_steps)
        return self.objective.loss(gibbs, data)

    def mean_hidden(self, v: Tensor) -> Tensor:
        """Means of the hidden units given v (B, V); mean-field where they are coupled."""
        return mean_field(self.theta, v, self.mean_field_steps)

    def conditional_logits(self, v: Tensor) -> Tensor:
        """Log-odds of each visible unit given the others and `mean_hidden`, (B, V)."""
        return visible_logits(self.theta, self.mean_hidden(v), v)

    def reconstruction_error(self, v: Tensor) -> Tensor:
        """Mean cross-entropy of states (B, V) and `conditional_logits`, in nats per event."""
        logits = self.conditional_logits(v)
        return nnf.binary_cross_entropy_with_logits(logits, v, reduction="sum") / len(v)

    @torch.no_grad()
    def run(self, n: int, sweeps: int) -> tuple[Tensor, Tensor]:
        """States (n, V) and (n, H) after sweeps from where the objective's chains stand."""
        gibbs = self.gibbs
        v, h = self.objective.start(gibbs, self.base, n)
        return gibbs.run(v, h, track(range(sweeps), "Gibbs sweeps"))

    @torch.no_grad()
    def means(self, n: int, sweeps: int) -> Tensor:
        """Probabilities with which visible units are drawn in one more sweep, (n, V)."""
        v, h = self.run(n, sweeps)
        return self.gibbs.visible(h, v).logits.sigmoid()

    @torch.no_grad()
    def fill(self, v: Tensor, held: Tensor, sweeps: int) -> Tensor:
        """States (B, V) whose units that are not held were drawn again and again, from coins on."""
        gibbs = self.gibbs
        v = torch.where(held, v, torch.rand_like(v).round())
        return gibbs.run(v, gibbs.hidden(v).states, range(sweeps), held)[0]

    def origin(self, sweeps: int) -> str:
        """Where `run` takes its states from, in words."""
        return f"{self.objective.origin} after {sweeps} Gibbs sweeps"
