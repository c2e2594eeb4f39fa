"""Peers from the package index, each in a process of its own with a folder of its own.

The folder holds the peer without its dependency on torch: both sides then run the same kernels.
pythae comes with the two of its dependencies that genlit does not have, cloudpickle and imageio.
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
PYTHAE = ("pythae==0.1.2", "cloudpickle", "imageio")

Ask = Callable[[str], list[float]]  # asks a peer's process, which answers with numbers

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


# Takes one of three lines. "load" takes a VAE's weights from the folder. "train STEPS SET" answers
# with the CPU seconds of a step, the first ten left out, on a SET of images: "grey", from which it
# samples binary ones at every visit, or "static", which are binary. "nll IMAGES SAMPLES BATCH GRAD"
# answers with those of a test image and the estimate; GRAD 1 leaves autograd on.
PYTHAE_CHILD = """
import sys, tempfile, time, torch
from pathlib import Path
from torch import nn
from pythae.data.datasets import DatasetOutput
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
torch.set_num_threads(1)
torch.manual_seed(0)
folder, warm_up = Path(sys.argv[1]), 10

def mlp(i, o):
    return [nn.Linear(i, 200), nn.SiLU(), nn.Linear(200, 200), nn.SiLU(), nn.Linear(200, o)]

class Encoder(BaseEncoder):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), *mlp(784, 100))
    def forward(self, x):
        mean, log_variance = self.net(x).chunk(2, -1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)

class Decoder(BaseDecoder):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(*mlp(50, 784), nn.Unflatten(1, (1, 28, 28)))
    def forward(self, z):
        return ModelOutput(reconstruction=self.net(z).sigmoid())

class Sampled(torch.utils.data.Dataset):
    def __init__(self, grey):
        self.grey = grey
    def __len__(self):
        return len(self.grey)
    def __getitem__(self, k):
        x = self.grey[k]
        return DatasetOutput(data=(torch.rand_like(x) < x).float())

class Stopwatch(TrainingCallback):
    done = 0
    def on_train_step_end(self, training_config, **kwargs):
        self.done += 1
        if self.done == warm_up:
            self.start = time.process_time()
        elif self.done > warm_up:
            self.seconds = (time.process_time() - self.start) / (self.done - warm_up)

config = VAEConfig(input_dim=(1, 28, 28), latent_dim=50, reconstruction_loss="bce")
model = VAE(config, Encoder(), Decoder())
images = {k: torch.load(folder / f"{k}.pt").float() for k in ("grey", "static", "test")}
images["grey"] /= 255

def load():
    weights = torch.load(folder / "weights.pt")
    model.encoder.net.load_state_dict(weights["encoder"])
    model.decoder.net.load_state_dict(weights["decoder"])
    return []

def train(steps, name):
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as output:
        settings = BaseTrainerConfig(
            output_dir=output, num_epochs=1, per_device_train_batch_size=100,
            learning_rate=1e-3, optimizer_params={"fused": True}, no_cuda=True,
        )
        part = images[name][: 100 * (int(steps) + warm_up)]
        data = Sampled(part) if name == "grey" else part
        TrainingPipeline(model, settings)(data, callbacks=[watch])
    return [watch.seconds]

def nll(*numbers):
    n, samples, batch, grad = map(int, numbers)
    model.eval()
    start = time.process_time()
    with torch.set_grad_enabled(bool(grad)):
        value = model.get_nll(images["test"][:n], samples, batch)
    return [(time.process_time() - start) / n, value]

for line in sys.stdin:
    name, *rest = line.split()
    print("took", *{"load": load, "train": train, "nll": nll}[name](*rest), flush=True)
"""


def learnergy_rbm(images: torch.Tensor) -> Callable[[int], float]:
    """CD-1 of learnergy's RBM 784-500 in batches of 100, on binary images (N, 784) float32.

    Returns:
        A function from a number of steps to the CPU seconds of one.
    """
    install(FOLDER, "learnergy", *LEARNERGY, *WITH_IT)
    torch.save(images, FOLDER / "images.pt")
    ask = started(CHILD, FOLDER, FOLDER / "images.pt")
    return lambda steps: ask(str(100 * steps))[0] / steps


def pythae_vae(images: dict[str, torch.Tensor]) -> tuple[Ask, Path]:
    """A VAE 784-200-200-50 of pythae.

    Args:
        images: Of "grey", "static" and "test", each (N, 1, 28, 28) uint8; the last two are binary.

    Returns:
        A function that asks it to train or to measure, and the folder that "load" reads.
    """
    folder = FOLDER / "for_pythae"
    install(folder, "pythae", *PYTHAE)
    for name, some in images.items():
        torch.save(some.clone(), folder / f"{name}.pt")
    return started(PYTHAE_CHILD, folder, folder), folder


def started(program: str, folder: Path, argument: Path) -> Ask:
    """Runs a program that answers every line with one that begins with "took"."""
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(argument)], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    given, answers = child.stdin, child.stdout
    assert given is not None
    assert answers is not None

    def ask(line: str) -> list[float]:
        print(line, file=given, flush=True)
        for answer in answers:
            if answer.startswith("took"):
                return [float(number) for number in answer.split()[1:]]
        raise RuntimeError(f"the peer in {folder} stopped without an answer")

    return ask


def install(folder: Path, name: str, *packages: str) -> None:
    """Installs a peer and what comes with it into a folder, where it is not yet."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / name).exists():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
        subprocess.run([*pip, *packages], check=True)
