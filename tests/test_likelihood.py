"""A model whose log p(x) is known, asked for it through a real Trainer."""

import json
import math
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from genlit.boltzmann import RBM, partition
from genlit.callbacks import Likelihood
from genlit.cli.likelihood import estimators, parsed
from genlit.data import BarsAndStripes
from genlit.data.toy import bars_and_stripes
from genlit.estimators import (
    Annealed,
    AnnealedBound,
    Bennett,
    Estimator,
    Exact,
    LowerBound,
    Raise,
)
from genlit.likelihoods import bernoulli_log_prob
from genlit.model import Diverged, GenerativeModel
from genlit.protocols import (
    Batch,
    Bounded,
    Density,
    EnergyBased,
    EnergyBounded,
    Laddered,
    Samples,
    Tempered,
    Unanswerable,
    require,
)
from genlit.runs import (
    Measurement,
    RunError,
    find_checkpoint,
    new_folder,
    read_results,
    write_results,
)
from genlit.schedules import Given, Ladder


class Tossing:
    """From fair coins to others, tossed again at every temperature unless they are stuck."""

    origin = "tosses"

    def __init__(self, logits: Tensor, stuck: bool = False) -> None:
        self.logits, self.stuck = logits.flatten(), stuck
        self.log_base = 9 * 0.6931471805599453

    def at(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def start(self, n: int) -> Tensor:
        return torch.rand(n, 9).round()

    def samples(self, n: int) -> Tensor:
        return self.toss(n, 0.0 if self.stuck else 1.0)

    def toss(self, n: int, beta: float) -> Tensor:
        return (torch.rand(n, 9) < (beta * self.logits).sigmoid()).float()

    def rise(self, state: Tensor, low: float, high: float) -> Tensor:
        return (high - low) * (state @ self.logits).double()

    def move(self, state: Tensor, beta: float) -> Tensor:
        return state if self.stuck else self.toss(len(state), beta)

    move_back = move


class Coins(GenerativeModel, Density, Bounded, EnergyBased):
    """Independent pixels: log p(x), Z and a noisy bound of known mean are all at hand."""

    binary = True

    def __init__(
        self, shape=(1, 3, 3), noise: float = 0.0, scale: float = 1.0, stuck: bool = False
    ) -> None:
        super().__init__(shape, lambda p: torch.optim.SGD(p, lr=0.1))
        self.logits = nn.Parameter(scale * torch.linspace(-1, 1, 9).view(shape))
        self.noise = noise
        self.stuck = stuck
        self.modes: list[bool] = []

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        jitter = self.noise * torch.randn(())  # so that a changed random stream changes the run
        return {"loss": -self.log_prob(batch["x"]).mean() * (1 + jitter)}

    def log_prob(self, x: Tensor) -> Tensor:
        self.modes.append(self.training)
        return bernoulli_log_prob(self.logits.expand_as(x), x)

    def log_prob_bound(self, x: Tensor, samples: int) -> Tensor:
        return self.log_prob(x) - torch.rand(len(x)) / samples

    def free_energy(self, x: Tensor) -> Tensor:
        return -(x * self.logits).flatten(1).sum(1)

    def path(self) -> Tossing:
        return Tossing(self.logits, self.stuck)


class HiddenCoins(Coins, EnergyBounded):
    """The same with a bound of its weight, too low by as much as one over the samples."""

    def log_weight_bound(self, x: Tensor, samples: int) -> Tensor:
        return -self.free_energy(x) - torch.rand(len(x)) / samples


class LadderedCoins(Coins, Laddered, Tempered):
    """The same with two rungs, of which each process believes something else about the upper."""

    rate = 0.5

    def require_ladder(self) -> None:
        if self.stuck:
            raise ValueError("stuck on one rung")

    def ladder_log_partition(self, steps: int) -> tuple[Tensor, Tensor]:
        log_z = float(nnf.softplus(self.logits).sum()) + self.global_rank
        return torch.tensor([9 * math.log(2), log_z]), torch.tensor([0.0, 1 / steps])

    def swap_rates(self) -> Tensor:
        return torch.tensor([self.rate])


class Mute(GenerativeModel, Samples):
    """Can be sampled and asked nothing else."""

    def __init__(self) -> None:
        super().__init__((1, 3, 3))
        self.p = nn.Parameter(torch.zeros(()))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self.p**2}

    def sample(self, n: int) -> Tensor:
        return torch.zeros(n, *self.shape)


