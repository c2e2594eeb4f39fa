"""Estimates from samples, of laws that are known: by enumeration, or because they are Gaussian."""

import math
import warnings
from itertools import product

import lightning as L
import pytest
import torch
from torch import Tensor, nn

from genlit import kernel_density as kernels
from genlit.callbacks import LegacyParzen, Likelihood
from genlit.estimators import ConservativeSampling
from genlit.estimators import sampling as csl
from genlit.gsn import GSN
from genlit.kernel_density import kernel_density, mean_log_densities
from genlit.likelihoods import bernoulli_log_prob
from genlit.model import GenerativeModel
from genlit.protocols import Batch, LatentMixture, Samples, Unanswerable
from tests import small


class Mixture(GenerativeModel, LatentMixture):
    """A mixture of a few laws of three pixels, and chains that keep their component for a while.

    Args:
        stay: The probability that a chain stays where it is; else it goes anywhere.
    """

    binary = True

    def __init__(self, stay: float = 0.0) -> None:
        super().__init__((1, 1, 3))
        self.stay = stay
        self.weights = torch.tensor([0.1, 0.2, 0.3, 0.4])
        self.logits = nn.Parameter(
            2 * torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
        )

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self.logits.square().mean()}

    def states(self, chains):
        state = torch.multinomial(self.weights, chains, replacement=True)
        while True:
            yield state
            new = torch.multinomial(self.weights, chains, replacement=True)
            state = torch.where(torch.rand(chains) < self.stay, state, new)

    @torch.no_grad()
    def log_prob_given(self, states, x):
        return bernoulli_log_prob(self.logits[states].view(-1, 1, 1, 1, 3), x)

    @torch.no_grad()
    def log_prob(self, x):
        each = self.log_prob_given(torch.arange(4), x)
        return torch.logsumexp(each + self.weights.to(each).log()[:, None], 0)


def events() -> Tensor:
    return torch.tensor([*product([0.0, 1.0], repeat=3)]).view(8, 1, 1, 3)


def estimates(model, times: int, **settings) -> Tensor:
    """Independent estimates of log p of all events, (times, 8)."""
    estimator = ConservativeSampling(**settings)
    return torch.stack([estimator(model).log_prob(events()) for _ in range(times)])


@pytest.mark.parametrize("stay", [0.0, 0.7])
def test_mean_over_states_has_the_likelihood_as_its_expectation(stay, double):
    """Whether states depend on each other or not."""
    p = estimates(Mixture(stay), 1000, samples=6, chains=2).exp()
    error = p.std(0) / len(p) ** 0.5
    exact = Mixture().log_prob(events()).exp()
    torch.testing.assert_close(exact.sum(), torch.tensor(1.0))
    assert ((p.mean(0) - exact).abs() < 4 * error).all()


def test_estimate_is_conservative_and_rises_to_the_likelihood(double):
    model, means = Mixture(), []
    exact = model.log_prob(events())
    for samples, times in ((2, 300), (8, 300), (64, 100)):
        found = estimates(model, times, samples=samples, chains=2)
        means.append(found.mean(0))
        assert (found.mean(0) < exact + 4 * found.std(0) / times**0.5).all()
    assert (means[0] < means[1]).all()
    assert (means[1] < means[2]).all()
    torch.testing.assert_close(
        estimates(model, 1, samples=200_000, chains=200_000)[0], exact, rtol=0, atol=0.02
    )


def test_states_of_a_generative_stochastic_network_give_its_stationary_law(double):
    """That law is known from the transitions of the chain; see test_gsn."""
    from tests.test_gsn import gsn, stationary, transitions

    model = gsn(sample_steps=30)
    law = stationary(transitions(model, 3))
    p = estimates(model, 100, samples=200, chains=100).exp()
    error = p.std(0) / len(p) ** 0.5
    assert ((p.mean(0) - law).abs() < 4 * error).all()
    torch.testing.assert_close(
        estimates(model, 1, samples=100_000, chains=1000)[0].exp(), law, rtol=0.05, atol=1e-3
    )


