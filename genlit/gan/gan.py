"""Generative adversarial networks: what the players lower, and samples of the generator."""

from collections.abc import Sequence

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from genlit.gan.clipping import WeightClipping
from genlit.gan.conditions import Condition, Nothing
from genlit.gan.costs import Cost, NonSaturatingCost
from genlit.gan.discriminator import Discriminator
from genlit.gan.ema import average, newest_share, twin
from genlit.gan.matching import FeatureMatching
from genlit.gan.optimizer import GANAdam
from genlit.gan.packing import packed_shape
from genlit.gan.penalties import Penalty, due_penalties
from genlit.gan.turns import Shown, discriminator_terms, generator_loss, warn_of_penalties
from genlit.gan.views import View
from genlit.model import evaluating, unmoved
from genlit.networks import DCGANDiscriminator, DCGANGenerator, Network
from genlit.protocols import Batch, Generates, Plays, Samples, Verdict
from genlit.rounds import Rounds


class GAN(Rounds, Samples, Generates, Plays):
    """Generative adversarial network: a generator learns to fool a discriminator.

    A training batch is a round of the game: the discriminator takes its steps, each on real events
    of its own (an equal share of the batch) and on as many new generated ones, then the generator
    takes its steps. Epochs and logs count rounds. `trainer.max_steps` counts optimizer steps, and
    is refused; set `trainer.max_epochs`.

    There is no validation loss, as the cost of either player says little about the samples: judge
    those, with callbacks.

    References:
        | Generative Adversarial Nets (Goodfellow et al., 2014), algorithm 1
        | https://arxiv.org/abs/1406.2661

    Args:
        shape: The shape of one event.
        latent: The number of latent variables, which are standard normal.
        generator: Builds the network from latent variables to the log-odds of pixels.
        discriminator: Builds the network from events to logits, numbers that are larger the more
            real they look.
        cost: What the players minimize: MinimaxCost, NonSaturatingCost, LeastSquaresCost,
            WassersteinCost, HingeCost, RelativisticCost or RelativisticAverageCost.
        penalties: What is added to the discriminator's: R1, R2, GradientPenalty, DRAGAN.
        views: What the discriminator is shown in place of events, one after the other:
            InstanceNoise, DiffAugment, AdaptiveAugmentation.
        matching: Feature matching, in place of the generator's cost or beside it.
        clipping: Weight clipping of the discriminator.
        condition: What events are of, which the players are told or tell: Nothing, or Code for
            InfoGAN. For classes take genlit.gan.ConditionalGAN.
        packing: How many events the discriminator judges together, as in PacGAN.
        bounded: Whether events are in [0, 1], as pixels are; if not, what the generator puts out is
            the event itself and no log-odds.
        discriminator_steps: The discriminator's steps a round; data.batch_size must be a multiple.
        generator_steps: The generator's steps a round.
        ema_decay: Samples come from a running average of the generator's weights that forgets by
            this factor a step; 0 takes the generator itself.
        ema_rampup: Makes the average forget faster in the beginning: half of it is never older than
            this share of all steps; 0 does not.
        lr_decay: Whether the learning rates of both players fall linearly to 0 over the run.
        discriminator_optimizer: Builds the discriminator's optimizer from its parameters.
        generator_optimizer: Builds the generator's optimizer from its parameters.

    Raises:
        ValueError: If a number of steps is less than 1, or the decay is not in [0, 1).
    """

    discriminator: Discriminator

    def __init__(
        self,
        shape: Sequence[int],
        latent: int = 100,
        generator: Network = DCGANGenerator,
        discriminator: Network = DCGANDiscriminator,
        cost: Cost = NonSaturatingCost(),  # noqa: B008 - it has no state
        penalties: Sequence[Penalty] = (),
        views: Sequence[View] = (),
        matching: FeatureMatching | None = None,
        clipping: WeightClipping | None = None,
        condition: Condition = Nothing(),  # noqa: B008 - it has no state
        packing: int = 1,
        bounded: bool = True,
        discriminator_steps: int = 1,
        generator_steps: int = 1,
        ema_decay: float = 0.0,
        ema_rampup: float = 0.0,
        lr_decay: bool = False,
        discriminator_optimizer: OptimizerCallable = GANAdam,
        generator_optimizer: OptimizerCallable = GANAdam,
    ) -> None:
        if packing > 1 and condition.numbers:
            raise ValueError(
                f"packs of {packing} events have no common condition: set packing to 1, or leave "
                "condition out"
            )
        if min(packing, latent) < 1:
            raise ValueError(f"packing is {packing} and latent {latent}: both are 1 or more")
        if not 0 <= ema_decay < 1 or ema_rampup < 0:
            raise ValueError(
                f"ema_decay is {ema_decay} and ema_rampup {ema_rampup}: the first is in [0, 1), "
                "0.99 is customary here, and the second is not below 0"
            )
        super().__init__(
            shape, discriminator_steps, generator_steps, lr_decay,
            discriminator_optimizer, generator_optimizer,
        )  # fmt: skip
        self.latent, self.clipping = latent, clipping
        self.cost, self.penalties = cost, list(penalties)
        self.matching, self.condition, self.bounded = matching, condition, bounded
        self.ema_decay, self.ema_rampup = ema_decay, ema_rampup
        self.generator = generator((latent + condition.numbers,), self.shape)
        head = condition.head(discriminator, packed_shape(self.shape, packing))
        self.discriminator = Discriminator(head, views, packing)
        self.averaged_generator = twin(self.generator) if ema_decay else None
        warn_of_penalties(self.penalties, self.discriminator)

    # The turns

    def on_fit_start(self) -> None:
        """Refuses data without what events are to be of."""
        super().on_fit_start()
        self.condition.require(getattr(self.trainer, "datamodule", None))

    @property
    def players(self) -> dict[str, nn.Module]:
        """Both players by name."""
        return {"discriminator": self.discriminator, "generator": self.generator}

    def discriminator_terms(self, share: Batch) -> dict[str, Tensor]:
        self._refuse_leftovers(len(share["x"]))
        told = self.condition.of_generated(share)
        with torch.no_grad(), unmoved(self.generator):
            fake = Shown(self._generated(share, told), told)
        due = due_penalties(self.penalties, self.discriminator_updates)
        return discriminator_terms(self.discriminator, self.cost, due, shown(share), fake)

    def _refuse_leftovers(self, n: int) -> None:
        if self.training and n % self.discriminator.packing:
            size = self.discriminator.packing * self.discriminator_steps
            raise ValueError(
                f"{n} events a step do not fill packs of {self.discriminator.packing}: set "
                f"data.batch_size to a multiple of {size}"
            )

    def generator_terms(self, share: Batch) -> dict[str, Tensor]:
        told = self.condition.of_generated(share)
        fake = Shown(self._generated(share, told), told)
        judge, cost, matching = self.discriminator, self.cost, self.matching
        return {"generator_loss": generator_loss(judge, cost, matching, shown(share), fake)}

    def _generated(self, share: Batch, told: Tensor | None) -> Tensor:
        """As many new events as a share has, (B, *shape)."""
        z = self._noise(len(share["x"]))
        return self._events(self.generator, z if told is None else torch.cat([z, told.to(z)], 1))

    def _events(self, generator: nn.Module, codes: Tensor) -> Tensor:
        output = generator(codes)
        return output.sigmoid() if self.bounded else output

    def after_discriminator(self, terms: dict[str, Tensor], n: int) -> None:
        """Clips its weights, and tells its views how well it does."""
        if self.clipping is not None:
            self.clipping(self.discriminator, int(self.discriminator_updates))
        if len(self.discriminator.views):
            accuracy = self.mean_over_processes(terms["real_accuracy"])
            self.discriminator.adapt(accuracy, n * self.trainer.world_size)

    def after_generator(self) -> None:
        """Moves the average of the generator's weights on."""
        if self.averaged_generator is not None:
            share = newest_share(self.ema_decay, self.ema_rampup, self.generator_updates)
            average(self.averaged_generator, self.generator, share)

    # What the model can be asked

    @torch.no_grad()
    def sample(self, n: int, raw: bool = False) -> Tensor:
        """Events generated given drawn codes.

        Args:
            n: How many.
            raw: Takes the generator itself, even where there is an average of its weights.
        """
        return self.decode(self.draw_codes(n), raw)

    @torch.no_grad()
    def draw_codes(self, n: int) -> Tensor:
        """Draws z ~ N(0, 1), followed by what events are of; (n, latent + numbers)."""
        z = self._noise(n)
        return torch.cat([z, self.condition.draw(n, z.device).to(z)], 1)

    def decode(self, z: Tensor, raw: bool = False) -> Tensor:
        """The event generated given each code, (B, *shape).

        Args:
            z: Codes, (B, latent + numbers).
            raw: Takes the generator itself, even where there is an average of its weights.
        """
        averaged = self.averaged_generator
        network = self.generator if raw or averaged is None else averaged
        with evaluating(network):
            return self._events(network, z)

    def categories(self) -> list[range]:
        """The entries after the noise that tell a class or a category."""
        k = self.condition.one_of
        return [range(self.latent, self.latent + k)] if k else []

    def meanings(self) -> list[int]:
        """The entries after the noise."""
        return [*range(self.latent, self.latent + self.condition.numbers)]

    def judge(self, batch: Batch) -> Verdict:
        """What the discriminator says of a batch, and of as many events generated beside it."""
        told = self.condition.of_generated(batch)
        with evaluating(self.discriminator), evaluating(self.generator), torch.enable_grad():
            generated = self._generated(batch, told).detach()
            real = self.discriminator.opinion(batch["x"], batch.get("condition"))
            return Verdict(*real, *self.discriminator.opinion(generated, told))

    def _noise(self, *sizes: int) -> Tensor:
        noise = torch.randn(*sizes, self.latent, device=self.device)
        return noise.to(self.dtype)  # pyright: ignore[reportArgumentType, reportCallIssue]


def shown(share: Batch) -> Shown:
    """The real events of a share, and what they are of."""
    return Shown(share["x"], share.get("condition"))
