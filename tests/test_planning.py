"""Worlds with known equations, known entropies and known best actions."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from genlit.callbacks.pictures import block_of
from genlit.cli.plan import chosen_planner, claimed
from genlit.data import Rollouts
from genlit.data.environments import Environment, Episode
from genlit.data.spaces import Box, Choices
from genlit.protocols import Imagined, Simulates, Unanswerable, require
from genlit.tasks import CrossEntropy, Planning, RandomShooting
from genlit.tasks.dreams import dream, open_loop_error, standard_error, windows
from genlit.tasks.dynamics import CartPole, Pendulum
from genlit.tasks.planners import imagined_return, weights_of_best
from genlit.tasks.scenes import METRE, SCENES, WIDTH, cart_and_pole, pendulum
from genlit.worlds import WorldModel
from genlit.worlds.ensemble import Ensemble, dealt, gathered
from tests.small import trainer

gymnasium = pytest.importorskip("gymnasium")


def fast_world(steps=2_000, seed=0):
    """A world model of CartPole trained for a few seconds, and its data."""
    data = Rollouts("CartPole-v1", steps, batch_size=50)
    torch.manual_seed(seed)
    adam = partial(torch.optim.Adam, lr=5e-3)
    model = WorldModel(data.shape, data.condition_shape, 5, (32, 32), (32, 32), lr_decay=True,
                       optimizer=adam)  # fmt: skip
    return model, data


# The true equations


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_equations_are_those_of_gymnasium(name):
    """In every state that thirty random episodes lead to, and of every number that comes back."""
    environment = Environment(name)
    world = {"CartPole-v1": CartPole, "Pendulum-v1": Pendulum}[name]()
    compared = ended = 0
    for seed in range(30):
        (episode,) = environment.play(environment.random, [seed], 200)
        state, action = episode.states[:-1].double(), episode.actions.double()
        found = world.imagine(state, action)
        assert torch.allclose(found.state, episode.states[1:].double(), atol=1e-5), seed
        assert torch.allclose(found.reward, episode.rewards.double(), atol=1e-4), seed
        assert torch.equal(found.ended.float(), episode.ended), seed
        compared, ended = compared + len(episode), ended + int(episode.ended.sum())
    assert compared > 500
    assert ended == (30 if name == "CartPole-v1" else 0)


def test_cart_that_leaves_its_track_ends_the_episode():
    """Which random episodes do not do."""
    world = gymnasium.make("CartPole-v1").unwrapped
    for x in (2.39, -2.39, 2.3, -2.3):
        world.reset(seed=0)
        world.state = np.array([x, math.copysign(0.9, x), 0.0, 0.0])
        _, _, over, _, _ = world.step(1)
        found = CartPole().imagine(torch.tensor([[x, math.copysign(0.9, x), 0.0, 0.0]]),
                                   torch.tensor([[0.0, 1.0]]))  # fmt: skip
        assert bool(found.ended) == over == (abs(x) > 2.35)


# Planners


class Maze(Simulates):
    """Four states in which patience pays: two steps to the left cost, and the third pays much.

    A state is one-hot, as is the action: left or right. Right pays 1 and stays; left goes on and
    costs 1, and from the third state pays 20 and ends.
    """

    def imagine(self, state, action):
        at, left = state.argmax(1), action[:, 0] > 0
        after = torch.where(left, (at + 1).clamp(max=3), at)
        reward = torch.where(left, torch.where(at == 2, 20.0, -1.0), 1.0)
        return Imagined(torch.eye(4)[after], reward, ((at == 2) & left).float())


def every_plan(horizon):
    codes = torch.cartesian_prod(*[torch.arange(2)] * horizon)
    return torch.eye(2)[codes]


PLANNERS = [
    RandomShooting(400, 6, discount=0.7),
    RandomShooting(400, 6, discount=0.7, softness=0.02),
    CrossEntropy(200, 6, discount=0.7, rounds=3, elites=10),
]


@pytest.mark.parametrize("planner", PLANNERS, ids=lambda p: p.label)
def test_planner_takes_the_best_first_action(planner):
    """As found by enumeration of all plans: to the left at once, though right pays sooner."""
    states, every = torch.eye(4)[:3], every_plan(6)
    returns = imagined_return(Maze(), states, every.expand(3, -1, -1, -1), discount=0.7)
    best = every[returns.argmax(1), 0]
    assert best.tolist() == [[1, 0]] * 3
    assert returns.max(1).values.tolist() == pytest.approx([-1 - 0.7 + 0.49 * 20, -1 + 14, 20])
    plans = planner.plan(Maze(), states, Choices(2))
    assert plans.shape == (3, 6, 2)
    assert torch.equal(plans[:, 0], best)


def test_planner_looks_no_further_than_its_horizon():
    """Within two steps of the first state there is nothing better than staying."""
    plans = RandomShooting(100, 2).plan(Maze(), torch.eye(4)[:1], Choices(2))
    assert plans[0].tolist() == [[0, 1], [0, 1]]


def test_rewards_after_the_end_do_not_count():
    class Dying(Simulates):
        def imagine(self, state, action):
            n = len(state)
            return Imagined(state, torch.ones(n), torch.full((n,), 0.25))

    found = imagined_return(Dying(), torch.zeros(1, 1), torch.zeros(1, 1, 3, 1), 4, 0.5)
    assert found.item() == pytest.approx(1 + 0.5 * 0.75 + 0.25 * 0.75**2)


def test_equally_good_plans_share_the_weight():
    weights = weights_of_best(torch.tensor([[3.0, 5.0, 5.0, 1.0, 4.0]]), 1)
    assert weights.tolist() == [[0, 0.5, 0.5, 0, 0]]
    assert weights_of_best(torch.tensor([[3.0, 5.0, 4.0]]), 2).tolist() == [[0, 0.5, 0.5]]


def test_cross_entropy_finds_an_optimum_among_real_numbers():
    """The reward is -(a - 0.7)² - (b + 0.3)², whatever the state."""

    class Bowl(Simulates):
        def imagine(self, state, action):
            reward = -((action - torch.tensor([0.7, -0.3])) ** 2).sum(1)
            return Imagined(state, reward, torch.zeros_like(reward))

    space = Box(torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 1.0]))
    plan = CrossEntropy(200, 3, rounds=12).plan(Bowl(), torch.zeros(2, 1), space)
    assert torch.allclose(plan, torch.tensor([0.7, -0.3]).expand(2, 3, 2), atol=0.02)


def test_oracle_balances_the_pole():
    task = Planning("CartPole-v1", RandomShooting(100, 15, softness=1.0), 3, steps=100)
    problems = task.pose(None, "test", 0)
    (score,) = task.score(problems, task.solve(CartPole(), problems))
    assert score.values.tolist() == [100, 100, 100]


def test_oracle_swings_the_pendulum_up():
    """Hanging costs π² a step; in the end, upright, there is almost no cost."""
    planner = CrossEntropy(60, 20, rounds=2, elites=6)
    task = Planning("Pendulum-v1", planner, 2)
    episodes = task.solve(Pendulum(), task.pose(None, "test", 0))
    for episode in episodes:
        assert len(episode) == 200
        assert episode.rewards[-50:].mean() > -0.1


# Laws of actions


def test_choices_are_drawn_as_probable_as_the_mean_says():
    mean = torch.tensor([0.5, 0.3, 0.2])
    drawn = Choices(3).draw(20_000, mean, torch.zeros(3))
    assert torch.equal(drawn.sum(1), torch.ones(20_000))
    error = (mean * (1 - mean) / 20_000).sqrt()
    assert ((drawn.mean(0) - mean).abs() < 4 * error).all()


@pytest.mark.parametrize("space", [Choices(2), Box(torch.tensor([-1.0]), torch.tensor([3.0]))])
def test_mirror_images_cancel(space):
    actions = space.uniform(50)
    middle = (actions + space.mirrored(actions)) / 2
    assert torch.allclose(middle, space.widest()[0].expand_as(middle))
    assert torch.equal(space.mirrored(space.mirrored(actions)), actions)


def test_widest_law_has_the_moments_of_uniform_actions():
    space = Box(torch.tensor([-1.0, 0.0]), torch.tensor([3.0, 0.5]))
    mean, std = space.widest()
    drawn = space.uniform(20_000)
    assert torch.allclose(drawn.mean(0), mean, atol=0.03)
    assert torch.allclose(drawn.std(0), std, rtol=0.02)


# The world model


def test_ensemble_is_its_members():
    ensemble = Ensemble(3, 4, 2, (5, 6))
    x = torch.randn(3, 7, 4)
    for m in range(3):
        h = x[m]
        for k, (w, b) in enumerate(zip(ensemble.weights, ensemble.biases, strict=True)):
            h = h @ w[m] + b[m]
            h = torch.nn.functional.silu(h) if k < 2 else h
        assert torch.allclose(ensemble(x)[m], h, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 5, 6, 7])
def test_rows_are_dealt_to_members_in_turn_and_come_back(rows):
    x = torch.arange(rows * 2.0).view(rows, 2)
    hands = dealt(x, 3)
    assert torch.equal(gathered(hands, rows), x)
    for i in range(rows):
        assert torch.equal(hands[i % 3, i // 3], x[i])


def linear_world(n, draws):
    """Transitions of s' = s + A s + B a + noise, with the entropy of one in nats."""
    a, b, std = torch.tensor([[0.0, 0.1], [-0.2, -0.1]]), torch.tensor([[0.0, 0.5]]), 0.3
    state = torch.randn(n, 2, generator=draws)
    action = 2 * torch.rand(n, 1, generator=draws) - 1
    noise = std * torch.randn(n, 3, generator=draws)
    after = state + state @ a.T + action @ b + noise[:, :2]
    reward = state[:, :1] - action + noise[:, 2:]
    x = torch.cat([after, reward, torch.zeros(n, 1)], 1)
    return x, torch.cat([state, action], 1), 3 * (0.5 + 0.5 * math.log(2 * math.pi * std**2))


