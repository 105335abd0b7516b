"""Augmentations: random changes of an example that leave what it shows as it is, and the usual choice.

Pictures are (B, C, H, W) in [−1, 1]; lengths are shares of the side, so that a piece means the same at 8 and
at 64 pixels.
"""

from sfumato.families.contrasting.augmentations.base import Augmentation
from sfumato.families.contrasting.augmentations.light import Blurred, Lit, Noisy, Tinted
from sfumato.families.contrasting.augmentations.moving import CutOut, Moved
from sfumato.families.contrasting.augmentations.usual import usual
from sfumato.families.contrasting.augmentations.views import Views

__all__ = ["Augmentation", "Blurred", "CutOut", "Lit", "Moved", "Noisy", "Tinted", "Views", "usual"]
