"""What likelihood models cost: training, log p(x) by importance sampling, and drawing pixels.

    python -m benchmarks.likelihood

The peer of the VAE is pythae, in a process of its own: the same widths, units, batch and optimizer,
and its own training loop, data loader and callbacks as they are by default. Where images are
binarized at every visit, it gets a data set that samples one when asked for it, as its interface
wants. Blocks of the two sides alternate on one thread, and every ratio is of two blocks that stand
next to each other.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from benchmarks import record, tables
from benchmarks.peers import Ask, pythae_vae
from benchmarks.step import WARM_UP, Block, FusedAdam, compare, plain_mlp, trained
from genlit.autoregressive import PixelCNN
from genlit.cli.silence import silence
from genlit.data import MNIST
from genlit.estimators import LowerBound
from genlit.randomness import isolated
from genlit.vae import VAE

SHAPE = (1, 28, 28)
LATENT = 50
STEPS = 150  # of a block of training
IMAGES = 1000
SAMPLES = 500  # of the latent variables, for each image
SIZES = (50, 100, 250, 500)  # among which the fastest is found for get_nll
PILOT = 40  # images by which it is found
DRAWN = 16
TRAININGS, EVALUATIONS, DRAWINGS = 12, 4, 3  # pairs of blocks
PIXELCNN = Path(__file__).parents[1] / "configs" / "pixelcnn.yaml"


def main() -> None:
    """Measures, prints, and writes benchmarks/results/likelihood.json."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    silence()
    begun = time.monotonic()
    sets = {"grey": MNIST(binarize="dynamic"), "static": MNIST(binarize="static")}
    for data in sets.values():
        data.setup("fit")
    n = 100 * (STEPS + WARM_UP)
    images = {name: data.splits["train"][:n] for name, data in sets.items()}
    images["static"] = images["static"] // 255
    test = sets["grey"].events("test")[:IMAGES]
    ask, folder = pythae_vae(images | {"test": test.byte()})
    vae = VAE(SHAPE, LATENT, plain_mlp, plain_mlp, optimizer=FusedAdam)
    rows = training(vae, sets, ask)
    torch.save(weights(vae), folder / "weights.pt")
    ask("load")
    rows += [*evaluation(vae.eval(), test, sets["grey"].eval_batch_size, ask), drawing()]
    note = "CPU time, one thread, medians over pairs of alternating blocks"
    seconds = time.monotonic() - begun
    path = record.write("likelihood", "python -m benchmarks.likelihood", seconds, rows, note)
    print(tables.likelihood(record.read("likelihood")), path, sep="\n")


def training(vae: VAE, sets: dict[str, MNIST], ask: Ask) -> list[dict[str, Any]]:
    """A thousand steps through either's trainer, on each set of images."""
    said = (
        "Training: batches of 100, fused Adam and a learning rate of 0.001 on both sides; all else "
        "in pythae's `TrainingPipeline` is as by default, and images that are binarized at every "
        "visit come from a data set that samples one when asked for it"
    )
    kinds = {"grey": "binarized at every visit", "static": "binarized once"}
    return [
        row(f"1,000 training steps, VAE 784-200-200-50, batch 100, {kind}", "pythae",
            trained(lambda: vae, sets[name]), lambda n, name=name: ask(f"train {n} {name}")[0],
            STEPS, 1000, TRAININGS, 1.5, lambda: said)
        for name, kind in kinds.items()
    ]  # fmt: skip


def weights(vae: VAE) -> dict[str, dict[str, Tensor]]:
    """The weights of both networks as pythae has them: it says log variances, not deviations."""
    networks = {"encoder": vae.encoder, "decoder": vae.decoder}
    found = {
        name: {key: value.clone() for key, value in network.state_dict().items()}
        for name, network in networks.items()
    }
    for value in [*found["encoder"].values()][-2:]:
        value[LATENT:] *= 2
    return found


def evaluation(vae: VAE, x: Tensor, size: int, ask: Ask) -> list[dict[str, Any]]:
    """The importance-weighted bound of images, against get_nll at its fastest and as it stands."""
    pilot = {b: ask(f"nll {PILOT} {SAMPLES} {b} 0")[0] for b in SIZES}
    fastest = min(pilot, key=lambda b: pilot[b])
    peers = {
        f"pythae, batch_size {fastest} and no_grad": f"{fastest} 0",
        "pythae, its defaults (batch_size 100)": "100 1",
    }
    name, rows = f"log p(x) of {IMAGES:,} images, {SAMPLES} samples", []
    for peer, setting in peers.items():
        mine, other = [], []
        blocks = bounds(vae, x, size, mine), nlls(ask, setting, other)
        rows.append(row(name, peer, *blocks, len(x), len(x), EVALUATIONS, 10,
                        lambda p=peer, a=mine, b=other: agreement(p, a, b)))  # fmt: skip
    return rows


