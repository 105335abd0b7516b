"""What the designs of all models of tokens have in common: the network's size, and how tokens are chosen."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from sfumato.errors import ConfigError
from sfumato.families.agreements import DataFacts
from sfumato.families.autoregressive.autoregressive import OFF, Autoregressive
from sfumato.families.autoregressive.choosing import Choice
from sfumato.families.autoregressive.letters import Letters
from sfumato.families.conditioning import Conditioning
from sfumato.nets.causal.order import Order
from sfumato.nets.causal.transformer import HEAD, CausalNetwork, CausalTransformer
from sfumato.nets.causal.vocabulary import Vocabulary
from sfumato.nets.conditions import ATTRIBUTES, Vector


def conditioning_of(facts: DataFacts) -> Conditioning:
    """Return what training hides of what the data tells."""
    named = facts.told.get(ATTRIBUTES)
    return Conditioning(
        facts.drop,
        tuple(facts.told),
        attributes=named.width if isinstance(named, Vector) else 0,
    )


@dataclass(frozen=True)
class TokenDesign(ABC):
    """A model of tokens, whatever its network.

    width: numbers that stand for a place; layers: of the network; dropout: the share of these numbers that is
    left out in training; blind: the share of tokens that is not shown then, so that the others must do;
    learned_guidance: see `autoregressive`, 1 is none; temperature, top_k, top_p, guidance: how tokens are
    chosen unless one says otherwise, see `choosing.Choice`.
    """

    width: int = 128
    layers: int = 6
    dropout: float = 0.0
    blind: float = 0.0
    learned_guidance: float = OFF
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    guidance: float = OFF

    def __post_init__(self) -> None:
        for name in ("width", "layers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("dropout", "blind"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is a share of at least 0 and below 1, not {getattr(self, name)}")
        if self.learned_guidance < OFF:
            raise ConfigError(f"learned_guidance is at least 1, which is none, not {self.learned_guidance}")
        self.choice  # noqa: B018  (refuses what is out of range)

    @property
    def choice(self) -> Choice:
        """How tokens are chosen."""
        return Choice(self.temperature, self.top_k, self.top_p, self.guidance)

    @abstractmethod
    def network(self, order: Order, vocabulary: Vocabulary, facts: DataFacts) -> CausalNetwork:
        """Return the network."""

    def model(self, order: Order, letters: Letters, facts: DataFacts) -> Autoregressive:
        """Return the model; raise ConfigError for a condition that it cannot be told, or guidance by none."""
        shown = [name for name, kind in facts.told.items() if kind.channels]
        if shown:
            raise ConfigError(f"a model of tokens is shown no {' or '.join(shown)}: leave that condition out")
        if {self.guidance, self.learned_guidance} != {OFF} and not (facts.told and facts.drop):
            raise ConfigError(
                "guidance needs a model that is told something, and was also trained without it: set "
                "guidance=1 and learned_guidance=1, or training.condition_drop=0.1 on data with labels"
            )
        module = self.network(order, letters.vocabulary, facts)
        hidden = conditioning_of(facts)
        sizes = (self.width, self.dropout, self.blind)
        learned = self.learned_guidance
        return Autoregressive(module, letters, order, hidden, self.choice, *sizes, learned=learned)


@dataclass(frozen=True)
class CausalDesign(TokenDesign):
    """A transformer over tokens; head: how many of the numbers of a place one head of attention has."""

    head: int = HEAD

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head < 1:
            raise ConfigError(f"head must be at least 1, not {self.head}")

    def network(self, order: Order, vocabulary: Vocabulary, facts: DataFacts) -> CausalNetwork:
        """Return the transformer."""
        return CausalTransformer(order, vocabulary, self.width, self.layers, facts.told, self.head)
