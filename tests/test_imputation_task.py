"""Filling in what is missing: what models must hold, and measures whose values are known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.distributions import StudentT as Reference

from genlit.callbacks.pictures import GAP, gaps_marked
from genlit.cli import lightning, main
from genlit.cli.place import load_data, load_model, open_place
from genlit.data import BreastCancer, IncompleteVectors, Vectors
from genlit.data.idx import DataError
from genlit.data.masks import observed
from genlit.likelihoods import StudentT
from genlit.model import evaluating
from genlit.protocols import Imputes
from genlit.randomness import isolated
from genlit.tasks import Imputation
from genlit.tasks.comparison import Entrant, compare
from genlit.tasks.imputation import DRAWS, interval
from genlit.tasks.neighbours import completers, nearest
from genlit.tasks.task import Problems
from genlit.vae import VAE, ImportanceMean, ImportanceResampling
from tests.small import MODELS, Digits
from tests.test_vae import by_quadrature
from tests.test_vae_parts import binary_vae

IMPUTERS = {name: make for name, make in MODELS.items() if issubclass(type(make()), Imputes)}
CPU = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
MADE = {name: make().eval() for name, make in IMPUTERS.items()}
for quick in MADE.values():
    for steps in ("impute_steps", "impute_samples", "impute_particles"):
        if hasattr(quick, steps):
            setattr(quick, steps, 3)
    if isinstance(quick, VAE):
        quick.imputation.steps = 3  # pyright: ignore[reportAttributeAccessIssue]


# Every model that can be asked


@pytest.mark.parametrize("name", MADE)
@settings(max_examples=3, deadline=None)
@given(share=st.floats(0, 0.9), seed=st.integers(0, 99))
@example(share=0.5, seed=1)
@example(share=1.0, seed=0)
def test_what_is_observed_stays_and_what_is_hidden_does_not_matter(name, share, seed):
    model = MADE[name]
    with isolated("events", seed):
        x, known = torch.rand(2, *Digits.shape).round(), torch.rand(2, *Digits.shape) < share
    answers = []
    for hidden in (0.0, 1.0):
        with isolated("answers", seed):
            answers.append(model.impute(torch.where(known, x, hidden), known))
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0][known], x[known])
    assert ((answers[0] >= 0) & (answers[0] <= 1)).all()


@pytest.mark.parametrize("name", MADE)
def test_others_in_the_batch_do_not_matter_and_draws_differ(name):
    model, x = MADE[name], torch.rand(2, 3, *Digits.shape).round()
    x[0, 1] = x[1, 0] = x[0, 0]
    known = observed("half", Digits.shape, 3, 0)
    answers = []
    for events in x:
        with isolated("answers"):
            answers.append(model.impute(events, known))
    torch.testing.assert_close(answers[0][0], answers[1][0])
    assert not torch.equal(answers[0][0], answers[0][1])


# Measures


class Conditional(Imputes):
    """Knows the exact conditional law of entries that are jointly Gaussian."""

    device = torch.device("cpu")

    def __init__(self, covariance: torch.Tensor, wider: float = 1.0) -> None:
        self.covariance, self.wider = covariance, wider
        self.shape = (len(covariance),)
        self.laws: dict = {}

    def law(self, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The matrix that makes means of missing entries, and the root of their covariance."""
        key = tuple(known.tolist())
        if key not in self.laws:
            self.laws[key] = self.worked_out(known)
        return self.laws[key]

    def worked_out(self, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        C = self.covariance
        back = torch.linalg.solve(C[known][:, known], C[known][:, ~known]).mT
        rest = C[~known][:, ~known] - back @ C[known][:, ~known]
        return back, torch.linalg.cholesky(rest)

    def impute(self, x: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        filled = x.double().clone()
        for event, known in zip(filled, observed, strict=True):
            if known.all():
                continue
            back, root = self.law(known)
            noise = root @ torch.randn(len(root), dtype=torch.float64)
            event[~known] = back @ event[known] + self.wider * noise
        return filled.to(x)


def gaussian(tmp_path, n: int = 500) -> tuple[torch.Tensor, Vectors]:
    """A covariance, and a table of which four fifths have it."""
    A = torch.randn(6, 6, dtype=torch.float64)
    covariance = A @ A.mT / 6 + 0.2 * torch.eye(6)
    x = torch.randn(n, 6, dtype=torch.float64) @ torch.linalg.cholesky(covariance).mT
    np.save(tmp_path / "table.npy", x.numpy())
    data = Vectors(tmp_path / "table.npy", held_out=2 * n // 5, standardize=False)
    data.setup("test")
    return covariance, data


def by_name(task, problems, answers) -> dict:
    return {score.name: score for score in task.score(problems, answers)}


def test_who_knows_the_law_has_its_variance_as_error_and_nine_tenths_in_its_intervals(tmp_path):
    covariance, data = gaussian(tmp_path, 2000)
    task = Imputation("random:0.5", n=500, draws=DRAWS)
    problems = task.pose(data, "test", 0)
    scores = by_name(task, problems, task.solve(Conditional(covariance), problems))
    known = torch.as_tensor(problems.more["observed"])
    law = Conditional(covariance)
    variances = [law.law(k)[1].square().sum() for k in known if not k.all()]
    expected = float(sum(variances)) / int((~known).sum())

    def near(name: str, value: float) -> bool:
        return abs(scores[name].mean - value) < 4 * scores[name].stderr

    assert near("mse_of_expectation", expected)
    assert near("mse_of_mean", expected * (1 + 1 / DRAWS))
    assert near("mse_of_draw", 2 * expected)
    assert near("coverage_90", 0.9)
    timid = by_name(task, problems, task.solve(Conditional(covariance, 1.3), problems))
    assert timid["coverage_90"].mean > 0.9 + 4 * timid["coverage_90"].stderr
    assert timid["width_90"].mean == pytest.approx(1.3 * scores["width_90"].mean, rel=0.05)


@pytest.mark.parametrize("d", [19, 25, 39, 60])
def test_intervals_hold_a_further_draw_with_their_probability(d, double):
    """Uniform draws: the mean length of an interval is the chance to be inside."""
    low, high = interval(torch.rand(40_000, d), 0.9)
    length = high - low
    assert abs(length.mean() - 0.9) < 4 * length.std() / 200
    if d == 19:
        draws = torch.rand(5, d)
        assert torch.equal(torch.stack(interval(draws, 0.9)), torch.stack(draws.aminmax(dim=1)))


def test_every_missing_entry_counts_the_same_and_unknown_ones_do_not():
    truth = torch.tensor([[1.0, 2.0, 3.0], [4.0, torch.nan, 6.0]])
    known = torch.tensor([[True, False, False], [False, False, True]])
    counted = torch.full((2,), 1.5, dtype=torch.float64)
    problems = Problems(torch.zeros(2, 3), truth, "", {"observed": known, "counted": counted})
    draws = torch.tensor([[[1.0, 2.0, 4.0], [1.0, 4.0, 2.0]], [[7.0, 0.0, 6.0], [5.0, 9.0, 6.0]]])
    scores = by_name(Imputation(draws=2), problems, draws)
    # Of single draws: errors 0, 2; 1, -1; 3, 1. Of means: 1; 0; 2.
    assert scores["mse_of_draw"].mean == pytest.approx((2 + 1 + 5) / 3)
    assert scores["mse_of_mean"].mean == pytest.approx((1 + 0 + 4) / 3)
    assert scores["mse_of_expectation"].mean == pytest.approx((0 - 1 + 3) / 3)
    assert "coverage_90" not in scores


def test_means_are_off_by_the_variance(tmp_path):
    covariance, data = gaussian(tmp_path, 1500)
    task = Imputation("random:0.3", n=600, draws=2)
    problems = task.pose(data, "test", 0)
    found = {
        name: by_name(task, problems, solve(problems))["mse_of_expectation"]
        for name, solve in task.baselines(data, 0).items()
        if name != "chained forests"
    }
    mean = found["training mean"]
    assert abs(mean.mean - float(covariance.diagonal().mean())) < 4 * mean.stderr
    # Chained ridge regressions of Gaussian data know nearly the exact law.
    exact = by_name(task, problems, task.solve(Conditional(covariance), problems))
    gap = found["chained regressions"].mean - exact["mse_of_expectation"].mean
    assert abs(gap) < 0.2 * exact["mse_of_expectation"].mean


def test_neighbours_are_near_in_what_is_observed(double):
    references, x = torch.rand(40, 1, 3, 4), torch.rand(7, 1, 3, 4)
    known = torch.rand(7, 1, 3, 4) < 0.6
    problems = Problems(torch.where(known, x, 0.0), x, "", {"observed": known})
    answers = nearest(references, problems)
    for event, seen, answer in zip(x, known, answers, strict=True):
        distance = ((references - event).square() * seen).flatten(1).sum(1)
        expected = references[distance.argsort()[:5]].mean(0)
        torch.testing.assert_close(answer[0], torch.where(seen, event, expected))


def test_baselines_of_tables_see_observed_entries_alone():
    table = torch.randn(60, 4)
    known = torch.rand(60, 4) < 0.7
    spoilt = torch.where(known, table, 1e6)
    problems = Problems(torch.where(known, table, 0.0), table, "", {"observed": known})
    found = [completers(x, known, 2, 0) for x in (table, spoilt)]
    assert set(found[0]) == {
        "training mean", "5 nearest neighbours", "chained regressions", "chained forests"
    }  # fmt: skip
    for name, solve in found[0].items():
        answer = solve(problems)
        assert answer.shape == (60, 2 if name == "chained regressions" else 1, 4)
        assert torch.equal(answer, found[1][name](problems))
        assert torch.equal(answer[:, 0][known], table[known])


class Meddling(Imputes):
    shape, device = (6,), torch.device("cpu")

    def __init__(self, shift: float) -> None:
        self.shift = shift

    def impute(self, x: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        return x + self.shift


def test_who_changes_what_is_observed_is_refused(tmp_path):
    _, data = gaussian(tmp_path, 50)
    task = Imputation("half", n=4, draws=2)
    problems = task.pose(data, "test", 0)
    task.solve(Meddling(0.0), problems)
    with pytest.raises(ValueError, match="Meddling changed entries that are observed"):
        task.solve(Meddling(1e-6), problems)
    with pytest.raises(ValueError, match="Meddling answered with numbers that are not finite"):
        task.solve(Meddling(math.nan), problems)


def test_settings_are_in_the_name_and_masks_must_fit(tmp_path):
    _, data = gaussian(tmp_path, 50)
    files = [tmp_path / folder / "known.npy" for folder in ("one", "other", "again")]
    for path, known in zip(files, ([1.0, 0.0], [0.0, 1.0], [1.0, 0.0]), strict=True):
        path.parent.mkdir()
        np.save(path, known)
    masks = ["half", "box", "random:0.5", "random:0.25", "data", *map(str, files)]
    names = {Imputation(mask).name for mask in masks} | {Imputation("half", draws=5).name}
    assert len(names) == 8  # two of the files hold the same
    assert {"impute_half", "impute_random_0.5", "impute_half_5_draws"} < names
    assert sum(name.startswith("impute_known_") for name in names) == 2
    with pytest.raises(ValueError, match="Vectors has no gaps: set mask to half"):
        Imputation("data").pose(data, "test", 0)
    table = BreastCancer()
    table.setup("test")
    with pytest.raises(ValueError, match=r"BreastCancer has gaps of its own.*set mask to data"):
        Imputation("half").pose(table, "test", 0)
    with pytest.raises(ValueError, match="draws 0"):
        Imputation(draws=0)


def test_published_numbers_stand_beside_their_own_table_only(tmp_path):
    _, vectors = gaussian(tmp_path, 50)
    task = Imputation("half")
    task.pose(vectors, "test", 0)
    assert not task.published
    for missing, n in ((0.5, 1), (0.4, 0)):
        data, task = BreastCancer(missing), Imputation("data")
        data.setup("test")
        task.pose(data, "test", 0)
        assert len(task.published) == n


# Tables with gaps


def test_batches_never_show_what_is_hidden():
    data = BreastCancer(missing=0.4, batch_size=50)
    data.setup("fit")
    truth, known = data.events("train"), data.observed["train"]
    assert truth.isfinite().all()
    assert abs(known.float().mean() - 0.6) < 4 * (0.24 / known.numel()) ** 0.5
    batch = next(iter(data.val_dataloader()))
    assert torch.equal(batch["observed"], known[:500])
    assert torch.equal(batch["x"], torch.where(known, truth, 0.0)[:500])
    batches = list(data.train_dataloader())
    shown = torch.cat([b["observed"] for b in batches])
    assert (torch.cat([b["x"] for b in batches])[~shown] == 0).all()
    assert abs(shown.float().mean() - 0.6) < 4 * (0.24 / shown.numel()) ** 0.5
    # In units of what is observed, and of nothing else.
    seen = truth.double().where(known, torch.nan)
    assert seen.nanmean(0).abs().max() < 1e-6
    assert (seen.square().nanmean(0) - 1).abs().max() < 1e-5
    own = truth.double() * data.scale + data.offset
    torch.testing.assert_close(own, data.table(), rtol=1e-4, atol=1e-4)
    assert data.protocol == "standardized_mcar_0.4"
    assert torch.equal(data.mean, data._moments(truth)[0].float())


def test_a_table_of_ones_own_may_have_gaps(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("a,b,c\n1,,2\n\n-4,5e-1,NA\n,nan,7\n2,3,4\n")
    data = IncompleteVectors(file, standardize=False, batch_size=2)
    data.setup("fit")
    expected = np.array([[1, np.nan, 2], [-4, 0.5, np.nan], [np.nan, np.nan, 7], [2, 3, 4]])
    np.testing.assert_array_equal(data.events("train").numpy(), expected)
    assert torch.equal(data.observed["test"], torch.as_tensor(np.isfinite(expected)))
    broken = {
        "1,2\n3\n": "row 2 of .* is not 2 numbers and gaps",
        "1,2\nx,3\n": "row 2 of",
        "1,2\n,2\n": "column 0 of the table has no",
    }
    for text, message in broken.items():
        file.write_text(text)
        with pytest.raises(DataError, match=message):
            IncompleteVectors(file).setup("fit")
    with pytest.raises(ValueError, match="missing is 1"):
        BreastCancer(missing=1)


def test_what_is_hidden_does_not_teach():
    data = BreastCancer(batch_size=40)
    data.setup("fit")
    model, batch = VAE((30,), 2, likelihood=StudentT), next(iter(data.train_dataloader()))
    losses = []
    for hidden in (0.0, 1e6):
        with isolated("loss"):
            x = torch.where(batch["observed"], batch["x"], hidden)
            losses.append(model.loss({"x": x, "observed": batch["observed"]})["loss"])
    assert losses[0] == losses[1]


# Parts of MIWAE


def test_student_t_is_the_law_of_its_name(double):
    law = StudentT((4,))
    output = torch.randn(3, 12)
    centre, scale, freedom = law._law(output)
    expected = Reference(freedom, centre, scale)
    x = 5 * torch.randn(3, 4)
    torch.testing.assert_close(law.terms(output, x), expected.log_prob(x))
    torch.testing.assert_close(law.mean(output), expected.mean)
    assert (freedom > 3).all()
    n = 100_000
    inside = (law.sample(output.expand(n, 3, 12)) < centre + scale).double().mean(0)
    # P(t < 1) by integration from the centre, where it is 1/2.
    grid = torch.linspace(0, 1, 2001)[:, None, None]
    density = Reference(freedom, 0.0, 1.0).log_prob(grid).exp()
    expected_inside = 0.5 + torch.trapezoid(density, dx=1 / 2000, dim=0)
    assert ((inside - expected_inside).abs() < 4 * (0.25 / n) ** 0.5).all()
    with pytest.raises(ValueError, match="least_scale is 0"):
        StudentT((4,), 0.0)


@pytest.mark.parametrize("chunk", [1000, 20_000])
def test_an_importance_mean_is_what_is_expected_given_what_is_observed(chunk, double):
    model = binary_vae()
    x = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 2, 2).expand(8, -1, -1, -1)
    known = torch.tensor([True, True, False, False]).view(1, 1, 2, 2).expand(8, -1, -1, -1)
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 2)
    events = torch.cat([torch.tensor([1.0, 0.0]).expand(4, 2), every], 1).view(4, 1, 2, 2)
    expected = by_quadrature(model, events).softmax(0).detach() @ every
    model.imputation = ImportanceMean(20_000, chunk)
    filled = model.impute(x, known)
    assert torch.equal(filled[known], x[known])
    guesses = filled.flatten(1)[:, 2:]
    assert ((guesses.mean(0) - expected).abs() < 0.01).all()
    model.imputation = ImportanceResampling(200)
    draws = model.impute(x[:1].expand(4000, -1, -1, -1), known[:1].expand(4000, -1, -1, -1))
    assert ((draws.flatten(1)[:, 2:].mean(0) - expected).abs() < 0.04).all()
    with pytest.raises(ValueError, match="samples is 0"):
        ImportanceMean(0)


def test_few_codes_weigh_the_same_however_many_are_decoded_at_once(double):
    model, n = binary_vae(), 20_000
    x, known = torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.tensor([True, True, False, False])
    x, known = (t.view(1, 1, 2, 2).expand(n, -1, -1, -1) for t in (x, known))
    guesses = []
    for chunk in (1, 3):
        model.imputation = ImportanceMean(3, chunk)
        guesses.append(model.impute(x, known).flatten(1)[:, 2:])
    for power in (1, 2):
        one, other = (g**power for g in guesses)
        error = ((one.var(0) + other.var(0)) / n).sqrt()
        assert ((one.mean(0) - other.mean(0)).abs() < 4 * error).all()


def test_missing_pixels_have_a_colour_of_their_own():
    x = torch.rand(2, 1, 4, 4)
    known = observed("half", (1, 4, 4), 2, 0)
    shown = gaps_marked(x, known)
    assert shown.shape == (2, 3, 4, 4)
    assert torch.equal(shown[:, :, :2], x[:, :, :2].expand(-1, 3, -1, -1))
    spread = shown.amax(1) - shown.amin(1)  # of channels: grey images have none
    assert (spread[:, 2:] > 0.3).all()
    problems = Problems(x.where(known, 0.0), x, "", {"observed": known})
    picture = Imputation().picture(problems, {"a": x[:, None]})
    assert picture is not None
    red = (torch.tensor(GAP) * 255).round().byte()
    assert int((picture == red[:, None, None]).all(0).sum()) == 2 * 8 * 24**2
    assert gaps_marked(x[:, 0, 0], known[:, 0, 3]).tolist() == [[0.5] * 4] * 2  # no images


# Whole runs


def test_an_rbm_learns_in_seconds_to_beat_means(tmp_path):
    run = tmp_path / "run"
    lightning.main("fit", ["-c", "imputation_fast", "--run_dir", str(run), *CPU])
    place = open_place(run)
    task = Imputation("random:0.5", n=40, references=500)
    found = compare(task, [Entrant("rbm", load_model(place), {})], load_data(place), "test", 0)
    error = {row.name: row.scores[2].mean for row in found.rows}
    assert error["rbm"] < 0.8 * error["training mean"]
    picture = task.picture(found.problems, found.answers)
    assert picture is not None
    assert picture.dtype == torch.uint8


def test_miwae_learns_from_gaps_to_beat_means_and_neighbours(tmp_path, capsys):
    run = tmp_path / "run"
    quick = ["--trainer.max_epochs=80", "--model.objective.init_args.samples=5",
             "--model.imputation.init_args.samples=50"]  # fmt: skip
    lightning.main("fit", ["-c", "miwae", "--run_dir", str(run), *CPU, *quick])
    place = open_place(run)
    data, model = load_data(place), load_model(place)
    task = Imputation("data", n=569)
    problems = task.pose(data, "test", 0)
    with evaluating(model), torch.no_grad():
        miwae = by_name(task, problems, task.solve(model, problems))
    rows = {
        name: by_name(task, problems, solve(problems))["mse_of_expectation"].mean
        for name, solve in task.baselines(data, 0).items()
        if not name.startswith("chained")
    }
    assert miwae["mse_of_expectation"].mean < min(rows.values()) < 1
    assert 0.8 < miwae["coverage_90"].mean < 0.98
    capsys.readouterr()
    main(["impute", str(run), "--mask", "data", "--draws", "19", "--out", str(tmp_path / "full")])
    printed, filled = capsys.readouterr().out, np.load(tmp_path / "full.npy")
    assert filled.shape == (569, 19, 30)
    own = np.broadcast_to(data.table().numpy()[:, None], filled.shape)
    np.testing.assert_array_equal(filled, own.astype(np.float32))  # hidden entries are known, too
    assert "0 gaps filled in" in printed
    assert "per hidden entry, 569 rows; columns have deviation 1" in printed
    assert "of the true values are inside" in printed


def test_every_entry_of_ones_own_table_is_kept_and_gaps_are_filled(tmp_path, capsys):
    table, run = tmp_path / "table.csv", tmp_path / "run"
    x = torch.randn(40, 3, dtype=torch.float64) * torch.tensor([1.0, 50.0, 0.01])
    fields = [[f"{v:.17g}" for v in row] for row in x.tolist()]
    gaps = [(0, 1), (3, 0), (7, 2), (39, 0)]
    for (i, j), gap in zip(gaps, ["", "NA", "nan", " "], strict=True):
        fields[i][j] = gap
    table.write_text("\n".join(["age,dose mg,level", *map(",".join, fields)]))
    quick = ["--trainer.max_epochs=1", "--model.objective.init_args.samples=2",
             "--model.imputation.init_args.samples=5"]  # fmt: skip
    own = ["--data", "IncompleteVectors", "--data.path", str(table), "--data.batch_size=20"]
    lightning.main("fit", ["-c", "miwae", *own, "--run_dir", str(run), *CPU, *quick])

    def impute(out: str, *options: str) -> tuple[str, np.ndarray, list[str]]:
        capsys.readouterr()
        main(["impute", str(run), "--mask", "data", "--out", str(tmp_path / out), *options])
        lines = (tmp_path / f"{out}.csv").read_text().splitlines()
        return capsys.readouterr().out, np.load(tmp_path / f"{out}.npy"), lines

    assert load_data(open_place(run)).missing == 0  # the config leaves that to the data
    printed, filled, lines = impute("one")
    assert "40 rows: 4 gaps filled in, 1 draw of each; the 116 entries" in printed
    assert "squared" not in printed
    assert lines[0] == "age,dose mg,level"
    written = [line.split(",") for line in lines[1:]]
    assert filled.shape == (40, 3)
    for i, j in np.ndindex(40, 3):
        kept = (i, j) not in gaps
        assert (written[i][j] == fields[i][j]) == kept
        assert float(written[i][j]) == pytest.approx(filled[i, j], rel=1e-6)
    _, filled, lines = impute("some", "--draws", "2", "--n", "30")
    assert filled.shape == (30, 2, 3)
    assert lines[0] == "draw,age,dose mg,level"
    assert [line.split(",")[0] for line in lines[1:]] == ["1"] * 30 + ["2"] * 30
    # What a run hides is known all the same: it is kept, and judges.
    hide = ["-c", "miwae", *own, "--data.missing=0.3", "--run_dir", str(tmp_path / "hidden")]
    lightning.main("fit", [*hide, *CPU, *quick])
    run = tmp_path / "hidden"
    printed, filled, _ = impute("judged")
    known = np.array([[(i, j) not in gaps for j in range(3)] for i in range(40)])
    np.testing.assert_array_equal(filled[known], x.numpy()[known].astype(np.float32))
    assert "4 gaps filled in" in printed
    assert "mean squared error of a single draw" in printed
    assert "per hidden entry" in printed
