"""Fitting a grid: where K steps of a sampler should lie, for one model, found on a few dozen trajectories.

With l = log(sigma/alpha), a grid asks at levels l_1 > … > l_K, the first that of t = 1, and goes from the
last one to 0. Its gaps are positive, and shrunk alike where they would lead past the cleanest level:

    l_j − l_{j+1} = e^{p_j}·min(1, (l_1 − l_clean)/Σ_i e^{p_i}),   p in R^{K−1}, free

What is minimised is the mean over trajectories of the logarithm of the end point's error, |x_b(p) − x_b*|,
against a fine solution of the same ODE (`least_squares`). It takes walks of the sampler and nothing else: no
gradient runs through the network.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.grids import (
    FittedGrid,
    LogSNRGrid,
    RhoGrid,
    UniformGrid,
    cleanest_log_ratio,
    noisiest_log_ratio,
    times_of_log_ratios,
)
from sfumato.diffusion.least_squares import mean_log_error, minimise
from sfumato.diffusion.samplers import Sampler, UniPC, sample_frames
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError

FINE = 200
"""Steps of the reference, at order 4: its error is far below that of any grid worth fitting."""
BUDGET = 400
"""Walks that a search may take."""
STARTS = (
    UniformGrid(),
    LogSNRGrid(),
    RhoGrid(),
    RhoGrid(7.0, 0.02),
    RhoGrid(3.0, 0.02),
    RhoGrid(7.0, 0.1),
)
"""Grids, from the best two of which the search goes on, each with a third of the budget, then the better."""

Progress = Callable[[int, int], None]
"""Told (walks done, walks at most)."""


class _Silence:
    """The noise of a sampler that needs none."""

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Refuse."""
        raise ConfigError(
            "this sampler draws noise, so it ends somewhere else each time and its steps cannot be placed by "
            "where it ends: fit a grid for one that follows the ODE, such as unipc, dpm++2m, heun or ddim"
        )


@torch.no_grad()
def walk(
    denoiser: Denoiser, sampler: Sampler, x: Tensor, times: Tensor, condition: Condition | None = None
) -> Tensor:
    """Return the end of a deterministic sampler from `x`: (B, ...); raise ConfigError if it draws noise."""
    (last,) = deque(sample_frames(denoiser, sampler, x, times, _Silence(), condition), maxlen=1)
    return last.x


def fine_ends(denoiser: Denoiser, x: Tensor, condition: Condition | None = None) -> Tensor:
    """Return where the ODE leads `x`: (B, ...), by many steps of a solver of order 4."""
    return walk(denoiser, UniPC(3), x, LogSNRGrid().times(FINE, denoiser.schedule), condition)


@dataclass(frozen=True)
class Layout:
    """The grids of K steps on a schedule by their K − 1 free parameters, as in the module's equation."""

    schedule: Schedule
    steps: int

    @property
    def _first(self) -> float:
        return noisiest_log_ratio(self.schedule)

    @property
    def _way(self) -> float:
        return self._first - cleanest_log_ratio(self.schedule)

    def place(self, p: Tensor) -> Tensor:
        """Return the K + 1 times of `p`: (K − 1,)."""
        gaps = p.exp()
        gaps = gaps * (self._way / gaps.sum()).clamp(max=1)
        gone = torch.cat([torch.zeros(1, dtype=torch.float64), gaps.cumsum(0)])
        return times_of_log_ratios(self.schedule, self._first - gone)

    def parameters(self, times: Tensor) -> Tensor:
        """Return the p of a grid, drawn in a little: at the cleanest level longer gaps all look alike."""
        level = self.schedule.level(times[1:-1])
        ratios = torch.cat([torch.tensor([self._first]).double(), (level.sigma / level.alpha).log()])
        return (0.97 * (ratios[:-1] - ratios[1:])).log()


def fit_grid(
    denoiser: Denoiser,
    sampler: Sampler,
    steps: int,
    x: Tensor,
    condition: Condition | None = None,
    reference: Tensor | None = None,
    budget: int = BUDGET,
    progress: Progress | None = None,
) -> FittedGrid:
    """Place `steps` steps of `sampler`, so that it ends where the ODE does.

    x: (B, ...), a few dozen starts of pure noise; reference: (B, ...), their ends, by default `fine_ends`;
    budget: walks at most; progress: told of each walk. Raises ConfigError for a sampler that draws noise.
    """
    layout, walks = Layout(denoiser.schedule, steps), 0
    # A sampler that draws noise is refused before the long walk to the reference.
    walk(denoiser, sampler, x, LogSNRGrid().times(steps, denoiser.schedule), condition)
    ends = fine_ends(denoiser, x, condition) if reference is None else reference

    def residuals(p: Tensor) -> Tensor:
        nonlocal walks
        walks += 1
        if progress:
            progress(min(walks, budget), budget)
        end = walk(denoiser, sampler, x, layout.place(p), condition)
        return (end - ends).cpu().double().flatten(1)

    def loss(p: Tensor) -> float:
        return mean_log_error(residuals(p))

    starts = sorted((layout.parameters(grid.times(steps, layout.schedule)) for grid in STARTS), key=loss)
    best = min((minimise(residuals, p, budget // 3) for p in starts[:2]), key=loss)
    best = minimise(residuals, best, budget - walks)
    if progress:
        progress(budget, budget)
    return FittedGrid(tuple(layout.place(best).tolist()))
