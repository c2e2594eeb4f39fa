"""Annealing along paths over a few states, where every law on the way can be written down."""

import math
from functools import cache
from itertools import pairwise

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from genlit import annealing
from genlit.annealing import (
    anneal,
    anneal_back,
    conservative_weights,
    forward_weights,
    ladder,
    reverse_weights,
)
from genlit.logmath import bootstrap_interval, log_mean_exp, log_mean_exp_stderr
from genlit.normalizers import log_partition
from genlit.schedules import Adaptive, Given, Ladder, placed, spread

pytestmark = pytest.mark.usefixtures("double")

BITS = 3
STATES = (torch.arange(2**BITS)[:, None] >> torch.arange(BITS)) & 1


class TablePath:
    """From one table of log p* over three bits to another; each bit in turn is drawn anew.

    Such a sweep is not its own reversal. A state is the number that the bits spell.
    """

    origin = "exact draws"

    def __init__(self, spread: float = 1.5) -> None:
        self.base, self.target = torch.randn(2**BITS) / 2, spread * torch.randn(2**BITS)
        self.kernel = cache(self.kernel)

    def log_p(self, beta: float) -> Tensor:
        return (1 - beta) * self.base + beta * self.target

    def p(self, beta: float) -> Tensor:
        return self.log_p(beta).softmax(0)

    def kernel(self, beta: float, backwards: bool = False) -> Tensor:
        """Probabilities of going from a state, in rows, to another."""
        whole = torch.eye(2**BITS)
        for bit in reversed(range(BITS)) if backwards else range(BITS):
            others = STATES.clone()
            others[:, bit] = 0
            alike = (others[:, None] == others[None]).all(-1)
            whole = whole @ torch.where(alike, self.log_p(beta), -math.inf).softmax(1)
        return whole

    @property
    def log_base(self) -> float:
        return float(self.base.logsumexp(0))

    @property
    def log_z(self) -> float:
        return float(self.target.logsumexp(0))

    def draw(self, p: Tensor, n: int) -> Tensor:
        return torch.multinomial(p, n, replacement=True)

    def start(self, n: int) -> Tensor:
        return self.draw(self.p(0), n)

    def samples(self, n: int) -> Tensor:
        return self.draw(self.p(1), n)

    def at(self, x: Tensor) -> Tensor:
        return (x.long() << torch.arange(BITS)).sum(1)

    def rise(self, state: Tensor, low: float, high: float) -> Tensor:
        return (self.log_p(high) - self.log_p(low))[state]

    def move(self, state: Tensor, beta: float) -> Tensor:
        return torch.multinomial(self.kernel(beta)[state], 1)[:, 0]

    def move_back(self, state: Tensor, beta: float) -> Tensor:
        return torch.multinomial(self.kernel(beta, backwards=True)[state], 1)[:, 0]


class GaussianPath:
    """From one centred Gaussian to a narrower one, with a fresh draw at every temperature."""

    origin = "exact draws"

    def __init__(self, precision: float = 9.0) -> None:
        self.last = precision

    def precision(self, beta: float) -> float:
        return 1 - beta + beta * self.last

    @property
    def log_base(self) -> float:
        return math.log(2 * math.pi) / 2

    @property
    def log_z(self) -> float:
        return self.log_base - math.log(self.last) / 2

    def at(self, x: Tensor) -> Tensor:
        return x

    def start(self, n: int) -> Tensor:
        return torch.randn(n)

    def samples(self, n: int) -> Tensor:
        return torch.randn(n) / self.last**0.5

    def rise(self, state: Tensor, low: float, high: float) -> Tensor:
        return -state.square() / 2 * (self.precision(high) - self.precision(low))

    def move(self, state: Tensor, beta: float) -> Tensor:
        return torch.randn_like(state) / self.precision(beta) ** 0.5

    move_back = move


def z_score(log_weights: Tensor, truth: float) -> float:
    return float((log_mean_exp(log_weights) - truth) / log_mean_exp_stderr(log_weights))


