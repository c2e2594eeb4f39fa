"""A deep Boltzmann machine that learns stage by stage: parameters, chains and running means."""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from genlit.boltzmann import deep, deep_gradient
from genlit.boltzmann import deep_pretraining as pretraining
from genlit.boltzmann.centring import over_processes
from genlit.boltzmann.deep import DeepTheta, Layers
from genlit.boltzmann.deep_gradient import bernoulli
from genlit.boltzmann.samplers import at_least_one, chosen
from genlit.boltzmann.units import SMOOTHING
from genlit.progress import track

RATE = 0.01  # of a new batch in the running means


class DeepLayers(nn.Module):
    """Layers of binary units, with weights between neighbours.

    Stage s < L is the pretraining of layers s and s + 1; stage L trains all jointly.

    Args:
        sizes: The numbers of units, from the visible layer up.
        particles: Persistent chains.
        steps: Gibbs sweeps before each gradient.
        mean_field_steps: The most updates of the hidden means for each gradient.
        tolerance: Fewer suffice when no mean moves by as much in one; 0 takes all.
        centred: Whether steps are those of the centred machine.
        persistent: Whether chains persist in pretraining, too.
        pretrained: Whether to begin with pretraining.
    """

    particles: Tensor  # (particles, odd units), the odd layers of the chains side by side
    offsets: Tensor  # (all units,), running means of the layers given the data
    upward: Tensor  # (all units,), biases of inner layers as learned from below
    stage: Tensor

    def __init__(
        self, sizes: list[int], particles: int, steps: int, mean_field_steps: int,
        tolerance: float, centred: bool, persistent: bool, pretrained: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.sizes = sizes
        self.steps = at_least_one(steps)
        self.mean_field_steps, self.tolerance = mean_field_steps, tolerance
        self.centred, self.persistent = centred, persistent
        self.W = nn.ParameterList([0.01 * torch.randn(pair) for pair in pairwise(sizes)])
        self.b = nn.ParameterList([torch.zeros(n) for n in sizes])
        self.register_buffer("particles", torch.rand(particles, sum(sizes[1::2])).round())
        self.register_buffer("offsets", torch.full((sum(sizes),), 0.5))
        self.register_buffer("upward", torch.zeros(sum(sizes)))
        self.register_buffer("stage", torch.tensor(0 if pretrained else len(self.W)))

    @property
    def theta(self) -> DeepTheta:
        """The parameters, as the functions of `genlit.boltzmann.deep` take them."""
        return DeepTheta(list(self.W), list(self.b))

    @property
    def up(self) -> DeepTheta:
        """The stack of pretrained machines, as it goes up from v."""
        return DeepTheta(list(self.W), list(self.upward.split(self.sizes)))

    @property
    def lower(self) -> int | None:
        """The lower layer of the pair that learns now, or None in joint training."""
        stage = int(self.stage)
        return stage if stage < len(self.W) else None

    @torch.no_grad()
    def settle(self, base: Tensor) -> None:
        """Sets out from independent visible units with biases `base` (V,), and new chains."""
        self.b[0].copy_(base)
        self.offsets[: len(base)] = base.sigmoid()
        self.particles.copy_(torch.rand_like(self.particles).round())

    @torch.no_grad()
    def go_on(self) -> None:
        """Enters the next stage."""
        self.stage += 1
        if self.lower is None:
            for b, value in zip(self.b, pretraining.composed(self.theta, self.up), strict=True):
                b.copy_(value)
            return
        # The upper layer of a pair becomes the lower one of the next, to be explained from above.
        b, mean = self.b[self.lower], self.offsets.split(self.sizes)[self.lower]
        self.upward.split(self.sizes)[self.lower].copy_(b)
        b.copy_(torch.logit(mean.clamp(SMOOTHING, 1 - SMOOTHING)))

    def loss(self, v: Tensor) -> Tensor:
        """The gap of mean energies of states (B, V) and the chains, which move on in training."""
        with torch.no_grad():
            data, chains = self._pair(v, self.lower) if self.lower is not None else self._joint(v)
            if self.training:
                self._observe(data)
        return deep_gradient.energy_gap(self.theta, data, chains)

    def _joint(self, v: Tensor) -> tuple[Layers, Layers]:
        """Both phases of joint training."""
        data = deep.mean_field(self.theta, v, self.mean_field_steps, self.tolerance)
        chains, odd = deep_gradient.run(self.theta, self._odd(self.particles), self.steps)
        if self.training:
            self.particles.copy_(torch.cat(list(odd.values()), 1))
        return data, chains

    def _pair(self, v: Tensor, lower: int) -> tuple[Layers, Layers]:
        """Both phases of the pretraining of two layers."""
        odd = pretraining.odd_of(lower)
        kept = self._odd(self.particles)[odd]
        data = pretraining.positive(self.theta, self.up, v, lower)
        start = kept if self.persistent else bernoulli(data[odd])
        chains, end = pretraining.run_pair(self.theta, lower, start, self.steps)
        if self.training and self.persistent:
            kept.copy_(end)
        return data, chains

    def _observe(self, data: Layers) -> None:
        """Moves the running means; all processes agree on what was seen."""
        seen = over_processes(torch.cat([x.mean(0) for x in data.values()]))
        first = sum(self.sizes[: min(data)])
        self.offsets[first : first + len(seen)].lerp_(seen, RATE)

    @torch.no_grad()
    def turn(self) -> None:
        """Centres the gradient, and takes it from parameters that are not in training.

        Several processes give those a gradient of zero, and weight decay would move them.
        """
        first, last = (0, len(self.W)) if self.lower is None else (self.lower, self.lower + 1)
        grads: tuple[Layers, Layers] = {}, {}
        for k, p in [*enumerate(self.W), *enumerate(self.b)]:
            if not first <= k <= last - (p.ndim - 1):
                p.grad = None
            elif p.grad is not None:
                grads[2 - p.ndim][k] = p.grad
        if self.centred and grads[0]:
            offsets = dict(enumerate(self.offsets.split(self.sizes)))
            alone = partial(deep.shared_input, self.theta)
            counts = {} if self.lower is None else {"counts": alone}
            deep_gradient.centred(*grads, offsets, **counts)

    @torch.no_grad()
    def samples(self, n: int, steps: int) -> Layers:
        """States of all layers of n chains, which start at the persistent ones."""
        x = self._odd(chosen(self.particles, n))
        for _ in track(range(steps), "Gibbs sampling"):
            x = deep.sweep(self.theta, x)
        return x | deep.drawn(self.theta, x, 0)

    @torch.no_grad()
    def expected_pixels(self, n: int, steps: int) -> Tensor:
        """Expected visible units (n, V) given hidden ones, after Gibbs sweeps.

        While pairs learn, these are samples of the newest, handed down through those below.
        """
        if self.lower is None:
            return deep.logits(self.theta, self.samples(n, steps), 0).sigmoid()
        odd = pretraining.odd_of(self.lower)
        x = self._odd(chosen(self.particles, n))[odd]
        for _ in track(range(steps), "Gibbs sampling"):
            x = pretraining.run_pair(self.theta, self.lower, x, 1)[1]
        return pretraining.hand_down(self.theta, x, odd)

    def reconstruction(self, v: Tensor, steps: int, tolerance: float) -> Tensor:
        """Log-odds of the visible units given the means of the hidden ones given v; (B, V)."""
        if self.lower is not None:
            return pretraining.reconstruction(self.theta, self.up, v, self.lower)
        return deep.logits(self.theta, deep.mean_field(self.theta, v, steps, tolerance), 0)

    def _odd(self, chains: Tensor) -> Layers:
        """The odd layers of chains (n, odd units), as views."""
        return deep.split(self.theta, chains, 1)