def test_likelihood_of_a_linear_gaussian_world_is_the_known_one():
    draws = torch.Generator().manual_seed(0)
    x, condition, entropy = linear_world(4_000, draws)
    held_x, held_c, _ = linear_world(4_000, draws)
    model = WorldModel((4,), (3,), 3, (32,), (8,))
    model.standardize(x, condition)
    adam = torch.optim.Adam(model.parameters(), 5e-3)
    for k in range(800):
        adam.param_groups[0]["lr"] = 5e-3 * (1 - k / 800)
        chosen = torch.randint(4_000, (200,))
        adam.zero_grad()
        model.loss({"x": x[chosen], "condition": condition[chosen]})["loss"].backward()
        adam.step()
    with torch.no_grad():
        terms = model.loss({"x": held_x, "condition": held_c})
    error = math.sqrt(1.5 / 4_000)  # of the mean of 3 half squares of normal numbers
    assert terms["end"] < 0.02
    assert entropy - 4 * error < terms["dynamics"] < entropy + 4 * error + 0.05


def test_likelihood_does_not_depend_on_the_units(double):
    """Standard units change what networks see; the density is that of the data's own numbers."""
    x, condition, _ = linear_world(50, torch.Generator().manual_seed(0))
    model = WorldModel((4,), (3,), 2, (8,), (8,))
    with torch.no_grad():
        for weight in model.dynamics.parameters():
            weight.zero_()  # so that the law is N(0, σ²) in standard units
    model.offset.copy_(torch.tensor([1.0, 2.0, 3.0]))
    model.scale.copy_(torch.tensor([0.5, 2.0, 4.0]))
    density, end = model.log_probs(x, condition)
    std = (model.least + torch.nn.functional.softplus(-model.least)).exp() * model.scale
    law = torch.distributions.Normal(model.offset, std)
    expected = law.log_prob(torch.cat([x[:, :2] - condition[:, :2], x[:, 2:3]], 1)).sum(1)
    assert torch.allclose(density, expected.expand(2, -1))
    assert (end < 0).all()


