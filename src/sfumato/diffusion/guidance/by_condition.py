"""Guidance by several conditions, each with its own weight.

    eps_0 + sum over k of w_k·(eps_k − eps_{k−1}),     eps_k = eps(x, t, c_1, ..., c_k)

(Brooks et al. 2023, "InstructPix2Pix", equation 3, for any number of conditions.) The conditions are told one
after another, and what each adds to those before it is weighted. With all weights 1 the sum telescopes to
the conditional model, with all alike to classifier-free guidance of that weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.combination import Factor
from sfumato.diffusion.denoiser import Denoiser, ask_each
from sfumato.diffusion.guidance.classifier_free import OFF
from sfumato.diffusion.guidance.interval import ALWAYS, Intermittent, Interval
from sfumato.diffusion.prediction import Estimate


@dataclass(frozen=True)
class GuidedByEach(Intermittent):
    """Guidance by each of `weights`: a condition's name -> its weight, in the order in which they are told.

    interval: (from, to) in time; outside it the conditional model stands alone. Conditions without a weight
    are told throughout.
    """

    denoiser: Denoiser
    weights: Mapping[str, float]
    interval: Interval = ALWAYS

    def _acts(self, t: float, condition: Condition | None) -> bool:
        return (
            condition is not None
            and self.within(t)
            and any(weight != OFF for weight in self.weights.values())
        )

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Ask once for each condition and once without them, in one batch of a single time `t`."""
        if condition is None or not self._acts(float(t), condition):
            return self.denoiser.estimate(x_t, t, condition)
        names = tuple(self.weights)
        chain = [condition.without(names[told:]) for told in range(len(names) + 1)]
        answers = ask_each(self.denoiser, x_t, t, chain)
        # The same sum, gathered by answer: eps_k has the weight w_k − w_{k+1}, and eps_0 what is left of 1.
        passed = (1.0, *self.weights.values(), 0.0)
        shares = [here - after for here, after in pairwise(passed)]

        def mix(a: Factor, b: float) -> Tensor:
            total = answers[0].mix(a, b).mul_(shares[0])
            for share, answer in zip(shares[1:], answers[1:], strict=True):
                total.add_(answer.mix(a, b), alpha=share)
            return total

        return Estimate.of(mix, answers[-1].variance_fraction)

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return the wrapped denoiser's count for each condition and for none, where guidance acts."""
        times = len(self.weights) + 1 if self._acts(t, condition) else 1
        return self.denoiser.evaluations(t, condition) * times
