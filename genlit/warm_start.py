"""Beginning a model with what another one has learned."""

from pathlib import Path

import torch
from torch import nn

from genlit.runs import RunError, find_checkpoint


def load_network(network: nn.Module, run: Path, name: str) -> None:
    """Gives a network the weights that the network of the same name has in a run.

    Args:
        network: The network.
        run: A run folder or a checkpoint of a model that has such a network.
        name: The attribute under which the model has it.

    Raises:
        RunError: If there is none, or it is another network.
    """
    checkpoint = find_checkpoint(Path(run))
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    prefix = f"{name}."
    weights = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    if not weights:
        raise RunError(f"{checkpoint} is of a model that has no {name} to begin with")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).split("\n\t")[1] if "\n\t" in str(error) else str(error)
        raise RunError(
            f"the {name} of {checkpoint} is another one than this model's: {first.strip()}; "
            "set the same network in model"
        ) from None