def test_imagination_without_noise_is_the_mean_and_each_row_has_its_member():
    model = WorldModel((4,), (3,), 3, (8,), (8,), temperature=0.0)
    state, action = torch.randn(7, 2), torch.randn(7, 1)
    found = model.imagine(state, action)
    for i in range(7):
        law = model.law(torch.cat([state[i], action[i]]).expand(3, 1, 3))
        assert torch.allclose(found.state[i], state[i] + law.mean[i % 3, 0, :2], atol=1e-6)
        assert torch.allclose(found.reward[i], law.mean[i % 3, 0, 2], atol=1e-6)
    again = model.imagine(state, action)
    assert torch.equal(found.state, again.state)


def test_imagination_draws_what_the_law_says():
    model = WorldModel((4,), (3,), 1, (8,), (8,))
    model.scale.copy_(torch.tensor([1.0, 2.0, 3.0]))
    state, action = torch.zeros(20_000, 2), torch.zeros(20_000, 1)
    with torch.no_grad():
        found = model.imagine(state, action)
        std = model.law(torch.zeros(1, 1, 3)).log_std.exp()[0, 0] * model.scale
        events = model.sample_given(torch.zeros(20_000, 3))
    drawn = torch.cat([found.state, found.reward[:, None]], 1)
    assert torch.allclose(drawn.std(0), std, rtol=0.03)
    assert events.shape == (20_000, 4)
    assert set(events[:, 3].unique().tolist()) <= {0.0, 1.0}


