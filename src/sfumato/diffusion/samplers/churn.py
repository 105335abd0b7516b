"""EDM's stochastic sampler: a little noise is added before each of Heun's steps.

    ratio_t̂ = (1 + gamma)·ratio_t,   ratio = sigma/alpha
    x_t̂     ~ q(x_t̂ | x_t), its noise widened by s_noise           a step of noising, from t up to t̂
    x_s     = Heun's step from x_t̂

(Karras et al. 2022, algorithm 2, for any schedule: with alpha = 1 the noising is their
x + sqrt(sigma_t̂² − sigma_t²)·S_noise·z.) The noise corrects errors that were made before it; too much of it
takes detail away. Nothing is noisier than t = 1, where the noising stops.
"""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfumato.diffusion.combination import combine
from sfumato.diffusion.level import Level
from sfumato.diffusion.process import transition_scales
from sfumato.diffusion.remembering import remembered
from sfumato.diffusion.samplers.base import Question, Scales, Step
from sfumato.diffusion.samplers.ode import Heun
from sfumato.diffusion.schedules import Schedule, time_of_log_snr
from sfumato.errors import ConfigError
from sfumato.randomness import Noise

LARGEST_GAMMA = math.sqrt(2) - 1
"""Their cap: no step adds more noise than there is."""


@dataclass(frozen=True)
class Churn:
    """Heun's step from a noisier place. Two evaluations a step, one at the last.

    gamma: by how much of itself the ratio sigma/alpha grows, their S_churn/N, in [0, sqrt(2) − 1]; with 0
    this is Heun. s_min, s_max: the ratios between which noise is added; s_noise: the factor of its deviation,
    slightly above 1 where a trained network takes out too much. The defaults are theirs for ImageNet (their
    table 5: S_churn = 40 in 256 steps), but for s_noise, which is right for a right denoiser.
    """

    gamma: float = 0.15
    s_min: float = 0.05
    s_max: float = 50.0
    s_noise: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.gamma <= LARGEST_GAMMA:
            raise ConfigError(
                f"gamma (S_churn over the number of steps) must lie between 0 and 0.41421, not {self.gamma}"
            )
        if not 0 <= self.s_min <= self.s_max or not self.s_noise > 0:
            raise ConfigError(f"churn needs 0 <= s_min <= s_max and s_noise above 0, not {self}")

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Go up to t̂, and from there to s by Heun."""
        up = self.noisier(ask, t)
        if up.t > t.t:
            factor, std = (float(scale) for scale in transition_scales(t.level, up.level))
            x_t = combine((factor, x_t), (self.s_noise * std, noise.normal(x_t.shape).to(x_t)))
        return Heun().step(ask, x_t, up, s, noise, memory)

    def noisier(self, ask: Question, t: Scales) -> Scales:
        """Return the level at t̂ >= t, or `t` itself where no noise is added."""
        if self.gamma == 0 or t.alpha == 0 or not self.s_min <= t.sigma / t.alpha <= self.s_max:
            return t
        up = _noisier_time(ask.schedule, self.gamma, t.level)
        return ask.at(up) if up > t.t else t


@remembered
def _noisier_time(schedule: Schedule, gamma: float, level: Level) -> float:
    return float(time_of_log_snr(schedule, level.log_snr - 2 * math.log1p(gamma)))
