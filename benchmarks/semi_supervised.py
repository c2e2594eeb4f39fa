"""Learns MNIST from few labels, under several label seeds, and notes the error on the test set.

    python -m benchmarks.semi_supervised                     what there is to run
    python -m benchmarks.semi_supervised NAME...             runs each under label seeds 0, 1 and 2
    python -m benchmarks.semi_supervised NAME --seeds 3 4    runs it under other label seeds, too

A NAME is a model and a number of labels, as in ssgan-100. What came out goes into
results/semi_supervised.json as soon as it is there: the mean over all label seeds, and the standard
deviation of one. A seed that is there already is not run again.
"""

import argparse
from typing import Any, NamedTuple

from benchmarks.seeds import Sheet, trained

NOTE = (
    "errors on MNIST's 10,000 test images: means over label seeds, with the standard deviation of "
    "one; each on one core of a machine that others used, too, so that training is given in CPU "
    "time; the last state of a run is measured, and nothing was chosen by validation labels"
)
LABELS = (100, 600, 1000, 3000)
SALIMANS = "0.93 % (Salimans et al., 2016; from memory)"
KINGMA = "(Kingma et al., 2014; from memory)"


class Model(NamedTuple):
    """A model that learns from few labels."""

    title: str
    config: str
    overrides: tuple[str, ...] = ()
    published: tuple[str, ...] = ("", "", "", "")  # for each number of labels


MODELS = {
    "classifier": Model("labels alone, the improved GAN's discriminator", "classifier"),
    "mlp": Model(
        "labels alone, M2's classifier", "classifier",
        ("--model.network=genlit.networks.MLP", "--model.network.hidden=[500]"),
    ),
    "m1": Model("M1", "m1"),
    "m2": Model(
        "M2", "m2", (), (f"11.97 % {KINGMA}", f"4.94 % {KINGMA}", f"3.60 % {KINGMA}", "")
    ),
    "m1m2": Model(
        "M1 + M2", "m1m2", (), (f"3.33 % {KINGMA}", f"2.59 % {KINGMA}", f"2.40 % {KINGMA}", "")
    ),
    "ssgan": Model(
        "improved GAN, feature matching", "ssgan", (), (SALIMANS, "", "", "")
    ),
}  # fmt: skip
NAMES = {f"{model}-{n}": (model, n) for model in MODELS for n in LABELS}
SHEET = Sheet("semi_supervised", "python -m benchmarks.semi_supervised NAME", NOTE, list(NAMES))


def main() -> None:
    """Runs what is named."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.semi_supervised", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    options = parser.parse_args()
    for name in options.names:
        for seed in options.seeds:
            if seed not in SHEET.done(name):
                add(name, learn(name, seed))
    if not options.names:
        for name in NAMES:
            print(f"{name:<16} {MODELS[NAMES[name][0]].title:<48} {command(name)}")


def command(name: str) -> str:
    """What is to be typed."""
    return " ".join(["genlit fit", *asked(name)])


def asked(name: str) -> list[str]:
    """The options of `genlit fit`, but for seeds."""
    model, labels = NAMES[name]
    row = MODELS[model]
    return ["-c", row.config, *row.overrides, f"--data.labels={labels}"]


def learn(name: str, seed: int) -> dict[str, Any]:
    """Trains and tests a model; returns what came out."""
    words = [*asked(name), f"--data.label_seed={seed}"]
    return trained(words, f"few-labels-{name}-{seed}", seed)


def add(name: str, came: dict[str, Any]) -> None:
    """Writes what one label seed came to into the results."""
    model, labels = NAMES[name]
    row = MODELS[model]
    about = {"title": row.title, "model": model, "labels": labels, "command": command(name)}
    SHEET.add(name, about | {"published": row.published[LABELS.index(labels)]}, came)


if __name__ == "__main__":
    main()
