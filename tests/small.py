"""Models and data so small that whole trainings are part of a test."""

from pathlib import Path

import lightning as L

from genlit.boltzmann import RBM
from genlit.data.images import ImageData
from genlit.data.mnist import BUNDLED, find, read_images
from genlit.gan import GAN
from genlit.model import GenerativeModel
from genlit.networks import MLP, DCGANDiscriminator, DCGANGenerator
from genlit.vae import VAE


class Digits(ImageData):
    """A few digits: twelve batches an epoch."""

    shape = (1, 28, 28)

    def read(self):
        images = read_images(find(BUNDLED, "t10k"))
        return {"train": images[:240], "val": images[240:300], "test": images[300:345]}


def mlp(inputs, outputs):
    return MLP(inputs, outputs, (16,))


def dcgan_generator(inputs, outputs):
    return DCGANGenerator(inputs, outputs, 4)


def dcgan_discriminator(inputs, outputs):
    return DCGANDiscriminator(inputs, outputs, 4)


def vae(**arguments) -> GenerativeModel:
    return VAE(Digits.shape, 4, mlp, mlp, **arguments)


def rbm(**arguments) -> GenerativeModel:
    return RBM(Digits.shape, hidden=16, particles=20, sample_steps=5, **arguments)


def gan(**arguments) -> GenerativeModel:
    settings = {"discriminator_steps": 2, "ema_decay": 0.9} | arguments
    return GAN(Digits.shape, 8, dcgan_generator, dcgan_discriminator, **settings)


MODELS = {"rbm": rbm, "vae": vae, "gan": gan}


def digits(name: str, batch_size: int = 20) -> Digits:
    return Digits(batch_size, eval_batch_size=10, binarize="none" if name == "gan" else "dynamic")


def trainer(folder: Path, *callbacks: L.Callback, **options) -> L.Trainer:
    settings = {
        "max_epochs": 3,
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
        "log_every_n_steps": 5,
    }
    return L.Trainer(default_root_dir=folder, callbacks=[*callbacks], **(settings | options))
