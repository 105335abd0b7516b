"""The augmentations that leave what a caption says of a picture as it is.

Captions speak of colours, of places, of sizes and numbers, of left and right: no picture is mirrored or
turned, none loses or changes its colours, and no part is cut out. What is left is what pictures differ in
without a word for it: a small shift and zoom, some light, blur and noise.
"""

from sfumato.families.agreements import DataFacts
from sfumato.families.contrasting.augmentations.base import Augmentation
from sfumato.families.contrasting.augmentations.light import Blurred, Lit, Noisy
from sfumato.families.contrasting.augmentations.moving import Moved
from sfumato.families.contrasting.augmentations.usual import OF_VECTORS


def captioned(facts: DataFacts, strength: float = 1.0) -> tuple[Augmentation, ...]:
    """Return the augmentations for examples with captions, in the order in which they act.

    strength: multiplies every range, 0 leaves examples as they are.
    """
    s = strength
    if len(facts.shape) == 1:
        return (Noisy(OF_VECTORS * s * facts.std),)
    moved = Moved(shift=0.04 * s, zoom=0.06 * s, turn=0.0, shear=0.0, mirror=0.0)
    return (moved, Lit(0.1 * s, 0.15 * s), Blurred(0.02 * s), Noisy(0.05 * s))
