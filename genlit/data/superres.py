"""Photos made smaller, for models that make them large again."""

import re
import warnings
from pathlib import Path

import torch
from torch import Tensor

from genlit.data.dealing import FileKind, dealt
from genlit.data.idx import DataError
from genlit.data.images import ImageData
from genlit.data.patches import DRAWS, PatchLoader, patches
from genlit.data.photos import (
    PACKAGED_SOURCE,
    Photo,
    packaged,
    read_photos,
    read_test_set,
)
from genlit.data.pictures import is_picture
from genlit.randomness import generator

FILES = FileKind(is_picture, "PNG or JPEG pictures", "data.data_dir")
PATCH_SEED = 1998  # of the patches of validation and test, whatever the run's own seed


class SuperResolution(ImageData):
    """Patches of photos, and the small versions that they are to be made from.

    Photos are made smaller by MATLAB's bicubic imresize (see `genlit.data.resizing`), rounded to
    levels of 8 bits. Training patches are drawn afresh at every step, in any of their eight
    orientations; those of validation and test are drawn once. All photos are kept in memory, a byte
    a channel and pixel.

    `photos` has whole ones, and `test_set` those of a set that papers test on.

    Args:
        data_dir: A folder of photos to train on, PNG or JPEG, which is searched; None takes the few
            that scikit-image and scikit-learn bring along.
        sets_dir: A folder whose folders are test sets, such as Set5_x4 with img_001_SRF_4_HR.png
            and img_001_SRF_4_LR.png, or any with pictures of your own. Where it is given, nothing
            of data_dir is for the test, and all sets are tested on in its place.
        scale: How many times as long sides are to be.
        patch: Sides of training patches, in pixels; a multiple of the scale.
        patches: How many patches an epoch has.
        held_out: How many photos of data_dir are for validation, and as many for the test unless
            there is a sets_dir; None takes a tenth.
        held_patches: How many patches validation has, and the test.
        batch_size: Patches a training batch, on each process.
        eval_batch_size: Patches a batch of validation and test.

    Raises:
        ValueError: If a patch cannot be made smaller by the scale.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        sets_dir: Path | None = None,
        scale: int = 4,
        patch: int = 96,
        patches: int = 3200,
        held_out: int | None = None,
        held_patches: int = 200,
        batch_size: int = 16,
        eval_batch_size: int = 50,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, binarize="none")
        if scale < 2 or patch < scale or patch % scale:
            raise ValueError(
                f"data.patch {patch} is to be a multiple of data.scale {scale}, and that 2 or more"
            )
        self.data_dir = None if data_dir is None else Path(data_dir)
        self.sets_dir = None if sets_dir is None else Path(sets_dir)
        self.scale, self.patch, self.patches = scale, patch, patches
        self.held_out, self.held_patches = held_out, held_patches
        self.shape = (3, patch, patch)
        self.condition_shape = (3, patch // scale, patch // scale)
        self.photos: dict[str, list[Photo]] = {}  # of train, val and test, once they are read

    @property
    def source(self) -> str:
        """Where the photos come from."""
        return PACKAGED_SOURCE if self.data_dir is None else f"photos of {self.data_dir.name}"

    @property
    def protocol(self) -> str:
        stand_in = "_stand_in" if self.data_dir is None and self.sets_dir is None else ""
        return f"bicubic_x{self.scale}{stand_in}"

    def source_of(self, split: str) -> str:
        """Where the whole photos of a split come from."""
        if split == "test" and self.sets_dir is not None:
            return ", ".join(self._test_sets())
        return f"{self.source}, {split}"

    def test_set(self, name: str) -> list[Photo]:
        """The pictures of a test set.

        Raises:
            DataError: If there is no such set.
        """
        if self.sets_dir is None:
            raise DataError(f"{name} is not here: set data.sets_dir to the folder that holds it")
        return read_test_set(self.sets_dir / name, self.scale)

    def read(self) -> dict[str, Tensor]:
        self.photos = self._read_photos()
        return {split: self._held(split)[0] for split in ("train", "val", "test")}

    def read_conditions(self) -> dict[str, Tensor]:
        return {split: self._held(split)[1] for split in ("train", "val", "test")}

    def train_dataloader(self) -> PatchLoader:  # pyright: ignore[reportIncompatibleMethodOverride]
        assert self.seed is not None
        here = self._device
        photos = [Photo(p.name, p.high.to(here), p.low.to(here)) for p in self.photos["train"]]
        side = self.patch // self.scale
        return PatchLoader(photos, side, self.patches, self.batch_size, self.seed, *self._place)

    def _packaged(self) -> dict[str, list[Photo]]:
        """The few photos of Python packages, which are not what models are judged by."""
        warnings.warn(f"data.data_dir is not set: these are {self.source}", stacklevel=2)
        return {split: packaged(split, self.scale) for split in ("train", "val", "test")}

    def _read_photos(self) -> dict[str, list[Photo]]:
        """The photos of each split.

        Raises:
            DataError: If one to be cut into patches is smaller than a patch.
        """
        if self.data_dir is None:
            photos = self._packaged()
        else:
            files = dealt(self.data_dir, FILES, self.held_out, self.sets_dir is None)
            photos = {
                split: read_photos(chosen, self.scale, f"{split} photos")
                for split, chosen in files.items()
            }
        if self.sets_dir is not None:
            photos["test"] = [p for name in self._test_sets() for p in self.test_set(name)]
        for photo in (photo for chosen in photos.values() for photo in chosen):
            if min(photo.high.shape[1:]) < self.patch:
                raise DataError(
                    f"{photo.name} has {photo.high.shape[1]} x {photo.high.shape[2]} pixels, fewer "
                    f"than a patch of {self.patch}: take it out, or set data.patch lower"
                )
        return photos

    def _test_sets(self) -> list[str]:
        """The names of the test sets that are there; those of another scale say so by _x2 or so.

        Raises:
            DataError: If there are none.
        """
        assert self.sets_dir is not None
        inside = sorted(self.sets_dir.iterdir()) if self.sets_dir.is_dir() else []
        names = [p.name for p in inside if p.is_dir() and not p.name.startswith(".")]
        other = re.compile(rf"_x(?!{self.scale}$)\d+$")
        found = [name for name in names if not other.search(name)]
        if not found:
            raise DataError(
                f"{self.sets_dir} holds no folders of test pictures: set data.sets_dir to one that "
                f"does, as in {self.sets_dir.name}/Set5_x{self.scale}"
            )
        return found

    def _held(self, split: str) -> tuple[Tensor, Tensor]:
        """The patches of a split that are drawn once, and their small versions; uint8."""
        numbers = torch.rand(
            self.held_patches, DRAWS, generator=generator("patches", PATCH_SEED, split)
        )
        return patches(self.photos[split], self.patch // self.scale, numbers)