def test_estimate_does_not_depend_on_the_chunks(monkeypatch, double):
    model, x = Mixture(0.5), events()
    found = []
    for numbers in (1, 8 * 3, 2**22):
        monkeypatch.setattr(csl, "NUMBERS", numbers)
        torch.manual_seed(2)
        density = ConservativeSampling(35, 7)(model)
        parts = torch.cat([density.log_prob(some) for some in x.split(3)])
        found.append((parts, *density.closed()[1:3]))
    states = [state for _, state in zip(range(5), chain_of_seed(model), strict=False)]
    whole = model.log_prob_given(torch.cat(states), x)
    expected = torch.logsumexp(whole, 0) - math.log(35)
    for log_p, stderr, details in found:
        torch.testing.assert_close(log_p, expected, rtol=0, atol=1e-12)
        assert stderr == pytest.approx(found[0][1], rel=1e-9)
        assert details == pytest.approx(found[0][2], rel=1e-9)
    effective = (whole.exp().sum(0).square() / (2 * whole).exp().sum(0)).mean()
    assert found[0][2]["effective_states_of_an_event"] == pytest.approx(effective.item())


def chain_of_seed(model):
    torch.manual_seed(2)
    return model.states(7)


def test_thinned_states_are_those_of_the_chain(double):
    model, x = Mixture(0.5), events()
    torch.manual_seed(2)
    found = ConservativeSampling(21, 7, thin=4)(model).log_prob(x)
    states = [state for _, state in zip(range(9), chain_of_seed(model), strict=False)][::4]
    expected = torch.logsumexp(model.log_prob_given(torch.cat(states), x), 0) - math.log(21)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("stay", [0.0, 0.9])
def test_standard_error_is_that_of_independent_chains(stay, double):
    """Chains that hardly move tell less than as many independent states would."""
    model, x = Mixture(stay), events().repeat(1, 1, 1, 1)
    means, told = [], []
    for _ in range(200):
        density = ConservativeSampling(400, 40)(model)
        means.append(density.log_prob(x).mean())
        told.append(density.closed().stderr)
    spread = torch.stack(means).std()
    assert torch.tensor(told).mean() == pytest.approx(spread.item(), rel=0.2)


def test_gain_of_doubling_is_what_doubling_gains(double):
    model, x = Mixture(), events()
    gains, more, fewer = [], [], []
    for _ in range(600):
        density = ConservativeSampling(8, 8)(model)
        more.append(density.log_prob(x).mean())
        gains.append(density.closed().details["nats_gained_by_doubling_the_chains"])
        fewer.append(ConservativeSampling(4, 4)(model).log_prob(x).mean())
    gain = torch.stack(more) - torch.stack(fewer)
    error = gain.std() / len(gain) ** 0.5
    assert gain.mean() > 5 * error
    assert abs(torch.tensor(gains).mean() - gain.mean()) < 4 * error


def test_float32_agrees_with_double():
    model, x = GSN((1, 28, 28), (20, 20), sample_steps=5), torch.rand(30, 1, 28, 28).round()
    found = []
    for network, events in ((model, x), (model.double(), x.double())):
        states = [torch.randn(50, 784, generator=torch.Generator().manual_seed(k)).to(events)
                  for k in range(4)]  # fmt: skip
        found.append(csl.Mean(network.log_prob_given, states).log_prob(events))
        assert found[-1].dtype == torch.float64
    torch.testing.assert_close(*found, rtol=0, atol=2e-3)


def test_conservative_sampling_is_measured_by_the_callback(tmp_path):
    model = GSN((1, 28, 28), (16,), sample_steps=3)
    judge = Likelihood(ConservativeSampling(40, 20))
    small.trainer(tmp_path, judge).test(model, datamodule=small.digits("gsn"), verbose=False)
    (found,) = judge.measurements
    assert found.name == "log_likelihood_csl_40_dynamic"
    assert (found.unit, found.kind, found.n) == ("nats", "conservative estimate", 45)
    of_both = (
        found.details["stderr_of_data"] ** 2 + found.details["stderr_of_estimator"] ** 2
    ) ** 0.5
    assert found.stderr == pytest.approx(of_both)
    assert found.details["stderr_of_estimator"] > 0
    assert found.details["chains"] == 20
    assert found.method == "ConservativeSampling(samples=40, chains=20, thin=1)"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chains": 1}, "2 chains or more"),
        ({"thin": 0}, "thin of 1 or more"),
        ({"samples": 150}, "samples is 150: make it a multiple of chains, which is 100"),
    ],
)
def test_senseless_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ConservativeSampling(**settings)
    with pytest.raises(Unanswerable, match="does not implement LatentMixture"):
        ConservativeSampling().check(small.gan())


