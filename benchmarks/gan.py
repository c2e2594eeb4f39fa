"""What a round of the adversarial game costs through genlit's Trainer, and what FID costs.

    python -m benchmarks.gan

Rounds are compared as `benchmarks.step` compares steps: with the same game written as a bare
PyTorch loop, blocks of both alternating on one thread. FID is that of 10,000 samples in the
features of lenet-mnist-v1, drawing them included.
"""

import statistics
import time
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import raw_loops, record
from benchmarks.step import Block, compare, looped, networks_of, trained
from genlit.cli.silence import silence
from genlit.data import MNIST
from genlit.features import LeNetMNIST
from genlit.features.distance import frechet, moments
from genlit.gan import GAN, R1
from genlit.networks import DCGANDiscriminator

SHAPE, BATCH = (1, 28, 28), 64
SAMPLES, BLOCK = 10_000, 500
GOAL = 1.03
PAIRS, WARM_UP = 50, 2  # short blocks, so that those of a pair are close in time


def pair(data: MNIST, k: int, penalized: bool) -> tuple[Block, Block]:
    """A game of k steps of the discriminator a round, through the Trainer and without it."""
    discriminator = partial(DCGANDiscriminator, batch_norm=not penalized)
    games = [
        GAN(
            SHAPE,
            discriminator=discriminator,
            penalties=[R1(1.0)] if penalized else [],
            discriminator_steps=k,
        )
        for _ in range(2)
    ]
    raw = raw_loops.gan(
        data.splits["train"], *networks_of(games[1]), games[1].latent, k, 1.0 if penalized else 0.0
    )
    return trained(lambda: games[0], data, WARM_UP), looped(raw, WARM_UP)


def rounds() -> list[dict[str, Any]]:
    """The rows of the comparison."""
    rows = []
    for k in (1, 5):
        data = MNIST(batch_size=BATCH * k, binarize="none")
        data.setup("fit")
        for penalized in (False, True):
            name = f"DCGAN-28, k = {k}" + (", R1" if penalized else "")
            times = compare(*pair(data, k, penalized), steps=4 if k == 1 else 2, rounds=PAIRS)
            ratios = [a / b for a, b in zip(*times, strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            ours, theirs = (1000 * statistics.median(t) for t in times)
            rows.append(
                {
                    "round": name, "genlit_ms": ours, "bare_ms": theirs, "ratio": middle,
                    "middle_half": [low, high], "to_reach": GOAL,
                }
            )  # fmt: skip
            print(f"{name}: {middle:.3f}", flush=True)
    return rows


@torch.no_grad()
def fid_parts() -> dict[str, float]:
    """CPU seconds of each part of FID on 10,000 samples; the reference's moments are known."""
    gan, extractor = GAN(SHAPE), LeNetMNIST()
    seconds, blocks, features = {}, [], []
    begun = time.process_time()
    for _ in range(SAMPLES // BLOCK):
        blocks.append((gan.sample(BLOCK) * 255).round().byte())
    seconds["sampling"] = time.process_time() - begun
    begun = time.process_time()
    for x in blocks:
        features.append(extractor(x).values)
    seconds["features"] = time.process_time() - begun
    found = torch.cat(features)
    reference = moments(found)
    begun = time.process_time()
    frechet(found, reference)
    seconds["distance"] = time.process_time() - begun
    return seconds


def main() -> None:
    """Measures, prints the tables, and writes benchmarks/results/gan.json."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    silence()
    begun, rows = time.monotonic(), rounds()
    table = Table("round", "genlit ms", "bare ms", "ratio", "middle half", "to reach", box=None)
    for row in rows:
        low, high = row["middle_half"]
        table.add_row(
            row["round"], f"{row['genlit_ms']:.1f}", f"{row['bare_ms']:.1f}", f"{row['ratio']:.3f}",
            f"{low:.3f}-{high:.3f}", f"<= {GOAL}",
        )  # fmt: skip
    parts = fid_parts()
    total = sum(parts.values())
    shares = Table("part of FID", "CPU s", "share", box=None)
    for name, seconds in parts.items():
        shares.add_row(name, f"{seconds:.1f}", f"{seconds / total:.0%}")
        rows.append({"fid_part": name, "seconds": seconds, "share": seconds / total})
    for shown in (table, shares):
        Console(width=120).print(shown)
    note = (
        f"CPU time, one thread, medians over {PAIRS} pairs of alternating blocks; FID of "
        f"{SAMPLES} samples in the features of lenet-mnist-v1"
    )
    print(record.write("gan", "python -m benchmarks.gan", time.monotonic() - begun, rows, note))


if __name__ == "__main__":
    main()
