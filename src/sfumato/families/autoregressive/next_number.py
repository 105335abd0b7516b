"""Next number: a vector one number after another, each in one of many buckets.

So is the autoregressive prior of DALL·E 2 (Ramesh et al. 2022, section 2.2): the numbers of an embedding,
rounded, are predicted in turn by a causal transformer that is told the caption. Which numbers these are, of
an embedding its principal components, is said where examples meet the model, see `runs.principal`.
"""

from dataclasses import dataclass

from sfumato.errors import ConfigError
from sfumato.families.agreements import DataFacts
from sfumato.families.autoregressive.autoregressive import Autoregressive
from sfumato.families.autoregressive.design import CausalDesign
from sfumato.families.autoregressive.letters import Buckets
from sfumato.nets.causal.order import Raster


@dataclass(frozen=True)
class NextNumber(CausalDesign):
    """A transformer over the numbers of a vector.

    levels: how many buckets there are; reach: in deviations, how far the outermost begin from the mean.
    """

    levels: int = 128
    reach: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels < 2 or not self.reach > 0:
            raise ConfigError(f"levels are at least 2 and reach above 0, not {self.levels} and {self.reach}")

    def build(self, facts: DataFacts) -> Autoregressive:
        """Build it; raise ConfigError for anything but vectors."""
        if len(facts.shape) != 1 or facts.tokens is not None:
            raise ConfigError(
                "numbers one after another are for vectors: choose recipe next-pixel for pictures"
            )
        letters = Buckets(facts.shape[0], self.levels, self.reach)
        return self.model(Raster(1, facts.shape[0]), letters, facts)