# Kernel densities


def log_normal(x: Tensor, variance: float) -> Tensor:
    return -0.5 * x.square().sum(1) / variance - 0.5 * x.shape[1] * math.log(2 * math.pi * variance)


def test_kernel_density_is_the_density_of_a_mixture(double):
    x, samples = torch.randn(7, 3), torch.randn(11, 3)
    each = torch.stack([log_normal((x - s) / 0.3, 1.0) - 3 * math.log(0.3) for s in samples])
    log_q = torch.logsumexp(each, 0) - math.log(11)
    found = kernel_density(x, samples, 0.3)
    assert found.n == 7
    assert found.total == pytest.approx(log_q.sum().item())
    assert found.squares == pytest.approx(log_q.square().sum().item())
    torch.testing.assert_close(found.shares, each.softmax(0).sum(1))
    means = mean_log_densities(x, samples, [0.3, 0.5])
    torch.testing.assert_close(means[0], log_q.mean())
    assert means[1] == pytest.approx(kernel_density(x, samples, 0.5).total / 7)


def test_expected_kernel_density_is_the_convolved_law(double):
    """Of samples from N(0, 1) in three dimensions it is N(0, 1 + σ²)."""
    x, std, n = torch.randn(1, 3), 0.5, 400_000
    samples = torch.randn(n, 3)
    q = math.exp(kernel_density(x, samples, std).total)
    each = (log_normal((x - samples) / std, 1.0) - 3 * math.log(std)).exp()
    error = each.std().item() / n**0.5
    wanted = log_normal(x, 1 + std**2).exp().item()
    assert abs(q - wanted) < 4 * error
    assert abs(wanted - log_normal(x, 1.0).exp().item()) > 4 * error  # and not the law itself


def test_one_kernel_has_its_best_width_in_closed_form(double):
    """σ² = mean squared distance / D of a single sample."""
    x = 0.37 * torch.randn(500, 4)
    best = (x.square().sum(1).mean() / 4).sqrt().item()
    stds = [best * f for f in (0.5, 0.8, 0.95, 1.0, 1.05, 1.25, 2.0)]
    fits = mean_log_densities(x, torch.zeros(1, 4), stds)
    assert fits.argmax() == 3
    assert fits[3] == pytest.approx(-4 * math.log(best * math.sqrt(2 * math.pi * math.e)))


def test_kernel_density_scales_as_densities_do(double):
    """All lengths times c take D log c off the log-density."""
    x, samples = torch.randn(6, 5), torch.randn(9, 5)
    one, ten = kernel_density(x, samples, 0.4), kernel_density(10 * x, 10 * samples, 4.0)
    assert one.total - ten.total == pytest.approx(6 * 5 * math.log(10))


def test_kernel_density_does_not_depend_on_the_chunks(monkeypatch):
    x, samples = torch.rand(50, 784), torch.rand(40, 784)
    found = []
    for numbers in (1, 40 * 7, 2**22):
        monkeypatch.setattr(kernels, "NUMBERS", numbers)
        density = kernel_density(x, samples, 0.2)
        found.append([density.total, density.squares, *density.shares.tolist()])
        found[-1] += mean_log_densities(x, samples, [0.1, 0.2]).tolist()
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-9)
    exact = kernel_density(x.double(), samples.double(), 0.2)
    assert found[0][0] == pytest.approx(exact.total, rel=1e-9)


class Grey(GenerativeModel, Samples):
    """Draws real digits with a little noise, or a model that knows zeros and ones only."""

    def __init__(self, images: Tensor, binary: bool = False) -> None:
        super().__init__((1, 28, 28))
        self.images, self.binary = images, binary
        self.weight = nn.Parameter(torch.zeros(()))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self.weight.square()}

    def sample(self, n: int) -> Tensor:
        x = self.images[torch.randint(len(self.images), (n,))] / 255
        return (x + 0.1 * torch.randn(x.shape)).clamp(0, 1)


