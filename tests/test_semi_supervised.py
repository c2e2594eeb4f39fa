"""Few labels: what the bounds, the game and the data of semi-supervised models are, exactly."""

import math
from functools import partial
from itertools import islice

import lightning as L
import pytest
import torch
from torch import nn
from torch.nn import functional as nnf

from genlit.callbacks import Checkpoints
from genlit.cli import main
from genlit.data import MNIST, SemiSupervised
from genlit.data.semi_supervised import balanced
from genlit.discriminative import Classifier
from genlit.gan import NonSaturatingCost, SemiSupervisedGAN
from genlit.gan.heads import ClassLogits
from genlit.gan.matching import Listener
from genlit.likelihoods import Bernoulli, SharedNormal
from genlit.networks import MLP, BatchNormMLP, NoisyMLP
from genlit.networks.noisy import NoisyLinear
from genlit.protocols import labelled_pairs
from genlit.runs import read_results
from genlit.tasks import Classification
from genlit.vae import LatentClassifier
from genlit.vae.class_layer import ClassLayer
from genlit.vae.classes import candidates, marginal_bound
from genlit.vae.posteriors import Diagonal
from tests import small

SMALL = partial(MLP, hidden=(8,))
LINEAR = partial(MLP, hidden=())


class TestSumOverClasses:
    """U(x) of the sum over classes."""

    def test_it_is_the_sum_written_out(self, double):
        log_q, bounds = torch.randn(5, 4).log_softmax(1), 3 * torch.randn(5, 4)
        pairs = candidates(log_q, 0.0)
        found = marginal_bound(pairs, bounds[pairs.event, pairs.label])
        q = log_q.exp()
        for k in range(5):
            written = sum(float(q[k, y] * (bounds[k, y] - log_q[k, y])) for y in range(4))
            assert found[k].item() == pytest.approx(written, rel=1e-12)

    def test_it_is_a_bound_and_tight_where_q_is_right(self, double):
        bounds = 3 * torch.randn(50, 4)
        exact = bounds.logsumexp(1)
        for log_q, tight in (
            (torch.randn(50, 4).log_softmax(1), False),
            (bounds.log_softmax(1), True),
        ):
            for least in (0.0, 0.1, 0.3):
                pairs = candidates(log_q, least)
                found = marginal_bound(pairs, bounds[pairs.event, pairs.label])
                assert (found <= exact + 1e-12).all()
            if tight:
                whole = candidates(log_q, 0.0)
                found = marginal_bound(whole, bounds[whole.event, whole.label])
                torch.testing.assert_close(found, exact)

    def test_only_classes_that_are_not_worth_it_are_left_out(self):
        log_q = torch.tensor([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]]).log()
        pairs = candidates(log_q, 0.15)
        assert pairs.event.tolist() == [0, 0, 1, 1, 1]
        assert pairs.label.tolist() == [0, 1, 0, 1, 2]
        torch.testing.assert_close(pairs.log_q[0].exp(), torch.tensor([7 / 9, 2 / 9, 0.0]))
        assert candidates(log_q, 0.9).label.tolist() == [0, 0]  # the best one stays
        assert len(candidates(log_q, 0.0).event) == 6

    def test_its_gradient_turns_the_classifier_to_classes_with_better_bounds(self, double):
        logits, bounds = torch.randn(6, 4, requires_grad=True), torch.randn(6, 4)
        for least in (0.0, 0.2):
            pairs = candidates(logits.log_softmax(1), least)
            value = marginal_bound(pairs, bounds[pairs.event, pairs.label]).sum()
            (found,) = torch.autograd.grad(value, logits)
            log_q = pairs.log_q.detach()
            q, gain = log_q.exp(), (bounds - log_q).where(log_q.isfinite(), 0.0)
            torch.testing.assert_close(found, q * (gain - (q * gain).sum(1, keepdim=True)))


def layer(classes: int = 3, latent: int = 2, least: float = 0.0) -> ClassLayer:
    return ClassLayer((1, 2, 2), classes, latent, 6, least, SMALL, SMALL, SMALL, Bernoulli)