def trainer(*callbacks: L.Callback, **options: Any) -> L.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return L.Trainer(
        **{"accelerator": "cpu", "enable_model_summary": False, **quiet, **options},
        callbacks=list(callbacks),
    )


def judged(model: GenerativeModel, estimator: Estimator) -> Measurement:
    """What a test of a model on the 14 images of 3 x 3 bars and stripes measures."""
    judge = Likelihood(estimator)
    trainer(judge).test(model, datamodule=BarsAndStripes(3), verbose=False)
    (measurement,) = judge.measurements
    return measurement


def test_exact_likelihood_is_exact():
    model = Coins()
    log_p = model.log_prob(bars_and_stripes(3)).detach().double()
    found = judged(model, Exact())
    assert found.value == pytest.approx(log_p.mean().item(), rel=1e-6)
    assert found.stderr == pytest.approx(log_p.std().item() / 14**0.5, rel=1e-4)
    assert found.details["bits_per_dim"] == pytest.approx(-found.value / 9 / 0.6931471805599453)
    assert (found.name, found.key) == (
        "log_likelihood_exact_threshold", "test/log_likelihood_exact_threshold"
    )  # fmt: skip
    assert (found.n, found.kind, found.unit, found.protocol, found.split) == (
        14, "exact", "nats", "threshold", "test"
    )  # fmt: skip
    assert found.method == "Exact()"
    assert not model.modes[-1]  # asked in evaluation mode


def test_lower_bound_says_that_it_is_one():
    found, exact = judged(Coins(), LowerBound(samples=4)), judged(Coins(), Exact())
    assert exact.value - 0.25 < found.value < exact.value
    assert (found.kind, found.name) == ("lower bound", "log_likelihood_bound_threshold")
    assert found.method == "LowerBound(samples=4)"
    assert found == judged(Coins(), LowerBound(samples=4))  # its noise is its own


def test_annealed_error_joins_that_of_the_data():
    model = Coins()
    found, exact = judged(model, Annealed(steps=10, chains=50)), judged(model, Exact())
    shared = found.details["stderr_of_estimator"]
    assert 0 < shared == found.details["log_partition_stderr"] < 0.2
    assert abs(found.value - exact.value) < 4 * shared
    assert found.stderr == pytest.approx((exact.stderr**2 + shared**2) ** 0.5, rel=1e-5)
    assert found.kind == "estimate"
    assert found.method == "Annealed(schedule=Ladder(steps=10), chains=50, reverse=True)"
    assert abs(found.details["log_partition_reverse"] - found.details["log_partition"]) < 0.2
    assert found.details["origin_reverse"] == "tosses"
    assert found == judged(Coins(), Annealed(steps=10, chains=50))  # its noise is its own


def test_annealed_bound_is_below_by_what_the_bound_lacks():
    annealed, bound = (judged(HiddenCoins(), kind(steps=10, chains=50))
                       for kind in (Annealed, AnnealedBound))  # fmt: skip
    close = judged(HiddenCoins(), AnnealedBound(samples=1, steps=10, chains=50))
    assert annealed.value - 0.01 < bound.value < annealed.value
    assert annealed.value - 1 < close.value < annealed.value - 0.01
    assert (bound.name, bound.kind) == (
        "log_likelihood_ais_bound_100_threshold", "estimate of a lower bound"
    )  # fmt: skip
    assert bound.details["log_partition"] == annealed.details["log_partition"]
    assert "samples=100" in bound.method


def test_conservative_estimates_of_a_sampler_that_is_exact():
    """Coins are tossed anew at the last temperature, so what anneals is the model."""
    found, exact = judged(Coins(), Raise(steps=5, chains=500)), judged(Coins(), Exact())
    assert found.value == pytest.approx(exact.value, abs=0.02)
    assert found.n == 14
    assert (found.name, found.kind) == (
        "log_likelihood_raise_threshold", "conservative estimate"
    )  # fmt: skip
    stuck = judged(Coins(scale=3, stuck=True), Raise(steps=5, chains=5))
    assert stuck.value == pytest.approx(-9 * 0.6931471805599453)  # fair coins, exactly