def measured(folder, data, model, **settings):
    judge = LegacyParzen(**({"n_samples": 60, "n_val": 40, "batch_size": 25} | settings))
    small.trainer(folder, judge).test(model, datamodule=data, verbose=False)
    return judge.measurements[0]


@pytest.mark.parametrize("binarize", ["dynamic", "threshold", "levels", "none"])
def test_parzen_compares_with_grey_images_whatever_the_model_learned_from(binarize, tmp_path):
    data = small.Digits(20, 10, binarize=binarize)
    model = Grey(data.read()["train"], binary=binarize == "dynamic")
    found = measured(tmp_path, data, model)
    assert found.name == "parzen_legacy_grey"
    assert (found.unit, found.kind, found.n, found.protocol) == ("nats", "estimate", 45, "grey")
    assert "60 samples" in found.method
    assert found.stderr**2 == pytest.approx(
        found.details["stderr_of_data"] ** 2 + found.details["stderr_of_samples"] ** 2
    )
    same = measured(tmp_path, small.Digits(20, 10, binarize="none"), model)
    assert same.value == found.value


def test_parzen_chooses_the_width_on_validation_images(tmp_path):
    """The number is the kernel density of its own samples, with the width that is best for val."""
    data = small.Digits(20, 10, binarize="none")
    images = data.read()
    model = Grey(images["train"])
    found = measured(tmp_path, data, model, n_val=60)

    from genlit.callbacks.parzen import STDS, in_unit_interval
    from genlit.callbacks.sampling import draw

    samples = torch.cat([draw(model, n, "parzen", 0, k) for k, n in enumerate((25, 25, 10))])
    rows = {k: in_unit_interval(v) for k, v in images.items()}
    fits = mean_log_densities(rows["val"], in_unit_interval(samples), STDS)
    assert found.details["std"] == STDS[int(fits.argmax())]
    assert found.details["log_density_of_validation"] == pytest.approx(fits.max().item())
    density = kernel_density(rows["test"], in_unit_interval(samples), found.details["std"])
    assert found.value == pytest.approx(density.total / 45)


def test_parzen_can_be_monitored_on_images_that_do_not_choose_the_width(tmp_path):
    data = small.Digits(20, 10, binarize="none")
    judge = LegacyParzen(60, n_val=40, batch_size=25, every_n_epochs=1)
    trainer = small.trainer(tmp_path, judge, max_epochs=1)
    trainer.fit(Grey(data.read()["train"]), datamodule=data)
    found = judge.measurements[0]
    assert (found.split, found.n) == ("val", 20)  # of 60, of which 40 choose
    assert float(trainer.callback_metrics["val/parzen_legacy_grey"]) == pytest.approx(found.value)
    judge = LegacyParzen(60, n_val=60, batch_size=25, every_n_epochs=1)
    with pytest.raises(ValueError, match="60 of 60 validation images, which leaves none"):
        small.trainer(tmp_path, judge).fit(Grey(data.read()["train"]), datamodule=data)


def test_parzen_says_where_a_wider_grid_is_needed(tmp_path):
    data = small.Digits(20, 10, binarize="none")
    model = Grey(data.read()["train"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = measured(tmp_path, data, model, stds=[0.01, 0.02])
    assert found.details["std"] == 0.02
    assert any("0.02, is at an end of the stds" in str(w.message) for w in caught)


def test_parzen_needs_samples_and_images(tmp_path):
    class Mute(GenerativeModel):
        def loss(self, batch: Batch) -> dict[str, Tensor]:
            return {"loss": torch.zeros(())}

    with pytest.raises(Unanswerable, match="Mute cannot be asked for samples"):
        small.trainer(tmp_path, LegacyParzen()).test(Mute((1, 28, 28)), small.Digits(20, 10))
    model = Grey(torch.zeros(3, 1, 28, 28, dtype=torch.uint8))
    loader = torch.utils.data.DataLoader(torch.zeros(4, 1, 28, 28))
    with pytest.raises(ValueError, match="a run without a datamodule holds none as uint8"):
        small.trainer(tmp_path, LegacyParzen()).test(model, loader, verbose=False)
    for settings in ({"n_samples": 1}, {"stds": [0.0, 0.1]}, {"stds": []}):
        with pytest.raises(ValueError, match="LegacyParzen needs"):
            LegacyParzen(**settings)
    assert issubclass(LegacyParzen, L.Callback)
