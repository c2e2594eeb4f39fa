"""Films: batches of earlier frames and of the frames that come after them."""

from abc import abstractmethod

import torch
from torch import Tensor

from genlit.data.images import ImageData


class VideoData(ImageData):
    """Clips of which a model is given some frames, and is to make the next ones.

    A kind of film writes `clips`, and `futures` where it knows all that may happen. Frames that
    follow one another lie in channels: `condition_shape` is (past * channels, height, width), the
    earliest frame first, and `shape` is (future * channels, height, width). Frames are grey levels
    in [0, 1].

    Args:
        frame: The shape of a frame, (channels, height, width).
        past: How many frames a model is given.
        future: How many frames it makes of them.
        frames: How many frames a clip has.
        windows: At how many places of a clip, evenly spread, a training example begins.
        batch_size: Examples a training batch, on each process.
        eval_batch_size: Examples a batch of validation and test.

    Raises:
        ValueError: If a clip does not have as many frames, or not as many places.
    """

    def __init__(
        self,
        frame: tuple[int, int, int],
        past: int,
        future: int,
        frames: int,
        windows: int = 1,
        batch_size: int = 32,
        eval_batch_size: int = 100,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, binarize="none")
        if min(past, future) < 1 or past + future > frames:
            raise ValueError(
                f"a clip of {frames} frames has no {past} that are given and {future} that follow: "
                "past and future must be 1 or more, and frames at least their sum"
            )
        if not 1 <= windows <= frames - past - future + 1:
            raise ValueError(
                f"windows is {windows}: {past} + {future} of {frames} frames begin at 1 to "
                f"{frames - past - future + 1} places"
            )
        self.frame, self.frames, self.windows = frame, frames, windows
        self.past, self.future = past, future
        self.shape = (future * frame[0], *frame[1:])
        self.condition_shape = (past * frame[0], *frame[1:])
        self._earlier: dict[str, Tensor] = {}

    @abstractmethod
    def clips(self, split: str) -> Tensor:
        """The clips of train, val or test, (N, frames, channels, height, width) uint8."""

    def futures(self, split: str) -> Tensor | None:
        """All that may follow the first `past` frames of each clip, as far as a clip goes.

        Returns:
            (N, K, frames - past, channels, height, width) uint8 for K futures, of which what did
            follow is one; None where they are not known.
        """
        return None

    @property
    def motion(self) -> str:
        """What the numbers of a film depend on, for the names of metrics."""
        return f"{'x'.join(map(str, self.frame))}"

    @property
    def protocol(self) -> str:
        """The name of the films and of what is given and made."""
        return f"{self.motion}_{self.past}to{self.future}"

    def read(self) -> dict[str, Tensor]:
        parts = {}
        for split in ("train", "val", "test"):
            self._earlier[split], parts[split] = cut(
                self.clips(split), self.past, self.future, self.windows
            )
        return parts

    def read_conditions(self) -> dict[str, Tensor]:
        earlier, self._earlier = self._earlier, {}
        return earlier


def cut(clips: Tensor, past: int, future: int, windows: int) -> tuple[Tensor, Tensor]:
    """Examples that begin at so many places of each clip, evenly spread from first to last.

    Args:
        clips: (N, T, C, H, W).
        past: Frames before.
        future: Frames after them.
        windows: The places.

    Returns:
        Frames before, (N * windows, past * C, H, W), and after, (N * windows, future * C, H, W);
        those of one clip lie together.
    """
    starts = torch.linspace(0, clips.shape[1] - past - future, windows).round().long()
    at = starts[:, None] + torch.arange(past + future)
    examples = clips[:, at.flatten()].unflatten(1, (windows, past + future)).flatten(0, 1)
    return examples[:, :past].flatten(1, 2), examples[:, past:].flatten(1, 2)
