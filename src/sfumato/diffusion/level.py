"""A noise level: how much signal and how much noise a sample holds.

    x_t = alpha·x0 + sigma·eps,   eps ~ N(0, I)

Levels are float64 until they meet the data, because differences such as 1 − alpha² lose every digit of
float32 near the clean end. Time is explicit everywhere: t = 0 is clean, t = 1 is the noisiest.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Level:
    """The cumulative scales at some times, and their derivatives by time; equal to itself alone.

    t: () or (B,) of float64; alpha, sigma: the same shape, the scales of signal and noise;
    d_alpha, d_sigma: the same shape, d alpha/dt and d sigma/dt.
    """

    t: Tensor
    alpha: Tensor
    sigma: Tensor
    d_alpha: Tensor
    d_sigma: Tensor

    @property
    def snr(self) -> Tensor:
        """The signal-to-noise ratio alpha²/sigma²."""
        return (self.alpha / self.sigma).square()

    @property
    def log_snr(self) -> Tensor:
        """log(alpha²/sigma²), +inf on clean data, −inf on pure noise."""
        return 2 * (self.alpha.log() - self.sigma.log())


def as_time(t: Tensor | float, device: torch.device | None = None) -> Tensor:
    """Return `t` as float64 (float32 on a device that has none), on `device`, by default where it is."""
    # A number becomes float64 at once: by way of float32 it would be another time.
    time = t if isinstance(t, Tensor) else torch.tensor(t, dtype=torch.float64)
    device = device or time.device
    return time.to(device, torch.float32 if device.type == "mps" else torch.float64)


def expand(value: Tensor, x: Tensor) -> Tensor:
    """Shape `value`: () or (B,) to multiply `x`: (B, ...), in its precision and on its device."""
    return value.to(device=x.device, dtype=x.dtype).reshape(-1, *[1] * (x.ndim - 1))