class TestM2:
    def test_unlabelled_events_have_the_bounds_of_labelled_ones_summed(self, double):
        m2, x = layer(), torch.rand(7, 1, 2, 2).round()
        with torch.no_grad():
            m2.code.weight[2:], m2.code.bias[2:] = 0.0, -40.0  # codes without noise
            given = torch.stack([m2.bound_given(x, y) for y in m2.every_label(7)], 1)
            log_q = m2.log_q(x)
            torch.testing.assert_close(m2.bound(x), (log_q.exp() * (given - log_q)).sum(1))

    def test_classes_left_out_change_little(self, double):
        m2, few, x = layer(), layer(least=1e-4), torch.rand(7, 1, 2, 2).round()
        few.load_state_dict(m2.state_dict())
        with torch.no_grad():
            for one in (m2, few):
                one.classifier[-1].weight.mul_(40)
                one.code.weight[2:], one.code.bias[2:] = 0.0, -40.0
            q = m2.log_q(x).exp()
            assert ((q < 1e-4).sum(), (q > 1e-4).sum()) != (0, 21)  # there are such classes
            torch.testing.assert_close(few.bound(x), m2.bound(x), rtol=0, atol=1e-2)

    def test_loss_is_that_of_the_paper(self, double):
        m2, x = layer(), torch.rand(7, 1, 2, 2).round()
        y, known = torch.eye(3)[[0, 2]], torch.rand(2, 1, 2, 2).round()
        with torch.no_grad():
            terms = {k: float(v) for k, v in m2.terms(x, known, y, 0.2, 0.1).items()}
            surprise = -float((m2.log_q(known) * y).sum(1).mean())
        assert terms["surprise"] == pytest.approx(surprise)
        loss = -0.8 * terms["unlabelled_bound"] - 0.2 * terms["labelled_bound"] + 0.1 * surprise
        assert terms["loss"] == pytest.approx(loss)


class LinearGaussian:
    """Σ_y 1/K ∫ N(x; a z + m_y, s²) N(z; 0, 1) dz, of which everything is known."""

    def __init__(self) -> None:
        self.a, self.m = (
            torch.tensor([0.8, -0.5]),
            torch.tensor([[0.0, 0.0], [1.0, 0.5], [-1.0, 1]]),
        )
        self.s = 0.6
        law = partial(SharedNormal, std=self.s, learned=False)
        self.layer = ClassLayer((2,), 3, 1, 4, 0.0, LINEAR, LINEAR, LINEAR, law)
        with torch.no_grad():
            (out,) = self.layer.decoder
            out.weight.copy_(torch.cat([self.a[:, None], self.m.T], 1))
            out.bias.zero_()

    def log_joint(self, x):
        """log p(x, y), (B, 3)."""
        cov = torch.outer(self.a, self.a) + self.s**2 * torch.eye(2)
        laws = [torch.distributions.MultivariateNormal(m, cov) for m in self.m]
        return torch.stack([law.log_prob(x) for law in laws], 1) - math.log(3)

    def posterior(self, x, labels) -> Diagonal:
        precision = 1 + self.a @ self.a / self.s**2
        mean = (x - labels @ self.m) @ self.a / self.s**2 / precision
        return Diagonal(mean[:, None], -0.5 * precision.log().expand(len(x), 1))


class TestKnownModel:
    def test_bounds_are_below_the_density(self, double):
        known, x = LinearGaussian(), torch.randn(5, 2)
        exact, joint = known.log_joint(x).logsumexp(1), known.log_joint(x)
        with torch.no_grad():
            of_x = known.layer.bound(x.repeat(4000, 1)).view(4000, 5)
            y = torch.eye(3)[1].expand(20_000, -1)
            of_pair = known.layer.bound_given(x.repeat(4000, 1), y).view(4000, 5)
        assert (of_x.mean(0) + 4 * of_x.std(0) / 4000**0.5 < exact).all()
        assert (of_pair.mean(0) + 4 * of_pair.std(0) / 4000**0.5 < joint[:, 1]).all()

    def test_bounds_are_tight_with_the_right_posteriors(self, double, monkeypatch):
        known, x = LinearGaussian(), torch.randn(5, 2)
        exact = known.log_joint(x)
        monkeypatch.setattr(known.layer, "log_q", lambda x: known.log_joint(x).log_softmax(1))
        known.layer.encoder = nn.Identity()
        monkeypatch.setattr(known.layer, "recognition", known.posterior)
        with torch.no_grad():
            found = known.layer.bound(x.repeat(40_000, 1)).view(40_000, 5)
        error = found.std(0) / 40_000**0.5
        assert ((found.mean(0) - exact.logsumexp(1)).abs() < 4 * error).all()

    def test_importance_weights_tell_the_density(self, double):
        known, x = LinearGaussian(), torch.randn(5, 2)
        with torch.no_grad():
            found = known.layer.log_prob_estimate(x, 100_000, 100_000)
        torch.testing.assert_close(found, known.log_joint(x).logsumexp(1), rtol=0, atol=0.03)


