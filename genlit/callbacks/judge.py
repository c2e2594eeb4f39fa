"""Callbacks whose answers are measurements."""

import lightning as L

from genlit.runs import Measurement


class Judge(L.Callback):
    """Keeps what it measured for results.json, and logs it."""

    def __init__(self) -> None:
        self.measurements: list[Measurement] = []

    def conclude(self, pl_module: L.LightningModule, measurement: Measurement) -> None:
        """Takes a measurement down; call it on every process, in an epoch-end hook."""
        self.measurements.append(measurement)
        numbers = {measurement.key: measurement.value}
        if measurement.stderr is not None:
            numbers[f"{measurement.key}_stderr"] = measurement.stderr
        # Known to every process, so that a checkpoint callback on any of them can monitor it.
        pl_module.log_dict(numbers, sync_dist=pl_module.trainer.world_size > 1)
