"""`genlit fit|test|validate`: LightningCLI, with run folders and short errors."""

import importlib
import os
import pkgutil
import sys
import time
from pathlib import Path
from typing import Any, Literal

import lightning as L
import yaml
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import WandbLogger

import genlit
from genlit.callbacks import Checkpoints, Judge, Progress
from genlit.cli import folder
from genlit.cli.devices import joint_statistics, strategy
from genlit.cli.errors import fail
from genlit.cli.parser import Parser
from genlit.cli.place import other_state
from genlit.cli.record import Identity, MetricsFile
from genlit.cli.request import Request, understand, which
from genlit.cli.shipped import shipped
from genlit.cli.silence import silence
from genlit.cli.table import print_measurements
from genlit.model import Diverged, GenerativeModel
from genlit.runs import Measurement, RunError, write_results

OF_THE_COMMAND = ("config", "run_dir", "which", "ckpt_path", "weights_only", "verbose")

MANUAL = {
    "fit": "Train a model in a new run folder: genlit fit -c CONFIG... [--key VALUE ...]. "
    "Go on with a run where it stopped: genlit fit RUN [--trainer.max_epochs N].",
    "test": "Measure a run on its test set with the callbacks in its config: genlit test RUN, "
    "a run folder or a checkpoint. Writes results.json; options override the run's own.",
    "validate": "Measure a run on its validation set: genlit validate RUN.",
}


def main(command: str, args: list[str]) -> None:
    """Runs one of Lightning's commands."""
    silence()
    import_rooms()
    for names in which(command, args):
        CLI(understand(command, args, names))


