"""How long to train: in time, steps or images.

A budget turns what has been done into a progress from 0 to 1, by which the learning rate, previews and the
end of training go. Only a budget in steps or images gives the same run twice: seconds depend on the machine.
"""

import re
from dataclasses import dataclass

from sfumato.errors import ConfigError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_COUNTS = {"step": "steps", "steps": "steps", "image": "images", "images": "images"}


@dataclass(frozen=True)
class Done:
    """What has been done so far: optimiser steps, images seen, seconds of training."""

    steps: int = 0
    images: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Budget:
    """A limit on one of the three counts of `Done`.

    of: "steps", "images" or "seconds"; amount: how many, above 0.
    """

    of: str
    amount: float

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read "90s", "5m", "2h", "20000steps" or "3000000images".

        Raises ConfigError for anything else.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.strip().lower())
        if match and float(match[1]) > 0:
            amount, unit = float(match[1]), match[2]
            if unit in _SECONDS:
                return cls("seconds", amount * _SECONDS[unit])
            if unit in _COUNTS and amount.is_integer():
                return cls(_COUNTS[unit], amount)
        raise ConfigError(
            f"'{text}' is not a budget: give a time such as 90s, 5m or 2h, or a count such as 20000steps or "
            "3000000images."
        )

    def __str__(self) -> str:
        if self.of != "seconds":
            return f"{self.amount:.0f}{self.of}"
        for unit in ("h", "m"):
            if (self.amount / _SECONDS[unit]).is_integer():
                return f"{self.amount / _SECONDS[unit]:.0f}{unit}"
        return f"{self.amount!r}s".replace(".0s", "s")

    def progress(self, done: Done) -> float:
        """Return the share of the budget used, from 0 to 1."""
        return min(1.0, getattr(done, self.of) / self.amount)

    def seconds_left(self, done: Done) -> float | None:
        """Estimate the seconds of training left, None before anything is done."""
        used = self.progress(done)
        return done.seconds * (1 - used) / used if used > 0 else None
