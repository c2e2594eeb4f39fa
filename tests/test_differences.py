"""Runs on the same events, compared event by event."""

from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch

from genlit import estimators
from genlit.callbacks import Likelihood
from genlit.callbacks.likelihood import digests
from genlit.cli import main as genlit
from genlit.cli.report import main as report
from genlit.data.images import ImageData
from genlit.data.vectors import VectorData
from genlit.estimators import Annealed, Estimator, Exact, LogDensity, LowerBound, Raise
from genlit.report.comparison import KINDS
from genlit.report.differences import MOST, differences
from genlit.report.page import render
from genlit.report.read import read_runs
from genlit.runs import EventValues, Measurement, RunError, events_path, read_events, write_results
from tests.test_likelihood import Coins, trainer


class Greys(ImageData):
    """Forty test images of 3 x 3 random levels."""

    shape = (1, 3, 3)

    def __init__(self, batch: int = 500, binarize: Any = "dynamic", seed: int = 0) -> None:
        super().__init__(20, batch, binarize)
        self.images = torch.randint(
            256, (80, 1, 3, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
        )

    def read(self) -> dict[str, torch.Tensor]:
        return {"train": self.images, "val": self.images[:20], "test": self.images[40:]}


class Few(Estimator):
    """Exact answers about a few events."""

    name, kind, protocol = "few", "exact", Exact.protocol

    def __init__(self, events: int) -> None:
        self.events = events

    def __call__(self, model: Any) -> LogDensity:
        return LogDensity(model.log_prob, events=self.events)


class Writes(L.Callback):
    """Writes into a run folder what was measured, as the command does."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").touch()
        self.folder = folder

    def on_test_end(self, trainer: L.Trainer, *_: Any) -> None:
        judges = [c for c in trainer.callbacks if isinstance(c, Likelihood)]
        if trainer.is_global_zero:
            measured = [m for j in judges for m in j.measurements]
            events = [e for j in judges for e in j.event_values]
            write_results(self.folder, "Coins", "Greys", 0, "last.ckpt", measured, 1.0, events)


def run_of(folder, *ways, model=None, data=None, processes=1) -> Path:
    """A run folder after a test."""
    strategy = {"devices": 2, "strategy": "ddp_fork"} if processes == 2 else {}
    judges = [Likelihood(e) for e in ways or [Exact()]]
    loop = trainer(*judges, Writes(folder), **strategy)
    loop.test(model or Coins(), datamodule=data or Greys(), verbose=False)
    return folder


def kept(folder: Path) -> EventValues:
    """The numbers of single events that a run's newest test wrote."""
    ((result,), *_) = [run.results for run in read_runs([folder])]
    assert result.events is not None
    return result.events


def test_numbers_of_events_are_in_the_order_of_the_data(tmp_path):
    data, model = Greys(batch=7), Coins()
    with torch.no_grad():
        model.logits.normal_()
    found = kept(run_of(tmp_path / "a", model=model, data=data))
    exact = model.log_prob(data.events("test")).detach().double()
    assert found.index.tolist() == list(range(40))
    assert found.values.tolist() == exact.tolist()
    assert len(exact.unique()) > 35  # so that another order would be seen
    assert found.values.mean() == pytest.approx(found.of.value, rel=1e-12)
    assert (found.of.split, found.of.protocol, found.of.kind) == ("test", "dynamic", "exact")


@pytest.mark.parametrize("batch", [3, 7, 500])
@pytest.mark.parametrize("estimator", [Exact(), Few(6)], ids=["all", "few"])
def test_two_processes_keep_what_one_keeps(estimator, batch, tmp_path):
    """Forty events make batches of 3 and 7 that two processes cannot share evenly."""
    one, two = (kept(run_of(tmp_path / str(n), estimator, data=Greys(batch), processes=n))
                for n in (1, 2))  # fmt: skip
    exact = Coins().log_prob(events()).detach().double()
    for found in (one, two):
        assert found.values.tolist() == exact[found.index].tolist()
        assert len(found.index) == (40 if estimator.name == "exact" else 6)
    assert one.fingerprint == two.fingerprint
    if batch < 20:  # else the batches of two are smaller than that of one, and draw other lots
        assert one.index.tolist() == two.index.tolist()


def events(**options: Any) -> torch.Tensor:
    data = Greys(**options)
    data.setup("test")
    return data.events("test")


def test_a_run_is_as_it_was_where_no_folder_is_written():
    judge = Likelihood(LowerBound(3))
    trainer(judge).test(Coins(), datamodule=Greys(), verbose=False)
    (measured,), (values,) = judge.measurements, judge.event_values
    assert values.of is measured
    assert "stderr_of_estimator" not in measured.details  # it is not known
    trainer(judge).test(Coins(), datamodule=Greys(), verbose=False)
    assert len(judge.event_values) == len(judge.measurements) == 1


def test_validation_keeps_no_events():
    judge = Likelihood(Exact(), every_n_epochs=1)
    trainer(judge, max_epochs=2).fit(Coins(), datamodule=Greys())
    assert (len(judge.measurements), judge.event_values) == (2, [])


# Whether two runs saw the same events


def test_only_the_same_events_are_paired(tmp_path):
    same = {"a": Greys(), "b": Greys(batch=7)}
    other = {"static": Greys(binarize="static"), "data": Greys(seed=1), "less": Greys()}
    for data in (*same.values(), *other.values()):
        data.setup("test")
    other["less"].splits["test"] = other["less"].splits["test"][:39]
    swapped = other["swapped"] = Greys()
    swapped.setup("test")
    swapped.splits["test"] = swapped.splits["test"].flip(0)
    runs = read_runs([run_of(tmp_path / n, data=d) for n, d in (same | other).items()])
    (group,) = differences(runs)
    (row,) = group.rows
    assert {runs[row.more.run].name, runs[row.less.run].name} == {"a", "b"}
    prints = {kept(run.folder).fingerprint for run in runs}
    assert len(prints) == 5


def test_protocols_of_equal_events_are_not_mixed(tmp_path):
    """Events of zeros and ones are the same under threshold as they are."""
    a = make(tmp_path / "a", [1.0, 2.0])
    b = make(tmp_path / "b", [2.0, 4.0], protocol="threshold")
    c = make(tmp_path / "c", [2.0, 4.0], split="val")
    assert differences(read_runs([a, b, c])) == []


def test_digests_are_of_values_and_not_of_last_digits():
    levels = torch.arange(256.0)[:, None]
    divided, multiplied = levels / 255, levels * torch.tensor(1 / 255)
    assert (divided != multiplied).any()
    assert (digests(divided) == digests(multiplied)).all()
    assert len(digests(divided).unique(dim=0)) == 256
    x = torch.randn(50, 1, 2, 2)
    assert (digests(x) == digests(x.flatten(1).double())).all()
    assert (digests(x) != digests(-x)).any(1).all()
    assert (digests(x) != digests(x + 1e-4 * x)).any(1).all()
    assert (digests(torch.zeros(1, 2)) == digests(-torch.zeros(1, 2))).all()


# The difference and its error


def make(folder, values, index=None, own=0.0, fingerprint="f" * 32, **changes) -> Path:
    """A run folder with given numbers of events."""
    index = range(len(values)) if index is None else index
    told = {} if own is None else {"stderr_of_estimator": own}
    fields = {"name": "log_likelihood_exact_static", "split": "test", "unit": "nats",
              "kind": "exact", "method": "Exact()", "protocol": "static"}  # fmt: skip
    mean = float(np.mean(values))
    m = Measurement(value=mean, stderr=0.5, n=len(values), details=told, **(fields | changes))
    arrays = np.array(index, dtype=np.int64), np.array(values, dtype=np.float64)
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").touch()
    saved = EventValues(m, *arrays, fingerprint)
    write_results(folder, "RBM", "MNIST", 0, "best.ckpt", [m], 1.0, [saved])
    return folder


def compared(*folders: Path) -> Any:
    """The one difference between two runs."""
    ((row,),) = [group.rows for group in differences(read_runs(folders))]
    return row


def test_the_paired_error_by_hand(tmp_path):
    """Differences 1, -1, 2, 2 have mean 1 and variance (0 + 4 + 1 + 1) / 3 = 2."""
    a = make(tmp_path / "a", [-1, -3, -5, -2], own=0.3)
    b = make(tmp_path / "b", [-2, -2, -7, -4], own=0.4)
    for row, places in ((compared(a, b), (0, 1)), (compared(b, a), (1, 0))):
        assert (row.value, row.n) == (1, 4)
        assert row.stderr == pytest.approx((2 / 4 + 0.3**2 + 0.4**2) ** 0.5, rel=1e-12)
        assert (row.more.run, row.less.run) == places  # the better one is the first


def test_events_are_paired_by_index(tmp_path):
    """Of the events 4, 1 and 9 the first lacks 9, and differs by 1 and by 5 on the others."""
    a = make(tmp_path / "a", [0, 10, 20, 30, 40])
    b = make(tmp_path / "b", [39, 5, 1000], index=[4, 1, 9])
    row = compared(a, b)
    assert (row.value, row.n, row.more.run) == (3, 2, 0)
    assert row.stderr == pytest.approx((8 / 2) ** 0.5)
    c = make(tmp_path / "c", [1, 2], index=[4, 17])
    assert differences(read_runs([a, c])) == []  # one event has no variance


def test_what_events_have_in_common_cancels(tmp_path):
    """Two models that differ by nearly the same on all events are told apart by few of them."""
    torch.manual_seed(3)
    a, b = Coins(), Coins()
    with torch.no_grad():
        b.logits += 0.1
    row = compared(run_of(tmp_path / "a", model=a), run_of(tmp_path / "b", model=b))
    each = (a.log_prob(events()) - b.log_prob(events())).double()
    sign = 1 if row.more.run == 0 else -1
    assert row.value == pytest.approx(sign * each.mean().item(), rel=1e-6)
    assert row.stderr == pytest.approx(each.std().item() / 40**0.5, rel=1e-5)
    means = [s.measurement.stderr for s in (row.more, row.less)]
    assert row.stderr < 0.3 * (means[0] ** 2 + means[1] ** 2) ** 0.5


@pytest.mark.parametrize("estimator", [Exact(), Annealed(5, 20), LowerBound(3)],
                         ids=["exact", "ais", "bound"])  # fmt: skip
def test_a_run_and_itself_do_not_differ(estimator, tmp_path):
    row = compared(run_of(tmp_path / "a", estimator), run_of(tmp_path / "b", estimator))
    assert (row.value, row.stderr, row.n, row.remark) == (0, 0, 40, "")


def test_few_events_of_one_run_meet_all_of_another(tmp_path):
    model = Coins()
    row = compared(run_of(tmp_path / "a", model=model), run_of(tmp_path / "b", Few(6)))
    assert (row.value, row.stderr, row.n) == (0, 0, 6)
    row = compared(run_of(tmp_path / "a2"), run_of(tmp_path / "c", Raise(2, 2, events=5)))
    assert row.n == 5
    assert sorted(row.kind.split(" − ")) == ["conservative estimate", "exact"]
    assert row.remark.startswith("own error of the ")


@pytest.mark.parametrize(
    ("kinds", "remark"),
    [
        (("exact", "exact"), ""),
        (("estimate", "lower bound"), ""),
        (("lower bound", "lower bound"), ""),
        (("lower bound", "exact"), "at least this"),
        (("exact", "lower bound"), "at most this"),
        (("exact", "upper bound"), "at least this"),
        (("upper bound", "lower bound"), "at most this"),
    ],
)
def test_kinds_of_both_are_named(kinds, remark, tmp_path):
    better = make(tmp_path / "a", [1, 2], kind=kinds[0], name="x")
    worse = make(tmp_path / "b", [0, 0], kind=kinds[1], name="y")
    row = compared(worse, better)
    assert (row.kind, row.remark) == (f"{kinds[0]} − {kinds[1]}", remark)


def test_errors_that_are_not_known_are_said(tmp_path):
    known, a, b = (make(tmp_path / n, v, own=own) for n, v, own in
                   (("k", [0, 0], 0.1), ("a", [1, 2], None), ("b", [3, 5], None)))  # fmt: skip
    assert compared(known, a).remark == "own error of the first not known"
    better = make(tmp_path / "c", [9, 9], own=0.2)
    assert compared(better, a).remark == "own error of the second not known"
    assert compared(b, a).remark == "own error of both not known"
    assert compared(known, better).remark == ""


def test_impossible_events_are_no_crash(tmp_path):
    a = make(tmp_path / "a", [-np.inf, -1])
    b = make(tmp_path / "b", [-np.inf, -2])
    c = make(tmp_path / "c", [-3, -3])
    text = render(read_runs([a, b, c]))
    assert "∞" in text
    assert "NaN" in text


def test_of_several_measurements_the_same_are_paired(tmp_path):
    both, again, bound = tmp_path / "both", tmp_path / "again", tmp_path / "bound"
    for folder in (both, again):
        run_of(folder, Exact(), LowerBound(2), LowerBound(9))
    run_of(bound, LowerBound(5), data=Greys(7))
    runs = read_runs([both, again])
    (group,) = differences(runs)
    assert [row.more.measurement.method for row in group.rows] == [
        row.less.measurement.method for row in group.rows
    ]
    assert len(group.rows) == 3
    ((*rows,),) = [group.rows for group in differences(read_runs([both, bound]))]
    assert len(rows) == 2  # with both bounds of its name
    assert all(row.kind == "lower bound − lower bound" for row in rows)


def test_many_runs_are_compared_with_the_best(tmp_path):
    folders = [make(tmp_path / str(k), [k / 9, 2 * k]) for k in range(MOST + 1)]
    (group,) = differences(read_runs(folders))
    assert [row.more.run for row in group.rows] == [MOST] * MOST
    assert not group.all_pairs
    assert f"{MOST + 1} runs: each is compared with the best" in render(read_runs(folders))
    (group,) = differences(read_runs(folders[:MOST]))
    assert len(group.rows) == MOST * (MOST - 1) / 2
    values = [row.value for row in group.rows]
    assert values == sorted(values, reverse=True)


# Files, page and terminal


def test_files_of_events_are_never_overwritten(tmp_path):
    for values in ([1, 2], [3, 4], [5, 6]):
        make(tmp_path / "a", values)
    names = sorted(p.name for p in (tmp_path / "a").iterdir() if "results" in p.name)
    assert names == sorted(f"results{k}.{end}" for k in ("", "-2", "-3")
                           for end in ("json", "events.npz"))  # fmt: skip
    assert kept(tmp_path / "a").values.tolist() == [5, 6]  # the newest holds
    (tmp_path / "a" / "results-3.json").unlink()
    make(tmp_path / "a", [7, 8])
    assert (tmp_path / "a" / "results-4.events.npz").is_file()
    assert [*np.load(tmp_path / "a" / "results-3.events.npz")["0/values"]] == [5, 6]


def test_the_file_says_what_it_is_of(tmp_path):
    folder = run_of(tmp_path / "a", Exact(), LowerBound(2))
    file = np.load(folder / "results.events.npz")
    assert [str(file[f"{k}/kind"]) for k in (0, 1)] == ["exact", "lower bound"]
    assert str(file["1/name"]) == "log_likelihood_bound_dynamic"
    assert {name.split("/")[1] for name in file.files} == {
        "name", "split", "unit", "protocol", "kind", "index", "values", "fingerprint"
    }  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"text"])
