"""The one stochastic step, of which DDIM, DDPM and re-noising are settings.

    x_s = alpha_s·x̂0 + c·ε̂ + kappa·z,   z ~ N(0, I)

A rule gives (c, kappa) from the levels at t and s. With c² + kappa² = sigma_s² the step keeps the marginals:

    kappa = 0                       DDIM (Song et al. 2021, equation 12)
    kappa = posterior's deviation   DDPM's ancestral step (Ho et al. 2020, algorithm 2)
    kappa = eta·that                anything between (DDIM, equation 16)
    kappa = sigma_s, c = 0          estimate x0, then noise it again
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from sfumato.diffusion.samplers.base import Question, Scales, Step
from sfumato.errors import ConfigError
from sfumato.randomness import Noise


class KappaRule(Protocol):
    """How much of the noise at s is old (c) and how much is fresh (kappa)."""

    def coefficients(self, t: Scales, s: Scales) -> tuple[float, float]:
        """Return (c, kappa)."""
        ...


def posterior_std(t: Scales, s: Scales) -> float:
    """Return the standard deviation of q(x_s | x_t, x0), see `process.posterior`."""
    variance_ts = max(t.sigma**2 - (t.alpha / s.alpha * s.sigma) ** 2, 0.0)
    return s.sigma / t.sigma * math.sqrt(variance_ts)


@dataclass(frozen=True)
class Posterior:
    """kappa = eta·(the posterior's standard deviation); eta in [0, 1]: 0 is DDIM, 1 is DDPM."""

    eta: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ConfigError(f"eta must lie between 0 (DDIM) and 1 (DDPM), not {self.eta}")

    def coefficients(self, t: Scales, s: Scales) -> tuple[float, float]:
        """Return (c, kappa) with c² + kappa² = sigma_s²."""
        kappa = self.eta * posterior_std(t, s)
        return math.sqrt(max(s.sigma**2 - kappa**2, 0.0)), kappa


@dataclass(frozen=True)
class Renoise:
    """kappa = sigma_s: all noise is fresh."""

    def coefficients(self, t: Scales, s: Scales) -> tuple[float, float]:
        """Return (0, sigma_s)."""
        return 0.0, s.sigma


@dataclass(frozen=True)
class Stochastic:
    """The step above, under a rule. One evaluation a step."""

    rule: KappaRule

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Estimate (x0, eps) at t and recombine them at s."""
        estimate = ask(x_t, t)
        c, kappa = self.rule.coefficients(t, s)
        x_s = s.alpha * estimate.x0 + c * estimate.eps
        if kappa > 0:
            x_s = x_s + kappa * noise.normal(x_t.shape).to(x_t)
        return Step(x_s, estimate.x0)


def ddim() -> Stochastic:
    """Return DDIM: no fresh noise. Order 1 (Song et al. 2021)."""
    return Stochastic(Posterior(0.0))


def ancestral(eta: float = 1.0) -> Stochastic:
    """Return DDPM's ancestral sampler, or with eta below 1 one between it and DDIM."""
    return Stochastic(Posterior(eta))


def renoise() -> Stochastic:
    """Return the sampler that estimates x0 and noises it again, with fresh noise, at every step."""
    return Stochastic(Renoise())
