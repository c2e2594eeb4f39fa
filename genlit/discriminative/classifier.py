"""A classifier that learns from labelled events alone."""

from collections.abc import Sequence

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.nn import functional as nnf

from genlit.model import GenerativeModel
from genlit.networks import MLP, Network
from genlit.protocols import Batch, Classifies, labelled_pairs


class Classifier(GenerativeModel, Classifies):
    """A classifier: log p(class | x) by a network, which learns from labelled events alone.

    It is not generative. Beside models that learn from unlabelled events, too, it is the row that
    says what those were good for: the same network with the same labels.

    Args:
        shape: The shape of one event.
        classes: The number of classes.
        network: Builds the network from events to logits.
        lr_decay: Whether the learning rate falls linearly to 0 over the run.
        optimizer: Builds the optimizer from the parameters.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 10,
        network: Network = MLP,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(shape, optimizer)
        self.classes, self.lr_decay = classes, lr_decay
        self.network = network(self.shape, (classes,))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy in nats, and the share of errors."""
        x, labels = labelled_pairs(batch, self.classes)
        logits = self.network(x)
        wrong = (logits.detach().argmax(1) != labels.argmax(1)).float().mean()
        return {"loss": nnf.cross_entropy(logits, labels), "error": wrong}

    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        return self.network(x).log_softmax(1)
