"""Seeds mean the same in every process, and what is isolated leaves no trace."""

import pytest
import torch

from genlit.randomness import (
    derive_seed,
    generator,
    isolated,
    permutation,
    rng_state,
    set_rng_state,
)


def test_seeds_are_the_same_in_every_process():
    assert derive_seed("order", 0, 1) == 5235859805464026190


def test_other_parts_give_other_seeds():
    parts = [
        (),
        (0,),
        (1,),
        ("0",),
        ("a",),
        ("a", 0),
        (0, "a"),
        ("a", 0, 0),
        ("a0",),
        (10,),
        (1, 0),
    ]
    seeds = {derive_seed(*p) for p in parts} | {derive_seed("rank", k) for k in range(1000)}
    assert len(seeds) == len(parts) + 1000
    assert all(0 <= s < 2**63 for s in seeds)


def test_isolated_work_leaves_no_trace():
    expected = torch.rand(3)
    torch.manual_seed(0)
    with isolated("evaluation", 1):
        inside = torch.rand(3)
    assert torch.initial_seed() == 0
    assert (torch.rand(3) == expected).all()
    with isolated("evaluation", 1):
        assert (torch.rand(3) == inside).all()
    with isolated("evaluation", 2):
        assert (torch.rand(3) != inside).any()


def test_isolation_holds_when_the_work_fails():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), isolated("evaluation"):
        torch.rand(-1)
    assert (torch.get_rng_state() == before).all()


def test_isolation_nests():
    with isolated("outer"):
        expected = torch.rand(2)
    with isolated("outer"):
        with isolated("inner"):
            torch.rand(5)
        assert (torch.rand(2) == expected).all()


def test_states_are_put_back():
    state, first = rng_state(), torch.rand(3)
    set_rng_state(state)
    assert (torch.rand(3) == first).all()


def test_own_generators_do_not_touch_the_global_one():
    before = torch.get_rng_state()
    first = torch.rand(3, generator=generator("a", 1))
    assert (torch.rand(3, generator=generator("a", 1)) == first).all()
    assert (torch.rand(3, generator=generator("a", 2)) != first).any()
    assert sorted(permutation(50, "x").tolist()) == list(range(50))
    assert permutation(50, "x").tolist() == permutation(50, "x").tolist()
    assert permutation(50, "x").tolist() != permutation(50, "y").tolist()
    assert (torch.get_rng_state() == before).all()
