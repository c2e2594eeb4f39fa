"""Whether samples are as good, and as various, as real images."""

from typing import Literal

import lightning as L
from torch import Tensor

from genlit.callbacks.extraction import (
    Extraction,
    RealFeatures,
    protocol_of_images,
    real_images,
)
from genlit.callbacks.sample_judge import SampleJudge
from genlit.callbacks.sampling import sampled_shape
from genlit.features import FeatureExtractor, Features, LeNetMNIST
from genlit.features.modes import balance
from genlit.features.neighbours import neighbours
from genlit.runs import Measurement


class SampleCoverage(SampleJudge):
    """Measures precision and recall, density and coverage, and the balance of classes.

    Precision and density tell whether samples look real, recall and coverage whether they have all
    that real images have; FID joins the two. Samples are compared with as many real images, and in
    the details is what held-out images would have in their place: all depend on how many there are.
    Where the extractor is a classifier, the entropy of the classes of samples, and the total
    variation of these from those of real images, tell of classes that are left out.

    Standard errors are of the samples and of the real images as they are; they know nothing of
    those that other images' neighbours would make.

    References:
        | Improved Precision and Recall Metric for Assessing Generative Models
        | (Kynkäänniemi et al., 2019)
        | https://arxiv.org/abs/1904.06991
        | Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020)
        | https://arxiv.org/abs/2002.09797

    Args:
        extractor: Turns images into features; None takes the MNIST classifier lenet-mnist-v1.
        n_samples: Samples at test, and real images.
        n_val_samples: Samples at validation, and real images.
        batch_size: Samples drawn at a time; another one gives other samples.
        reference: The real images: train (as papers do), val or test.
        every_n_epochs: Also measures at validation after every so many epochs; 0 never does.
        k: Balls of precision and recall reach to this neighbour.
        k_density: Balls of density and coverage reach to this neighbour.
        seed: Seeds the samples, so that each epoch has the same noise.
    """

    def __init__(
        self,
        extractor: FeatureExtractor | None = None,
        n_samples: int = 10_000,
        n_val_samples: int = 2_000,
        batch_size: int = 500,
        reference: Literal["train", "val", "test"] = "train",
        every_n_epochs: int = 0,
        k: int = 3,
        k_density: int = 5,
        seed: int = 0,
    ) -> None:
        super().__init__(n_samples, n_val_samples, batch_size, every_n_epochs, seed)
        if min(k, k_density) < 1:
            raise ValueError(f"k is {k} and k_density {k_density}: neighbours count from 1")
        self.extractor = extractor or LeNetMNIST()
        self.reference = reference
        self.k, self.k_density = k, k_density
        self._real = RealFeatures()

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        self.extractor.accept(sampled_shape(pl_module))
        images, most = real_images(trainer, self.reference, "SampleCoverage"), self.k_density
        if len(images) <= max(self.k, most):
            raise ValueError(
                f"{len(images)} {self.reference} images have no neighbour number "
                f"{max(self.k, most)}: lower k and k_density of SampleCoverage"
            )

    def measure(
        self, trainer: L.Trainer, model: L.LightningModule, split: str, n: int
    ) -> list[Measurement]:
        extraction = Extraction(trainer, self.extractor, self.batch_size)
        real = self._real(extraction, self.reference, n, "SampleCoverage")
        held_out = None
        if split != self.reference:
            held_out = self._real(extraction, split, n, "SampleCoverage")
        samples = extraction.of_samples(model, n, self.seed)
        if not trainer.is_global_zero:
            return []
        protocol = protocol_of_images(trainer)
        return [
            *self._of_neighbours(samples, real, held_out, split, protocol),
            *self._of_classes(samples, real, split, protocol),
        ]

    def _of_neighbours(
        self, samples: Features, real: Features, held_out: Features | None, split: str,
        protocol: str,
    ) -> list[Measurement]:  # fmt: skip
        found = neighbours(real.values, samples.values, self.k, self.k_density)
        floor = {}
        if held_out is not None and len(held_out.values) > max(self.k, self.k_density):
            floors = neighbours(real.values, held_out.values, self.k, self.k_density)
            floor = {name: float(v.mean()) for name, v in floors._asdict().items()}
        method = self._method(samples, real)
        ks = {"precision": self.k, "recall": self.k}
        return [
            self._measurement(
                name, float(each.mean()), _stderr(each), "", split, len(each), protocol,
                f"k = {ks.get(name, self.k_density)}; {method}",
                {"real": floor[name], "n_real": len(held_out.values)} if held_out and floor else {},
            )
            for name, each in found._asdict().items()
        ]  # fmt: skip

    def _of_classes(
        self, samples: Features, real: Features, split: str, protocol: str
    ) -> list[Measurement]:
        if samples.logits is None or real.logits is None:
            return []
        n, classes = len(samples.values), self.extractor.classes
        of_samples, of_real = samples.logits.argmax(1), real.logits.argmax(1)
        found, even = balance(of_samples, of_real, classes), balance(of_real, of_real, classes)
        method = self._method(samples, real)
        return [
            self._measurement(
                "class_entropy", found.entropy, found.entropy_stderr, "nats", split, n, protocol,
                method, {"real": even.entropy},
            ),
            self._measurement(
                "class_distance", found.distance, found.distance_stderr, "", split, n, protocol,
                f"total variation; {method}", {"floor": found.floor},
            ),
        ]  # fmt: skip

    def _method(self, samples: Features, real: Features) -> str:
        extractor = self.extractor
        return (
            f"{len(samples.values)} samples against {len(real.values)} {self.reference} images; "
            f"features of {extractor.name} {extractor.fingerprint()}"
        )

    def _measurement(
        self, name: str, value: float, stderr: float, unit: str, split: str, n: int, protocol: str,
        method: str, details: dict[str, float | str],
    ) -> Measurement:  # fmt: skip
        return Measurement(
            name=f"{name}_{self.extractor.name}", split=split, value=value, stderr=stderr,
            unit=unit, kind="estimate", method=method, n=n, protocol=protocol, details=details,
        )  # fmt: skip


def _stderr(each: Tensor) -> float:
    return float(each.std() / len(each) ** 0.5)
