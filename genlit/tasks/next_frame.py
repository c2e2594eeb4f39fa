"""Predicting the next frames of films."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genlit.callbacks.pictures import side_by_side, strips
from genlit.data.bouncing_balls import BouncingBalls
from genlit.data.moving_mnist import MovingMNIST
from genlit.data.video import VideoData, cut
from genlit.protocols import Conditional
from genlit.randomness import permutation
from genlit.tasks.blocks import block_of, in_blocks
from genlit.tasks.frames import gradient_ratio, moving_error, squared_error
from genlit.tasks.likeness import WINDOW, similarity
from genlit.tasks.pixels import decibels
from genlit.tasks.prediction import rolled_out
from genlit.tasks.task import Many, Problems, Published, Score, Solver, Task
from genlit.tasks.valid import coverage, nearest_valid

PICTURED, SHOWN = 10, 3  # rows of a picture, and frames or draws of one kind in a row
BALLS = "bouncing balls of 30 x 30 pixels, from memory: "
DIGITS = "OpenSTL's table of Moving MNIST, 200 epochs, its own test file (Tan et al., 2023)"


class NextFrame(Task):
    """Making the frames that follow some given ones.

    More frames than a model makes at once are made by feeding back what it made. Scores are means
    over draws and frames; those in dB are of the mean squared error of the draws
    (below that of rounding to 8 bits it counts as that, 58.9 dB).

    - squared_error: the sum over pixels, which the literature calls MSE;
    - psnr and moving_psnr: of each frame, and of all pixels that change by more than a tenth from
      frame to frame in truth; ssim where frames have 11 pixels a side;
    - gradient_ratio and gradient_energy_ratio: mean absolute and mean squared differences of
      neighbouring pixels, beside those of the truth: 1 where answers are as sharp;
    - best_draw_psnr: of the best of the draws;
    - nearest_valid_psnr and coverage where all that may follow is known: to the future that a draw
      is nearest to, and the share of futures that some draw hits;
    - psnr_at_1, psnr_at_2, ... where there are several steps.

    Beside models, answers are the last frame, black, the mean of training frames, and where the
    futures are known (an oracle) their mean and one of them at random.

    References:
        | Deep Multi-Scale Video Prediction Beyond Mean Square Error (Mathieu et al., 2016)
        | Stochastic Video Generation with a Learned Prior (Denton & Fergus, 2018)

    Args:
        steps: How many frames are predicted.
        draws: How many answers a model draws to each problem.
        n: How many problems; fewer where there are fewer.
    """

    verb = "predict"
    question = "the next frames"
    protocols = (Conditional,)

    def __init__(self, steps: int = 1, draws: int = 4, n: int = 500) -> None:
        if min(steps, draws, n) < 1:
            raise ValueError(f"steps is {steps}, draws {draws} and n {n}: each is 1 or more")
        self.steps, self.draws, self.n = steps, draws, n

    @property
    def name(self) -> str:
        return f"next_frame_{self.steps}steps_{self.draws}draws"

    def pose(self, data: Any, split: str, seed: int) -> Problems:
        """Takes clips at random, at any of the places where examples begin.

        Raises:
            ValueError: If the data are no films, or their clips are too short.
        """
        require_films(data, data.past + self.steps if isinstance(data, VideoData) else 0)
        self.published = published(data, self.steps)  # pyright: ignore[reportAttributeAccessIssue]
        clips = data.clips(split)
        windows = min(data.windows, data.frames - data.past - self.steps + 1)
        given, truth = cut(clips, data.past, self.steps, windows)
        chosen = permutation(len(given), "next frame", split, seed)[: self.n]
        more: dict[str, Many] = {}
        futures = data.futures(split) if windows == 1 else None
        if futures is not None:
            more["futures"] = as_events(futures[chosen, :, : self.steps])
        truth = truth[chosen].unflatten(1, (self.steps, data.frame[0]))
        source = f"{type(data).__name__}, {split}, {data.protocol}"
        return Problems(as_events(given[chosen]), as_events(truth), source, more)

    def solve(self, model: Any, problems: Problems) -> Tensor:
        """Draws (n, draws, steps, C, H, W) in [0, 1]."""
        given, truth = torch.as_tensor(problems.given), torch.as_tensor(problems.truth)
        channels, seed = truth.shape[2], int(torch.randint(2**31, ()))
        block = block_of((*given.shape[1:], self.steps))

        def predict(past: Tensor) -> Tensor:
            return model.sample_given(past).float().clamp(0, 1)

        def answer(part: slice) -> Tensor:
            return rolled_out(predict, given[part].to(model.device), channels, self.steps)

        draws = [
            in_blocks(answer, len(given), block, "next frame", seed, k) for k in range(self.draws)
        ]
        answers = torch.stack(draws, 1)
        return answers.unflatten(2, (self.steps, channels))

    def baselines(self, data: Any, seed: int) -> dict[str, Solver]:
        return {
            "last frame": partial(last_frame, data.frame[0]),
            "black": black,
            "mean of training frames": partial(constant, data.mean.view(-1, *data.frame).mean(0)),
        }

    def oracles(self, data: Any, seed: int) -> dict[str, Solver]:
        if data.windows > 1 or data.futures("val") is None:
            return {}
        return {
            "mean of the futures": mean_future,
            "one of the futures": partial(any_future, self.draws),
        }

    def score(self, problems: Problems, answers: Many) -> list[Score]:
        made, truth = torch.as_tensor(answers), torch.as_tensor(problems.truth)
        last = torch.as_tensor(problems.given)[:, -truth.shape[2] :]
        pixels, best = truth[0, 0].numel(), float("inf")
        errors = squared_error(made, truth)  # (n, draws, steps)
        ratios = {power: gradient_ratio(made, truth, power).mean(1) for power in (1, 2)}
        moving = decibels(moving_error(made, truth, last).mean(1))
        at = decibels(errors.mean(1) / pixels)  # (n, steps)
        scores = [
            Score("squared_error", errors.mean((1, 2)), "", 0.0),
            Score("psnr", at.mean(1), "dB", best),
            Score("moving_psnr", moving, "dB", best),
            Score("gradient_ratio", ratios[1], "", 1.0),
            Score("gradient_energy_ratio", ratios[2], "", 1.0),
            Score("best_draw_psnr", decibels(errors.mean(2).amin(1) / pixels), "dB", best),
        ]
        if min(truth.shape[-2:]) >= WINDOW:
            scores.append(Score("ssim", structure(made, truth), "", 1.0))
        if "futures" in problems.more:
            valid = torch.as_tensor(problems.more["futures"])
            nearest = decibels(nearest_valid(made, valid).mean(1))
            scores.append(Score("nearest_valid_psnr", nearest, "dB", best))
            scores.append(Score("coverage", coverage(made, valid), "", 1.0))
        steps = at.unbind(1) if self.steps > 1 else ()
        return scores + [Score(f"psnr_at_{k}", x, "dB", best) for k, x in enumerate(steps, 1)]

    def picture(self, problems: Problems, answers: Mapping[str, Many]) -> Tensor | None:
        """What is given, the truth or all futures, and the first answers of each solver.

        Of one step each problem is a row; of several it is a row of the truth and one of each
        solver, as time goes on.
        """
        truth = torch.as_tensor(problems.truth)
        given = torch.as_tensor(problems.given).unflatten(1, (-1, truth.shape[2]))[:, -SHOWN:]
        if self.steps == 1:
            true = "futures" if "futures" in problems.more else "truth"
            films = {true: problems.more.get("futures", truth[:, None]), **answers}
            first = {k: torch.as_tensor(x)[:PICTURED, :SHOWN, 0] for k, x in films.items()}
            return side_by_side({"given": given[:PICTURED], **first})
        rows = []
        for k in range(min(len(truth), max(1, PICTURED // (1 + len(answers))))):
            rows.append(("given, and truth", torch.cat([given[k], truth[k]])))
            blank = torch.full_like(given[k], 0.5)
            rows += [(name, torch.cat([blank, torch.as_tensor(made)[k, 0]]))
                     for name, made in answers.items()]  # fmt: skip
        return strips(rows)


def require_films(data: Any, frames: int) -> None:
    """Makes sure that data are films with clips of so many frames.

    Raises:
        ValueError: If they are not.
    """
    if not isinstance(data, VideoData):
        raise ValueError(
            f"NextFrame is about films, and {type(data).__name__} has none: take data such as "
            "genlit.data.MovingMNIST"
        )
    if frames > data.frames:
        raise ValueError(
            f"clips have {data.frames} frames, and {data.past} given ones with those to be "
            f"predicted are {frames}: lower steps, or raise data.frames"
        )


def as_events(levels: Tensor) -> Tensor:
    """Levels 0 to 255 as [0, 1]."""
    return levels.float() / 255


def structure(answers: Tensor, truth: Tensor) -> Tensor:
    """The structural similarity of frames, the mean over draws and frames of each problem; (n,)."""
    pairs = torch.broadcast_tensors(answers, truth[:, None])
    values = similarity(*(frames.flatten(0, 2) for frames in pairs))
    return values.view(answers.shape[:3]).mean((1, 2))


# What answers without a model; each (n, draws, steps, C, H, W).


def last_frame(channels: int, problems: Problems) -> Tensor:
    """The last frame that is given, again and again."""
    truth, given = torch.as_tensor(problems.truth), torch.as_tensor(problems.given)
    return given[:, None, None, -channels:].expand(-1, 1, truth.shape[1], -1, -1, -1)


def black(problems: Problems) -> Tensor:
    """Nothing."""
    return torch.zeros_like(torch.as_tensor(problems.truth))[:, None]


def constant(frame: Tensor, problems: Problems) -> Tensor:
    """The same frame always."""
    return frame.expand_as(torch.as_tensor(problems.truth))[:, None]


def mean_future(problems: Problems) -> Tensor:
    """The mean of all that may follow."""
    return torch.as_tensor(problems.more["futures"]).mean(1, keepdim=True)


def any_future(draws: int, problems: Problems) -> Tensor:
    """Futures drawn at random, each of the same probability."""
    futures = torch.as_tensor(problems.more["futures"])
    chosen = torch.randint(futures.shape[1], (len(futures), draws))
    return futures[torch.arange(len(futures))[:, None], chosen]


def published(data: VideoData, steps: int) -> tuple[Published, ...]:
    """Numbers of others on these films, where the settings are theirs."""
    if isinstance(data, BouncingBalls) and (data.balls, data.frame[1], steps) == (3, 30, 1):
        return tuple(
            Published(who, "squared_error", value, BALLS + source)
            for who, value, source in BOUNCING
        )
    if isinstance(data, MovingMNIST) and (data.digits, data.frame[1], data.past) == (2, 64, 10):
        return tuple(Published(*row, DIGITS) for row in MOVING) if steps == 10 else ()
    return ()


BOUNCING = (
    ("RTRBM", 3.88, "Sutskever, Hinton & Taylor, 2008; measured by Mittelman et al., 2014"),
    ("Structured RTRBM", 3.31, "Mittelman et al., 2014"),
    ("Deep TSBN", 2.79, "Gan et al., 2015"),
    ("RNN-RBM", 0.96, "Boulanger-Lewandowski, Bengio & Vincent, 2012"),
    ("Predictive Generative Networks", 0.65, "Lotter, Kreiman & Cox, 2015"),
)
MOVING = (
    ("ConvLSTM-S", "squared_error", 29.80),
    ("ConvLSTM-S", "ssim", 0.9288),
    ("PredRNN", "squared_error", 23.97),
    ("PredRNN", "ssim", 0.9462),
    ("SimVP+gSTA", "squared_error", 26.69),
    ("SimVP+gSTA", "ssim", 0.9402),
)
