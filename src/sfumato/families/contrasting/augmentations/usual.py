"""The augmentations that usually suit the data.

Which changes are harmless decides most about an embedding (Chen et al. 2020, section 3): what two views of
one example do not share, it forgets. A mirrored 2 is no 2, and grey pictures are often writing, so that only
colour ones are mirrored; their colours vary too, or a histogram alone would tell them apart. Vectors have no
pixels to move and get noise alone.
"""

from sfumato.families.agreements import DataFacts
from sfumato.families.contrasting.augmentations.base import Augmentation
from sfumato.families.contrasting.augmentations.light import Blurred, Lit, Noisy, Tinted
from sfumato.families.contrasting.augmentations.moving import CutOut, Moved

MIRRORED_COLOUR = 0.5
OF_VECTORS = 0.3
"""Noise on vectors, in standard deviations of the data."""


def usual(facts: DataFacts, strength: float = 1.0, mirror: float | None = None) -> tuple[Augmentation, ...]:
    """Return the augmentations for data, in the order in which they act.

    strength: multiplies every range, 0 leaves examples as they are; mirror: the share of mirrored pictures,
    None for half of colour ones and no grey one.
    """
    s = strength
    if len(facts.shape) == 1:
        return (Noisy(OF_VECTORS * s * facts.std),)
    colour = facts.shape[0] == 3
    share = mirror if mirror is not None else MIRRORED_COLOUR * colour
    moved = Moved(0.1 * s, 0.2 * s, 0.25 * s, 0.2 * s, share)
    tinted = (Tinted(0.3 * s, 0.4 * s, 0.2 * s),) if colour else ()
    return (moved, *tinted, Lit(0.2 * s, 0.3 * s), Blurred(0.03 * s), CutOut(0.3 * s), Noisy(0.1 * s))
