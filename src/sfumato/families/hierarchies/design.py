"""What the designs of all hierarchies share: a likelihood, a warm-up, labels, and a network of levels."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn

from sfumato.errors import ConfigError
from sfumato.families.agreements import DataFacts
from sfumato.families.hierarchies.hierarchy import Hierarchy
from sfumato.families.variational.likelihoods import likelihood_for


@dataclass(frozen=True, kw_only=True)
class HierarchyDesign(ABC):
    """What all designs of hierarchies may set.

    decoder, std: see `variational.likelihoods`, std that of fixed-gaussian; warmup: the share of training in
    which the divergences gain their weight; conditional: whether the networks are told the label.
    """

    decoder: str = "gaussian"
    std: float | None = None
    warmup: float = 0.1
    conditional: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.warmup <= 1:
            raise ConfigError(f"warmup is a share of training: give 0 to 1, not {self.warmup}")

    def build(self, facts: DataFacts) -> Hierarchy:
        """Build the family with fresh weights; raise ConfigError for data that it is not for."""
        observed = likelihood_for(facts, self.decoder, self.std)
        if self.conditional and not facts.classes:
            raise ConfigError("this data has no labels to tell the networks: set conditional to false")
        classes = facts.classes if self.conditional else 0
        network = self.network(facts, observed.outputs, classes)
        return Hierarchy(network, observed, self.warmup, classes, facts.drop)

    @abstractmethod
    def network(self, facts: DataFacts, outputs: int, classes: int) -> nn.Module:
        """Build the network of levels; outputs: numbers the likelihood needs for each value of the data."""