class TestGame:
    def test_realness_is_that_of_a_softmax_with_one_more_class(self, double):
        head, x = ClassLogits(SMALL, (1, 2, 2), 4), torch.rand(9, 1, 2, 2)
        judged = head(x, None)
        softmax = torch.cat([judged.told, torch.zeros(9, 1)], 1).log_softmax(1)
        real, generated = softmax[:, :4].logsumexp(1), softmax[:, 4]
        torch.testing.assert_close(nnf.logsigmoid(judged.logits), real)
        torch.testing.assert_close(nnf.logsigmoid(-judged.logits), generated)
        cost = NonSaturatingCost().discriminator(judged.logits, judged.logits)
        torch.testing.assert_close(cost, -(real + generated).mean())
        given_real = softmax[:, :4] - real[:, None]
        torch.testing.assert_close(judged.told.log_softmax(1), given_real)

    def test_unlabelled_events_raise_all_logits_and_generated_ones_lower_them(self, double):
        logits = torch.randn(1, 4, requires_grad=True)
        realness = logits.logsumexp(1)
        share, d = logits.softmax(1), realness.sigmoid()
        cost = NonSaturatingCost()
        anchor = torch.zeros(1)
        (real,) = torch.autograd.grad(
            cost.discriminator(realness, anchor), logits, retain_graph=True
        )
        (fake,) = torch.autograd.grad(cost.discriminator(anchor, realness), logits)
        torch.testing.assert_close(real, -(1 - d)[:, None] * share)
        torch.testing.assert_close(fake, d[:, None] * share)

    def test_labelled_events_add_their_cross_entropy(self):
        gan = SemiSupervisedGAN(
            (1, 4, 4), 3, weight=2.0, latent=2, generator=SMALL, discriminator=SMALL
        )
        x, known, y = torch.rand(6, 1, 4, 4), torch.rand(2, 1, 4, 4), torch.eye(3)[[0, 2]]
        batch = {"x": x, "labelled_x": known, "labelled_condition": y}
        torch.manual_seed(3)
        found = gan.discriminator_terms(batch)
        torch.manual_seed(3)
        alone = super(SemiSupervisedGAN, gan).discriminator_terms(batch)["discriminator_loss"]
        logits = gan.discriminator(known).told
        expected = alone - 2 * (logits.log_softmax(1) * y).sum(1).mean()
        torch.testing.assert_close(found["discriminator_loss"], expected)

    def test_events_are_classified_by_averaged_weights(self):
        gan = SemiSupervisedGAN((1, 4, 4), 3, latent=2, generator=SMALL, discriminator=SMALL)
        x, before = torch.rand(6, 1, 4, 4), {}
        for name, p in gan.discriminator.named_parameters():
            before[name] = p.detach().clone()
            p.data.add_(1.0)
        gan.average_decay = 0.75
        for k in (1, 2):  # weights of 1 / 1.75 and 0.75 / 1.75
            gan.discriminator_updates.fill_(k)
            gan.after_discriminator({}, 6)
            for p in gan.discriminator.parameters():
                p.data.add_(1.0)
        for name, p in gan.averaged_discriminator.named_parameters():
            torch.testing.assert_close(p, before[name] + 1 + 1 / 1.75)
        with torch.no_grad():
            expected = gan.averaged_discriminator.head.network(x).log_softmax(1)
        torch.testing.assert_close(gan.classify(x), expected)


