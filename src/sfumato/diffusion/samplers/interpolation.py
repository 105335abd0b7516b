"""Steps along a polynomial through remembered values, exact on steps of any lengths.

A multistep solver knows f at the place v_0, where its step begins, and at others v_1 … v_n. It integrates the
polynomial P through them, under a known weight w, over the step from v_0 to v_0 + h. With u = (v − v_0)/h and
the moments M_k = ∫₀¹ w(u) u^k du,

    ∫₀¹ w P du = M_0·f_0 + Σ_j c_j·(f_j − f_0),   Σ_j c_j·u_j^k = M_k for k = 1 … n

because both sides are linear in P and agree on 1, u, …, u^n. The first term alone is a step of order 1; the
rest, its correction, is what makes the order n + 1. The d_j = c_j·u_j solve a Vandermonde system,

    Σ_j d_j·u_j^k = M_{k+1} for k = 0 … n − 1,

in n² operations on single numbers (Björck & Pereyra 1970).
"""

from collections.abc import Sequence

from torch import Tensor

Point = tuple[float, Tensor]
"""A place on the solver's axis and the value there: (B, ...)."""


def remember(point: Point, before: Sequence[Point], most: int) -> tuple[Point, ...]:
    """Return the newest `most` points, the newest first."""
    return (point, *before)[:most]


def weights(places: Sequence[float], h: float, moments: Sequence[float]) -> list[float]:
    """Return the factors of f_0, f_1, …, f_n in Σ_j c_j·(f_j − f_0); they sum to 0.

    places: n + 1 different ones, the first where the step begins; h: the step's signed length, finite where
    n > 0; moments: M_1 … M_n.
    """
    start, *others = places
    u = [(place - start) / h for place in others]
    of_others = [d_j / u_j for d_j, u_j in zip(vandermonde(u, moments), u, strict=True)]
    return [-sum(of_others), *of_others]


def vandermonde(places: Sequence[float], moments: Sequence[float]) -> list[float]:
    """Return the d with Σ_j d_j·u_j^k = m_k for k = 0 … n − 1; places: u, different; moments: m, n of each.

    Golub & Van Loan 2013, algorithm 4.6.2.
    """
    d, n = list(moments), len(places)
    for k in range(n - 1):
        for i in range(n - 1, k, -1):
            d[i] -= places[k] * d[i - 1]
    for k in range(n - 2, -1, -1):
        for i in range(k + 1, n):
            d[i] /= places[i] - places[i - k - 1]
        for i in range(k, n - 1):
            d[i] -= d[i + 1]
    return d
