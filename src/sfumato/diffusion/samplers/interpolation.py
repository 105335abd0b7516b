"""Steps along a polynomial through remembered values, exact on steps of any lengths.

A multistep solver knows f at the place v_0, where its step begins, and at others v_1 … v_n. It integrates the
polynomial P through them, under a known weight w, over the step from v_0 to v_0 + h. With u = (v − v_0)/h and
the moments M_k = ∫₀¹ w(u) u^k du,

    ∫₀¹ w P du = M_0·f_0 + Σ_j c_j·(f_j − f_0),   Σ_j c_j·u_j^k = M_k for k = 1 … n

because both sides are linear in P and agree on 1, u, …, u^n. The first term alone is a step of order 1; the
rest, its correction, is what makes the order n + 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

Point = tuple[float, Tensor]
"""A place on the solver's axis and the value there: (B, ...)."""


def remember(point: Point, before: Sequence[Point], most: int) -> tuple[Point, ...]:
    """Return the newest `most` points, the newest first."""
    return (point, *before)[:most]


def correction(points: Sequence[Point], h: float, moments: Sequence[float]) -> Tensor:
    """Return Σ_j c_j·(f_j − f_0): (B, ...), zero where there is but one point.

    points: n + 1 of different places, the first where the step begins; h: the step's signed length, finite
    where n > 0; moments: M_1 … M_n.
    """
    (start, f_0), others = points[0], points[1:]
    total = torch.zeros_like(f_0)
    if not others:
        return total
    places = torch.tensor([(place - start) / h for place, _ in others], dtype=torch.float64)
    powers = places ** torch.arange(1, len(others) + 1)[:, None]
    weights = torch.linalg.solve(powers, torch.tensor(moments, dtype=torch.float64))
    for weight, (_, f_j) in zip(weights.tolist(), others, strict=True):
        total = total + weight * (f_j - f_0)
    return total
