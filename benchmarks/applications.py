"""Trains the models of an application under several seeds, and compares them on its task.

    python -m benchmarks.applications                       what there is
    python -m benchmarks.applications NAME...               each under the seeds 0, 1 and 2
    python -m benchmarks.applications NAME --seeds 3 4      under other seeds, too

Runs lie in runs/applications/NAME/SEED; what is trained there already is not trained again, and
what was interrupted goes on. What came out goes into results/application_NAME.json as soon as it is
there, and the picture of the first seed into docs/pictures.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import record
from benchmarks.reproduce import genlit, spent

ROOT = Path("runs") / "applications"
PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
NOTE = (
    "means over seeds of training, with the standard deviation of one seed, all on the same "
    "problems; of a single seed with the standard error over these; on one core of a machine that "
    "others used, too, so that training is given in CPU time"
)


class Study(NamedTuple):
    """Models, and the tasks that they are compared on."""

    runs: dict[str, tuple[str, ...]]  # config and overrides by name; {NAME} is that run's folder
    tasks: dict[str, tuple[str, ...]]  # a task's options by what its results are called; none are
    # those of the runs' own test


SR = ("data/superres_sets", "--data.data_dir={data}/bsds500/train",
      "--data.sets_dir={data}/sr_benchmarks")  # fmt: skip
NIQE = "--task.niqe_params={data}/niqe/niqe_pris_params.npz"
CAMVID = "--data.data_dir={data}/camvid_256"
STUDIES = {
    "cartpole": Study({"cartpole": ("cartpole",)}, {"cartpole": ()}),
    "pendulum": Study({"pendulum": ("pendulum",)}, {"pendulum": ()}),
    "several": Study(
        {name: (f"several_{name}",) for name in ("mse", "mdn", "cvae", "gan")},
        {"several": ()},
    ),
    "sinusoid": Study({"mdn": ("inverse_sinusoid",)}, {"sinusoid": ()}),
    "imputation": Study(
        {name: (name,) for name in ("rbm", "vae", "made", "gsn")},
        {
            "imputation_half": ("--task=Imputation", "--task.mask=half", "--task.n=1000"),
            "imputation_random": ("--task=Imputation", "--task.mask=random:0.5", "--task.n=1000"),
        },
    ),
    "table": Study({"miwae": ("miwae",)}, {"table": ()}),
    "denoising": Study(
        {"dncnn": ("dncnn",), "denoising_autoencoder": ("denoising_autoencoder",)},
        {
            "denoising_gaussian": ("--task=Denoising", "--task.n=1000",
                                   "--task.corruption=GaussianNoise", "--task.corruption.std=0.3"),
            "denoising_salt": ("--task=Denoising", "--task.n=1000",
                               "--task.corruption=SaltAndPepper", "--task.corruption.p=0.2"),
        },
    ),
    "flips": Study(
        {
            "rbm": ("rbm",), "vae": ("vae",), "gsn": ("gsn",),
            "denoising_autoencoder": (
                "denoising_autoencoder", "--data.binarize=dynamic",
                "--model.likelihood=genlit.likelihoods.Bernoulli",
            ),
            "dncnn": (
                "dncnn", "--data.binarize=dynamic", "--model.corruption=Flips",
                "--model.corruption.p=0.1",
            ),
        },
        {
            "denoising_flips": ("--task=Denoising", "--task.n=1000", "--task.corruption=Flips",
                                "--task.corruption.p=0.1"),
        },
    ),
    "next_frame": Study(
        {
            "mse": ("next_frame_mse",),
            "adversarial": ("next_frame_adversarial", "--model.init_from={mse}"),
        },
        {"next_frame": ()},
    ),
    "superres": Study(
        {"srresnet": ("srresnet", *SR), "srgan": ("srgan", *SR, "--model.init_from={srresnet}")},
        {
            f"superres_{name.lower()}": ("--task=SuperRes", f"--task.test_set={name}_x4", NIQE)
            for name in ("Set5", "Set14", "BSD100")
        },
    ),
    "camvid": Study(
        {"l1": ("pix2pix_l1", CAMVID), "l1_cgan": ("pix2pix", CAMVID)}, {"camvid": ()}
    ),
    "maps": Study(
        {"maps": ("maps",), "cyclegan": ("cyclegan",)}, {"maps": ("--task=Translation",)}
    ),
    "edges": Study({"edges": ("edges",)}, {"edges": ()}),
}  # fmt: skip


def main() -> None:
    """Does the studies that are named."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.applications", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("names", nargs="*", choices=[*STUDIES, []], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--data", type=Path, help="the folder with what studies read of {data}")
    options = parser.parse_args()
    for name in options.names:
        if options.data is None and "{data}" in str(STUDIES[name]):
            parser.error(f"{name} reads files that genlit does not bring along: name their --data")
    for name in options.names:
        for seed in options.seeds:
            for called, found in study(name, seed, options.data).items():
                add(name, called, found)
    if not options.names:
        for name, found in STUDIES.items():
            print(f"{name:<12} {', '.join(found.runs)} compared on {', '.join(found.tasks)}")


def study(name: str, seed: int, data: Path | None) -> dict[str, dict[str, Any]]:
    """Trains all models under a seed; returns how they compare, by what results are called."""
    root, wanted = ROOT / name / str(seed), STUDIES[name]
    places = {"data": data} | {run: root / run for run in wanted.runs}
    seconds = {
        run: trained(root / run, [word.format(**places) for word in words], seed)
        for run, words in wanted.runs.items()
    }
    found = {}
    for called, words in wanted.tasks.items():
        out = next(p for k in range(1, 1000) if not (p := root / f"{called}-{k}").exists())
        genlit("compare", *[word.format(**places) for word in words],
               *(str(root / run) for run in wanted.runs),
               "--out", str(out))  # fmt: skip
        keep_picture(called, out / "picture.png", seed)
        found[called] = told = json.loads((out / "comparison.json").read_text())
        told["seed"] = seed  # of training; that of the comparison chooses the problems
        del told["best"]  # which tables of several seeds have no use for
        for row, run in zip(told["rows"], wanted.runs, strict=False):  # models come first
            row["name"], row["fit_cpu_seconds"] = run, seconds[run]
            row["command"] = command(name, run)
            del row["run"]
    return found


def command(name: str, run: str) -> str:
    """What is to be typed to train a model of a study."""
    runs = STUDIES[name].runs
    names = {other: f"RUN_OF_{other.upper()}" for other in runs}
    return " ".join(["genlit fit", *asked(runs[run])]).format(data="DATA", **names)


def asked(words: Sequence[str]) -> list[str]:
    """The options of `genlit fit`: a -c before each config."""
    return [part for word in words for part in ([word] if word.startswith("--") else ["-c", word])]


def trained(folder: Path, words: list[str], seed: int) -> int:
    """Trains a run, or goes on with it; returns the CPU seconds that it took altogether."""
    clock, done, began = folder / "cpu_seconds", folder / "trained", spent()
    before = int(clock.read_text()) if clock.exists() else 0
    if done.exists():
        return before
    new = [*asked(words), f"--seed_everything={seed}", "--run_dir", str(folder)]
    try:
        genlit("fit", *([str(folder)] if folder.exists() else new))
        done.touch()
    finally:
        if folder.exists():
            clock.write_text(str(before + round(spent() - began)))
    return int(clock.read_text())


def keep_picture(name: str, picture: Path, seed: int) -> None:
    """Puts the picture of the first seed where the docs show it."""
    if seed == 0 and picture.exists():
        PICTURES.mkdir(exist_ok=True)
        shutil.copy(picture, PICTURES / f"{name}.png")


def add(name: str, called: str, found: dict[str, Any]) -> None:
    """Writes what one seed came to into the results, in place of what that seed had."""
    sheet = f"application_{called}"
    exists = (record.RESULTS / f"{sheet}.json").exists()
    seeds = {row["seed"]: row for row in (record.read(sheet)["rows"] if exists else [])}
    if other := {row["task"] for row in seeds.values()} - {found["task"]}:
        raise SystemExit(
            f"{sheet}.json has numbers of {other.pop()}, not {found['task']}: remove it"
        )
    seeds[found["seed"]] = found
    every = [seeds[seed] for seed in sorted(seeds)]
    seconds = sum(
        row["cpu_seconds"] + row.get("fit_cpu_seconds", 0) for one in every for row in one["rows"]
    )
    record.write(sheet, f"python -m benchmarks.applications {name}", seconds, every, NOTE)


if __name__ == "__main__":
    main()
