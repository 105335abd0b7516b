"""Grids: where the steps of a sampler lie."""

from sfumato.diffusion.grids.base import Grid, check_grid, times_of
from sfumato.diffusion.grids.fitted import FittedGrid
from sfumato.diffusion.grids.noise import (
    NOISIEST_RATIO,
    LogSNRGrid,
    RhoGrid,
    cleanest_log_ratio,
    noisiest_log_ratio,
    times_of_log_ratios,
)
from sfumato.diffusion.grids.steps import LeadingGrid, LinspacedGrid, TrailingGrid
from sfumato.diffusion.grids.time import QuadraticGrid, UniformGrid

__all__ = [
    "NOISIEST_RATIO",
    "FittedGrid",
    "Grid",
    "LeadingGrid",
    "LinspacedGrid",
    "LogSNRGrid",
    "QuadraticGrid",
    "RhoGrid",
    "TrailingGrid",
    "UniformGrid",
    "check_grid",
    "cleanest_log_ratio",
    "noisiest_log_ratio",
    "times_of",
    "times_of_log_ratios",
]
