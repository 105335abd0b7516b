"""The probability-flow ODE to a tolerance, by an adaptive Runge–Kutta pair of orders 5 and 4.

    dx_t/dt = alpha′·x̂0(x_t, t) + sigma′·ε̂(x_t, t),   each step's error <= atol + rtol·|x|

(Song et al. 2021, section 4.3 and appendix D.4, where both tolerances are 1e-5; Dormand & Prince 1980.) The
grid says only where to stop on the way: one step from 1 to 0 is the cheapest. The flow is followed down to
the schedule's `t_min`, the cleanest level that is ever asked about, where the estimate of x0 is the sample.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.diffusion.level import as_time
from sfumato.diffusion.samplers.base import Question, Scales, Step
from sfumato.diffusion.samplers.ode import slope
from sfumato.diffusion.schedules import cleanest_asked
from sfumato.errors import ConfigError
from sfumato.randomness import Noise

MOST_STEPS = 2000
"""Rounding, which no step is short enough for, would keep the solver busy for ever."""


@dataclass(frozen=True)
class AdaptiveODE:
    """Dormand–Prince through torchdiffeq; as many evaluations as the tolerance takes, counted as they happen.

    rtol, atol: what a step's error may be, relative to an entry and beyond it; float32 cannot keep less than
    about 1e-6. The images of a batch take their steps together, each as short as the neediest image wants
    (the norm is the largest of the images' own root mean squares), so every image keeps the tolerance, and is
    the same alone and in a batch to within it, but not to the last bit. Raises ConfigError where the
    tolerance cannot be kept.
    """

    rtol: float = 1e-5
    atol: float = 1e-5

    def __post_init__(self) -> None:
        if not self.rtol > 0 or not self.atol > 0:
            raise ConfigError(f"rtol and atol must be above 0, not {self.rtol} and {self.atol}")

    def step(self, ask: Question, x_t: Tensor, t: Scales, s: Scales, noise: Noise, memory: Any) -> Step:
        """Follow the flow from t to s, or to the cleanest level and then to the estimate."""
        end = s if s.t > 0 else ask.at(cleanest_asked(ask.schedule))
        x = self._flow(ask, x_t, t.t, end.t) if t.t > end.t else x_t
        at = end if t.t > end.t else t
        x0 = ask(x, at).x0
        return Step(x if s.t > 0 else x0, x0)

    def _flow(self, ask: Question, x: Tensor, start: float, end: float) -> Tensor:
        from torchdiffeq import odeint

        times = as_time(torch.tensor([start, end], dtype=torch.float64), x.device)

        def velocity(time: Tensor, y: Tensor) -> Tensor:
            # The solver's guess of a first step may look beyond the end, where nothing may be asked.
            at = ask.at(max(float(time), end))
            return slope(ask(y, at), at)

        options = {
            "norm": largest_rms,
            "step_t": times[1:],  # else it steps past the end and comes back by interpolation
            "dtype": times.dtype,
            "max_num_steps": MOST_STEPS,
        }
        try:
            path: Tensor = odeint(
                velocity, x, times, rtol=self.rtol, atol=self.atol, method="dopri5", options=options
            )
        except AssertionError as error:
            raise ConfigError(
                f"the tolerance rtol = {self.rtol:g}, atol = {self.atol:g} cannot be kept within "
                f"{MOST_STEPS} steps of {x.dtype} numbers: choose larger ones."
            ) from error
        return path[-1]


def largest_rms(error: Tensor) -> Tensor:
    """Return the largest of the images' root mean squares: (); error: (B, ...)."""
    return error.flatten(1).square().mean(1).max().sqrt()
