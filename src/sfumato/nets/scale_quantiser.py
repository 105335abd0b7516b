"""A picture as maps of codes from coarse to fine, each telling what those before left out (Tian et al. 2024).

    r_1 = z
    s_k = A_k r_k,    n_k = argmin_n ‖s_k − e_n‖² at each place,    r_{k+1} = r_k − U_k e[n_k]
    ẑ_k = Σ_{j ≤ k} U_j e[n_j],    so that r_{k+1} = z − ẑ_k

(algorithms 1 and 2.) A_k averages over areas down to the size of map k, U_k enlarges from there bicubically;
at the finest map, the size of z itself, both are the identity. All maps share one codebook. The paper puts a
3×3 convolution behind each U_k besides. It is left out: in short trainings on MNIST it told pictures about a
decibel better, in tokens that a model of them found a tenth harder to predict, and samples were no better.

    cost = 1/K Σ_k ( ‖stop(z) − ẑ_k‖² + commitment·‖z − stop(ẑ_k)‖² )

so every sum that begins with the coarsest map is drawn to z, and z to what the coarse maps can say.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.nets.causal.order import UNKNOWN
from sfumato.nets.quantiser import Quantiser


class ScaleQuantiser(nn.Module):
    """One codebook for K maps. maps: their sizes (h, w), the coarsest first; the rest as for `Quantiser`."""

    shrink: Tensor
    enlarge: Tensor

    def __init__(self, maps: Sequence[tuple[int, int]], codes: int, depth: int, commitment: float) -> None:
        super().__init__()
        self.maps, self.places = tuple(maps), [height * width for height, width in maps]
        self.quantiser = Quantiser(codes, depth, commitment)
        # Follow from the maps, so neither weights nor state.
        finest = self.maps[-1]
        ways = [averaging(finest, to) for to in maps], [enlarging(of, finest) for of in maps]
        self.register_buffer("shrink", torch.cat(ways[0]), persistent=False)
        self.register_buffer("enlarge", torch.cat(ways[1], 1), persistent=False)

    def forward(self, z: Tensor, kept: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return ẑ for z: (B, D, h, w), with z's gradient, and the cost, summed over the places: (B,).

        kept: int64 (B,), how many maps of each row are summed, all where it is None; the cost is of them all.
        """
        with torch.autocast(z.device.type, enabled=False):
            z = z.to(self.quantiser.codebook)
            sums = self.sums(self.tokens(z))  # (K, B, D, h, w)
            cost = (z.detach() - sums).square() + self.quantiser.commitment * (z - sums.detach()).square()
            last = sums[-1] if kept is None else sums[kept - 1, torch.arange(len(z), device=z.device)]
            return z + (last - z).detach(), cost.mean(0).flatten(1).sum(1)

    def tokens(self, z: Tensor) -> Tensor:
        """Return the numbers n_k for z: (B, D, h, w), map after map: int64 (B, L)."""
        return self._walk(z)[0]

    def seen(self, z: Tensor) -> Tensor:
        """Return s_k for z: (B, D, h, w), what codes were chosen for, map after map: (B, D, L)."""
        return self._walk(z)[1]

    def sums(self, tokens: Tensor) -> Tensor:
        """Return ẑ_1, …, ẑ_K of tokens (B, L), to which `UNKNOWN` ones add nothing: (K, B, D, h, w)."""
        parts = zip(tokens.split(self.places, 1), self.enlarge.split(self.places, 1), strict=True)
        each = torch.stack([self._code(numbers) @ enlarge.T for numbers, enlarge in parts])
        return each.cumsum(0).unflatten(-1, self.maps[-1])

    @torch.no_grad()
    def revive(self, z: Tensor, place: Tensor, lot: Tensor) -> None:
        """Follow how often codes are chosen at all maps of z, and move dead ones, as `Quantiser.revive` does.

        place: (B,) of int64, which of the L places of all maps a row offers what it was asked for.
        """
        self.quantiser.revive(self.seen(z)[:, :, None], place, lot)

    def _code(self, numbers: Tensor) -> Tensor:
        """Return the codes of numbers (B, n), zeros where one is `UNKNOWN`: (B, D, n)."""
        known = self.quantiser.lookup(numbers[:, None].clamp(min=0))[:, :, 0]
        return known * (numbers != UNKNOWN)[:, None]

    @torch.no_grad()
    def _walk(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return n_k and s_k, map after map."""
        with torch.autocast(z.device.type, enabled=False):
            rest, found, seen = z.to(self.quantiser.codebook).flatten(2), [], []
            for shrink, enlarge in zip(
                self.shrink.split(self.places), self.enlarge.split(self.places, 1), strict=True
            ):
                seen.append(rest @ shrink.T)
                found.append(self.quantiser.nearest(seen[-1][:, :, None])[:, 0])
                rest = rest - self._code(found[-1]) @ enlarge.T
            return torch.cat(found, 1), torch.cat(seen, 2)


def averaging(of: tuple[int, int], to: tuple[int, int]) -> Tensor:
    """Return A, which averages a map of size (h, w) over areas: (places of `to`, places of `of`)."""
    return F.adaptive_avg_pool2d(_each_place(of), to).flatten(1).T.contiguous()


def enlarging(of: tuple[int, int], to: tuple[int, int]) -> Tensor:
    """Return U, which enlarges a map bicubically: (places of `to`, places of `of`). Its rows sum to 1."""
    if of == to:
        return torch.eye(of[0] * of[1])
    return F.interpolate(_each_place(of), to, mode="bicubic").flatten(1).T.contiguous()


def _each_place(size: tuple[int, int]) -> Tensor:
    """Return the maps that are 1 at one place: (h·w, 1, h, w)."""
    return torch.eye(size[0] * size[1]).unflatten(1, size)[:, None]
