"""An estimate whose picture was changed, and whose noise follows.

Two beliefs (x0, eps) and (x0′, eps′) that explain the same x_t = alpha·x0 + sigma·eps obey

    eps′ = eps − alpha/sigma·(x0′ − x0),

so whatever moves x0 (thresholds, classifiers, what is known of a picture) says what becomes of eps, and of
any sum of both:

    a·x0′ + b·eps′ = (a − b·alpha/sigma)·x0′ + (b·alpha/sigma·x0 + b·eps)
"""

from torch import Tensor

from sfumato.diffusion.combination import Factor, add_to, added, combine, number
from sfumato.diffusion.later import later
from sfumato.diffusion.level import Level
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.remembering import remembered


def with_x0(estimate: Estimate, x0: Tensor, level: Level) -> Estimate:
    """Return `estimate` with another `x0`: (B, ...), its noise recomputed at `level`, sigma above 0.

    Entries whose x0 is unchanged keep their eps to the bit.
    """
    ratio = _ratio(level)

    def mix(a: Factor, b: float) -> Tensor:
        return add_to(estimate.mix(b * ratio, b), a - b * ratio, x0) if b else combine((a, x0))

    eps = later(lambda: added(estimate.eps, ratio, estimate.x0 - x0))
    return Estimate(x0, eps, estimate.variance_fraction).mixed_by(mix)


@remembered
def _ratio(level: Level) -> Factor:
    return number(level.alpha / level.sigma)
