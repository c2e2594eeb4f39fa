"""How far samples of the model are from real images."""

from pathlib import Path
from typing import Literal

import lightning as L

from genlit.callbacks.extraction import Extraction, protocol_of_images, real_images
from genlit.callbacks.sample_judge import SampleJudge
from genlit.callbacks.sampling import sampled_shape
from genlit.features import FeatureExtractor, Features, LeNetMNIST
from genlit.features.cache import cache_folder
from genlit.features.distance import classifier_score, frechet, frechet_floor, kernel_distance
from genlit.features.reference import Reference, cache_path, load, save, summarized
from genlit.runs import Measurement


class SampleQuality(SampleJudge):
    """Measures FID, its limit for many samples, KID and a classifier's score, with their errors.

    Samples and real images are both compared in 256 grey levels. The names of the numbers carry
    the extractor, since distances in the features of two networks have nothing in common. FID at n
    samples is too high by about the `floor` in its details; `fid_inf` is freed of the part that n
    causes, and KID of both.

    References:
        | GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017)
        | Effectively Unbiased FID and Inception Score (Chong & Forsyth, 2020)
        | Demystifying MMD GANs (Bińkowski et al., 2018)

    Args:
        extractor: Turns images into features; None takes the MNIST classifier lenet-mnist-v1.
        n_samples: Samples at test.
        n_val_samples: Samples at validation.
        batch_size: Samples drawn at a time; another one gives other samples.
        reference: The real images: train (as papers do), val or test.
        every_n_epochs: Also measures at validation after every so many epochs; 0 never does.
        score: Whether to measure the classifier's score; None does where the extractor has logits.
        kid_subsets: Random subsets over which KID is averaged.
        kid_subset_size: Images in each of them.
        cache_dir: Where features of real images are kept; None takes ~/.cache/genlit.
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
        score: bool | None = None,
        kid_subsets: int = 50,
        kid_subset_size: int = 1_000,
        cache_dir: Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(n_samples, n_val_samples, batch_size, every_n_epochs, seed)
        self.extractor = extractor or LeNetMNIST()
        if score and not self.extractor.has_logits:
            raise ValueError(
                f"{self.extractor.name} has no logits, and without them there is no Inception "
                "Score: leave `score` out, or give complete weights"
            )
        self.score = self.extractor.has_logits if score is None else score
        self.reference = reference
        self.kid_subsets, self.kid_subset_size = kid_subsets, kid_subset_size
        self.cache_dir = cache_dir
        self._folder = Path(cache_dir).expanduser() if cache_dir else cache_folder()
        self._known: tuple[Path, Reference] | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuses, before any time is spent, what could not be measured in the end."""
        super().setup(trainer, pl_module, stage)
        self.extractor.accept(sampled_shape(pl_module))
        real_images(trainer, self.reference, "SampleQuality")

    def measure(
        self, trainer: L.Trainer, model: L.LightningModule, split: str, n: int
    ) -> list[Measurement]:
        extraction = Extraction(trainer, self.extractor, self.batch_size)
        reference = self._reference(extraction)
        features = extraction.of_samples(model, n, self.seed)
        return self._measure(features, reference, split, trainer) if reference else []

    def _reference(self, extraction: Extraction) -> Reference | None:
        """The real images' features from the cache, or computed by all; None but on the first."""
        trainer = extraction.trainer
        images = real_images(trainer, self.reference, "SampleQuality")
        found = None
        path = Path()
        if trainer.is_global_zero:
            path = cache_path(self._folder, images, self.extractor)
            found = self._known[1] if self._known and self._known[0] == path else load(path)
        if not trainer.strategy.broadcast(found is not None):
            values = extraction.of_images(images, self.reference).values
            if trainer.is_global_zero:
                found = summarized(values)
                save(found, path)
        self._known = (path, found) if found else None
        return found

    def _measure(
        self, features: Features, reference: Reference, split: str, trainer: L.Trainer
    ) -> list[Measurement]:
        n, extractor = len(features.values), self.extractor
        fid = frechet(features.values, reference.moments)
        size = min(self.kid_subset_size, n, len(reference.features))
        kid = kernel_distance(features.values, reference.features, self.kid_subsets, size)
        floor = frechet_floor(reference.moments.covariance, n, reference.n)
        against = f"{n} samples against all {reference.n} {self.reference} images"
        found = [
            ("fid", fid.value, fid.stderr, f"{against}; error of 5 disjoint blocks"),
            ("fid_inf", fid.limit, fid.stderr, f"{against}; line in 1/n through 5 sizes"),
            ("kid", kid.value, kid.stderr, f"{against}; {self.kid_subsets} subsets of {size}"),
        ]
        if self.score and features.logits is not None:
            score = classifier_score(features.logits)
            found.append((extractor.score, *score, f"{n} samples in 10 splits"))
        return [
            Measurement(
                name=f"{name}_{extractor.name}",
                split=split,
                value=value,
                stderr=stderr,
                unit="",
                kind="estimate",
                method=f"{method}; features of {extractor.name} {extractor.fingerprint()}",
                n=n,
                protocol=protocol_of_images(trainer),
                details=_details(name, floor, reference.n),
            )
            for name, value, stderr, method in found
        ]


def _details(name: str, floor: float, n_reference: int) -> dict[str, float | str]:
    if name == "fid":
        return {"floor": floor, "n_reference": n_reference}
    return {}