class TestNoisyNetworks:
    def test_length_and_direction_are_apart(self):
        layer, x = NoisyLinear(5, 3, noise=0.5).eval(), torch.randn(4, 5)
        before = layer(x)
        with torch.no_grad():
            layer.weight.mul_(7)
        torch.testing.assert_close(layer(x), before)
        with torch.no_grad():
            layer.length.mul_(2)
        torch.testing.assert_close(layer(x), 2 * before)

    def test_noise_is_of_training_alone_and_features_are_heard_without_it(self):
        network, x = NoisyMLP((3,), (2,), (20,), input_noise=0.0, noise=0.5), torch.randn(4, 3)
        with Listener(network) as heard:
            outputs = [network(x) for _ in range(2)]
        assert (outputs[0] != outputs[1]).all()
        assert torch.equal(heard[0], heard[1])
        torch.testing.assert_close(network.eval()(x), network(x), rtol=0, atol=0)

    def test_noise_has_its_deviation(self):
        layer = NoisyLinear(2, 1, noise=0.5)
        found = layer(torch.zeros(20_000, 2)).std() / layer.length
        assert found.item() == pytest.approx(0.5, abs=4 * 0.5 / 40_000**0.5)

    def test_batches_are_normalized(self):
        network = BatchNormMLP((3,), (1, 2, 2), (8,), nn.Identity)
        with Listener(network) as heard:
            assert network(5 + 3 * torch.randn(500, 3)).shape == (500, 1, 2, 2)
        torch.testing.assert_close(heard[0].mean(0), torch.zeros(8), rtol=0, atol=1e-4)
        torch.testing.assert_close(heard[0].std(0), torch.ones(8), rtol=0, atol=1e-2)


def few(labels: int = 30, seed: int = 0, labelled: int = 8, run: int = 0) -> SemiSupervised:
    data = SemiSupervised(small.Digits(20, binarize="dynamic"), labels, seed, labelled)
    torch.manual_seed(run)
    data.setup("fit")
    return data


class TestData:
    def test_labels_are_balanced_and_fewer_are_among_more(self):
        classes = torch.randint(5, (400,))
        some, more = (set(balanced(classes, 5, n, 0).tolist()) for n in (10, 50))
        assert len(some) == 10
        assert some < more
        for chosen, n in ((some, 2), (more, 10)):
            assert classes[list(chosen)].bincount(minlength=5).tolist() == [n] * 5
        assert set(balanced(classes, 5, 10, 1).tolist()) != some

    def test_labels_are_those_of_their_seed_whatever_the_run(self):
        assert torch.equal(few(run=0).labelled, few(run=1).labelled)
        assert not torch.equal(few(seed=0).labelled, few(seed=1).labelled)

    @pytest.mark.parametrize(("labels", "told"), [(25, "such as 30"), (300, "240 or less")])
    def test_labels_that_cannot_be_balanced_are_refused(self, labels, told):
        with pytest.raises(ValueError, match=told):
            few(labels)

    def test_images_without_labels_are_refused(self):
        with pytest.raises(ValueError, match="labels to true"):
            SemiSupervised(MNIST()).setup("fit")

    def test_batches_tell_no_label_but_those_that_were_given(self):
        data = few()
        given = data.splits["train"][data.labelled]
        classes = data.conditions["train"][data.labelled]
        for batch in data.train_dataloader():
            assert batch.keys() == {"x", "labelled_x", "labelled_condition"}
            assert batch["x"].shape == (20, 1, 28, 28)
            assert batch["labelled_x"].shape == (8, 1, 28, 28)
            for x, y in zip(batch["labelled_x"], batch["labelled_condition"], strict=True):
                lit = (x.bool() & (given == 0)).flatten(1).any(1)  # drawn as 1 where it is black
                assert any((classes[~lit] == y).all(1))

    def test_all_labelled_images_are_seen_before_one_is_seen_again(self):
        data = SemiSupervised(small.Digits(20, binarize="none"), 30, 0, 8)
        torch.manual_seed(0)
        data.setup("fit")
        loader, seen = data.train_dataloader(), []
        for epoch in range(2):
            loader.set_epoch(epoch)
            seen += [b["labelled_x"] for b in loader]
        codes = torch.cat(seen).flatten(1) @ torch.rand(784)
        assert len(codes) == 192
        for first in range(0, 180, 30):
            assert len(codes[first : first + 30].unique()) == 30

    def test_two_processes_share_a_batch(self):
        data = few(labelled=8)
        loader = data.train_dataloader()
        half = few(labelled=4)
        half.batch_size = 10
        parts = [half.train_dataloader() for _ in range(2)]
        for rank, part in enumerate(parts):
            part.rank, part.world_size = rank, 2
        for whole, *shares in zip(loader, *parts, strict=True):
            for key, value in whole.items():
                assert torch.equal(value, torch.cat([s[key] for s in shares]))

    def test_batches_go_on_where_they_were(self):
        loader, data = few().train_dataloader(), few(run=5)
        loader.set_epoch(1)
        *_, last = islice(loader, 7)
        state = loader.state_dict()
        resumed = data.train_dataloader()
        resumed.load_state_dict(state)
        resumed.set_epoch(1)
        rest = list(resumed)
        assert len(rest) == 5
        expected = list(islice(loader, 12))[7:]
        for a, b in zip(rest, expected, strict=True):
            assert all(torch.equal(a[key], b[key]) for key in a)
        assert not torch.equal(last["labelled_x"], rest[0]["labelled_x"])

    def test_pairs_are_those_set_apart_or_else_all(self):
        x, y = torch.rand(3, 2), torch.eye(3)
        assert labelled_pairs({"x": x, "condition": y}, 3) == (x, y)
        known = {"labelled_x": x[:1], "labelled_condition": y[:1]}
        assert labelled_pairs({"x": x, **known}, 3)[0].shape == (1, 2)
        with pytest.raises(ValueError, match="nothing in this data is labelled"):
            labelled_pairs({"x": x}, 3)
        with pytest.raises(ValueError, match=r"classes is 4.*shape \(3,\)"):
            labelled_pairs({"x": x, "condition": y}, 4)


