"""Translation learned without pairs: there and back again is where one began."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn import functional as nnf

from genlit.losses import Opponent
from genlit.model import evaluating, unmoved
from genlit.networks import Network, UNet
from genlit.protocols import Batch, Conditional, Plays, Verdict
from genlit.rounds import Rounds
from genlit.translation.image_pool import ImagePool


class CycleGAN(Rounds, Conditional, Plays):
    """Two generators, from conditions to events and back, each against an opponent of its side.

    No pair is seen: answers are to look like events of the other side, and what is translated there
    and back is to be what it was. What it is compared with is mean absolute error. Data are
    genlit.data.Unpaired; of others only the halves are used.

    References:
        | Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu et
        | al., 2017), https://arxiv.org/abs/1703.10593

    Args:
        shape: The shape of one event.
        condition_shape: The shape of what it is made from; the command line takes both from the
            datamodule.
        opponent: Tells answers from truths, a genlit.gan.Adversarial; each side gets one of its
            own. The paper's has a LeastSquaresCost and a PatchDiscriminator.
        network: Builds the networks, from conditions to events and from events to conditions.
        cycle: The coefficient of what there and back changes; the opponent's weight is beside it.
        identity: The coefficient of what is changed where there is nothing to do, given an image
            of the side that is to be made; 0 where the two have other channels.
        pool: How many earlier answers of each side discriminators are shown again; 0 shows none.
        opponent_steps: Both opponents' steps a round; data.batch_size must be a multiple.
        lr_decay: Whether learning rates fall linearly to 0 over the run.
        optimizer: Builds the networks' optimizer from their parameters.

    Raises:
        ValueError: If a coefficient is below 0, or nothing can be compared by identity.
    """

    per_rank = tuple(
        f"pools.{side}.{buffer}" for side in ("event", "condition") for buffer in ("images", "kept")
    )

    def __init__(
        self,
        shape: Sequence[int],
        condition_shape: Sequence[int],
        opponent: Opponent,
        network: Network = UNet,
        cycle: float = 10.0,
        identity: float = 0.0,
        pool: int = 50,
        opponent_steps: int = 1,
        lr_decay: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        if min(cycle, identity, pool) < 0:
            raise ValueError(
                f"cycle, identity and pool are {cycle}, {identity} and {pool}: they are 0 or more"
            )
        if identity and tuple(shape) != tuple(condition_shape):
            raise ValueError(
                f"identity compares events of shape {tuple(shape)} with what is made from them as "
                f"if they were conditions, which have shape {tuple(condition_shape)}: set it to 0"
            )
        super().__init__(shape, opponent_steps, 1, lr_decay, opponent.optimizer, optimizer)
        self.condition_shape = tuple(condition_shape)
        self.cycle, self.identity = cycle, identity
        self.generators = nn.ModuleDict(
            {
                "event": network(self.condition_shape, self.shape),
                "condition": network(self.shape, self.condition_shape),
            }
        )
        sides = {"event": self.shape, "condition": self.condition_shape}
        self.opponents = nn.ModuleDict({side: deepcopy(opponent) for side in sides})
        for side, of in sides.items():
            self._opponent(side).build(of, (0, *of[1:]))  # it knows of no condition
        self.pools = nn.ModuleDict({side: ImagePool(of, pool) for side, of in sides.items()})

    @property
    def players(self) -> dict[str, nn.Module]:
        return {"discriminator": self.opponents, "generator": self.generators}

    def discriminator_terms(self, share: Batch) -> dict[str, Tensor]:
        truths = sides_of(share)
        with torch.no_grad(), unmoved(self.generators):
            answers = self._translated(truths)
        terms: dict[str, list[Tensor]] = {}
        for side, truth in truths.items():
            shown = self.pools[side](answers[side])
            for name, value in self._opponent(side).terms(shown, truth, nothing(truth)).items():
                terms.setdefault(name, []).append(value)
        means = {name: torch.stack(values).mean(0) for name, values in terms.items()}
        return means | {"discriminator_loss": torch.stack(terms["discriminator_loss"]).sum()}

    def after_discriminator(self, terms: dict[str, Tensor], n: int) -> None:
        accuracy = self.mean_over_processes(terms["real_accuracy"])
        for side in self.opponents:
            self._opponent(side).after_step(accuracy, n * self.trainer.world_size)

    def generator_terms(self, share: Batch) -> dict[str, Tensor]:
        truths = sides_of(share)
        answers = self._translated(truths)
        back = self._translated(answers)
        total = fooling = cycle = identity = share["x"].new_zeros(())
        for side, truth in truths.items():
            opponent = self._opponent(side)
            fooled = opponent(answers[side], truth, nothing(truth))
            total, fooling = total + opponent.weight * fooled, fooling + fooled
            cycle = cycle + nnf.l1_loss(back[side], truth)
            if self.identity:
                identity = identity + nnf.l1_loss(self.generators[side](truth), truth)
        total = total + self.cycle * cycle + self.identity * identity
        terms = {"fooling": fooling.detach(), "cycle": cycle.detach(), "generator_loss": total}
        return terms | ({"identity": identity.detach()} if self.identity else {})

    def _translated(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        """Both sides, each made from the other."""
        return {
            "event": self.generators["event"](given["condition"]),
            "condition": self.generators["condition"](given["event"]),
        }

    def _opponent(self, side: str) -> Opponent:
        opponent = self.opponents[side]
        assert isinstance(opponent, Opponent)
        return opponent

    # What the model can be asked

    @torch.no_grad()
    def sample_given(self, condition: Tensor) -> Tensor:
        """Makes an event of each condition, in [0, 1]; (B, *shape)."""
        return self._asked("event", condition)

    @torch.no_grad()
    def sample_condition(self, x: Tensor) -> Tensor:
        """Makes a condition of each event, in [0, 1]: the way back; (B, *condition_shape)."""
        return self._asked("condition", x)

    def _asked(self, side: str, given: Tensor) -> Tensor:
        with evaluating(self.generators):
            return self.generators[side](given.to(self.device)).clamp(0, 1)

    def judge(self, batch: Batch) -> Verdict:
        """What the opponent of events says of a batch, and of what is made of its conditions."""
        opponent, truths = self._opponent("event"), sides_of(batch)
        with evaluating(self), torch.enable_grad():
            with torch.no_grad():
                answer = self.generators["event"](truths["condition"])
            real = opponent.opinion(truths["event"], nothing(truths["event"]))
            return Verdict(*real, *opponent.opinion(answer, nothing(answer)))


def sides_of(batch: Batch) -> dict[str, Tensor]:
    """The events of a batch and its conditions, which need not belong together.

    Raises:
        ValueError: If the data has no conditions.
    """
    if "condition" not in batch:
        raise ValueError(
            "CycleGAN translates between events and conditions, and this data has none: take "
            "genlit.data.Unpaired"
        )
    return {"event": batch["x"], "condition": batch["condition"]}


def nothing(x: Tensor) -> Tensor:
    """A condition of no channels, (B, 0, H, W)."""
    return x[:, :0]
