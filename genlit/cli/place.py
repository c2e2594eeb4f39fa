"""What the RUN in `genlit test RUN` means: a run folder or a checkpoint, with its configuration."""

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from jsonargparse import ArgumentParser

from genlit.model import GenerativeModel
from genlit.runs import RunError, find_checkpoint


class Place(NamedTuple):
    """A trained model on disk."""

    checkpoint: Path
    folder: Path  # of its run; of a checkpoint elsewhere, the folder it lies in
    config: dict[str, Any]
    shape: tuple[int, ...]
    step: int  # optimizer steps done


def open_place(path: Path, last: bool = False) -> Place:
    """Finds a checkpoint and reads how to build its model again.

    Args:
        path: A run folder, or a checkpoint.
        last: Whether a run means its last state, to go on from, and not its best.

    Raises:
        RunError: If there is no checkpoint, or it is not one that `genlit fit` wrote.
    """
    newest = path / "checkpoints" / "last.ckpt"
    checkpoint = newest if last and newest.is_file() else find_checkpoint(path)
    state = read(checkpoint)
    identity = state.get("genlit")
    if identity is None:
        raise RunError(
            f"{checkpoint} does not say which model it is of: `genlit fit` did not write it"
        )
    folder = checkpoint.parent
    if (folder.parent / "config.yaml").is_file():
        folder = folder.parent
    shape = tuple(identity["shape"])
    return Place(checkpoint, folder, identity["config"], shape, state["global_step"])


def read(checkpoint: Path) -> dict[str, Any]:
    """Everything in a checkpoint, as plain data and tensors on the CPU.

    Raises:
        RunError: If the file is no checkpoint.
    """
    try:
        return torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, KeyError) as error:
        raise RunError(f"{checkpoint} is no checkpoint, or a damaged one") from error


def load_model(place: Place) -> GenerativeModel:
    """Builds the model of a checkpoint with the weights in it, ready to be asked."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(GenerativeModel, "model")
    spec = place.config["model"]
    arguments = {**spec.get("init_args", {}), "shape": list(place.shape)}
    parsed = parser.parse_object({"model": {**spec, "init_args": arguments}})
    model = parser.instantiate_classes(parsed).model
    model.load_state_dict(read(place.checkpoint)["state_dict"])
    return model.eval()


def load_data(place: Place) -> Any:
    """Builds the datamodule that a run was trained on, with its data read."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(L.LightningDataModule, "data")
    parsed = parser.parse_object({"data": place.config["data"]})
    data = parser.instantiate_classes(parsed).data
    data.setup("test")
    return data