def bounds(vae: VAE, images: Tensor, size: int, values: list[Tensor]) -> Block:
    """Bounds as the callback Likelihood asks for them; adds those of each image to a list."""

    @torch.no_grad()
    def block(n: int) -> float:
        start = time.process_time()
        density = LowerBound(SAMPLES)(vae)
        with isolated("likelihood", len(values)):
            found = torch.cat([density.log_prob(x) for x in images[:n].split(size)])
        values.append(found)
        return (time.process_time() - start) / n

    return block


def nlls(ask: Ask, setting: str, values: list[float]) -> Block:
    """CPU seconds of an image by pythae; adds its estimate to a list."""

    def block(n: int) -> float:
        seconds, value = ask(f"nll {n} {SAMPLES} {setting}")
        values.append(value)
        return seconds

    return block


def agreement(peer: str, mine: list[Tensor], other: list[float]) -> str:
    """Whether both sides give the same number for the same weights, by the noise of genlit's."""
    runs = torch.stack(mine)
    noise = (runs.var(0).sum().sqrt() / runs.shape[1]).item()  # of one run's mean
    stderr = noise * (2 / len(mine)) ** 0.5
    difference = runs.mean().item() - statistics.mean(other)
    return (
        f"{peer}, with the same weights: {runs.mean():.3f} nats by genlit, "
        f"{statistics.mean(other):.3f} by pythae, difference {difference:.3f} ± {stderr:.3f}"
    )


def drawing() -> dict[str, Any]:
    """Images of a PixelCNN, each feature computed about once, against all anew for each pixel."""
    settings = yaml.safe_load(PIXELCNN.read_text())["model"]["init_args"]
    sizes: Any = {name: n for name, n in settings.items() if isinstance(n, int) and n is not True}
    model = PixelCNN(SHAPE, **sizes)
    cached: list[Tensor] = []
    naive: list[Tensor] = []

    def same() -> str:
        pairs = [(a == b).flatten(1).all(1) for a, b in zip(cached, naive, strict=True)]
        equal = torch.cat(pairs)
        return f"Of {len(equal)} images drawn both ways with equal seeds, {equal.sum()} are equal"

    ours, theirs = drawn(model.sample, cached), drawn(model.sample_naively, naive)
    name = f"{DRAWN} samples of 28 x 28 pixels, PixelCNN of configs/pixelcnn.yaml"
    return row(name, "all anew for each pixel", ours, theirs, DRAWN, DRAWN, DRAWINGS, 5, same)


def drawn(draw: Callable[[int], Tensor], events: list[Tensor]) -> Block:
    """CPU seconds of an event; adds those drawn to a list, whose length is the next seed."""

    def block(n: int) -> float:
        torch.manual_seed(len(events))
        start = time.process_time()
        events.append(draw(n))
        return (time.process_time() - start) / n

    return block


def row(
    name: str, peer: str, ours: Block, theirs: Block, steps: int, told: int, rounds: int,
    goal: float, said: Callable[[], str],
) -> dict[str, Any]:  # fmt: skip
    """One comparison.

    Args:
        name: What is done.
        peer: Against whom.
        ours: Genlit's block.
        theirs: The peer's.
        steps: Steps, images or samples of a block.
        told: Of how many of them the seconds are told.
        rounds: Pairs of blocks.
        goal: How many times faster genlit is to be.
        said: What there is to say once it was measured.
    """
    times = compare(ours, theirs, steps, rounds)
    ratios = [b / a for a, b in zip(*times, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    mine, other = (told * statistics.median(t) for t in times)
    print(f"{name}, against {peer}: {mine:.3g} s, {other:.3g} s, {middle:.3g} times as fast "
          f"({low:.3g} to {high:.3g}; goal {goal})\n{said()}", flush=True)  # fmt: skip
    return {
        "step": name, "peer": peer, "genlit_seconds": mine, "peer_seconds": other,
        "ratio": middle, "middle_half": [low, high], "to_reach": goal, "said": said(),
    }  # fmt: skip


if __name__ == "__main__":
    main()
