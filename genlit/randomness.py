"""Who draws which random numbers, so that runs can be repeated, resumed, and split over processes.

Training draws from torch's global generator, which every rank seeds for itself and a checkpoint
carries. Everything else (the order of the data, binarization, evaluation) draws under a seed
derived from what it is for, and leaves the global generator as it found it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

RngState = dict[str, Tensor | list[Tensor]]


def derive_seed(*parts: int | str) -> int:
    """A seed for one purpose: the same parts give the same seed, others an unrelated one."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own, seeded for one purpose."""
    return torch.Generator(device).manual_seed(derive_seed(*parts))


@contextmanager
def isolated(*parts: int | str) -> Iterator[None]:
    """Inside, torch's global generators are seeded for one purpose; then they are as before."""
    before = rng_state()
    torch.manual_seed(derive_seed(*parts))
    try:
        yield
    finally:
        set_rng_state(before)


def rng_state() -> RngState:
    """The state of torch's global generators, of plain tensors."""
    state: RngState = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_rng_state(state: RngState) -> None:
    """Puts torch's global generators into a state that `rng_state` returned."""
    cpu, cuda = state["cpu"], state.get("cuda")
    assert isinstance(cpu, Tensor)
    torch.set_rng_state(cpu)
    if isinstance(cuda, list) and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(cuda)


def permutation(n: int, *parts: int | str) -> Tensor:
    """A random order of n things, the same for the same parts; (n,) int64."""
    return torch.randperm(n, generator=generator(*parts))
