"""Networks that translate one thing into another, by whatever losses the config adds up."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from genlit.learning import falling, scheduled
from genlit.losses import MSE, Loss, Opponent
from genlit.model import GenerativeModel, evaluating, unmoved
from genlit.networks import MLP, Network
from genlit.protocols import Batch, Conditional, Plays, Verdict
from genlit.rounds import Rounds
from genlit.warm_start import load_network


class Translator(Rounds, Conditional, Plays):
    """A network that makes an event from a condition: an image from an image, a frame from frames.

    What it lowers is the weighted sum of `losses`. Where one of them is an opponent, as
    genlit.gan.Adversarial is, a training batch is a round of a game: the opponent takes its steps,
    each on an equal share of the batch, then the network takes its own. Else training is as of any
    network.

    With noise a condition has many answers, of which `sample_given` draws one.

    References:
        | Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2017)
        | https://arxiv.org/abs/1611.07004

    Args:
        shape: The shape of one event.
        condition_shape: The shape of what it is made from; the command line takes both from the
            datamodule.
        network: Builds the network, from the condition to the event itself.
        losses: What is lowered, one after the other: MSE, L1, GradientDifference, FeatureLoss, and
            at most one genlit.gan.Adversarial; none means MSE.
        latent: How many channels of normal noise the network is given beside the condition.
        bounded: Whether events are in [0, 1], as pixels are, so that answers are cut off there.
        init_from: A run or checkpoint whose network is taken to begin with.
        opponent_steps: The opponent's steps a round; data.batch_size must be a multiple.
        lr_decay: Whether learning rates fall linearly to 0 over the run.
        optimizer: Builds the network's optimizer from its parameters.

    Raises:
        ValueError: If there is more than one opponent.
    """

    def __init__(
        self,
        shape: Sequence[int],
        condition_shape: Sequence[int],
        network: Network = MLP,
        losses: Sequence[Loss] = (),
        latent: int = 0,
        bounded: bool = True,
        init_from: Path | None = None,
        opponent_steps: int = 1,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        losses = losses or (MSE(),)  # which as a default could not be written to a config
        opponents = [loss for loss in losses if isinstance(loss, Opponent)]
        if len(opponents) > 1:
            raise ValueError(
                f"model.losses has {len(opponents)} opponents: name one genlit.gan.Adversarial at "
                "most"
            )
        given = (condition_shape[0] + latent, *condition_shape[1:])
        opponent = opponents[0] if opponents else None
        super().__init__(shape, opponent_steps, 1, lr_decay, optimizer, optimizer)
        self.condition_shape, self.latent = tuple(condition_shape), latent
        self.bounded, self.init_from = bounded, init_from
        self.network = network(given, self.shape)
        self.content = nn.ModuleList(loss for loss in losses if loss is not opponent)
        if opponent is not None:
            opponent.build(self.shape, self.condition_shape)
            self.discriminator_optimizer = opponent.optimizer
        self.opponent = opponent
        self.automatic_optimization = opponent is None

    @property
    def players(self) -> dict[str, nn.Module]:
        """The network and its opponent, if it has one, as games call them."""
        opponent = {} if self.opponent is None else {"discriminator": self.opponent}
        return {**opponent, "generator": self.network}

    # Learning without an opponent is Lightning's; with one it is a game.

    def configure_callbacks(self) -> list[L.Callback]:
        return [] if self.opponent is None else super().configure_callbacks()

    def setup(self, stage: str) -> None:
        if stage == "fit" and self.init_from is not None and self.trainer.ckpt_path is None:
            load_network(self.network, self.init_from, "network")
        if self.opponent is not None:
            super().setup(stage)

    def configure_optimizers(self) -> Any:
        if self.opponent is not None:
            return super().configure_optimizers()
        optimizer = self.generator_optimizer(self.network.parameters())
        return scheduled(optimizer, falling(self.trainer)) if self.lr_decay else optimizer

    def training_step(self, batch: Batch, batch_idx: int) -> Any:
        if self.opponent is not None:
            return super().training_step(batch, batch_idx)
        return GenerativeModel.training_step(self, batch, batch_idx)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Logs what losses other than the opponent say of held-out data."""
        GenerativeModel.validation_step(self, batch, batch_idx)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted sum of all losses but the opponent, as "loss", and each by itself."""
        condition = self.condition_of(batch)
        return self._compared(self._answer(condition), batch["x"], condition)

    def generator_terms(self, share: Batch) -> dict[str, Tensor]:
        assert self.opponent is not None
        condition = self.condition_of(share)
        answer = self._answer(condition)
        terms = self._compared(answer, share["x"], condition)
        fooled = self.opponent(answer, share["x"], condition)
        return {
            **{name: value.detach() for name, value in terms.items() if name != "loss"},
            "fooling": fooled.detach(),
            "generator_loss": terms["loss"] + self.opponent.weight * fooled,
        }

    def discriminator_terms(self, share: Batch) -> dict[str, Tensor]:
        assert self.opponent is not None
        condition = self.condition_of(share)
        with torch.no_grad(), unmoved(self.network):
            answer = self._answer(condition)
        return self.opponent.terms(answer, share["x"], condition)

    def after_discriminator(self, terms: dict[str, Tensor], n: int) -> None:
        assert self.opponent is not None
        accuracy = self.mean_over_processes(terms["real_accuracy"])
        self.opponent.after_step(accuracy, n * self.trainer.world_size)

    def condition_of(self, batch: Batch) -> Tensor:
        """What the events of a batch are made from, (B, *condition_shape).

        Raises:
            ValueError: If the data has no conditions.
        """
        if "condition" not in batch:
            raise ValueError(
                f"{type(self).__name__} makes events from conditions, and this data has none: take "
                "data with a condition_shape, such as genlit.data.EdgesToDigits"
            )
        return batch["condition"]

    def _compared(self, answer: Tensor, truth: Tensor, condition: Tensor) -> dict[str, Tensor]:
        terms, total = {}, answer.new_zeros(())
        for loss in self.content:
            assert isinstance(loss, Loss)
            terms[loss.name] = loss(answer, truth, condition)
            total = total + loss.weight * terms[loss.name]
        return {"loss": total, **terms}

    def _answer(self, condition: Tensor) -> Tensor:
        if self.latent:
            sizes = (len(condition), self.latent, *condition.shape[2:])
            noise = torch.randn(sizes, device=condition.device, dtype=condition.dtype)
            condition = torch.cat([condition, noise], 1)
        return self.network(condition)

    # What the model can be asked

    @torch.no_grad()
    def sample_given(self, condition: Tensor) -> Tensor:
        """Draws one event for each condition (B, *condition_shape); (B, *shape).

        Without noise it is the only one. Networks that are convolutional take images of any size.
        """
        with evaluating(self.network):
            answer = self._answer(condition.to(self.device))
        return answer.clamp(0, 1) if self.bounded else answer

    def judge(self, batch: Batch) -> Verdict:
        """What the opponent says of a batch, and of what the network makes of its conditions.

        Raises:
            ValueError: If there is no opponent.
        """
        if self.opponent is None:
            raise ValueError("this model has no opponent to be asked: add genlit.gan.Adversarial")
        condition = self.condition_of(batch)
        with evaluating(self), torch.enable_grad():
            with torch.no_grad():
                answer = self._answer(condition)
            real = self.opponent.opinion(batch["x"], condition)
            return Verdict(*real, *self.opponent.opinion(answer, condition))