def test_what_a_ladder_tells_is_as_good_as_its_log_z():
    model = LadderedCoins()
    found, exact = judged(model, Bennett(steps=50)), judged(Coins(), Exact())
    assert found.value == pytest.approx(exact.value, abs=1e-5)
    assert found.stderr == pytest.approx((exact.stderr**2 + 0.02**2) ** 0.5)
    assert (found.name, found.kind) == ("log_likelihood_bennett_threshold", "estimate")
    assert (found.method, found.details["rungs"]) == ("Bennett(steps=50)", 2)
    with pytest.raises(ValueError, match="stuck on one rung"):
        Bennett().check(LadderedCoins(stuck=True))
    with pytest.raises(Unanswerable, match="does not implement Laddered"):
        Bennett().check(Coins())


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch, which Lightning calls
def test_a_ladder_that_is_cut_is_a_warning():
    model = LadderedCoins()
    model.rate = 0.004
    with pytest.warns(UserWarning, match=r"^rungs 0 and 1 of the ladder exchange states at 0\.40%"):
        judged(model, Bennett())


@pytest.mark.parametrize("stage", ["fit", "test"])
def test_a_machine_too_large_for_the_exact_sum_is_refused_before_any_time_is_spent(
    stage, monkeypatch
):
    monkeypatch.setattr(partition, "states", None)  # of which the sum is made
    judge, loop = Likelihood(Exact()), trainer()
    with pytest.raises(ValueError, match=r"sums over 2\^500 states .*Annealed in place of Exact$"):
        judge.setup(loop, RBM((1, 28, 28), hidden=500), stage)
    for shape, hidden in (((1, 28, 28), 16), ((1, 28, 28), 22), ((22,), 500)):
        judge.setup(loop, RBM(shape, hidden=hidden), stage)


def in_batches(size: int) -> BarsAndStripes:
    """The 14 images, so many at a time."""
    data = BarsAndStripes(3)
    data.eval_batch_size = size
    return data


@pytest.mark.parametrize(
    "estimator", [Annealed(50, 2000), AnnealedBound(10_000, 50, 2000), Raise(5, 4000)],
    ids=["annealed", "annealed bound", "raise"],
)  # fmt: skip
def test_every_event_has_its_own_estimate(estimator):
    """Not only their mean, which symmetric data and coins would get right by any sign."""
    model, x = HiddenCoins(scale=2), bars_and_stripes(3)
    with torch.no_grad():
        found, exact = estimator(model).log_prob(x), model.log_prob(x).double()
    assert exact.std() > 1
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=0.15)


class Listening(Coins):
    """Writes down what it is asked about."""

    def free_energy(self, x: Tensor) -> Tensor:
        self.asked = torch.cat([getattr(self, "asked", x[:0]), x])
        return super().free_energy(x)


def test_costly_estimates_take_as_many_events_as_they_are_told():
    sets, values = [], []
    for seed in (0, 0, 1):
        model, judge = Listening(), Likelihood(Raise(steps=2, chains=2, events=6), seed=seed)
        trainer(judge).test(model, datamodule=in_batches(5), verbose=False)
        assert judge.measurements[0].n == len(model.asked.unique(dim=0)) == 6
        sets.append({tuple(x.flatten().tolist()) for x in model.asked})
        values.append(judge.measurements[0].value)
    assert sets[0] == sets[1] != sets[2]
    assert values[0] == values[1] != values[2]
    assert judged(Coins(), Raise(steps=2, chains=2, events=99)).n == 14


