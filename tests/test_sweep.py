import itertools
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from genlit.cli.shipped import find
from genlit.cli.sweep import main
from genlit.runs import RunError
from genlit.sweep import SweepError, read, schema
from genlit.sweep.command import ARGUMENTS, argv
from genlit.sweep.heatmap import Cell, heatmap, label
from genlit.sweep.laws import parameter
from genlit.sweep.search import Search
from genlit.sweep.trials import judge

SWEEPS = Path(__file__).parents[1] / "sweeps"

HYPERBAND = {"type": "hyperband", "min_iter": 2, "eta": 2}

PROGRAM = """
import json, os, sys, time
from pathlib import Path
options = dict(word[2:].split("=", 1) for word in sys.argv[1:-2])
folder = Path(sys.argv[-1]); folder.mkdir()
x, y, wait = (float(options.get(name, 0)) for name in ("x", "y", "wait"))
if x == 13: sys.exit("genlit: error: 13 is unlucky")
(folder / "about.json").write_text(json.dumps({"group": os.environ["WANDB_RUN_GROUP"],
    "threads": int(os.environ["OMP_NUM_THREADS"]), "begin": time.time(), "pid": os.getpid()}))
with open(folder / "metrics.csv", "w") as file:
    print("epoch,step,seconds,name,value", file=file)
    for epoch in range(int(options.get("epochs", 1))):
        loss = (x - 0.3) ** 2 + (y + 0.4) ** 2 + float(options.get("slope", 0)) / (1 + epoch)
        print(f"{epoch},{epoch},0.0,val/loss,{loss!r}", file=file, flush=True)
        time.sleep(wait)
if folder.name in os.environ.get("SLOW", ""): time.sleep(60)
(folder / "end").write_text(str(time.time()))
"""


