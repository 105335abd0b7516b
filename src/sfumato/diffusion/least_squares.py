"""Minimising the mean logarithm of errors: least squares that no single row can rule.

    L(p) = 1/B·Σ_b log |r_b(p)|,   r_b in R^D

Because log u ≤ log v + (u² − v²)/(2 v²), with equality at u = v, L lies below the weighted least squares

    L(p) + ½/B·Σ_b (|r_b + J_b d|² − |r_b|²)/|r_b|²     at p + d, to first order in r

so a step that lowers those lowers L (iteratively reweighted least squares). J = dr/dp is measured by finite
differences, and steps are damped as by Levenberg and Marquardt (Marquardt 1963, equation 10):

    (A + mu·diag A) d = −Σ_b J_bᵀ r_b/|r_b|²,   A = Σ_b J_bᵀ J_b/|r_b|²

with mu lowered after a step that helped and raised after one that did not.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Residuals = Callable[[Tensor], Tensor]
"""p: (P,) of float64 -> r: (B, D) of float64."""

NUDGE = 0.01
"""The finite difference of p, meant for parameters of order 1 and residuals of float32 or better."""
LONGEST = 1.0
"""No entry of p moves further in one step: J says nothing about what lies beyond."""
ENOUGH = 3e-4
"""A step that lowers L by less is the last."""
TRIES = 8
"""Dampings tried, each four times the one before, until none is believed to help."""


def mean_log_error(r: Tensor) -> float:
    """Return L of residuals (B, D); infinite where they are not finite."""
    value = float(r.norm(dim=1).clamp(min=1e-300).log().mean())
    return value if value < float("inf") else float("inf")


def minimise(residuals: Residuals, p: Tensor, budget: int) -> Tensor:
    """Return a p: (P,) with a lower L, from `p` on, in about `budget` evaluations of `residuals`."""
    r, damping = residuals(p), 1.0
    left = budget - 1
    while left > len(p) > 0:
        normal, gradient = _equations(residuals, p, r)
        left -= len(p)
        found = None
        for _ in range(min(TRIES, left)):
            damped = normal + damping * normal.diagonal().clamp(min=1e-9).diag()
            d = -torch.linalg.solve(damped, gradient)
            candidate = residuals(p + d.clamp(-LONGEST, LONGEST))
            left -= 1
            if mean_log_error(candidate) < mean_log_error(r):
                found = p + d.clamp(-LONGEST, LONGEST), candidate
                damping = max(damping / 4, 1e-4)
                break
            damping *= 4
        if found is None:
            return p
        gain = mean_log_error(r) - mean_log_error(found[1])
        p, r = found
        if gain < ENOUGH:
            return p
    return p


def _equations(residuals: Residuals, p: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """Return A: (P, P) and Σ_b J_bᵀ r_b/|r_b|²: (P,)."""
    weight = 1 / r.norm(dim=1, keepdim=True).clamp(min=1e-300)
    nudged = [residuals(p + NUDGE * unit) for unit in torch.eye(len(p), dtype=p.dtype)]
    slopes = torch.stack([((there - r) / NUDGE * weight).flatten() for there in nudged])
    return slopes @ slopes.T, slopes @ (r * weight).flatten()
