"""InfoNCE between two kinds of things: which caption belongs to a picture, and which picture to a caption.

    s[i, k] = scale · u_i·v_k
    loss_i = ½ · (−log softmax over k of s[i, k], at k = i   − log softmax over k of s[k, i], at k = i)

for unit vectors u of pictures and v of captions (Radford et al. 2021, figure 3). A batch may hold one
sentence several times, and each of its pictures then fits each of them: for i, the candidates are its own
partner and the examples with *another* caption. To count equals as wrong would push apart what belongs
together; to ask for all of them at once would draw each picture to every other one of its sentence.

Where a batch is shared by several processes, each asks about its own rows and all rows are candidates.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.families.contrasting.info_nce import info_nce
from sfumato.families.hierarchies.sharing import of_all_processes


def equal_rows(first: Tensor, second: Tensor) -> Tensor:
    """Return which captions are the same: (N, L) and (K, L) tokens -> (N, K) bool."""
    return (first[:, None] == second).all(2)


def questions(asking: Tensor, answers: Tensor, tokens: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return the similarities of what asks to all candidates, and where the right one is: (N, K), (N,).

    asking, answers: (N, D) of any length, taken as float32; tokens: (N, L), their captions; scale: (), one
    over the temperature. Equal captions but the own are no candidates: −inf. K is N, in training times the
    number of processes.
    """
    units, own = F.normalize(asking.float(), dim=1), torch.arange(len(asking), device=asking.device)
    candidates, place = of_all_processes(F.normalize(answers.float(), dim=1))
    same = equal_rows(tokens, of_all_processes(tokens)[0])
    # Eight bits of a cosine, times a scale of up to 100, would be off by half a nat.
    with torch.autocast(units.device.type, enabled=False):
        similarities = scale * units @ candidates.T
    itself = place + own[:, None] == torch.arange(len(candidates), device=units.device)
    return similarities.masked_fill(same & ~itself, -torch.inf), place + own


def matching(images: Tensor, texts: Tensor, tokens: Tensor, scale: Tensor) -> Tensor:
    """Return the loss of each example in nats, the mean of both directions: (N,); as for `questions`."""
    forth = info_nce(*questions(images, texts, tokens, scale))
    back = info_nce(*questions(texts, images, tokens, scale))
    return (forth + back) / 2
