"""Peers from the package index, each in a process of its own with a folder of its own.

The folder holds the peer without its dependency on torch: both sides then run the same kernels.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

FOLDER = Path(__file__).parents[1] / "build" / "peers"
LEARNERGY = ("learnergy==2.0.2",)
WITH_IT = ("scikit-image", "imageio", "tifffile", "lazy-loader", "networkx", "packaging")

# Trains on as many images as each line of its input says, and answers with the CPU seconds it took.
CHILD = """
import sys, time, torch, logging
torch.set_num_threads(1)
logging.disable(logging.CRITICAL)
from learnergy.models.bernoulli import RBM
images = torch.load(sys.argv[1])
data = torch.utils.data.TensorDataset(images, torch.zeros(len(images)))
model = RBM(784, 500, steps=1, learning_rate=0.05)
for line in sys.stdin:
    part = torch.utils.data.Subset(data, range(int(line)))
    start = time.process_time()
    model.fit(part, batch_size=100, epochs=1)
    print("took", time.process_time() - start, flush=True)
"""


def learnergy_rbm(images: torch.Tensor) -> Callable[[int], float]:
    """CD-1 of learnergy's RBM 784-500 in batches of 100, on binary images (N, 784) float32.

    Returns:
        A function from a number of steps to the CPU seconds of one.
    """
    install()
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.save(images, FOLDER / "images.pt")
    environment = os.environ | {"PYTHONPATH": str(FOLDER), "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(FOLDER / "images.pt")], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    given, answers = child.stdin, child.stdout
    assert given is not None
    assert answers is not None

    def block(steps: int) -> float:
        print(100 * steps, file=given, flush=True)
        for line in answers:
            if line.startswith("took"):
                return float(line.split()[1]) / steps
        raise RuntimeError("learnergy stopped without an answer")

    return block


def install() -> None:
    """Installs the peer where it is not yet."""
    if not (FOLDER / "learnergy").exists():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(FOLDER)]
        subprocess.run([*pip, *LEARNERGY, *WITH_IT], check=True)
