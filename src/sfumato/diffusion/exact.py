"""The oracle: a mixture of Gaussians, whose every noisy marginal and best denoiser are known.

    x0 ~ Σ_k w_k N(m_k, C_k)
    x_t ~ Σ_k w_k N(alpha·m_k, alpha²·C_k + sigma²·I)
    E[x0 | x_t] = Σ_k r_k(x_t)·( m_k + alpha·C_k (alpha²·C_k + sigma²·I)^{-1} (x_t − alpha·m_k) )

with the responsibilities r_k ∝ w_k N(x_t; alpha·m_k, alpha²·C_k + sigma²·I). Covariances are kept by their
eigenvectors, so every inverse and determinant is a division. Every law of sfumato is tested against it.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.level import Level, expand
from sfumato.diffusion.prediction import Estimate
from sfumato.diffusion.schedules import Schedule
from sfumato.errors import ConfigError


@dataclass(frozen=True)
class GaussianMixture:
    """A mixture of K Gaussians in D dimensions, all float64.

    weights: (K,) that sum to 1; means: (K, D);
    axes: (K, D, D), orthonormal eigenvectors in columns; variances: (K, D), along those axes.
    """

    weights: Tensor
    means: Tensor
    axes: Tensor
    variances: Tensor

    @classmethod
    def of(cls, weights: Tensor, means: Tensor, covariances: Tensor) -> "GaussianMixture":
        """Build a mixture from its covariances: (K, D, D), symmetric and positive semi-definite."""
        variances, axes = torch.linalg.eigh(covariances.double())
        if float(variances.min()) < -1e-10 or abs(float(weights.sum()) - 1) > 1e-9:
            raise ConfigError("a mixture needs weights that sum to 1 and positive semi-definite covariances")
        return cls(weights.double(), means.double(), axes, variances.clamp(min=0))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw `n` samples: (n, D)."""
        which = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        z = torch.randn(n, self.means.shape[1], generator=generator, dtype=torch.float64)
        spread = torch.einsum("nij,nj->ni", self.axes[which], self.variances[which].sqrt() * z)
        return self.means[which] + spread

    def _components(self, x_t: Tensor, level: Level) -> tuple[Tensor, Tensor, Tensor]:
        """Return each component's offset in its axes (B, K, D), its variance, and log w_k N(x_t): (B, K)."""
        alpha, sigma = expand(level.alpha, x_t), expand(level.sigma, x_t)
        centred = x_t[:, None] - alpha[:, None] * self.means
        offset = torch.einsum("kij,bki->bkj", self.axes, centred)
        variance = alpha[:, None].square() * self.variances + sigma[:, None].square()
        log_density = -0.5 * (offset.square() / variance + variance.log() + math.log(2 * math.pi)).sum(-1)
        return offset, variance, self.weights.log() + log_density

    def log_prob(self, x_t: Tensor, level: Level) -> Tensor:
        """Return the log density of the marginal at `level`, in nats: (B,); x_t: (B, D)."""
        return self._components(x_t.double(), level)[2].logsumexp(1)

    def posterior_mean(self, x_t: Tensor, level: Level) -> Tensor:
        """Return E[x0 | x_t]: (B, D), the best possible denoiser; x_t: (B, D)."""
        offset, variance, log_joint = self._components(x_t, level)
        alpha = expand(level.alpha, x_t)[:, None]
        moved = torch.einsum("kij,bkj->bki", self.axes, alpha * self.variances / variance * offset)
        return (log_joint.softmax(1)[..., None] * (self.means + moved)).sum(1)


@dataclass(frozen=True)
class ExactDenoiser:
    """The denoiser of a mixture in closed form, to stand wherever a trained one does."""

    mixture: GaussianMixture
    schedule: Schedule

    def estimate(self, x_t: Tensor, t: Tensor, condition: Condition | None = None) -> Estimate:
        """Return (E[x0 | x_t], E[eps | x_t]); x_t: (B, D) of float64, t: () or (B,) in (0, 1]."""
        level = self.schedule.level(t)
        x0 = self.mixture.posterior_mean(x_t, level)
        eps = (x_t - expand(level.alpha, x_t) * x0) / expand(level.sigma, x_t)
        return Estimate(x0, eps)

    def evaluations(self, t: float, condition: Condition | None = None) -> int:
        """Return 1, to count as a network would."""
        return 1


def gaussian(mean: Tensor, covariance: Tensor) -> GaussianMixture:
    """Return the mixture of one Gaussian; mean: (D,), covariance: (D, D)."""
    return GaussianMixture.of(torch.ones(1), mean[None], covariance[None])
