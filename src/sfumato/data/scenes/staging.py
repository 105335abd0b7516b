"""From a sentence to a scene: what it says is kept, what it leaves open is drawn at random.

Sizes come first, each as likely as the other. Given them, the places are even over all that the sentence
allows and where no thing touches another or the border: many are drawn, and the first that will do is taken.
"""

import numpy as np

from sfumato.data.scenes.scene import Scene, Thing
from sfumato.data.scenes.sentence import Phrase, Sentence
from sfumato.data.scenes.words import GAP, GREYS, JITTER, MARGIN, PLACES, RELATIONS, SIZES, SLANT

TRIES = 512  # drawn at a time; of three large things, one try in some thousand will do

_BANDS = tuple(SIZES.values())


def stage(sentence: Sentence, rng: np.random.Generator) -> Scene:
    """Return a scene that `sentence` is true of."""
    slots = sentence.slots
    radii = np.array([_radius(phrase, rng) for phrase in slots])
    place = sentence.first.place
    points = _scattered(sentence, radii, rng) if place is None else _near(place, rng)
    things = (
        Thing(phrase.shape, phrase.colour, float(x), float(y), float(radius))
        for phrase, (x, y), radius in zip(slots, points, radii, strict=True)
    )
    return Scene(tuple(things), float(rng.uniform(*GREYS)))


def _radius(phrase: Phrase, rng: np.random.Generator) -> float:
    band = SIZES[phrase.size] if phrase.size else _BANDS[int(rng.integers(len(_BANDS)))]
    return float(rng.uniform(*band))


def _near(place: str, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(PLACES[place])[None] + rng.uniform(-JITTER, JITTER, (1, 2))


def _scattered(sentence: Sentence, radii: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the middles of things of these `radii`, (n,): (n, 2)."""
    border = MARGIN + radii[:, None]
    tries = 1 if len(radii) == 1 else TRIES
    while True:
        points = border + rng.random((tries, len(radii), 2)) * (1 - 2 * border)
        fit = _apart(points, radii)
        if sentence.relation:
            fit &= _along(points, RELATIONS[sentence.relation])
        if fit.any():
            return points[fit.argmax()]


def _apart(points: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return in which tries, (tries, n, 2), no two bounding boxes come nearer than the gap: (tries,)."""
    one, other = np.triu_indices(len(radii), 1)
    distances = np.abs(points[:, one] - points[:, other]).max(2)
    return (distances >= radii[one] + radii[other] + GAP).all(1)


def _along(points: np.ndarray, direction: tuple[int, int]) -> np.ndarray:
    """Return in which tries the second thing lies in `direction` of the first, and nearly level: (tries,)."""
    step = points[:, 1] - points[:, 0]
    ahead, aside = step @ np.array(direction), step @ np.array(direction[::-1])
    return (ahead > 0) & (np.abs(aside) <= SLANT)
