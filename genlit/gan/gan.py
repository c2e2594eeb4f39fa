"""Generative adversarial networks: the rounds of the game of two players."""

from collections.abc import Sequence

import lightning as L
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from genlit.gan.costs import Cost, NonSaturatingCost
from genlit.gan.ema import average, twin, unmoved
from genlit.gan.optimizer import GANAdam
from genlit.gan.trainer_options import refuse_automatic_options, refuse_options
from genlit.model import GenerativeModel, evaluating
from genlit.networks import DCGANDiscriminator, DCGANGenerator, Network
from genlit.protocols import Batch, Samples


class GAN(GenerativeModel, Samples):
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
        discriminator: Builds the network from events to the log-odds of being real.
        cost: What the players minimize.
        discriminator_steps: The discriminator's steps a round; data.batch_size must be a multiple.
        generator_steps: The generator's steps a round.
        ema_decay: Samples come from a running average of the generator's weights that forgets by
            this factor a step; 0 takes the generator itself.
        discriminator_optimizer: Builds the discriminator's optimizer from its parameters.
        generator_optimizer: Builds the generator's optimizer from its parameters.

    Raises:
        ValueError: If a number of steps is less than 1, or the decay is not in [0, 1).
    """

    rounds: Tensor
    discriminator_updates: Tensor
    generator_updates: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        latent: int = 100,
        generator: Network = DCGANGenerator,
        discriminator: Network = DCGANDiscriminator,
        cost: Cost = NonSaturatingCost(),  # noqa: B008 - it has no state
        discriminator_steps: int = 1,
        generator_steps: int = 1,
        ema_decay: float = 0.0,
        discriminator_optimizer: OptimizerCallable = GANAdam,
        generator_optimizer: OptimizerCallable = GANAdam,
    ) -> None:
        if min(discriminator_steps, generator_steps) < 1:
            raise ValueError("discriminator_steps and generator_steps must be 1 or more")
        if not 0 <= ema_decay < 1:
            raise ValueError(f"ema_decay {ema_decay} is not in [0, 1): 0.99 is customary here")
        super().__init__(shape)
        self.automatic_optimization = False
        self.latent = latent
        self.cost = cost
        self.discriminator_steps = discriminator_steps
        self.generator_steps = generator_steps
        self.ema_decay = ema_decay
        self.discriminator_optimizer = discriminator_optimizer
        self.generator_optimizer = generator_optimizer
        self.generator = generator((latent,), self.shape)
        self.discriminator = discriminator(self.shape, (1,))
        self.averaged_generator = twin(self.generator) if ema_decay else None
        for counter in ("rounds", "discriminator_updates", "generator_updates"):
            self.register_buffer(counter, torch.zeros((), dtype=torch.int64))

    def configure_callbacks(self) -> list[L.Callback]:
        """None; but this is the last moment to speak before Lightning does."""
        refuse_automatic_options(self.trainer)
        return []

    def setup(self, stage: str) -> None:
        if stage == "fit":
            refuse_options(self.trainer, self.discriminator_steps + self.generator_steps)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            self.discriminator_optimizer(self.discriminator.parameters()),
            self.generator_optimizer(self.generator.parameters()),
        ]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """What either player would minimize on a batch; nothing is minimized jointly."""
        z = self._noise(2, len(batch["x"]))
        return self._discriminator_terms(batch["x"], z[0]) | self._generator_terms(z[1])

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Plays one round."""
        discriminator, generator = self.optimizers()  # pyright: ignore[reportGeneralTypeIssues]
        shares = self._shares(batch["x"])
        z = self._noise(self.discriminator_steps + self.generator_steps, len(shares[0]))
        terms: dict[str, Tensor] = {}
        for x, noise in zip(shares, z, strict=False):
            with self.toggled_optimizer(discriminator):
                terms |= self._discriminator_terms(x, noise)
                self._descend(discriminator, terms["discriminator_loss"])
            self.discriminator_updates += 1
        for noise in z[len(shares) :]:
            with self.toggled_optimizer(generator):
                terms |= self._generator_terms(noise)
                self._descend(generator, terms["generator_loss"])
            self.generator_updates += 1
            self._share_statistics()
            self._average()
        self.rounds += 1
        self.report(terms)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Validating is what callbacks do; see the class."""

    @torch.no_grad()
    def sample(self, n: int, raw: bool = False) -> Tensor:
        """Generated events given z ~ N(0, 1).

        Args:
            n: How many.
            raw: Takes the generator itself, even where there is an average of its weights.
        """
        averaged = self.averaged_generator
        network = self.generator if raw or averaged is None else averaged
        with evaluating(network):
            return network(self._noise(n)).sigmoid()

    def _noise(self, *sizes: int) -> Tensor:
        noise = torch.randn(*sizes, self.latent, device=self.device)
        return noise.to(self.dtype)  # pyright: ignore[reportArgumentType, reportCallIssue]

    def _shares(self, x: Tensor) -> Sequence[Tensor]:
        steps = self.discriminator_steps
        if len(x) % steps:
            raise ValueError(
                f"a batch of {len(x)} cannot be shared evenly among the discriminator's {steps} "
                f"steps: set data.batch_size to a multiple of {steps}, such as "
                f"{-(-len(x) // steps) * steps}"
            )
        return x.chunk(steps)

    def _discriminator_terms(self, x: Tensor, z: Tensor) -> dict[str, Tensor]:
        with torch.no_grad(), unmoved(self.generator):
            generated = self.generator(z).sigmoid()
        real, fake = self.discriminator(x), self.discriminator(generated)
        return {
            "discriminator_loss": self.cost.discriminator(real, fake),
            "real_probability": real.detach().sigmoid().mean(),
            "fake_probability": fake.detach().sigmoid().mean(),
        }

    def _generator_terms(self, z: Tensor) -> dict[str, Tensor]:
        fake = self.discriminator(self.generator(z).sigmoid())
        return {"generator_loss": self.cost.generator(fake)}

    def _descend(self, optimizer: LightningOptimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        optimizer.zero_grad()

    def _share_statistics(self) -> None:
        """Gives all processes the mean of their networks' statistics, so that they sample alike."""
        if self.trainer.world_size == 1:
            return
        for player in (self.discriminator, self.generator):
            for buffer in player.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self.trainer.strategy.reduce(buffer, reduce_op="mean"))

    def _average(self) -> None:
        if self.averaged_generator is not None:
            average(self.averaged_generator, self.generator, self.ema_decay, self.generator_updates)