class TestStages:
    def test_each_part_learns_in_its_own_stage(self, tmp_path):
        for name in ("m1", "m1m2"):
            model, data = small.MODELS[name](), small.digits(name)
            states = [{k: v.clone() for k, v in model.state_dict().items()}]
            for epochs in (1, 2):
                folder = tmp_path / name
                trainer = small.trainer(folder, Checkpoints(), max_epochs=epochs)
                path = folder / "checkpoints" / "last.ckpt" if epochs == 2 else None
                trainer.fit(model, datamodule=data, ckpt_path=path, weights_only=True)
                states.append({k: v.clone() for k, v in model.state_dict().items()})
            for stage in (0, 1):
                for key, value in states[stage].items():
                    learns = key.startswith("top.") == bool(stage) and key != "stage"
                    changed = not torch.equal(value, states[stage + 1][key])
                    assert changed == learns or key == "stage", (name, stage, key)

    def test_drawing_codes_leaves_no_trace_in_the_encoder(self):
        model = LatentClassifier((1, 4, 4), codes=3, epochs=1, encoder=BatchNormMLP).train()
        model.stage.fill_(1)
        before = [buffer.clone() for buffer in model.encoder.buffers()]
        x = torch.rand(8, 1, 4, 4).round()
        labels = {"labelled_x": x, "labelled_condition": torch.eye(10)[:8]}
        model.loss({"x": x, **labels})["loss"].backward()
        assert len(before) > 0
        assert all(map(torch.equal, before, model.encoder.buffers()))

    def test_a_stage_shows_its_own_numbers_alone(self, tmp_path):
        shown = []

        class Look(L.Callback):
            def on_train_epoch_end(self, trainer, pl_module):
                shown.append({name.partition("/")[2] for name in trainer.callback_metrics})

        trainer = small.trainer(tmp_path, Look(), max_epochs=2)
        trainer.fit(small.MODELS["m1m2"](), datamodule=small.digits("m1m2"))
        assert shown[0] == {"loss", "vae_elbo", "vae_kl", "vae_reconstruction"}
        assert shown[1] == {"loss", "unlabelled_bound", "labelled_bound", "surprise", "error"}

    def test_m2_takes_the_place_of_the_prior(self):
        model = small.MODELS["m1m2"]()
        z = torch.randn(3, 5, 4)
        normal = -0.5 * (z**2).sum(-1) - 2 * math.log(2 * math.pi)
        torch.testing.assert_close(model.log_prior(z), normal)
        model.require_known_prior()
        model.stage.fill_(1)
        with pytest.raises(ValueError, match="StackedVAE only estimates log p"):
            model.require_known_prior()
        torch.manual_seed(1)
        found = model.log_prior(z)
        torch.manual_seed(1)
        flat = model.top.log_prob_estimate(z.flatten(0, 1), 1, 1)
        torch.testing.assert_close(found, flat.view(3, 5).float())
        assert model.sample(12).shape == (12, 1, 28, 28)
        assert model.sample_given(torch.eye(10)).shape == (10, 1, 28, 28)


