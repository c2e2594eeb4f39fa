"""How probable events are under a decoder, by annealing from its prior to its posterior."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from genlit.annealing import Rung, forward_weights, ladder, reverse_weights
from genlit.decoder_path import DecoderPath, Sizes, tuned
from genlit.estimators.estimator import Estimator, LogDensity
from genlit.logmath import log_mean_exp
from genlit.progress import track
from genlit.protocols import Decoder

BLOCK = 50  # events annealed side by side


class AnnealedDecoder(Estimator):
    """Annealed importance sampling of p(x) = ∫ p(x | z) p(z) dz, checked from both sides.

    On average it is too low, as an importance-weighted bound is, but needs no recognition network
    and gets closer for the same work where that is bad. By how much it is too low is told for
    events that the model itself has drawn: there a code of the exact posterior is known, and
    annealing back from it gives an upper bound (bidirectional Monte Carlo).

    References:
        | On the Quantitative Analysis of Decoder-Based Generative Models (Wu et al., 2017)
        | https://arxiv.org/abs/1611.04273
        | Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo (Grosse et al., 2015)

    Args:
        steps: Temperatures between prior and posterior.
        chains: Chains for each event.
        leapfrogs: Steps of a Hamiltonian trajectory, one of which moves a chain at a temperature.
        events: How many events to ask about, drawn at random from those there are; 0 means all.
        simulated: How many events of the model's own the bounds are compared on, 2 or more.
    """

    name = "annealed_bound"
    kind = "lower bound"
    protocol = Decoder

    def __init__(
        self,
        steps: int = 1000,
        chains: int = 10,
        leapfrogs: int = 10,
        events: int = 100,
        simulated: int = 50,
    ) -> None:
        if min(steps, chains, leapfrogs) < 1 or events < 0 or simulated < 2:
            raise ValueError(
                "AnnealedDecoder needs 1 step, chain and leapfrog or more, and 2 simulated events "
                "or more; 0 events means all"
            )
        self.steps, self.chains, self.leapfrogs = steps, chains, leapfrogs
        self.events, self.simulated = events, simulated

    def check(self, model: Any) -> None:
        """Makes sure that a model is a decoder of a known prior.

        Raises:
            Unanswerable: If it is no decoder.
            ValueError: If log p(z) is not known.
        """
        super().check(model)
        model.require_known_prior()

    @torch.no_grad()
    def __call__(self, model: Decoder) -> LogDensity:
        self.check(model)
        rungs = ladder(self.steps)
        z = model.draw_codes(self.simulated)
        x = model.draw(z)
        sizes = tuned(model, x, rungs, self.chains, self.leapfrogs)
        gap = self._sandwich(model, x, z, rungs, sizes)
        mean, stderr = float(gap.mean()), float(gap.std() / len(gap) ** 0.5)
        details: dict[str, float | str] = {
            "bidirectional_gap": mean,
            "bidirectional_gap_stderr": stderr,
            "summary": f"upper less lower bound {mean:.2f} ± {stderr:.2g} nats, on "
            f"{self.simulated} events of the model's own",
        }
        log_prob = partial(self._log_prob, model, rungs=rungs, sizes=sizes)
        return LogDensity(log_prob, stderr=None, details=details, events=self.events)

    def _log_prob(self, model: Decoder, x: Tensor, rungs: list[Rung], sizes: Sizes) -> Tensor:
        groups = x.split(BLOCK)
        return torch.cat([self._lower(self._path(model, g, sizes), rungs) for g in groups])

    def _sandwich(
        self, model: Decoder, x: Tensor, z: Tensor, rungs: list[Rung], sizes: Sizes
    ) -> Tensor:
        """Upper less lower bound of log p(x) in nats, of events x drawn at codes z; (B,)."""
        path = self._path(model, x, sizes)
        state = path.at(z.expand(self.chains, *z.shape).clone())
        back = reverse_weights(path, track(rungs[::-1], "annealing back"), state)
        upper = -log_mean_exp(back.view(self.chains, -1))
        return upper - self._lower(path, rungs)

    def _lower(self, path: DecoderPath, rungs: list[Rung]) -> Tensor:
        """The bound of each event of a path, (B,) nats."""
        way = track(rungs, "annealing from prior to posterior")
        return log_mean_exp(
            forward_weights(path, way, self.chains * len(path.x)).view(self.chains, -1)
        )

    def _path(self, model: Decoder, x: Tensor, sizes: Sizes) -> DecoderPath:
        return DecoderPath(model, x, sizes, self.leapfrogs)
