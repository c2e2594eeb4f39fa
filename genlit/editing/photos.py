"""How a photo of the user's own gets a code: by search, by prediction, or by both.

References:
    | Generative Visual Manipulation on the Natural Image Manifold (Zhu, Krähenbühl, Shechtman &
    | Efros, 2016), section 4.1
    | https://arxiv.org/abs/1609.03552
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from genlit.editing.codes import ByCodes
from genlit.editing.engines import Candidates, Purpose
from genlit.latent import Search, Wish, project
from genlit.networks import DCGANDiscriminator
from genlit.progress import track
from genlit.protocols import Encodes
from genlit.randomness import isolated

OPTIMIZE, PREDICT, BOTH = "optimize", "predict", "both"
SOLVERS = {
    OPTIMIZE: "search, from codes that the model draws",
    PREDICT: "predict the code, by the encoder or a regression network",
    BOTH: "predict, then search from there",
}


class Learning(NamedTuple):
    """How a network learns to predict the codes of a generator's images."""

    steps: int = 300
    batch: int = 32
    lr: float = 2e-3
    width: int = 16
    code_weight: float = 0.1  # of a code's squared error, beside that of the image's numbers


class Projector:
    """Finds codes of photos.

    Args:
        engine: What answers by codes.
        search: How codes are searched for.
        learning: How a network learns to predict codes, for a model that has no encoder.
        seed: Of what it learns from.
    """

    def __init__(
        self, engine: ByCodes, search: Search, learning: Learning | None = None, seed: int = 0
    ) -> None:
        self.engine, self.search = engine, search
        self.learning, self.seed = learning or Learning(), seed

    def project(self, photo: Tensor, solver: str, purpose: Purpose) -> Candidates:
        """Candidates of which a photo (*shape) may be, the nearest first.

        Args:
            photo: The photo.
            solver: One of SOLVERS. Searches from drawn codes are as many as there are candidates.
            purpose: That of what is drawn.

        Raises:
            ValueError: If there is no such solver.
        """
        if solver not in SOLVERS:
            raise ValueError(f"there is no solver {solver!r}: it may be {', '.join(SOLVERS)}")
        engine, photo = self.engine, photo.to(self.engine.device)
        if solver == OPTIMIZE:
            codes = engine.drawn(engine.n, purpose)
        else:
            codes = self.predicted(photo[None])
        shape = (len(codes), *photo.shape)
        wish = Wish(photo.expand(shape), torch.ones_like(photo, dtype=torch.bool).expand(shape))
        if solver != PREDICT:
            spread = engine.spread
            codes = project(engine.model.decode, wish, codes[None], spread, self.search).codes
        return engine.scored(codes, Wish(wish.target[:1], wish.observed[:1]))

    @torch.no_grad()
    def predicted(self, photos: Tensor) -> Tensor:
        """The codes of photos (n, *shape) without a search, (n, D)."""
        model = self.engine.model
        if isinstance(model, Encodes):
            with isolated("encode", self.seed):
                return model.encode(photos)
        return self.engine.spread.mean + self.engine.spread.std * self.network(photos)

    @cached_property
    def network(self) -> nn.Module:
        """Predicts codes in standard deviations; learned when it is first asked for."""
        model, shape = self.engine.model, self.engine.shape
        codes = len(self.engine.spread.mean)
        with isolated("predictor", self.seed):
            network = predictor(shape, codes, self.learning.width).to(self.engine.device)
            learn(network, model, self.engine, self.learning)
        return network.eval()


def predictor(shape: Sequence[int], codes: int, width: int) -> nn.Module:
    """A network of images (B, *shape) whose outputs are (B, codes)."""
    depth = min(3, (max(shape[1:]) - 1).bit_length())
    return DCGANDiscriminator(shape, (codes,), width, depth)


@torch.enable_grad()
def learn(network: nn.Module, model: Any, engine: ByCodes, how: Learning) -> None:
    """Trains a network to predict codes of images that a model makes itself.

    What it predicts is to make the same image again: that counts, and some of the code's own error,
    since several codes may make one image.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=how.lr)
    rate = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, how.steps)
    mean, std = engine.spread.mean, engine.spread.std
    for _ in track(range(how.steps), "learning to predict codes"):
        with torch.no_grad():
            z = model.draw_codes(how.batch)
            x = model.decode(z)
        u = network(x)
        image = (model.decode(mean + std * u) - x).square().flatten(1).sum(1)
        true = torch.where(std > 0, (z - mean) / std, 0.0)
        code = (u - true).square().sum(1)
        optimizer.zero_grad()
        (image + how.code_weight * code).mean().backward()
        optimizer.step()
        rate.step()
