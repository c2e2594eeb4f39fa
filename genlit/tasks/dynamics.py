"""The true equations of two small worlds, with which a planner can be an oracle.

Both are deterministic, in SI units, and one step of Euler's method long. States and actions are as
in gymnasium; a test compares every number with it.
"""

import math

import torch
from torch import Tensor

from genlit.protocols import Imagined, Simulates

GRAVITY = 9.8
CART, POLE = 1.0, 0.1  # masses of the cart and the pole
HALF = 0.5  # half the length of the pole
FORCE = 10.0  # on the cart, to the left or to the right
EDGE = 2.4  # where the track ends on either side
TILT = 12 * 2 * math.pi / 360  # at which the pole counts as fallen
STEP = 0.02  # seconds


class CartPole(Simulates):
    """A pole on a cart that is pushed to the left or to the right, as in CartPole-v1.

    A state is (x, ẋ, θ, θ̇), an action one-hot: left or right. Each step has the reward 1, until
    the cart leaves the track or the pole has fallen.

    References:
        | Neuronlike Adaptive Elements That Can Solve Difficult Learning Control Problems (Barto,
          Sutton & Anderson, 1983)
    """

    def imagine(self, state: Tensor, action: Tensor) -> Imagined:
        x, speed, angle, turn = state.unbind(-1)
        cos, sin, mass = angle.cos(), angle.sin(), CART + POLE
        push = FORCE * (action[:, 1] - action[:, 0])
        pull = (push + POLE * HALF * turn**2 * sin) / mass
        spin = (GRAVITY * sin - cos * pull) / (HALF * (4 / 3 - POLE * cos**2 / mass))
        gain = pull - POLE * HALF * spin * cos / mass
        after = [x + STEP * speed, speed + STEP * gain, angle + STEP * turn, turn + STEP * spin]
        ended = (after[0].abs() > EDGE) | (after[2].abs() > TILT)
        return Imagined(torch.stack(after, -1), torch.ones_like(x), ended.to(state))


class Pendulum(Simulates):
    """A rod that hangs and is to be swung up by a torque too weak to lift it, as in Pendulum-v1.

    A state is (cos θ, sin θ, θ̇) with θ = 0 upright, an action the torque, from -2 to 2. The reward
    is minus the squares of angle, speed (a tenth) and torque (a thousandth). It never ends.
    """

    gravity, step, fastest, strongest = 10.0, 0.05, 8.0, 2.0

    def imagine(self, state: Tensor, action: Tensor) -> Imagined:
        cos, sin, turn = state.unbind(-1)
        angle = torch.atan2(sin, cos)
        torque = action[:, 0].clamp(-self.strongest, self.strongest)
        reward = -(angle**2 + 0.1 * turn**2 + 0.001 * torque**2)
        turn = turn + self.step * (1.5 * self.gravity * sin + 3.0 * torque)
        turn = turn.clamp(-self.fastest, self.fastest)
        angle = angle + self.step * turn
        after = torch.stack([angle.cos(), angle.sin(), turn], -1)
        return Imagined(after, reward, torch.zeros_like(reward))


KNOWN: dict[str, type[Simulates]] = {"CartPole-v1": CartPole, "Pendulum-v1": Pendulum}
