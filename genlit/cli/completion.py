"""`genlit completion`: a script that teaches a shell genlit's commands, configs and classes."""

from genlit.cli import COMMANDS
from genlit.cli.arguments import CommandParser
from genlit.cli.catalogue import datasets, models
from genlit.cli.shipped import names

OPTIONS = [
    "--config", "--model", "--data", "--trainer.max_epochs", "--trainer.devices",
    "--trainer.accelerator", "--trainer.fast_dev_run", "--trainer.logger", "--seed_everything",
    "--run_dir", "--print_config", "--which", "--help",
]  # fmt: skip

BASH = """_genlit() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  case "$before" in
    genlit) COMPREPLY=($(compgen -W "{commands}" -- "$word")) ;;
    -c|--config) COMPREPLY=($(compgen -f -W "{configs}" -- "$word")) ;;
    sweep) COMPREPLY=($(compgen -f -W "{sweeps}" -- "$word")) ;;
    --model) COMPREPLY=($(compgen -W "{models}" -- "$word")) ;;
    --data) COMPREPLY=($(compgen -W "{data}" -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -W "{options}" -- "$word")) ;;
  esac
}}
complete -o filenames -F _genlit genlit
"""

ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def main(args: list[str]) -> None:
    """Prints the script: eval "$(genlit completion bash)"."""
    parser = CommandParser("completion", 'Use: eval "$(genlit completion bash)"')
    parser.add_argument("shell", choices=["bash", "zsh"])
    shell = parser.parse_args(args).shell
    print((ZSH if shell == "zsh" else "") + script(), end="")


def script() -> str:
    """The completion script for bash."""
    return BASH.format(
        commands=" ".join(COMMANDS),
        configs=" ".join(names("configs")),
        sweeps=" ".join(names("sweeps")),
        models=" ".join(e.path.rpartition(".")[2] for e in models()),
        data=" ".join(e.path.rpartition(".")[2] for e in datasets()),
        options=" ".join(OPTIONS),
    )
