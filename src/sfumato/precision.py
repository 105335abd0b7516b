"""The digits that densities and divergences need, whatever a network computes in.

bfloat16 keeps 8 bits: a sum over a picture's pixels is then off by more than what two models differ by.
"""

import torch
from torch import Tensor


def at_least_float32(output: Tensor) -> Tensor:
    """Return what a network put out as float32, or as it is where it has more digits."""
    return output.to(torch.promote_types(output.dtype, torch.float32))
