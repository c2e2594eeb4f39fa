"""Measures how well test sets of super-resolution are solved without learning, as a check.

    python -m benchmarks.superres bicubic --sets_dir FOLDER

FOLDER holds Set5_x4, Set14_x4 and BSD100_x4, with pictures named img_001_SRF_4_HR.png and
img_001_SRF_4_LR.png (those of the paper on self-exemplars, Huang et al., 2015). Bicubic numbers of
these sets are published, so they say whether the protocol is the one of papers. What came out goes
into results/superres.json.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from benchmarks import record
from genlit.data import SuperResolution
from genlit.tasks import SuperRes
from genlit.tasks.task import Problems

SETS = ("Set5_x4", "Set14_x4", "BSD100_x4")
COMIC = ("Set14_x4", "img_005_SRF_4")
NOTE = (
    "enlarged 4 times from the small pictures that the sets come with; luma of 16 to 235, four "
    "pixels shaved, peak 255; means over the pictures of each set"
)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.superres", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("baseline", choices=["bicubic"])
    parser.add_argument("--sets_dir", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--niqe_params", type=Path, metavar="FILE", help="measures NIQE, too, of these and of the "
        "true pictures",
    )  # fmt: skip
    options = parser.parse_args()
    data = SuperResolution(sets_dir=options.sets_dir)
    began = time.process_time()
    rows = [row for name in SETS for row in measured(name, data, options)]
    for row in rows:
        print(f"{row['set']:<24}", *(f"{k} {v:.4f}" for k, v in row["scores"].items()))
    command = f"python -m benchmarks.superres {options.baseline} --sets_dir FOLDER"
    command += " --niqe_params FILE" if options.niqe_params else ""
    print(record.write("superres", command, time.process_time() - began, rows, NOTE))


def measured(name: str, data: SuperResolution, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The scores of a set, and of the comic in it."""
    task = SuperRes(name, niqe_params=options.niqe_params)
    problems = task.pose(data, "test", 0)
    answers = task.baselines(data, 0)[options.baseline](problems)
    rows = [row(f"{name}", task, problems, answers)]
    names = [str(found) for found in problems.more["name"]]
    if name == COMIC[0] and COMIC[1] in names:
        at = names.index(COMIC[1])
        one = Problems([problems.given[at]], [problems.truth[at]], problems.source)
        rows.append(row(f"{name}, comic", task, one, [answers[at]]))
    if task.pristine is not None:
        rows.append(row(f"{name}, true pictures", task, problems, problems.truth))
    return rows


def row(name: str, task: SuperRes, problems: Problems, answers: Any) -> dict[str, Any]:
    """The mean of every score."""
    scores = {score.name: score.mean for score in task.score(problems, answers)}
    return {"set": name, "pictures": len(problems), "protocol": task.name, "scores": scores}


if __name__ == "__main__":
    main()
