"""What a picture shows: the shape, colour, place and size of each thing.

A thing's share of the pixels, c, has an area A = Σ c and a centroid, which no blur changes. Each known shape
is laid over it with the same area and centroid, and the one with the best overlap is taken:

    overlap = Σ min(c, shape) / Σ max(c, shape),    1 where they are the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.data.scenes.drawing import coverage
from sfumato.data.scenes.shapes import SHAPES
from sfumato.data.scenes.words import COLOURS, SIZES
from sfumato.metrics.scene_checker.components import label
from sfumato.metrics.scene_checker.mixing import Mixture, unmix

SPECK = SHAPES["triangle"].area * SIZES["small"][0] ** 2 / 3
"""Components below a third of the smallest thing's area, in squared sides of the picture, are not things."""

CLEAR = 0.6
"""The least overlap with a shape; a blot that no shape covers so well has none."""

BLURS = 2
"""Shapes are laid over sharp and softened so many times, the second of a standard deviation of one pixel."""

_BLOCK = 128  # pictures at a time: of 64 × 64 pixels, 6 colours, 12 MB for each of a few arrays


@dataclass(frozen=True)
class Seen:
    """A thing that was seen; x, y, radius: as of `scenes.Thing`; shape: None where it is like none."""

    shape: str | None
    colour: str
    x: float
    y: float
    radius: float


def see(pictures: Tensor) -> list[tuple[Seen, ...]]:
    """Return the things in each picture, the largest first: uint8 (N, 3, S, S)."""
    return [things for block in pictures.split(_BLOCK) for things in _see(unmix(block))]


def _see(mixture: Mixture) -> list[tuple[Seen, ...]]:
    count, colours, size, _ = mixture.solid.shape
    labels = label(mixture.solid.flatten(0, 1)).reshape(count, colours, size, size)
    return [
        _things(share, numbers) for share, numbers in zip(mixture.share.numpy(), labels.numpy(), strict=True)
    ]


def _things(share: np.ndarray, labels: np.ndarray) -> tuple[Seen, ...]:
    """Return the things of one picture, whose arrays are (K, S, S)."""
    size = labels.shape[-1]
    found = []
    for place, colour in enumerate(COLOURS):
        numbers, counts = np.unique(labels[place], return_counts=True)
        for number in numbers[(numbers > 0) & (counts >= SPECK * size**2)]:
            mask = labels[place] == number
            around = _grown(mask, max(1, size // 16)) & ((labels == 0).all(0) | mask)
            found.append(_recognise(np.where(around, share[place], 0.0), colour))
    return tuple(sorted(found, key=lambda thing: thing.radius, reverse=True))


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Return a mask, (S, S), wider by so many pixels, so that it holds what is covered less than half."""
    wide = F.max_pool2d(torch.from_numpy(mask)[None].float(), 2 * pixels + 1, stride=1, padding=pixels)
    return wide[0].numpy() > 0


def _recognise(share: np.ndarray, colour: str) -> Seen:
    """Return the thing that covers `share` of the pixels: (S, S)."""
    size = len(share)
    middles = (np.arange(size) + 0.5) / size
    area = share.sum() / size**2
    x, y = share.sum(0) @ middles / share.sum(), share.sum(1) @ middles / share.sum()
    fits = {}
    for name, shape in SHAPES.items():
        radius = np.sqrt(area / shape.area)
        thing = Seen(name, colour, float(x), float(y - shape.centroid * radius), float(radius))
        fits[thing] = max(_overlap(share, soft) for soft in _softened(thing, size))
    best = max(fits, key=fits.__getitem__)
    return best if fits[best] >= CLEAR else replace(best, shape=None)


def _softened(thing: Seen, size: int) -> Iterator[np.ndarray]:
    """Yield the ideal shape, and the same blurred once and twice by (1, 2, 1)/4 either way: (S, S)."""
    soft = coverage(str(thing.shape), thing.x, thing.y, thing.radius, size)
    yield soft
    for _ in range(BLURS):
        for axis in (0, 1):
            soft = soft / 2 + (np.roll(soft, 1, axis) + np.roll(soft, -1, axis)) / 4
        yield soft


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    one = one.clip(0, 1)
    return float(np.minimum(one, other).sum() / np.maximum(one, other).sum())
