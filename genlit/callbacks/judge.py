"""Callbacks whose answers are measurements."""

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn

from genlit.runs import EventValues, Measurement


class Judge(L.Callback):
    """Keeps what it measured for results.json, and logs it.

    Args:
        every_n_epochs: Also measures the validation set after every so many epochs; 0 never does.
    """

    def __init__(self, every_n_epochs: int = 0) -> None:
        self.measurements: list[Measurement] = []
        self.event_values: list[EventValues] = []  # of those that are means over test events
        self.every_n_epochs = every_n_epochs

    def due(self, trainer: L.Trainer) -> bool:
        """Whether to measure the validation set: `genlit validate` asks, or the epoch has come."""
        if trainer.sanity_checking:
            return False
        n = self.every_n_epochs
        asked = trainer.state.fn == TrainerFn.VALIDATING
        return asked or (n > 0 and (trainer.current_epoch + 1) % n == 0)

    def conclude(self, pl_module: L.LightningModule, measurement: Measurement) -> None:
        """Takes a measurement down; call it on every process, in an epoch-end hook."""
        self.measurements.append(measurement)
        numbers = {measurement.key: measurement.value}
        if measurement.stderr is not None:
            numbers[f"{measurement.key}_stderr"] = measurement.stderr
        # Known to every process, so that a checkpoint callback on any of them can monitor it.
        pl_module.log_dict(numbers, sync_dist=pl_module.trainer.world_size > 1)
