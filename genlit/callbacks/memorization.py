"""Whether samples are copies of training images."""

import sys
import warnings
from typing import Literal

import lightning as L

from genlit.callbacks.extraction import (
    Extraction,
    RealFeatures,
    protocol_of_images,
    real_images,
)
from genlit.callbacks.sample_judge import SampleJudge
from genlit.callbacks.sampling import sampled_shape
from genlit.features import FeatureExtractor, LeNetMNIST
from genlit.features.neighbours import Copying, copying
from genlit.runs import Measurement

ALARM = 3.0  # standard errors above one half
ALL = sys.maxsize


class Memorization(SampleJudge):
    """Measures how many samples are nearer to a training image than to a held-out one.

    It is 1/2 for a model that learned the law of the data, and 1 for one that copies what it saw,
    even in part or with small changes, as far as features tell. That the held-out images are of the
    same law must be sure: those of validation are chosen from the training images at random, and
    the digits of MNIST's test, say, are of other writers. `memorization_ratio` is the median of the
    distance to training images over that to as many held-out ones: 1, and less of copies. A warning
    says so if the fraction is more than 3 standard errors above 1/2; these are of a model that does
    not know which images it was trained on.

    References:
        | A Non-Parametric Test to Detect Data-Copying in Generative Models
        | (Meehan, Chaudhuri & Dasgupta, 2020)
        | https://arxiv.org/abs/2004.05675

    Args:
        extractor: Turns images into features; None takes the MNIST classifier lenet-mnist-v1.
            genlit.features.Pixels compares pixel by pixel.
        n_samples: Samples at test.
        n_val_samples: Samples at validation.
        batch_size: Samples drawn at a time; another one gives other samples.
        held_out: The images that the model has not seen: val or test.
        n_real: The most images of either set, drawn at random; None takes all, which finds more.
        every_n_epochs: Also measures at validation after every so many epochs; 0 never does.
        seed: Seeds the samples, so that each epoch has the same noise.
    """

    def __init__(
        self,
        extractor: FeatureExtractor | None = None,
        n_samples: int = 10_000,
        n_val_samples: int = 2_000,
        batch_size: int = 500,
        held_out: Literal["val", "test"] = "val",
        n_real: int | None = None,
        every_n_epochs: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(n_samples, n_val_samples, batch_size, every_n_epochs, seed)
        if n_real is not None and n_real < 2:
            raise ValueError(f"n_real is {n_real}: Memorization needs 2 or more, or all")
        self.extractor = extractor or LeNetMNIST()
        self.held_out = held_out
        self.n_real = n_real
        self._real = RealFeatures()

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        self.extractor.accept(sampled_shape(pl_module))
        for split in ("train", self.held_out):
            real_images(trainer, split, "Memorization")

    def measure(
        self, trainer: L.Trainer, model: L.LightningModule, split: str, n: int
    ) -> list[Measurement]:
        extraction, most = Extraction(trainer, self.extractor, self.batch_size), self.n_real or ALL
        train = self._real(extraction, "train", most, "Memorization").values
        held_out = self._real(extraction, self.held_out, min(most, len(train)), "Memorization")
        samples = extraction.of_samples(model, n, self.seed).values
        if not trainer.is_global_zero:
            return []
        found = copying(samples, train, held_out.values)
        name = self.extractor.name
        if found.z > ALARM:
            warnings.warn(
                f"samples are nearer to training images than to others in the features of {name}: "
                f"{found.fraction:.3f} of them where 1/2 is fair, {found.z:.1f} standard errors",
                stacklevel=2,
            )
        sizes = f"{len(train)} train and {len(held_out.values)} {self.held_out} images"
        method = f"{n} samples against {sizes}; features of {name} {self.extractor.fingerprint()}"
        return self._measurements(found, split, n, method, protocol_of_images(trainer))

    def _measurements(
        self, found: Copying, split: str, n: int, method: str, protocol: str
    ) -> list[Measurement]:
        every = [
            ("memorization", found.fraction, found.stderr, {"fair": 0.5, "z": found.z}),
            ("memorization_ratio", found.ratio, None, {"fair": 1.0}),
        ]
        return [
            Measurement(
                name=f"{name}_{self.extractor.name}",
                split=split,
                value=value,
                stderr=stderr,
                unit="",
                kind="estimate",
                method=method,
                n=n,
                protocol=protocol,
                details=details,
            )
            for name, value, stderr, details in every
        ]
