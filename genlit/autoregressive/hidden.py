"""The mathematics of NADE: hidden units that one entry after another is added to.

    a_1 = c,    a_{i+1} = a_i + x_i W_i,    log-odds of x_i = b_i + V_i · σ(a_i)

All entries at once are independent of each other given x, but their hidden units are entries times
hidden numbers for each event; so they are made for a few entries at a time, and made again for the
gradient.
"""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHUNK = 2**20  # hidden numbers at a time: few enough to stay in the cache
MOST = 32  # entries at a time, since their cumulative sums cost as many products


def nade_logits(
    x: Tensor, W: Tensor, c: Tensor, V: Tensor, b: Tensor, chunk: int | None = None
) -> Tensor:
    """Log-odds of every entry given those before it.

    Args:
        x: Events in order, (B, entries).
        W: From entries to hidden units, (entries, hidden).
        c: Biases of hidden units, (hidden,).
        V: From hidden units to entries, (entries, hidden).
        b: Biases of entries, (entries,).
        chunk: How many entries at a time; None takes what fits `CHUNK`.

    Returns:
        (B, entries).
    """
    a = c.expand(len(x), -1)
    chunk = chunk or max(1, min(MOST, CHUNK // max(a.numel(), 1)))
    logits = []
    for x_k, W_k, V_k in zip(x.split(chunk, 1), W.split(chunk), V.split(chunk), strict=True):
        logits.append(checkpoint(of_chunk, x_k, W_k, V_k, a, use_reentrant=False,
                                 preserve_rng_state=False))  # fmt: skip
        a = torch.addmm(a, x_k, W_k)
    return torch.cat(logits, 1) + b


def of_chunk(x: Tensor, W: Tensor, V: Tensor, a: Tensor) -> Tensor:
    """V_i · σ(a_i) of successive entries, of which a (B, hidden) is the first one's; (B, k).

    The exclusive cumulative sums Σ_{j<i} x_j W_j are products with triangles: twenty times the
    additions, and faster.
    """
    k = x.shape[1]
    before = torch.ones(k, k, dtype=x.dtype, device=x.device).tril(-1)
    units = (a[:, None] + (x[:, None] * before) @ W).sigmoid()
    return (units * V).sum(-1)