def weighted_after_moving(path, rungs, chains):
    """The mistake to be told apart: states move at the new temperature before they are weighted."""
    state, log_weight = path.start(chains), path.log_base
    for low, high in rungs:
        state = path.move(state, high)
        log_weight = log_weight + path.rise(state, low, high)
    return log_weight


# Weights


def test_sweeps_of_the_table_are_each_others_reversal():
    """What the tests below rely on: detailed balance of the pair, and not of either alone."""
    path = TablePath()
    flow = path.p(0.4)[:, None] * path.kernel(0.4)
    back = path.p(0.4)[:, None] * path.kernel(0.4, backwards=True)
    torch.testing.assert_close(flow, back.T)
    assert (flow - flow.T).abs().max() > 1e-3


@pytest.mark.parametrize(("method", "right"), [(forward_weights, True),
                                               (weighted_after_moving, False)])  # fmt: skip
def test_forward_weights_average_to_the_normalizer(method, right):
    scores = []
    for seed in range(24):
        torch.manual_seed(seed)
        path = TablePath()
        scores.append(z_score(method(path, ladder(8), 4000), path.log_z))
    assert (max(abs(z) for z in scores) < 4) == right
    if right:  # of a standard normal, 24 of whose squares add up to 24 ± 7
        assert sum(z**2 for z in scores) < 24 + 4 * 7


def weighted_at_the_wrong_end(path, rungs, state):
    """The same mistake in reverse: states move at the new temperature before they are weighted."""
    log_weight = -path.log_base
    for low, high in rungs:
        state = path.move_back(state, low)
        log_weight = log_weight - path.rise(state, low, high)
    return log_weight


@pytest.mark.parametrize(
    ("method", "right"),
    [(reverse_weights, True), (weighted_at_the_wrong_end, False)],
)
def test_reverse_weights_average_to_the_inverse_of_the_normalizer(method, right):
    scores = []
    for seed in range(24):
        torch.manual_seed(seed)
        path = TablePath()
        log_w = method(path, ladder(8)[::-1], path.samples(4000))
        scores.append(z_score(log_w, -path.log_z))
    assert (max(abs(z) for z in scores) < 4) == right


def test_the_arithmetic_mean_of_reverse_weights_is_another_number():
    path = TablePath()
    log_w = reverse_weights(path, ladder(5)[::-1], path.samples(20_000))
    assert abs(z_score(log_w, -path.log_z)) < 4
    assert abs(z_score(-log_w, path.log_z)) > 4  # the mistake


def test_forward_and_reverse_bracket_the_normalizer():
    path, rungs = TablePath(), ladder(2)
    lower = log_mean_exp(forward_weights(path, rungs, 4000).view(400, 10), 1) - path.log_z
    weights = reverse_weights(path, rungs[::-1], path.samples(4000)).view(400, 10)
    upper = -log_mean_exp(weights, 1) - path.log_z
    assert lower.mean() < -2 * lower.std() / 400**0.5
    assert upper.mean() > 2 * upper.std() / 400**0.5


def test_weights_are_equal_where_the_base_is_the_target():
    path = TablePath()
    path.target = path.base + 3
    exact = torch.full((20,), path.log_z)
    torch.testing.assert_close(forward_weights(path, ladder(7), 20), exact)
    torch.testing.assert_close(reverse_weights(path, ladder(7)[::-1], path.start(20)), -exact)
    found = log_partition(path, ladder(7), 20)
    assert found.stderr == pytest.approx(0, abs=1e-6)
    assert found.details["effective_sample_size"] == pytest.approx(20)
    assert found.warnings == ()


def test_the_error_falls_as_steps_grow():
    path = TablePath()
    spreads = [float(forward_weights(path, ladder(k), 4000).std()) for k in (4, 16, 64)]
    assert spreads[0] > 1.7 * spreads[1] > 1.7**2 * spreads[2]  # as √k, which doubles


def test_weights_are_float64_and_the_path_keeps_its_own():
    path = TablePath()
    kept = torch.zeros(9)
    path.rise = lambda *_: kept  # so that adding in place would show
    assert forward_weights(path, ladder(4), 9).dtype == torch.float64
    reverse_weights(path, ladder(4)[::-1], path.start(9))
    assert (kept == 0).all()


