"""Flows: transformations against their autograd Jacobians, densities against integrals."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from genlit.flow import (
    NICE,
    MaskedAutoregressiveFlow,
    NeuralSplineFlow,
    RealNVP,
    ResidualConv,
)
from genlit.flow.couplings import AdditiveCoupling, AffineCoupling, checkerboard, first_half
from genlit.flow.gaussian import log_standard_normal
from genlit.flow.multiscale import multiscale
from genlit.flow.transformations import (
    Affine,
    Composition,
    FactorOut,
    Logit,
    Reshape,
    Squeeze,
    Transformation,
)
from genlit.networks import MLP

IMAGE = (2, 4, 4)
SMALL = (1, 4, 4)
conv = partial(ResidualConv, width=6, blocks=1)
mlp = partial(MLP, hidden=(12,))


def flattened(shape) -> Transformation:
    return Composition(Affine(shape), Reshape(shape, (math.prod(shape),)))


TRANSFORMATIONS = {
    "logit": (lambda: Logit(0.05), IMAGE),
    "affine": (lambda: Affine(IMAGE), IMAGE),
    "reshape": (lambda: Reshape(IMAGE, (32,)), IMAGE),
    "squeeze": (Squeeze, IMAGE),
    "factor_out": (lambda: FactorOut(IMAGE, flattened(SMALL)), IMAGE),
    "additive": (lambda: AdditiveCoupling(checkerboard((5,)), mlp), (5,)),
    "checkerboard": (lambda: AffineCoupling(checkerboard(IMAGE), conv), IMAGE),
    "channels": (lambda: AffineCoupling(first_half(IMAGE), conv), IMAGE),
    "folded": (lambda: AffineCoupling(checkerboard(IMAGE), partial(conv, fold=2)), IMAGE),
    "one_scale": (lambda: multiscale((1, 3, 5), 1, 3, conv), (1, 3, 5)),
    "three_scales": (lambda: multiscale(SMALL, 3, 2, conv), SMALL),
}  # fmt: skip
FLOWS = {
    "nice": lambda: NICE((1, 3, 3), 4, mlp),
    "nice_vectors": lambda: NICE((3,), 3, mlp),
    "realnvp": lambda: RealNVP(IMAGE, 2, 3, conv),
    "realnvp_odd": lambda: RealNVP((1, 3, 5), 1, 3, conv),
    "maf": lambda: MaskedAutoregressiveFlow((3,), 3, (16,)),
    "maf_images": lambda: MaskedAutoregressiveFlow((1, 2, 3), 2, (16,)),
    "spline": lambda: NeuralSplineFlow((3,), 2, (16,), 5),
}
every_flow = pytest.mark.parametrize("name", FLOWS)


def stirred(module: nn.Module, by: float = 0.1) -> nn.Module:
    """With every parameter moved, so that nothing is the identity any more."""
    for parameter in module.parameters():
        parameter.data += by * torch.randn_like(parameter)
    return module


def jacobian_log_det(f, x: torch.Tensor) -> torch.Tensor:
    """Log |det| of the dense Jacobian of f: (1, *shape) -> (1, D), for each event of a batch."""

    def flat(one):
        return f(one.view(1, *x.shape[1:]))[0].flatten()

    every = [torch.autograd.functional.jacobian(flat, one.flatten()) for one in x]
    return torch.stack(every).slogdet()[1]


def events(shape, n: int = 4) -> torch.Tensor:
    return torch.rand(n, *shape) if len(shape) == 3 else torch.randn(n, *shape)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_transformations_invert_and_know_their_jacobian(name, double):
    make, shape = TRANSFORMATIONS[name]
    f, x = stirred(make()), events(shape)
    assert isinstance(f, Transformation)
    z, log_det = f(x)

    torch.testing.assert_close(f.inverse(z), x)
    torch.testing.assert_close(f(f.inverse(z.roll(1, 0)))[0], z.roll(1, 0))
    torch.testing.assert_close(log_det, jacobian_log_det(f, x))


@every_flow
def test_densities_are_those_of_a_change_of_variables(name, double):
    flow = stirred(FLOWS[name]())
    x = events(flow.shape)
    z = flow.encode(x)

    assert z.shape == (len(x), flow.dims)
    expected = log_standard_normal(z) + jacobian_log_det(flow.transformation, x)
    torch.testing.assert_close(flow.log_prob(x), expected)
    torch.testing.assert_close(flow.decode(z), x)
    z = 0.1 * torch.randn(5, flow.dims)  # near the middle, so that images need not be clamped
    torch.testing.assert_close(flow.encode(flow.transformation.inverse(z)), z)


@pytest.mark.parametrize("make", [
    lambda: NICE((2,), 4, mlp),
    lambda: MaskedAutoregressiveFlow((2,), 3, (16,)),
    lambda: NeuralSplineFlow((2,), 2, (16,)),
])  # fmt: skip
def test_densities_integrate_to_one(make, double):
    flow = stirred(make())
    side = torch.linspace(-12, 12, 301)
    grid = torch.cartesian_prod(side, side)
    cell = (side[1] - side[0]) ** 2
    with torch.no_grad():
        assert float(flow.log_prob(grid).exp().sum() * cell) == pytest.approx(1, abs=1e-3)


def test_a_density_of_pixels_integrates_to_one_over_the_unit_square(double):
    """All but what log-odds of 0 and 1 cut off, which noise beyond 9 deviations would reach."""
    flow = stirred(RealNVP((1, 1, 2), 1, 2, conv, alpha=1e-4), 0.05)
    side = (torch.arange(200) + 0.5) / 200
    grid = torch.cartesian_prod(side, side).view(-1, 1, 1, 2)
    with torch.no_grad():
        total = flow.log_prob(grid).exp().mean()
    assert float(total) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("mask", [checkerboard(IMAGE), first_half(IMAGE), 1 - checkerboard(IMAGE)])
def test_masks_say_what_depends_on_what(mask, double):
    f = stirred(AffineCoupling(mask, partial(conv, blocks=3)))
    x = torch.randn(1, *IMAGE)
    jacobian = torch.autograd.functional.jacobian(lambda y: f(y)[0], x).view(32, 32)
    seen = mask.flatten().bool()

    assert (jacobian[seen] == torch.eye(32)[seen]).all()
    among = jacobian[~seen][:, ~seen]
    assert (among == among.diag().diag()).all()
    assert (jacobian[~seen][:, seen] != 0).any()


def test_checkerboards_and_halves_are_what_their_names_say():
    board = checkerboard((2, 3, 4))
    assert board[0].tolist() == [[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]
    assert (board[0] == board[1]).all()
    assert checkerboard((5,)).tolist() == [1, 0, 1, 0, 1]
    assert first_half((4, 1, 1)).flatten().tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(("make", "shape"), [
    (lambda: multiscale((1, 8, 8), 3, 4, conv), (1, 8, 8)),
    (lambda: NICE((6,), 4, mlp).transformation, (6,)),
])  # fmt: skip
def test_flows_start_as_the_identity(make, shape):
    """But for the order of entries."""
    x = torch.randn(3, *shape)
    z, log_det = make()(x)
    assert (log_det == 0).all()
    assert torch.equal(z.sort(1).values, x.flatten(1).sort(1).values)


@every_flow
def test_every_parameter_learns(name):
    flow = stirred(FLOWS[name]())
    flow.loss({"x": events(flow.shape, 50)})["loss"].backward()
    for parameter_name, parameter in flow.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.any(), parameter_name


@every_flow
def test_the_entropy_is_that_of_the_noise_less_the_volume(name, double):
    """E[log p(x)] over samples is E[log N(z)] plus the mean log-determinant at the samples."""
    flow = stirred(FLOWS[name](), 0.02)
    n = 2000
    x = flow.transformation.inverse(torch.randn(n, flow.dims)).view(n, *flow.shape)
    with torch.no_grad():
        log_p, (_, log_det) = flow.log_prob(x), flow.transformation(x)
    entropy_of_noise = 0.5 * flow.dims * math.log(2 * math.pi * math.e)
    stderr = (flow.dims / 2 / n) ** 0.5
    assert abs(float((log_p - log_det).mean()) + entropy_of_noise) < 4 * stderr


@pytest.mark.parametrize("make", [
    lambda: RealNVP((1, 8, 8), 2, 2, conv),
    lambda: NICE((1, 8, 8), 4, mlp),
    lambda: MaskedAutoregressiveFlow((1, 4, 4), 2, (16,)),
])  # fmt: skip
def test_extreme_images_have_finite_densities_and_gradients(make):
    flow = make()
    nearly = 1 - 2**-24
    x = torch.stack([torch.full(flow.shape, v) for v in (0.0, 1.0, nearly, 2**-30, 0.5)])
    checks = checkerboard(flow.shape)[None]
    x = torch.cat([x, checks, checks * nearly])
    flow.settle(x)
    log_p = flow.log_prob(x)
    log_p.mean().backward()

    assert log_p.isfinite().all()
    assert all(p.grad.isfinite().all() for p in flow.parameters() if p.grad is not None)
    torch.testing.assert_close(flow.decode(flow.encode(x)), x, rtol=0, atol=1e-4)
    samples = flow.decode(100 * torch.randn(20, flow.dims))
    assert samples.isfinite().all()
    assert samples.min() >= 0
    assert samples.max() <= 1


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (-0.5, 0.5), (0.0, 255.0)])
def test_densities_do_not_depend_on_the_scale_of_pixels(low, high, double):
    """A flow behind a change of scale, less the volume of that: bits per dimension are the same."""
    flow = stirred(RealNVP(SMALL, 2, 2, conv))
    scale = Affine(SMALL)
    scale.log_scale.data.fill_(math.log(1 / (high - low)))
    scale.shift.data.fill_(-low)
    x = torch.rand(5, *SMALL)
    rescaled = low + (high - low) * x
    y, log_det = scale(rescaled)

    torch.testing.assert_close(y, x)
    in_its_units = flow.log_prob(y) + log_det
    torch.testing.assert_close(in_its_units + 16 * math.log(high - low), flow.log_prob(x))


def test_settling_takes_the_data_to_mean_0_and_deviation_1_once():
    flow = RealNVP((1, 8, 8), 2, 2, conv)
    x = 0.1 * torch.rand(100, 1, 8, 8)
    flow.settle(x)
    z = flow.encode(x)
    assert float(z.mean()) == pytest.approx(0, abs=0.03)
    assert float(z.std()) == pytest.approx(1, abs=0.03)
    before = {k: v.clone() for k, v in flow.state_dict().items()}
    flow.settle(torch.rand(100, 1, 8, 8))
    assert all(torch.equal(v, before[k]) for k, v in flow.state_dict().items())


@pytest.mark.parametrize("name", ["realnvp", "spline", "nice"])
def test_half_precision_of_networks_leaves_log_determinants_whole(name):
    flow = stirred(FLOWS[name]())
    x = events(flow.shape, 50)
    with torch.autocast("cpu", torch.bfloat16):
        log_p, z = flow.log_prob(x), flow.encode(x)
        back = flow.decode(z)
    assert (log_p.dtype, z.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-2)
    torch.testing.assert_close(log_p, flow.log_prob(x), rtol=0.1, atol=1.0)


def test_a_flow_is_a_part_of_another_model(double):
    """As the prior of a variational autoencoder would be: no Trainer, gradients to the code."""
    density = partial(MaskedAutoregressiveFlow, transforms=2, hidden=(8,))
    prior = density((3,))
    mean = torch.zeros(3, requires_grad=True)
    value = prior.log_prob(mean + torch.randn(10, 3)).mean()
    value.backward()

    assert mean.grad.any()
    assert prior.sample(7).shape == (7, 3)
    assert prior.sample(1000).abs().max() > 1  # vectors are not clamped
    outer = nn.ModuleDict({"prior": prior})
    assert outer.state_dict()


@pytest.mark.parametrize(("make", "message"), [
    (lambda: RealNVP((1, 6, 6), 3), "3 scales need images with sides that are multiples of 4"),
    (lambda: RealNVP((1, 6, 6), 0), "set scales to a smaller number, 1 or more"),
    (lambda: RealNVP((5,)), "take genlit.flow.NeuralSplineFlow for vectors"),
    (lambda: NICE((5,), 3, ResidualConv), "take MLP"),
    (lambda: Logit(0.0), "alpha is 0.0: it must be above 0"),
])  # fmt: skip
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
