"""Densities in the plane, of about unit scale, to watch a model learn.

Each is drawn from a generator, so that a seed fixes it. Points come in no order worth keeping.
"""

import math

import torch
from torch import Generator, Tensor

from sfumato.data.found import Found
from sfumato.randomness import generator

POINTS = 20_000


def moons(seed: int) -> Found:
    """Two half circles, one upside down, that reach into each other; labelled by which."""
    rng = generator(seed, "moons")
    angle = math.pi * _uniform(rng)
    side = _choice(2, rng)
    flip = 1.0 - 2.0 * side
    x = flip * angle.cos() + side - 0.5
    y = flip * angle.sin() + 0.5 * side - 0.25
    return _labelled(_points(x, y, 0.05, rng), side, ("upper", "lower"))


def swiss_roll(seed: int) -> Found:
    """A spiral band of one turn and a half."""
    rng = generator(seed, "swiss-roll")
    angle = 1.5 * math.pi * (1 + 2 * _uniform(rng))
    radius = angle / 7  # from 4.7/7 to 14.1/7
    return Found(_points(radius * angle.cos(), radius * angle.sin(), 0.05, rng))


def ring(seed: int) -> Found:
    """Eight Gaussians of standard deviation 0.1 on a circle of radius √2; labelled by which."""
    rng = generator(seed, "ring")
    which = _choice(8, rng)
    angle = which * (math.pi / 4)
    radius = math.sqrt(2)
    names = tuple(f"{45 * place}°" for place in range(8))
    return _labelled(_points(radius * angle.cos(), radius * angle.sin(), 0.1, rng), which, names)


def grid(seed: int) -> Found:
    """Twenty-five Gaussians of standard deviation 0.05 at (i, j)/√2 for i, j from −2 to 2; labelled by which.

    Neighbours are 14 standard deviations apart.
    """
    rng = generator(seed, "grid")
    column, row = _choice(5, rng), _choice(5, rng)
    x, y = (column - 2) / math.sqrt(2), (row - 2) / math.sqrt(2)
    names = tuple(f"column {place // 5 + 1} row {place % 5 + 1}" for place in range(25))
    return _labelled(_points(x, y, 0.05, rng), 5 * column + row, names)


def checkerboard(seed: int) -> Found:
    """Uniform on the eight cells of a 4 × 4 board over [-2, 2]² whose column and row add to an even one."""
    rng = generator(seed, "checkerboard")
    column, half = _choice(4, rng), _choice(2, rng)
    row = 2 * half + column % 2
    return Found(_points(column - 2 + _uniform(rng), row - 2 + _uniform(rng), 0.0, rng))


def spiral(seed: int) -> Found:
    """Two arms of one turn and a half, each the other turned by half a turn; labelled by which."""
    rng = generator(seed, "spiral")
    turned = _uniform(rng).sqrt()  # points per length of arm are then about even
    arm = _choice(2, rng)
    angle = 3 * math.pi * turned + math.pi * arm
    radius = 2 * turned
    return _labelled(_points(radius * angle.cos(), radius * angle.sin(), 0.03, rng), arm, ("first", "second"))


def _uniform(rng: Generator) -> Tensor:
    return torch.rand(POINTS, generator=rng)


def _choice(count: int, rng: Generator) -> Tensor:
    return torch.randint(count, (POINTS,), generator=rng)


def _points(x: Tensor, y: Tensor, spread: float, rng: Generator) -> Tensor:
    """Stack coordinates to (N, 2) and add Gaussian noise of standard deviation `spread`."""
    return torch.stack([x, y], 1) + spread * torch.randn(POINTS, 2, generator=rng)


def _labelled(points: Tensor, labels: Tensor, classes: tuple[str, ...]) -> Found:
    return Found(points, labels.numpy().astype(str), classes=classes)
