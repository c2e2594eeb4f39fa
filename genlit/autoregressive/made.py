"""The masked autoencoder for distribution estimation."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from genlit.autoregressive.ancestral import NaiveWalk, Walk, ancestral, filled, is_prefix
from genlit.autoregressive.autoregressive import AutoregressiveModel, start_at_means
from genlit.autoregressive.masks import MaskedNetwork, MaskedWalk, Ordering, shuffled, spread
from genlit.logmath import log_mean_exp
from genlit.protocols import Batch


class MADE(AutoregressiveModel):
    """Masked autoencoder for distribution estimation: all conditionals in one pass of a network.

    With several orderings each training batch is learned under one of them, drawn at random, and
    p(x) is their mixture: the mean of probabilities, never of log-odds, whose p(x) would not sum to
    one. Held-out data are judged by the mixture.

    References:
        | MADE: Masked Autoencoder for Distribution Estimation (Germain et al., 2015)
        | https://arxiv.org/abs/1502.03509

    Args:
        shape: The shape of one event.
        hidden: Widths of the hidden layers, of ReLU units.
        orderings: The number of orderings of the entries, each with masks of its own. The first is
            the order of reading, the others are random.
        direct: Whether log-odds see the entries before directly, too.
        impute_particles: With one ordering, how many imputations compete where an observed entry
            follows missing ones.
        lr_decay: Whether the learning rate falls linearly to 0 over the whole run.
        optimizer: Builds the optimizer from the parameters.
    """

    orders: Tensor

    def __init__(
        self, shape: Sequence[int], hidden: Sequence[int] = (500,), orderings: int = 1,
        direct: bool = False, impute_particles: int = 20, lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:  # fmt: skip
        super().__init__(
            shape, impute_particles=impute_particles, lr_decay=lr_decay, optimizer=optimizer
        )
        if orderings < 1:
            raise ValueError(f"orderings is {orderings}: it takes 1 or more")
        entries = math.prod(self.shape)
        widths = [entries, *hidden, entries]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        nn.init.zeros_(self.bias)
        self.direct = nn.Parameter(torch.zeros(entries, entries)) if direct else None
        self.orderings = orderings
        every = [shuffled(self.order, [spread(w, entries) for w in hidden], m)
                 for m in range(orderings)]  # fmt: skip
        self.register_buffer("orders", torch.stack([o.order for o in every]))
        for layer, degrees in enumerate(zip(*(o.degrees for o in every), strict=True)):
            self.register_buffer(f"degrees_{layer}", torch.stack(degrees))

    @property
    def bias(self) -> nn.Parameter:
        """Intercepts of the entries' log-odds, (entries,)."""
        return self.layers[-1].bias  # pyright: ignore[reportReturnType]

    def setup(self, stage: str) -> None:
        """Sets the log-odds of entries out from the means of the training data."""
        start_at_means(self, stage, self.bias, torch.arange(len(self.bias), device=self.device))

    # The conditionals under one ordering

    def ordering(self, number: int) -> Ordering:
        """One of the orderings, from 0."""
        degrees = [self.get_buffer(f"degrees_{k}")[number] for k in range(len(self.layers) - 1)]
        return Ordering(self.orders[number], degrees)

    def masked(self, ordering: Ordering) -> MaskedNetwork:
        """The network with the masks of an ordering."""
        weights = [layer.get_parameter("weight") for layer in self.layers]
        seen = [w * mask for w, mask in zip(weights, ordering.masks(), strict=True)]
        direct = None if self.direct is None else self.direct * ordering.direct()
        return MaskedNetwork(seen, [layer.get_parameter("bias") for layer in self.layers], direct)

    def outputs(self, x: Tensor, number: int = 0) -> Tensor:
        return self.masked(self.ordering(number)).logits(x.flatten(1)).view_as(x)

    def walk(self, n: int, number: int = 0) -> Walk:
        ordering = self.ordering(number)
        return MaskedWalk(n, self.masked(ordering), ordering)

    # The mixture of orderings

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Minus log p(x) in nats; in training under an ordering drawn for the batch."""
        if not self.training or self.orderings == 1:
            return super().loss(batch)
        number = int(torch.rand(()) * self.orderings)
        return {"loss": -self.log_prob_under(batch["x"], number).mean()}

    def log_prob_under(self, x: Tensor, number: int) -> Tensor:
        """Log p(x) of one ordering's component in nats, (B,)."""
        return self.law.log_prob(self.outputs(x, number), x)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log p(x) of the mixture of all orderings, which takes one pass for each of them."""
        return log_mean_exp(torch.stack([self.log_prob_under(x, m) for m in range(self.orderings)]))

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        return self._mixed(n, self.walk)

    @torch.no_grad()
    def sample_naively(self, n: int) -> Tensor:
        def walk(n: int, number: int) -> Walk:
            outputs = partial(self.outputs, number=number)
            return NaiveWalk(n, self.orders[number], self.like, outputs, self.law)

        return self._mixed(n, walk)

    def _mixed(self, n: int, walk: Callable[[int, int], Walk]) -> Tensor:
        """Draws n events, each of a component drawn for it."""
        which = torch.randint(self.orderings, (n,), device=self.device)
        x = self.like.new_empty(n, *self.shape)
        for number in which.unique().tolist():
            mine = which == number
            events = ancestral(walk(int(mine.sum()), number), self.law)
            x[mine] = events.view(-1, *self.shape)
        return x

    @torch.no_grad()
    def impute(self, x: Tensor, observed: Tensor) -> Tensor:
        """Ancestral sampling given what is observed.

        With one ordering exact where all observed entries come before all missing ones in it, as
        where the lower half is missing, and else by sequential importance resampling. With several
        always exact, but under one ordering in place of their mixture: the first of them in which
        all observed entries come before all missing ones, or else a new one, as good as the network
        has learned to be under orderings that it has not met.
        """
        if self.orderings == 1:
            return super().impute(x, observed)
        masks, which = observed.flatten(1).unique(dim=0, return_inverse=True)
        filled_in = x.clone()
        for k, known in enumerate(masks):
            mine = which == k
            start = self._walk_from(known)
            events = filled(start, self.law, x[mine].flatten(1), observed[mine].flatten(1), 1)
            filled_in[mine] = events.view(-1, *self.shape)
        return torch.where(observed, x, filled_in)

    def _walk_from(self, known: Tensor) -> Callable[[int], Walk]:
        """Begins walks under an ordering in which the known entries (entries,) come first."""
        for number in range(self.orderings):
            if is_prefix(known[self.orders[number]][None]):
                return partial(self.walk, number=number)
        first = self.ordering(0)
        order = first.order[known[first.order].int().argsort(descending=True, stable=True)]
        ordering = Ordering(order, first.degrees)
        return partial(MaskedWalk, network=self.masked(ordering), ordering=ordering)
