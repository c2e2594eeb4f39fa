"""Pictures of samples as training goes on."""

import math
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import lightning as L
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from genlit.callbacks.pictures import as_grid, is_image
from genlit.callbacks.sampling import draw, sampled_shape


@runtime_checkable
class LogsImages(Protocol):
    """A logger that takes images, as WandbLogger does."""

    def log_image(self, key: str, images: list[Any]) -> None: ...


@runtime_checkable
class AddsImages(Protocol):
    """A logger's experiment that takes images, as TensorBoard's does."""

    def add_image(self, tag: str, img_tensor: Tensor, global_step: int) -> None: ...


class SampleGrid(L.Callback):
    """Draws samples under the same noise again and again, into samples/*.png of the run folder.

    A picture is never overwritten; loggers that take images get it too.

    Args:
        n: Samples in a picture.
        every_n_epochs: Draws after every so many epochs, and after the last.
        seed: Seeds the noise.
    """

    def __init__(self, n: int = 64, every_n_epochs: int = 1, seed: int = 0) -> None:
        if min(n, every_n_epochs) < 1:
            raise ValueError("SampleGrid needs n and every_n_epochs of 1 or more")
        self.n = n
        self.every_n_epochs = every_n_epochs
        self.seed = seed
        self._epochs = self._drawn = 0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        shape = sampled_shape(pl_module)
        if not is_image(shape):
            raise ValueError(
                f"SampleGrid draws images of shape (1 or 3, height, width), not events of shape "
                f"{shape}: take it out of trainer.callbacks"
            )

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._epochs = trainer.current_epoch + 1
        if self._epochs % self.every_n_epochs == 0:
            self._picture(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._drawn < self._epochs:
            self._picture(trainer, pl_module)

    def _picture(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        self._drawn = self._epochs
        if not trainer.is_global_zero:
            return
        samples = draw(model, self.n, "grid", self.seed).cpu()
        if trainer.fast_dev_run:  # pyright: ignore[reportAttributeAccessIssue]
            return
        grid = as_grid(samples, math.ceil(self.n**0.5))
        folder = Path(trainer.default_root_dir) / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        with _unused(folder, f"epoch-{self._epochs:04d}").open("xb") as file:
            to_pil_image(grid).save(file, format="PNG")
        for logger in trainer.loggers:
            if isinstance(logger, LogsImages):
                logger.log_image("samples", [to_pil_image(grid)])
            elif isinstance(experiment := getattr(logger, "experiment", None), AddsImages):
                experiment.add_image("samples", grid, trainer.global_step)


def _unused(folder: Path, stem: str) -> Path:
    """The path of a new picture: stem.png, or stem-2.png and so on where it exists."""
    path, number = folder / f"{stem}.png", 2
    while path.exists():
        path, number = folder / f"{stem}-{number}.png", number + 1
    return path
