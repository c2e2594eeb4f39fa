"""What the RUN in `genlit test RUN` means: a run folder or a checkpoint, with its configuration."""

import pickle
from collections.abc import Sequence
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
    condition_shape: tuple[int, ...]  # of what events are made from; () where from nothing
    step: int  # optimizer steps done
    epoch: int  # at whose end or within which it was written; the first is 1


def open_place(path: Path, names: Sequence[str] = ("best", "last")) -> Place:
    """Finds a checkpoint and reads how to build its model again.

    Args:
        path: A run folder, or a checkpoint.
        names: Which of a run's checkpoints will do, the preferred one first.

    Raises:
        RunError: If there is no checkpoint, or it is not one that `genlit fit` wrote.
    """
    checkpoint = find_checkpoint(path, names)
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
    given = tuple(identity.get("condition_shape", ()))
    step, epoch = state["global_step"], state["epoch"] + 1
    return Place(checkpoint, folder, identity["config"], shape, given, step, epoch)


def other_state(place: Place) -> Place | None:
    """The last state where the best one is meant, and the other way round, if they differ."""
    pair = ("best", "last")
    if place.checkpoint.stem not in pair or place.checkpoint.parent.name != "checkpoints":
        return None
    path = place.checkpoint.with_stem(pair[place.checkpoint.stem == "best"])
    other = open_place(path) if path.is_file() else None
    return other if other and other.step != place.step else None


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
    if place.condition_shape:
        arguments["condition_shape"] = list(place.condition_shape)
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
