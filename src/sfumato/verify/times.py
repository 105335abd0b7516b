"""Training times have the distribution they claim, and sampling grids lie where their papers put them."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from sfumato.diffusion.grids import FittedGrid, Grid, check_grid
from sfumato.diffusion.schedules import Schedule
from sfumato.diffusion.times import LogitNormal, LogNormal, Steps, stratified
from sfumato.randomness import generator
from sfumato.verify.law import Finding, Subject, as_double
from sfumato.verify.pieces import DENSITIES, GRIDS, SCHEDULES

DRAWS = 4000


def normal_share(x: Tensor) -> Tensor:
    """Return the standard normal distribution function."""
    return 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def log_ratio(schedule: Schedule, t: Tensor) -> Tensor:
    """Return log(sigma/alpha)."""
    level = schedule.level(t)
    return (level.sigma / level.alpha).log()


def importance(schedule: Schedule) -> Tensor:
    """Return the shares of ten steps: nine tenths by what Gaussian data adds to the bound there."""
    terms = []
    for step in range(1, 11):
        s, t = schedule.level(max(step - 1, 0.5) / 10), schedule.level(step / 10)
        fall = (s.alpha / s.sigma) ** 2 - (t.alpha / t.sigma) ** 2
        terms.append(float(fall * 0.49 * t.sigma**2 / (0.49 * t.alpha**2 + t.sigma**2)))
    return 0.9 * as_double(terms) / math.fsum(terms) + 0.01


SHARES: dict[str, Callable[[Schedule, Tensor], Tensor]] = {
    "uniform": lambda schedule, t: (t - schedule.t_min) / (1 - schedule.t_min),
    "log_normal": lambda schedule, t: normal_share((log_ratio(schedule, t) + 1.2) / 1.2),
    "logit_normal": lambda schedule, t: normal_share((t / (1 - t)).log()),
    "steps": lambda schedule, t: (10 * t).round() / 10,
    "importance_steps": lambda schedule, t: importance(schedule).cumsum(0)[(10 * t).round().long() - 1],
}
"""The distribution function of each density of `pieces`, between its ends."""


def density_laws(schedule_name: str) -> Iterator[Finding]:
    """Yield that the share of draws up to a time is the distribution function there.

    One draw falls in each n-th of the distribution, so a share is off by 1/n at most, and rounding of the t.
    """
    schedule = SCHEDULES[schedule_name]
    for name, density in DENSITIES.items():
        subject = Subject("training times", {"schedule": schedule_name, "times": name})
        t = density.draw(DRAWS, schedule, generator(3, "times")).sort().values
        yield subject.holds("within [t_min, 1]", bool(((t >= min(schedule.t_min, 0.1)) & (t <= 1)).all()))
        inside = (t > schedule.t_min) & (t < 1) if "steps" not in name else t > 0
        drawn = torch.searchsorted(t, t[inside], right=True) / DRAWS
        share = SHARES[name](schedule, t[inside])
        yield subject.below("the share of draws up to t", float((drawn - share).abs().max()), 2 / DRAWS)


def stratified_laws() -> Iterator[Finding]:
    """Yield that each n-th has its draw, and the refusals."""
    subject = Subject("training times", {})
    places = (stratified(50, generator(1, "strata")) * 50).floor()
    yield subject.equal("one draw in each n-th", places, torch.arange(50).double())
    yield subject.refused("Steps(0) is refused", lambda: Steps(0))
    yield subject.refused("LogNormal(std=0) is refused", lambda: LogNormal(std=0.0))
    yield subject.refused("LogitNormal(std=0) is refused", lambda: LogitNormal(std=0.0))
    for wrong in ([1.0], [0.5, 0.5], [0.5, 0.6], [1.1, 0.0], [1.0, -0.1]):
        yield Subject("grid", {}).refused(f"times {wrong} are refused", partial(check_grid, as_double(wrong)))


def spaced(first: float, last: float, steps: int) -> list[float]:
    """Return `steps` equally spaced numbers."""
    return [first + (last - first) * i / max(steps - 1, 1) for i in range(steps)]


def ends(schedule: Schedule) -> tuple[float, float]:
    """Return log(sigma/alpha) at t = 1, or that of a ratio of 1,000, and at the cleanest time asked about."""
    level = schedule.level(1.0)
    ratio = min(float(level.sigma) / max(float(level.alpha), 1e-300), 1e3)
    # Said here again: a law that asked `cleanest_asked` could not catch it in the wrong.
    return math.log(ratio), float(log_ratio(schedule, as_double(schedule.t_min or 1e-3)))


def log_snr_grid(schedule: Schedule, steps: int) -> list[float]:
    """Return equal steps of log(sigma/alpha)."""
    return spaced(*ends(schedule), steps)


def rho_grid(schedule: Schedule, steps: int) -> list[float]:
    """Return equal steps of the seventh root of sigma/alpha, down to 0.002 or the cleanest there is."""
    first, last = ends(schedule)
    roots = spaced(math.exp(first / 7), math.exp(max(last, math.log(0.002)) / 7), steps)
    return [7 * math.log(root) for root in roots]


IN_TIME: dict[str, Callable[[int], list[float]]] = {
    "uniform": lambda steps: [1 - i / steps for i in range(steps)],
    "quadratic": lambda steps: [(1 - i / steps) ** 2 for i in range(steps)],
    "trailing": lambda steps: [round(1000 * (steps - i) / steps) / 1000 for i in range(steps)],
    "leading": lambda steps: [((steps - 1 - i) * (1000 // steps) + 1) / 1000 for i in range(steps)],
    "linspaced": lambda steps: [(round(999 * (1 - i / (steps - 1))) + 1) / 1000 for i in range(steps)],
}
"""The times at which a network is asked, of grids that know no levels."""
IN_NOISE = {"log_snr": log_snr_grid, "rho": rho_grid}
"""log(sigma/alpha) there, of grids that do; the first time is 1."""


FITTED = {name: grid.at for name, grid in GRIDS.items() if isinstance(grid, FittedGrid)}


def grid_laws(schedule_name: str) -> Iterator[Finding]:
    """Yield where the grids of `pieces` lie on one schedule."""
    schedule = SCHEDULES[schedule_name]
    for name, grid in GRIDS.items():
        subject = Subject("grid", {"schedule": schedule_name, "grid": name})
        for steps in counts(grid):
            times = grid.times(steps, schedule)
            falls = len(times) == steps + 1 and bool((times.diff() < 0).all())
            yield subject.holds(f"{steps} steps fall to 0", falls and float(times[-1]) == 0)
            if name in IN_TIME:
                yield subject.equal("its formula", times[:-1], as_double(IN_TIME[name](steps)))
            elif name in IN_NOISE:
                yield subject.equal("starts at pure noise", times[0], 1.0)
                wanted = as_double(IN_NOISE[name](schedule, steps)[1:])
                yield subject.equal("its formula", log_ratio(schedule, times[1:-1]), wanted, 1e-7)
            else:
                yield subject.equal("the times it was given", times, as_double(FITTED[name]))
        yield subject.refused("no step at all is refused", partial(grid.times, 0, schedule))


def counts(grid: Grid) -> tuple[int, ...]:
    """Return the numbers of steps to look at; a fitted grid has but one."""
    return (len(grid.at) - 1,) if isinstance(grid, FittedGrid) else (5, 7, 12)
