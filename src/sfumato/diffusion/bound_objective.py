"""Training by the variational bound, alone or beside the simple loss.

A draw of one step i with probability p_i estimates the whole sum without bias by term_i/p_i. The prior's term
has nothing to learn. The hybrid (Nichol & Dhariwal 2021, equation 16)

    L = L_simple + lambda·L_bound,   lambda = 0.001, L_bound in bits per dimension,

lets the bound teach the variance alone: the mean it sees is held fixed.
"""

from dataclasses import dataclass, replace

from torch import Tensor

from sfumato.diffusion.bound import Chain, bits_per_dimension
from sfumato.diffusion.decoder import Decoder
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.level import as_time
from sfumato.diffusion.objective import DenoisingLoss, Objective
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.process import corrupt
from sfumato.diffusion.times import StepDensity, TimeDensity
from sfumato.diffusion.weighting import Weighting
from sfumato.errors import ConfigError


def step_density(times: TimeDensity) -> StepDensity:
    """Return `times` if it is over the steps of a chain; raise ConfigError otherwise."""
    if not isinstance(times, StepDensity):
        raise ConfigError(
            f"the bound is a sum over the steps of a chain, but the training times are "
            f"{type(times).__name__}: set times=steps or times=importance-steps."
        )
    return times


@dataclass(frozen=True)
class VariationalBound(Objective):
    """The bound without its prior term, in bits per dimension.

    times: the density of the steps that t comes from; decoder: the likelihood at step 1.
    """

    times: TimeDensity
    decoder: Decoder

    def __post_init__(self) -> None:
        step_density(self.times)

    def of_output(
        self, denoiser: NetworkDenoiser, output: Tensor, x0: Tensor, eps: Tensor, t: Tensor
    ) -> Tensor:
        """Return an unbiased estimate of the bound of each example: (B,); t: (B,), ends of steps."""
        x_t = corrupt(denoiser.schedule, x0, eps, t)
        return self.of_estimate(denoiser, denoiser.interpret(output, x_t, t), x0, x_t, t)

    def chain(self, denoiser: NetworkDenoiser) -> Chain:
        """Return the chain whose bound this is; raise ConfigError where its schedule makes none."""
        steps = step_density(self.times).steps
        return Chain(denoiser.schedule, steps, denoiser.variance, self.decoder)

    def check(self, denoiser: NetworkDenoiser) -> None:
        """Refuse a schedule that makes no chain."""
        self.chain(denoiser)

    def of_estimate(
        self, denoiser: NetworkDenoiser, estimate: Estimate, x0: Tensor, x_t: Tensor, t: Tensor
    ) -> Tensor:
        """Return the same when the estimate at `x_t` is known: (B,)."""
        density, chain = step_density(self.times), self.chain(denoiser)
        index = (as_time(t) * density.steps).round()
        nats = chain.term(estimate, x0, x_t, index)
        probability = as_time(density.probabilities(denoiser.schedule), t.device)[index.long() - 1]
        return bits_per_dimension(nats / probability.to(nats), x0[0].numel())


@dataclass(frozen=True)
class Hybrid(Objective):
    """The simple loss, and a thousandth of the bound for the variance.

    times: a density of steps; weighting: of the simple loss; share: lambda.
    """

    times: TimeDensity
    decoder: Decoder
    weighting: Weighting
    share: float = 1e-3

    def __post_init__(self) -> None:
        step_density(self.times)
        if not self.share > 0:
            raise ConfigError(f"the bound's share must be above 0, not {self.share}")

    def check(self, denoiser: NetworkDenoiser) -> None:
        """Refuse a schedule that makes no chain, and a model without a variance for the bound to teach."""
        VariationalBound(self.times, self.decoder).check(denoiser)
        if denoiser.variance.outputs == 1:
            raise ConfigError(
                "the hybrid's bound teaches a variance, and this model has none of its own: set "
                "variance=learned, or objective=denoising."
            )

    def of_output(
        self, denoiser: NetworkDenoiser, output: Tensor, x0: Tensor, eps: Tensor, t: Tensor
    ) -> Tensor:
        """Return the loss of each example: (B,); t: (B,), ends of steps."""
        simple = DenoisingLoss(self.weighting).of_output(denoiser, output, x0, eps, t)
        x_t = corrupt(denoiser.schedule, x0, eps, t)
        estimate = denoiser.interpret(output, x_t, t)
        held = replace(estimate, x0=estimate.x0.detach())
        bound = VariationalBound(self.times, self.decoder).of_estimate(denoiser, held, x0, x_t, t)
        return simple + self.share * bound.to(simple)
