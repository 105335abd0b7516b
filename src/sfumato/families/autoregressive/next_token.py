"""Next token and next scale: the tokens of a picture by a tokenizer, one after another or map after map.

In raster order over one map of a codebook (van den Oord et al. 2017, section 3.4; Esser et al. 2021, "Taming
transformers"), or over the maps of a multi-scale tokenizer, each whole from all coarser ones (Tian et al.
2024, "Visual autoregressive modeling": VAR). Either learns the tokens of a tokenizer that is trained before.
"""

from dataclasses import dataclass

from sfumato.errors import ConfigError
from sfumato.families.agreements import DataFacts, TokenFacts
from sfumato.families.autoregressive.autoregressive import Autoregressive
from sfumato.families.autoregressive.design import CausalDesign
from sfumato.families.autoregressive.letters import Tokens
from sfumato.nets.causal.order import Raster, Scales


def tokens_of(facts: DataFacts) -> TokenFacts:
    """Return what is known of the tokens; raise ConfigError where examples are none."""
    if facts.tokens is None:
        raise ConfigError("this model is of tokens: name a tokenizer's run by --latent RUN")
    return facts.tokens


@dataclass(frozen=True)
class NextToken(CausalDesign):
    """A transformer over the tokens of one map, in raster order."""

    def build(self, facts: DataFacts) -> Autoregressive:
        """Build it; raise ConfigError for examples that are no tokens, or have several maps."""
        tokens = tokens_of(facts)
        if len(tokens.maps) > 1:
            raise ConfigError("raster order is for tokens of one map: choose recipe scale-transformer")
        return self.model(Raster(*tokens.maps[0]), Tokens(tokens.vocabulary), facts)


@dataclass(frozen=True)
class NextScale(CausalDesign):
    """A transformer over the maps of a tokenizer, each at once."""

    def build(self, facts: DataFacts) -> Autoregressive:
        """Build it; raise ConfigError for examples that are no tokens, or have one map alone."""
        tokens = tokens_of(facts)
        if len(tokens.maps) == 1:
            raise ConfigError("next scale is for tokens of several maps: choose recipe token-transformer")
        return self.model(Scales(tokens.maps), Tokens(tokens.vocabulary), facts)
