"""The way to a belief net, for annealing: that to the machine on top of its directed layers."""

from torch import Tensor

from genlit.boltzmann import belief
from genlit.boltzmann.belief import Net
from genlit.boltzmann.path import RBMPath, State


class BeliefPath(RBMPath):
    """Annealing of the machine on top. Directed layers have no normalizer; they draw the events.

    Args:
        net: The directed layers below.
        top: The way to the machine.
    """

    def __init__(self, net: Net, top: RBMPath) -> None:
        super().__init__(top.theta, top.base, top.draw_samples, top.origin)
        self.net = net

    def events(self, state: State) -> Tensor:
        return belief.descend(self.net, state[0])[0]
