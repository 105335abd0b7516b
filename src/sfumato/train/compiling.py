"""Compile a network where it pays, and check it before it is trusted.

Compilers have returned wrong gradients without a word, so the first batch is computed both ways; where the
compiled network fails or disagrees, training goes on without it and says so.
"""

import shutil
from collections.abc import Callable

import torch
from torch import Tensor, nn

TOLERANCE = 0.05
"""Relative difference of loss and gradient norm allowed between two orders of bf16 arithmetic."""


def can_compile(device: torch.device) -> bool:
    """Return whether this machine has what the compiler needs: a C++ compiler, or an accelerator's own."""
    return device.type != "cpu" or any(shutil.which(name) for name in ("c++", "g++", "clang++"))


def gradient_norm(module: nn.Module) -> Tensor:
    """Return the norm of all gradients together."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)


LossOf = Callable[[], Tensor]


def disagreement(module: nn.Module, plain: LossOf, compiled: LossOf) -> str | None:
    """Compare two ways to compute a loss and its gradient; return what is wrong, None if they agree."""
    found = []
    for loss_of in (plain, compiled):
        try:
            loss = loss_of()
            loss.backward()
            found.append((float(loss.detach()), float(gradient_norm(module))))
        except Exception as error:  # a compiler may raise anything; training must go on
            return f"compilation failed ({type(error).__name__})"
        finally:
            module.zero_grad(set_to_none=True)
    for name, expected, value in zip(("loss", "gradient"), *found, strict=True):
        if not abs(value - expected) <= TOLERANCE * abs(expected) + 1e-6:
            return f"the compiled network's {name} is {value:.4g} where {expected:.4g} is right"
    return None
