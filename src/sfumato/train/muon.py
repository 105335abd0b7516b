"""Muon: momentum whose every singular value is made about one, for the matrices of a network.

    M ← mu·M + (1 − mu)·G,   U = mu·M + (1 − mu)·G      (Nesterov's look ahead)
    O ≈ U Vᵀ of the singular value decomposition of U
    W ← (1 − rate·decay)·W − rate·0.2·sqrt(max(rows, columns))·O

(Jordan et al. 2024, "Muon"; the factor, which gives a step the size that AdamW's has, so that one learning
rate serves both, is Liu et al. 2025, "Muon is scalable for LLM training", equation 4.) A gradient of low rank
moves a few directions of the matrix; made orthogonal, it moves all of them alike. U Vᵀ comes from five
Newton–Schulz steps X ← a·X + (b·XXᵀ + c·(XXᵀ)²)·X from X = U/‖U‖, which are matrix products alone and bring
the singular values of U that are not tiny to between 0.7 and 1.2 (coefficients by Jordan). A convolution is
the matrix of its output channels by everything else.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfumato.train.device import fast_bf16
from sfumato.train.optimiser import Optimisers, adamw, check_decay, check_momentum

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
LEAST_SIDE = 16
"""Narrower matrices, such as a head of three colours, have too few directions to be worth it."""


def orthogonalise(matrices: Tensor) -> Tensor:
    """Return the nearest matrices with all singular values about 1, of (N, rows, columns)."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def matrices_of(module: nn.Module) -> list[nn.Parameter]:
    """Return the weights between hidden values that have room for directions."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    weights = [layer.get_parameter("weight") for layer in layers]
    return [weight for weight in weights if min(weight.flatten(1).shape) >= LEAST_SIDE]


class Momentum(torch.optim.Optimizer):
    """The optimiser of the matrices. momentum: mu; weight_decay: multiplied by the rate."""

    def __init__(self, matrices: list[nn.Parameter], momentum: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": 0.0})
        self._momentum, self._decay = momentum, weight_decay

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # no loss
        """Move every matrix that has a gradient."""
        rate = self.param_groups[0]["lr"]
        for weights, aims in self._by_shape():
            steps = orthogonalise(torch.stack(aims)).float().unbind()
            size = rate * 0.2 * max(aims[0].shape) ** 0.5
            for weight, step in zip(weights, steps, strict=True):
                weight.mul_(1 - rate * self._decay).add_(step.reshape(weight.shape), alpha=-size)

    def _by_shape(self) -> Iterator[tuple[list[nn.Parameter], list[Tensor]]]:
        """Yield the weights of each shape with their U, so that equal ones share their matrix products."""
        alike: dict[tuple[int, int], tuple[list[nn.Parameter], list[Tensor]]] = {}
        for weight in self.param_groups[0]["params"]:
            if weight.grad is not None:
                aim = self._aim(weight)
                weights, aims = alike.setdefault((aim.shape[0], aim.shape[1]), ([], []))
                weights.append(weight)
                aims.append(aim)
        yield from alike.values()

    def _aim(self, weight: nn.Parameter) -> Tensor:
        """Update M and return U as a matrix, in the precision of fast products."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - self._momentum)
        aim = weight.grad.lerp(state["momentum"], self._momentum).flatten(1)
        return aim.bfloat16() if fast_bf16(weight.device) else aim


@dataclass(frozen=True)
class Muon:
    """Muon for the matrices, AdamW for biases, tables and the narrow rest.

    momentum: mu, in [0, 1); weight_decay: in [0, 1), multiplied by the learning rate at each step.
    """

    momentum: float = 0.95
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        check_decay(self.weight_decay)
        check_momentum(self.momentum)

    def build(self, module: nn.Module) -> Optimisers:
        """Build both optimisers, or the one of them that has something to do."""
        matrices = matrices_of(module)
        chosen = {id(weight) for weight in matrices}
        rest = [parameter for parameter in module.parameters() if id(parameter) not in chosen]
        momentum = (Momentum(matrices, self.momentum, self.weight_decay),) if matrices else ()
        return (*momentum, adamw(rest, self.weight_decay)) if rest else momentum
