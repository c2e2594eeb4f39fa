"""Films of your own, from video files."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from genlit.data.idx import DataError
from genlit.data.video import VideoData

SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".gif")


class Films(VideoData):
    """Clips of a film, or of all films in a folder, read by PyAV.

    The beginning of each film is for training, what comes then for validation, and its end for the
    test; no frame is in two of them. Clips begin at each frame that leaves them room.

    Args:
        path: The film (.mp4, .avi, ...), or a folder of films.
        size: Height and width that frames are scaled to.
        channels: 1 for grey, 3 for colour.
        stride: Takes every so many-th frame.
        past: How many frames a model is given.
        future: How many frames it makes of them.
        frames: How many frames a clip has; None takes as many as are given and made.
        held_out: The share of each film for validation, and as much again for the test.
        batch_size: Clips a training batch, on each process.
        eval_batch_size: Clips a batch of validation and test.
    """

    def __init__(
        self,
        path: Path,
        size: Sequence[int] = (32, 32),
        channels: int = 1,
        stride: int = 1,
        past: int = 4,
        future: int = 1,
        frames: int | None = None,
        held_out: float = 0.1,
        batch_size: int = 16,
        eval_batch_size: int = 100,
    ) -> None:
        if len(size) != 2 or min(size) < 1 or channels not in (1, 3) or stride < 1:
            raise ValueError(
                f"size is {list(size)}, channels {channels} and stride {stride}: size is a height "
                "and a width, channels 1 or 3, stride 1 or more"
            )
        if not 0 < held_out < 0.5:
            raise ValueError(f"held_out is {held_out:g}: the share of a film is between 0 and 0.5")
        super().__init__(
            (channels, size[0], size[1]), past, future, frames or past + future, 1, batch_size,
            eval_batch_size,
        )  # fmt: skip
        self.path, self.stride, self.held_out = Path(path), stride, held_out

    @property
    def motion(self) -> str:
        frame = "x".join(map(str, self.frame))
        return f"films_{self.path.stem}_{frame}_stride{self.stride}"

    @cached_property
    def films(self) -> list[Tensor]:
        """The frames of each film, (T, channels, height, width) uint8.

        Raises:
            DataError: If there is no film, or one is too short to be split.
        """
        paths = sorted(self.path.glob("*")) if self.path.is_dir() else [self.path]
        paths = [p for p in paths if p.suffix.lower() in SUFFIXES] if self.path.is_dir() else paths
        if not paths:
            raise DataError(f"{self.path} has no films ({', '.join(SUFFIXES)})")
        found = [read_film(path, self.frame, self.stride) for path in paths]
        for path, film in zip(paths, found, strict=True):
            if int(self.held_out * len(film)) < self.frames:
                raise DataError(
                    f"{path} has {len(film)} frames at stride {self.stride}, of which a share of "
                    f"{self.held_out:g} holds no clip of {self.frames}: lower stride or frames, or "
                    "raise held_out"
                )
        return found

    def clips(self, split: str) -> Tensor:
        clips = []
        for film in self.films:
            held_out = int(self.held_out * len(film))
            sizes = [len(film) - 2 * held_out, held_out, held_out]
            part = film.split(sizes)[("train", "val", "test").index(split)]
            clips.append(part.unfold(0, self.frames, 1).movedim(-1, 1))
        return torch.cat(clips)


def read_film(path: Path, frame: tuple[int, int, int], stride: int) -> Tensor:
    """Every so many-th frame of a film, scaled; (T, channels, height, width) uint8.

    Raises:
        DataError: If it cannot be read as a film.
    """
    frames = list(scaled_frames(path, frame, stride))
    if not frames:
        raise DataError(f"{path} has no frames")
    return torch.stack(frames)


def scaled_frames(path: Path, frame: tuple[int, int, int], stride: int) -> Iterator[Tensor]:
    """Yields the frames of a film one by one, as whole films may not fit in memory."""
    import av  # where films are read: it loads the codecs
    from av.error import FFmpegError

    channels, height, width = frame
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"{path} has no pictures")
            for k, shown in enumerate(container.decode(video=0)):
                if k % stride == 0:
                    pixels = shown.to_ndarray(width=width, height=height, format="rgb24")
                    yield in_channels(torch.from_numpy(pixels).permute(2, 0, 1), channels)
    except (OSError, FFmpegError) as error:
        raise DataError(f"{path} cannot be read as a film: {error}") from error


def in_channels(rgb: Tensor, channels: int) -> Tensor:
    """Pixels (3, H, W) uint8 in colour, or in grey by the weights of ITU-R BT.601."""
    if channels == 3:
        return rgb.contiguous()
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    return (rgb * weights).sum(0, keepdim=True).round().byte()