def test_a_broken_file_is_named_in_one_line(content, tmp_path):
    folder = make(tmp_path / "a", [1, 2])
    (folder / "results.events.npz").write_bytes(content)
    with pytest.raises(RunError, match=r"results\.events\.npz is not what `genlit test`") as error:
        read_runs([folder])
    assert "\n" not in str(error.value)


def test_a_file_of_another_test_is_refused(tmp_path):
    a = make(tmp_path / "a", [1, 2])
    other = Measurement("else", "test", 1.0, None, "nats", "exact", "", 2, "static")
    with pytest.raises(RunError, match="is not the else of the results beside it"):
        read_events(events_path(a / "results.json"), [other])


def test_runs_without_the_file_are_reported_as_before(tmp_path, capsys):
    a, b = make(tmp_path / "a", [1, 2]), make(tmp_path / "b", [3, 5])
    (a / "results.events.npz").unlink()
    report([str(a), str(b)])
    told = capsys.readouterr().out
    assert "4 ± 0.50" in told.replace("4.00", "4")
    assert "differences" not in told
    assert "Differences" not in (tmp_path / "report.html").read_text()


def test_the_terminal_and_the_page_tell_differences(tmp_path, capsys):
    a, b = make(tmp_path / "rbm", [-1, -3, -5, -2], own=0.3), tmp_path / "vae"
    make(b, [-2, -2, -7, -4], own=None, kind="lower bound", name="bound")
    report([str(a), str(b)])
    lines = capsys.readouterr().out.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("differences"))
    assert lines[at] == "differences  nats, static, the same events of test"
    told = ("rbm − vae", "1.00 ± 0.77", "exact − lower bound", "n = 4", "at most this; own error "
            "of the second not known")  # fmt: skip
    assert lines[at + 1].split() == " ".join(told).split()
    page = (tmp_path / "report.html").read_text()
    section = page[page.index('<section id="differences"') : page.index('<section id="config')]
    for words in ("exact − lower bound", "1.00", "± 0.77", "at most this", "ffffffff"):
        assert words in section
    assert 'href="#differences"' in page


