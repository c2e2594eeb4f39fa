"""Features of many images, in blocks that are dealt out to processes and joined in order."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from genlit.features.extractor import FeatureExtractor, Features
from genlit.progress import track

# The uint8 images (count, channels, height, width) of a block, by its number and their count.
Block = Callable[[int, int], Tensor]


@torch.no_grad()
def extract(
    block: Block,
    n: int,
    block_size: int,
    extractor: FeatureExtractor,
    rank: int = 0,
    world_size: int = 1,
    device: torch.device | str = "cpu",
    label: str = "features",
) -> Tensor:
    """Features, and logits behind them, of the blocks that fall to process `rank` of W.

    These are rank, rank + W, and so on. What a short last block lacks, and what a process lacks
    for which no block is left, is zero; so all processes have the same shape.

    Args:
        block: Gives the images of a block.
        n: How many images all blocks together hold.
        block_size: Images a block.
        extractor: Turns them into features.
        rank: Which process this is.
        world_size: How many there are, W.
        device: Where the extractor is.
        label: What to say on standard error if it takes long.

    Returns:
        Features with shape (ceil(blocks / W), block_size, dim + classes).
    """
    blocks = math.ceil(n / block_size)
    width = extractor.dim + extractor.classes
    found = torch.zeros(math.ceil(blocks / world_size), block_size, width, device=device)
    for place, k in enumerate(track(range(rank, blocks, world_size), label)):
        count = min(block_size, n - k * block_size)
        values, logits = extractor(block(k, count).to(device))
        found[place, :count] = values if logits is None else torch.cat([values, logits], dim=1)
    return found


def joined(gathered: Tensor, n: int, dim: int) -> Features:
    """The features of all n images in the order of blocks, on the CPU, whatever W was.

    Args:
        gathered: What `extract` returned in each process, (W, ceil(blocks / W), block_size, ...).
        n: How many images there are.
        dim: How many of the last dimension are features; the others are logits.
    """
    rows = gathered.transpose(0, 1).flatten(0, 2)[:n].cpu()
    return Features(rows[:, :dim], rows[:, dim:] if rows.shape[1] > dim else None)
