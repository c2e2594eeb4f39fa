"""What the discriminator is shown, how it is held, and what events are of."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as nnf

from genlit.data import BarsAndStripes
from genlit.gan import (
    GAN,
    AdaptiveAugmentation,
    AuxiliaryClassifier,
    Classes,
    Code,
    Concatenation,
    ConditionalGAN,
    DiffAugment,
    FeatureMatching,
    InstanceNoise,
    Projection,
    RelativisticAverageCost,
    RelativisticCost,
    View,
    WeightClipping,
)
from genlit.gan import augmentation as aug
from genlit.gan.ema import newest_share
from genlit.gan.heads import CodeReader
from genlit.gan.matching import Listener
from genlit.gan.packing import pack
from genlit.networks import MLP, DCGANDiscriminator
from tests.test_gan import play, small, tiny, trainer

# Views


class Doubled(View):
    def forward(self, x):
        return 2 * x


def test_views_are_of_real_and_generated_events_alike(double):
    gan = tiny(views=[Doubled()])
    shown = []
    gan.discriminator.head.register_forward_pre_hook(lambda _, x: shown.append(x[0].detach()))
    x = torch.rand(6, 3)
    torch.manual_seed(0)
    gan.loss({"x": x})
    torch.manual_seed(0)
    first, second = gan.generator(torch.randn(6, 2)), gan.generator(torch.randn(6, 2))
    for found, expected in zip(shown, (x, first.sigmoid(), second.sigmoid()), strict=True):
        torch.testing.assert_close(found, 2 * expected)


def test_instance_noise_has_its_deviation_and_fades():
    noise, x = InstanceNoise(0.4, steps=10), torch.zeros(100_000)
    for steps, expected in ((0, 0.4), (5, 0.2), (5, 0.0), (3, 0.0)):
        for _ in range(steps):
            noise.adapt(torch.tensor(0.5), 1)
        assert abs(float(noise(x).std()) - expected) <= 4 * expected / math.sqrt(2e5)
    assert abs(float(InstanceNoise(0.4)(x).std()) - 0.4) < 4 * 0.4 / math.sqrt(2e5)
    gan = tiny(views=[InstanceNoise(0.4, steps=100)], discriminator_steps=2)
    play(gan, rounds=3)
    assert int(gan.state_dict()["discriminator.views.0.taken"]) == 6


def test_the_probability_follows_what_is_called_real():
    view = AdaptiveAugmentation(target=0.6, images=1000)
    for _ in range(3):
        view.adapt(torch.tensor(0.9), 100)  # a mean sign of 0.8
    torch.testing.assert_close(float(view.probability), 0.3)
    view.adapt(torch.tensor(0.7), 100)  # and of 0.4
    torch.testing.assert_close(float(view.probability), 0.2)
    for _ in range(30):
        view.adapt(torch.tensor(1.0), 100)
    torch.testing.assert_close(float(view.probability), 0.8)
    x = torch.rand(4, 1, 8, 8)
    assert torch.equal(AdaptiveAugmentation()(x), x)  # at a probability of 0
    alike = x[:1].expand(2000, -1, -1, -1)
    assert (view(alike) != alike).flatten(1).any(1).float().mean() > 0.9


@pytest.mark.parametrize("view", [DiffAugment(), AdaptiveAugmentation(start=0.8, flip=True)])
def test_augmentation_is_of_images_and_passes_gradients_on(view):
    x = torch.rand(16, 3, 8, 6, requires_grad=True)
    y = view(x)
    assert y.shape == x.shape
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert (gradient.flatten(1).abs().sum(1) > 0).sum() > 12
    with pytest.raises(ValueError, match=r"shape \(3,\) are no images.*InstanceNoise"):
        view(torch.rand(4, 3))


def test_shifts_move_pixels_by_as_much_as_they_say(double):
    x = torch.zeros(5000, 2, 8, 8)
    x[:, :, 4, 3] = torch.tensor([1.0, 2.0])
    y = aug.shifted(x, 0.25)
    assert (y.flatten(2).sum(2) == torch.tensor([1.0, 2.0])).all()  # channels move together
    rows, columns = y[:, 0].sum(2).argmax(1) - 4, y[:, 0].sum(1).argmax(1) - 3
    for moved in (rows, columns):
        share = torch.bincount(moved + 2, minlength=5) / 5000
        assert ((share - 0.2).abs() < 4 * (0.16 / 5000) ** 0.5).all()
    edge = torch.ones(200, 1, 8, 8)
    assert (aug.shifted(edge, 0.25).sum((1, 2, 3)) <= 64).all()  # what comes in is black


def test_cut_outs_are_black_squares(double):
    y = aug.cut_out(torch.ones(4000, 1, 8, 8), 0.5)
    black = (y == 0).sum((1, 2, 3))
    assert black.max() == 16
    assert ((y == 0) | (y == 1)).all()
    share = (y == 0).double().mean((0, 1))
    assert share.min() > 0.05  # anywhere
    torch.testing.assert_close(share, share.T, rtol=0, atol=0.04)


def test_colors_keep_what_they_should(double):
    x = torch.rand(6, 3, 4, 4)
    y = aug.colored(x)
    for k in range(6):  # an affine map of the pixels of each image
        features = torch.cat([x[k].flatten(1), torch.ones(1, 16)])
        residual = torch.linalg.lstsq(features.T, y[k].flatten(1).T).residuals
        assert (residual < 1e-20).all() if residual.numel() else True
    flat = torch.full((2, 1, 3, 3), 0.5)
    assert (aug.colored(flat).flatten(1).std(1) < 1e-12).all()
    means = aug.colored(torch.full((5000, 1, 2, 2), 0.5)).mean((1, 2, 3))
    assert 0.25 <= means.min() < 0.26  # a quarter darker or brighter, and no more
    assert 0.74 < means.max() <= 0.75


def test_turns_keep_the_middle_and_go_the_right_way(double, monkeypatch):
    x = torch.zeros(1, 1, 9, 9)
    x[0, 0, 4, 4] = 1.0  # the middle
    x[0, 0, 4, 7] = 0.5  # 3 to the right of it
    monkeypatch.setattr(aug, "draws", lambda x: torch.ones(len(x), 1, 1, 1))  # by 45°
    y = aug.turned(x)[0, 0]
    torch.testing.assert_close(y[4, 4], torch.tensor(1.0))
    place = divmod(int(torch.where(torch.arange(81).view(9, 9) == 40, 0.0, y).argmax()), 9)
    assert {abs(place[0] - 4), abs(place[1] - 4)} == {2}
    monkeypatch.setattr(aug, "draws", lambda x: torch.full((len(x), 1, 1, 1), 0.5))
    torch.testing.assert_close(aug.turned(x), x)
    assert torch.equal(aug.mirrored(x)[0, 0, 4, 1], torch.tensor(0.5))


# Packing, clipping, matching


def test_packs_hold_events_side_by_side():
    x = torch.arange(5 * 2 * 3.0).view(5, 2, 3)
    packed = pack(x, 2)
    assert packed.shape == (2, 4, 3)
    assert torch.equal(packed[1, 2:], x[3])
    assert pack(x, 1) is x
    gan = tiny(packing=2)
    assert gan.discriminator.head.network[0].in_features == 6
    assert gan.discriminator(torch.rand(8, 3)).logits.shape == (4,)
    play(gan, rounds=2)
    verdict = gan.judge({"x": torch.rand(8, 3)})
    assert [v.shape for v in verdict] == [(4,)] * 4
    with pytest.raises(ValueError, match="packs of 2 events have no common condition"):
        tiny(packing=2, condition=Code(3, 0))
    with pytest.raises(ValueError, match="packing is 0"):
        tiny(packing=0)
    with pytest.raises(ValueError, match=r"do not fill packs of 2: set data.batch_size to a mult"):
        gan.discriminator_terms({"x": torch.rand(7, 3)})


def test_clipped_weights_stay_within_the_limit():
    gan = tiny(clipping=WeightClipping(0.05), discriminator_steps=2)
    before = [p.clone() for p in gan.generator.parameters()]
    assert any((p.abs() > 0.05).any() for p in gan.discriminator.parameters())
    play(gan, rounds=1)
    assert all((p.abs() <= 0.05).all() for p in gan.discriminator.parameters())
    assert any((p.abs() > 0.05).any() for p in before)
    network = nn.Linear(2, 2)
    nn.init.ones_(network.weight)
    WeightClipping(0.1, every=3)(network, 2)
    assert network.weight.max() == 1
    WeightClipping(0.1, every=3)(network, 3)
    assert network.weight.max() == torch.tensor(0.1)


def test_matched_features_are_those_before_the_last_layer(double):
    network = MLP((3,), (1,), (4,))
    x, y = torch.randn(6, 3), torch.randn(5, 3)
    with Listener(network) as heard:
        network(x)
        network(y)
    network(x)
    assert len(heard) == 2
    torch.testing.assert_close(heard[0], nnf.silu(network[0](x)))
    gap = heard[0].mean(0) - heard[1].mean(0)
    torch.testing.assert_close(FeatureMatching(3.0)(heard[0], heard[1]), 3 * gap.square().sum())
    gan = tiny(matching=FeatureMatching(2.0, alone=False))
    bare = tiny()
    bare.load_state_dict(gan.state_dict())
    losses = []
    for model in (gan, bare):
        torch.manual_seed(0)
        losses.append(model.generator_terms({"x": torch.rand(6, 3)})["generator_loss"])
    torch.manual_seed(0)
    x = torch.rand(6, 3)
    fake = gan.generator(torch.randn(6, 2)).sigmoid()
    hidden = lambda x: nnf.silu(gan.discriminator.head.network[0](x)).mean(0)  # noqa: E731
    torch.testing.assert_close(losses[0] - losses[1], 2 * (hidden(x) - hidden(fake)).square().sum())
    alone = tiny(matching=FeatureMatching())
    play(alone, rounds=2)
    with pytest.raises(ValueError, match="Identity has none"):
        Listener(nn.Identity())


def test_a_relativistic_generator_sees_real_events_and_leaves_no_trace():
    gan = tiny(cost=RelativisticCost())
    play(gan, rounds=3)
    torch.manual_seed(0)
    x = torch.rand(6, 3)
    torch.manual_seed(1)
    found = gan.generator_terms({"x": x})["generator_loss"]
    torch.manual_seed(1)
    fake = gan.discriminator(gan.generator(torch.randn(6, 2)).sigmoid()).logits
    real = gan.discriminator(x).logits
    torch.testing.assert_close(found, nnf.softplus(real - fake).mean())


@pytest.mark.parametrize(
    "options",
    [
        {"cost": RelativisticCost()},
        {"cost": RelativisticAverageCost()},
        {"matching": FeatureMatching()},
        {"matching": FeatureMatching(), "condition": Classes(3)},
    ],
)
def test_real_events_are_compared_by_a_discriminator_that_normalizes_batches(options):
    network = partial(DCGANDiscriminator, width=4, depth=2)
    kind = ConditionalGAN if "condition" in options else GAN
    gan = kind((1, 8, 8), latent=2, generator=small, discriminator=network, **options)
    batch = {"x": torch.rand(6, 1, 8, 8), "condition": torch.eye(3)[[0, 1, 2, 0, 1, 2]]}
    normalized = [m for m in gan.discriminator.modules() if isinstance(m, nn.BatchNorm2d)]
    before = int(normalized[0].num_batches_tracked)
    gan.generator_terms(batch)["generator_loss"].backward()
    assert int(normalized[0].num_batches_tracked) == before + 1  # of the generated ones alone
    assert any(p.grad.abs().sum() > 0 for p in gan.generator.parameters())


# Averages


def test_ramp_up_makes_the_average_young():
    shares = [float(newest_share(0.999, 0.1, torch.tensor(t))) for t in (1, 100, 10**6)]
    torch.testing.assert_close(shares[0], 1 - 2**-10)
    torch.testing.assert_close(shares[1], 1 - 2**-0.1)
    torch.testing.assert_close(shares[2], 0.001)
    weight = 1.0
    for t in range(901, 1001):  # of all that is older than a tenth of the steps
        weight *= 1 - float(newest_share(0.9999, 0.1, torch.tensor(t)))
    assert abs(weight - 0.5) < 0.03


# Conditions

HEADS = [Concatenation, Projection, AuxiliaryClassifier]


def conditional(head, classes=3) -> ConditionalGAN:
    return ConditionalGAN(
        (1, 4, 4), Classes(classes, head), latent=2, generator=small, discriminator=small
    )


@pytest.mark.parametrize("head", HEADS)
def test_classes_reach_both_players(head):
    gan = conditional(head)
    assert gan.generator[0].in_features == 5
    condition = torch.eye(3)[[0, 1, 2, 1]]
    assert gan.sample_given(condition).shape == (4, 1, 4, 4)
    assert gan.draw_codes(5)[:, 2:].argmax(1).tolist() == [0, 1, 2, 0, 1]
    x = torch.rand(4, 1, 4, 4)
    judged, other = gan.discriminator(x, condition), gan.discriminator(x, condition.roll(1, 1))
    if head is AuxiliaryClassifier:
        assert judged.told.shape == (4, 3)
        assert torch.equal(judged.logits, other.logits)
    else:
        assert not torch.allclose(judged.logits, other.logits)
    assert torch.isfinite(gan.judge({"x": x, "condition": condition}).fake_slope).all()


def test_features_of_a_projection_are_those_of_events():
    head = Projection(small, (1, 4, 4), 3, features=5)
    x = torch.rand(4, 1, 4, 4)
    with Listener(head) as heard:
        head(x, torch.eye(3)[[0, 1, 2, 1]])
    torch.testing.assert_close(heard[0], nnf.leaky_relu(head.network(x), 0.2))


def test_a_projection_adds_an_inner_product(double):
    head = Projection(small, (1, 4, 4), 3, features=5)
    x, condition = torch.rand(4, 1, 4, 4), torch.eye(3)[[0, 1, 2, 1]]
    features = nnf.leaky_relu(head.network(x), 0.2)
    embedded = head.embedding.weight.T[[0, 1, 2, 1]]
    expected = head.real(features)[:, 0] + (features * embedded).sum(1)
    torch.testing.assert_close(head(x, condition).logits, expected)


def test_both_players_lower_what_the_classifier_is_surprised_by(double):
    gan, bare = conditional(AuxiliaryClassifier), conditional(AuxiliaryClassifier)
    bare.load_state_dict(gan.state_dict())
    bare.discriminator.head.weight = 0.0
    x, condition = torch.rand(4, 1, 4, 4), torch.eye(3)[[0, 1, 2, 1]]
    terms = []
    for model in (gan, bare):
        torch.manual_seed(0)
        terms.append(model.loss({"x": x, "condition": condition}))
    torch.manual_seed(0)
    z = torch.randn(4, 2), torch.randn(4, 2)
    fakes = [gan.generator(torch.cat([noise, condition], 1)).sigmoid() for noise in z]
    classes = condition.argmax(1)
    surprise = [
        nnf.cross_entropy(gan.discriminator(y, condition).told, classes) for y in (x, *fakes)
    ]
    added = {
        "discriminator_loss": surprise[0] + surprise[1],
        "generator_loss": surprise[2],
    }
    for name, expected in added.items():
        torch.testing.assert_close(terms[0][name] - terms[1][name], expected)


def test_a_code_is_drawn_and_read_off(double):
    code = Code(3, 2, weight=2.0)
    drawn = code.draw(9000, torch.device("cpu"))
    share = drawn[:, :3].mean(0)
    assert ((share - 1 / 3).abs() < 4 * (2 / 9 / 9000) ** 0.5).all()
    assert (drawn[:, :3].sum(1) == 1).all()
    assert drawn[:, 3:].abs().max() <= 1
    assert abs(drawn[:, 3:].std() - 3**-0.5) < 0.01
    head = code.head(small, (1, 4, 4))
    assert isinstance(head, CodeReader)
    told, condition = torch.randn(4, 5), drawn[:4]
    category = torch.distributions.Categorical(logits=told[:, :3])
    gaussian = torch.distributions.Normal(told[:, 3:], 1.0)
    log_q = category.log_prob(condition[:, :3].argmax(1))
    log_q = log_q + gaussian.log_prob(condition[:, 3:]).sum(1)
    expected = -2 * (log_q.mean() + math.log(2 * math.pi))  # of two unit Gaussians
    torch.testing.assert_close(head.surprise(told, condition), expected)
    with pytest.raises(ValueError, match="tells nothing"):
        Code(0, 0)


def test_a_game_learns_to_tell_its_code():
    """Four points in the plane are four values of the code."""
    torch.manual_seed(0)
    gan = GAN(
        (2,), 2, lambda i, o: MLP(i, o, (32,)), lambda i, o: MLP(i, o, (32,)),
        condition=Code(4, 0), bounded=False,
        discriminator_optimizer=lambda p: torch.optim.Adam(p, lr=5e-3, betas=(0.5, 0.9)),
        generator_optimizer=lambda p: torch.optim.Adam(p, lr=5e-3, betas=(0.5, 0.9)),
    )  # fmt: skip
    corners = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    batches = [
        {"x": corners[torch.randint(4, (64,))] + 0.1 * torch.randn(64, 2)} for _ in range(400)
    ]
    trainer().fit(gan, torch.utils.data.DataLoader(batches, batch_size=None))
    with torch.no_grad():
        codes = gan.draw_codes(1000)
        told = gan.discriminator(gan.decode(codes), codes[:, 2:]).told
    right = (told.argmax(1) == codes[:, 2:].argmax(1)).float().mean()
    assert right > 0.9  # of which a quarter would be chance


@pytest.mark.parametrize("conditions", [{}, {"train": torch.eye(4)}])
def test_data_without_these_classes_are_refused(conditions):
    data = BarsAndStripes(4, repeats=1)
    data.setup("fit")
    data.conditions = conditions
    with pytest.raises(ValueError, match="3 classes, and this data has others or none"):
        trainer().fit(conditional(Projection), datamodule=data)


def test_a_conditional_game_learns_classes():
    """Of four points in the plane, each class has one."""
    torch.manual_seed(0)
    adam = lambda p: torch.optim.Adam(p, lr=5e-3, betas=(0.5, 0.9))  # noqa: E731
    gan = ConditionalGAN(
        (2,), Classes(4), latent=2, generator=lambda i, o: MLP(i, o, (32,)), bounded=False,
        discriminator=lambda i, o: MLP(i, o, (32,)),
        discriminator_optimizer=adam, generator_optimizer=adam,
    )  # fmt: skip
    corners = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    batches = []
    for _ in range(400):
        k = torch.randint(4, (64,))
        x = corners[k] + 0.1 * torch.randn(64, 2)
        batches.append({"x": x, "condition": torch.eye(4)[k]})
    trainer().fit(gan, torch.utils.data.DataLoader(batches, batch_size=None))
    k = torch.arange(400) % 4
    samples = gan.sample_given(torch.eye(4)[k])
    nearest = torch.cdist(samples, corners).argmin(1)
    assert (nearest == k).float().mean() > 0.95
