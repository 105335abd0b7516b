"""A ladder of levels: read from the bottom up without chance, drawn from the top down, the prior beside.

    h_K = a learned constant;   p(z_k | z_{>k}) = N(m_k, s_k²)(h_k)
    q(z_k | z_{>k}, x) = N(m_k + s_k·Δm_k, (s_k·Δs_k)²),   Δm_k, Δs_k from h_k and the features of x
    h_{k−1} = block(h_k + W z_k)

(Sønderby et al. 2016; the residual posterior is Vahdat & Kautz 2020, section 3.2, with Δm in units of s.) In
units of the prior, z_k = m_k + s_k·e_k, posterior and prior are N(Δm_k, Δs_k²) and N(0, 1), whence

    KL_k = ½ Σ [ Δm² + Δs² − 1 − log Δs² ]     (their equation 2),

and a posterior that puts out zeros *is* the prior. Levels of one scale are called a group; the coarsest scale
has one pixel. Given the levels above, each level's divergence is exact, so the bound is a sum of K of them.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.nets.blocks import ChannelNorm, zeroed
from sfumato.nets.embedding import LabelEmbedding
from sfumato.nets.levels import Level, normal_of, standard
from sfumato.nets.scales import Block, Down, Grow, Head, Pointwise, Scales
from sfumato.normal import Normal


class Rung(nn.Module):
    """One level. width: channels of h and of the features; latents: channels of z."""

    def __init__(self, width: int, latents: int, side: int) -> None:
        super().__init__()
        self.norm_prior, self.norm_posterior = ChannelNorm(), ChannelNorm()
        self.prior = Pointwise(width, 2 * latents)
        self.look = Pointwise(2 * width, width)
        self.residual = zeroed(Pointwise(width, 2 * latents))
        self.merge = Pointwise(latents, width)
        self.block = Block(width, side)

    def infer(self, h: Tensor, features: Tensor) -> Normal:
        """Return q of the level's code: N(Δm, Δs²); h, features: (B, width, S, S)."""
        seen = self.look(F.silu(self.norm_posterior(torch.cat([h, features], 1))))
        return normal_of(self.residual(F.silu(seen)))

    def descend(self, h: Tensor, code: Tensor) -> Tensor:
        """Return what stands below the level, whose latent has `code`: (B, latents, S, S)."""
        z = normal_of(self.prior(F.silu(self.norm_prior(h)))).sample(code)
        return self.block(h + self.merge(z))


class Ladder(nn.Module):
    """The network of a ladder, see `nets.levels.Levels`.

    shape: of an example; groups: levels at each scale, coarsest first; latents, widths: channels of a latent
    and of the features at each scale, coarsest first; outputs: numbers the likelihood needs for each value.
    """

    rungs: Any
    """A list of `Rung`; torch's lists forget what they hold."""

    def __init__(
        self,
        shape: tuple[int, ...],
        groups: tuple[int, ...],
        latents: tuple[int, ...],
        widths: tuple[int, ...],
        outputs: int,
        classes: int = 0,
    ) -> None:
        super().__init__()
        scales = Scales.of(shape, len(groups))
        folds, sides = scales.folds[::-1], [scales.side(i) for i in reversed(range(len(groups)))]
        self.down = Down(scales, widths[::-1])
        self.label = LabelEmbedding(classes, widths[0])
        # Not at zero, about which norms amplify every gradient a hundredfold.
        nn.init.normal_(self.label.none)
        self.grow = nn.ModuleList(
            Grow(coarse, fine, fold) for (coarse, fine), fold in zip(pairwise(widths), folds, strict=False)
        )
        self.places = tuple(place for place, count in enumerate(groups) for _ in range(count))
        self.rungs = nn.ModuleList(Rung(widths[i], latents[i], sides[i]) for i in self.places)
        self.head = Head(scales, shape, widths[-1], outputs)
        self.sizes = tuple((latents[i], sides[i], sides[i]) for i in self.places)

    def forward(
        self, x: Tensor, noises: tuple[Tensor, ...], condition: Condition | None
    ) -> tuple[Tensor, tuple[Level, ...]]:
        """Read x, then infer the levels from the coarsest down."""
        features, noise, found = self.down(x)[::-1], iter(noises), []

        def infer(rung: Rung, place: int, h: Tensor) -> Tensor:
            posterior = rung.infer(h, features[place])
            code = posterior.sample(next(noise))
            found.append(_level(posterior, code))
            return code

        return self._descend(infer, condition, len(x)), tuple(found)

    def generate(self, codes: tuple[Tensor, ...], condition: Condition | None) -> Tensor:
        """Go down with the codes given."""
        code = iter(codes)
        return self._descend(lambda *_: next(code), condition, len(codes[0]))

    def _descend(
        self, code_of: Callable[[Rung, int, Tensor], Tensor], condition: Condition | None, rows: int
    ) -> Tensor:
        h, above = self.label(condition, rows)[:, :, None, None], 0
        for rung, place in zip(self.rungs, self.places, strict=True):
            if place > above:
                h = self.grow[above](h)
            h, above = rung.descend(h, code_of(rung, place, h)), place
        return self.head(h)


def _level(posterior: Normal, code: Tensor) -> Level:
    """Return what a level costs, from its posterior in units of the prior."""
    prior = standard(code)
    return Level(code, posterior.kl(prior), prior.log_prob(code) - posterior.log_prob(code))
