"""How many modes of the data samples have, where the data has modes that can be told apart."""

import math

import lightning as L
import torch
from torch import Tensor

from genlit.annealing import gathered
from genlit.callbacks.held_out import some_events
from genlit.callbacks.sample_judge import SampleJudge
from genlit.callbacks.sampling import draw_events
from genlit.features.blocks import Block
from genlit.features.modes import Coverage, Modes, coverage, expected_modes
from genlit.progress import track
from genlit.runs import Measurement


class ModeCoverage(SampleJudge):
    """Counts the modes that samples hit, and measures whether they hit them equally often.

    The datamodule says what its modes are: `genlit.data.Ring`, `Grid` and `StackedMNIST` do. Beside
    the number of modes hit there are `high_quality`, the share of samples that belong to a mode at
    all, and `reverse_kl`, the divergence in nats of the modes of those from equally frequent ones.
    A mode counts as hit by one sample, so that the divergence tells more. Their details have what
    the same number of perfect samples, and held-out data, would have.

    References:
        | PacGAN: The Power of Two Samples in Generative Adversarial Networks (Lin et al., 2018)
        | https://arxiv.org/abs/1712.04086

    Args:
        n_samples: Samples at test; None takes as many as published numbers are of: 2,500 of
            mixtures, 26,000 of stacked digits.
        n_val_samples: Samples at validation.
        batch_size: Samples drawn at a time; another one gives other samples.
        every_n_epochs: Also measures at validation after every so many epochs; 0 never does.
        seed: Seeds the samples, so that each epoch has the same noise.
    """

    def __init__(
        self,
        n_samples: int | None = None,
        n_val_samples: int = 2_500,
        batch_size: int = 500,
        every_n_epochs: int = 0,
        seed: int = 0,
    ) -> None:
        fewest = n_val_samples if n_samples is None else n_samples
        super().__init__(fewest, n_val_samples, batch_size, every_n_epochs, seed)
        self.customary = n_samples is None
        self._real: dict[tuple[str, int], Tensor] = {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        data = getattr(trainer, "datamodule", None)
        modes = getattr(data, "modes", None)
        if not isinstance(modes, Modes):
            name = type(data).__name__ if data else "a run without a datamodule"
            raise ValueError(
                f"ModeCoverage counts modes, and {name} does not say what its modes are: train on "
                "Ring, Grid or StackedMNIST, or take ModeCoverage out of trainer.callbacks"
            )
        self.modes = modes
        self._real = {}
        if self.customary:
            self.n_samples = modes.customary

    def measure(
        self, trainer: L.Trainer, model: L.LightningModule, split: str, n: int
    ) -> list[Measurement]:
        def block(k: int, count: int) -> Tensor:
            return draw_events(model, count, "modes", self.seed, k)

        found = coverage(self._assigned(trainer, block, n), self.modes.count)
        real = self._of_real(trainer, split, n)
        protocol = str(getattr(trainer.datamodule, "protocol", ""))  # pyright: ignore[reportAttributeAccessIssue]
        return self._measurements(found, real, n, split, protocol)

    def _of_real(self, trainer: L.Trainer, split: str, n: int) -> Tensor:
        """The modes of held-out events, as many as there are samples if there are so many."""
        if (split, n) not in self._real:
            x = some_events(trainer, split, n, "modes")
            x = x.to(trainer.strategy.root_device)

            def block(k: int, count: int) -> Tensor:
                return x[k * self.batch_size :][:count]

            self._real[split, n] = self._assigned(trainer, block, len(x))
        return self._real[split, n]

    def _assigned(self, trainer: L.Trainer, block: Block, n: int) -> Tensor:
        """The modes of n events, found by all processes together; (n,) on each of them."""
        sizes = [len(b) for b in torch.arange(n).split(self.batch_size)]
        mine = range(trainer.global_rank, len(sizes), trainer.world_size)
        every = gathered(
            {k: self.modes.assign(block(k, sizes[k])).cpu() for k in track(mine, "modes, blocks")}
        )
        return torch.cat([every[k] for k in range(len(sizes))])

    def _measurements(
        self, found: Coverage, real: Tensor, n: int, split: str, protocol: str
    ) -> list[Measurement]:
        modes, of_real = self.modes, coverage(real, self.modes.count)
        floor = {"n_real": len(real)}
        expected = expected_modes(modes.count, n)
        inside = round(n * found.high_quality)
        chance = (modes.count - 1) / (2 * max(inside, 1))
        every = [
            ("modes", found.modes, None, "", n,
             {"of": modes.count, "expected": expected, "real": of_real.modes}),
            ("high_quality", found.high_quality, found.high_quality_stderr, "", n,
             {"ceiling": modes.ceiling, "real": of_real.high_quality}),
            ("reverse_kl", found.reverse_kl, found.reverse_kl_stderr, "nats", inside,
             {"chance": chance, "largest": math.log(modes.count), "real": of_real.reverse_kl}),
        ]  # fmt: skip
        return [
            Measurement(
                name=f"{name}_{modes.name}",
                split=split,
                value=value,
                stderr=stderr,
                unit=unit,
                kind="estimate",
                method=f"{n} samples; {modes.rule}",
                n=counted,
                protocol=protocol,
                details=details | floor,
            )
            for name, value, stderr, unit, counted, details in every
            if name != "high_quality" or modes.ceiling < 1
        ]
