"""Tasks, the callback that sets them, and the command that compares runs on them."""

import json

import lightning as L
import pytest
import torch
from PIL import Image
from torch import nn

from genlit.callbacks.pictures import side_by_side, wrapped
from genlit.cli import lightning, main
from genlit.cli.comparing import task_in, task_of
from genlit.cli.place import open_place
from genlit.protocols import Reconstructs, Unanswerable
from genlit.tasks import Examination, Task
from genlit.tasks.comparison import Comparison, Entrant, Row, compare, paired
from genlit.tasks.examination import in_turns
from genlit.tasks.task import Problems, Published, Score, answered, tasks
from genlit.vae import VAE, Autoencoder
from tests.small import Digits

DATA = ["--data=BarsAndStripes", "--data.side=3", "--data.repeats=20"]
MODEL = ["--model=VAE", "--model.latent=2", "--model.encoder=genlit.networks.MLP",
         "--model.decoder=genlit.networks.MLP"]  # fmt: skip
QUICK = ["--trainer.max_epochs=1", "--trainer.accelerator=cpu",
         "--trainer.enable_progress_bar=false"]  # fmt: skip


class GivesBack(Task):
    """Sends events through the code and back.

    Args:
        n: How many events.
    """

    verb, question, protocols = "give_back", "reconstructions", (Reconstructs,)
    published = (Published("nobody", "mse", 0.25, "A Paper (Nobody, 2001), from memory"),)

    def __init__(self, n: int = 7) -> None:
        self.n = n

    @property
    def name(self):
        return "gives_back"

    def pose(self, data, split, seed):
        x = data.events(split)[: self.n].float()
        return Problems(x, x, f"{type(data).__name__}, {split}", {"number": torch.arange(len(x))})

    def solve(self, model, problems):
        return model.reconstruct(problems.given)

    def baselines(self, data, seed):
        return {"zeros": lambda p: torch.zeros_like(p.given), "itself": lambda p: p.given}

    def oracles(self, data, seed):
        return {"truth": lambda p: p.truth}

    def score(self, problems, answers):
        errors = (answers - problems.truth).square().flatten(1).mean(1)
        right = torch.where(errors < 0.1, 1.0, 0.0)
        scores = [Score("mse", errors, "", 0.0), Score("right", right, "", float("inf"))]
        largest = Score("largest", answers.flatten(1).amax(1), "", float("inf"))
        return scores if not errors.any() else [scores[0], largest, scores[1]]

    def picture(self, problems, answers):
        return side_by_side({"truth": problems.truth, **answers})


