"""InfoNCE: tell the positive from the negatives, a cross entropy over similarities.

    loss_i = −log  exp(s[i, j(i)]) / Σ over k of exp(s[i, k])            s = a·b/temperature

(van den Oord et al. 2018, equation 4.) Among K candidates, of which one belongs to i and the others were
drawn without it, log K − loss is at most the information in nats that a and b share, and at most log K: a
batch bounds what can be learned from it. Telling nothing apart costs log K.

For two views of N examples (NT-Xent, Chen et al. 2020, equation 1) each of the 2N views is asked for its
partner among the 2N − 1 others; both directions of every pair count, so the loss is symmetric in the views.
Where a batch is shared by several processes, each asks its own views' questions and all views are candidates.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.families.hierarchies.sharing import of_all_processes


def info_nce(similarities: Tensor, positives: Tensor) -> Tensor:
    """Return the loss of each question in nats: (Q,).

    similarities: (Q, K) over the temperature, −inf where there is no candidate; positives: (Q,) int64, the
    place of the right one.
    """
    return F.cross_entropy(similarities, positives, reduction="none")


def paired(first: Tensor, second: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return every view's similarities to all candidates, and where its partner is: (2N, K), (2N,).

    first, second: (N, P), two views of the same examples, taken as float32; scale: (), one over the
    temperature. Similarities are cosines times the scale; a view is no candidate for itself. K is 2N, in
    training times the number of processes.
    """
    views = F.normalize(torch.cat([first, second]).float(), dim=1)
    candidates, place = of_all_processes(views)
    mine = torch.arange(len(views), device=views.device)
    # Eight bits of a cosine, times a scale of up to 100, would be off by half a nat.
    with torch.autocast(views.device.type, enabled=False):
        similarities = scale * views @ candidates.T
    itself = place + mine[:, None] == torch.arange(len(candidates), device=views.device)
    return similarities.masked_fill(itself, -torch.inf), place + mine.roll(len(first))


def nt_xent(first: Tensor, second: Tensor, scale: Tensor) -> Tensor:
    """Return the loss of each example in nats, the mean of its two views': (N,); as for `paired`."""
    return info_nce(*paired(first, second, scale)).unflatten(0, (2, -1)).mean(0)
