"""A codebook: each place of a map becomes the nearest of K vectors (van den Oord et al. 2017, equations 1–3).

    k(z) = argmin_k ‖z − e_k‖²,    forward e_k,    backward d/dz = d/de_k  (it goes straight through)

    cost = ‖stop(z) − e_k‖² + commitment·‖z − stop(e_k)‖²

The first term of the cost draws codes to what chooses them, the second what is encoded to its code. A code
that nothing chooses gets no gradient and would stay dead (Dhariwal et al. 2020, "Jukebox", section 3.1,
revive such codes at random encodings): `usage` remembers how often each is chosen, over the fair share, and
`revive` moves those below `DEAD` to encodings of the batch. Usage starts at nothing, so that all codes that
data does not choose at once first get a place among the data.
"""

import torch
from torch import Tensor, nn
from torch.distributed import ReduceOp

PACE = 0.05
"""The share of the newest batch in the usage."""
DEAD = 0.03
"""A code chosen less often than this, over the fair share, is dead."""


class Quantiser(nn.Module):
    """K codes of D numbers. codes: K; depth: D; commitment: weight of the cost's second term."""

    usage: Tensor

    def __init__(self, codes: int, depth: int, commitment: float) -> None:
        super().__init__()
        self.commitment = commitment
        self.codebook = nn.Parameter(torch.empty(codes, depth))
        nn.init.normal_(self.codebook)
        # Not a weight: the raw network's is resumed, and averages of the weights never ask for theirs.
        self.register_buffer("usage", torch.zeros(codes))

    def nearest(self, z: Tensor) -> Tensor:
        """Return the number of the nearest code at each place of z: (B, D, h, w) as int64 (B, h, w)."""
        with torch.autocast(z.device.type, enabled=False):
            book = self.codebook.detach()
            places = z.detach().to(book).permute(0, 2, 3, 1)
            return (book.square().sum(1) - 2 * places @ book.T).argmin(-1)

    def lookup(self, numbers: Tensor) -> Tensor:
        """Return the codes called by `numbers`: (B, h, w) as (B, D, h, w)."""
        return self.codebook[numbers].permute(0, 3, 1, 2)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the codes nearest to z: (B, D, h, w), with z's gradient, and the cost, summed: (B,)."""
        z = z.to(self.codebook)
        code = self.lookup(self.nearest(z))
        cost = (z.detach() - code).square() + self.commitment * (z - code.detach()).square()
        return z + (code - z).detach(), cost.flatten(1).sum(1)

    @torch.no_grad()
    def revive(self, z: Tensor, place: Tensor, lot: Tensor) -> None:
        """Follow how often codes are chosen in z: (B, D, h, w), and move dead ones to where data is.

        place: (B,) of int64, the place in h·w at which each row offers its encoding; lot: (B,) in [0, 1),
        which of the dead codes it offers it to. Of several offers to one code the highest lot wins, whatever
        process drew it.
        """
        counts = torch.bincount(self.nearest(z).flatten(), minlength=len(self.usage)).to(self.usage)
        _over_processes(counts, ReduceOp.SUM)
        if not counts.any():  # nobody was watched, which says nothing of any code
            return
        self.usage.lerp_(counts * len(counts) / counts.sum().clamp(min=1), PACE)
        dead = (self.usage < DEAD).nonzero()[:, 0]
        if not len(dead):
            return
        lot = lot.to(self.usage)
        heirs = dead[(lot * len(dead)).long().clamp(max=len(dead) - 1)]
        best = torch.full_like(self.usage, -1.0).scatter_reduce(0, heirs, lot, "amax")
        _over_processes(best, ReduceOp.MAX)
        wins = best[heirs] == lot
        offers = z.flatten(2)[torch.arange(len(z), device=z.device), :, place].to(self.codebook)
        moved = torch.zeros_like(self.codebook).index_add_(0, heirs[wins], offers[wins])
        _over_processes(moved, ReduceOp.SUM)
        revived = best >= 0
        self.codebook[revived] = moved[revived]
        self.usage[revived] = 1.0


def _over_processes(value: Tensor, operation: ReduceOp.RedOpType) -> None:
    """Add up or compare a tensor over all processes of a training, in place."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(value, operation)


def perplexity(counts: Tensor) -> float:
    """Return exp of the entropy of choices `counts`: (K,), between 1 and K: how many codes are in play."""
    counts = counts.cpu().double()  # Apple's GPU has no float64
    shares = counts / counts.sum()
    return float(torch.special.entr(shares).sum().exp())
