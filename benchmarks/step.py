"""What a training step costs through genlit's Trainer, against the same mathematics without it.

    python -m benchmarks.step

Blocks of steps alternate between the two in one process on one thread, and every ratio is of two
blocks that stand next to each other, so that a machine whose speed drifts does not matter.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks import raw_loops, record
from genlit.boltzmann import RBM
from genlit.callbacks import Progress
from genlit.cli.record import MetricsFile
from genlit.cli.silence import silence
from genlit.data import MNIST
from genlit.gan import GAN
from genlit.model import GenerativeModel
from genlit.networks import MLP
from genlit.vae import VAE

ROUNDS = 12  # pairs of blocks
WARM_UP = 10  # steps of a block that are not counted

Block = Callable[[int], float]  # runs so many steps and returns the CPU seconds of one


class Stopwatch(L.Callback):
    """Takes the CPU time of a Trainer's steps, from one batch's end to the last one's."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any,
        batch_idx: int,
    ) -> None:  # fmt: skip
        done = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        if done == self.warm_up:
            self.start = time.process_time()
        elif done > self.warm_up:
            self.seconds = (time.process_time() - self.start) / (done - self.warm_up)


def trained(model: Callable[[], GenerativeModel], data: MNIST, warm_up: int = WARM_UP) -> Block:
    """Steps as `genlit fit` does them: with progress, logging, and the checks for NaN."""

    def block(steps: int) -> float:
        watch = Stopwatch(warm_up)
        with tempfile.TemporaryDirectory() as folder:
            trainer = L.Trainer(
                accelerator="cpu",
                max_epochs=1,
                limit_train_batches=steps + warm_up,
                limit_val_batches=0,
                logger=[MetricsFile(Path(folder))],
                callbacks=[watch, Progress(3600)],
                enable_checkpointing=False,
                enable_model_summary=False,
            )
            trainer.fit(model(), datamodule=data)
        return watch.seconds

    return block


def looped(step: raw_loops.Step, warm_up: int = WARM_UP) -> Block:
    """Steps of a raw loop."""

    def block(steps: int) -> float:
        for _ in range(warm_up):
            step()
        start = time.process_time()
        for _ in range(steps):
            step()
        return (time.process_time() - start) / steps

    return block


def sklearn_rbm(images: torch.Tensor) -> Block:
    """scikit-learn's persistent contrastive divergence on batches of 100."""
    from sklearn.neural_network import BernoulliRBM
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    model = BernoulliRBM(500, learning_rate=0.05, batch_size=100, random_state=0)
    stream = raw_loops.batches(images, 100)

    def step() -> None:
        model.partial_fit(raw_loops.binary(next(stream)).flatten(1).numpy())

    return looped(step)


class FusedAdam(torch.optim.Adam):
    """The optimizer of genlit's VAE here and in configs/vae.yaml."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=1e-3, fused=True)


def plain_mlp(inputs: Any, outputs: Any) -> nn.Module:
    """The network of both VAEs."""
    return MLP(inputs, outputs, (200, 200))


def networks_of(gan: GAN) -> tuple[nn.Module, nn.Module]:
    """The networks of both players, without anything of genlit's around them."""
    return gan.generator, gan.discriminator.head.network  # pyright: ignore[reportReturnType]


def comparisons() -> Iterator[tuple[str, Block, str, Block, int, float]]:
    """Name, genlit's block, the peer and its block, steps a block, and the ratio to reach."""
    binary, grey = MNIST(batch_size=100, binarize="dynamic"), MNIST(batch_size=64, binarize="none")
    for data in (binary, grey):
        data.setup("fit")
    images = grey.splits["train"]
    rbm = trained(lambda: RBM((1, 28, 28), hidden=500), binary)
    yield "RBM 784-500, CD-1, batch 100", rbm, "raw loop", looped(raw_loops.rbm(images)), 200, 1.25
    yield "RBM 784-500, CD-1, batch 100", rbm, "scikit-learn", sklearn_rbm(images), 100, 0.75
    shape = (1, 28, 28)
    vae = trained(lambda: VAE(shape, 50, plain_mlp, plain_mlp, optimizer=FusedAdam), binary)
    for peer, fused in (("raw loop, fused Adam", True), ("raw loop, default Adam", False)):
        raw = looped(raw_loops.vae(images, fused))
        yield "VAE 784-200-200-50, batch 100", vae, peer, raw, 150, 1.10
    gan, twin = (GAN((1, 28, 28)) for _ in range(2))
    raw = looped(raw_loops.gan(images, *networks_of(twin), twin.latent))
    yield "DCGAN-28, batch 64", trained(lambda: gan, grey), "raw loop", raw, 8, 1.03


def compare(
    ours: Block, theirs: Block, steps: int, rounds: int = ROUNDS
) -> tuple[list[float], list[float]]:
    """CPU seconds of a step in every block, of either side; which goes first alternates."""
    times: tuple[list[float], list[float]] = ([], [])
    for k in range(rounds):
        for side in (0, 1) if k % 2 else (1, 0):
            times[side].append((ours, theirs)[side](steps))
    return times


def main() -> None:
    """Measures, prints the table, and writes benchmarks/results/step.json."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    silence()
    begun, rows = time.monotonic(), []
    table = Table(
        "step", "peer", "genlit ms", "peer ms", "ratio", "middle half", "to reach", box=None
    )
    for name, ours, peer, theirs, steps, goal in comparisons():
        times = compare(ours, theirs, steps)
        ratios = [a / b for a, b in zip(*times, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        genlit_ms, peer_ms = (1000 * statistics.median(t) for t in times)
        table.add_row(
            name, peer, f"{genlit_ms:.2f}", f"{peer_ms:.2f}", f"{middle:.3f}",
            f"{low:.3f}-{high:.3f}", f"<= {goal}",
        )  # fmt: skip
        row = {"step": name, "peer": peer, "genlit_ms": genlit_ms, "peer_ms": peer_ms}
        rows.append(row | {"ratio": middle, "middle_half": [low, high], "to_reach": goal})
        print(f"{name} against {peer}: {middle:.3f}", flush=True)
    Console(width=120).print(table)
    note = f"CPU time, one thread, medians over {ROUNDS} pairs of alternating blocks"
    print(record.write("step", "python -m benchmarks.step", time.monotonic() - begun, rows, note))


if __name__ == "__main__":
    main()
