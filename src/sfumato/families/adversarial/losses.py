"""What the two sides of an adversarial game want.

The critic D sees data x, of density p, and samples G(z), of density q. With S(u) = log(1 + eᵘ):

    lecture         L_D = |D(x) − [1, 0]|² + |D(G(z)) − [0, 1]|²      L_G = −|D(G(z)) − [0, 1]|²
    saturating      L_D = S(−D(x)) + S(D(G(z)))                       L_G = −S(D(G(z)))
    non-saturating  the same                                          L_G = S(−D(G(z)))
    wasserstein     L_D = D(G(z)) − D(x)                              L_G = −D(G(z))
    hinge           L_D = max(0, 1 − D(x)) + max(0, 1 + D(G(z)))      L_G = −D(G(z))
    relativistic    L_D = S(D(G(z)) − D(x))                           L_G = S(D(x) − D(G(z)))

The first three judge each picture alone, and their best critic says p/(p + q). Sun et al. 2020 prove that the
landscape of such games is full of bad basins, in which the generator has left modes, and that the one of the
relativistic pair, which asks which of two is real, has none.

Each carries the gradient penalties its authors use (`penalties`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from sfumato.families.adversarial.penalties import Penalties

Answers = Callable[[], Tensor]
"""The critic's outputs, worked out when they are asked for: () -> (B, outputs)."""


class AdversarialLoss(Protocol):
    """A game of two sides, of which each lowers its own loss.

    outputs: how many numbers the critic says of a picture; penalties: on its slope, by default.
    """

    @property
    def outputs(self) -> int:
        """How many numbers the critic puts out for each example."""
        ...

    @property
    def penalties(self) -> Penalties:
        """What is added to the critic's loss."""
        ...

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the critic's loss of pairs, from its outputs of data and samples: (B, outputs) as (B,)."""
        ...

    def generator(self, fake: Tensor, real: Answers) -> Tensor:
        """Return the generator's loss, from the outputs of samples: (B, outputs), and of data: (B,)."""
        ...


class _OneNumber:
    """A critic that says one number of a picture."""

    outputs: ClassVar[int] = 1
    penalties: ClassVar[Penalties] = Penalties()


@dataclass(frozen=True)
class Lecture:
    """Two outputs, drawn by squared distance to [1, 0] for data and [0, 1] for samples.

    The lecture's slides write one target for both, which would leave the critic nothing to tell apart: here
    they are opposite. The outputs pass a softmax, so that away from one target is towards the other: the
    generator's loss could fall for ever without it.
    """

    outputs: ClassVar[int] = 2
    penalties: ClassVar[Penalties] = Penalties()

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return L_D: (B,), 1 where the critic cannot tell."""
        return self._distance(real, 0) + self._distance(fake, 1)

    def generator(self, fake: Tensor, real: Answers) -> Tensor:
        """Return L_G: (B,) in [−2, 0]."""
        return -self._distance(fake, 1)

    def _distance(self, said: Tensor, place: int) -> Tensor:
        target = torch.zeros_like(said)
        target[:, place] = 1
        return (said.softmax(1) - target).square().sum(1)


@dataclass(frozen=True)
class Saturating(_OneNumber):
    """The game as it was first written: both sides pull at one value (Goodfellow et al. 2014, equation 1)."""

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return L_D in nats: (B,), log 4 where the critic cannot tell."""
        return F.softplus(-real[:, 0]) + F.softplus(fake[:, 0])

    def generator(self, fake: Tensor, real: Answers) -> Tensor:
        """Return log(1 − sigmoid D) in nats: (B,), which is flat where the critic is sure."""
        return -F.softplus(fake[:, 0])


@dataclass(frozen=True)
class NonSaturating(Saturating):
    """The same critic; the generator is pulled hardest where it is worst (Goodfellow et al. 2014, section 3).

    Its own penalty is R1 (Mescheder et al. 2018).
    """

    penalties: ClassVar[Penalties] = Penalties(r1=1.0)

    def generator(self, fake: Tensor, real: Answers) -> Tensor:
        """Return −log sigmoid D in nats: (B,)."""
        return F.softplus(-fake[:, 0])


@dataclass(frozen=True)
class Wasserstein(_OneNumber):
    """The earth mover's distance, as far as the critic's slope is 1 (Arjovsky et al. 2017, equation 2).

    Its own penalty holds the slope there (Gulrajani et al. 2017, equation 3).
    """

    penalties: ClassVar[Penalties] = Penalties(slope=10.0)

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return L_D: (B,), whose mean is minus the distance for the best critic."""
        return fake[:, 0] - real[:, 0]

    def generator(self, fake: Tensor, real: Answers) -> Tensor:
        """Return L_G: (B,)."""
        return -fake[:, 0]


@dataclass(frozen=True)
class Hinge(Wasserstein):
    """The critic asks for a margin and no more (Lim & Ye 2017; Miyato et al. 2018, equations 16 and 17)."""

    penalties: ClassVar[Penalties] = Penalties(r1=1.0)

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return L_D: (B,), 2 where the critic cannot tell."""
        return F.relu(1 - real[:, 0]) + F.relu(1 + fake[:, 0])


@dataclass(frozen=True)
class Relativistic(_OneNumber):
    """Which of two is real? (Jolicoeur-Martineau 2019; with R1 and R2 Huang et al. 2024.)"""

    penalties: ClassVar[Penalties] = Penalties(r1=0.5, r2=0.5)

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return L_D in nats: (B,), log 2 where the critic cannot tell."""
        return F.softplus(fake[:, 0] - real[:, 0])

    def generator(self, fake: Tensor, real: Answers) -> Tensor:
        """Return L_G in nats: (B,)."""
        return F.softplus(real()[:, 0] - fake[:, 0])


LOSSES: dict[str, AdversarialLoss] = {
    "lecture": Lecture(),
    "saturating": Saturating(),
    "non-saturating": NonSaturating(),
    "wasserstein": Wasserstein(),
    "hinge": Hinge(),
    "relativistic": Relativistic(),
}
