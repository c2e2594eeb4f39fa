"""Translators learn what their losses say, play fairly, and go on exactly where they stopped."""

from functools import partial

import lightning as L
import pytest
import torch
from torch import nn
from torch.nn import functional as nnf

from genlit.callbacks import Checkpoints
from genlit.corruptions import GaussianNoise
from genlit.data import Unpaired
from genlit.data.pairs import Pairs
from genlit.gan import R1, Adversarial, HingeCost, LeastSquaresCost
from genlit.losses import L1, MSE, GradientDifference
from genlit.networks import MLP, PatchDiscriminator, SpectralNormalized, UNet
from genlit.randomness import generator
from genlit.runs import RunError
from genlit.translation import CycleGAN, Restorer, Translator
from genlit.translation.image_pool import ImagePool
from tests import small
from tests.test_processes import run, without_noise
from tests.test_resume import Stop, Stopped, equal, final

SHAPE, GIVEN = (1, 12, 12), (2, 12, 12)


class FewPairs(Pairs):
    """Random blocks, to be made from their edges in two channels: six batches an epoch."""

    shape, condition_shape = SHAPE, GIVEN

    def __init__(self, batch_size: int = 10, given: int = 2) -> None:
        super().__init__(batch_size, 10)
        self.condition_shape = (given, 12, 12)

    def read_pairs(self):
        blocks = torch.randint(256, (90, 1, 4, 4), generator=generator("few pairs"))
        x = blocks.repeat_interleave(3, -1).repeat_interleave(3, -2).byte()
        given = torch.cat([x.roll(1, dim) - x for dim in (-1, -2)], 1)[:, : self.condition_shape[0]]
        parts = {"train": slice(60), "val": slice(60, 75), "test": slice(75, 90)}
        return {split: (given[part], x[part]) for split, part in parts.items()}


def unet(inputs, outputs):
    return UNet(inputs, outputs, 3, 2)


def patches(inputs, outputs):
    return PatchDiscriminator(inputs, outputs, 3, 1)


sgd = partial(torch.optim.SGD, lr=0.05)


def adversarial(**options) -> Adversarial:
    settings = {"discriminator": patches, "optimizer": sgd, "penalties": [R1(0.1)]} | options
    return Adversarial(**settings)


def translator(*losses, **options) -> Translator:
    losses = losses or (L1(),)
    return Translator(SHAPE, GIVEN, **({"network": unet, "losses": losses} | options))


def game(**options) -> Translator:
    """All that keeps count of something: noise, a penalty, spectral norms, a rate that falls."""
    normalized = partial(SpectralNormalized, network=patches)
    opponent = adversarial(weight=0.5, discriminator=normalized, penalties=[R1(0.1, every=2)])
    settings = {"latent": 1, "opponent_steps": 2, "lr_decay": True} | options
    return translator(L1(3.0), opponent, **settings)


def cycle(**options) -> CycleGAN:
    settings = {"network": unet, "pool": 15, "identity": 1.0, "lr_decay": True} | options
    opponent = adversarial(cost=LeastSquaresCost())
    return CycleGAN(SHAPE, SHAPE, opponent, **settings)


MODELS = {"network": partial(translator, latent=1), "game": game, "cycle": cycle}
models = pytest.mark.parametrize("name", MODELS)


