"""Plays adversarial games under several seeds, and notes what their generators cover.

    python -m benchmarks.adversarial                       what there is to play
    python -m benchmarks.adversarial NAME...               plays each under the seeds 0, 1 and 2
    python -m benchmarks.adversarial NAME --seeds 3 4      plays it under other seeds, too

What came out goes into results/adversarial.json as soon as it is there: the mean over all seeds
that were played, and the standard deviation of one.
"""

import argparse
from typing import Any, NamedTuple

from benchmarks.seeds import Sheet, trained

NOTE = (
    "means over seeds, with the standard deviation of one seed; each on one core of a machine that "
    "others used, too, so that training is given in CPU time"
)
GAN = "genlit.gan."


class Row(NamedTuple):
    """A game."""

    title: str
    config: str
    overrides: tuple[str, ...] = ()
    published: str = ""


def cost(name: str) -> str:
    """The option that takes another cost."""
    return f"--model.cost={GAN}{name}"


PLAIN = "--model.penalties=[]"
SLOPES = '--model.penalties=[{"class_path":"genlit.gan.R1","init_args":{"weight":0.1}},' \
    '{"class_path":"genlit.gan.R2","init_args":{"weight":0.1}}]'  # fmt: skip
LIPSCHITZ = '--model.penalties=[{"class_path":"genlit.gan.GradientPenalty",' \
    '"init_args":{"weight":0.1}}]'  # fmt: skip
PACKS = "--model.packing=2"
ROWS = {
    "ring": Row("ring of 8, non-saturating + R1 + R2", "ring"),
    "ring-minimax": Row("ring of 8, minimax", "ring", (cost("MinimaxCost"), PLAIN)),
    "ring-nonsaturating": Row("ring of 8, non-saturating", "ring", (PLAIN,)),
    "ring-squares": Row("ring of 8, least squares", "ring", (cost("LeastSquaresCost"), PLAIN)),
    "ring-squares-both": Row(
        "ring of 8, least squares + R1 + R2", "ring", (cost("LeastSquaresCost"),)
    ),
    "ring-hinge": Row("ring of 8, hinge", "ring", (cost("HingeCost"), PLAIN)),
    "ring-wasserstein": Row(
        "ring of 8, Wasserstein + gradient penalty", "ring", (cost("WassersteinCost"), LIPSCHITZ)
    ),
    "ring-relativistic": Row(
        "ring of 8, relativistic pairing", "ring", (cost("RelativisticCost"), PLAIN)
    ),
    "ring-average": Row(
        "ring of 8, relativistic average", "ring", (cost("RelativisticAverageCost"), PLAIN)
    ),
    "grid": Row("grid of 25, non-saturating + R1 + R2", "grid"),
    "grid-packed": Row(
        "grid of 25, non-saturating, packs of 2", "grid", (PLAIN, PACKS), "23.8 modes (PacGAN2)"
    ),
    "grid-both": Row("grid of 25, non-saturating + R1 + R2, packs of 2", "grid", (PACKS,)),
    "grid-minimax": Row(
        "grid of 25, minimax", "grid", (PLAIN, cost("MinimaxCost")),
        "17.3 modes (Lin et al., 2018)",
    ),
    "digits": Row("MNIST, DCGAN-28", "reproduce/gan28"),
    "stacked": Row(
        "stacked MNIST, relativistic + R1 + R2", "reproduce/stacked", (),
        "1000 modes (Huang et al., 2024; from memory)",
    ),
    "stacked-plain": Row(
        "stacked MNIST, non-saturating", "reproduce/stacked",
        (cost("NonSaturatingCost"), PLAIN), "78.9 modes (Lin et al., 2018)",
    ),
    "stacked-packed": Row(
        "stacked MNIST, non-saturating, packs of 2", "reproduce/stacked",
        (cost("NonSaturatingCost"), PLAIN, PACKS), "1000 modes (Lin et al., 2018)",
    ),
}  # fmt: skip
SHEET = Sheet("adversarial", "python -m benchmarks.adversarial NAME", NOTE, list(ROWS))


def main() -> None:
    """Plays what is named."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.adversarial", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("names", nargs="*", choices=[*ROWS, []], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    options = parser.parse_args()
    for name in options.names:
        for seed in options.seeds:
            row = ROWS[name]
            words = ["-c", row.config, *row.overrides]
            add(name, trained(words, f"adversarial-{name}-{seed}", seed))
    if not options.names:
        for name, row in ROWS.items():
            print(f"{name:<20} {row.title:<45} {command(row)}")


def command(row: Row) -> str:
    """What is to be typed."""
    return " ".join(["genlit fit -c", row.config, *(f"'{o}'" for o in row.overrides)])


def add(name: str, came: dict[str, Any]) -> None:
    """Writes what one seed came to into the results."""
    row = ROWS[name]
    about = {"title": row.title, "command": command(row), "published": row.published}
    SHEET.add(name, about, came)


if __name__ == "__main__":
    main()
