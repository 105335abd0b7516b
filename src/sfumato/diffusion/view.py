"""What a network is shown of a noisy sample and its level.

Usually c_in·x_t, which has unit variance at every level (Karras et al. 2022, equation 7), and the level as
¼·log(sigma/alpha) (their table 1). Lecture N's network sees x_t alone, never t.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.diffusion.combination import Factor, combine, number, per_row
from sfumato.diffusion.level import Level
from sfumato.diffusion.remembering import remembered
from sfumato.errors import ConfigError

LARGEST_LOG_RATIO = 12.0
"""Levels beyond e^±12 look alike to the network; the ends alpha = 0 and sigma = 0 stay finite."""


class View(Protocol):
    """A rule that shows a network its input."""

    def show(self, x_t: Tensor, level: Level) -> tuple[Tensor, Tensor]:
        """Return the input: (B, ...) and the level: (B,), in the precision of x_t."""
        ...


def level_input(level: Level) -> Tensor:
    """Return ¼·log(sigma/alpha), the level as a network sees it."""
    return (-0.5 * level.log_snr).clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO) / 4


@dataclass(frozen=True)
class WithLevel:
    """The sample at unit variance, and its level.

    sigma_data: the standard deviation of the data as the model sees it.
    """

    sigma_data: float = 1.0

    def __post_init__(self) -> None:
        if not self.sigma_data > 0:
            raise ConfigError(f"sigma_data must be above 0, not {self.sigma_data}")

    def show(self, x_t: Tensor, level: Level) -> tuple[Tensor, Tensor]:
        """Return x_t/sqrt(alpha²·sigma_data² + sigma²) and ¼·log(sigma/alpha)."""
        scale, noise_level = _scale_and_level(self, level)
        return combine((scale, x_t)), per_row(noise_level, x_t)


@remembered
def _scale_and_level(view: WithLevel, level: Level) -> tuple[Factor, Factor]:
    scale = ((level.alpha * view.sigma_data).square() + level.sigma.square()).rsqrt()
    return number(scale), number(level_input(level))


@dataclass(frozen=True)
class TimeFree:
    """The sample as it is, and nothing else: the level shown is always 0."""

    def show(self, x_t: Tensor, level: Level) -> tuple[Tensor, Tensor]:
        """Return x_t itself and zeros."""
        return x_t, torch.zeros(len(x_t), device=x_t.device, dtype=x_t.dtype)
