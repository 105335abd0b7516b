"""How embeddings lie: what a good encoder keeps together, spreads out, and how a collapse shows.

For unit vectors u, v of two views of one example, and u, u' of two examples (Wang & Isola 2020, equations 2
and 3, with alpha = 2 and t = 2):

    alignment   E |u − v|²                   0 where views agree, 2 where they have nothing in common
    uniformity  log E exp(−2·|u − u'|²)      0 where all lie in one point, nearly −4 where spread evenly

InfoNCE lowers both. The effective rank of embeddings is exp(entropy) of the shares of variance along their
principal directions (Roy & Vetterli 2007): how many directions they use, from 1 to D.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

ALIGNMENT = "alignment of views (0 to 4)"
UNIFORMITY = "uniformity (0 down to −4)"
RANK = "effective rank (directions)"
RECOGNISED = "views recognised (%)"

ONE_POINT = -0.05
"""Uniformity above which everything lies in nearly one point: mean squared distances of a fortieth."""
ONE_LINE = 1.5
"""Effective rank below which embeddings lie along hardly more than one line."""


def alignment(first: Tensor, second: Tensor) -> float:
    """Return the mean squared distance of unit vectors that belong together: (N, D) each."""
    return float((first - second).square().sum(1).mean())


def uniformity(units: Tensor) -> float:
    """Return log of the mean of exp(−2·squared distance) over all pairs of unit vectors (N, D), N > 1."""
    return float(torch.pdist(units.float()).square().mul(-2).logsumexp(0)) - math.log(
        math.comb(len(units), 2)
    )


def effective_rank(embeddings: Tensor) -> float:
    """Return how many directions embeddings (N, D) use, from 1 to D; 1 where all are equal.

    Variance below the rounding of float32 counts as none: otherwise the rounding errors of one single point
    would look like many directions.
    """
    embeddings = embeddings.cpu()  # Apple's GPU has no float64
    centred = (embeddings - embeddings.mean(0)).double()
    variances = torch.linalg.svdvals(centred).square()
    floor = torch.finfo(torch.float32).eps ** 2 * embeddings.double().square().sum()
    variances = variances[variances > 100 * floor]
    if not len(variances):
        return 1.0
    shares = variances / variances.sum()
    return float(torch.exp(-(shares * shares.log()).sum()))


def recognised(similarities: Tensor, positives: Tensor) -> float:
    """Return the share of questions, (Q, K) and (Q,) as for `info_nce`, answered right; a tie is not."""
    right = similarities.gather(1, positives[:, None])
    others = similarities.scatter(1, positives[:, None], -torch.inf)
    return float((right[:, 0] > others.amax(1)).float().mean())


def unit(embeddings: Tensor) -> Tensor:
    """Return embeddings (N, D) at length 1, as float32."""
    return F.normalize(embeddings.float(), dim=1)


def collapse(measures: Mapping[str, float]) -> str | None:
    """Say in a sentence that an encoder has collapsed, from what it measured; None where it has not."""
    if (spread := measures.get(UNIFORMITY, -math.inf)) > ONE_POINT:
        return (
            f"The encoder has collapsed: it gives different examples nearly the same embedding (uniformity "
            f"{spread:.2g}, where 0 is one single point and −4 evenly spread)."
        )
    if (rank := measures.get(RANK, math.inf)) < ONE_LINE:
        return (
            f"The encoder has collapsed: its embeddings lie along hardly more than one line (effective rank "
            f"{rank:.2f})."
        )
    return None
