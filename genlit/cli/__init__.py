"""The command line's front door: it knows every command, and imports only the one asked for.

Nothing here imports torch, so that help, lists and shell completion answer at once.
"""

import importlib
import sys
from typing import NamedTuple

from genlit import __version__


class Command(NamedTuple):
    """Where a command lives, and what it is for."""

    module: str
    help: str


LIGHTNING = "genlit.cli.lightning"

COMMANDS = {
    "fit": Command(LIGHTNING, "train a model; with a run folder, go on where it stopped"),
    "test": Command(LIGHTNING, "measure a run on its test set and write results.json"),
    "validate": Command(LIGHTNING, "measure a run on its validation set"),
    "sample": Command("genlit.cli.sample", "draw samples of a run's model"),
    "reconstruct": Command("genlit.cli.reconstruct", "send images through the code and back"),
    "impute": Command("genlit.cli.impute", "fill in what is missing in images"),
    "denoise": Command("genlit.cli.denoise", "remove noise from images"),
    "translate": Command("genlit.cli.translate", "make images from images of your own"),
    "upscale": Command("genlit.cli.upscale", "make photos of your own larger, in finer detail"),
    "interpolate": Command("genlit.cli.interpolate", "walk from image to image through codes"),
    "traverse": Command("genlit.cli.traverse", "change one latent variable at a time"),
    "manifold": Command("genlit.cli.manifold", "decode a plane of codes"),
    "project": Command("genlit.cli.project", "find the codes nearest to images"),
    "direction": Command("genlit.cli.direction", "move events along an attribute's direction"),
    "constrain": Command("genlit.cli.constrain", "find what agrees with painted pixels"),
    "edit": Command(
        "genlit.cli.edit", "paint on a page, and the image follows what a model can make"
    ),
    "chains": Command("genlit.cli.chains", "run a model's Markov chain and look at it on its way"),
    "filters": Command("genlit.cli.filters", "draw what a model's units have learned to look for"),
    "plan": Command("genlit.cli.plan", "let a world model act, and look at its dreams"),
    "rollout": Command("genlit.cli.rollout", "let a model go on with films, frame by frame"),
    "film": Command("genlit.cli.film", "join the pictures of a run's samples into a film"),
    "likelihood": Command("genlit.cli.likelihood", "log p(x) of images, as CSV"),
    "compare": Command("genlit.cli.compare", "set one task to several runs, beside baselines"),
    "report": Command("genlit.cli.report", "compare finished runs on one HTML page"),
    "sweep": Command("genlit.cli.sweep", "run a W&B sweep file here"),
    "list": Command("genlit.cli.catalogue", "models, what each can be asked, data, configs"),
    "fetch-inception": Command(
        "genlit.cli.fetch_inception", "make the Inception weights that FID is published with"
    ),
    "completion": Command("genlit.cli.completion", "print a completion script for bash or zsh"),
}

USAGE = """usage: genlit COMMAND ...

Deep generative models: train, measure, compare and use them with one command line.

{commands}

  genlit fit -c rbm          train an RBM on MNIST, in a new folder runs/rbm/<time>
  genlit test RUN            RUN is that folder
  genlit report RUN RUN ...

`genlit COMMAND --help` explains a command. `genlit --version` prints the version.
"""


def main(args: list[str] | None = None) -> None:
    """Runs one command; what goes wrong ends as one line on standard error and an exit code."""
    args = sys.argv[1:] if args is None else args
    if not args or args[0] in ("-h", "--help", "help"):
        print(usage(), end="")
    elif args[0] in ("--version", "-V"):
        print(f"genlit {__version__}")
    elif args[0] in COMMANDS:
        run(args[0], args[1:])
    else:
        from genlit.cli.errors import did_you_mean, fail

        hint = did_you_mean(args[0], COMMANDS) or "`genlit --help` lists them"
        fail(f"there is no command {args[0]!r}: {hint}", code=2)


def run(command: str, args: list[str]) -> None:
    """Imports a command and runs it."""
    from genlit.cli.errors import in_one_line
    from genlit.cli.silence import silence

    with in_one_line():
        if COMMANDS[command].module == LIGHTNING:
            from genlit.cli.request import look

            look(command, args)
        module = importlib.import_module(COMMANDS[command].module)
        if COMMANDS[command].module == LIGHTNING:
            module.main(command, args)
        else:
            silence()
            module.main(args)


def usage() -> str:
    """The text of `genlit --help`."""
    lines = [f"  {name:<16} {command.help}" for name, command in COMMANDS.items()]
    return USAGE.format(commands="\n".join(lines))
