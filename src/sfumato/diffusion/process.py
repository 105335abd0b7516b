"""The noising process of a schedule: every Gaussian that the lectures derive from it.

With levels (alpha_s, sigma_s) and (alpha_t, sigma_t), s < t:

    one shot     q(x_t | x0)       = N(alpha_t·x0, sigma_t² I)
    transition   q(x_t | x_s)      = N(alpha_ts·x_s, sigma_ts² I),
                 alpha_ts = alpha_t/alpha_s,  sigma_ts² = sigma_t² − alpha_ts²·sigma_s²
    posterior    q(x_s | x_t, x0)  = N(mean, std² I),
                 mean = alpha_ts·sigma_s²/sigma_t²·x_t + alpha_s·sigma_ts²/sigma_t²·x0,
                 std  = sigma_ts·sigma_s/sigma_t

(Kingma et al. 2021, appendix A; for s = t − 1 and variance preserving levels these are Ho et al. 2020,
equations 2, 4, 6 and 7.) As a stochastic differential equation dx = f·x dt + g dw:

    f = d log alpha/dt,   g² = d sigma²/dt − 2 f sigma²    (Kingma et al. 2021, equations 8 and 9)
"""

import torch
from torch import Tensor

from sfumato.diffusion.level import Level, expand
from sfumato.diffusion.remembering import remembered
from sfumato.diffusion.schedules import Schedule
from sfumato.normal import Normal


def corrupt(schedule: Schedule, x0: Tensor, eps: Tensor, t: Tensor | float) -> Tensor:
    """Return x_t = alpha_t·x0 + sigma_t·eps; x0, eps: (B, ...), t: () or (B,)."""
    level = schedule.level(t)
    return expand(level.alpha, x0) * x0 + expand(level.sigma, x0) * eps


def marginal(schedule: Schedule, x0: Tensor, t: Tensor | float) -> Normal:
    """Return q(x_t | x0), the one-shot corruption; x0: (B, ...)."""
    level = schedule.level(t)
    return Normal(expand(level.alpha, x0) * x0, expand(level.sigma, x0))


@remembered
def transition_scales(level_s: Level, level_t: Level) -> tuple[Tensor, Tensor]:
    """Return (alpha_ts, sigma_ts), the scales of signal and noise of the way from s to t > s."""
    alpha_ts = level_t.alpha / level_s.alpha
    variance = level_t.sigma.square() - (alpha_ts * level_s.sigma).square()
    return alpha_ts, variance.clamp(min=0).sqrt()


def transition(schedule: Schedule, x_s: Tensor, s: Tensor | float, t: Tensor | float) -> Normal:
    """Return q(x_t | x_s) for s < t, one step of noising of any length; x_s: (B, ...)."""
    alpha_ts, sigma_ts = transition_scales(schedule.level(s), schedule.level(t))
    return Normal(expand(alpha_ts, x_s) * x_s, expand(sigma_ts, x_s))


@remembered
def posterior_scales(level_s: Level, level_t: Level) -> tuple[Tensor, Tensor, Tensor]:
    """Return the factors of x_t and of x0 in the posterior's mean, and its standard deviation."""
    alpha_ts, sigma_ts = transition_scales(level_s, level_t)
    variance_t = level_t.sigma.square()
    of_x_t = alpha_ts * level_s.sigma.square() / variance_t
    of_x0 = level_s.alpha * sigma_ts.square() / variance_t
    return of_x_t, of_x0, sigma_ts * level_s.sigma / level_t.sigma


def posterior(schedule: Schedule, x0: Tensor, x_t: Tensor, s: Tensor | float, t: Tensor | float) -> Normal:
    """Return q(x_s | x_t, x0) for s < t; x0, x_t: (B, ...)."""
    of_x_t, of_x0, std = posterior_scales(schedule.level(s), schedule.level(t))
    return Normal(expand(of_x_t, x_t) * x_t + expand(of_x0, x0) * x0, expand(std, x_t))


def prior(schedule: Schedule, like: Tensor) -> Normal:
    """Return p(x_T), the pure noise that sampling starts from, in the shape of `like`: (B, ...)."""
    return Normal(torch.zeros_like(like), torch.full_like(like, schedule.prior_std))


def drift_and_diffusion(schedule: Schedule, t: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return (f, g) of the equation dx = f·x dt + g dw at `t` in (0, 1): () or (B,)."""
    level = schedule.level(t)
    drift = level.d_alpha / level.alpha
    squared = 2 * level.sigma * (level.d_sigma - drift * level.sigma)
    return drift, squared.clamp(min=0).sqrt()
