"""What is kept of the reference images: their moments, and some of their features, in a cache."""

import hashlib
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genlit.features.cache import save_atomically
from genlit.features.distance import Moments, moments
from genlit.features.extractor import QUANTIZER, FeatureExtractor
from genlit.randomness import permutation

KEPT = 10_000  # features kept for the kernel distance


class Reference(NamedTuple):
    """What sets of samples are compared with."""

    moments: Moments  # of all images
    features: Tensor  # of at most KEPT of them, drawn with a fixed seed, (m, d) float32
    n: int  # how many images there are


def summarized(features: Tensor) -> Reference:
    """Returns the reference of features (n, d); never a prefix, since data may be ordered."""
    kept = permutation(len(features), "reference")[:KEPT]
    return Reference(moments(features), features.cpu()[kept], len(features))


def cache_path(folder: Path, images: Tensor, extractor: FeatureExtractor) -> Path:
    """Where the reference of uint8 images lies: other images or weights, another file."""
    digest = hashlib.sha256(images.cpu().contiguous().numpy().tobytes())
    for part in (tuple(images.shape), extractor.fingerprint(), QUANTIZER, KEPT):
        digest.update(repr(part).encode())
    return folder / f"{extractor.name}-{digest.hexdigest()[:16]}.pt"


def load(path: Path) -> Reference | None:
    """Returns a cached reference; None if there is none, or it cannot be trusted."""
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        found = Reference(
            Moments(stored["mean"], stored["covariance"]), stored["features"], stored["n"]
        )
        return found if stored["digest"] == _digest(found) else None
    except Exception:  # a broken file can fail in any way; all mean that it is computed anew
        return None


def save(reference: Reference, path: Path) -> None:
    """Caches a reference; a folder that cannot be written costs a warning and no more."""
    stored: dict[str, Any] = {
        "mean": reference.moments.mean,
        "covariance": reference.moments.covariance,
        "features": reference.features,
        "n": reference.n,
        "digest": _digest(reference),
    }
    try:
        save_atomically(stored, path)
    except OSError as error:
        warnings.warn(f"reference features were not cached in {path.parent}: {error}", stacklevel=2)


def _digest(reference: Reference) -> str:
    digest = hashlib.sha256(repr(reference.n).encode())
    for tensor in (*reference.moments, reference.features):
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