def test_far_states_are_seen_as_the_farthest_known():
    x, condition, _ = linear_world(100, torch.Generator().manual_seed(0))
    model = WorldModel((4,), (3,), 2, (8,), (8,))
    model.standardize(x, condition)
    far = torch.tensor([[100.0, -100.0, 0.5]])
    edge = torch.tensor([[float(model.high[0]), float(model.low[1]), 0.5]])
    assert torch.equal(model.seen(far), model.seen(edge))
    assert not torch.equal(model.seen(edge), model.seen(edge * 0.5))


def test_refuses_other_data():
    with pytest.raises(ValueError, match=r"take genlit\.data\.Rollouts"):
        WorldModel((1, 28, 28), (3,))
    with pytest.raises(ValueError, match="1 member or more"):
        WorldModel((4,), (3,), 0)


# Rollouts


def test_rollouts_are_transitions_one_after_the_other_and_always_the_same():
    data, again = Rollouts("CartPole-v1", 200), Rollouts("CartPole-v1", 200)
    other = Rollouts("CartPole-v1", 200, sample=1)
    for d in (data, again, other):
        d.setup("fit")
    x, condition = data.splits["train"], data.conditions["train"]
    assert (data.shape, data.condition_shape) == ((6,), (6,))
    assert x.shape == (200, 6)
    assert condition.shape == (200, 6)
    goes_on = x[:-1, 5] == 0
    goes_on[torch.tensor([len(e) for e in data.episodes["train"]]).cumsum(0)[:-1] - 1] = False
    assert torch.equal(x[:-1, :4][goes_on], condition[1:, :4][goes_on])
    assert torch.equal(condition[:, 4:].sum(1), torch.ones(200))
    assert torch.equal(x, again.splits["train"])
    assert not torch.equal(x, other.splits["train"])
    assert "train 200 steps in" in data.source
    batch = next(iter(data.train_dataloader()))
    assert batch["x"].shape == batch["condition"].shape == (100, 6)


def test_time_that_runs_out_is_no_end():
    environment = Environment("Pendulum-v1")
    (episode,) = environment.play(environment.random, [0])
    assert len(episode) == 200
    assert not episode.ended.any()
    assert isinstance(environment.space, Box)


def test_environments_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="gymnasium cannot make NoSuch-v0"):
        Environment("NoSuch-v0")
    with pytest.raises(ValueError, match="states of shape"):
        Environment("FrozenLake-v1")


# Dreams


def test_dreams_of_the_true_equations_come_true():
    environment = Environment("Pendulum-v1")
    episodes = environment.play(environment.random, [0, 1], 60)
    found = open_loop_error(Pendulum(), windows(episodes, 20, 10), torch.ones(3))
    assert found.error.max() < 1e-3
    assert found.staying[0] < found.staying[10]
    assert found.n.tolist()[0] == 12
    assert found.n.tolist()[-1] == 10  # the last windows are cut off by the end


