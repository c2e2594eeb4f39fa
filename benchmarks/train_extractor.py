"""Trains the extractor `lenet-mnist-v1` on the bundled MNIST: python -m benchmarks.train_extractor.

Two epochs on the 60,000 training images, on one thread; the same machine writes the same file.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as nnf

from genlit.data.idx import LABELS, parse, read_bytes
from genlit.data.mnist import BUNDLED, find, read_images
from genlit.features.lenet import WEIGHTS, LeNet
from genlit.randomness import permutation

RESULT = Path(__file__).parent / "results" / "extractor.json"
EPOCHS, BATCH, RATE = 2, 128, 5e-3


def digits(split: str) -> tuple[Tensor, Tensor]:
    """Images (N, 1, 28, 28) uint8 and labels (N,) of "train" or "t10k"."""
    path = BUNDLED / f"{split}-labels-idx1-ubyte.xz"
    return read_images(find(BUNDLED, split)), parse(read_bytes(path), LABELS, path).long()


def train(images: Tensor, labels: Tensor, seed: int) -> LeNet:
    """Trains a new network with AdamW under a one-cycle schedule."""
    torch.manual_seed(seed)
    net = LeNet()
    steps = len(images) // BATCH
    optimizer = torch.optim.AdamW(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * steps)
    for epoch in range(EPOCHS):
        order = permutation(len(images), "extractor", seed, epoch)
        for batch in order[: steps * BATCH].split(BATCH):
            optimizer.zero_grad()
            nnf.cross_entropy(net(images[batch].float() / 255), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    return net


@torch.no_grad()
def accuracy(net: LeNet, images: Tensor, labels: Tensor) -> float:
    """The share of images whose digit the network names."""
    guesses = torch.cat([net(x.float() / 255).argmax(1) for x in images.split(500)])
    return (guesses == labels).double().mean().item()


def main() -> None:
    """Trains, prints the accuracy on the test set, and writes weights and result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_extractor")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order of images")
    seed = parser.parse_args().seed
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    start = time.process_time()
    net = train(*digits("train"), seed)
    seconds = time.process_time() - start
    half = {name: weight.half() for name, weight in net.state_dict().items()}
    net.load_state_dict(half)
    score = accuracy(net, *digits("t10k"))
    torch.save(half, WEIGHTS)
    result = {
        "command": f"python -m benchmarks.train_extractor --seed {seed}",
        "what": "test accuracy of lenet-mnist-v1, the extractor of features that genlit carries",
        "value": score,
        "stderr": round((score * (1 - score) / 10_000) ** 0.5, 6),
        "unit": "",
        "kind": "exact",
        "n": 10_000,
        "protocol": "grey",
        "seed": seed,
        "seconds": round(seconds, 1),
        "bytes": WEIGHTS.stat().st_size,
        "machine": f"{platform.machine()}, 1 thread, torch {torch.__version__}",
        "date": time.strftime("%Y-%m-%d"),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(f"test accuracy {100 * score:.2f} % after {seconds:.0f} CPU seconds -> {WEIGHTS}")


if __name__ == "__main__":
    main()