def test_every_kind_of_an_estimator_is_explained(tmp_path):
    kinds = {c.kind for c in vars(estimators).values()
             if isinstance(c, type) and hasattr(c, "kind")}  # fmt: skip
    assert {"conservative estimate", "estimate of a lower bound"} <= kinds <= set(KINDS)
    runs = [make(tmp_path / str(k), [1, 2], kind=kind) for k, kind in enumerate(sorted(kinds))]
    page = render(read_runs(runs))
    for kind in kinds:
        assert f"<dt>{kind}</dt><dd>{KINDS[kind]}</dd>" in page


CONFIG = """
data: {class_path: BarsAndStripes, init_args: {side: 3, repeats: 2, batch_size: 7}}
model: {class_path: RBM, init_args: {hidden: 3, sample_steps: 1}}
trainer:
  max_epochs: 1
  accelerator: cpu
  callbacks:
    - {class_path: Likelihood, init_args: {estimator: {class_path: genlit.estimators.Exact}}}
"""


def test_the_commands_make_and_compare_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENLIT_RUN_DIR", "")
    monkeypatch.setattr("sys.argv", ["genlit"])
    Path("small.yaml").write_text(CONFIG)
    for seed in "12":
        genlit(["fit", "-c", "small.yaml", "--run_dir", seed, "--seed_everything", seed])
        genlit(["test", seed])
    assert Path("1/results.events.npz").is_file()
    genlit(["report", "1", "2"])
    assert "exact − exact" in capsys.readouterr().out


def test_vectors_have_events_too(tmp_path):
    class Points(VectorData):
        shape = (9,)

        def read(self) -> dict[str, torch.Tensor]:
            draw = partial(torch.randn, generator=torch.Generator().manual_seed(1))
            return {split: draw(30, 9) for split in ("train", "val", "test")}

    class Free(Coins):
        binary = False

        def log_prob(self, x: torch.Tensor) -> torch.Tensor:
            return -x.square().sum(1) - self.logits.sum()

    a, b = (run_of(tmp_path / n, model=Free((9,), scale=s), data=Points())
            for n, s in (("a", 1.0), ("b", 2.0)))  # fmt: skip
    row = compared(a, b)
    assert (row.n, row.kind) == (30, "exact − exact")
