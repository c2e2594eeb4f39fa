"""Answers by filling in what is not painted, of a model that need not have codes."""

from typing import Any

import torch
from torch import Tensor

from genlit.chains import draw_states
from genlit.edges import edge_error
from genlit.editing.engines import Candidates, Engine, Purpose
from genlit.editing.plausibility import Plausibility, plausibility_of
from genlit.editing.strokes import Painting
from genlit.latent import lerp
from genlit.protocols import MarkovChain, Samples
from genlit.randomness import isolated

TRIES = 4  # images filled in for each candidate where edges are wished
FEW = 20  # steps of a chain that goes on from where it stands
GLANCE = 4  # as many, while a stroke is being drawn
CLOSE = 10.0  # nats by which another candidate may be more plausible, and nobody minds


class ByFilling(Engine):
    """Answers of a model that fills in what is not painted: painted pixels are held as they are.

    After a stroke a Markov chain of events goes on from the candidates before it; other models fill
    in anew, under the same random numbers, so that what the stroke does not concern may stay. Where
    edges are wished, which a chain cannot hold, several images are filled in for each candidate,
    and the one counts that has them best.

    Args:
        model: The model, which Imputes.
        n: How many candidates there are.
    """

    kind = "filling"

    def __init__(self, model: Any, n: int) -> None:
        super().__init__(model, n)
        self.quick = isinstance(model, MarkovChain)
        self.plausibility: Plausibility | None = plausibility_of(model)
        self.order = "chance: this model cannot say how plausible an image is"
        if self.plausibility is not None:
            self.order = f"{self.plausibility.name}, the most plausible first"

    def fresh(self, painting: Painting, purpose: Purpose) -> Candidates:
        return self.selected(self.filled(None, painting, purpose), painting).ordered(self.n)[0]

    def follow(
        self, before: Candidates, kept: int, painting: Painting, draw: Purpose, purpose: Purpose
    ) -> tuple[Candidates, int]:
        if self.quick:
            filled = self.filled(before.images, painting, purpose)
            return self.selected(filled, painting).ordered(self.n, kept)
        assert before.draws is not None
        filled = self.filled(None, painting, draw)
        return self.selected(filled, painting).ordered(self.n, int(before.draws[kept]))

    def glance(
        self, before: Candidates, kept: int, painting: Painting, last: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        state = before.images[kept][None].to(self.device) if last is None else last
        with isolated("glance"):
            state = self.went_on(state, painting, GLANCE)
        return self.whole(state)[0], state

    def way(self, stops: list[tuple[Candidates, int]], frames: int) -> Tensor:
        """A cross-fade, where there are no codes."""
        images = torch.stack([c.images[k].flatten() for c, k in stops])
        return lerp(images[:-1], images[1:], frames).flatten(0, 1).unflatten(1, self.shape)

    def agrees(self, candidates: Candidates, k: int, painting: Painting) -> bool:
        return float(candidates.scores[k] - candidates.scores.min()) <= CLOSE

    def captions(self, candidates: Candidates, painting: Painting) -> list[str]:
        if self.plausibility is None:
            return [""] * len(candidates.scores)
        return [f"{-score:.1f} nats".replace("-", "−") for score in candidates.scores.tolist()]

    def held(self, painting: Painting) -> tuple[Tensor, Tensor]:
        """What is held, as the model takes it, and where, (1, *shape) each."""
        target, observed, _ = painting.wish()
        colour = (target > 0.5).to(target) if getattr(self.model, "binary", False) else target
        return colour.to(self.device), observed.to(self.device)

    @torch.no_grad()
    def filled(self, before: Tensor | None, painting: Painting, purpose: Purpose) -> Tensor:
        """Images (n · tries, *shape): tries for each candidate, one after the other."""
        tries = TRIES if painting.edges.any() else 1
        x, observed = self.held(painting)
        with isolated("fill", *purpose):
            if before is not None:
                states = before.repeat_interleave(tries, 0).to(self.device)
                return self.went_on(states, painting, FEW)
            if not painting.numbers and isinstance(self.model, Samples):
                return draw_states(self.model, self.n)
            total = self.n * tries
            shape = (total, *self.shape)
            return self.model.impute(x.expand(shape).clone(), observed.expand(shape).clone())

    @torch.no_grad()
    def went_on(self, states: Tensor, painting: Painting, steps: int) -> Tensor:
        """Chains at states (m, *shape), so many steps later, with what is painted held."""
        x, observed = self.held(painting)
        states = torch.where(observed, x, states)
        for _ in range(steps):
            states = torch.where(observed, x, self.model.step(states))
        return states

    @torch.no_grad()
    def selected(self, filled: Tensor, painting: Painting) -> Candidates:
        """Of the tries for each candidate the one with the best edges; in the order of candidates.

        They are ordered by how plausible they are, as edges are only wished for.
        """
        images = filled
        if painting.edges.any():
            edges = painting.edges[None].expand(len(filled), -1, -1, -1).to(filled)
            missing = edge_error(filled, edges).view(-1, TRIES)
            images = filled.view(-1, TRIES, *self.shape)[
                torch.arange(len(missing)), missing.argmin(1)
            ]
        scores = torch.zeros(len(images))
        if self.plausibility is not None:
            with isolated("plausibility"):
                scores = -self.plausibility.of(images).float().cpu()
        return Candidates(self.whole(images), scores, draws=torch.arange(len(images)))
