"""Modes found: how many of the Gaussians a toy data set is made of a generator knows, and how sharply.

A sample is *sharp* if it lies within three standard deviations of the nearest centre, as 98.9 % of the
plane's own points do (1 − e^(−9/2)). A mode is *covered* if at least a tenth of its fair share, n/K of n
samples, are sharp samples of it. (After Srivastava et al. 2017, "VEEGAN", where one sample is
enough to cover a mode and a stray one therefore counts.)
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.errors import DataError

SHARP = 3.0
FAIR = 0.1


@dataclass(frozen=True)
class Modes:
    """What was found. covered: how many modes; of: how many there are; sharp: share of the samples."""

    covered: int
    of: int
    sharp: float


def modes(samples: Tensor, centres: Tensor, std: float) -> Modes:
    """Find the modes at `centres`: (K, D), all of standard deviation `std`, in `samples`: (N, D).

    A sample that is no number is near nothing. Raises DataError where there are no samples.
    """
    if not len(samples):
        raise DataError("There are no samples in which to look for modes: generate some first.")
    nearest, which = (samples[:, None] - centres).norm(dim=2).nan_to_num(torch.inf).min(1)
    sharp = nearest <= SHARP * std
    found = torch.bincount(which[sharp], minlength=len(centres))
    covered = int((found >= max(1.0, FAIR * len(samples) / len(centres))).sum())
    return Modes(covered, len(centres), float(sharp.double().mean()))
