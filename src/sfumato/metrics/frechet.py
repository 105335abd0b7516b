"""The Fréchet distance between two Gaussians fitted to features.

    d² = |m₁ − m₂|² + tr(S₁ + S₂ − 2 (S₁S₂)^½)

(Dowson & Landau 1982; on the features of a classifier: Heusel et al. 2017, "FID"). With the symmetric roots
R = S^½ from eigen-decompositions, tr (S₁S₂)^½ = tr (R₁S₂R₁)^½ is the sum of the singular values of R₁R₂.
That form never takes the root of a rounding error twice, so two equal sets come out at zero to about 1e-14
of the trace, where a general matrix root leaves 1e-7.
"""

import torch
from torch import Tensor

from sfumato.errors import DataError


def gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    """Fit a Gaussian to `features`: (N, F); return its mean: (F,) and unbiased covariance: (F, F), float64.

    Raises DataError for fewer than two rows, which have no covariance.
    """
    if len(features) < 2:
        raise DataError(
            f"A Fréchet distance needs at least 2 examples on either side, but got {len(features)}."
        )
    features = features.double()
    mean = features.mean(0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> float:
    """Return d² between N(mean1, cov1) and N(mean2, cov2); means: (F,), covariances: (F, F), symmetric.

    The unit is the features' unit squared; like "FID" in the literature, it is not rooted.
    """
    root1, root2 = _root(cov1), _root(cov2)
    overlap = torch.linalg.svdvals(root1 @ root2).sum()
    distance = (mean1 - mean2).double().square().sum() + cov1.trace() + cov2.trace() - 2 * overlap
    # The trace terms cancel for equal Gaussians and may leave a negative rounding error.
    return max(0.0, float(distance))


def frechet_between(features1: Tensor, features2: Tensor) -> float:
    """Return d² between Gaussians fitted to two sets of features: (N₁, F) and (N₂, F)."""
    return frechet_distance(*gaussian(features1), *gaussian(features2))


def _root(cov: Tensor) -> Tensor:
    """Return the symmetric root of a positive semi-definite matrix, in float64."""
    values, vectors = torch.linalg.eigh(cov.double())
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