# Errors


def test_intervals_and_standard_errors_cover_the_truth():
    path = TablePath()
    repeats = forward_weights(path, ladder(10), 30_000).view(300, 100)
    ends = [bootstrap_interval(w, resamples=400) for w in repeats]
    covered = sum(low <= path.log_z <= high for low, high in ends) / 300
    errors = log_mean_exp(repeats, 1) - path.log_z
    bars = torch.stack([log_mean_exp_stderr(w) for w in repeats])
    for share in (covered, float((errors.abs() < 1.96 * bars).double().mean())):
        assert 0.90 < share < 0.99  # 0.95, give or take 0.013


def test_bootstrap_is_that_of_the_mean_weight():
    log_w = 0.5 * torch.randn(400)
    low, high = bootstrap_interval(log_w)
    middle, bar = float(log_mean_exp(log_w)), float(log_mean_exp_stderr(log_w))
    assert low == pytest.approx(middle - 1.96 * bar, abs=0.2 * bar)
    assert high == pytest.approx(middle + 1.96 * bar, abs=0.2 * bar)
    narrow = bootstrap_interval(log_w, level=0.5)
    assert low < narrow[0] < middle < narrow[1] < high
    shifted = bootstrap_interval(log_w + 1e4)
    assert shifted == pytest.approx((low + 1e4, high + 1e4), abs=1e-6)
    state = torch.get_rng_state()
    assert bootstrap_interval(log_w) == (low, high)
    assert (torch.get_rng_state() == state).all()


def test_what_is_found_is_told_with_its_errors_and_origin():
    path = TablePath()
    found = log_partition(path, ladder(50), 300)
    details = found.details
    assert details["log_partition_low"] < found.value < details["log_partition_high"]
    assert abs(found.value - path.log_z) < 4 * found.stderr
    upper, bar = details["log_partition_reverse"], details["log_partition_reverse_stderr"]
    assert abs(upper - path.log_z) < 4 * bar
    assert 20 < details["effective_sample_size_reverse"] <= 300
    assert 1 / 300 < details["largest_weight"] < 1
    assert details["origin_reverse"] == "exact draws"
    for words in ("log Z", "effective of 300 chains", "in reverse", "from exact draws"):
        assert words in details["summary"]
    assert found.warnings == ()
    alone = log_partition(path, ladder(50), 300, reverse=False)
    assert not any("reverse" in str(item) for item in alone.details.items())


def rare() -> TablePath:
    """Of what the target puts its weight on, the base draws one in a hundred."""
    path = TablePath(spread=0)
    path.base[0], path.target[0] = -3, 30
    return path


def test_reverse_estimates_are_of_the_harmonic_mean():
    path = TablePath()
    details = log_partition(path, ladder(2), 20_000).details
    error = details["log_partition_reverse"] - path.log_z
    assert abs(error) < 4 * details["log_partition_reverse_stderr"]
    mistaken = float(log_mean_exp(-anneal_back(path, ladder(2), 20_000))) - path.log_z
    assert abs(mistaken) > 8 * details["log_partition_reverse_stderr"]


def test_few_effective_chains_are_a_warning():
    found = log_partition(rare(), ladder(1), 400, reverse=False)
    (warning,) = found.warnings
    assert warning.startswith("of 400 chains only ")
    assert log_partition(TablePath(), ladder(50), 4, reverse=False).warnings == ()


def test_reverse_below_forward_blames_the_samples():
    path = TablePath(spread=0.1)
    path.target[0] += 6  # a state that chains which do not move never leave
    path.move = path.move_back = lambda state, beta: state
    path.samples = lambda n: torch.full((n,), int(path.target.argmin()))
    path.origin = "a bad place"
    warnings = log_partition(path, ladder(3), 5000).warnings
    assert any("or better samples than a bad place" in text for text in warnings)


# Schedules

schedules = pytest.mark.parametrize(
    "schedule", [Ladder(50), Adaptive(50), Adaptive(1), Adaptive(50, 1, 2), Given([0, 0.3, 1])]
)


