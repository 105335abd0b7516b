"""What training does to conditions: it hides them at random, and adds noise to a picture that is one.

A model that is to be guided must also know what is made without its conditions, so with probability `drop`
all of them are hidden at once (Ho & Salimans 2022, algorithm 1), and where there are several, each by itself
besides, so that each can be left out and each can guide.

A picture that is to be made larger comes from another model, which errs. So noise of a random level is added
to it, and the level is told beside it ("conditioning augmentation", Ho et al. 2022, "Cascaded diffusion
models for high fidelity image generation", section 4):

    c' = (1 − s)·c + s·eps,   s uniform in [0, noise]

Of several attributes told at once, each row leaves a share open that is uniform in [0, 1], so that one of
them may be asked for and all others left to chance.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.agreements import Draws
from sfumato.nets.conditions import ATTRIBUTES, PICTURE


def blurred(picture: Tensor, level: Tensor, eps: Tensor) -> Tensor:
    """Return a picture condition with its level behind it: (B, C + 1, h, w).

    picture, eps: (B, C, h, w); level: (B,), the share s of noise in [0, 1].
    """
    s = level.to(picture)[:, None, None, None]
    return torch.cat([picture.lerp(eps.to(picture), s), s.expand_as(picture[:, :1])], 1)


@dataclass(frozen=True)
class Conditioning:
    """How the conditions of a batch are changed in training.

    drop: the share of rows that are told nothing, and of each condition where there are several; names: of
    those that may be hidden; picture: the shape (C, h, w) of a picture condition, None without one;
    noise: the greatest level of noise that is added to it; attributes: how many are told, 0 for none.
    """

    drop: float = 0.1
    names: tuple[str, ...] = ()
    picture: tuple[int, ...] | None = None
    noise: float = 0.0
    attributes: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.drop < 1:
            raise ConfigError(
                f"the share of conditions to hide must be at least 0 and below 1, not {self.drop}"
            )

    def draw(self, rows: int, generator: torch.Generator) -> Draws:
        """Draw whose conditions are hidden, and what is added to pictures."""
        several = self.names if len(self.names) > 1 else ()
        draws = {
            key: torch.rand(rows, generator=generator) < self.drop
            for key in ("dropped", *(f"dropped.{name}" for name in several))
        }
        if self.picture is not None:
            draws["picture.level"] = torch.rand(rows, generator=generator) * self.noise
            draws["picture.eps"] = torch.randn(rows, *self.picture, generator=generator)
        if self.attributes:
            share = torch.rand(rows, 1, generator=generator)
            draws["attributes.told"] = torch.rand(rows, self.attributes, generator=generator) >= share
        return draws

    def __call__(self, condition: Condition | None, draws: Draws) -> Condition | None:
        """Return the condition as training shows it."""
        if condition is None:
            return None
        changed = condition.drop(draws["dropped"])
        for name in self.names:
            if f"dropped.{name}" in draws:
                changed = changed.drop(draws[f"dropped.{name}"], (name,))
        values = dict(changed.values)
        if self.picture is not None:
            clear = values[PICTURE][:, :-1]
            values[PICTURE] = blurred(clear, draws["picture.level"], draws["picture.eps"])
        if self.attributes:
            values[ATTRIBUTES] = values[ATTRIBUTES] * draws["attributes.told"]
        return replace(changed, values=values)
