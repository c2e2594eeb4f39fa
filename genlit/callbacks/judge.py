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
        pl_module.log(measurement.key, measurement.value, rank_zero_only=True)
        if measurement.stderr is not None:
            pl_module.log(f"{measurement.key}_stderr", measurement.stderr, rank_zero_only=True)