def test_codes_of_all_images_are_worth_labels(tmp_path, monkeypatch):
    """The small config does better than the baselines with the same labels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["genlit"])
    run = tmp_path / "run"
    main(["fit", "-c", "semi_fast", "--trainer.accelerator", "cpu", "--run_dir", str(run)])
    main(["test", str(run)])
    found = {m["name"]: m for m in read_results(run)[0]["metrics"]}["classification_error"]

    data = SemiSupervised(MNIST(labels=True, binarize="threshold"), 100)
    data.setup("test")
    task = Classification()
    problems = task.pose(data, "test", 0)
    errors = {
        name: task.score(problems, solve(problems))[0].mean
        for name, solve in task.baselines(data, 0).items()
    }
    assert found["n"] == 10_000
    assert found["value"] < min(errors.values()), errors
    assert found["value"] + 4 * found["stderr"] < errors["nearest neighbour, 100 labels"]


class TestTask:
    def test_scores_of_answers_that_are_known(self):
        task, data = Classification(n=40), small.digits("m2")
        data.setup("fit")
        problems = task.pose(data, "test", 0)
        truth = nnf.one_hot(problems.truth, 10).double()
        k = 10
        cases = {  # error, log-likelihood, Brier score, overconfidence
            "sure and right": (truth * 0.91 + 0.009, (0, math.log(0.919), None, -0.081)),
            "sure and wrong": (truth.roll(1, 1), (1, math.nan, 2, 1)),
            "right by name": (truth, (0, math.nan, 0, 0)),
            "no idea": (torch.full_like(truth, 0.1), (None, -math.log(k), 1 - 1 / k, None)),
        }
        for p, expected in cases.values():
            scores = task.score(problems, p.log())
            for score, value in zip(scores, expected, strict=True):
                if value is not None:
                    assert score.mean == pytest.approx(value, nan_ok=True)

    def test_the_same_problems_for_the_same_seed(self):
        data = small.digits("m2")
        data.setup("fit")
        one, two, other = (Classification(n=20).pose(data, "test", s) for s in (0, 0, 1))
        assert torch.equal(one.given, two.given)
        assert torch.equal(one.truth, two.truth)
        assert not torch.equal(one.given, other.given)
        with pytest.raises(ValueError, match="has none"):
            Classification().pose(small.digits("vae"), "test", 0)

    def test_published_numbers_stand_beside_their_own_labels_only(self):
        digits = MNIST(labels=True, binarize="none")
        for data, split, n in (
            (SemiSupervised(digits, 100), "test", 3), (SemiSupervised(digits, 600), "test", 0),
            (SemiSupervised(digits, 100), "val", 0), (digits, "test", 0),
        ):  # fmt: skip
            task = Classification(n=5)
            data.setup("test")
            task.pose(data, split, 0)
            assert len(task.published) == n

    def test_baselines_learn_from_the_labels_that_were_given(self):
        data = SemiSupervised(MNIST(labels=True, binarize="none"), 100)
        data.setup("fit")
        task = Classification(n=1000)
        problems = task.pose(data, "test", 0)
        error = {}
        for name, solve in task.baselines(data, 0).items():
            answers = solve(problems)
            torch.testing.assert_close(
                answers.exp().sum(1), torch.ones(1000, dtype=torch.double), rtol=0, atol=1e-5
            )
            error[name.split(",")[0]] = task.score(problems, answers)[0].mean
            assert name.endswith("100 labels")
        assert error["most frequent class"] == pytest.approx(0.9, abs=0.04)
        assert error["nearest neighbour"] < 0.4
        assert error["logistic regression"] < 0.4
        picture = task.picture(
            problems,
            {"nearest": task.baselines(data, 0)["nearest neighbour, 100 labels"](problems)},
        )
        assert picture.shape[0] == 3
        assert picture.dtype == torch.uint8

    def test_a_model_is_asked_for_its_classes(self):
        data, task = small.digits("classifier"), Classification()
        data.setup("fit")
        model = Classifier((1, 28, 28), 10, SMALL)
        problems = task.pose(data, "test", 0)
        torch.testing.assert_close(
            task.solve(model, problems), model.classify(problems.given).double()
        )
