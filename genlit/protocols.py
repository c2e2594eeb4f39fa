"""What a generative model can be asked. Callbacks and tasks are written against these, not classes.

A model names its protocols in its class header, so the header says what one may ask of it, and a
method left out is an error when the model is made.

Notation used in the whole package: B is a batch size, n a number of samples, and `shape` the shape
of one event, for example (1, 28, 28). All logarithms are natural (nats).
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, Required, TypedDict, runtime_checkable

from torch import Tensor, nn

from genlit.ways import EventPath, Path


class Batch(TypedDict, total=False):
    """What every datamodule yields; a key that does not apply is absent."""

    x: Required[Tensor]  # (B, *shape), in {0, 1} or [0, 1]: binarizing is the data's affair
    condition: Tensor  # (B, *condition_shape): label, low-resolution image, earlier frames, ...
    observed: Tensor  # (B, *shape), bool: False marks a missing entry of x
    labelled_x: Tensor  # (L, *shape): further events, whose condition is known where x's is not
    labelled_condition: Tensor  # (L, *condition_shape)


def labelled_pairs(batch: Batch, classes: int) -> tuple[Tensor, Tensor]:
    """The events of a batch whose classes are known, (L, *shape), and these, (L, classes) one-hot.

    They are those set apart as labelled, or else all of them, as in validation.

    Raises:
        ValueError: If there are none, or they are of another number of classes.
    """
    if "labelled_x" in batch and "labelled_condition" in batch:
        pairs = batch["labelled_x"], batch["labelled_condition"]
    elif "condition" in batch:
        pairs = batch["x"], batch["condition"]
    else:
        raise ValueError(
            "nothing in this data is labelled: take genlit.data.SemiSupervised, or set data.labels "
            "to true"
        )
    if (found := tuple(pairs[1].shape[1:])) != (classes,):
        raise ValueError(
            f"model.classes is {classes}, and labels of this data have shape {found}: make them "
            "agree"
        )
    return pairs


@runtime_checkable
class Samples(Protocol):
    """Can be sampled."""

    @abstractmethod
    def sample(self, n: int) -> Tensor:
        """Draws n events with values in [0, 1], with shape (n, *shape)."""
        ...


@runtime_checkable
class Density(Protocol):
    """Has a normalized density that can be computed exactly (flows, autoregressive models)."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Returns log p(x) in nats, with shape (B,)."""
        ...

    def log_density(self) -> Callable[[Tensor], Tensor]:
        """Returns `log_prob` of the parameters as they are now, for many batches.

        Where a normalizer must be summed, this is the place to do so once.
        """
        return self.log_prob

    def require_tractable(self) -> None:
        """Makes sure, at no cost, that `log_density` can be computed for so large a model.

        Raises:
            ValueError: If it would sum over more states than there is time for.
        """


@runtime_checkable
class Bounded(Protocol):
    """Has a stochastic lower bound of its log-density (variational models)."""

    @abstractmethod
    def log_prob_bound(self, x: Tensor, samples: int) -> Tensor:
        """Returns a bound whose expectation is <= log p(x) and tightens with `samples`; (B,)."""
        ...


@runtime_checkable
class EnergyBased(Protocol):
    """Has an unnormalized density p(x) = exp(-F(x)) / Z (Boltzmann machines)."""

    @abstractmethod
    def free_energy(self, x: Tensor) -> Tensor:
        """Returns F(x) in nats, with shape (B,)."""
        ...

    @abstractmethod
    def path(self) -> EventPath:
        """Returns the path along which Z is annealed, of the parameters as they are now."""
        ...


@runtime_checkable
class EnergyBounded(Protocol):
    """Has a lower bound of its unnormalized density (deep Boltzmann machines, belief nets)."""

    @abstractmethod
    def log_weight_bound(self, x: Tensor, samples: int) -> Tensor:
        """Returns a bound whose expectation is <= log p(x) + log Z, in nats; (B,).

        It tightens with `samples`, unless it is deterministic and has no use for them.
        """
        ...

    @abstractmethod
    def path(self) -> Path:
        """Returns the path along which Z is annealed, of the parameters as they are now."""
        ...


@runtime_checkable
class LatentMixture(Protocol):
    """Is the mean of known laws p(x | h) over states h that it can draw (GSN)."""

    @abstractmethod
    def states(self, chains: int) -> Iterator[Tensor]:
        """Runs independent chains and yields their states without end, (chains, *state) each.

        States are in whatever form the model likes best; where they are drawn independently, each
        chain is as good as a state.
        """
        ...

    @abstractmethod
    def log_prob_given(self, states: Tensor, x: Tensor) -> Tensor:
        """Returns log p(x | h) in nats of events (B, *shape) under states (S, *state); (S, B)."""
        ...


@runtime_checkable
class MarkovChain(Protocol):
    """Is the stationary distribution of a chain of events (Boltzmann machines, GSN, VAE).

    Where chains need hidden layers, too, `EnergyBounded.path` has them: at β = 1 it stays there.
    """

    @abstractmethod
    def step(self, x: Tensor) -> Tensor:
        """Moves B chains by one step, (B, *shape) to (B, *shape)."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """Has a code of every event, and an event of every code."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Returns the code of each event, with shape (B, latent)."""
        ...

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """Returns the expected event of each code in [0, 1], with shape (B, *shape)."""
        ...


@runtime_checkable
class Classifies(Protocol):
    """Can tell which of K classes an event is of."""

    @abstractmethod
    def classify(self, x: Tensor) -> Tensor:
        """Returns log p(class | x) in nats of every class, with shape (B, K)."""
        ...