@schedules
def test_schedules_climb_from_0_to_1(schedule):
    for path in (TablePath(), GaussianPath()):
        rungs = schedule.rungs(path)
        assert (rungs[0][0], rungs[-1][1]) == (0.0, 1.0)
        assert all(low < high for low, high in rungs)
        assert all(before[1] == after[0] for before, after in pairwise(rungs))
        assert len(rungs) == getattr(schedule, "steps", 2)


@schedules
def test_weights_are_unbiased_whatever_the_schedule(schedule):
    path = GaussianPath(precision=2.0)
    log_w = forward_weights(path, schedule.rungs(path), 4000)
    assert abs(z_score(log_w, path.log_z)) < 4


@pytest.mark.parametrize(
    "betas", [[], [0], [1], [0, 0.5], [0.1, 1], [0, 0.5, 0.5, 1], [0, 0.7, 0.3, 1],
              [0, float("nan"), 1]],
)  # fmt: skip
def test_temperatures_that_do_not_ascend_are_refused(betas):
    with pytest.raises(ValueError, match=r"ascend from 0 to 1"):
        Given(betas)


def test_schedules_without_steps_are_refused():
    for make in (Ladder, Adaptive):
        with pytest.raises(ValueError, match=r"^steps is 0: "):
            make(0)
    with pytest.raises(ValueError, match=r"2 chains or more to differ"):
        Adaptive(10, pilot_chains=1)


def test_adaptive_temperatures_are_where_theory_wants_them():
    """A rate's deviation goes as 1 / precision, so that the best precisions are geometric."""
    path = GaussianPath(precision=9.0)
    betas = [high for _, high in Adaptive(40, 400, 4000).rungs(path)]
    found = torch.tensor([math.log(path.precision(beta)) for beta in betas])
    torch.testing.assert_close(
        found, math.log(9) * torch.arange(1, 41) / 40, rtol=0, atol=0.03 * math.log(9)
    )
    adaptive, fixed = (forward_weights(path, s.rungs(path), 4000).std()
                       for s in (Adaptive(40), Ladder(40)))  # fmt: skip
    assert adaptive < 0.9 * fixed


def test_each_step_has_an_equal_share_of_the_density():
    density = 0.5 + torch.rand(30)
    edges = torch.arange(31) / 30
    integral = torch.cat([torch.zeros(1), density.cumsum(0)])
    betas = torch.tensor([0.0, *(high for _, high in placed(density, 12))])
    bins = (betas * 30).long().clamp(max=29)
    shares = integral[bins] + (betas - edges[bins]) * 30 * density[bins]
    torch.testing.assert_close(shares, shares[-1] * torch.arange(13) / 12)


def test_no_gap_explodes():
    density = torch.zeros(100)
    density[40:45] = 1.0
    gaps = torch.tensor([high - low for low, high in placed(density, 1000)])
    assert gaps.max() < 11.5 / 1000
    assert gaps.min() < 0.2 / 1000
    flat = placed(torch.zeros(10), 5)
    torch.testing.assert_close(torch.tensor(flat)[:, 1], torch.arange(1, 6) / 5)


def test_chains_that_keep_their_rate_want_more_temperatures():
    """Rates that last spread √11 times as much over windows of 11 as those that are drawn anew."""
    lasting, fresh = torch.randn(1, 3000).expand(60, -1), torch.randn(60, 3000)
    found = spread(torch.cat([lasting, fresh]), 5)
    assert found[5:55].mean() == pytest.approx(11**0.5, rel=0.05)
    assert found[65:].mean() == pytest.approx(1, rel=0.05)
    assert found[115:].mean() == pytest.approx(1, rel=0.05)  # where windows are cut
    torch.testing.assert_close(spread(fresh, 0), fresh.std(1))


# Blocks and processes


def test_progress_counts_blocks_times_rungs(monkeypatch):
    seen = []

    def track(items, label):
        seen.append((label, len(items)))
        yield from items
        seen.append("done")

    monkeypatch.setattr(annealing, "track", track)
    assert anneal(TablePath(), ladder(6), 600).shape == (600,)
    assert seen == [("annealing", 18), "done"]


