"""`genlit plan`: a world model acts in its environment, and its dreams are shown beside it."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlit.cli.arguments import own_options, parser_for, positive

if TYPE_CHECKING:
    from genlit.tasks.planners import Planner

DESCRIPTION = """\
Let a world model act in its environment: at every step a planner looks for actions whose imagined
consequences are good, and the first one is taken. Prints the return of the real episodes, beside
that of actions at random and of an oracle, the same planner with the true equations, where they are
known; and the open-loop error: how far states that are imagined from one real state and the actions
really taken are from the states that came, in standard deviations of the training states, with the
standard error over episodes, for episodes of this planner and for test episodes of the training
policy.

Writes PATH.png, an episode at some moments, real above and imagined below; PATH.gif, the same as a
film; PATH-error.png and PATH-error.csv, the open-loop error by the number of steps. There are no
pictures of worlds that genlit cannot draw. Several dreams of the same actions lie over each other:
where they blur, the model does not know.
"""

EXAMPLES = """\
examples:
  genlit plan runs/cartpole/20250102-030405
  genlit plan RUN --episodes 20 --seed 1
  genlit plan RUN --planner CrossEntropy --planner.horizon 30 --planner.candidates 200
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("plan", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "--episodes", type=positive, metavar="N", default=10, help="how many episodes (default: 10)"
    )
    parser.add_argument(
        "--steps", type=positive, metavar="T",
        help="breaks episodes off after so many steps, so that returns are of these alone "
        "(default: when the environment does)",
    )  # fmt: skip
    parser.add_argument(
        "--dream", type=positive, metavar="H", default=50,
        help="how many steps dreams last (default: 50)",
    )  # fmt: skip
    parser.add_argument(
        "--planner", metavar="CLASS",
        help="what finds actions: RandomShooting or CrossEntropy, with --planner.ARGUMENT for its "
        "arguments (default: that of the run's config)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="PATH",
        help="what the names of the files begin with; none may exist (default: RUN/samples/plan-1, "
        "or the next number that is free)",
    )  # fmt: skip
    options, settings = own_options(parser, args, "--planner.")
    run(options, settings)


def run(options: argparse.Namespace, settings: Sequence[str]) -> None:
    """Does what the options say.

    Args:
        options: The command's own.
        settings: Those of the planner.
    """
    from genlit.cli.asking import open_model
    from genlit.cli.dreaming import show, tell_errors
    from genlit.cli.place import load_data
    from genlit.tasks.comparison import Entrant, compare
    from genlit.tasks.planning import Planning

    place, model = open_model(options.run, options.device)
    data: Any = load_data(place)
    if not hasattr(data, "env"):
        raise ValueError(f"{type(data).__name__} is of no environment: take a run of Rollouts")
    planner = chosen_planner(options.planner, settings, place.config)
    stem = claimed(options.out, place.folder)
    task = Planning(data.env, planner, options.episodes, options.steps)
    done = compare(task, [Entrant("model", model, {})], data, "test", options.seed)
    end = "" if options.steps is None else f", broken off after {options.steps} steps"
    print(f"{data.env}, {options.episodes} episodes{end}, {planner.label}")
    for row in done.rows:
        (score,) = row.scores
        error = f" ± {score.stderr:.2g}" if score.stderr is not None else ""
        values = " ".join(f"{v:.0f}" for v in score.values.tolist())
        until = "" if options.steps is None else f" in {options.steps} steps"
        print(f"return of {row.name}{until}: {score.mean:.5g}{error}   ({values})")
    lived: Any = done.answers["model"]
    show(model, data.env, lived[0], options.dream, stem, options.seed)
    kinds = {"planned": lived, "random policy": data.episodes["test"]}
    tell_errors(model, kinds, data, options.dream, stem, options.seed)


def chosen_planner(
    given: str | None, settings: Sequence[str], config: Mapping[str, Any]
) -> "Planner":
    """The planner of the command line, or of a run's config, or the usual one.

    Args:
        given: The name of its class.
        settings: Its arguments, as --planner.horizon=30.
        config: The run's.

    Raises:
        ValueError: If the arguments make no sense.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    from genlit.tasks.planners import Planner

    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Planner, "planner")
    own: dict[str, Any] = configured(config) or {"class_path": "genlit.tasks.RandomShooting"}
    if given is not None and given.rpartition(".")[2] != own["class_path"].rpartition(".")[2]:
        own = {"class_path": given if "." in given else f"genlit.tasks.{given}"}
    arguments = [f"--planner={own['class_path']}"]
    arguments += [f"--planner.{key}={value}" for key, value in own.get("init_args", {}).items()]
    try:
        parsed = parser.parse_args([*arguments, *settings])
    except ArgumentError:
        told = " ".join([own["class_path"], *settings])
        raise ValueError(
            f"no planner is made of {told}: --planner takes RandomShooting or CrossEntropy, whose "
            "arguments docs/planning.md lists"
        ) from None
    made: Any = parser.instantiate_classes(parsed)
    return made.planner


def configured(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a run's config says of the planner that its model is examined with, if anything."""
    for callback in config.get("trainer", {}).get("callbacks") or []:
        task = (callback.get("init_args") or {}).get("task")
        spec = (task or {}).get("init_args", {}).get("planner")
        if spec:
            return spec
    return None


def claimed(out: Path | None, folder: Path) -> Path:
    """What the names of the files begin with, of which none exists.

    Raises:
        RunError: If --out is taken.
    """
    from genlit.runs import RunError

    def taken(stem: Path) -> bool:
        endings = (".png", ".gif", "-error.png", "-error.csv")
        return any(stem.with_name(stem.name + ending).exists() for ending in endings)

    if out is not None and taken(out):
        raise RunError(f"{out} exists and is not overwritten: give another --out")
    numbered = (folder / "samples" / f"plan-{k}" for k in range(1, 10**6))
    stem = out if out is not None else next(s for s in numbered if not taken(s))
    stem.parent.mkdir(parents=True, exist_ok=True)
    return stem
