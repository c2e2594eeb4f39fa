"""The layers of a deep belief network, of which one after the other is put on top."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from genlit.boltzmann import belief
from genlit.boltzmann.belief import Directed
from genlit.boltzmann.centring import Gradient
from genlit.boltzmann.energy import Theta
from genlit.boltzmann.layer import Layer
from genlit.boltzmann.samplers import Chains
from genlit.boltzmann.units import Binary


class Recognition(nn.Module):
    """The weights and biases of q(h_{l+1} | h_l) where they are no longer those of p.

    Args:
        lower: The number of units of h_l.
        upper: The number of units of h_{l+1}.
    """

    def __init__(self, lower: int, upper: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.zeros(lower, upper))
        self.c = nn.Parameter(torch.zeros(upper))


class Stack(nn.Module):
    """A restricted Boltzmann machine above directed layers, which grows stage by stage.

    At any time it is the net of those layers whose stages have begun. In a last stage, recognition
    has weights of its own.

    Args:
        sizes: The numbers of units, from the visible ones up.
        sampler: Builds the chains of each machine.
        gradient: Builds the coordinates of each machine's gradient.
        up_down: Whether there is a last stage.
    """

    stage: Tensor  # the stage that has begun last

    def __init__(
        self, sizes: Sequence[int], sampler: Chains, gradient: Gradient, up_down: bool
    ) -> None:
        super().__init__()
        pairs = list(pairwise(sizes))
        self.layers = nn.ModuleList(Layer(Binary(n), m, sampler, gradient) for n, m in pairs)
        self.recognition = nn.ModuleList(Recognition(*p) for p in pairs[:-1] if up_down)
        self.register_buffer("stage", torch.tensor(0))

    @property
    def machines(self) -> list[Layer]:
        """The machine of each layer, from the lowest up."""
        return list(self.layers)  # pyright: ignore[reportReturnType]

    @property
    def top(self) -> Layer:
        """The machine on top, of the layers whose stages have begun."""
        return self.machines[min(int(self.stage), len(self.layers) - 1)]

    @property
    def untied(self) -> bool:
        """Whether recognition has weights of its own, as it has from the beginning of up-down."""
        return int(self.stage) >= len(self.layers)

    @property
    def net(self) -> list[Directed]:
        """The directed layers below the machine on top, from the lowest up."""
        below = self.machines[: min(int(self.stage), len(self.layers) - 1)]
        if not self.untied:
            return [Directed(layer.theta, layer.theta) for layer in below]
        up = (Theta(r.W, layer.b, r.c, layer.units) for r, layer in self._recognition)
        return [Directed(layer.theta, theta) for layer, theta in zip(below, up, strict=True)]

    @property
    def _recognition(self) -> list[tuple[Any, Layer]]:
        return list(zip(self.recognition, self.machines[:-1], strict=True))

    @property
    def weights(self) -> list[nn.Parameter]:
        """All parameters that are weights."""
        return [layer.W for layer in (*self.machines, *self.recognition)]  # pyright: ignore[reportReturnType]

    @torch.no_grad()
    def begin(self, stage: int, base: Tensor) -> None:
        """Makes a layer the machine on top; after the last one, unties recognition.

        Args:
            stage: The number of the layer, or of layers.
            base: Log-odds of the means of the units that the machine on top has hidden till now.
        """
        if stage < len(self.layers):
            self._put_on_top(self.machines[stage], self.machines[stage - 1], base)
        else:
            for recognition, layer in self._recognition:
                recognition.W.copy_(layer.W)
                recognition.c.copy_(layer.c)
        self.stage.fill_(stage)

    def _put_on_top(self, layer: Layer, below: Layer, base: Tensor) -> None:
        layer.settle(base)
        if len(layer.c) >= len(below.b):
            start = belief.stacked(below.theta, layer.W, layer.c)
            for parameter, value in zip((layer.W, layer.b, layer.c), start[:3], strict=True):
                parameter.copy_(value)
            kept = below.sampler
            layer.sampler.settle_at(layer.theta, lambda n: kept.start(below.theta, below.base, n))

    def loss(self, v: Tensor) -> dict[str, Tensor]:
        """What the stage lowers on states (B, V); in training, the chains move on."""
        with torch.no_grad():
            states = belief.climb(self.net, v)
        return self._up_down(states) if self.untied else {"loss": self.top.loss(states[-1])}

    def _up_down(self, states: belief.States) -> dict[str, Tensor]:
        """Wake: p learns from recognized data. Sleep: q learns from dreams of the chains on top."""
        data, chains = self.top.phases(states[-1])
        with torch.no_grad():
            dreams = belief.descend(self.net, chains.v)
        top = self.top.gap(data, chains)
        wake, sleep = belief.wake_loss(self.net, states), belief.sleep_loss(self.net, dreams)
        return {"loss": top + wake + sleep, "top": top, "wake": wake, "sleep": sleep}

    def idle(self) -> list[nn.Parameter]:
        """The parameters that the stage leaves alone."""
        if self.untied:
            return [layer.c for layer in self.machines[:-1]]
        active = {id(p) for p in self.top.parameters()}
        return [p for p in self.parameters() if id(p) not in active]