def test_open_loop_error_of_a_model_that_is_off_by_one():
    """A model that thinks each step leads one further is off by k deviations after k steps."""

    class Still(Simulates):
        def imagine(self, state, action):
            return Imagined(state + 2, torch.zeros(len(state)), torch.zeros(len(state)))

    episode = Episode(torch.zeros(6, 2), torch.zeros(5, 1), torch.zeros(5), torch.zeros(5))
    found = open_loop_error(Still(), windows([episode], 3), torch.tensor([2.0, 2.0]), 2)
    assert found.error.tolist() == [1, 2, 3]
    assert found.staying.tolist() == [0, 0, 0]
    assert found.n.tolist() == [5, 4, 3]
    assert found.stderr.isnan().all()  # of one episode nobody knows
    twice = open_loop_error(Still(), windows([episode, episode], 3), torch.tensor([2.0, 2.0]))
    assert twice.stderr.tolist() == [0, 0, 0]  # both are off by the same
    assert dream(Still(), torch.zeros(1, 2), torch.zeros(1, 3, 1))[0, :, 0].tolist() == [0, 2, 4, 6]


def test_the_error_of_open_loop_errors_is_over_episodes(double):
    """Whole episodes that are off by a number of their own, so that their windows agree."""
    off = torch.rand(400) + 0.5
    errors = off.repeat_interleave(3)[:, None, None].expand(-1, 2, 4)
    episode = torch.arange(400).repeat_interleave(3)
    found = standard_error(errors, episode)
    squares = off.square()
    expected = squares.std() / 400**0.5 / (2 * squares.mean().sqrt())
    torch.testing.assert_close(found.double(), expected.expand(2), rtol=1e-5, atol=0.0)
    repeated = standard_error(errors.repeat_interleave(5, 0), episode.repeat_interleave(5))
    torch.testing.assert_close(repeated, found)  # windows that say the same say nothing anew


# The task


def test_a_few_seconds_of_training_beat_chance_by_far(tmp_path):
    model, data = fast_world()
    trainer(tmp_path, max_epochs=15).fit(model, data)
    task = Planning("CartPole-v1", RandomShooting(100, 12, softness=1.0), 4, steps=150)
    problems = task.pose(data, "test", 0)
    with torch.no_grad():
        model.eval()
        mine = task.score(problems, task.solve(model, problems))[0]
    random = task.score(problems, task.baselines(data, 0)["random"](problems))[0]
    assert random.mean < 60
    assert mine.mean > 2 * random.mean
    assert mine.mean > 100


def test_solving_is_the_same_for_the_same_random_state():
    model, data = fast_world(100)
    task = Planning("CartPole-v1", RandomShooting(10, 3), 2, steps=20)
    problems = task.pose(data, "test", 0)
    runs = []
    for _ in range(2):
        torch.manual_seed(1)
        runs.append(task.solve(model, problems))
    for a, b in zip(*runs, strict=True):
        assert torch.equal(a.states, b.states)
    assert not torch.equal(problems.given, task.pose(data, "test", 1).given)
    assert not torch.equal(problems.given, task.pose(data, "val", 0).given)


def test_task_names_all_that_numbers_depend_on():
    tasks = [
        Planning(),
        Planning("Pendulum-v1"),
        Planning(steps=100),
        Planning(planner=RandomShooting(100)),
        Planning(planner=RandomShooting(softness=1.0)),
        Planning(planner=RandomShooting(discount=0.9)),
        Planning(planner=CrossEntropy()),
        Planning(planner=CrossEntropy(rounds=2)),
    ]
    assert len({task.name for task in tasks}) == len(tasks)


def test_task_refuses_other_worlds_and_other_models():
    task = Planning("Pendulum-v1")
    with pytest.raises(ValueError, match="model is of CartPole-v1"):
        task.pose(Rollouts("CartPole-v1", 10), "test", 0)
    with pytest.raises(Unanswerable, match="does not implement Simulates"):
        task.require(torch.nn.Linear(1, 1))
    require(WorldModel((4,), (3,)), "imagined futures", Simulates)


# Pictures


def test_a_cart_is_where_its_state_says():
    """The dark pixels' mean column moves with x, and the pole's tip with θ."""
    columns = torch.arange(WIDTH) + 0.5

    def middle(state):
        dark = 1 - cart_and_pole(torch.tensor(state))[2, 46:54]
        dark = dark * (dark > 0.5)
        return float((dark.sum(0) * columns).sum() / dark.sum())

    assert middle([0.0, 0, 0, 0]) == pytest.approx(WIDTH / 2, abs=0.5)
    assert middle([1.0, 0, 0, 0]) == pytest.approx(WIDTH / 2 + METRE, abs=0.5)
    left, right = (cart_and_pole(torch.tensor([0.0, 0, a, 0])) for a in (-0.2, 0.2))
    assert torch.allclose(left, right.flip(-1), atol=1e-5)
    assert not torch.allclose(left, right, atol=0.1)


