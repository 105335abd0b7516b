"""A part of a picture that is kept, while a model of tokens makes up the rest.

Tokens of places that are kept for the most part are read off the picture and not made up (Tian et al. 2024,
section 4.3). A tokenizer rounds what it reads, and mixes what lies near, so that the kept pixels themselves
are laid over what is made.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from sfumato.runs.run import Run


@dataclass(frozen=True)
class KeptPart:
    """What is kept: picture: uint8 (1, C, H, W); mask: bool (1, 1, H, W); known: of its tokens."""

    picture: Tensor
    mask: Tensor
    known: Any

    def over(self, values: np.ndarray) -> np.ndarray:
        """Return pictures (B, C, H, W) with the kept pixels in their places."""
        return np.where(self.mask.numpy(), self.picture.numpy(), values)


def kept_part(run: "Run", picture: Tensor, mask: Tensor) -> KeptPart:
    """Return what `Run.request` takes as known: a picture, uint8 (1, C, H, W), where `mask` is true."""
    seen = run.scaling.to_model(picture.to(run.device))
    return KeptPart(picture, mask, run.family.known(seen, mask[0]))
