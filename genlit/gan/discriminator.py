"""The discriminator: what it is shown of events, what it says of them, and how steep that is."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlit.gan.heads import Head, Judgement
from genlit.gan.packing import pack
from genlit.gan.penalties import Seen, squared_slopes_at
from genlit.gan.views import View


class Discriminator(nn.Module):
    """A head that judges views of events, several of them together if they are packed.

    Args:
        head: The network, which may be told what events are of.
        views: What is shown in place of events, one after the other.
        packing: How many events are judged together.
    """

    def __init__(self, head: Head, views: Sequence[View] = (), packing: int = 1) -> None:
        super().__init__()
        self.head, self.views, self.packing = head, nn.ModuleList(views), packing

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Judgement:
        """Judges events (B, *shape); one judgement of each pack."""
        return self.head(self._shown(x), condition)

    def seen(self, x: Tensor, condition: Tensor | None, slopes: bool) -> tuple[Seen, Judgement]:
        """What it says, and all that penalties on its slope want to know.

        Args:
            x: Events, (B, *shape).
            condition: What they are of, (B, numbers).
            slopes: Whether logits are to be differentiable by what is shown.
        """
        shown = self._shown(x).detach().requires_grad_(slopes)
        judgement = self.head(shown, condition)
        return Seen(shown, judgement.logits, lambda x: self.head(x, condition).logits), judgement

    def opinion(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits of events as they are, without views, and ‖∇_x l(x)‖ of each pack; (B,)."""
        packed = pack(x, self.packing)
        with torch.no_grad():
            logits = self.head(packed, condition).logits
        slopes = squared_slopes_at(lambda x: self.head(x, condition).logits, packed).sqrt()
        return logits.float(), slopes.detach()

    def surprise(self, judgement: Judgement, condition: Tensor | None) -> Tensor | float:
        """Mean of -log q(condition | x) in nats, where it is asked what events are of."""
        if judgement.told is None or condition is None:
            return 0.0
        return self.head.surprise(judgement.told, condition)

    def adapt(self, accuracy: Tensor, n: int) -> None:
        """Has views look at the share of n real events that it called real."""
        for view in self.views:
            assert isinstance(view, View)
            view.adapt(accuracy, n)

    def _shown(self, x: Tensor) -> Tensor:
        for view in self.views:
            x = view(x)
        return pack(x, self.packing)