def pairs_of(name: str, batch_size: int = 10) -> Pairs:
    return Unpaired(FewPairs(batch_size // 2, 1)) if name == "cycle" else FewPairs(batch_size)


# Losses


def test_losses_are_what_they_say(double):
    answer = torch.tensor([[[[0.0, 0.5], [1.0, 1.0]]]])
    truth = torch.tensor([[[[0.0, 1.0], [0.0, 0.5]]]])
    assert MSE()(answer, truth, answer) == (0.25 + 1 + 0.25) / 4
    assert L1()(answer, truth, answer) == (0.5 + 1 + 0.5) / 4
    # Differences of neighbours, down 1 and 0.5 to 0 and 0.5, across 0.5 and 0 to 1 and 0.5.
    assert GradientDifference()(answer, truth, answer) == (1 + 0 + 0.5 + 0.5) / 4
    assert GradientDifference(power=2)(answer, truth, answer) == (1 + 0.25 + 0.25) / 4
    assert GradientDifference()(truth + 0.3, truth, answer) == pytest.approx(0)


def test_weights_are_coefficients():
    model = translator(MSE(0.5), L1(3.0), GradientDifference(0.1))
    batch = next(iter(loaded(FewPairs()).val_dataloader()))
    terms = model.loss(batch)
    answer = model.network(batch["condition"])
    parts = {loss.name: loss(answer, batch["x"], answer) for loss in model.content}
    assert terms.keys() == {"loss", "mse", "l1", "gradient_difference"}
    assert all(terms[name] == value for name, value in parts.items())
    expected = 0.5 * parts["mse"] + 3 * parts["l1"] + 0.1 * parts["gradient_difference"]
    torch.testing.assert_close(terms["loss"], expected)


def test_the_opponent_is_weighed_beside_the_others():
    opponent = adversarial(weight=0.7)
    model = translator(L1(3.0), opponent)
    batch = next(iter(loaded(FewPairs()).val_dataloader()))
    terms = model.generator_terms(batch)
    answer = model.network(batch["condition"])
    logits = opponent.discriminator(torch.cat([answer, batch["condition"]], 1)).logits
    fooling = -nnf.logsigmoid(logits).mean()
    torch.testing.assert_close(terms["fooling"], fooling.detach())
    torch.testing.assert_close(
        terms["generator_loss"], 3 * nnf.l1_loss(answer, batch["x"]) + 0.7 * fooling
    )


def test_what_cannot_be_lowered_is_refused():
    with pytest.raises(ValueError, match=r"losses has 2 opponents: name one genlit\.gan\.Advers"):
        translator(adversarial(), adversarial())
    assert [type(loss) for loss in Translator(SHAPE, GIVEN).content] == [MSE]
    with pytest.raises(ValueError, match="weight of L1 is -1: it is 0 or more"):
        L1(-1)
    with pytest.raises(ValueError, match=r"power is 0\.5: it is 1 or more"):
        GradientDifference(power=0.5)
    for model in (translator(), game(latent=0), cycle()):
        with pytest.raises(ValueError, match="this data has none: take"):
            model.loss({"x": torch.rand(2, *SHAPE)})
    with pytest.raises(ValueError, match=r"no opponent to be asked: add genlit\.gan\.Adversarial"):
        translator().judge({"x": torch.rand(2, *SHAPE), "condition": torch.rand(2, *GIVEN)})


# Training


def loaded(data: Pairs) -> Pairs:
    data.setup("fit")
    return data


def fit(model, data: Pairs, folder, *callbacks, resume=None, **options) -> L.Trainer:
    trainer = small.trainer(folder, *callbacks, **({"enable_checkpointing": False} | options))
    trainer.fit(model, datamodule=data, ckpt_path=resume, weights_only=bool(resume) or None)
    return trainer


def test_without_an_opponent_training_is_a_bare_loop(tmp_path):
    torch.manual_seed(1)
    model = translator(L1(), MSE(2.0), optimizer=partial(torch.optim.Adam, lr=1e-2))
    torch.manual_seed(1)
    network = unet(GIVEN, SHAPE)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    loader = loaded(data := FewPairs()).train_dataloader()
    fit(model, data, tmp_path, max_epochs=2)
    for epoch in range(2):
        loader.set_epoch(epoch)
        for batch in loader:
            answer = network(batch["condition"])
            loss = nnf.l1_loss(answer, batch["x"]) + 2 * nnf.mse_loss(answer, batch["x"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, model.network.state_dict()[name]), name


class Referee:
    """Watches that a player's step moves that player alone."""

    def __init__(self, model) -> None:
        self.model, self.turns, self.descend = model, [], model._descend
        model._descend = self.watch

    def weights(self) -> dict:
        return {
            name: [p.detach().clone() for p in player.parameters()]
            for name, player in self.model.players.items()
        }

    def watch(self, optimizer, loss) -> None:
        before = self.weights()
        self.descend(optimizer, loss)
        after = self.weights()
        self.turns.append([n for n in before if not equal(before[n], after[n])])
        assert all(p.grad is None for p in self.model.parameters())


@pytest.mark.parametrize(("name", "steps"), [("game", 2), ("cycle", 1)])
def test_players_move_in_their_own_turns(name, steps, tmp_path):
    model = MODELS[name]()
    referee = Referee(model)
    fit(model, pairs_of(name), tmp_path, max_epochs=1)
    round_ = ["discriminator"] * steps + ["generator"]
    assert referee.turns == [[player] for player in round_] * 6
    assert (model.rounds, model.discriminator_updates) == (6, 6 * steps)


def test_a_game_ends_where_its_formulas_lead(tmp_path):
    """Two rounds of plain descent by hand: first the opponent, then the network as it was."""
    torch.manual_seed(2)
    model = translator(L1(2.0), adversarial(cost=HingeCost(), penalties=[]), optimizer=sgd)
    torch.manual_seed(2)
    network, opponent = unet(GIVEN, SHAPE), patches((3, 12, 12), (1,))
    opponent.load_state_dict(model.opponent.discriminator.head.network.state_dict())
    loader = loaded(data := FewPairs()).train_dataloader()
    fit(model, data, tmp_path, max_epochs=1, limit_train_batches=2)
    for _, batch in zip(range(2), loader, strict=False):
        given = batch["condition"]
        shown = torch.cat([network(given).detach(), given], 1)
        truth = torch.cat([batch["x"], given], 1)
        cost = (1 - opponent(truth)).relu().mean() + (1 + opponent(shown)).relu().mean()
        descend(opponent, cost)
        answer = network(given)
        fooled = -opponent(torch.cat([answer, given], 1)).mean()
        descend(network, 2 * nnf.l1_loss(answer, batch["x"]) + fooled)
    for ours, theirs in ((network, model.network), (opponent, model.opponent.discriminator)):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def descend(network: nn.Module, cost: torch.Tensor) -> None:
    parameters = list(network.parameters())
    slopes = torch.autograd.grad(cost, parameters)
    for p, slope in zip(parameters, slopes, strict=True):
        p.data -= 0.05 * slope


@models
def test_a_resumed_run_is_the_uninterrupted_run(name, tmp_path):
    def train(folder, seed, *callbacks, resume=False):
        L.seed_everything(seed, verbose=False)
        path = folder / "checkpoints" / "last.ckpt" if resume else None
        looks = [Checkpoints(every_n_batches=4), *callbacks]
        fit(MODELS[name](), pairs_of(name), folder, *looks, resume=path, enable_checkpointing=True)

    train(tmp_path / "whole", 0)
    with pytest.raises(Stopped):
        train(tmp_path / "parts", 0, Stop(9))
    train(tmp_path / "parts", 999, resume=True)
    assert equal(final(tmp_path / "parts"), final(tmp_path / "whole"))


@models
def test_two_processes_are_one_with_twice_the_batch(name, tmp_path, monkeypatch):
    options = {"optimizer": sgd} | ({"pool": 0} if name == "cycle" else {})
    options |= {"opponent_steps": 1} if name == "game" else {}
    torch.manual_seed(0)
    start = MODELS[name](**options).state_dict()
    without_noise(monkeypatch)
    states = []
    for processes, batch in ((2, 10), (1, 20)):
        torch.manual_seed(0)
        model = MODELS[name](**options)
        model.load_state_dict(start)
        data = pairs_of(name, batch)
        ends = run(tmp_path / str(processes), model, data, processes, max_epochs=1)
        assert all(equal(end["state"], ends[0]["state"]) for end in ends)
        states.append(ends[0]["state"])
    for key in start:
        torch.testing.assert_close(states[0][key], states[1][key], rtol=1e-4, atol=1e-5)
    assert any((states[0][key] != start[key]).any() for key in start)


# Where it begins


def test_a_network_begins_as_that_of_another_run(tmp_path):
    first = translator(L1())
    fit(first, FewPairs(), tmp_path / "first", Checkpoints(), enable_checkpointing=True)
    begun = {}

    class Look(L.Callback):
        def on_train_start(self, trainer, pl_module):
            begun.update({k: v.clone() for k, v in pl_module.network.state_dict().items()})

    second = partial(translator, L1(), adversarial(), init_from=tmp_path / "first")
    looks, keep = (Checkpoints(), Look()), {"enable_checkpointing": True}
    fit(model := second(), FewPairs(), tmp_path / "second", *looks, max_epochs=1, **keep)
    assert equal(begun, dict(first.network.state_dict()))
    assert not equal(begun, dict(model.network.state_dict()))
    last = tmp_path / "second" / "checkpoints" / "last.ckpt"
    fit(second(), FewPairs(), tmp_path / "third", *looks, resume=last, max_epochs=2, **keep)
    assert equal(begun, dict(model.network.state_dict()))


def test_another_network_is_refused_in_one_line(tmp_path):
    fit(translator(), FewPairs(), tmp_path, Checkpoints(), enable_checkpointing=True, max_epochs=1)
    other = translator(network=partial(UNet, width=5, depth=2), init_from=tmp_path)
    with pytest.raises(RunError, match=r"the network of .* is another one .*set the same") as error:
        fit(other, FewPairs(), tmp_path / "other", max_epochs=1)
    assert "\n" not in str(error.value)


# What a model answers


@models
def test_answers_do_not_depend_on_the_batch_nor_change_the_model(name, double):
    model = MODELS[name](latent=0) if name != "cycle" else cycle()
    given = torch.rand(5, *model.condition_shape)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    answers = model.train().sample_given(given)
    assert answers.shape == (5, *SHAPE)
    torch.testing.assert_close(model.sample_given(given[3:4]), answers[3:4])
    assert model.training
    assert equal(before, model.state_dict())


def test_noise_gives_several_answers():
    given = torch.rand(3, *GIVEN)
    assert not torch.equal(*(translator(latent=2).sample_given(given) for _ in range(2)))
    model = translator(latent=2)
    assert not torch.equal(model.sample_given(given), model.sample_given(given))
    model = translator()
    assert torch.equal(model.sample_given(given), model.sample_given(given))
    one = translator(latent=1)
    twins = one.sample_given(given[:1].expand(2, -1, -1, -1))
    assert not torch.equal(twins[0], twins[1])


@pytest.mark.parametrize("size", [(5, 9), (12, 31), (40, 8)])
def test_images_of_any_size_are_answered(size):
    for model, back in ((translator(), False), (cycle(), False), (cycle(), True)):
        ask = model.sample_condition if back else model.sample_given
        channels = (model.shape if back else model.condition_shape)[0]
        answer = ask(torch.rand(2, channels, *size))
        assert answer.shape == (2, 1, *size)


def test_answers_of_pixels_are_cut_off_and_others_are_not():
    def large(inputs, outputs):
        network = MLP(inputs, outputs, (4,))
        network[-2].bias.data += torch.tensor([-3.0, 3.0]).repeat(72)
        return network

    given = torch.rand(4, *GIVEN)
    cut = translator(network=large).sample_given(given)
    free = translator(network=large, bounded=False).sample_given(given)
    assert (cut.min(), cut.max()) == (0, 1)
    assert free.min() < -1
    assert free.max() > 2


def test_a_restorer_is_given_what_is_spoilt():
    noise = GaussianNoise(0.3)
    model = Restorer(SHAPE, noise, network=unet)
    batch = {"x": torch.rand(4, *SHAPE)}
    torch.manual_seed(3)
    loss = model.loss(batch)["loss"]
    torch.manual_seed(3)
    spoilt = noise(batch["x"])
    assert loss == nnf.mse_loss(model.network(spoilt), batch["x"])
    assert torch.equal(model.denoise(spoilt), model.sample_given(spoilt))


@models
def test_opinions_are_one_number_an_event(name):
    if name == "network":
        return
    model = MODELS[name]()
    batch = {"x": torch.rand(4, *SHAPE), "condition": torch.rand(4, *model.condition_shape)}
    verdict = model.judge(batch)
    assert all(v.shape == (4,) and v.isfinite().all() for v in verdict)
    alone = model.judge({key: value[2:3] for key, value in batch.items()})
    torch.testing.assert_close(alone.real, verdict.real[2:3])
    torch.testing.assert_close(alone.real_slope, verdict.real_slope[2:3])


# Opponents that judge patches


def test_costs_and_penalties_of_patches_are_means_over_events(double):
    opponent = adversarial(penalties=[R1(3.0)])
    opponent.build(SHAPE, GIVEN)
    x, y, given = torch.rand(4, *SHAPE), torch.rand(4, *SHAPE), torch.rand(4, *GIVEN)

    def lost(k: slice) -> torch.Tensor:
        return opponent.terms(x[k], y[k], given[k])["discriminator_loss"]

    alone = torch.stack([lost(slice(k, k + 1)) for k in range(4)])
    torch.testing.assert_close(lost(slice(4)), alone.mean())
    network = opponent.discriminator.head.network
    shown = torch.cat([y, given], 1).requires_grad_()
    logits = network(shown)
    assert logits.shape == (4, 1, 4, 4)
    (slope,) = torch.autograd.grad(logits.sum(), shown)
    cost = nnf.softplus(-logits).mean() + nnf.softplus(network(torch.cat([x, given], 1))).mean()
    torch.testing.assert_close(lost(slice(4)), cost + 1.5 * slope.square().flatten(1).sum(1).mean())


def test_an_opponent_may_be_kept_from_the_condition():
    opponent = adversarial(sees_condition=False)
    opponent.build(SHAPE, GIVEN)
    x, given = torch.rand(3, *SHAPE), torch.rand(3, *GIVEN)
    assert opponent(x, x, given) == opponent(x, x, 1 - given)
    seeing = adversarial()
    seeing.build(SHAPE, GIVEN)
    assert seeing(x, x, given) != seeing(x, x, 1 - given)


# Without pairs


def test_a_cycle_is_what_there_and_back_changes():
    model = cycle(cycle=7.0, identity=2.0)
    a, b = torch.rand(3, *SHAPE), torch.rand(3, *SHAPE)
    there, back = model.generators["event"], model.generators["condition"]
    terms = model.generator_terms({"x": b, "condition": a})
    expected = nnf.l1_loss(back(there(a)), a) + nnf.l1_loss(there(back(b)), b)
    same = nnf.l1_loss(there(b), b) + nnf.l1_loss(back(a), a)
    logits = [
        opponent.discriminator(made).logits
        for opponent, made in zip(model.opponents.values(), (there(a), back(b)), strict=True)
    ]
    fooling = sum((of - 1).square().mean() / 2 for of in logits)
    for name, value in (("cycle", expected), ("identity", same), ("fooling", fooling)):
        torch.testing.assert_close(terms[name], value.detach())
    torch.testing.assert_close(terms["generator_loss"], fooling + 7 * expected + 2 * same)
    assert torch.equal(model.sample_condition(b), back(b).clamp(0, 1))


def test_each_side_has_an_opponent_of_its_own():
    model = CycleGAN(SHAPE, GIVEN, adversarial(), unet)
    sides = [o.discriminator.head.network[0].in_channels for o in model.opponents.values()]
    assert sides == [1, 2]
    with pytest.raises(ValueError, match=r"identity compares .*: set it to 0"):
        CycleGAN(SHAPE, GIVEN, adversarial(), unet, identity=1.0)
    with pytest.raises(ValueError, match="they are 0 or more"):
        cycle(cycle=-1.0)


def test_a_pool_gives_back_earlier_images():
    pool, seen = ImagePool((1, 1, 1), 50), []
    values = torch.arange(1000.0).view(-1, 1, 1, 1)
    for batch in values.split(10):
        seen.append(pool(batch).flatten())
    assert torch.equal(torch.cat(seen[:5]), torch.arange(50.0))  # until it is full
    shown = torch.cat(seen[5:])
    fresh = (shown == torch.arange(50.0, 1000.0)).sum().item()
    assert abs(fresh - 475) < 5 * (950 / 4) ** 0.5
    every = torch.cat([torch.cat(seen), pool.images.flatten()])
    known = every.unique()  # a fresh one that is shown may also be kept no more
    assert len(known) == 1000
    x = torch.rand(3, 1, 1, 1)
    assert ImagePool((1, 1, 1), 0)(x) is x


def test_discriminators_are_shown_what_pools_give_back():
    model = cycle()
    batch = {"x": torch.rand(3, *SHAPE), "condition": torch.rand(3, *SHAPE)}
    there, back = model.generators["event"], model.generators["condition"]
    answers = [there(batch["condition"]), back(batch["x"])]
    model.discriminator_terms(batch)
    for pool, answer in zip(model.pools.values(), answers, strict=True):
        assert pool.kept == 3
        torch.testing.assert_close(pool.images[:3], answer)
        pool.forward = torch.ones_like
    shown = model.discriminator_terms(batch)["fake_logit"]
    ones = [o.discriminator(torch.ones(3, *SHAPE)).logits.mean() for o in model.opponents.values()]
    torch.testing.assert_close(shown, torch.stack(ones).mean())


def test_no_partner_is_seen_in_the_mirror():
    plain, pairs = loaded(FewPairs(5, 1)), FewPairs(5, 1)
    pairs.mirror = True
    torn = loaded(Unpaired(pairs))
    x, given = plain.splits["train"][:30], plain.conditions["train"][30:]
    assert torch.equal(torn.splits["train"], torch.cat([x, x.flip(-1)]))
    assert torch.equal(torn.conditions["train"], torch.cat([given, given.flip(-1)]))


def test_torn_pairs_are_of_two_halves_in_two_orders():
    whole, torn = loaded(FewPairs(5, 1)), loaded(Unpaired(FewPairs(5, 1)))
    assert torn.protocol == whole.protocol  # so that their runs can be compared
    assert torch.equal(torn.splits["train"], whole.splits["train"][:30])
    assert torch.equal(torn.conditions["train"], whole.conditions["train"][30:])
    assert torch.equal(torn.conditions["test"], whole.conditions["test"])
    loader = torn.train_dataloader()

    def places(epoch: int) -> tuple[list, list]:
        loader.set_epoch(epoch)
        batches = list(loader)
        found = []
        for key, every in (("x", torn.splits), ("condition", torn.conditions)):
            images = torch.cat([batch[key] for batch in batches]).mul(255).round().byte()
            same = (images[:, None] == every["train"]).flatten(2).all(2)
            found.append(same.int().argmax(1).tolist())
        return found[0], found[1]

    for found in (places(0), places(1)):
        assert sorted(found[0]) == sorted(found[1]) == list(range(30))
        assert found[0] != found[1]
    assert places(0) == places(0) != places(1)
