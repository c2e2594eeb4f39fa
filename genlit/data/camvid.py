"""Street scenes seen from a car, and what is where in them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch

from genlit.data.aerial_maps import landscapes
from genlit.data.fitting import fitted, fitted_classes, opened
from genlit.data.idx import DataError
from genlit.data.paired_folder import partner, sides_of
from genlit.data.pairs import Pair, Pairs, one_hot_maps
from genlit.data.pictures import is_picture
from genlit.progress import track

# The colour in which each class is shown.
COLOURS = ((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222),
           (128, 128, 0), (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0),
           (0, 128, 192), (0, 0, 0))  # fmt: skip
STAND_INS = {"train": 300, "val": 50, "test": 100}  # landscapes where there is no folder


class CamVid(Pairs):
    """CamVid: 701 photos from a driving car, with the class of every pixel among twelve.

    genlit does not bring it along. The folder is that of the SegNet tutorial: train, val and test
    with photos, and trainannot, valannot and testannot with pictures of class numbers, 11 being
    void. Of photos the middle is taken that has the right form. Without a folder, made-up
    landscapes and their classes stand in for it, and say so.

    References:
        | Semantic Object Classes in Video: A High-Definition Ground Truth Database (Brostow,
        | Fauqueur & Cipolla, 2009)

    Args:
        data_dir: The folder; None has landscapes made by a generator stand in.
        size: Pixels a side, or height and width.
        direction: What is made from what: labels_to_photo or photo_to_labels. Labels have a channel
            for each class.
        mirror: Whether training also sees every pair mirrored, left to right.
        batch_size: Pairs a training batch, on each process.
        eval_batch_size: Pairs a batch of validation and test.
    """

    classes: ClassVar[tuple[str, ...]] = (
        "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car",
        "pedestrian", "cyclist", "void",
    )  # fmt: skip
    void = 11

    def __init__(
        self,
        data_dir: Path | None = None,
        size: int | Sequence[int] = 64,
        direction: Literal["labels_to_photo", "photo_to_labels"] = "labels_to_photo",
        mirror: bool = True,
        batch_size: int = 8,
        eval_batch_size: int = 100,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, mirror)
        sides, unit = sides_of(size), torch.eye(len(self.classes))
        self.data_dir, self.direction = data_dir, direction
        self.colours = torch.tensor(COLOURS) / 255
        photo, labels = (3, *sides), (len(self.classes), *sides)
        made = direction == "labels_to_photo"
        self.shape, self.condition_shape = (photo, labels) if made else (labels, photo)
        self.palette, self.condition_palette = (None, unit) if made else (unit, None)
        self.source = "CamVid" if data_dir else "landscapes by a generator, in place of CamVid"

    @property
    def protocol(self) -> str:
        kind = self.direction if self.data_dir else f"stand_in_{self.direction}"
        return f"{super().protocol}_{kind}"

    def read_pairs(self) -> dict[str, Pair]:
        if self.data_dir is None:
            warnings.warn(f"data.data_dir is not set: these are {self.source}", stacklevel=2)
        read = self._stand_in if self.data_dir is None else self._photos
        pairs = {split: read(split) for split in STAND_INS}
        if self.direction == "photo_to_labels":
            return {split: (x, labels) for split, (labels, x) in pairs.items()}
        return pairs

    def _stand_in(self, split: str) -> Pair:
        labels, aerial = landscapes(STAND_INS[split], self.shape[1], self.shape[2], split)
        return one_hot_maps(labels, len(self.classes)), aerial

    def _photos(self, split: str) -> Pair:
        folder, sides = Path(self.data_dir or "") / split, self.shape[1:]
        files = sorted(p for p in folder.glob("*") if is_picture(p))
        if not files:
            raise DataError(
                f"{folder} holds no pictures: set data.data_dir to CamVid of the SegNet tutorial, "
                "or leave it out, and landscapes by a generator stand in"
            )
        labels, photos = [], []
        for path in track(files, f"{split} pairs"):
            other = partner(folder.with_name(f"{split}annot") / path.name)
            photos.append(fitted(opened(path), (3, *sides), path))
            labels.append(fitted_classes(opened(other), (len(self.classes), *sides), other))
        return torch.stack(labels), torch.stack(photos)