def test_a_pendulum_points_where_its_state_says():
    up, down = (pendulum(torch.tensor([c, 0.0, 0.0])) for c in (1.0, -1.0))
    side = pendulum(torch.tensor([0.0, 1.0, 0.0]))
    assert torch.allclose(up, down.flip(-2), atol=1e-5)
    assert (1 - up[2, :28]).sum() > 10 * (1 - up[2, 36:]).sum()
    assert (1 - side[2, :, 36:]).sum() > 10 * (1 - side[2, :, :28]).sum()


def test_picture_shows_an_episode_of_each_solver():
    task = Planning("CartPole-v1", RandomShooting(10, 3), 2, steps=20)
    problems = task.pose(None, "test", 0)
    baselines = task.baselines(None, 0) | task.oracles(None, 0)
    answers = {name: solve(problems) for name, solve in baselines.items()}
    picture = task.picture(problems, answers)
    scene, shown = SCENES["CartPole-v1"], next(iter(answers.values()))[0]
    longest = max(len(episodes[0]) for episodes in answers.values())
    times = [min(round(k * longest / 5), len(shown)) for k in range(6)]
    first = block_of(torch.stack([scene(shown.states[t]) for t in times])[:, None])
    assert torch.equal(picture[:, -first.shape[1] :, : first.shape[2]], first)
    assert picture.shape[2] > len(answers) * first.shape[2]
    assert picture.shape[1] > first.shape[1]  # names stand above
    assert set(SCENES) == {"CartPole-v1", "Pendulum-v1"}


# The command


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # jsonargparse's own, of its methods
def test_planner_of_the_command_line_is_that_of_the_run_with_what_was_asked_for():
    spec = {"class_path": "genlit.tasks.RandomShooting", "init_args": {"horizon": 7}}
    task = {"class_path": "genlit.tasks.Planning", "init_args": {"planner": spec}}
    examined = {"class_path": "genlit.tasks.Examination", "init_args": {"task": task}}
    config = {"trainer": {"callbacks": [{"class_path": "genlit.callbacks.Checkpoints"}, examined]}}
    assert chosen_planner(None, [], config).horizon == 7
    mine = chosen_planner(None, ["--planner.candidates=50"], config)
    assert (mine.horizon, mine.candidates) == (7, 50)
    other = chosen_planner("CrossEntropy", ["--planner.rounds=2"], config)
    assert isinstance(other, CrossEntropy)
    assert (other.horizon, other.rounds) == (20, 2)
    assert isinstance(chosen_planner(None, [], {}), RandomShooting)
    with pytest.raises(ValueError, match="no planner is made of"):
        chosen_planner("NoSuch", [], config)


def test_command_writes_dreams_and_never_over_others(tmp_path, monkeypatch, capsys):
    from genlit.cli import main
    from genlit.runs import RunError

    monkeypatch.chdir(tmp_path)
    fast = ["--data.steps=200", "--trainer.max_epochs=1", "--run_dir=run"]
    main(["fit", "-c", "cartpole", "--trainer.accelerator=cpu", *fast])
    options = ["--episodes=2", "--steps=10", "--dream=5", "--planner.candidates=10"]
    main(["plan", "run", *options])
    said = capsys.readouterr().out
    for who in ("model", "random", "true equations"):
        assert f"return of {who} in 10 steps: " in said
    assert "CartPole-v1, 2 episodes, broken off after 10 steps, " in said
    assert "open-loop error in standard deviations of states, planned: " in said
    assert " ± " in said.partition("open-loop error")[2]
    endings = {".png", ".gif", "-error.png", "-error.csv"}
    written = {p.name.removeprefix("plan-1") for p in (tmp_path / "run/samples").iterdir()}
    assert written == endings
    lines = (tmp_path / "run/samples/plan-1-error.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 5
    assert claimed(None, tmp_path / "run").name == "plan-2"
    with pytest.raises(RunError, match="is not overwritten"):
        claimed(tmp_path / "run/samples/plan-1", tmp_path)
