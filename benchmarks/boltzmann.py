"""What an epoch of contrastive divergence and a temperature of annealing cost, and how both grow.

    python -m benchmarks.boltzmann

Blocks of steps of the two sides alternate on one thread; every ratio is of two blocks that stand
next to each other. The growth is drawn to docs/growth.png.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor

from benchmarks import record
from benchmarks.peers import learnergy_rbm
from benchmarks.step import Block, compare, sklearn_rbm, trained
from genlit.annealing import forward_weights, ladder
from genlit.boltzmann import RBM
from genlit.boltzmann.energy import Theta
from genlit.boltzmann.path import RBMPath
from genlit.cli.silence import silence
from genlit.data import MNIST

EPOCH = 500  # steps of an epoch of MNIST's 50,000 training images, 100 at a time
STEPS = 100  # of a block
RUNGS = 100
PICTURE = Path(__file__).parents[1] / "docs" / "growth.png"


def main() -> None:
    """Measures, prints, draws, and writes benchmarks/results/boltzmann.json."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    silence()
    begun = time.monotonic()
    rows = [*epochs(), annealing()]
    curves = {"hidden": growth_with_hidden(), "batch": growth_with_batch()}
    draw(curves)
    note = "CPU time, one thread, medians over pairs of alternating blocks"
    seconds = time.monotonic() - begun
    print(record.write("boltzmann", "python -m benchmarks.boltzmann", seconds, rows, note, curves))


def epochs() -> list[dict[str, Any]]:
    """An epoch of CD-1, 784 x 500, in batches of 100, against each peer."""
    data = MNIST(batch_size=100, binarize="dynamic")
    data.setup("fit")
    ours = trained(lambda: RBM((1, 28, 28), hidden=500), data)
    images = data.splits["train"]
    binary = (images[:10_000] > 127).float().flatten(1)
    peers = {"scikit-learn": sklearn_rbm(images), "learnergy": learnergy_rbm(binary)}
    name = "epoch of CD-1, 784 x 500"
    return [row(name, peer, ours, block, EPOCH, 0.7) for peer, block in peers.items()]


def annealing() -> dict[str, Any]:
    """A temperature of 100 chains, 784 x 500, against one that forms each machine on the way."""
    theta = Theta(0.1 * torch.randn(784, 500), torch.randn(784), torch.randn(500))
    base = torch.randn(784)
    path = RBMPath(theta, base, lambda n: torch.zeros(n, 784), "nothing")
    ours = timed(lambda: forward_weights(path, ladder(RUNGS), 100))
    theirs = timed(lambda: straight(theta, base, 100))
    name = "annealing, a chain and temperature"
    return row(name, "5 matrix products", ours, theirs, 1 / 100, 0.55)


@torch.no_grad()
def straight(theta: Theta, base: Tensor, chains: int) -> Tensor:
    """Annealing as it is read off the formulas: two machines a temperature, and samples of all."""

    def machine(beta: float) -> tuple[Tensor, Tensor, Tensor]:
        return beta * theta.W, (1 - beta) * base + beta * theta.b, beta * theta.c

    def free_energy(v: Tensor, beta: float) -> Tensor:
        W, b, c = machine(beta)
        return -(v @ b) - nnf.softplus(c + v @ W).sum(1)

    v, log_weight = torch.bernoulli(base.sigmoid().expand(chains, -1)), torch.zeros(chains)
    for low, high in ladder(RUNGS):
        log_weight += free_energy(v, low) - free_energy(v, high)
        W, b, c = machine(high)
        h = torch.bernoulli((c + v @ W).sigmoid())
        v = torch.bernoulli((b + h @ W.T).sigmoid())
        h = torch.bernoulli((c + v @ W).sigmoid())
    return log_weight


def timed(run: Callable[[], Any]) -> Block:
    """CPU seconds of a temperature."""

    def block(steps: int) -> float:
        start = time.process_time()
        run()
        return (time.process_time() - start) / RUNGS

    return block


def row(
    name: str, peer: str, ours: Block, theirs: Block, scale: float, goal: float
) -> dict[str, Any]:
    """One comparison; `scale` turns the seconds of a block's step into those that are told."""
    times = compare(ours, theirs, STEPS)
    ratios = [a / b for a, b in zip(*times, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    mine, other = (scale * statistics.median(t) for t in times)
    print(f"{name} against {peer}: {mine:.3g} s, {other:.3g} s, {middle:.3f}", flush=True)
    return {
        "step": name, "peer": peer, "genlit_seconds": mine, "peer_seconds": other,
        "ratio": middle, "middle_half": [low, high], "to_reach": goal,
    }  # fmt: skip


def growth_with_hidden() -> dict[str, dict[str, float]]:
    """Milliseconds of a step of CD-1 on 100 images, and of a temperature of 100 chains."""
    return {str(h): milliseconds(h, 100) for h in (125, 250, 500, 1000, 2000)}


def growth_with_batch() -> dict[str, dict[str, float]]:
    """The same at 500 hidden units, for so many images and chains."""
    return {str(n): milliseconds(500, n) for n in (25, 50, 100, 200, 400, 800)}


def milliseconds(hidden: int, batch: int, rounds: int = 5) -> dict[str, float]:
    """The median step, and the median temperature."""
    model = RBM((1, 28, 28), hidden)
    optimizer, x = torch.optim.SGD(model.parameters(), 0.05), torch.rand(batch, 1, 28, 28).round()

    def step() -> None:
        optimizer.zero_grad()
        model.loss({"x": x})["loss"].backward()
        optimizer.step()

    runs = {
        "cd": lambda: [step() for _ in range(20)],
        "ais": lambda: forward_weights(model.path(), ladder(20), batch),
    }
    return {name: 50 * statistics.median(spent(run) for _ in range(rounds))
            for name, run in runs.items()}  # fmt: skip


def spent(run: Callable[[], Any]) -> float:
    """CPU seconds of a run, after one that warms up."""
    run()
    start = time.process_time()
    run()
    return time.process_time() - start


def draw(curves: dict[str, dict[str, dict[str, float]]]) -> None:
    """Draws the growth, logarithmic on both axes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = {"cd": "a step of CD-1", "ais": "a temperature of annealing"}
    labels = {"hidden": "hidden units, at 100 images or chains",
              "batch": "images or chains, at 500 hidden units"}  # fmt: skip
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    for axis, (what, points) in zip(axes, curves.items(), strict=True):
        x = [int(n) for n in points]
        for kind, name in names.items():
            axis.loglog(x, [p[kind] for p in points.values()], "o-", label=name)
        axis.set_xticks(x, [str(n) for n in x], minor=False)
        axis.minorticks_off()
        axis.set_xlabel(labels[what])
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("milliseconds, one thread")
    axes[0].legend(frameon=False)
    figure.savefig(PICTURE, dpi=120)


if __name__ == "__main__":
    main()
