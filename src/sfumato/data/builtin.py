"""Data sets that need no file."""

from collections.abc import Callable

import numpy as np

from sfumato.data.arrays import found_in_arrays
from sfumato.data.found import Found
from sfumato.data.scenes.source import scenes
from sfumato.data.toys import checkerboard, grid, moons, ring, spiral, swiss_roll


def digits(seed: int) -> Found:
    """1,797 handwritten digits of 8 × 8 pixels, which come with scikit-learn; the same for every seed.

    Their 17 levels, 0 to 16, are stretched to 0 to 255.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return found_in_arrays(np.rint(bunch.images * (255 / 16)).astype(np.uint8), bunch.target)


# name -> the reader, which takes the seed by which a drawn set is drawn
BUILT_IN: dict[str, Callable[[int], Found]] = {
    "digits": digits,
    "scenes": scenes,
    "moons": moons,
    "swiss-roll": swiss_roll,
    "ring": ring,
    "grid": grid,
    "checkerboard": checkerboard,
    "spiral": spiral,
}