class CLI(LightningCLI):
    """Lightning's command line, where the data tells the model the shape of an event.

    Args:
        request: What the user asked for; making the object does it.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        defaults = {
            "default_config_files": [str(shipped("configs") / "trainer.yaml")],
            "description": MANUAL[request.command],
        }
        super().__init__(
            GenerativeModel,
            L.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # `Identity` says in a checkpoint what it is of
            save_config_callback=None,
            seed_everything_default=0,
            parser_class=Parser,
            parser_kwargs={"prog": "genlit", "allow_abbrev": False, request.command: defaults},
            args=request.args,
        )

    def subcommands(self) -> dict[str, set[str]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The one command asked for; what RUN says needs no options."""
        skipped = LightningCLI.subcommands()[self.request.command]
        return {self.request.command: {*skipped, "ckpt_path", "weights_only", "verbose"}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.link_arguments("data.shape", "model.init_args.shape", apply_on="instantiate")
        parser.link_arguments(
            "data.condition_shape", "model.init_args.condition_shape", apply_on="instantiate"
        )
        if self.request.command != "fit":
            parser.add_argument(
                "--which",
                type=Literal["best", "last", "both"] | None,  # pyright: ignore[reportArgumentType]
                default=None,
                help="Which state of a run: best (by what its Checkpoints monitor), last, or both, "
                "one after the other; by default the best, or the last where there is none.",
            )
        parser.add_argument(
            "--run_dir",
            type=Path | None,  # pyright: ignore[reportArgumentType]
            default=None,
            help="Folder for this run, made now; by default runs/<name of the config>/<time>.",
        )

    def _parse_ckpt_path(self) -> None:
        """Nothing: a checkpoint's configuration was read first, so that the command line wins."""

    def before_instantiate_classes(self) -> None:
        text = self._parser(self.request.command).dump(
            self.config[self.request.command], skip_validation=True
        )
        config = yaml.safe_load(text)
        self.plain_config = {k: v for k, v in config.items() if k not in OF_THE_COMMAND}
        trainer = self._get(self.config, "trainer")
        self.folder = self._folder(trainer.fast_dev_run)
        for logger in listed(trainer.logger):
            if logger.get("init_args.save_dir", "") == ".":  # so that W&B's files lie with the run
                logger.init_args.save_dir = str(self.folder)

    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except BaseException:
            self._discard()
            raise

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        self._refuse_other_shape()
        config = self._get(self.config_init, "trainer")
        return super().instantiate_trainer(
            default_root_dir=str(self.folder),
            logger=self._loggers(config),
            callbacks=self._callbacks(config),
            strategy=strategy(config, self.model),
            sync_batchnorm=joint_statistics(config),
            **kwargs,
        )

    def _folder(self, dry: bool | int) -> Path:
        if self.request.place is not None:
            return self.request.place.folder
        if dry or self.request.command != "fit":
            return Path.cwd()
        if self.request.folder is not None:
            return self.request.folder
        given = self._get(self.config, "run_dir")
        return folder.make(given and Path(given), self.request.experiment, self.plain_config)

    def _loggers(self, config: Any) -> Any:
        if self.request.command != "fit" or config.fast_dev_run:
            return False
        loggers = listed(config.logger)
        if os.environ.get("WANDB_SWEEP_ID") and not any(
            isinstance(x, WandbLogger) for x in loggers
        ):
            loggers.append(WandbLogger(save_dir=self.folder))  # `wandb agent` waits for numbers
        return [MetricsFile(self.folder), *loggers]

    def _callbacks(self, config: Any) -> list[L.Callback]:
        callbacks = [*(config.callbacks or []), Identity(self.plain_config)]
        keeps = any(isinstance(c, Checkpoint) for c in callbacks)
        if not keeps and config.enable_checkpointing is not False:
            callbacks.append(Checkpoints())
        if config.enable_progress_bar is not False:
            callbacks.append(Progress())
        return callbacks

    def _refuse_other_shape(self) -> None:
        place, shape = self.request.place, tuple(self.datamodule.shape)
        if place is not None and shape != place.shape:
            raise RunError(
                f"{place.checkpoint} is of events of shape {place.shape}, and "
                f"{type(self.datamodule).__name__} has events of shape {shape}"
            )

    def _run_subcommand(self, subcommand: str) -> None:
        """Runs the command; a run that fails says what is left of it."""
        self._began = time.monotonic()
        try:
            super()._run_subcommand(subcommand)
        except SystemExit:
            if self.trainer.interrupted:
                fail(f"interrupted; to go on: genlit {subcommand} {self.folder}", code=130)
            raise
        except Diverged as error:
            raise Diverged(f"{error}; {folder.last_good(self.folder)}") from None
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        new = self.request.place is None and self.request.folder is None
        if new and self.folder != Path.cwd() and folder.is_first_process():
            folder.discard_if_unused(self.folder)

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        if self.request.place is not None:
            kwargs |= {"ckpt_path": str(self.request.place.checkpoint), "weights_only": True}
        if subcommand in ("test", "validate"):
            kwargs["verbose"] = False
        return kwargs

    def before_fit(self) -> None:
        """Says where the run will be."""
        if self._speaks():
            print(f"run folder: {self.folder}", file=sys.stderr)

    def after_fit(self) -> None:
        """Says where the run is."""
        if not self._speaks():
            return
        place = self.request.place
        if place is not None and place.step == self.trainer.global_step:  # pyright: ignore
            print("it had done all of its epochs: --trainer.max_epochs N has it do more")
        if self.trainer.global_step == 0:  # pyright: ignore[reportAttributeAccessIssue]
            print(f"{self.folder}\nit has learned nothing yet: genlit fit {self.folder} "
                  "--trainer.max_epochs N")  # fmt: skip
            return
        print(f"{self.folder}\nmeasure it with: genlit test {self.folder}")

    def _judges(self) -> list[Judge]:
        return [c for c in self.trainer.callbacks if isinstance(c, Judge)]  # pyright: ignore

    def _measured(self) -> list[Measurement]:
        return [m for judge in self._judges() for m in judge.measurements]

    def after_test(self) -> None:
        """Writes results.json and prints it."""
        if not self._speaks():
            return
        measured = self._measured()
        if not measured:
            fail("nothing was measured: name callbacks that do, as genlit.callbacks.Likelihood")
        assert self.request.place is not None
        path = write_results(
            self.folder,
            model=self.plain_config["model"]["class_path"],
            data=self.plain_config["data"]["class_path"],
            seed=self.plain_config.get("seed_everything"),
            checkpoint=self.request.place.checkpoint.name,
            metrics=measured,
            seconds=time.monotonic() - self._began,
            events=[e for judge in self._judges() for e in judge.event_values],
            epoch=self.request.place.epoch,
        )
        print_measurements(measured)
        self._tell_state()
        print(path)

    def _tell_state(self) -> None:
        """Says which state was measured, where a run's best and last one differ."""
        place = self.request.place
        if place is None or (other := other_state(place)) is None:
            return
        told = f"measured {place.checkpoint.name} of epoch {place.epoch}"
        if self._get(self.config, "which") != "both":
            way = f"genlit {self.request.command} {place.folder} --which {other.checkpoint.stem}"
            told += f"; {other.checkpoint.name} is of epoch {other.epoch}: {way}"
        print(told)

    def after_validate(self) -> None:
        """Prints what validation logged."""
        if self._speaks():
            self._tell_state()
            measured = self._measured()
            print_measurements(measured)
            keys = tuple(m.key for m in measured)
            for name, value in sorted(self.trainer.callback_metrics.items()):
                if not name.startswith(keys):
                    print(f"{name}  {float(value):.4f}")

    def _speaks(self) -> bool:
        trainer = self.trainer
        return trainer.is_global_zero and not trainer.fast_dev_run  # pyright: ignore


def listed(given: Any) -> list[Any]:
    """The loggers of a Trainer's configuration, where True and None stand for the default."""
    given = given if isinstance(given, list) else [given]
    return [logger for logger in given if not isinstance(logger, bool | None)]


def import_rooms() -> None:
    """Imports every package of genlit, so that configs may name classes shortly."""
    for module in pkgutil.iter_modules(genlit.__path__):
        if module.ispkg and module.name not in ("cli", "report", "sweep"):
            importlib.import_module(f"genlit.{module.name}")
