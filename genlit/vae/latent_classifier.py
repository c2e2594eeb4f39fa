"""M1: a classifier of a VAE's codes."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from genlit.annealing import several
from genlit.learning import lengths, refuse_endless, scheduled
from genlit.model import unmoved
from genlit.networks import MLP, Network
from genlit.protocols import Batch, Classifies, labelled_pairs
from genlit.vae.class_layer import error
from genlit.vae.vae import VAE


class LatentClassifier(VAE, Classifies):
    """M1: a VAE learns codes of all events, and then a classifier of codes learns labels.

    One run trains both. In its first epochs the VAE learns from events without their labels; then
    it stays as it is, and the classifier learns from codes of the labelled events, drawn from
    q(z | x) at every visit. An event is classified by the mean of its code. `loss` is that of the
    stage, so its values of two stages cannot be compared; numbers of the VAE are called vae_elbo,
    vae_kl and vae_reconstruction.

    References:
        | Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014)
        | https://arxiv.org/abs/1406.5298

    Args:
        shape: The shape of one event.
        classes: The number of classes.
        codes: The number of the VAE's latent variables.
        epochs: The epochs of the VAE; those of the classifier are the rest of trainer.max_epochs.
        classifier: Builds the network from codes to logits of classes.
        lr_decay: Whether the learning rate falls linearly to 0 within each of the two stages.
        **options: All that VAE takes, but for latent.
    """

    top: Any  # what learns in the second stage
    stage: Tensor  # 0 while the VAE learns, then 1

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 10,
        codes: int = 50,
        epochs: int = 20,
        classifier: Network = MLP,
        lr_decay: bool = False,
        **options: Any,
    ) -> None:
        if epochs < 1:
            raise ValueError(f"epochs is {epochs}: the VAE needs 1 epoch or more")
        super().__init__(shape, codes, lr_decay=lr_decay, **options)
        self.classes, self.epochs = classes, epochs
        self.top = classifier((codes,), (classes,))
        self.register_buffer("stage", torch.zeros((), dtype=torch.int64))

    # Stages

    def on_fit_start(self) -> None:
        """Refuses data that the law of pixels is not made for, and warns of too short a run."""
        super().on_fit_start()
        looking: Any = self.trainer.fast_dev_run  # pyright: ignore[reportAttributeAccessIssue]
        if not looking and 0 <= (self.trainer.max_epochs or 0) <= self.epochs:
            warnings.warn(
                f"the VAE takes {self.epochs} epochs and trainer.max_epochs is "
                f"{self.trainer.max_epochs}, which leaves none for the classifier: raise "
                "trainer.max_epochs",
                stacklevel=2,
            )

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Begins the second stage at its first batch, and forgets what the first logged last."""
        self.stage.fill_(int(self.current_epoch >= self.epochs))
        if batch_idx == 0 and self.current_epoch == self.epochs:
            self.trainer.callback_metrics.clear()  # else it would be shown beside the second's

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.parameters())
        if not self.lr_decay:
            return optimizer
        refuse_endless(self.trainer)
        return scheduled(optimizer, self._rate)

    def _rate(self, step: int) -> float:
        """The share of the learning rate at a step."""
        epoch, total = lengths(self.trainer, step)
        end = self.epochs * epoch
        if step == 0 or step < end:
            return 1 - step / max(end, 1)
        return max(1 - (step - end) / max(total - end, 1), 0.0)

    # Learning

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """What the stage lowers, as "loss"; what else the VAE logs begins with "vae_"."""
        if self.stage:
            x, labels = labelled_pairs(batch, self.classes)
            with torch.no_grad(), unmoved(self.encoder):  # which stays as it is
                z, known = self._drawn(batch["x"]), self._drawn(x)
            terms = self.second(z, known, labels)
        else:
            found = super().loss(batch)
            terms = {name if name == "loss" else f"vae_{name}": x for name, x in found.items()}
        if several():  # each of which must have a gradient for every parameter
            idle = torch.stack([p.sum() for p in self._idle()])
            terms["loss"] = terms["loss"] + 0.0 * idle.sum()
        return terms

    def second(self, z: Tensor, known: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """What the second stage lowers, under "loss", and other scalars to log.

        Args:
            z: Codes of events of unknown classes, (B, codes).
            known: Codes of events of known ones, (L, codes).
            labels: Their classes, (L, classes), one-hot.
        """
        logits = self.top(known)
        return {"loss": nnf.cross_entropy(logits, labels), "error": error(logits, labels)}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Keeps weight decay and momentum off parameters that are idle."""
        for parameter in self._idle():
            parameter.grad = None

    def _idle(self) -> list[nn.Parameter]:
        """The parameters that do not learn in this stage."""
        top = list(self.top.parameters())
        theirs = {id(p) for p in top}
        return [p for p in self.parameters() if id(p) not in theirs] if self.stage else top

    def _drawn(self, x: Tensor) -> Tensor:
        """A code of each event, (B, codes)."""
        return self.recognition(x).draw(1)[0][0]

    # What the model can be asked

    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """Log q(y | z) at the mean z of each event's code, (B, classes)."""
        return self.top(self.encode(x)).log_softmax(1)
