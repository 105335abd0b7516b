"""What is known of each sampler: the table that what is measured is held against, a line each.

A deterministic sampler has the order of its error on the probability-flow ODE; a stochastic one a weak
order, that of the error of its law. Some have neither; then it is said why. A sampler of `verify.pieces`
without a line here fails a test.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import cast

from sfumato.diffusion.samplers import Churn, Sampler


@dataclass(frozen=True)
class Theory:
    """What a sampler should do.

    order: of the error in the step, None where there is none; accuracy: the largest error at 50 evaluations
    on the laws' data, whose spread is about 1; why: its source, or what is to be known; bias: what the
    statistics of samples may be off, beside chance, after many more evaluations.
    """

    order: int | None
    accuracy: float
    why: str
    bias: float = 0.05


THEORY = {
    "ddim": Theory(1, 0.1, "Song et al. 2021, equation 12"),
    "euler": Theory(1, 0.1, "Euler's method"),
    "heun": Theory(2, 0.03, "Karras et al. 2022, algorithm 1"),
    "dpm_solver_pp_2m": Theory(2, 0.02, "Lu et al. 2022b, theorem 5.1"),
    "dpm_solver_pp_3m": Theory(3, 0.02, "a parabola through three estimates"),
    "unipc_2": Theory(3, 0.02, "Zhao et al. 2023, theorem 3.1: the corrector adds one"),
    "unipc_bh1": Theory(3, 0.02, "Zhao et al. 2023, theorem 3.1: the corrector adds one"),
    "unipc_3": Theory(4, 0.02, "Zhao et al. 2023, theorem 3.1: the corrector adds one"),
    "adams_bashforth_2": Theory(2, 0.05, "Adams–Bashforth of two slopes"),
    "adams_bashforth_3": Theory(3, 0.05, "Adams–Bashforth of three slopes"),
    "adams_bashforth_4": Theory(4, 0.05, "Adams–Bashforth of four slopes"),
    "ddpm": Theory(1, 0.1, "weak: the estimate is frozen over a step"),
    "ddpm_large": Theory(1, 0.1, "weak: the estimate is frozen over a step"),
    "euler_maruyama": Theory(1, 0.1, "weak: the drift is frozen over a step"),
    "sde_dpm_solver_pp_2m": Theory(2, 0.05, "weak, on a Gaussian: the mean is 2M's, the noise exact"),
    "churn": Theory(2, 0.05, "weak: the noising is exact, Heun's step of order 2", 0.1),
    "adaptive_ode": Theory(None, 0.01, "it keeps a tolerance instead"),
    "langevin": Theory(None, 2.0, "its error falls with the size of a move; it needs many levels", 0.15),
    "predictor_corrector": Theory(None, 0.2, "its error falls with the size of a correction", 0.1),
    "renoise": Theory(None, inf, "each step forgets its noise and loses spread: its chain has its own law"),
    "fixed_level": Theory(None, inf, "it stays at the noisiest level: its chain has its own law"),
}

OWN_LAW = ("renoise", "fixed_level")
"""Samplers whose chain on a Gaussian has a closed law, which is not the data's however short the steps."""

REFINED: dict[str, Callable[[Sampler, int], Sampler]] = {
    "churn": lambda sampler, steps: replace(cast(Churn, sampler), gamma=0.05 / steps),
}
"""How a sampler's own settings belong to a number of steps, for those that have such."""
