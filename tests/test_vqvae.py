"""Codes against brute force; the bound against a sum over all grids of codes."""

from functools import partial
from itertools import product

import pytest
import torch

from genlit.networks import GridDecoder, GridEncoder
from genlit.vae import VQVAE
from genlit.vae.codebook import Codebook, perplexity
from genlit.vae.vqvae import IndependentCodes
from tests import small

NETWORKS = (partial(GridEncoder, width=8, blocks=1), partial(GridDecoder, width=8, blocks=1))


def tiny(**arguments) -> VQVAE:
    return VQVAE((1, 8, 4), 3, 2, *NETWORKS, **arguments)


def test_the_nearest_vector_is_chosen(double):
    book, points = Codebook(7, 3), torch.randn(50, 3)
    assert torch.equal(book(points), torch.cdist(points, book.vectors).argmin(1))


def test_vectors_are_moving_averages_of_their_points(double):
    book = Codebook(2, 1, decay=0.5)
    book.vectors.copy_(torch.tensor([[0.0], [10.0]]))
    book.counts.fill_(1.0)
    book.sums.copy_(book.vectors)
    book.follow(torch.tensor([[1.0], [2.0], [14.0]]))
    torch.testing.assert_close(book.counts, torch.tensor([1.5, 1.0]))
    torch.testing.assert_close(book.sums, torch.tensor([[1.5], [12.0]]))
    torch.testing.assert_close(book.vectors, torch.tensor([[1.0], [12.0]]), rtol=1e-4, atol=0)


def test_many_steps_lead_to_the_means(double):
    book = Codebook(2, 2, decay=0.9)
    points = torch.cat([torch.randn(40, 2), torch.randn(60, 2) + 20])
    for _ in range(300):
        book.follow(points)
    means = torch.stack([points[:40].mean(0), points[40:].mean(0)])
    found = book.vectors[book.vectors[:, 0].argsort()]
    torch.testing.assert_close(found, means, rtol=1e-4, atol=1e-4)


def test_vectors_that_nobody_uses_begin_anew():
    book, points = Codebook(2, 1, decay=0.5), torch.full((5, 1), 3.0)
    book.vectors.copy_(torch.tensor([[3.0], [-50.0]]))
    book.counts.fill_(1.0)
    book.sums.copy_(book.vectors)
    for _ in range(10):
        book.follow(points)
    torch.testing.assert_close(book.vectors, torch.full((2, 1), 3.0), rtol=1e-4, atol=0)


def test_perplexity_counts_what_is_in_use():
    torch.testing.assert_close(perplexity(torch.tensor([0, 1, 2, 0, 1, 2]), 5).item(), 3.0)
    assert perplexity(torch.zeros(4, dtype=torch.long), 5) == 1


def test_independent_codes_sum_to_one_and_are_drawn_so(double):
    prior = IndependentCodes((1, 2, 1), 3)
    torch.nn.init.normal_(prior.logits)
    grid = torch.tensor([[a / 2, b / 2] for a, b in product(range(3), repeat=2)]).view(9, 1, 2, 1)
    log_p = prior.log_prob(grid).detach()
    torch.testing.assert_close(log_p.logsumexp(0).item(), 0.0, atol=1e-12, rtol=0.0)
    drawn = (prior.sample(20_000).flatten(1) * 2).round().long()
    share = torch.bincount(3 * drawn[:, 0] + drawn[:, 1], minlength=9) / 20_000
    p = log_p.exp()
    assert ((share - p).abs() < 4 * (p * (1 - p) / 20_000).sqrt()).all()


def test_the_bound_is_below_the_sum_over_all_codes(double):
    model, x = tiny().eval(), torch.rand(4, 1, 8, 4).round()
    torch.nn.init.normal_(model.prior.logits)
    every = torch.tensor(list(product(range(3), repeat=2))).view(9, 2, 1)
    with torch.no_grad():
        decoded = model.decoder(model.vectors(every))
        log_p = model.observation.log_prob(decoded[:, None].expand(-1, 4, -1, -1, -1), x)
        exact = torch.logsumexp(log_p + model.log_prior(every)[:, None], 0)
        bound = model.log_prob_bound(x, 1)
        chosen = model.codes(x).flatten(1) @ torch.tensor([3, 1])
        at = (log_p + model.log_prior(every)[:, None])[chosen, torch.arange(4)]
    torch.testing.assert_close(bound, at)
    assert (bound < exact).all()
    terms = model.loss({"x": x})
    torch.testing.assert_close(
        terms["loss"] - 0.25 * terms["commitment"], -bound.mean(), rtol=1e-9, atol=0
    )


def test_the_decoders_gradient_passes_straight_through(double):
    model, x = tiny(commitment=0.0).eval(), torch.rand(4, 1, 8, 4).round()
    points = model.encoder(x).detach()
    vectors = model.vectors(model.codes(x)).requires_grad_()
    (-model.observation.log_prob(model.decoder(vectors), x).mean()).backward()
    seen = []
    model.encoder[-1].register_full_backward_hook(lambda *a: seen.append(a[2][0]))
    model.loss({"x": x})["loss"].backward()
    torch.testing.assert_close(seen[0], vectors.grad)
    assert points.shape == vectors.shape


def test_commitment_draws_the_encoder_alone(double):
    model, x = tiny(commitment=2.0).eval(), torch.rand(4, 1, 8, 4).round()
    terms = model.loss({"x": x})
    points = model.encoder(x)
    gap = points - model.vectors(model.codes(x))
    torch.testing.assert_close(terms["commitment"], gap.square().sum((1, 2, 3)).mean())
    assert not any(name.startswith("codebook") for name, _ in model.named_parameters())


def test_held_out_events_do_not_move_the_codes():
    model, x = tiny(), torch.rand(4, 1, 8, 4).round()
    before = model.codebook.vectors.clone()
    model.eval().loss({"x": x})
    assert torch.equal(model.codebook.vectors, before)
    model.train().loss({"x": x})
    assert not torch.equal(model.codebook.vectors, before)


def test_answers_have_their_shapes_and_codes_come_back():
    model, x = tiny().eval(), torch.rand(5, 1, 8, 4).round()
    assert model.sample(3).shape == (3, 1, 8, 4)
    z = model.encode(x)
    assert z.shape == (5, 4)
    torch.testing.assert_close(model.reconstruct(x), model.decode(z + 1e-6))
    assert ((model.denoise(x) > 0) & (model.denoise(x) < 1)).all()


def test_what_makes_no_grid_is_refused(tmp_path):
    with pytest.raises(ValueError, match="VQVAE needs images"):
        VQVAE((6,))
    with pytest.raises(ValueError, match="size is 1: codes are 2 to 256"):
        VQVAE((1, 8, 8), 1)
    with pytest.raises(ValueError, match="GridEncoder is between images"):
        GridEncoder((1, 8, 8), (3, 4, 4))
    other = VQVAE(small.Digits.shape, 3, 2, *NETWORKS, prior=partial(IndependentCodes, size=4))
    torch.nn.init.normal_(other.prior.logits)
    with pytest.raises(ValueError, match="other values than 3 codes: give it the law"):
        small.trainer(tmp_path).fit(other, small.digits("vae"))
