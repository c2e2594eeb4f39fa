"""Making small photos large again."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from genlit.callbacks.pictures import GREY, captioned
from genlit.data.photos import Photo
from genlit.data.resizing import enlarged
from genlit.features import quantized
from genlit.progress import track
from genlit.protocols import Conditional
from genlit.tasks.fidelity import luma, psnr, shaved, ssim, ssim_daala
from genlit.tasks.niqe import niqe, read_pristine
from genlit.tasks.pixels import CEILING, gradient_ratio
from genlit.tasks.task import Many, Problems, Published, Score, Solver, Task
from genlit.tasks.texture import patch_swd
from genlit.tasks.tiling import tiled

PLAIN = ("Lanczos", "nearest")  # baselines that pictures leave out, as bicubic stands for them
GAP = 4  # pixels between the panels of a picture
PAPER = "Photo-Realistic Single Image Super-Resolution Using a GAN (Ledig et al., 2017)"
# PSNR in dB and SSIM of daala, x4, as the paper prints them.
LEDIG = {
    "set5": {"SRResNet": (32.05, 0.9019), "SRGAN": (29.40, 0.8472)},
    "set14": {"SRResNet": (28.49, 0.8184), "SRGAN": (26.02, 0.7397)},
    "bsd100": {"SRResNet": (27.58, 0.7620), "SRGAN": (25.16, 0.6688)},
}


class SuperRes(Task):
    """Making photos of any size so many times as long and wide, where the true ones are known.

    Numbers follow the protocol of papers: luma Y of YCbCr, as many pixels shaved off at every edge
    as the scale, pictures of 8 bits. Scores are PSNR in dB (at most 58.9), SSIM, and SSIM as the
    paper on SRGAN has it (daala's); and of what these do not see, the sliced Wasserstein distance
    of 7 x 7 patches, in levels, the gradient ratio, below 1 where answers are blurred, and NIQE,
    of whole pictures, which does not know the true one. Beside models, answers are bicubic and
    Lanczos interpolation, and repeated pixels.

    References:
        | Photo-Realistic Single Image Super-Resolution Using a GAN (Ledig et al., 2017)
        | https://arxiv.org/abs/1609.04802

    Args:
        test_set: Which folder in data.sets_dir holds the pictures, as Set5_x4; None takes the whole
            photos that data holds out for the test.
        scale: How many times as long sides become; that of the data.
        niqe_params: A .npz with the law of pristine photos, BasicSR's niqe_pris_params.npz; None
            leaves NIQE out.
        tile: Asks about tiles of so many pixels a side, overlapping by a quarter, for models that
            take one size only; 0 asks about whole pictures.
        shown: Which picture to show, by a part of its name; the first where none has it. Of Set14,
            img_005 is the comic that papers show.

    Raises:
        ValueError: If the scale is none.
    """

    verb = "upscale"
    question = "high resolution"
    protocols = (Conditional,)

    def __init__(
        self,
        test_set: str | None = None,
        scale: int = 4,
        niqe_params: Path | None = None,
        tile: int = 0,
        shown: str = "img_005",
    ) -> None:
        if scale < 2 or tile < 0:
            raise ValueError(f"scale is {scale} and tile {tile}: 2 or more, and 0 or more")
        self.test_set, self.scale, self.tile, self.shown = test_set, scale, tile, shown
        self.pristine = None if niqe_params is None else read_pristine(Path(niqe_params))
        known = LEDIG.get(self._set, {}) if scale == 4 else {}
        self.published = [  # pyright: ignore[reportAttributeAccessIssue]
            Published(who, score, value, f"{PAPER}, trained on ImageNet")
            for who, numbers in known.items()
            for score, value in zip(("psnr", "ssim_daala"), numbers, strict=True)
        ]

    @property
    def name(self) -> str:
        tiles = f"_tiles{self.tile}" if self.tile else ""
        return f"sr_y_shave{self.scale}_{self._set}{tiles}"

    @property
    def _set(self) -> str:
        """The name of the test set without its scale."""
        return (self.test_set or "photos").lower().removesuffix(f"_x{self.scale}")

    def pose(self, data: Any, split: str, seed: int) -> Problems:
        """Takes whole photos with their small versions, all there are.

        Raises:
            ValueError: If the data are no photos, or of another scale.
        """
        if getattr(data, "scale", None) != self.scale or not hasattr(data, "photos"):
            raise ValueError(
                f"SuperRes at scale {self.scale} takes photos and small versions of them: take "
                f"genlit.data.SuperResolution with data.scale {self.scale}"
            )
        whole = data.photos[split] if self.test_set is None else data.test_set(self.test_set)
        photos: list[Photo] = list(whole)
        source = self.test_set or data.source_of(split)
        without = "" if self.pristine else "; NIQE left out for want of niqe_params"
        return Problems(
            [p.low.float() / 255 for p in photos],
            [p.high.float() / 255 for p in photos],
            source + without,
            {"name": [p.name for p in photos]},
        )

    def require(self, model: Any) -> None:
        """Makes sure that a model makes images so many times as large.

        Raises:
            Unanswerable: If it cannot be asked.
            ValueError: If it makes others.
        """
        super().require(model)
        of: tuple[int, ...] = tuple(model.shape)
        given: tuple[int, ...] = tuple(getattr(model, "condition_shape", ()))
        if len(given) != 3 or of != (3, given[1] * self.scale, given[2] * self.scale):
            raise ValueError(
                f"{type(model).__name__} makes events of shape {of} from {given}, and SuperRes is "
                f"about images in colour that become {self.scale} times as long and wide"
            )

    def solve(self, model: Any, problems: Problems) -> list[Tensor]:
        def enlarge(x: Tensor) -> Tensor:
            return model.sample_given(x.to(model.device)).float()

        small = track(list(problems.given), self.name)
        with torch.no_grad():
            return [
                tiled(enlarge, x, self.scale, self.tile, self.tile // 8).clamp(0, 1) for x in small
            ]

    def baselines(self, data: Any, seed: int) -> dict[str, Solver]:
        return {
            "bicubic": partial(interpolated, self.scale),
            "Lanczos": partial(resampled, self.scale, Image.Resampling.LANCZOS),
            "nearest": partial(resampled, self.scale, Image.Resampling.NEAREST),
        }

    def score(self, problems: Problems, answers: Many) -> list[Score]:
        best = float("inf")
        pairs = [
            (luma(x), luma(y)) for x, y in zip(list(answers), list(problems.truth), strict=True)
        ]
        inner = [(shaved(x, self.scale), shaved(y, self.scale)) for x, y in pairs]

        def each(measure: Any) -> Tensor:
            return torch.tensor([measure(x, y) for x, y in inner], dtype=torch.float64)

        scores = [
            Score("psnr", each(psnr).clamp(max=CEILING), "dB", best),
            Score("ssim", each(ssim), "", 1.0),
            Score("ssim_daala", each(ssim_daala), "", 1.0),
            Score("patch_swd", each(patch_swd), "levels", 0.0),
            Score("gradient_ratio", each(sharpness), "", 1.0),
        ]
        if self.pristine is not None:
            natural = [niqe(x, self.pristine) for x, _ in pairs]
            scores.append(Score("niqe", torch.tensor(natural, dtype=torch.float64), "", 0.0))
        return scores

    def picture(self, problems: Problems, answers: Mapping[str, Many]) -> Tensor | None:
        """One photo: the original, bicubic, and each model's, with PSNR and SSIM below."""
        names = [str(name) for name in problems.more.get("name", ())]
        at = next((k for k, name in enumerate(names) if self.shown in name), 0)
        truth = problems.truth[at]
        columns = {name: found[at] for name, found in answers.items() if name not in PLAIN}
        columns = {k: columns[k] for k in sorted(columns, key=lambda name: name != "bicubic")}
        panels = [captioned(captioned(quantized(truth), "original"), "PSNR / SSIM")]
        y = shaved(luma(truth), self.scale)
        for name, answer in columns.items():
            x = shaved(luma(answer), self.scale)
            numbers = f"{psnr(x, y):.2f} dB / {ssim(x, y):.4f}"
            panels.append(captioned(captioned(quantized(answer), name), numbers))
        return beside(panels)


def sharpness(x: Tensor, y: Tensor) -> float:
    """The gradient ratio of two lumas (H, W)."""
    return float(gradient_ratio(x[None], y[None]))


def interpolated(scale: int, problems: Problems) -> list[Tensor]:
    """Bicubic interpolation as MATLAB does it."""
    return [enlarged(quantized(x), scale).float() / 255 for x in problems.given]


def resampled(scale: int, kernel: Image.Resampling, problems: Problems) -> list[Tensor]:
    """Interpolation by one of Pillow's kernels."""

    def one(x: Tensor) -> Tensor:
        size = (x.shape[2] * scale, x.shape[1] * scale)
        return pil_to_tensor(to_pil_image(quantized(x)).resize(size, kernel)).float() / 255

    return [one(x) for x in problems.given]


def beside(panels: Sequence[Tensor]) -> Tensor:
    """Panels (3, height, width) uint8 of one height side by side on grey."""
    gap = panels[0].new_full((3, panels[0].shape[1], GAP), GREY)
    parts = [part for panel in panels for part in (panel, gap)]
    return torch.cat(parts[:-1], 2)
