"""Retrieval: is a picture's caption among the k nearest of n, and a caption's picture?

Of n pictures with n *different* captions, guessing finds k of n. Where several candidates answer a question,
as equal captions would, the chance is larger; so `groups` puts n examples together whose captions all differ,
and `found` states its rule for the rest: any right answer counts, and one that is only as near as a wrong one
comes behind it, so that an encoder that gives all the same code finds nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.errors import DataError
from sfumato.metrics.probe import CHUNK
from sfumato.randomness import generator

CANDIDATES = 100
TIMES = 5
"""How often examples are dealt out anew: each meets other rivals, which makes the share steadier."""

EncodeText = Callable[[Sequence[str]], Tensor]
"""From B sentences to codes (B, D)."""


@dataclass(frozen=True)
class Retrieval:
    """What was found.

    captions, pictures: shares in [0, 1] of pictures whose caption, and of captions whose picture, was among
    the nearest k of n; asked: how many questions each way; chance: k/n.
    """

    captions: float
    pictures: float
    k: int
    n: int
    asked: int

    @property
    def chance(self) -> float:
        """The share that guessing finds."""
        return min(1.0, self.k / self.n)

    def rows(self) -> list[tuple[str, str]]:
        """Return labels and values for a table."""
        of = f"among the nearest {self.k}" if self.k > 1 else "nearest"
        how = f"of {self.n}, chance {self.chance:.1%}, {self.asked:,} asked"
        return [
            (f"a picture's caption {of}", f"{self.captions:.1%} ({how})"),
            (f"a caption's picture {of}", f"{self.pictures:.1%} ({how})"),
        ]


def found(similarities: Tensor, right: Tensor, k: int) -> Tensor:
    """Return which questions have a right answer among their k nearest: (Q,) bool.

    similarities: (Q, K) of questions to candidates; right: (Q, K) bool, which of them answer.
    """
    best = similarities.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    # Not "at least as near": of a code that is not finite nothing is near, and it must find nothing.
    before = (~(similarities < best) & ~right).sum(1)
    return (before < k) & right.any(1)


def groups(captions: Sequence[str], n: int, randomness: torch.Generator) -> list[Tensor]:
    """Share examples out at random into as many groups of `n` as their different captions fill: (n,) each.

    Of examples with one caption, one is taken. Raises DataError where there are fewer than n captions.
    """
    order = torch.randperm(len(captions), generator=randomness).tolist()
    first = {captions[place]: place for place in reversed(order)}
    if n < 1 or len(first) < n:
        raise DataError(
            f"retrieval of {n} needs as many different captions, and there are {len(first)}: ask for fewer."
        )
    chosen = torch.tensor([place for place in order if first[captions[place]] == place])
    return list(chosen[: len(chosen) // n * n].split(n))


def retrieval(pictures: Tensor, texts: Tensor, among: Sequence[Tensor], k: int = 1) -> Retrieval:
    """Ask for each caption among those of its group, and for each picture.

    pictures, texts: codes of the examples, (N, D) of any length; among: the places of each group's examples,
    all groups of one size, such as from `groups`.
    """
    right = torch.eye(len(among[0]), dtype=torch.bool)
    u, v = F.normalize(pictures.float(), dim=1), F.normalize(texts.float(), dim=1)
    forth, back = [], []
    for places in among:
        similarities = u[places] @ v[places].T
        forth.append(found(similarities, right, k))
        back.append(found(similarities.T, right, k))
    answers = torch.cat(forth).float(), torch.cat(back).float()
    return Retrieval(float(answers[0].mean()), float(answers[1].mean()), k, len(right), len(answers[0]))


def nearer(asking: Tensor, answers: Tensor, captions: Sequence[str]) -> float:
    """Return the share of others than its own from which each question is farther, on average, in [0, 1].

    asking, answers: codes that belong together row by row, (N, D) of any length; captions: N, equal ones of
    which are no rivals, and one as near as the own is not farther. Guessing gives a half. Raises DataError
    where there are no rivals.
    """
    places = {caption: place for place, caption in enumerate(dict.fromkeys(captions))}
    kinds = torch.tensor([places[caption] for caption in captions])
    rivals = kinds[:, None] != kinds
    if not rivals.any(1).all():
        raise DataError("codes are compared with those of other captions, and all captions are equal.")
    cosines = F.normalize(asking.float(), dim=1) @ F.normalize(answers.float(), dim=1).T
    farther = (cosines < cosines.diagonal()[:, None]) & rivals
    return float((farther.sum(1) / rivals.sum(1)).mean())


def dealt(captions: Sequence[str], n: int = CANDIDATES, seed: int = 0) -> list[Tensor]:
    """Share examples out five times: the places of each group of `n`, fewer where there are fewer captions.

    Raises DataError where there are none.
    """
    most = min(n, len(set(captions)))
    deals = [groups(captions, most, generator(seed, "retrieval", time)) for time in range(TIMES)]
    return [places for deal in deals for places in deal]


def texts_of(encode_text: EncodeText, captions: Sequence[str]) -> Tensor:
    """Return the codes of sentences, found a chunk at a time: (N, D)."""
    chunks = [captions[start : start + CHUNK] for start in range(0, len(captions), CHUNK)]
    return torch.cat([torch.as_tensor(encode_text(chunk)) for chunk in chunks])
