"""How a run is spread over the devices of a machine."""

from typing import Any

import lightning as L
import torch


def strategy(config: Any, model: L.LightningModule) -> Any:
    """The given strategy; for several devices DDP, and such that players may take turns."""
    if config.strategy != "auto" or devices(config.devices) < 2:
        return config.strategy
    return "ddp" if model.automatic_optimization else "ddp_find_unused_parameters_true"


def devices(given: int | str | list[int]) -> int:
    """How many devices of this machine the Trainer will use."""
    if isinstance(given, list):
        return len(given)
    count = int(given) if str(given).lstrip("-").isdigit() else -1
    return count if count >= 0 else max(torch.cuda.device_count(), 1)


def joint_statistics(config: Any) -> bool:
    """Whether batches are normalized by all processes together: on several GPUs they always are.

    PyTorch has no such normalization on CPUs, where every process normalizes batches of its own.
    """
    on_gpu = config.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return config.sync_batchnorm or (on_gpu and devices(config.devices) > 1)
