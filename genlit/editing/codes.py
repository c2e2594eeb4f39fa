"""Answers by codes, of a model that makes an image of every code."""

from typing import Any

import torch
from torch import Tensor

from genlit.editing.engines import Candidates, Engine, Purpose
from genlit.editing.strokes import Painting
from genlit.latent import Search, Spread, Wish, best_of, descent, error, lerp, repeated, slerp
from genlit.randomness import isolated

LOOK = 8  # steps of a search between two looks at it
TOLERABLE = 0.01  # the mean squared error of a number up to which nobody minds


class ByCodes(Engine):
    """Answers of a model that makes an image of every code: codes are searched for.

    A search pays for its distance to where it begins: at codes that the model draws, and after a
    stroke at those of the candidates before it, so that these change as little as they have to.
    Where many strokes have carried codes farther out than those of the model lie, it pays for its
    distance to the same direction at the distance where they do. As many as there are candidates
    are drawn anew to compete.

    References:
        | Generative Visual Manipulation on the Natural Image Manifold (Zhu, Krähenbühl, Shechtman &
        | Efros, 2016)
        | https://arxiv.org/abs/1609.03552

    Args:
        model: The model, which Generates.
        n: How many candidates there are.
        spread: Where its codes lie.
        search: How codes are searched for.
    """

    order = "how near they are to what is painted"
    kind = "codes"
    quick = True

    def __init__(self, model: Any, n: int, spread: Spread, search: Search) -> None:
        super().__init__(model, n)
        self.spread = Spread(spread.mean.to(self.device), spread.std.to(self.device), spread.of)
        self.search = search

    def fresh(self, painting: Painting, purpose: Purpose) -> Candidates:
        starts = self.drawn(2 * self.n if painting.numbers else self.n, purpose)
        return self.found(starts, painting).ordered(self.n)[0]

    def follow(
        self, before: Candidates, kept: int, painting: Painting, draw: Purpose, purpose: Purpose
    ) -> tuple[Candidates, int]:
        assert before.codes is not None
        starts = torch.cat([before.codes.to(self.device), self.drawn(self.n, purpose)])
        return self.found(starts, painting).ordered(self.n, kept)

    def glance(
        self, before: Candidates, kept: int, painting: Painting, last: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        assert before.codes is not None
        middle = before.codes[kept][None].to(self.device)
        wish, search = self.on_device(painting), self.search._replace(steps=LOOK)
        start = middle if last is None else last
        *_, (code, _) = descent(
            self.model.decode, wish, start, self.likely(middle), self.spread.std, search
        )
        return self.decoded(code)[0], code

    def way(self, stops: list[tuple[Candidates, int]], frames: int) -> Tensor:
        codes = torch.stack([c.codes[k] for c, k in stops if c.codes is not None]).to(self.device)
        between = slerp if not self.spread.mean.any() else lerp
        return self.decoded(between(codes[:-1], codes[1:], frames).flatten(0, 1))

    def agrees(self, candidates: Candidates, k: int, painting: Painting) -> bool:
        return float(candidates.scores[k]) <= TOLERABLE * max(painting.numbers, 1)

    def captions(self, candidates: Candidates, painting: Painting) -> list[str]:
        if not painting.numbers:
            return [""] * len(candidates.scores)
        shares = (candidates.scores / painting.numbers).sqrt()
        return [f"off by {100 * share:.0f} %" for share in shares.tolist()]

    def found(self, starts: Tensor, painting: Painting) -> Candidates:
        """What searches from codes (m, D) come to, in their order."""
        if not painting.numbers:
            return Candidates(self.decoded(starts), torch.zeros(len(starts)), starts.cpu())
        wish = repeated(self.on_device(painting), len(starts))
        codes, errors = best_of(
            self.model.decode, wish, starts[None], self.likely(starts), self.spread.std, self.search
        )
        return Candidates(self.decoded(codes), errors.cpu(), codes.cpu())

    def likely(self, codes: Tensor) -> Tensor:
        """Codes (m, D), those brought back that are farther from the middle than codes are."""
        mean, std, _ = self.spread
        off = torch.where(std > 0, (codes - mean) / std, 0.0)
        usual = (std > 0).sum().sqrt()  # the root of the mean square of distances
        share = (usual / off.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp(max=1)
        return mean + std * off * share

    def scored(self, codes: Tensor, wish: Wish) -> Candidates:
        """Candidates of codes (m, D), the nearest to a wish first."""
        with torch.no_grad():
            errors = error(self.model.decode(codes), repeated(wish, len(codes))).cpu()
        return Candidates(self.decoded(codes), errors, codes.cpu()).ordered(len(codes))[0]

    @torch.no_grad()
    def drawn(self, n: int, purpose: Purpose) -> Tensor:
        """Codes of the model, (n, D)."""
        with isolated("codes", *purpose):
            return self.model.draw_codes(n)

    @torch.no_grad()
    def decoded(self, codes: Tensor) -> Tensor:
        """The images of codes (m, D), on the CPU."""
        return self.whole(self.model.decode(codes))

    def on_device(self, painting: Painting) -> Wish:
        """What is painted, as a wish where the model is."""
        target, observed, edges = painting.wish()
        on = self.device
        return Wish(target.to(on), observed.to(on), None if edges is None else edges.to(on))
