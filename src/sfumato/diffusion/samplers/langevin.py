"""Langevin dynamics: at one noise level, the score and fresh noise lead to that level's distribution.

    x ← x + ½ r·sigma²·score + sqrt(r)·sigma·z = x − ½ r·sigma·ε̂ + sqrt(r)·sigma·z

r is a step's size in units of the level's variance. Its invariant distribution is the level's own to O(r): a
Gaussian of variance V comes out as V/(1 − r·sigma²/(4 V)).

*Annealed* (Song & Ermon 2019, algorithm 1): a few moves at each level, from the noisiest down, each level
starting where the one above ended. Their step eps·sigma_i²/sigma_L² is r = eps/sigma_L² at every level.

*Predictor–corrector* (Song et al. 2021, algorithms 1, 4 and 5): any other sampler takes the step, and a few
moves before it mend where that sampler has left the level's distribution. Theirs have the size
2·alpha·(snr·‖z‖/‖score‖)². Here both norms are what they are for noise, ‖z‖ = sqrt(D) = sigma·‖score‖: the
paper takes their means over the batch, by which an image would hang on its neighbours, and an image's own
norm would make a step as large as its score is small, without bound, so that the level's distribution were
no longer the invariant one. Their alpha, one step's (1 − beta), is alpha_ts² for a step of any length.
"""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfumato.diffusion.combination import add_to, added
from sfumato.diffusion.later import later
from sfumato.diffusion.samplers.base import Question, Sampler, Scales, Step, check_sampler
from sfumato.diffusion.samplers.sde import EulerMaruyama
from sfumato.diffusion.samplers.unipc import UniPC
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError
from sfumato.randomness import Noise


def moved(x: Tensor, eps: Tensor, sigma: float, size: float, noise: Noise) -> Tensor:
    """Return x after one Langevin move of size r = `size`; x: (B, ...), eps: its estimated noise."""
    drifted = added(x, -0.5 * size * sigma, eps)
    return add_to(drifted, math.sqrt(size) * sigma, noise.normal(x.shape).to(x))


@dataclass(frozen=True)
class AnnealedLangevin:
    """NCSN's sampler: `rounds` moves at each level; at the last one the estimate of x0 is the sample.

    size: r, in (0, 4), their eps/sigma_L² (2e-5/0.01² = 0.2, with 100 rounds at each of 10 levels); rounds:
    their T. It makes `rounds` evaluations a step and one more at the last, the denoising that
    Jolicoeur-Martineau et al. 2021 found to be missing. The defaults are for 20 to 50 levels. It knows
    nothing of a signal that is scaled, so `check` refuses schedules that do so.
    """

    size: float = 0.5
    rounds: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.size < 4 or self.rounds < 1:
            raise ConfigError(f"Langevin moves need a size between 0 and 4 and at least 1 round, not {self}")

    def check(self, schedule: Schedule) -> None:
        """Refuse a schedule that scales the signal, or that has one level only."""
        name, noisiest = type(schedule).__name__, schedule.level(1.0)
        if float(noisiest.alpha) != 1:
            raise ConfigError(
                f"annealed Langevin needs levels that differ in their noise alone, but {name} scales the "
                f"signal to {float(noisiest.alpha):.3g}: choose the schedule 'exploding', 'exploding-linear' "
                "or 'exploding-steps', or the sampler 'predictor-corrector'."
            )
        if not float(noisiest.sigma) > float(schedule.level(schedule.t_min).sigma):
            raise ConfigError(
                f"annealed Langevin needs a ladder of noise levels, but {name} has only one, "
                f"{float(noisiest.sigma):.3g}: give it more steps."
            )

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Move at t, and start at s from there."""
        for _ in range(self.rounds):
            estimate = ask(x_t, t)
            x_t = moved(x_t, estimate.eps, t.sigma, self.size, noise)
        if s.t > 0:
            return Step(x_t, later(lambda: estimate.x0))
        x0 = ask(x_t, t).x0
        return Step(x0, x0)


@dataclass(frozen=True)
class PredictorCorrector:
    """`rounds` Langevin moves at t, then the predictor's step from t to s.

    predictor: any sampler but UniPC, which starts a step from what it remembers and so would lose the moves;
    snr: their signal-to-noise ratio of a move, whose size is r = (2·snr·alpha_ts)²;
    rounds: their M. It makes `rounds` evaluations a step besides the predictor's own. Where alpha_t = 0 there
    is nothing to correct, and no move is made. Its distribution is the true one to O(snr²).
    """

    predictor: Sampler
    snr: float = 0.16
    rounds: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.snr < 1 or self.rounds < 1:
            raise ConfigError(
                f"a corrector needs an snr between 0 and 1 and at least 1 round, not {self.snr} "
                f"and {self.rounds}"
            )
        if isinstance(self.predictor, UniPC):
            raise ConfigError("UniPC corrects by itself and would lose these moves: take DPM-Solver++.")

    def check(self, schedule: Schedule) -> None:
        """Refuse what the predictor refuses."""
        check_sampler(self.predictor, schedule)

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Correct at t, then predict at s."""
        size = (2 * self.snr * t.alpha / s.alpha) ** 2
        for _ in range(self.rounds if t.alpha > 0 else 0):
            x_t = moved(x_t, ask(x_t, t).eps, t.sigma, size, noise)
        return self.predictor.step(ask, x_t, t, s, noise, memory)


def predictor_corrector(snr: float = 0.16, rounds: int = 1) -> PredictorCorrector:
    """Return Song et al.'s sampler, with the reverse equation's own step as its predictor."""
    return PredictorCorrector(EulerMaruyama(), snr, rounds)
