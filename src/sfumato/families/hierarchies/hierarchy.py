"""Autoencoders with several levels of latents, whatever network infers them and makes data of them.

    −log p(x) <= E[ −log p(x | z) + Σ over k of log q(z_k | …) − log p(z_k | the coarser ones) ],   z ~ q

in nats, summed over the values of an example. Early in training the divergences weigh less, so that levels
find a use before they are taxed for it (Sønderby et al. 2016, section 2.3, "warm-up").

An example's code is that of all levels in units of their priors (`nets.levels`), the coarsest first: under
the prior it is unit noise, so an arc between two codes passes through what the model believes in, the first
numbers hold the gist and the last the detail, and zeros stand for what the coarser levels suggest.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.later import later
from sfumato.errors import ConfigError
from sfumato.families.agreements import Batch, Draws, Moment, Player
from sfumato.families.variational.likelihoods import Likelihood
from sfumato.nets.levels import Level
from sfumato.randomness import Noise

PLAYER = "autoencoder"


@dataclass(frozen=True)
class Hierarchy:
    """A trained or trainable hierarchy.

    module: a network of levels, see `nets.levels.Levels`; likelihood: of the data given what it puts out;
    warmup: the share of training in which the divergences' weight rises from 0 to 1; classes: how many labels
    the network is told, 0 for none; drop: the share of labels that is hidden.
    """

    module: Any
    likelihood: Likelihood
    warmup: float = 0.0
    classes: int = 0
    drop: float = 0.0

    def players(self) -> tuple[Player, ...]:
        """Return the one player."""
        return (Player(PLAYER, self.module, self.loss),)

    def with_modules(self, modules: Mapping[str, Callable[..., Tensor]]) -> "Hierarchy":
        """Return the same model with another form of its network."""
        return replace(self, module=modules.get(PLAYER, self.module))

    def draw(self, rows: int, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Draw the noise of each level, the coarsest first, and whose label is hidden."""
        noises = {
            f"eps{place}": torch.randn(rows, *size, generator=generator)
            for place, size in enumerate(self.module.sizes)
        }
        return {**noises, "dropped": torch.rand(rows, generator=generator) < self.drop}

    def loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the bound on −log p(x) in nats: (B,), its divergences weighed by the warm-up."""
        log_prob, levels = self._drawn_levels(batch, draws)
        weight = min(1.0, batch.progress / self.warmup) if self.warmup else 1.0
        return weight * _summed(level.nats for level in levels) - log_prob

    @torch.no_grad()
    def measures(self, batch: Batch, draws: Draws) -> dict[str, float]:
        """Return the mean bound, its reconstruction and what each level adds, in nats."""
        log_prob, levels = self._drawn_levels(batch, draws)
        added = [float(level.nats.mean()) for level in levels]
        by_level = {f"KL of level {len(added) - i} (nats)": nats for i, nats in enumerate(added)}
        reconstruction = -float(log_prob.mean())
        return {
            "bound (nats)": reconstruction + sum(added),
            "reconstruction (nats)": reconstruction,
            "KL (nats)": sum(added),
            **by_level,
        }

    def log_weight(self, x: Tensor, noise: Noise, condition: Condition | None = None) -> Tensor:
        """Return log p(x, z) − log q(z | x) in nats: (B,), at one z drawn from q; x: (B, ...)."""
        noises = tuple(noise.normal((len(x), *size)).to(x) for size in self.module.sizes)
        log_prob, levels = self._infer(x, noises, condition)
        return log_prob + _summed(level.log_ratio for level in levels)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of one code, all levels in a row."""
        return (sum(map(prod, self.module.sizes)),)

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the codes of x: (B, ...) as (B, N), each level at its posterior's mean."""
        still = tuple(x.new_zeros(len(x), *size) for size in self.module.sizes)
        _, levels = self.module(x, still, condition)
        return torch.cat([level.code.flatten(1) for level in levels], 1)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the mean of the data that codes z: (B, N) stand for: (B, ...)."""
        widths = [prod(size) for size in self.module.sizes]
        parts = zip(z.split(widths, dim=1), self.module.sizes, strict=True)
        codes = tuple(part.unflatten(1, size) for part, size in parts)
        return self.likelihood.mean(self.module.generate(codes, condition))

    def keeping(self, x: Tensor, levels: int, noise: Noise, condition: Condition | None = None) -> Tensor:
        """Return what becomes of x: (B, ...) where only its coarsest `levels` are kept: (B, ...).

        The finer ones are drawn from the prior. All levels kept are a reconstruction, none is a sample.
        Raises ConfigError for more levels than there are.
        """
        self._check_levels(levels)
        kept = self._width(levels)
        drawn = self._drawn(len(x), noise)
        return self.decode(torch.cat([self.encode(x, condition)[:, :kept], drawn[:, kept:]], 1), condition)

    def frames(
        self, shape: tuple[int, ...], noise: Noise, condition: Condition | None, options: object = None
    ) -> Iterator[Moment]:
        """Yield samples as level after level is drawn, the finer ones still at their priors' means."""
        steps, code = len(self.module.sizes), self._drawn(shape[0], noise)
        for done in range(steps):
            # Decoded only when looked at: most callers want the last one alone.
            picture = cache(partial(self._suggested, code, done, condition))
            yield Moment(done, steps, later(picture), later(picture), 0)
        x = self.decode(code, condition)
        yield Moment(steps, steps, x, x, 1)

    def _suggested(self, code: Tensor, levels: int, condition: Condition | None) -> Tensor:
        """Decode the coarsest `levels` of a code, with zeros below."""
        width = self._width(levels)
        return self.decode(torch.cat([code[:, :width], torch.zeros_like(code[:, width:])], 1), condition)

    def _drawn(self, rows: int, noise: Noise) -> Tensor:
        """Draw codes from the prior: (rows, N)."""
        return noise.normal((rows, *self.latent_shape)).to(next(self.module.parameters()))

    def _width(self, levels: int) -> int:
        return sum(map(prod, self.module.sizes[:levels]))

    def _check_levels(self, levels: int) -> None:
        most = len(self.module.sizes)
        if not 0 <= levels <= most:
            raise ConfigError(f"this model has {most} levels to keep, not {levels}")

    def _drawn_levels(self, batch: Batch, draws: Draws) -> tuple[Tensor, tuple[Level, ...]]:
        condition = batch.condition and batch.condition.drop(draws["dropped"])
        noises = tuple(draws[f"eps{place}"] for place in range(len(self.module.sizes)))
        return self._infer(batch.examples, noises, condition)

    def _infer(
        self, x: Tensor, noises: tuple[Tensor, ...], condition: Condition | None
    ) -> tuple[Tensor, tuple[Level, ...]]:
        """Return log p(x | z): (B,), and the levels."""
        output, levels = self.module(x, noises, condition)
        return self.likelihood.log_prob(output, x), levels


def _summed(terms: Iterator[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum(0)
