"""Training towards the guided model itself, so that sampling needs one evaluation and no guidance.

Classifier-free guidance of weight w puts out o_∅ + w·(o_c − o_∅) for a network's outputs with the condition
and without. Here the network learns that output as its own (Tang et al. 2025, "Diffusion Models without
Classifier-free Guidance", equation 10): the target is moved by what the network itself now makes of c,

    L = w(t)·‖o_c − (a·x0 + b·eps) − gamma·stop(o_c − o_∅)‖²,   gamma = 1 − 1/w

Its fixed point is the guided model: where E[a·x0 + b·eps | x_t, c] = u_c and rows without a condition have
learned o_∅ = u_∅, a vanishing gradient says (1 − gamma)·o_c = u_c − gamma·u_∅, that is

    o_c = u_∅ + w·(u_c − u_∅)

It costs one more run of the network forward, without a gradient. What is learned is sharper than the data, as
with guidance: for likelihoods take the plain denoising loss.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.objective import DenoisingLoss
from sfumato.errors import ConfigError


@dataclass(frozen=True)
class GuidedLoss(DenoisingLoss):
    """The denoising loss whose minimum is the model guided by `guidance`; plain where nothing is asked for.

    weighting: of the noise levels; guidance: the weight w, at least 1, where 1 is the plain loss.
    """

    guidance: float = 1.5

    def __post_init__(self) -> None:
        if not self.guidance >= 1:
            raise ConfigError(f"guidance to be learned must be at least 1, not {self.guidance}")

    def judged(
        self, denoiser: NetworkDenoiser, output: Tensor, x_t: Tensor, t: Tensor, condition: Condition | None
    ) -> Tensor:
        """Return the output less gamma·(o_c − o_∅): (B, ...)."""
        if condition is None:
            return output
        # A row whose condition is dropped is its own o_∅, so it is moved by nothing.
        with torch.no_grad():
            free = denoiser.output(x_t, t, condition.drop_all())
            shift = (1 - 1 / self.guidance) * (output - free)
        return output - shift