class Keeps(L.Callback):
    """Writes what was measured, on each process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_test_end(self, trainer: L.Trainer, *_: Any) -> None:
        (judge,) = (c for c in trainer.callbacks if isinstance(c, Likelihood))
        (measured,) = judge.measurements
        torch.save((measured.value, measured.n), self.folder / f"{trainer.global_rank}.pt")


@pytest.mark.parametrize("estimator", [Raise(2, 2, events=6), Annealed(5, 600), Bennett()],
                         ids=["raise", "ais", "bennett"])  # fmt: skip
def test_what_is_measured_does_not_depend_on_the_number_of_processes(estimator, tmp_path):
    found = []
    for processes in (1, 2):
        strategy = {"devices": 2, "strategy": "ddp_fork"} if processes == 2 else {}
        loop = trainer(Likelihood(estimator), Keeps(tmp_path), **strategy)
        loop.test(LadderedCoins(), datamodule=in_batches(3), verbose=False)
        found += [torch.load(tmp_path / f"{rank}.pt") for rank in range(processes)]
    assert [n for _, n in found] == [6 if isinstance(estimator, Raise) else 14] * 3
    assert [value for value, _ in found] == pytest.approx([found[0][0]] * 3, rel=1e-12)


def test_steps_are_given_once():
    schedule = Given([0, 0.5, 1])
    assert judged(Coins(), Annealed(chains=50, schedule=schedule)).method == (
        "Annealed(schedule=Given(2 steps), chains=50, reverse=True)"
    )
    with pytest.raises(ValueError, match=r"a schedule has steps of its own: leave out steps \(7\)"):
        Annealed(steps=7, schedule=Ladder(9))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Annealed(steps=0), "steps is 0"),
        (lambda: Annealed(chains=1), "chains is 1"),
        (lambda: AnnealedBound(samples=0), "samples is 0"),
        (lambda: Bennett(steps=0), "steps is 0"),
        (lambda: Raise(chains=0), "1 chain or more"),
        (lambda: Raise(events=-1), "0 events means all"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch, which Lightning calls
def test_forward_and_reverse_that_part_are_a_warning():
    with pytest.warns(UserWarning, match=r"^forward and reverse AIS differ by -\d\.\d+ nats"):
        judged(Coins(scale=2, stuck=True), Annealed(steps=5, chains=500))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch, which Lightning calls
def test_few_chains_that_decide_are_a_warning():
    with pytest.warns(UserWarning, match=r"^of 400 chains only \d+\.\d effectively count"):
        judged(Coins(scale=8, stuck=True), Annealed(steps=5, chains=400, reverse=False))


@pytest.mark.parametrize(
    ("estimator", "missing"),
    [
        (Exact(), "Density"),
        (LowerBound(), "Bounded"),
        (Annealed(), "EnergyBased"),
        (AnnealedBound(), "EnergyBounded"),
        (Bennett(), "Laddered"),
        (Raise(), "EnergyBased"),
    ],
    ids=["exact", "bound", "annealed", "annealed bound", "bennett", "raise"],
)
def test_model_that_cannot_answer_says_so(estimator, missing):
    with pytest.raises(Unanswerable, match=rf"^Mute cannot be asked for log p\(x\): "
                                           rf"it does not implement {missing}; "):  # fmt: skip
        judged(Mute(), estimator)


def test_sentence_names_all_that_would_do():
    require(Mute(), "samples", Samples)
    with pytest.raises(Unanswerable) as caught:
        require(Mute(), "log p(x)", Density, Bounded, EnergyBased)
    assert str(caught.value) == (
        "Mute cannot be asked for log p(x): it does not implement Density, Bounded or EnergyBased; "
        "`genlit list` says which models do"
    )


def test_model_without_a_promised_method_is_not_made():
    class Half(GenerativeModel, Density):
        def loss(self, batch: Batch) -> dict[str, Tensor]:
            return {}

    with pytest.raises(TypeError, match="log_prob"):
        Half((1, 2, 2))


def test_grey_data_is_refused_for_models_of_zeros_and_ones():
    class Grey(BarsAndStripes):
        def events(self, split: str) -> Tensor:
            return super().events(split) / 2

    with pytest.raises(ValueError, match=r"^Coins gives probabilities to zeros and ones only"):
        trainer(Likelihood(Exact())).test(Coins(), datamodule=Grey(3), verbose=False)


def fitted(*callbacks: L.Callback, **options: Any) -> Coins:
    torch.manual_seed(11)
    model = Coins(noise=0.1)
    trainer(*callbacks, max_epochs=4, **options).fit(model, datamodule=BarsAndStripes(3, 5, 10))
    return model


def test_judging_does_not_change_a_run():
    judge = Likelihood(LowerBound(2), every_n_epochs=1)
    alone = fitted(limit_val_batches=0)
    assert (fitted(judge).logits == alone.logits).all()
    assert (fitted().logits == alone.logits).all()


def test_validation_is_judged_every_so_many_epochs():
    judge = Likelihood(Exact(), every_n_epochs=2)
    model = fitted(judge)
    assert [m.split for m in judge.measurements] == ["val", "val"]
    log_p = model.log_prob(bars_and_stripes(3)).mean().item()
    assert judge.measurements[-1].value == pytest.approx(log_p, rel=1e-6)
    assert judge.measurements[0].value < judge.measurements[1].value
    never = Likelihood(Exact())
    fitted(never)
    assert never.measurements == []


def test_measurements_can_be_monitored():
    judge = Likelihood(Exact(), every_n_epochs=1)
    loop = trainer(judge, max_epochs=1)
    loop.fit(Coins(), datamodule=BarsAndStripes(3, 5, 10))
    logged = loop.callback_metrics
    assert float(logged["val/log_likelihood_exact_threshold"]) == pytest.approx(
        judge.measurements[0].value, rel=1e-6
    )
    assert "val/log_likelihood_exact_threshold_stderr" in logged


# What the command line makes of its options


class Bounds(GenerativeModel, EnergyBounded):
    """Has nothing but a bound of its weight."""

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {}

    def log_weight_bound(self, x: Tensor, samples: int) -> Tensor:
        return torch.zeros(len(x))

    def path(self) -> Tossing:
        return Tossing(torch.zeros(9))


@pytest.mark.parametrize(
    ("model", "options", "methods"),
    [
        (Coins, "", ["Exact()", "Annealed", "LowerBound(samples=500)"]),
        (Coins, "--method exact", ["Exact()"]),
        (Coins, "--method ais --steps 7", ["Annealed(schedule=Ladder(steps=7), chains=100, "]),
        (Coins, "--method bound --samples 3", ["LowerBound(samples=3)"]),
        (LadderedCoins, "", ["Exact()", "Annealed", "LowerBound(samples=500)"]),
        (LadderedCoins, "--method bennett", ["Bennett(steps=1000)"]),
        (LadderedCoins, "--method bennett --steps 7", ["Bennett(steps=7)"]),
        (Coins, "--method raise --steps 7", ["Raise(schedule=Ladder(steps=7), chains=10)"]),
        (Coins, "--method raise --chains 1", ["Raise(schedule=Ladder(steps=10000), chains=1)"]),
        (lambda: Bounds((1, 3, 3)), "--samples 4 --chains 9", [
            "AnnealedBound(samples=4, schedule=Ladder(steps=10000), chains=9, reverse=True)"]),
        (lambda: Bounds((1, 3, 3)), "--method bound --samples 4", ["AnnealedBound(samples=4, "]),
    ],
)  # fmt: skip
def test_methods_are_those_that_a_model_can_be_asked_for(model, options, methods):
    found = estimators(parsed(["RUN", *options.split()]), model())
    assert len(found) == len(methods)
    for one, expected in zip(found, methods, strict=True):
        assert one.method.startswith(expected)


@pytest.mark.parametrize("method", ["raise", "exact", "bennett"])
def test_methods_that_a_model_cannot_be_asked_for_are_refused(method):
    with pytest.raises(Unanswerable, match=rf"^Bounds cannot be asked for log p\(x\) by {method}"):
        estimators(parsed(["RUN", "--method", method]), Bounds((1, 3, 3)))


# Runs that break, and runs that go on


def test_divergence_names_model_term_and_step():
    class Broken(Coins):
        def loss(self, batch: Batch) -> dict[str, Tensor]:
            terms = super().loss(batch)
            bad = self.trainer.global_step >= 3
            return {**terms, "kl": torch.tensor(float("nan" if bad else 0))}

    with pytest.raises(
        Diverged, match=r"^Broken diverged at training step 4 \(epoch 0\): not finite: kl$"
    ):
        trainer(max_epochs=1).fit(Broken(), datamodule=BarsAndStripes(3, 5, 10))


class Stop(L.Callback):
    """Saves a checkpoint after so many batches, or at the end of an epoch, and goes on."""

    def __init__(self, path: Path, step: int) -> None:
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


class StopAtEpochEnd(Stop):
    on_train_batch_end = L.Callback.on_train_batch_end

    def on_train_epoch_end(self, trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


@pytest.mark.parametrize(
    ("stop", "step", "options"),
    [
        (Stop, 3, {}),
        (Stop, 10, {}),
        (Stop, 7, {"limit_val_batches": 0}),
        (StopAtEpochEnd, 14, {}),
        (StopAtEpochEnd, 6, {"limit_train_batches": 3}),
    ],
    ids=["middle", "later", "no validation", "epoch end", "cut epochs"],
)
def test_resumed_run_is_the_run_that_never_stopped(tmp_path, stop, step, options):
    straight = fitted(stop(tmp_path / "at.ckpt", step), **options)
    torch.manual_seed(999)
    resumed = Coins(noise=0.1)
    trainer(max_epochs=4, **options).fit(
        resumed, datamodule=BarsAndStripes(3, 5, 10), ckpt_path=tmp_path / "at.ckpt"
    )
    assert (resumed.logits == straight.logits).all()


def test_checkpoint_of_broken_weights_is_not_written(tmp_path):
    class Breaks(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, model: Coins, *_: Any) -> None:
            with torch.no_grad():
                model.logits[0] = float("inf")
            trainer.save_checkpoint(tmp_path / "x.ckpt")

    with pytest.raises(Diverged, match=r"Coins diverged: logits not finite after step 1"):
        fitted(Breaks())
    assert not (tmp_path / "x.ckpt").exists()


# Folders of runs

NUMBER = Measurement("x_exact_static", "test", -1.5, 0.1, "nats", "exact", "Exact()", 9, "static",
                     {"bits_per_dim": 0.2})  # fmt: skip


def saved(folder, value: float = -1.5):
    number = Measurement(**{**vars(NUMBER), "value": value})
    return write_results(folder, "Coins", "BarsAndStripes", 0, "last.ckpt", [number], 1.23)


def test_results_are_read_as_they_were_written(tmp_path):
    saved(tmp_path)
    (document,) = read_results(tmp_path)
    assert [Measurement(**m) for m in document["metrics"]] == [NUMBER]
    assert document["model"] == "Coins"
    assert document["seconds"] == 1.2
    run = {"model", "data", "seed", "checkpoint", "epoch"}
    assert set(document) == {"genlit", "seconds", "metrics"} | run


def test_results_are_never_overwritten(tmp_path):
    paths = [saved(tmp_path, value=k) for k in range(12)]
    assert [p.name for p in paths[:3]] == ["results.json", "results-2.json", "results-3.json"]
    assert [d["metrics"][0]["value"] for d in read_results(tmp_path)] == list(range(12))
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_broken_results_are_named(tmp_path):
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(RunError, match=r"results\.json is not JSON"):
        read_results(tmp_path)


def test_folders_are_new_even_within_a_second(tmp_path):
    folders = {new_folder("vae", tmp_path) for _ in range(5)}
    assert len(folders) == 5
    assert all(f.is_dir() and f.parent == tmp_path / "vae" for f in folders)


def test_checkpoints_are_found_or_missed_by_name(tmp_path):
    with pytest.raises(RunError, match=r"there is no run or checkpoint .*nowhere"):
        find_checkpoint(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"holds no checkpoint: no checkpoints/best\.ckpt"):
        find_checkpoint(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    for name in ("last.ckpt", "best.ckpt"):
        path = tmp_path / "checkpoints" / name
        path.touch()
        assert find_checkpoint(tmp_path) == find_checkpoint(path) == path


def test_results_are_json_that_any_reader_takes(tmp_path):
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(saved(tmp_path).read_text(), parse_constant=refuse)
