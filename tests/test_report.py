import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest
import yaml
from matplotlib.image import imsave

from genlit.cli.report import main
from genlit.report import find_runs, read_runs, write
from genlit.report.comparison import comparisons, metrics
from genlit.report.curves import draw, thinned
from genlit.report.numbers import difference, duration, with_error
from genlit.report.pictures import parse, spread
from genlit.report.read import read_metrics
from genlit.runs import Measurement, RunError, write_results

HEADER = "epoch,step,seconds,name,value"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def measurement(value=-98.1234, stderr=0.2134, **changes):
    fields = {
        "name": "log_likelihood_ais_dynamic", "split": "test", "unit": "nats", "kind": "estimate",
        "method": "Annealed(steps=1000)", "n": 10_000, "protocol": "dynamic",
        "details": {"log_partition": 451.7431},
    }  # fmt: skip
    return Measurement(value=value, stderr=stderr, **{**fields, **changes})


def make_run(folder, measured=(), lines=(), config=None, pictures=()):
    (folder / "samples").mkdir(parents=True)
    default = {"seed_everything": 7, "model": {"class_path": "genlit.boltzmann.RBM"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config or default, sort_keys=False))
    (folder / "metrics.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    for name in pictures:
        imsave(folder / "samples" / name, [[0.0, 1.0], [1.0, 0.0]], cmap="gray")
    if measured:
        write_results(folder, "genlit.boltzmann.RBM", "MNIST", 7, "best.ckpt", measured, 61.25)
    return folder


def report(*runs):
    return write(runs, runs[0].parent / "report.html").read_text()


class Page(HTMLParser):
    """What a browser makes of a page: its elements, what they refer to, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.references, self.ids, self.words, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [v for k, v in attrs if k == "id"]
        self.references += [v for k, v in attrs if k in ("src", "href", "xlink:href", "srcset")]
        if tag not in ("meta", "link", "img", "wbr", "col", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


@pytest.fixture
def two_runs(tmp_path):
    names = ("train/loss", "val/loss", "val/kl", "val/kl_stderr")
    curve = [f"{e},{e * 10},{e}.5,{name},{100 / e}" for e in (1, 2, 3) for name in names]
    bound = measurement(
        -91.2843, 0.2012, name="log_likelihood_bound_dynamic", kind="lower bound",
        method="LowerBound(samples=500)",
    )  # fmt: skip
    fid = {"unit": "", "name": "fid_lenet", "protocol": "grey", "stderr": None}
    a = make_run(
        tmp_path / "demo" / "rbm", [measurement(), measurement(8.3125, **fid)], curve,
        {"model": {"class_path": "RBM", "init_args": {"lr": 0.05}}, "data": {"n": 3}},
        ["epoch-0001.png", "epoch-0002.png"],
    )  # fmt: skip
    b = make_run(
        tmp_path / "demo" / "vae", [bound, measurement(12.5, **fid)], curve,
        {"model": {"class_path": "VAE", "init_args": {"lr": 0.01}}, "data": {"n": 3}},
    )  # fmt: skip
    return a, b


def test_the_page_has_the_numbers_of_results_json(two_runs):
    page = Page(report(*two_runs))
    assert page.open == []
    for number in ("−98.12 ± 0.21", "−91.28 ± 0.20", "8.312", "12.50", "451.7", "10,000"):
        assert number in page.text
    for word in ("estimate", "lower bound", "nats", "dynamic", "grey", "Annealed(steps=1000)"):
        assert word in page.text
    assert 'data value="-98.1234"' in report(*two_runs)


def test_a_page_refers_to_nothing_outside_and_runs_no_script(two_runs):
    text = report(*two_runs)
    page = Page(text)
    assert len(page.references) > 10
    assert all(r.startswith(("data:", "#")) for r in page.references)
    assert {r[1:] for r in page.references if r[:1] == "#"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "script" not in page.tags
    assert "//" not in "".join(re.findall(r"url\([^)]*\)|@import[^;]*", text))


def test_numbers_of_different_kind_or_protocol_never_share_a_column(two_runs):
    c = make_run(two_runs[0].parent / "static", [measurement(protocol="static")])
    exact = make_run(two_runs[0].parent / "exact", [measurement(kind="exact")])
    runs = read_runs([*two_runs, c, exact])
    for metric in metrics(runs):
        measured = [entry.result.measurement for entry in metric.entries]
        assert len({(m.name, m.unit, m.kind, m.protocol, m.split) for m in measured}) == 1
    groups = comparisons(metrics(runs))
    assert [(g.unit, g.protocol, len(g.metrics)) for g in groups] == [
        ("nats", "dynamic", 3), ("nats", "static", 1), ("", "grey", 1)
    ]  # fmt: skip
    assert groups[0].runs == [0, 1, 3]


def test_what_differs_between_compared_numbers_is_said(tmp_path):
    a = make_run(tmp_path / "a", [measurement()])
    b = make_run(tmp_path / "b", [measurement(method="Annealed(steps=9)")])
    assert "method differs between runs" in Page(report(a, b)).text
    c = make_run(tmp_path / "c", [measurement(n=5)])
    assert "method and n differ between runs" in Page(report(a, b, c)).text
    assert "between runs" not in Page(report(a)).text


def test_the_newest_results_win_and_the_page_says_so(tmp_path):
    run = make_run(tmp_path / "a", [measurement(-98.1234), measurement(3.0, name="other")])
    write_results(run, "RBM", "MNIST", 7, "best.ckpt", [measurement(-93.5678)], 1.0)
    for value in (-97.0, -96.0, -95.0, -94.0, -93.0, -92.0, -91.0, -90.0, -89.4321):
        write_results(run, "RBM", "MNIST", 7, "best.ckpt", [measurement(value)], 1.0)
    (read,) = read_runs([run])
    assert [r.measurement.value for r in read.results] == [-89.4321, 3.0]
    text = Page(report(run)).text
    assert "replaces −90.00 ± 0.21" in text
    assert "results-11.json is newer than results-10.json" in text


def test_of_a_number_given_twice_the_last_one_holds(tmp_path):
    path = tmp_path / "metrics.csv"
    lines = ["0,10,1.0,train/loss,5", "0,20,2.0,train/loss,4", "1,20,3.0,train/loss,3",
             "1,10,2.5,val/loss,9", "1,30,4.0,train/lo"]  # fmt: skip
    path.write_text("\n".join([HEADER, *lines]))
    read = read_metrics(path)
    assert read.curves == {"train/loss": {10: 5.0, 20: 3.0}, "val/loss": {10: 9.0}}
    assert (read.seconds, read.epochs, read.unreadable) == (3.0, 2, 1)


def test_whatever_is_in_a_run_is_text_on_the_page(tmp_path):
    evil = "<script>alert('x')</script>"
    run = make_run(
        tmp_path / evil.replace("/", "_"),
        [measurement(name=evil, unit=evil, kind=evil, method=evil, protocol=evil, split=evil,
                     details={evil: evil})],
        [f"0,1,1.0,train/{evil},1.0", f"0,2,2.0,train/{evil},2.0", "0,1,1.0,train/$x_{,3.0"],
        {evil: evil, "list": [{"class_path": evil}, {"class_path": evil}]},
        [f"{evil.replace('/', '_')}-0001.png"],
    )  # fmt: skip
    page = Page(report(run))
    assert "script" not in page.tags
    assert page.text.count("<script>") > 10


def test_differing_settings_are_marked(two_runs):
    text = report(*two_runs)
    assert "<mark>0.01</mark>" in text
    assert "<mark>VAE</mark>" in text
    assert "<mark>3</mark>" not in text
    differing = text[text.index("What differs") : text.index("All 3 keys")]
    assert "lr" in differing
    assert "data" not in differing


def test_callbacks_of_two_runs_meet_whatever_their_order(tmp_path):
    first, second = {"class_path": "a.Grid", "init_args": {"n": 1}}, {"class_path": "a.Judge"}
    runs = [
        make_run(tmp_path / name, config={"trainer": {"callbacks": callbacks}})
        for name, callbacks in (("a", [first, second]), ("b", [second, first, second]))
    ]
    a, b = (run.config for run in read_runs(runs))
    assert a["trainer.callbacks[Grid].init_args.n"] == "1"
    assert set(b) - set(a) == {"trainer.callbacks[Judge 2].class_path"}


def test_a_run_with_nothing_but_its_configuration_has_a_page(tmp_path):
    run = tmp_path / "my runs" / "a"
    run.mkdir(parents=True)
    (run / "config.yaml").touch()
    assert f"not tested: run genlit test '{run}'" in Page(report(run)).text
    (run / "metrics.csv").touch()
    (run / "samples").mkdir()
    (run / "samples" / "half.png").write_bytes(b"\x89PNG")
    (run / "checkpoints").mkdir()
    assert "img" not in Page(report(run)).tags


def test_every_metric_has_a_figure_and_every_model_its_own_loss(tmp_path):
    lines = ["0,1,1,train/loss,1", "0,1,1,val/loss,1", "0,1,1,val/fid,2", "0,1,1,val/fid_stderr,1",
             "0,1,1,test/fid,2", "0,1,1,val_stderr,1"]  # fmt: skip
    runs = [
        make_run(tmp_path / name, lines=lines, config={"model": {"class_path": f"genlit.{model}"}})
        for name, model in (("a", "VAE"), ("b", "RBM"), ("c", "VAE"))
    ]
    curves = draw(read_runs(runs))
    assert [c.title for c in curves] == ["loss of VAE", "loss of RBM", "fid", "val_stderr"]
    assert "train/loss of c ends at 1; val/loss of c ends at 1" in curves[0].description
    assert [[f"--run-{k}" in c.svg for k in range(3)] for c in curves[:3]] == [
        [True, False, True], [False, True, False], [True, True, True]
    ]  # fmt: skip


def test_long_curves_are_drawn_as_means():
    points = {step: float(step % 2) for step in range(1000)}
    steps, values = thinned(points, 4)
    assert len(steps) == 250
    assert (steps[0], set(values)) == (1.5, {0.5})
    assert thinned(points, 1) == (list(points), list(points.values()))


def test_curves_that_are_not_numbers_are_said(tmp_path):
    lines = ["0,1,1,train/loss,nan", "0,2,1,train/loss,2.0", "0,1,1,val/loss,inf"]
    text = Page(report(make_run(tmp_path / "a", lines=lines))).text
    assert "1 values of train/loss are not finite" in text


def test_a_long_method_is_folded(tmp_path):
    method = "Annealed(" + ", ".join(f"setting_{k}={k}" for k in range(40)) + ")"
    text = report(make_run(tmp_path / "a", [measurement(method=method)]))
    assert f"<summary><code>{method[:70]}…" in text
    assert method in Page(text).text


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("results.json", "{", "results.json is not JSON"),
        ("results.json", "[]", "results.json is not what"),
        ("results-2.json", '{"metrics": [{"name": "x"}]}', r"results-2.json .*\(x\)"),
        ("config.yaml", "a: [", "config.yaml is not YAML"),
        ("config.yaml", "- a", "config.yaml is no configuration"),
        ("metrics.csv", "epoch,step\n1,2\n", "metrics.csv lacks the columns name, seconds, value"),
    ],
)
def test_a_broken_file_is_named_in_one_line(tmp_path, name, content, complaint):
    run = make_run(tmp_path / "a", [measurement()])
    (run / name).write_text(content)
    with pytest.raises(RunError, match=complaint) as error:
        report(run)
    assert "\n" not in str(error.value)


def test_runs_are_found_below_folders_and_each_once(two_runs):
    a, b = two_runs
    (a / "wandb" / "files").mkdir(parents=True)
    (a / "wandb" / "files" / "config.yaml").touch()
    (a.parent / "wandb").mkdir()
    (a.parent / "wandb" / "config.yaml").touch()
    assert find_runs([a.parent]) == [a, b]
    assert find_runs([b, a.parent, a]) == [b, a]
    assert [run.name for run in read_runs([a, b])] == ["rbm", "vae"]
    assert [run.name for run in read_runs([a])] == ["demo/rbm"]


def test_a_place_without_runs_is_named(tmp_path):
    with pytest.raises(RunError, match=r"no run folder and holds none: no config\.yaml"):
        find_runs([tmp_path])
    with pytest.raises(RunError, match="nowhere does not exist"):
        find_runs([tmp_path / "nowhere"])
    (tmp_path / "last.ckpt").touch()
    with pytest.raises(RunError, match=r"last\.ckpt is a file, not a run folder"):
        find_runs([tmp_path / "last.ckpt"])


def test_only_a_report_is_written_over(two_runs):
    out = two_runs[0].parent / "report.html"
    write(two_runs, out)
    write(two_runs, out)
    out.write_text("notes of my own")
    with pytest.raises(RunError, match="is no report"):
        write(two_runs, out)
    assert out.read_text() == "notes of my own"


def test_the_command_writes_beside_the_runs_and_prints_their_numbers(two_runs, capsys):
    main([str(run) for run in two_runs])
    said = capsys.readouterr().out
    assert (two_runs[0].parent / "report.html").is_file()
    for words in ("-98.12 ± 0.21", "-91.28 ± 0.20", "lower bound", "report.html", "n = 10,000"):
        assert words in said
    out = two_runs[0].parent / "deep" / "other.html"
    main([str(two_runs[0]), "--out", str(out)])
    assert out.is_file()
    for option in ("-o", "--output"):  # what it was called before
        main([str(two_runs[0]), option, str(out.with_stem(option))])
        assert out.with_stem(option).is_file()


def test_pictures_are_ordered_by_number_and_thinned():
    assert parse("epoch-0010") == ("samples", 10, "epoch 10")
    assert parse("epoch-0010-2") == parse("epoch-0010")
    assert parse("chains-epoch=0010") == ("chains", 10, "epoch 10")
    assert parse("filters") == ("filters", 0, "filters")
    assert spread(range(1, 100)) == [1, 15, 29, 43, 57, 71, 85, 99]
    assert spread([3, 9]) == [3, 9]


def test_numbers_have_the_digits_that_their_errors_leave():
    assert with_error(-98.1234, 0.2134) == "-98.12 ± 0.21"
    assert with_error(12345.678, 123.4) == "12346 ± 123"
    assert with_error(0.0123456, 0.000678) == "0.01235 ± 0.00068"
    assert with_error(8.3125, None) == "8.312"
    assert with_error(float("nan"), None) == "NaN"
    assert with_error(float("-inf"), 0.1) == "-∞ ± 0.10"
    assert with_error(3.25e-7, None) == "3.250e-07"
    assert with_error(1 + 4e-12, 3e-16) == "1.000 ± 0"  # what rounding leaves is no error
    assert difference(0.25, 0.01) == "+0.250 ± 0.010"
    assert difference(-3, None) == "-3"
    assert (duration(3.21), duration(61.2), duration(7260)) == ("3.2 s", "1 min 01 s", "2 h 01 min")


def test_reports_are_made_without_torch():
    code = "import sys, genlit.cli.report, genlit.report; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_a_browser_shows_the_numbers_of_results_json(two_runs, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"found no browser to open a report in (looked for {', '.join(BROWSERS)})")
    out = write(two_runs, two_runs[0].parent / "report.html")
    quiet = ("gpu", "quic", "sync", "background-networking", "component-update")
    options = ["--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{q}" for q in quiet)]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [browser, *options, profile, "--dump-dom", out.as_uri()], capture_output=True, text=True,
        timeout=120, check=True, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    dom = Page(done.stdout)
    for number in ("−98.12 ± 0.21", "−91.28 ± 0.20", "8.312", "12.50"):
        assert number in dom.text
    assert dom.tags.count("svg") == 2
    assert dom.tags.count("img") == 2