@runtime_checkable
class Generates(Protocol):
    """Makes an event of every code, and knows how to draw codes (GAN, VAE)."""

    @abstractmethod
    def draw_codes(self, n: int) -> Tensor:
        """Draws n codes from their law, with shape (n, D)."""
        ...

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """Returns the event of each code (B, D), with shape (B, *shape); differentiable in z."""
        ...

    def categories(self) -> list[range]:
        """Entries of codes that are all 0 but for a single 1, the category; none if not said."""
        return []

    def meanings(self) -> list[int]:
        """Entries of codes that were learned to mean something each; none if not said."""
        return []


@runtime_checkable
class Decoder(Protocol):
    """Is p(x) = ∫ p(x | z) p(z) dz with a law p(x | z) and a prior that are known (VAE)."""

    codes: int  # the number of latent variables, D

    @abstractmethod
    def draw_codes(self, n: int) -> Tensor:
        """Draws n codes from p(z), with shape (n, D)."""
        ...

    @abstractmethod
    def draw(self, z: Tensor) -> Tensor:
        """Draws an event given each code (B, D), with shape (B, *shape)."""
        ...

    @abstractmethod
    def log_prior(self, z: Tensor) -> Tensor:
        """Returns log p(z) in nats of codes (S, B, D), with shape (S, B)."""
        ...

    @abstractmethod
    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns log p(x | z) in nats of events (B, *shape) given codes (S, B, D); (S, B)."""
        ...

    def require_known_prior(self) -> None:
        """Makes sure that `log_prior` is log p(z) itself.

        Raises:
            ValueError: If it is that of an estimate.
        """


@runtime_checkable
class Reconstructs(Protocol):
    """Can send an event through its code and back."""

    @abstractmethod
    def reconstruct(self, x: Tensor) -> Tensor:
        """Returns the expected event given the code of x, in [0, 1], with shape (B, *shape)."""
        ...


@runtime_checkable
class Imputes(Protocol):
    """Can fill in what is missing."""

    @abstractmethod
    def impute(self, x: Tensor, observed: Tensor) -> Tensor:
        """Samples the entries where `observed` is False; the others stay as they are."""
        ...


@runtime_checkable
class Denoises(Protocol):
    """Can remove noise."""

    @abstractmethod
    def denoise(self, x: Tensor) -> Tensor:
        """Returns the expected clean event in [0, 1], with shape (B, *shape)."""
        ...


@runtime_checkable
class Conditional(Protocol):
    """Can be sampled given a condition (super-resolution, translation, video, classes)."""

    @abstractmethod
    def sample_given(self, condition: Tensor) -> Tensor:
        """Draws one event for each condition, with shape (B, *shape)."""
        ...


class Imagined(NamedTuple):
    """What may come of actions in states."""

    state: Tensor  # the next states, (B, *state)
    reward: Tensor  # (B,)
    ended: Tensor  # the probability that the episode ended with that step, (B,) in [0, 1]


@runtime_checkable
class Simulates(Protocol):
    """Can imagine what comes of actions, as planners want (world models)."""

    @abstractmethod
    def imagine(self, state: Tensor, action: Tensor) -> Imagined:
        """Draws one future of each of B states (B, *state) under an action (B, *action).

        Rows are futures of their own: a caller that wants to go on keeps them in their order.
        """
        ...


class Verdict(NamedTuple):
    """What a discriminator says of real and generated events, as they are."""

    real: Tensor  # logits of real events, (B,)
    real_slope: Tensor  # norms of their gradients by the events, (B,)
    fake: Tensor  # of generated ones
    fake_slope: Tensor


@runtime_checkable
class Plays(Protocol):
    """Is a game of a generator and a discriminator (GAN)."""

    @property
    @abstractmethod
    def players(self) -> dict[str, nn.Module]:
        """Both players by name."""
        ...

    @abstractmethod
    def judge(self, batch: Batch) -> Verdict:
        """Returns what the discriminator says of a batch and of as many generated events."""
        ...


@runtime_checkable
class Tempered(Protocol):
    """May run chains at several temperatures that exchange their states."""

    @abstractmethod
    def swap_rates(self) -> Tensor:
        """Returns how often neighbours exchanged states of late, (temperatures - 1,) in [0, 1].

        It is empty where chains have one temperature only.
        """
        ...


@runtime_checkable
class Laddered(Protocol):
    """May run chains on a ladder of distributions that tell log Z of its free energy.

    The normalizer of the lowest rung is known, and the highest rung is the model.
    """

    @abstractmethod
    def require_ladder(self) -> None:
        """Makes sure that there are rungs, and chains enough to tell an error.

        Raises:
            ValueError: If there are not.
        """
        ...

    @abstractmethod
    def ladder_log_partition(self, steps: int) -> tuple[Tensor, Tensor]:
        """Returns log Z of each rung, the model's last, and standard errors; (rungs,) nats each.

        Every pair of neighbouring rungs meets so many times.
        """
        ...


@runtime_checkable
class HasFilters(Protocol):
    """Has weights that can be looked at as events."""

    @abstractmethod
    def filters(self) -> Tensor:
        """Returns the weights of each hidden unit, of either sign, with shape (n, *shape)."""
        ...


class Unanswerable(TypeError):
    """A question put to a model that cannot answer it."""


def require(model: object, question: str, *protocols: type) -> None:
    """Makes sure that a model can be asked a question.

    Args:
        model: The model.
        question: What it is to be asked for, as in "samples" or "log p(x)".
        *protocols: Any one of these will do.

    Raises:
        Unanswerable: If the model implements none of the protocols.
    """
    if not isinstance(model, protocols):
        names = [p.__name__ for p in protocols]
        either = " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
        raise Unanswerable(
            f"{type(model).__name__} cannot be asked for {question}: it does not implement "
            f"{either}; `genlit list` says which models do"
        )
