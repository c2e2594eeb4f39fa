"""How far samples of the model are from real images."""

from pathlib import Path
from typing import Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from genlit.callbacks.judge import Judge
from genlit.callbacks.sampling import draw, sampled_shape
from genlit.features import FeatureExtractor, Features, LeNetMNIST
from genlit.features.blocks import Block, extract, joined
from genlit.features.cache import cache_folder
from genlit.features.distance import classifier_score, frechet, frechet_floor, kernel_distance
from genlit.features.reference import Reference, cache_path, load, save, summarized
from genlit.runs import Measurement


class SampleQuality(Judge):
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
        super().__init__(every_n_epochs)
        if min(n_samples, n_val_samples) < 100:
            raise ValueError("SampleQuality needs n_samples and n_val_samples of 100 or more")
        self.extractor = extractor or LeNetMNIST()
        if score and not self.extractor.has_logits:
            raise ValueError(
                f"{self.extractor.name} has no logits, and without them there is no Inception "
                "Score: leave `score` out, or give complete weights"
            )
        self.score = self.extractor.has_logits if score is None else score
        self.n_samples, self.n_val_samples = n_samples, n_val_samples
        self.batch_size = batch_size
        self.reference = reference
        self.kid_subsets, self.kid_subset_size = kid_subsets, kid_subset_size
        self.cache_dir = cache_dir
        self._folder = Path(cache_dir).expanduser() if cache_dir else cache_folder()
        self.seed = seed
        self._known: tuple[Path, Reference] | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuses, before any time is spent, what could not be measured in the end."""
        self.extractor.accept(sampled_shape(pl_module))
        self._images(trainer)
        callbacks: list[L.Callback] = trainer.callbacks  # pyright: ignore[reportAttributeAccessIssue]
        before = callbacks[: callbacks.index(self)]
        if self.every_n_epochs and any(isinstance(c, WeightAveraging) for c in before):
            raise ValueError(
                "SampleQuality would judge the raw weights, not the averaged ones: "
                "list it before WeightAveraging in trainer.callbacks"
            )

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.measurements = []

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._judge(trainer, pl_module, "test", self.n_samples)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.due(trainer):
            self._judge(trainer, pl_module, "val", self.n_val_samples)

    def _judge(self, trainer: L.Trainer, model: L.LightningModule, split: str, n: int) -> None:
        self.extractor.to(trainer.strategy.root_device)
        reference = self._reference(trainer)

        def block(k: int, count: int) -> Tensor:
            return draw(model, count, "quality", self.seed, k)

        features = self._features(trainer, block, n, "samples to be judged, blocks")
        found = self._measure(features, reference, split, trainer) if reference else []
        for measurement in trainer.strategy.broadcast(found):
            self.conclude(model, measurement)

    def _features(self, trainer: L.Trainer, block: Block, n: int, label: str) -> Features:
        """Features of n images, computed by all processes together; the same on each."""
        place = (trainer.global_rank, trainer.world_size, trainer.strategy.root_device)
        mine = extract(block, n, self.batch_size, self.extractor, *place, label)
        everyone = (
            trainer.strategy.all_gather(mine) if trainer.world_size > 1 else mine.unsqueeze(0)
        )
        return joined(everyone, n, self.extractor.dim)

    def _reference(self, trainer: L.Trainer) -> Reference | None:
        """The real images' features from the cache, or computed by all; None but on the first."""
        images = self._images(trainer)
        found = None
        path = Path()
        if trainer.is_global_zero:
            path = cache_path(self._folder, images, self.extractor)
            found = self._known[1] if self._known and self._known[0] == path else load(path)
        if not trainer.strategy.broadcast(found is not None):

            def block(k: int, count: int) -> Tensor:
                return images[k * self.batch_size :][:count]

            label = f"features of {self.reference} images, blocks"
            values = self._features(trainer, block, len(images), label).values
            if trainer.is_global_zero:
                found = summarized(values)
                save(found, path)
        self._known = (path, found) if found else None
        return found

    def _images(self, trainer: L.Trainer) -> Tensor:
        data = getattr(trainer, "datamodule", None)
        images = getattr(data, "splits", {}).get(self.reference)
        if not isinstance(images, Tensor) or images.dtype != torch.uint8:
            raise ValueError(
                f"SampleQuality compares with {self.reference} images, and "
                f"{type(data).__name__ if data else 'a run without a datamodule'} holds none as "
                "uint8 in `splits`"
            )
        return images

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
        grey = getattr(getattr(trainer, "datamodule", None), "protocol", "grey") != "static"
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
                protocol="grey" if grey else "static",
                details=_details(name, floor, reference.n),
            )
            for name, value, stderr, method in found
        ]


def _details(name: str, floor: float, n_reference: int) -> dict[str, float | str]:
    if name == "fid":
        return {"floor": floor, "n_reference": n_reference}
    return {}
