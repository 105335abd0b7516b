"""Generation piece by piece, each given those before (rows R3, H9): exact where a piece is one token.

    −log p(x) = −Σ_i log p(x_i | the tokens of earlier groups)

(van den Oord et al. 2016, equation 1; Tian et al. 2024, equation 4.) What makes next-pixel, next-token and
next-scale different is the order of the tokens alone, see `nets.causal.order`. Training shows a network the
true tokens and asks for all of them in one pass; sampling asks group by group.

Where guidance of weight w is *learned*, the network's own logits told c are the guided ones, l: those of the
data are what lies between l and the untold logits u, to which it is fitted (Chen et al. 2025, "Visual
generation without guidance", equation 9):

    logits of p(x_i | c) = l/w + (1 − 1/w)·stop(u)      since l = u + w·(those − u)

Each token then takes one question instead of two.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.condition import Condition, joined
from sfumato.errors import ConfigError
from sfumato.families.agreements import UNKNOWN, Batch, Draws, Moment, Player
from sfumato.families.autoregressive.choosing import Choice, chosen, exact_dtype, probabilities
from sfumato.families.autoregressive.letters import Letters
from sfumato.families.conditioning import Conditioning
from sfumato.nets.causal.order import Order, spans
from sfumato.nets.causal.transformer import CausalNetwork, Reading
from sfumato.randomness import Noise

PLAYER = "network"
MASKS, BLIND = "masks", "blind"
"""Names of what is drawn to make training harder."""
OFF = 1.0


ROWS = 32
"""The network is asked for so many pictures at once, or a multiple: with fewer, processors take other ways
through the same product, and in bf16 they round otherwise."""
MOSTLY = 0.5
"""A token is known where at least this share of its place is."""


@dataclass(frozen=True)
class Options:
    """How to sample.

    choice: how tokens are chosen; known: those that are not to be made up, int64 (L,), `UNKNOWN` where one
    is; steps: in how many steps it is shown.
    """

    choice: Choice
    known: Tensor | None
    steps: int

    @property
    def guidance(self) -> float:
        """The weight of guidance."""
        return self.choice.guidance


@dataclass(frozen=True)
class Autoregressive:
    """A causal network, the order of its tokens, and what they are.

    module: (tokens, condition) -> logits; letters: between examples and tokens; order: of the tokens;
    conditioning: what training hides of conditions; choice: how tokens are chosen unless one says otherwise;
    width: numbers of a place in the network, dropout: the share of them that is left out in training, the
    same at all places of an example (Gal & Ghahramani 2016); blind: the share of tokens that is not shown;
    learned: the guidance that is learned in training, 1 for none.
    """

    module: CausalNetwork
    letters: Letters
    order: Order
    conditioning: Conditioning
    choice: Choice
    width: int
    dropout: float = 0.0
    blind: float = 0.0
    learned: float = OFF

    @property
    def obeys(self) -> tuple[str, ...]:
        """The conditions that its samples follow."""
        return self.conditioning.names

    def players(self) -> tuple[Player, ...]:
        """Return the one player."""
        return (Player(PLAYER, cast(torch.nn.Module, self.module), self.loss, judged=self.judged),)

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw whose conditions are hidden, what is dropped of each layer, and which tokens are not shown."""
        draws = dict(self.conditioning.draw(rows, generator))
        if self.dropout:
            drawn = torch.rand(rows, len(self.module.layers), self.width, generator=generator)
            draws[MASKS] = (drawn >= self.dropout) / (1 - self.dropout)
        if self.blind:
            draws[BLIND] = torch.rand(rows, sum(self.order.sizes), generator=generator) < self.blind
        return draws

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> "Autoregressive":
        """Return the same model around another form of its network."""
        return replace(self, module=cast(CausalNetwork, modules.get(PLAYER, self.module)))

    def loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the nats of a token, the mean over those of each example: (B,)."""
        x, condition = batch.examples, self.conditioning(batch.condition, draws)
        tokens = self.letters.read(x)
        seen = tokens.masked_fill(draws[BLIND], UNKNOWN) if BLIND in draws else tokens
        logits = self._unguided(self.module(seen, condition, draws.get(MASKS)), seen, condition, draws)
        return F.cross_entropy(logits.mT, tokens, reduction="none").mean(1)

    def judged(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the loss of examples as they are: nothing is left out or unseen but conditions."""
        harder = (MASKS, BLIND)
        return self.loss(batch, {name: drawn for name, drawn in draws.items() if name not in harder})

    def _unguided(self, logits: Tensor, seen: Tensor, condition: Condition | None, draws: Draws) -> Tensor:
        """Return the logits that the data is to agree with, of those of the network, (B, L, V)."""
        if self.learned == OFF or condition is None:
            return logits
        with torch.no_grad():
            untold = self.module(seen, condition.without(self.obeys), draws.get(MASKS))
        told = ~torch.stack([condition.dropped[name] for name in self.obeys]).all(0)
        weight = torch.where(told, 1 / self.learned, 1.0).to(logits)
        return untold.lerp(logits, weight[:, None, None])

    def log_prob(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Return the log probability of the tokens of x: (B, …), in nats: (B,).

        Of values it is exact, if they are all levels: else it is that of the nearest levels.
        """
        tokens = self.letters.read(x)
        logits = self.module(tokens, condition)
        each = -F.cross_entropy(logits.mT, tokens, reduction="none")
        return each.to(exact_dtype(each.device)).sum(1)

    @torch.no_grad()
    def measures(self, batch: Batch, draws: Draws) -> Mapping[str, float]:
        """Return what a token costs, told its condition."""
        bits = -self.log_prob(batch.examples, batch.condition).mean() / math.log(2)
        return {self.letters.unit: float(bits) / sum(self.order.sizes)}

    def options(self, given: Mapping[str, Any], known: Tensor | None = None) -> Options:
        """Return how to sample: as usual, but for what is given; raise ConfigError for what cannot be."""
        unknown_options = sorted(given.keys() - {"temperature", "top_k", "top_p", "guidance"})
        if unknown_options:
            raise ConfigError(
                f"a model of tokens is sampled by temperature, top-k, top-p and guidance: leave out "
                f"{', '.join(name.replace('_', '-') for name in unknown_options)}."
            )
        weight = given.get("guidance", OFF)
        if isinstance(weight, Mapping):
            weight = self._one_weight(weight)
        if weight != OFF and not self.obeys:
            raise ConfigError("this model is told nothing, so there is nothing to guide: leave guidance out.")
        if weight != OFF and not self.conditioning.drop:
            raise ConfigError(
                "guidance needs a model that was also trained without its conditions: leave it out, or train "
                "one with training.condition_drop=0.1."
            )
        chosen_so = {**given, "guidance": weight} if "guidance" in given else given
        return Options(replace(self.choice, **chosen_so), known, len(self.order.pauses))

    def _one_weight(self, weights: Mapping[str, float]) -> float:
        """Return the weight of all conditions; raise ConfigError where they differ, or others are named."""
        if set(weights) != set(self.obeys) or len(set(weights.values())) != 1:
            raise ConfigError(
                f"a model of tokens is guided by all that it is told at once ({', '.join(self.obeys)}): give "
                "one number."
            )
        return next(iter(weights.values()))

    def known(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the tokens of x: (1, …) whose places a mask, bool (1, H, W), mostly covers: (L,)."""
        covered = self.order.covered(mask).to(x.device) >= MOSTLY
        return self.letters.read(x)[0].where(covered, UNKNOWN)

    def told(self, options: Options) -> dict[str, Any]:
        """Return how is sampled, ready for JSON."""
        return asdict(options.choice)

    def way(self) -> str:
        """Return in what its usual choice differs from the model's own probabilities."""
        usual, own = asdict(self.choice), asdict(Choice())
        return ", ".join(
            f"{name.replace('_', '-')} {usual[name]:g}" for name in own if usual[name] != own[name]
        )

    def frames(
        self, shape: tuple[int, ...], noise: Noise, condition: Condition | None, options: Options
    ) -> Iterator[Moment]:
        """Yield the moments of making a batch: row by row, or map by map."""
        device = next(cast(torch.nn.Module, self.module).parameters()).device
        groups = spans(self.order)
        length = groups[-1].stop
        # A rounding error would choose another token: rows must not depend on how many there are.
        rows = torch.arange(-(-shape[0] // ROWS) * ROWS) % shape[0]
        drawn = torch.special.ndtr(noise.normal((shape[0], length)).double())[rows]
        uniform = drawn.to(device, exact_dtype(device))
        tokens = torch.full((len(rows), length), UNKNOWN, device=device)
        told = condition and condition[rows.to(device)]
        reading = self._asked(len(rows), told, options.choice.guidance)
        asks = 1 if options.choice.guidance == OFF or told is None else 2
        yield self._moment(tokens[: shape[0]], 0, options.steps, 0)
        step = 0
        for number, places in enumerate(groups):
            p = probabilities(reading(tokens, places), options.choice)
            new = chosen(p, uniform[:, places])
            tokens[:, places] = new if options.known is None else _kept(new, options.known, places)
            if number in self.order.pauses:
                step += 1
                yield self._moment(tokens[: shape[0]], step, options.steps, asks * (number + 1))

    def _moment(self, tokens: Tensor, step: int, steps: int, passes: int) -> Moment:
        state = self.letters.write(tokens.clone())
        return Moment(step, steps, state, state, passes)

    def _asked(self, rows: int, condition: Condition | None, guidance: float) -> Reading:
        """Return what gives guided logits; both questions go through the network as one batch."""
        if guidance == OFF or condition is None:
            return self.module.reading(rows, condition)
        both = joined([condition, condition.without(condition.names)])
        reading = self.module.reading(2 * rows, both)

        def guided(tokens: Tensor, places: slice) -> Tensor:
            told, untold = reading(tokens.repeat(2, 1), places).chunk(2)
            return untold.lerp(told, guidance)

        return guided


def _kept(new: Tensor, known: Tensor, places: slice) -> Tensor:
    """Return new tokens (B, n), but those that are known already, (L,)."""
    before = known[places].to(new.device)
    return torch.where(before == UNKNOWN, new, before)
