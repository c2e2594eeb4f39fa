"""The kernel density of samples, for comparison with numbers of the years when it was in use."""

import warnings
from collections.abc import Sequence

import lightning as L
import torch
from torch import Tensor

from genlit.annealing import gathered
from genlit.callbacks.extraction import real_images
from genlit.callbacks.judge import Judge
from genlit.callbacks.sampling import draw, sampled_shape
from genlit.kernel_density import kernel_density, mean_log_densities
from genlit.model import GenerativeModel
from genlit.randomness import permutation
from genlit.runs import Measurement

STDS = (0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.22, 0.25, 0.3, 0.4)  # of kernels on MNIST


class LegacyParzen(Judge):
    """Measures the log-density of grey test images under a Gaussian kernel density of samples.

    It is no likelihood of the model, and misleads: in hundreds of dimensions, some thousand samples
    lie nowhere near a test image, so that the number tells how well kernels cover the data, and not
    what the model knows. It prefers stiff and typical samples, and may rank a model above the real
    images themselves. It is here to stand beside published numbers, and nowhere else.

    Images are grey levels in [0, 1], whatever the model learned from. Samples are as the model
    gives them: expected pixels, of models that know zeros and ones only. The width of kernels is
    the one of `stds` that is best for validation images. The standard error joins that of the
    finite test set and that of the samples, taken as independent.

    References:
        | Better Mixing via Deep Representations (Bengio, Mesnil, Dauphin & Rifai, 2013)
        | A Note on the Evaluation of Generative Models (Theis, van den Oord & Bethge, 2016)
        | https://arxiv.org/abs/1511.01844

    Args:
        n_samples: Samples on which kernels stand.
        stds: The widths of kernels to choose from, in the units of pixels.
        n_val: Validation images that choose.
        batch_size: Samples drawn at a time; another one gives other samples.
        every_n_epochs: Also measures at validation after every so many epochs, on the validation
            images that do not choose; 0 never does.
        seed: Seeds the samples and the choice of validation images.
    """

    def __init__(
        self,
        n_samples: int = 10_000,
        stds: Sequence[float] = STDS,
        n_val: int = 1_000,
        batch_size: int = 500,
        every_n_epochs: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(every_n_epochs)
        if min(n_samples, n_val) < 2 or batch_size < 1:
            raise ValueError("LegacyParzen needs n_samples and n_val of 2 or more")
        if not stds or min(stds) <= 0:
            raise ValueError("LegacyParzen needs stds that are above 0")
        self.n_samples, self.n_val, self.batch_size = n_samples, n_val, batch_size
        self.stds = sorted(stds)
        self.seed = seed

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuses, before any time is spent, what could not be measured in the end."""
        sampled_shape(pl_module)
        if stage != "fit" or self.every_n_epochs:
            n = len(real_images(trainer, "val", "LegacyParzen"))
            if stage != "test" and n <= self.n_val:
                raise ValueError(
                    f"LegacyParzen chooses the width on {self.n_val} of {n} validation images, "
                    "which leaves none to measure: lower n_val"
                )

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.measurements = []

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._judge(trainer, pl_module, "test")

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.due(trainer):
            self._judge(trainer, pl_module, "val")

    @torch.no_grad()
    def _judge(self, trainer: L.Trainer, model: L.LightningModule, split: str) -> None:
        assert isinstance(model, GenerativeModel)
        device, val = model.device, real_images(trainer, "val", "LegacyParzen")
        order = permutation(len(val), "parzen", self.seed)
        samples = self._samples(trainer, model).to(device)
        fits = mean_log_densities(
            in_unit_interval(val[order[: self.n_val]]).to(device), samples, self.stds
        )
        best = int(fits.argmax())
        if trainer.is_global_zero and len(fits) > 1 and best in (0, len(fits) - 1):
            warnings.warn(
                f"the best width of kernels, {self.stds[best]}, is at an end of the stds of "
                "LegacyParzen: give it some beyond",
                stacklevel=2,
            )
        judged = real_images(trainer, "test", "LegacyParzen") if split == "test" else (
            val[order[self.n_val :]]
        )  # fmt: skip
        mine = in_unit_interval(judged[trainer.global_rank :: trainer.world_size]).to(device)
        found = kernel_density(mine, samples, self.stds[best])
        counts = torch.tensor([found.n, found.total, found.squares], dtype=torch.float64)
        sums = trainer.strategy.reduce(
            torch.cat([counts.to(device), found.shares]), reduce_op="sum"
        ).cpu()
        self.conclude(model, self._measurement(sums, float(fits[best]), best, trainer, split))

    def _samples(self, trainer: L.Trainer, model: GenerativeModel) -> Tensor:
        """Samples that all processes draw together, (n_samples, D) in [0, 1]."""
        sizes = [len(b) for b in torch.arange(self.n_samples).split(self.batch_size)]
        mine = range(trainer.global_rank, len(sizes), trainer.world_size)
        every = gathered({k: draw(model, sizes[k], "parzen", self.seed, k).cpu() for k in mine})
        return in_unit_interval(torch.cat([every[k] for k in range(len(sizes))]))

    def _measurement(
        self, sums: Tensor, fit: float, best: int, trainer: L.Trainer, split: str
    ) -> Measurement:
        n, total, squares = sums[:3].tolist()
        mean = total / n
        of_data = (max(squares / n - mean**2, 0.0) / max(n - 1, 1)) ** 0.5
        of_samples = float((sums[3:] / n * self.n_samples).std()) / self.n_samples**0.5
        protocol = protocol_of(trainer)
        return Measurement(
            name=f"parzen_legacy_{protocol}",
            split=split,
            value=mean,
            stderr=(of_data**2 + of_samples**2) ** 0.5,
            unit="nats",
            kind="estimate",
            method=f"Gaussian kernel density of {self.n_samples} samples, std {self.stds[best]} "
            f"chosen on {self.n_val} validation images; log-density of grey levels in [0, 1]",
            n=int(n),
            protocol=protocol,
            details={
                "std": self.stds[best],
                "log_density_of_validation": fit,
                "stderr_of_data": of_data,
                "stderr_of_samples": of_samples,
            },
        )


def protocol_of(trainer: L.Trainer) -> str:
    """What was done to the images that are kept: "grey", unless they were binarized for good."""
    parts = getattr(getattr(trainer, "datamodule", None), "protocol", "grey").split("_")
    kept = [p for p in parts[1:] if p != "levels"]
    return "_".join(["static" if parts[0] == "static" else "grey", *kept])


def in_unit_interval(images: Tensor) -> Tensor:
    """Images (N, *shape) uint8 as rows of numbers in [0, 1], (N, D)."""
    return images.flatten(1) / 255
