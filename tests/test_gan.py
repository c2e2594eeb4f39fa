import math
from datetime import timedelta
from itertools import product
from types import SimpleNamespace

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import (
    EMAWeightAveraging,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from torch import Tensor, nn
from torch.nn import functional as nnf
from torch.utils.data import DataLoader

from genlit.cli.devices import joint_statistics
from genlit.data import BarsAndStripes
from genlit.gan import GAN, GANAdam, MinimaxCost, NonSaturatingCost
from genlit.gan.costs import value
from genlit.gan.ema import average, newest_share, twin
from genlit.model import unmoved
from genlit.networks import MLP, DCGANDiscriminator, DCGANGenerator
from genlit.trainer_options import refuse_options

PLAYERS = ("discriminator.", "generator.")


def small(inputs, outputs):
    return MLP(inputs, outputs, hidden=(8,))


def normalized(inputs, outputs):
    """A small network whose statistics move at every forward pass in training mode."""
    return nn.Sequential(nn.Linear(inputs[0], 8), nn.BatchNorm1d(8), nn.Linear(8, outputs[0]))


def tiny(cls=GAN, **options):
    networks = {"generator": small, "discriminator": small}
    return cls((3,), latent=2, **networks | options)


def trainer(**options):
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    defaults = dict.fromkeys(quiet, False) | {"accelerator": "cpu", "devices": 1}
    if "callbacks" in options:
        del defaults["enable_checkpointing"]
    return L.Trainer(**defaults | {"max_epochs": 1} | options)


def loader(batches):
    """A loader of batches that are made already."""
    return DataLoader(batches, batch_size=None)


def play(gan, rounds, batch=20, **options):
    """Plays rounds on noise, and returns the Trainer."""
    batches = [{"x": torch.rand(batch, *gan.shape)} for _ in range(rounds)]
    made = trainer(**options)
    made.fit(gan, loader(batches))
    return made


def weights(network):
    return [p.detach().clone() for p in network.parameters()]


class Watched(GAN):
    """Notes which parameters each turn changed, and the generator's weights after each of its."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.changed, self.generators = [], []

    def _descend(self, optimizer, loss):
        before = {name: p.detach().clone() for name, p in self.named_parameters()}
        mine = {id(p) for group in optimizer.param_groups for p in group["params"]}
        others = [p for p in self.parameters() if id(p) not in mine]

        def look(*_):
            assert all(p.grad is None for p in others)
            assert all(p.grad is not None for p in self.parameters() if id(p) in mine)

        with optimizer.optimizer.register_step_pre_hook(look):
            super()._descend(optimizer, loss)
        assert all(p.grad is None for p in self.parameters())
        after = dict(self.named_parameters())
        self.changed.append({n for n in before if not torch.equal(before[n], after[n])})
        if mine == {id(p) for p in self.generator.parameters()}:
            self.generators.append(weights(self.generator))


class TestCosts:
    @pytest.mark.parametrize("cost", [MinimaxCost(), NonSaturatingCost()])
    def test_the_discriminator_minimizes_cross_entropy(self, double, cost):
        real, fake = torch.randn(7), torch.randn(5)
        expected = -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean()
        torch.testing.assert_close(cost.discriminator(real, fake), expected)

    def test_the_generators_costs_are_their_closed_forms(self, double):
        fake = torch.randn(5)
        saturating, other = MinimaxCost().generator(fake), NonSaturatingCost().generator(fake)
        torch.testing.assert_close(saturating, (1 - fake.sigmoid()).log().mean())
        torch.testing.assert_close(other, -fake.sigmoid().log().mean())

    def test_the_minimax_game_is_zero_sum(self, double):
        real, fake, new = torch.randn(7), torch.randn(5), torch.randn(5)
        cost = MinimaxCost()
        gained = cost.generator(new) - cost.generator(fake)
        lost = cost.discriminator(real, new) - cost.discriminator(real, fake)
        torch.testing.assert_close(gained, -lost)

    def test_only_the_minimax_gradient_vanishes_where_the_discriminator_is_sure(self, double):
        logits = torch.tensor([-20.0, -5.0, 0.0, 3.0], requires_grad=True)
        for cost, slope in ((MinimaxCost(), logits.sigmoid()),
                            (NonSaturatingCost(), 1 - logits.sigmoid())):  # fmt: skip
            (gradient,) = torch.autograd.grad(cost.generator(logits) * 4, logits)
            torch.testing.assert_close(gradient, -slope.detach())

    def test_costs_are_finite_at_extreme_logits(self):
        extreme = torch.tensor([-1e4, 1e4])
        for cost in (MinimaxCost(), NonSaturatingCost()):
            assert cost.discriminator(extreme, extreme).isfinite()
            assert cost.generator(extreme).isfinite()

    def test_smoothed_labels_are_what_the_discriminator_is_to_say(self, double):
        real, fake = torch.randn(7), torch.randn(5)
        for cost in (MinimaxCost(smoothing=0.1), NonSaturatingCost(smoothing=0.1)):
            expected = nnf.binary_cross_entropy_with_logits(real, torch.full((7,), 0.9))
            expected = expected + nnf.binary_cross_entropy_with_logits(fake, torch.zeros(5))
            torch.testing.assert_close(cost.discriminator(real, fake), expected)
        with pytest.raises(ValueError, match=r"smoothing of 1\.5 is not in"):
            MinimaxCost(smoothing=1.5)

    def test_the_optimal_discriminator_measures_the_divergence(self, double):
        data, model = torch.tensor([4, 2, 1, 1]), torch.tensor([1, 1, 2, 4])
        p, q = data / 8, model / 8
        mixture = (p + q) / 2
        jsd = ((p * (p / mixture).log()).sum() + (q * (q / mixture).log()).sum()) / 2

        def game(logits: Tensor) -> Tensor:
            return value(logits.repeat_interleave(data), logits.repeat_interleave(model))

        best = (p / q).log()
        torch.testing.assert_close(game(best), 2 * jsd - math.log(4))
        for _ in range(20):
            assert game(best + 0.1 * torch.randn(4)) < game(best)


class TestRounds:
    @pytest.mark.parametrize(("k_d", "k_g"), list(product((1, 2, 5), repeat=2)))
    def test_every_player_takes_its_steps(self, k_d, k_g):
        gan = tiny(Watched, discriminator_steps=k_d, generator_steps=k_g)
        made = play(gan, rounds=3)
        counted = (gan.rounds, gan.discriminator_updates, gan.generator_updates)
        assert [int(c) for c in counted] == [3, 3 * k_d, 3 * k_g]
        assert made.global_step == 3 * (k_d + k_g)
        for optimizer, steps in zip(made.optimizers, (3 * k_d, 3 * k_g), strict=True):
            assert {int(state["step"]) for state in optimizer.state.values()} == {steps}

        discriminator, generator = (
            {n for n, _ in gan.named_parameters() if n.startswith(player)} for player in PLAYERS
        )
        assert gan.changed == ([discriminator] * k_d + [generator] * k_g) * 3

    def test_every_turn_has_events_and_noise_of_its_own(self):
        seen, noise = [], []
        gan = tiny(discriminator_steps=2, generator_steps=3)
        gan.discriminator.head.register_forward_pre_hook(lambda _, x: seen.append(x[0].detach()))
        gan.generator.register_forward_pre_hook(lambda _, z: noise.append(z[0].detach()))
        x = torch.rand(12, 3)
        trainer().fit(gan, loader([{"x": x}]))
        torch.testing.assert_close(torch.cat([seen[0], seen[2]]), x, rtol=0, atol=0)
        assert [len(s) for s in seen] == [6] * (2 * 2 + 3)
        assert [len(z) for z in noise] == [6] * (2 + 3)
        assert len(torch.cat(noise).unique(dim=0)) == 5 * 6

    def test_a_batch_that_cannot_be_shared_is_refused(self):
        with pytest.raises(ValueError, match=r"set data\.batch_size to a multiple of 3.* 21$"):
            play(tiny(discriminator_steps=3), rounds=1, batch=20)

    def test_the_discriminators_turn_leaves_the_generators_statistics(self):
        gan = tiny(generator=normalized, discriminator_steps=5, generator_steps=2)
        play(gan, rounds=3)
        assert int(gan.generator[1].num_batches_tracked) == int(gan.generator_updates) == 6

        gan.train()
        x = torch.rand(20, 3)
        torch.manual_seed(4)
        z = torch.randn(20, 2)
        before = [b.clone() for b in gan.generator.buffers()]
        torch.manual_seed(4)
        terms = gan.discriminator_terms({"x": x})
        assert all(map(torch.equal, before, gan.generator.buffers()))
        terms["discriminator_loss"].backward()
        assert all(p.grad is None for p in gan.generator.parameters())
        real, fake = gan.discriminator(x), gan.discriminator(gan.generator(z).sigmoid())
        expected = gan.cost.discriminator(
            real.logits, fake.logits
        )  # under the statistics of the batch
        torch.testing.assert_close(terms["discriminator_loss"], expected)
        assert not all(map(torch.equal, before, gan.generator.buffers()))

    def test_loss_shows_the_costs_and_steps_nobody(self):
        gan = tiny()
        before = weights(gan)
        terms = gan.loss({"x": torch.rand(50, 3)})
        assert terms["real_logit"] != terms["fake_logit"]
        assert all(0 <= terms[f"{kind}_accuracy"] <= 1 for kind in ("real", "fake"))
        assert terms["discriminator_loss"] > 0
        assert terms["generator_loss"] > 0
        assert all(map(torch.equal, before, weights(gan)))

    @pytest.mark.parametrize("cost", [MinimaxCost(), NonSaturatingCost()])
    def test_the_generator_finds_the_mean_of_the_data(self, cost):
        options = {"lr": 5e-3}
        gan = GAN((1,), 4, small, small, cost, ema_decay=0.99,
                  discriminator_optimizer=lambda p: GANAdam(p, **options),
                  generator_optimizer=lambda p: GANAdam(p, **options))  # fmt: skip
        data = [{"x": 0.85 + 0.05 * torch.randn(64, 1)} for _ in range(300)]
        before = gan.sample(1000).mean()
        trainer().fit(gan, loader(data))
        assert abs(before - 0.85) > 0.2
        assert abs(gan.sample(1000).mean() - 0.85) < 0.05

    def test_a_resumed_game_is_the_game(self, tmp_path):
        def game(epochs, checkpoint=None):
            L.seed_everything(1 if checkpoint else 0)
            gan = GAN((1, 4, 4), 2, small, small, generator_steps=2, ema_decay=0.9)
            made = trainer(max_epochs=epochs)
            made.fit(gan, datamodule=BarsAndStripes(4, repeats=5), ckpt_path=checkpoint)
            return gan.state_dict(), made

        whole, _ = game(2)
        _, half = game(1)
        half.save_checkpoint(tmp_path / "half.ckpt")
        resumed, _ = game(2, tmp_path / "half.ckpt")
        assert int(whole["rounds"]) > 4
        for name, tensor in whole.items():
            assert torch.equal(tensor, resumed[name]), name


class TestAveragedGenerator:
    @pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
    def test_the_average_is_its_closed_form(self, double, decay):
        gan = tiny(Watched, generator_steps=2, ema_decay=decay)
        play(gan, rounds=4)
        t = len(gan.generators)
        assert t == 8
        share = torch.tensor([decay ** (t - k) for k in range(1, t + 1)])
        share = share / share.sum()
        for i, averaged in enumerate(weights(gan.averaged_generator)):
            history = torch.stack([w[i] for w in gan.generators])
            expected = torch.einsum("k,k...->...", share, history)
            torch.testing.assert_close(averaged, expected, rtol=1e-6, atol=1e-7)

    def test_the_average_of_one_thing_is_that_thing(self):
        network = normalized((2,), (3,))
        averaged = twin(normalized((2,), (3,)))
        network(torch.randn(5, 2))
        average(averaged, network, newest_share(0.99, 0.0, torch.tensor(1)))
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(averaged.state_dict()[name], tensor, msg=name)

    def test_nobody_trains_the_average(self):
        gan = tiny(ema_decay=0.9)
        made = play(gan, rounds=1)
        owned = {id(p) for o in made.optimizers for g in o.param_groups for p in g["params"]}
        assert not any(p.requires_grad or id(p) in owned for p in
                       gan.averaged_generator.parameters())  # fmt: skip
        assert not any(k.startswith("averaged") for k in tiny().state_dict())

    def test_samples_come_from_the_average(self):
        gan = tiny(generator=normalized, ema_decay=0.9)
        play(gan, rounds=5)
        gan.train()
        before = {name: b.clone() for name, b in gan.named_buffers()}
        torch.manual_seed(3)
        samples = gan.sample(6)
        torch.manual_seed(3)
        z = torch.randn(6, 2)
        gan.eval()
        torch.testing.assert_close(samples, gan.averaged_generator(z).sigmoid())
        torch.manual_seed(3)
        torch.testing.assert_close(gan.sample(6, raw=True), gan.generator(z).sigmoid())
        assert not torch.equal(samples, gan.generator(z).sigmoid())
        assert all(torch.equal(b, before[name]) for name, b in gan.named_buffers())

    @pytest.mark.parametrize("training", [True, False])
    def test_sampling_leaves_the_mode(self, training):
        gan = GAN((1, 8, 8), 5, ema_decay=0.9).train(training)
        gan.averaged_generator[3].train(not training)
        modes = [m.training for m in gan.modules()]
        x = gan.sample(3)
        assert x.shape == (3, 1, 8, 8)
        assert x.min() >= 0
        assert x.max() <= 1
        assert modes == [m.training for m in gan.modules()]

    def test_buffers_come_back_when_the_forward_pass_fails(self):
        network = normalized((2,), (3,))

        def fail():
            with unmoved(network):
                network(torch.randn(5, 2))
                raise ArithmeticError

        with pytest.raises(ArithmeticError):
            fail()
        assert int(network[1].num_batches_tracked) == 0


class TestTrainerOptions:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"max_steps": 10}, r"trainer\.max_epochs or trainer\.limit_train_batches"),
            ({"precision": "16-true"}, r"set bf16-mixed or 32-true"),
            ({"precision": "bf16-true"}, r"slopes of the discriminator in bfloat16.*bf16-mixed"),
            ({"strategy": "ddp"}, r"ddp_find_unused_parameters_true"),
            (
                {"callbacks": ModelCheckpoint(train_time_interval=timedelta(hours=1))},
                r"train_time_interval never saves.* every_n_epochs",
            ),
            (
                {"callbacks": ModelCheckpoint(every_n_train_steps=100)},
                r"a multiple of 3, such as 300 for every 100 rounds",
            ),
            ({"callbacks": EMAWeightAveraging()}, r"EMAWeightAveraging.* model\.ema_decay"),
            ({"callbacks": StochasticWeightAveraging(1e-3)}, r"Stochastic.* model\.ema_decay"),
        ],
    )
    def test_what_cannot_work_is_refused(self, options, message):
        with pytest.raises(ValueError, match=message) as error:
            refuse_options(trainer(**options), steps=3)
        assert "\n" not in str(error.value)

    def test_a_static_graph_is_refused(self):
        strategy = L.pytorch.strategies.DDPStrategy(find_unused_parameters=True, static_graph=True)
        with pytest.raises(ValueError, match="without static_graph"):
            refuse_options(trainer(strategy=strategy), steps=2)

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"fast_dev_run": True},
            {"precision": "bf16-mixed"},
            {"strategy": "ddp_find_unused_parameters_true"},
            {"callbacks": ModelCheckpoint(every_n_train_steps=300)},
            {"callbacks": ModelCheckpoint(every_n_epochs=2)},
        ],
    )
    def test_what_works_is_not(self, options):
        refuse_options(trainer(**options), steps=3)

    @pytest.mark.parametrize(
        ("gpus", "options", "expected"),
        [
            (2, {"devices": 2}, True),
            (2, {"devices": "auto"}, True),
            (2, {"devices": 1}, False),
            (2, {"devices": 2, "accelerator": "cpu"}, False),
            (0, {"devices": 2}, False),
            (0, {"devices": 1, "sync_batchnorm": True}, True),
        ],
    )
    def test_several_gpus_normalize_batches_together(self, gpus, options, expected, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        config = {"accelerator": "auto", "sync_batchnorm": False} | options
        assert joint_statistics(SimpleNamespace(**config)) is expected

    def test_training_refuses(self):
        with pytest.raises(ValueError, match=r"2 a round, so that 9 would mean 5 rounds"):
            play(tiny(), rounds=1, max_steps=9)
        for option, instead in (
            ({"gradient_clip_val": 1.0}, "gradient_clip_val .* lower the lr"),
            ({"accumulate_grad_batches": 2}, "accumulate_grad_batches .* larger data.batch_size"),
        ):
            with pytest.raises(ValueError, match=instead):
                play(tiny(), rounds=1, **option)

    def test_no_attribute_has_a_name_that_checkpoints_take_for_theirs(self):
        gan = tiny(ema_decay=0.9)
        assert not {"layer", "saved_models"} & set(dir(gan))

    def test_numbers_that_mean_nothing_are_refused(self):
        with pytest.raises(ValueError, match="must be 1 or more"):
            tiny(generator_steps=0)
        with pytest.raises(ValueError, match=r"ema_decay is 1\.0 and .* the first is in"):
            tiny(ema_decay=1.0)


class TestDCGAN:
    @pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 20), (1, 27, 28)])
    def test_networks_fit_their_ends(self, shape):
        z = torch.randn(4, 6)
        images = DCGANGenerator((6,), shape, width=4)(z)
        assert images.shape == (4, *shape)
        assert DCGANDiscriminator(shape, (1,), width=4)(images).shape == (4, 1)

    def test_weights_begin_small(self):
        for network in (DCGANGenerator((100,), (1, 28, 28)), DCGANDiscriminator((1, 28, 28), (1,))):
            drawn = [p for p in network.parameters() if p.dim() > 1]
            for w in drawn:
                within = 5 * 0.02 / math.sqrt(2 * w.numel())  # standard error of a deviation
                assert abs(w.std() - 0.02) < within

    def test_the_discriminator_sees_the_brightness_of_a_batch(self):
        network = DCGANDiscriminator((1, 8, 8), (1,), width=4)
        assert not isinstance(network[1], nn.BatchNorm2d)
        x = torch.rand(16, 1, 8, 8) / 2
        assert not torch.allclose(network(x), network(x + 0.5), atol=1e-4)