def row(name, kind="model", aim=0.0, **values):
    scores = [Score(score, torch.tensor(v), "", aim) for score, v in values.items()]
    return Row(name, kind, {}, scores, 0.0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("compared")
    made = {"a": [], "b": ["--seed_everything=3"], "other": ["--data.side=4"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENLIT_RUN_DIR", "")
        for name, options in made.items():
            lightning.main("fit", [*DATA, *MODEL, *QUICK, *options, "--run_dir", str(root / name)])
    return root


def test_scores_are_means_over_problems_that_have_a_number():
    score = Score("mse", torch.tensor([1.0, 2.0, float("nan"), 6.0]), "", 0.0)

    assert (score.n, score.mean) == (3, 3.0)
    assert score.stderr == pytest.approx((7 / 3) ** 0.5)  # sd² = (4 + 1 + 9) / 2
    assert Score("psnr", torch.tensor([5.0]), "dB", float("inf")).stderr is None


@pytest.mark.parametrize(("aim", "best"), [(0.0, "low"), (float("inf"), "high"), (1.0, "middle")])
def test_the_best_is_nearest_to_the_aim(aim, best):
    values = {"low": 0.1, "middle": 0.9, "high": 7.0}
    rows = [row(n, "model", aim, s=[v]) for n, v in values.items()]
    rows += [row("truth", "oracle", aim, s=[{0.0: 0.0, 1.0: 1.0}.get(aim, 99.0)])]
    assert Comparison(Problems([], [], ""), {}, rows).best == {"s": [best]}


def test_rows_with_different_scores_are_compared_score_by_score():
    nan = float("nan")
    a, b = row("a", mse=[1.0, 2.0, 6.0]), row("b", "baseline", mse=[0.0, 3.0, 3.0], more=[nan] * 3)
    found = Comparison(Problems([], [], ""), {}, [a, b, row("c", more=[4.0])])
    assert [column.name for column in found.columns] == ["mse", "more"]
    assert found.best == {"mse": ["b"], "more": ["c"]}
    gap = found.differences(b)
    assert set(gap) == {"mse"}
    assert gap["mse"] == pytest.approx((-1.0, (4 / 3) ** 0.5, 3))  # of -1, 1, -3
    assert found.differences(a)["mse"].mean == 0
    half = paired(a.scores[0], row("d", mse=[nan, 1.0, 2.0]).scores[0])
    assert (half.mean, half.n) == (2.5, 2)


def test_all_that_are_best_are_said_to_be():
    rows = [row("a", s=[1.0]), row("b", s=[2.0]), row("c", "baseline", s=[1.0])]
    assert Comparison(Problems([], [], ""), {}, rows).best == {"s": ["a", "c"]}


def test_problems_are_dealt_out_in_turns():
    problems = Problems(torch.arange(7), list(range(7)), "here", {"more": torch.arange(7)})
    shares = [problems.every(rank, 3) for rank in range(3)]

    assert [len(share) for share in shares] == [3, 2, 2]
    assert shares[1].truth == [1, 4]
    assert in_turns([share.given for share in shares]).tolist() == list(range(7))


def test_a_run_is_examined_in_test_and_can_be_monitored():
    model, data = VAE((1, 28, 28), latent=2), Digits(binarize="threshold")
    judge = Examination(GivesBack(n=9), every_n_epochs=1)
    trainer = L.Trainer(
        max_epochs=1, limit_train_batches=1, callbacks=[judge], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(model, data)
    assert "val/gives_back_mse" in trainer.callback_metrics
    trainer.test(model, data, verbose=False)

    x = data.events("test")[:9]
    with torch.no_grad():
        error = (model.eval().reconstruct(x) - x).square().flatten(1).mean(1)
    mse, _, right = judge.measurements
    assert (mse.name, mse.n, mse.protocol) == ("gives_back_mse", 9, "threshold")
    assert mse.value == pytest.approx(float(error.mean()), rel=1e-6)
    assert mse.stderr == pytest.approx(float(error.double().std()) / 3, rel=1e-6)
    assert right.method == "GivesBack of Digits, test"


def test_the_same_seed_gives_the_same_comparison():
    data = Digits(binarize="threshold")
    data.setup("test")
    entrants = [Entrant("vae", VAE((1, 28, 28), latent=2), {"model": "VAE"})]

    def found():
        state = torch.get_rng_state()
        numbers = [s.values for row in compare(GivesBack(), entrants, data, "test", 1).rows
                   for s in row.scores]  # fmt: skip
        assert torch.equal(state, torch.get_rng_state())
        return torch.stack(numbers)

    assert torch.equal(found(), found())


def test_who_cannot_be_asked_is_refused_before_anyone_is():
    data = Digits(binarize="threshold")
    data.setup("test")
    entrants = [Entrant("ae", Autoencoder((1, 28, 28)), {}), Entrant("layer", torch.nn.ReLU(), {})]
    with pytest.raises(Unanswerable, match="ReLU cannot be asked for reconstructions"):
        compare(GivesBack(), entrants, data, "test", 0)


def test_the_command_compares_runs_and_baselines(runs, tmp_path, capsys):
    out = tmp_path / "out"
    main(["compare", "--task", "GivesBack", "--task.n", "5", str(runs / "a"), str(runs / "b"),
          "--out", str(out)])  # fmt: skip
    printed = capsys.readouterr().out
    told = json.loads((out / "comparison.json").read_text())

    kinds = ["model", "model", "baseline", "baseline", "oracle"]
    assert [row["kind"] for row in told["rows"]] == kinds
    assert told["rows"][0]["run"] == str(runs / "a")
    assert told["rows"][1]["seed"] == 3
    assert told["best"]["mse"] == ["itself"]
    assert told["rows"][2]["differences"]["mse"]["mean"] == pytest.approx(
        told["rows"][2]["metrics"][0]["value"] - told["rows"][0]["metrics"][0]["value"]
    )
    assert told["problems"] == 5
    assert told["published"][0]["who"] == "nobody"
    assert all(m["n"] == 5 for row in told["rows"] for m in row["metrics"])
    assert "gives_back  5 problems: BarsAndStripes, test" in printed
    assert "published: nobody mse 0.25" in printed
    heads, *rows = [line for line in printed.splitlines() if "  " in line][1:]
    assert heads.split() == ["mse", "largest", "right", "CPU", "s"]
    itself = next(line.split() for line in rows if line.startswith("itself"))
    assert itself[:6] == ["itself", "baseline", "0", "±", "0", "–"]  # it has no "largest"
    page = (out / "comparison.html").read_text()
    assert "itself" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    with Image.open(out / "picture.png") as picture:
        assert picture.width > 4 * 60


def test_the_task_is_that_of_the_run_where_none_is_named(runs):
    place = open_place(runs / "a")
    task = {"class_path": "tests.test_compare.GivesBack", "init_args": {"n": 4}}
    callback = {"class_path": "genlit.tasks.Examination", "init_args": {"task": task}}
    place.config["trainer"]["callbacks"] = [callback]
    assert task_in(place, []).n == 4
    assert task_in(place, ["--task.n=6"]).n == 6
    with pytest.raises(ValueError, match="the options of GivesBack are n"):
        task_in(place, ["--task.m=6"])
    place.config["trainer"]["callbacks"] = [callback, callback]
    with pytest.raises(ValueError, match=r"in 2 tasks \(GivesBack, GivesBack\)"):
        task_in(place, [])


def test_nothing_is_overwritten(runs, tmp_path, capsys):
    args = ["compare", "--task", "GivesBack", str(runs / "a"), "--out", str(tmp_path)]
    main(args)
    with pytest.raises(SystemExit):
        main(args)
    assert "comparison.json exists: name another folder with --out" in capsys.readouterr().err


def test_a_task_has_a_verb_for_another_name():
    assert vars(task_of("give_back", ["--task.n=3"])) == vars(task_of("GivesBack", ["--task.n=3"]))
    assert type(task_of("impute", [])).__name__ == "Imputation"
    verbs = [kind.verb for kind in tasks().values()]
    assert len(set(verbs)) == len(verbs)
    assert all(verbs)


def test_a_model_that_has_diverged_is_not_measured_by_what_is_left():
    class Broken(nn.Module):
        def reconstruct(self, x):
            return x.where(torch.arange(len(x))[:, None, None, None] < 5, float("nan"))

    events = torch.rand(7, 1, 2, 2)
    problems = Problems(events, events, "")
    assert len(answered(GivesBack(), Broken(), problems.every(0, 2))) == 4
    with pytest.raises(ValueError, match="Broken answered with numbers that are not finite"):
        answered(GivesBack(), Broken(), problems)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--task", "GivesBak", "a"], "there is no task GivesBak: did you mean GivesBack?"),
        (["--task", "GivesBack", "--task.m", "3", "a"], "the options of GivesBack are n"),
        (["--task", "GivesBack"], "no run is named"),
        (["--task", "GivesBack", "a", "other"], "which pose other problems"),
        (["a"], "a is examined in 0 tasks (none): say which one is set, as in --task Denoising"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(runs, tmp_path, monkeypatch, capsys, args, said):
    monkeypatch.chdir(runs)
    with pytest.raises(SystemExit):
        main(["compare", "--out", str(tmp_path / "out"), *args])
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_manual_lists_tasks_with_their_options(capsys):
    main(["compare", "--task", "help"])
    assert (
        "GivesBack, or give_back: Sends events through the code and back.\n  "
        in capsys.readouterr().out
    )


def test_headings_stand_above_columns_and_fit():
    from PIL import ImageFont

    font = ImageFont.load_default(11)
    lines = wrapped("runs/rbm/20260101-000000", font, 50)
    assert "".join(lines) == "runs/rbm/20260101-000000"
    assert all(font.getlength(line) <= 50 for line in lines)

    picture = side_by_side({"black": torch.zeros(2, 1, 64, 64), "white": torch.ones(2, 1, 64, 64)})
    assert picture.dtype == torch.uint8
    assert picture[:, -40, 30].tolist() == [0, 0, 0]
    assert picture[:, -40, 200].tolist() == [255, 255, 255]  # they are twice as large
    assert (picture[:, :17] < 128).any()  # letters, on white
