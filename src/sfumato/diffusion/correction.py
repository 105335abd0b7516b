"""An estimate whose picture was changed, and whose noise follows.

Two beliefs (x0, eps) and (x0′, eps′) that explain the same x_t = alpha·x0 + sigma·eps obey

    eps′ = eps − alpha/sigma·(x0′ − x0),

so whatever moves x0 (thresholds, classifiers, what is known of a picture) says what becomes of eps.
"""

from dataclasses import replace

from torch import Tensor

from sfumato.diffusion.level import Level, expand
from sfumato.diffusion.prediction import Estimate


def with_x0(estimate: Estimate, x0: Tensor, level: Level) -> Estimate:
    """Return `estimate` with another `x0`: (B, ...), its noise recomputed at `level`, sigma above 0.

    Entries whose x0 is unchanged keep their eps to the bit.
    """
    shift = expand(level.alpha / level.sigma, x0) * (estimate.x0 - x0)
    return replace(estimate, x0=x0, eps=estimate.eps + shift)
