"""Asking a model about many things, a block of bounded size at a time."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genlit.progress import track
from genlit.randomness import isolated

NUMBERS = 2**21  # in the events of one block: what a model is asked about at once
BLOCK = 250  # the most events in a block, since a model may keep many numbers for each


def in_blocks(answer: Callable[[slice], Tensor], n: int, block: int, *purpose: int | str) -> Tensor:
    """What a model answers about n events, asked about a block of them at a time; on the CPU.

    Args:
        answer: Asks about the events in a slice.
        n: The number of events.
        block: How many to ask about at once.
        *purpose: What it is for, and a seed: the same gives the same answers.
    """
    parts = [slice(first, min(first + block, n)) for first in range(0, n, block)]
    answers = []
    for k, part in enumerate(track(parts, str(purpose[0]))):
        with torch.no_grad(), isolated(*purpose, k):
            answers.append(answer(part).cpu())
    return torch.cat(answers)


def block_of(shape: Sequence[int]) -> int:
    """How many events of a shape a model is asked about at once."""
    return max(1, min(BLOCK, NUMBERS // math.prod(shape)))
