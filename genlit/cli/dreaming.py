"""Dreams of a world model as pictures, films, curves and tables."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torchvision.transforms.functional import to_pil_image

from genlit.callbacks.pictures import as_grid, captioned, of_figure
from genlit.cli.film import write
from genlit.data.environments import Episode
from genlit.features import quantized
from genlit.randomness import isolated
from genlit.tasks.dreams import OpenLoopError, dream, open_loop_error, windows
from genlit.tasks.scenes import SCENES

SHOWN = 8  # moments of a dream in the picture
SECONDS = 0.05  # that a frame of the film is shown
PARTICLES = 5  # dreams of the same actions, laid over each other


def show(model: Any, env: str, lived: Episode, steps: int, stem: Path, seed: int) -> None:
    """Writes the beginning of an episode beside dreams of it, as a picture and as a film."""
    if env not in SCENES:
        print(f"no picture: genlit cannot draw {env}")
        return
    steps = min(steps, len(lived))
    start = lived.states[:1].expand(PARTICLES, -1).to(model.device)
    actions = lived.actions[:steps].expand(PARTICLES, -1, -1)
    with torch.no_grad(), isolated("dream", seed):
        dreams = dream(model, start, actions).cpu()
    real = torch.stack([SCENES[env](state) for state in lived.states[: steps + 1]])
    imagined = torch.stack(
        [torch.stack([SCENES[env](s) for s in states]).mean(0) for states in dreams.unbind(1)]
    )
    at = [round(k * steps / (SHOWN - 1)) for k in range(SHOWN)]
    rows = quantized(torch.cat([real[at], imagined[at]]))
    told = f"real above, imagined below; steps {', '.join(map(str, at))}"
    picture = stem.with_name(f"{stem.name}.png")
    with picture.open("xb") as file:
        to_pil_image(captioned(as_grid(rows, SHOWN), told)).save(file, format="PNG")

    def frames() -> Iterator[Image]:
        for k, pair in enumerate(zip(real, imagined, strict=True)):
            both = as_grid(quantized(torch.stack(pair)), 2)
            yield to_pil_image(captioned(both, f"real | imagined, step {k}")).quantize()

    film = stem.with_name(f"{stem.name}.gif")
    write(frames(), film, SECONDS)
    print(f"{picture}\n{film}")


def tell_errors(
    model: Any, lived: Mapping[str, Sequence[Episode]], data: Any, steps: int, stem: Path, seed: int
) -> None:
    """Prints and writes the open-loop error on episodes of several kinds.

    Args:
        model: The world model.
        lived: Episodes by their kind.
        data: What the model was trained on, whose deviations errors are measured in.
        steps: How long dreams are.
        stem: What the names of the files begin with.
        seed: Seeds the dreams.
    """
    std = data.conditions["train"][:, : data.environment.states].std(0)
    found = {}
    for kind, episodes in lived.items():
        with torch.no_grad(), isolated("open loop", kind, seed):
            pieces = windows(episodes, steps, max(1, steps // 5))
            found[kind] = open_loop_error(model, pieces, std, PARTICLES)
    table, curve = (stem.with_name(f"{stem.name}-error.{e}") for e in ("csv", "png"))
    with table.open("x") as file:
        print("episodes,steps,error,stderr,staying,windows", file=file)
        for kind, errors in found.items():
            for k, numbers in enumerate(zip(*map(torch.Tensor.tolist, errors), strict=True)):
                print(kind, k + 1, *numbers, sep=",", file=file)
    for kind, errors in found.items():
        points = sorted({1, 5, 20, steps} & set(range(1, steps + 1)))
        numbers = ", ".join(f"{told(errors, k)} after {k}" for k in points)
        print(f"open-loop error in standard deviations of states, {kind}: {numbers} steps")
    draw_errors(found, curve)
    print(f"{curve}\n{table}")


def told(errors: OpenLoopError, k: int) -> str:
    """The error after k steps, with its standard error where there is one."""
    error, stderr = float(errors.error[k - 1]), float(errors.stderr[k - 1])
    return f"{error:.3g}" + (f" ± {stderr:.1g}" if math.isfinite(stderr) else "")


def draw_errors(found: Mapping[str, OpenLoopError], path: Path) -> None:
    """Writes the curves of the open-loop error."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure((6.0, 4.0), 100, layout="tight")
    axes = figure.add_subplot()
    for k, (kind, errors) in enumerate(found.items()):
        steps = range(1, len(errors.error) + 1)
        axes.plot(steps, errors.error.tolist(), f"C{k}", label=f"imagined, {kind}")
        axes.plot(steps, errors.staying.tolist(), f"C{k}:", label=f"nothing changes, {kind}")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("steps ahead")
    axes.set_ylabel("error, in standard deviations of states")
    axes.legend(fontsize="small")
    with path.open("xb") as file:
        to_pil_image(of_figure(figure)).save(file, format="PNG")