@pytest.fixture
def sweep_file(tmp_path, monkeypatch):
    """Writes a sweep of a small stand-in for `genlit fit`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.delenv("OMP_NUM_THREADS")
    (tmp_path / "program.py").write_text(PROGRAM)

    def write(name="sweep.yaml", **document):
        command = {
            "program": "program.py",
            "command": ["${env}", "python", "${program}", "${args}"],
        }
        metric = {"metric": {"name": "val/loss", "goal": "minimize"}}
        (tmp_path / name).write_text(yaml.safe_dump(command | metric | document, sort_keys=False))
        return name

    return write


def tried(folder="out"):
    """The values of all trials of a sweep, and their states."""
    search = Search(read(Path(folder) / "sweep.yaml"), Path(folder) / "journal.log")
    return [(t.user_attrs.get("values"), t.state.name, t) for t in search.trials()]


def about(number, folder="out"):
    """What a trial of the stand-in wrote about itself when it began."""
    return json.loads(Path(f"{folder}/trial-{number:04d}/about.json").read_text())


def document(**keys):
    return {
        "method": "random",
        "command": ["python", "${args}"],
        "parameters": {"x": {"value": 1}},
    } | keys


# What a file says


def test_the_grid_is_the_product_in_order():
    values = {"a": [1, 2, 3], "b": ["x", None], "c": [0.1, [4, 5]]}
    entries = {name: {"values": v} for name, v in values.items()} | {"d": {"min": 1, "max": 2}}
    sweep = schema.sweep(document(method="grid", parameters=entries))
    expected = [list(point) for point in itertools.product(*values.values(), [1, 2])]
    assert [list(values_.values()) for values_ in points(sweep)] == expected


def points(sweep, count=None, seed=0):
    """The values that a search proposes, every trial being equally good."""
    with tempfile.TemporaryDirectory() as folder:
        search = Search(sweep, Path(folder) / "journal.log", count, seed)
        found = []
        while (asked := search.ask()) is not None:
            search.finish(asked[0], 0.0)
            found.append(asked[1])
        return found


def test_random_search_depends_on_its_seed_alone():
    entries = {
        "x": {"min": 0.0, "max": 1.0},
        "k": {"values": [1, 2, 3, 4]},
        "w": {"values": ["a", "b"], "probabilities": [0.0, 1.0]},
    }
    sweep = schema.sweep(document(parameters=entries))
    first, again, other = points(sweep, 8), points(sweep, 8), points(sweep, 8, seed=1)
    assert first == again
    assert first != other
    assert len({p["x"] for p in first}) == 8
    assert {p["w"] for p in first} == {"b"}


@pytest.mark.parametrize(
    ("spec", "quarter"),
    [
        ({"min": 1.0, "max": 5.0}, 2.0),
        ({"min": 1, "max": 4}, 2),
        ({"distribution": "log_uniform_values", "min": 0.0001, "max": 1.0}, 0.001),
        ({"distribution": "log_uniform", "min": 0.0, "max": 4.0}, math.e),
        ({"distribution": "inv_log_uniform", "min": 0.0, "max": 4.0}, math.exp(-3.0)),
        ({"distribution": "inv_log_uniform_values", "min": 0.0001, "max": 1.0}, 0.001),
        ({"distribution": "q_uniform", "min": 0, "max": 500, "q": 50}, 100),
        ({"distribution": "q_uniform", "min": 0.0, "max": 1.3, "q": 0.1}, 0.3),
        ({"distribution": "q_uniform", "min": 0.0, "max": 32.0}, 8.0),
        ({"distribution": "q_log_uniform_values", "min": 16, "max": 256, "q": 8}, 32),
        ({"distribution": "normal", "mu": 3.0, "sigma": 2.0}, 3.0 - 2.0 * 0.6744897501960817),
        ({"distribution": "log_normal"}, math.exp(-0.6744897501960817)),
        ({"values": ["a", "b"], "probabilities": [1, 9]}, "b"),
    ],
)
def test_a_law_has_its_quartile(spec, quarter):
    law = parameter("p", spec)
    assert law.quantile is not None
    value = law.quantile(0.25)
    assert type(value) is type(quarter)
    assert value == (quarter if isinstance(quarter, str) else pytest.approx(quarter))


def test_rounded_values_keep_to_their_bounds():
    law = parameter("p", {"distribution": "q_uniform", "min": 1, "max": 10, "q": 4})
    assert list(law.grid or ()) == [4, 8]
    assert {law.quantile(u / 100) for u in range(101)} == {4, 8}  # pyright: ignore


def test_each_whole_number_is_equally_likely():
    law = parameter("p", {"min": 3, "max": 6})
    counts = Counter(law.quantile((i + 0.5) / 400) for i in range(400))  # pyright: ignore
    assert counts == {3: 100, 4: 100, 5: 100, 6: 100}
    assert law.quantile(1.0) == 6  # pyright: ignore


def test_nested_parameters_get_dots():
    nested = {"model": {"parameters": {"optimizer": {"parameters": {"lr": {"value": 1}}}}}}
    sweep = schema.sweep(document(parameters=nested))
    assert [p.name for p in sweep.parameters] == ["model.optimizer.lr"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"method": "anneal"}, "unknown method 'anneal'"),
        ({"method": "bayes"}, "bayes needs a metric"),
        ({"methud": "grid"}, "did you mean method"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 1}}, "_terminate needs a metric"),
        ({"parameters": {}}, "no parameters"),
        ({"parameters": {"lr": {"distribution": "beta"}}}, "lr: the distribution beta is not"),
        ({"parameters": {"lr": {"min": 1, "max": 0.5}}}, "lr: min 1 is above max"),
        ({"parameters": {"lr": {"min": 0, "max": 0.5}}}, "lr: min 0 and max 0.5 must both"),
        ({"parameters": {"lr": {"min": "1e-3", "max": 0.5}}}, "lr: min is '1e-3'.*1.0e-3"),
        ({"parameters": {"lr": {"max": 0.5}}}, "lr needs value, values, or min and max"),
        ({"parameters": {"lr": 0.5}}, "write {value: 0.5}"),
        ({"parameters": {"lr": {"min": 1, "max": 2, "q": 3}}}, "int_uniform does not take q"),
        ({"method": "grid", "parameters": {"lr": {"min": 0.1, "max": 2.0}}}, "lr is continuous"),
        ({"command": ["python", "${argz}", "${args}"]}, r"\$\{argz\} is not supported"),
        ({"command": ["python", "train.py"]}, r"no \$\{args\}"),
        ({"metric": {"name": "l", "goal": "min"}}, "minimize or maximize"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(keys, message):
    with pytest.raises(SweepError, match=message):
        schema.sweep(document(**keys))


def test_a_file_that_is_no_sweep_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [1")
    with pytest.raises(SweepError, match=r"a.yaml is not YAML"):
        read(tmp_path / "a.yaml")
    with pytest.raises(RunError, match="there is no"):
        main([str(tmp_path / "b.yaml")])


# What W&B would make of it


def test_the_command_is_that_of_the_agent_of_wandb(monkeypatch):
    from wandb.sdk.launch.sweeps import utils

    monkeypatch.setenv("WHERE", "here")
    values = {"model.hidden": [200, 100], "lr": 1e-5, "n": 8, "on": True, "off": False, "w": "a b"}
    theirs = utils.create_sweep_command_args({"args": {k: {"value": v} for k, v in values.items()}})
    for macro in ARGUMENTS:
        command = ["${env}", "${interpreter}", "${program}", "--at=${envvar:WHERE}", macro]
        expanded = utils.create_sweep_command(list(command))
        ours = argv(command, "train.py", values)
        assert ours == [sys.executable, "train.py", expanded[3], *theirs[macro[2:-1]]]


def test_values_are_words_that_the_command_line_reads():
    from jsonargparse import ArgumentParser

    values = {"a": None, "b": ["x", "y"], "c": 1e-5, "d": True, "e": 8, "f": [1, 2]}
    command_line = ArgumentParser(exit_on_error=False)
    types = {"a": int | None, "b": list[str], "c": float, "d": bool, "e": int, "f": list[int]}
    for name, kind in types.items():
        command_line.add_argument(f"--{name}", type=kind)
    words = argv(["${args}"], None, values)
    assert command_line.parse_args(words).as_dict() == values


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_sweeps_are_valid_here_and_for_wandb(path):
    from wandb.apis.public.sweeps import _validate_config_and_fill_distribution as fill
    from wandb.sdk.sweeps.scheduler.optuna import search_space_from_sweep_config

    sweep = read(path)
    assert sweep.metric is not None
    filled = fill(yaml.safe_load(path.read_text()))
    assert set(search_space_from_sweep_config(filled["parameters"])) == {
        p.name for p in sweep.parameters
    }
    assert find(sweep.command[sweep.command.index("-c") + 1], "configs").is_file()


# Running one


@pytest.mark.parametrize(
    ("goal", "stopping", "count"),
    [("minimize", {}, 14), ("maximize", {"early_terminate": HYPERBAND}, 40)],
)
def test_bayes_finds_the_optimum_of_a_quadratic(sweep_file, goal, stopping, count):
    entries = {"x": {"min": -1.0, "max": 1.0}, "y": {"min": -1.0, "max": 1.0}}
    keys = {"method": "bayes", "metric": {"name": "l", "goal": goal}, "parameters": entries}
    search = Search(schema.sweep(document(**keys | stopping)), Path("journal.log"), count, 0)
    sign = 1 if goal == "minimize" else -1
    while (asked := search.ask()) is not None:
        trial, v = asked
        search.finish(trial, sign * ((v["x"] - 0.3) ** 2 + (v["y"] + 0.4) ** 2))
    best = search.best()
    # Of 14 (40) random points one comes as near with probability 1 - (1 - 0.002 π/4)ⁿ = 2 % (6 %)
    assert best is not None
    assert sign * best.value < 0.002


def test_a_sweep_runs_and_tells(sweep_file, capsys):
    main([sweep_file(method="grid", parameters={"x": {"values": [1, 0]}}), "--dir", "out"])
    out, err = capsys.readouterr()
    assert [(v["x"], t.value) for v, _, t in tried()] == [
        (1, pytest.approx(0.65)),
        (0, pytest.approx(0.25)),
    ]
    assert "best: trial 1, val/loss 0.25" in out
    assert f"{sys.executable} program.py --x=0\n" in out
    assert "trial 0 started: x=1" in err
    assert about(1)["group"] == "out"
    assert about(1)["threads"] == len(os.sched_getaffinity(0))
    assert Path("out/trial-0001.log").exists()


def test_jobs_run_at_once(sweep_file):
    entries = {"x": {"values": [0, 1]}, "wait": {"value": 1.0}}
    main([sweep_file(method="grid", parameters=entries), "--dir", "out", "--jobs", "2"])
    abouts = [about(0), about(1)]
    ends = [float(Path(f"out/trial-000{i}/end").read_text()) for i in (0, 1)]
    assert max(a["begin"] for a in abouts) < min(ends)
    assert abouts[0]["threads"] == max(1, len(os.sched_getaffinity(0)) // 2)


def test_a_failed_trial_is_told_and_the_sweep_goes_on(sweep_file, capsys):
    main([sweep_file(method="grid", parameters={"x": {"values": [13, 0]}}), "--dir", "out"])
    (_, first, trial), (_, second, _) = tried()
    assert (first, second) == ("FAIL", "COMPLETE")
    assert trial.user_attrs["error"] == "exit code 1: genlit: error: 13 is unlucky"
    assert "13 is unlucky" in capsys.readouterr().err


def test_a_sweep_of_failures_is_an_error(sweep_file):
    with pytest.raises(RunError, match=r"all 1 trials of out failed.*13 is unlucky"):
        main([sweep_file(method="grid", parameters={"x": {"value": 13}}), "--dir", "out"])


def test_a_metric_that_is_missing_is_told_with_those_there_are(sweep_file):
    metric = {"name": "val/los"}
    file = sweep_file(method="grid", parameters={"x": {"value": 1}}, metric=metric)
    with pytest.raises(RunError, match=r"no metric val/los; there were val/loss"):
        main([file, "--dir", "out"])


def test_the_metric_may_stand_in_results_json(tmp_path):
    from genlit.runs import Measurement, write_results

    fid = Measurement("fid", "val", 7.5, None, "", "estimate", "", 100, "grey")
    write_results(tmp_path, "GAN", "MNIST", 0, "last.ckpt", [fid], 1.0)
    assert judge(tmp_path, schema.Metric("val/fid")) == 7.5


def test_hyperband_stops_a_trial_that_is_worse(sweep_file):
    # The second is the worse of two at its second epoch, when it has 50 more to go
    entries = {
        "x": {"values": [0, 5]},
        "epochs": {"value": 52},
        "wait": {"value": 0.02},
        "slope": {"value": 1.0},
    }
    file = sweep_file(method="grid", parameters=entries, early_terminate=HYPERBAND)
    main([file, "--dir", "out"])
    (_, first, _), (_, second, trial) = tried()
    assert (first, second) == ("COMPLETE", "PRUNED")
    assert 2 <= len(trial.intermediate_values) < 40
    assert not Path("out/trial-0001/end").exists()


@pytest.mark.parametrize(
    ("goal", "target", "order"), [("minimize", 0.3, [1, 0, 2]), ("maximize", 0.6, [0, 1, 2])]
)
def test_the_target_ends_a_sweep(sweep_file, capsys, goal, target, order):
    metric = {"name": "val/loss", "goal": goal, "target": target}
    file = sweep_file(method="grid", parameters={"x": {"values": order}}, metric=metric)
    main([file, "--dir", "out"])
    assert [v["x"] for v, _, _ in tried()] == order[:2]
    assert "best: trial 1" in capsys.readouterr().out


# The picture of a grid


def charted(entries, told, metric=None, **keys):
    """The heat map of a grid whose trials end with what `told` says of their values."""
    metric = metric or {"name": "val/loss", "goal": "minimize"}
    sweep = schema.sweep(document(method="grid", parameters=entries, metric=metric, **keys))
    with tempfile.TemporaryDirectory() as folder:
        search = Search(sweep, Path(folder) / "journal.log")
        while (asked := search.ask()) is not None:
            trial, values = asked
            value = told(values)
            if value is None:
                return heatmap(search)  # while this trial runs
            if isinstance(value, str):
                search.fail(trial, value) if value else search.prune(trial)
            else:
                search.finish(trial, value)
        return heatmap(search)


def test_a_grid_over_two_parameters_is_a_chart():
    entries = {
        "a": {"values": [1, 2, 5]}, "c": {"value": 7}, "b": {"values": [0.1, 0.2]},
    }  # fmt: skip
    ends = {(1, 0.1): 4.0, (1, 0.2): 3.0, (2, 0.1): "broken", (2, 0.2): "", (5, 0.1): -1.0}
    chart = charted(entries, lambda v: ends.get((v["a"], v["b"])))
    assert (chart.rows.name, chart.columns.name, chart.repeats) == ("a", "b", 1)
    assert [[cell.values for cell in row] for row in chart.cells] == [
        [(4.0,), (3.0,)], [(), ()], [(-1.0,), ()],
    ]  # fmt: skip
    assert [[cell.mark for cell in row] for row in chart.cells] == [
        ["", ""], ["failed", "stopped\nearly"], ["", ""],
    ]  # fmt: skip
    assert chart.best == (2, 0)
    largest = {"name": "val/loss", "goal": "maximize"}
    assert charted(entries, lambda v: ends.get((v["a"], v["b"])), largest).best == (0, 0)


def test_a_third_parameter_that_is_a_seed_is_averaged_over():
    entries = {name: {"values": v} for name, v in
               {"a": [1, 2], "seed_everything": [3, 4], "b": ["x", "y"]}.items()}  # fmt: skip
    chart = charted(
        entries,
        lambda v: "no" if (v["a"], v["b"], v["seed_everything"]) == (2, "y", 4)
        else v["a"] + v["seed_everything"] + 10 * (v["b"] == "y"),
    )  # fmt: skip
    assert chart.repeats == 2
    assert [[cell.mean for cell in row] for row in chart.cells] == [[4.5, 14.5], [5.5, 15.0]]
    assert chart.cells[0][0].label(2) == "4.5\n± 0.71"
    assert chart.cells[1][1].label(2) == "15\n1 of 2"


@pytest.mark.parametrize(
    ("entries", "keys"),
    [
        ({"a": {"values": [1, 2]}}, {}),
        ({"a": {"values": [1, 2]}, "data.seed": {"values": [1, 2]}}, {}),
        ({name: {"values": [1, 2]} for name in "abc"}, {}),
        ({name: {"values": [1, 2]} for name in "ab"}, {"method": "random", "run_cap": 3}),
    ],
)
def test_other_sweeps_have_no_chart(entries, keys):
    sweep = schema.sweep(
        document(parameters=entries, metric={"name": "val/loss"}, **{"method": "grid"} | keys)
    )
    with tempfile.TemporaryDirectory() as folder:
        assert heatmap(Search(sweep, Path(folder) / "journal.log")) is None


def test_an_interrupted_trial_counts_once_it_is_done_again(sweep_file):
    entries = {name: {"values": [1, 2]} for name in "ab"}
    sweep = schema.sweep(document(method="grid", parameters=entries, metric={"name": "l"}))
    search = Search(sweep, Path("journal.log"))
    assert search.ask() is not None  # and now it is killed
    resumed = Search(sweep, Path("journal.log"))
    assert heatmap(resumed).cells[0][0] == Cell()  # pyright: ignore[reportOptionalMemberAccess]
    resumed.recover(lambda trial: None)
    assert heatmap(resumed).cells[0][0] == Cell()  # pyright: ignore[reportOptionalMemberAccess]
    while (asked := resumed.ask()) is not None:
        resumed.finish(asked[0], 10.0 * asked[1]["a"] + asked[1]["b"])
    chart = heatmap(resumed)
    assert chart is not None
    assert [[cell.values for cell in row] for row in chart.cells] == [
        [(11.0,), (12.0,)], [(21.0,), (22.0,)],
    ]  # fmt: skip


def test_a_sweep_of_two_parameters_leaves_its_picture(sweep_file, capsys):
    from matplotlib.image import imread

    entries = {"x": {"values": [0, 13]}, "y": {"values": [0, 1]}}
    main([sweep_file(method="grid", parameters=entries), "--dir", "out"])
    assert "heat map: out/heatmap.png" in capsys.readouterr().out
    picture = imread("out/heatmap.png")[..., :3]
    yellow = np.abs(picture - [0.993, 0.906, 0.144]).max(-1) < 0.01  # the lower of two
    violet = np.abs(picture - [0.267, 0.005, 0.329]).max(-1) < 0.01
    row, left = np.argwhere(yellow).mean(0)
    below, right = np.argwhere(violet).mean(0)
    assert left < right
    assert abs(row - below) < 0.2 * len(picture)
    main(["--resume", "out"])  # which has nothing to do but to draw it again


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0001, "0.0001"), (True, "True"), (None, "null"), ("relu", "relu"), ([], "none"),
        ([200, 100], "200, 100"), ("[]", "none"), ("[a", "[a"), ("x" * 99, "x" * 39 + "…"),
        ({"class_path": "genlit.gan.R1", "init_args": {"weight": 1.0}}, "R1(weight=1)"),
        ("[{class_path: R1}, {class_path: R2, init_args: {weight: 0.1}}]", "R1(), R2(weight=0.1)"),
    ],
)  # fmt: skip
def test_values_are_labels_that_can_be_read(value, words):
    assert label(value) == words


# Going on


def test_a_killed_sweep_goes_on_and_loses_nothing(sweep_file):
    file = sweep_file(method="grid", parameters={"x": {"values": [0, 1, 2, 3, 4]}})
    words = [sys.executable, "-m", "genlit", "sweep", file, "--dir", "out", "--jobs", "2"]
    with Path("first.log").open("w") as log:
        slow = os.environ | {"SLOW": "trial-0002 trial-0003"}
        sweep = subprocess.Popen(words, stdout=log, stderr=log, env=slow)
        begun = [Path(f"out/trial-000{k}/about.json") for k in (2, 3)]
        wait_for(lambda: all(path.exists() for path in begun))  # 0 and 1 are done, 2 and 3 run
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
    with Path("out/journal.log").open("a") as journal:
        journal.write('{"op_code": 5, "wor')  # killed while it wrote
    orphans = [about(2)["pid"], about(3)["pid"]]
    assert all(map(alive, orphans))
    main(["--resume", "out", "--jobs", "3"])
    assert not any(map(alive, orphans))
    assert Counter(state for _, state, _ in tried()) == {"COMPLETE": 5, "FAIL": 2}
    done = sorted(v["x"] for v, state, _ in tried() if state == "COMPLETE")
    assert done == [0, 1, 2, 3, 4]
    before = len(tried())
    main([file, "--dir", "out"])
    assert len(tried()) == before


def test_a_search_goes_on_as_if_it_had_not_been_interrupted(sweep_file):
    sweep = schema.sweep(document(parameters={"x": {"min": 0.0, "max": 1.0}}))
    search = Search(sweep, Path("journal.log"), 6, 0)
    asked = search.ask()
    assert asked is not None
    trial, first = asked
    search.finish(trial, 0.0)
    assert search.ask() is not None  # and now it is killed
    resumed, proposed = Search(sweep, Path("journal.log")), [first]
    assert resumed.recover(lambda trial: None) == 1
    while (asked := resumed.ask()) is not None:
        resumed.finish(asked[0], 0.0)
        proposed.append(asked[1])
    assert proposed == points(sweep, 6)


def test_one_process_at_a_time(sweep_file):
    from genlit.sweep.runner import locked

    file = sweep_file(method="grid", parameters={"x": {"value": 1}})
    main([file, "--dir", "out"])
    with locked(Path("out")), pytest.raises(SweepError, match="another process"):
        main([file, "--dir", "out"])


def test_a_folder_holds_one_sweep(sweep_file):
    main([sweep_file(method="grid", parameters={"x": {"value": 1}}), "--dir", "out"])
    other = sweep_file("other.yaml", method="grid", parameters={"x": {"value": 2}})
    with pytest.raises(RunError, match=r"sweep of another file than other.yaml"):
        main([other, "--dir", "out"])
    with pytest.raises(RunError, match="no sweep's folder"):
        main(["--resume", "."])


def test_a_search_without_an_end_is_refused(sweep_file):
    file = sweep_file(method="random", parameters={"x": {"min": 0.0, "max": 1.0}})
    with pytest.raises(RunError, match="--count"):
        main([file])
    assert not Path("runs").exists()


def test_ctrl_c_ends_the_trials_and_shows_the_table(sweep_file):
    entries = {"x": {"values": [0, 1]}, "wait": {"value": 30}}
    file = sweep_file(method="grid", parameters=entries)
    words = [sys.executable, "-m", "genlit", "sweep", file, "--dir", "out"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, preexec_fn=heed_ctrl_c, **pipes) as sweep:
        wait_for(lambda: Path("out/trial-0000/about.json").exists())
        process = about(0)["pid"]
        sweep.send_signal(signal.SIGINT)
        out, err = sweep.communicate(timeout=20)
    assert sweep.returncode == 130
    assert "interrupted" in out
    assert err.rstrip().endswith("genlit: error: interrupted")
    assert not alive(process)


def heed_ctrl_c():
    """As on a terminal; processes that a shell starts in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for(condition, seconds=30.0):
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid):
    """Whether a process runs; one that ended and was not waited for does not."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
