"""Callbacks that draw one picture again and again as training goes on."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import lightning as L
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from genlit.callbacks.pictures import is_image


@runtime_checkable
class LogsImages(Protocol):
    """A logger that takes images, as WandbLogger does."""

    def log_image(self, key: str, images: list[Any]) -> None: ...


@runtime_checkable
class AddsImages(Protocol):
    """A logger's experiment that takes images, as TensorBoard's does."""

    def add_image(self, tag: str, img_tensor: Tensor, global_step: int) -> None: ...


class Drawing(L.Callback, ABC):
    """Puts what it draws into samples/*.png of the run folder, and never overwrites a picture.

    Loggers that take images get it too. Of several processes the first one draws.

    Args:
        every_n_epochs: Draws after every so many epochs, and after the last.
    """

    name: ClassVar[str]  # under which loggers know it
    prefix: ClassVar[str]  # of the names of its files, before epoch-0001.png

    def __init__(self, every_n_epochs: int = 1) -> None:
        self.every_n_epochs = every_n_epochs
        self._epochs = self._drawn = 0

    @abstractmethod
    def draw(self, trainer: L.Trainer, model: L.LightningModule) -> Tensor:
        """The picture of a model as it is now, (3, height, width) uint8."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._epochs = trainer.current_epoch + 1
        if self._epochs % self.every_n_epochs == 0:
            self._picture(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._drawn < self._epochs:
            self._picture(trainer, pl_module)

    def refuse_no_images(self, shape: tuple[int, ...]) -> None:
        """Makes sure that events of a shape can be drawn.

        Raises:
            ValueError: If they cannot.
        """
        if not is_image(shape):
            raise ValueError(
                f"{type(self).__name__} draws images of shape (1 or 3, height, width), not events "
                f"of shape {shape}: take it out of trainer.callbacks"
            )

    def _picture(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        self._drawn = self._epochs
        if not trainer.is_global_zero:
            return
        picture = self.draw(trainer, model)
        if trainer.fast_dev_run:  # pyright: ignore[reportAttributeAccessIssue]
            return
        folder = Path(trainer.default_root_dir) / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        with _unused(folder, f"{self.prefix}epoch-{self._epochs:04d}").open("xb") as file:
            to_pil_image(picture).save(file, format="PNG")
        for logger in trainer.loggers:
            if isinstance(logger, LogsImages):
                logger.log_image(self.name, [to_pil_image(picture)])
            elif isinstance(experiment := getattr(logger, "experiment", None), AddsImages):
                batches = trainer.fit_loop.epoch_loop.total_batch_idx  # as scalars are counted
                experiment.add_image(self.name, picture, batches)


def _unused(folder: Path, stem: str) -> Path:
    """The path of a new picture: stem.png, or stem-2.png and so on where it exists."""
    path, number = folder / f"{stem}.png", 2
    while path.exists():
        path, number = folder / f"{stem}-{number}.png", number + 1
    return path