def test_blocks_do_not_depend_on_each_other_and_leave_the_generator_alone():
    path = TablePath()
    torch.manual_seed(5)
    many = anneal(path, ladder(6), 600)
    after = torch.rand(1)
    torch.manual_seed(5)
    few = anneal(path, ladder(6), 250)
    assert torch.rand(1) == after
    assert (many[:250] == few).all()
    assert len(many.unique()) > 500
    assert (anneal(path, ladder(6), 250) != few).any()
    assert abs(z_score(many, path.log_z)) < 4
    assert abs(z_score(anneal_back(path, ladder(6), 600), -path.log_z)) < 4


def of_process(rank: int, world: int, folder: str, path: TablePath) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet-{world}", rank=rank, world_size=world)
    torch.manual_seed(5 if rank == 0 else 6)
    rungs = Adaptive(6, 20, 20).rungs(path)
    start, path.started = path.start, []
    path.start = lambda n: path.started.append(n) or start(n)
    weights = anneal(path, rungs, 600), anneal_back(path, rungs, 600)
    torch.save((rungs, path.started, *weights), f"{folder}/{world}-{rank}.pt")
    dist.destroy_process_group()


def test_processes_share_the_blocks_and_all_have_the_weights_of_one(tmp_path):
    path = TablePath()
    path.kernel = path.kernel.__wrapped__
    for world in (1, 2, 4):  # of three blocks, so that one of four has none
        torch.multiprocessing.start_processes(
            of_process, (world, str(tmp_path), path), nprocs=world, start_method="fork"
        )
    rungs, everything, *alone = torch.load(tmp_path / "1-0.pt")
    assert everything == [250, 250, 100]
    shares = {(2, 0): [250, 100], (2, 1): [250], (4, 0): [250], (4, 3): []}
    for (world, rank), share in shares.items():
        found, started, *weights = torch.load(tmp_path / f"{world}-{rank}.pt")
        assert (found, started) == (rungs, share)
        for one, other in zip(alone, weights, strict=True):
            assert torch.equal(one, other)


# The likelihood of the sampler


def law_of_annealing(path: TablePath, rungs) -> Tensor:
    """P(x) of the last state of forward annealing, by enumeration."""
    p = path.p(0)
    for _, beta in rungs:
        p = p @ path.kernel(beta)
    return p


@pytest.mark.parametrize(("move", "right"), [("move_back", True), ("move", False)])
def test_conservative_estimates_have_the_law_of_annealing_as_their_mean(move, right):
    """They begin at one state, so that moves have to be reversed, which samples do not need."""
    path, rungs, n = TablePath(spread=3), ladder(3), 20_000
    path.move_back = getattr(path, move)
    x = STATES.double().repeat_interleave(n, 0)
    estimates = (path.target[path.at(x)] + conservative_weights(path, rungs, x, 1)).exp().view(8, n)
    exact, stderr = law_of_annealing(path, rungs), estimates.std(1) / n**0.5
    scores = (estimates.mean(1) - exact) / stderr

    assert (float(scores.abs().max()) < 4) == right
    if not right:
        return
    assert abs(estimates.mean(1).sum() - 1) < 4 * stderr.square().sum().sqrt()
    assert ((path.p(1) - exact) / stderr).abs().max() > 10  # and not that of the model
    on_average = (estimates.log().mean(1) - exact.log()) / (estimates.log().std(1) / n**0.5)
    assert on_average.max() < 4  # below it, as Jensen says


def test_conservative_estimates_average_over_chains_and_tend_to_the_model():
    path, x = TablePath(), STATES.double()
    long = path.target + conservative_weights(path, ladder(300), x, 40)
    torch.testing.assert_close(long, path.p(1).log(), rtol=0, atol=0.1)
    short, one = (
        torch.stack([conservative_weights(path, ladder(2), x, chains) for _ in range(100)])
        for chains in (50, 1)
    )
    assert short.std(0).mean() < 0.3 * one.std(0).mean()
    assert short.shape == (100, 8)
