"""The ladder: levels that are read bottom up and drawn top down (`nets.ladder`), as a family.

Prefer it to a plain variational autoencoder for a better bound at the same size: what varies between pictures
at each scale gets latents of its own, and each posterior starts as its prior.
"""

from dataclasses import dataclass

from torch import nn

from sfumato.errors import ConfigError
from sfumato.families.agreements import DataFacts
from sfumato.families.hierarchies.design import HierarchyDesign
from sfumato.nets.ladder import Ladder


@dataclass(frozen=True, kw_only=True)
class LadderVAE(HierarchyDesign):
    """A ladder's options, by scale, the coarsest first: one pixel, then 7 and more a side.

    groups: how many levels; latents: channels of each level's latent; widths: channels of its features.
    """

    groups: tuple[int, ...] = (2, 1)
    latents: tuple[int, ...] = (32, 2)
    widths: tuple[int, ...] = (128, 64)
    warmup: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        rows = (self.groups, self.latents, self.widths)
        if not self.groups or len(set(map(len, rows))) != 1 or min(map(min, rows)) < 1:
            raise ConfigError(
                "groups, latents and widths of a ladder need one number above 0 for each scale, not "
                f"{self.groups}, {self.latents} and {self.widths}."
            )

    def network(self, facts: DataFacts, outputs: int, classes: int) -> nn.Module:
        """Build the ladder; raise ConfigError where the data has too few pixels for the scales."""
        return Ladder(facts.shape, self.groups, self.latents, self.widths, outputs, classes)
