"""The one stochastic step, of which DDIM, DDPM, its wider variances and re-noising are settings.

    x_s = alpha_s·x̂0 + c·ε̂ + kappa·z,   z ~ N(0, I)

A rule gives (c, kappa) from the levels at t and s. With c² + kappa² = sigma_s² the step keeps the marginals:

    kappa = 0                       DDIM (Song et al. 2021, equation 12)
    kappa = posterior's deviation   DDPM's ancestral step (Ho et al. 2020, algorithm 2)
    kappa = eta·that                anything between (DDIM, equation 16)
    kappa = sigma_s, c = 0          estimate x0, then noise it again

With c = alpha_t·sigma_s²/(alpha_s·sigma_t) it keeps the posterior's mean, and kappa is any deviation of the
reverse step (`diffusion.variance`): DDPM's larger one, lecture A's reverse sampler, or a learned one.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from sfumato.diffusion.combination import add_to
from sfumato.diffusion.later import later
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.process import posterior_scales, transition_scales
from sfumato.diffusion.samplers.base import Question, Sampler, Scales, Step
from sfumato.diffusion.variance import FixedLarge, LearnedRange, Variance
from sfumato.errors import ConfigError
from sfumato.randomness import Noise


class KappaRule(Protocol):
    """How much of the noise at s is old (c) and how much is fresh (kappa)."""

    def coefficients(self, t: Scales, s: Scales, estimate: Estimate) -> tuple[float, float | Tensor]:
        """Return (c, kappa); kappa: a number, or (B, ...) where it differs from entry to entry."""
        ...


@dataclass(frozen=True)
class Posterior:
    """kappa = eta·(the posterior's standard deviation); eta in [0, 1]: 0 is DDIM, 1 is DDPM."""

    eta: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ConfigError(f"eta must lie between 0 (DDIM) and 1 (DDPM), not {self.eta}")

    def coefficients(self, t: Scales, s: Scales, estimate: Estimate) -> tuple[float, float | Tensor]:
        """Return (c, kappa) with c² + kappa² = sigma_s²."""
        if self.eta == 0:
            return s.sigma, 0.0
        kappa = self.eta * float(posterior_scales(s.level, t.level)[2])
        return math.sqrt(max(s.sigma**2 - kappa**2, 0.0)), kappa


@dataclass(frozen=True)
class Renoise:
    """kappa = sigma_s: all noise is fresh."""

    def coefficients(self, t: Scales, s: Scales, estimate: Estimate) -> tuple[float, float | Tensor]:
        """Return (0, sigma_s)."""
        return 0.0, s.sigma


@dataclass(frozen=True)
class PosteriorMean:
    """The posterior's mean, and the deviation that `variance` says; none where s has no noise."""

    variance: Variance

    def coefficients(self, t: Scales, s: Scales, estimate: Estimate) -> tuple[float, float | Tensor]:
        """Return c = alpha_t·sigma_s²/(alpha_s·sigma_t) and the variance's deviation."""
        of_x_t, _, small = posterior_scales(s.level, t.level)
        if s.sigma == 0:
            return 0.0, 0.0
        _, large = transition_scales(s.level, t.level)
        kappa = self.variance.std(small, large, estimate.variance_fraction)
        return float(of_x_t) * t.sigma, kappa if kappa.ndim else float(kappa)


@dataclass(frozen=True)
class Stochastic:
    """The step above, under a rule. One evaluation a step."""

    rule: KappaRule

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Estimate (x0, eps) at t and recombine them at s."""
        estimate = ask(x_t, t)
        return Step(recombine(self.rule, estimate, t, s, noise), later(lambda: estimate.x0))


def recombine(rule: KappaRule, estimate: Estimate, t: Scales, s: Scales, noise: Noise) -> Tensor:
    """Return alpha_s·x̂0 + c·ε̂ + kappa·z: (B, ...); no noise is drawn where none is used."""
    c, kappa = rule.coefficients(t, s, estimate)
    x_s = estimate.mix(s.alpha, c)
    if isinstance(kappa, Tensor):
        return x_s + kappa * noise.normal(x_s.shape).to(x_s)
    return add_to(x_s, kappa, noise.normal(x_s.shape).to(x_s)) if kappa > 0 else x_s


@dataclass(frozen=True)
class FixedLevel:
    """Estimate x0 and noise it again, always at the noisiest level: lecture N's sampler.

    Every step estimates at the first step's t and goes back to that t; only the last keeps the estimate, so
    the grid does no more than count. With the rule `Renoise` each round's noise is fresh, and its estimate
    another one; with `Posterior(0)` the old noise is put back and nothing ever changes.
    """

    rule: KappaRule

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Go once around at the first step's level, which is remembered."""
        level = memory or t
        estimate = ask(x_t, level)
        x = estimate.x0 if s.t == 0 else recombine(self.rule, estimate, level, level, noise)
        return Step(x, later(lambda: estimate.x0), level)


def check_variance(sampler: Sampler, variance: Variance) -> None:
    """Refuse a sampler that takes its noise from a variance which the model has not learned."""
    rule = sampler.rule if isinstance(sampler, Stochastic) else None
    if isinstance(rule, PosteriorMean) and rule.variance.outputs > variance.outputs:
        raise ConfigError(
            "this model has not learned a variance: sample it with 'ancestral' or 'ancestral-large', or "
            "train the recipe 'hybrid' or 'bound'."
        )


def ddim() -> Stochastic:
    """Return DDIM: no fresh noise. Order 1 (Song et al. 2021)."""
    return Stochastic(Posterior(0.0))


def ancestral(eta: float = 1.0) -> Stochastic:
    """Return DDPM's ancestral sampler, or with eta below 1 one between it and DDIM."""
    return Stochastic(Posterior(eta))


def ancestral_large() -> Stochastic:
    """Return DDPM's sampler with its larger variance, which is lecture A's reverse sampler too."""
    return Stochastic(PosteriorMean(FixedLarge()))


def ancestral_learned() -> Stochastic:
    """Return the ancestral sampler of a model that has learned its variance (Nichol & Dhariwal 2021)."""
    return Stochastic(PosteriorMean(LearnedRange()))


def renoise() -> Stochastic:
    """Return the sampler that estimates x0 and noises it again, with fresh noise, at every step."""
    return Stochastic(Renoise())


def fixed_level() -> FixedLevel:
    """Return lecture N's sampler: re-noising at the noisiest level, with fresh noise each time."""
    return FixedLevel(Renoise())


def fixed_level_stale() -> FixedLevel:
    """Return lecture N's sampler without its fresh noise, to see what is lost."""
    return FixedLevel(Posterior(0.0))
