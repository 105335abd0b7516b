"""The options of an adversarial game, and how both sides are built of them.

The default is what does not collapse: the relativistic loss with zero-centred penalties on data and samples
(Huang et al. 2024). Every other loss of `losses` is there to be compared with it. The game itself, its
moves and measures, is in `game`.
"""

from dataclasses import dataclass, replace
from typing import Any

from sfumato.errors import ConfigError, unknown
from sfumato.families.adversarial.game import AdversarialGame
from sfumato.families.adversarial.losses import LOSSES
from sfumato.families.agreements import DataFacts
from sfumato.nets.critic import PictureCritic, VectorCritic
from sfumato.nets.generator import PictureGenerator, VectorGenerator


@dataclass(frozen=True)
class GAN:
    """The options of an adversarial game.

    loss: a name of `LOSSES`; r1, r2, slope: the weights of the penalties, None for the loss's own; fall: by
    which factor r1 and r2 shrink over training; share: of the rows on which penalties are measured; latent:
    length of the noise; width: of the networks; labels: whether both sides are told them where there are any;
    critic_moves: moves of the critic for each of the generator.
    """

    loss: str = "relativistic"
    r1: float | None = None
    r2: float | None = None
    slope: float | None = None
    fall: float = 1.0
    share: float = 0.25
    latent: int = 64
    width: int = 64
    labels: bool = True
    critic_moves: int = 1

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise unknown("loss of a GAN", self.loss, LOSSES)
        for name in ("latent", "width", "critic_moves"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in ("r1", "r2", "slope"):
            if (getattr(self, name) or 0) < 0:
                raise ConfigError(f"{name} must be at least 0, not {getattr(self, name)}.")
        for name in ("fall", "share"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be above 0 and at most 1, not {getattr(self, name)}.")

    def build(self, facts: DataFacts) -> AdversarialGame:
        """Build both sides for pictures or vectors."""
        loss = LOSSES[self.loss]
        classes = facts.classes if self.labels else 0
        networks: tuple[Any, Any] = (
            (PictureGenerator, PictureCritic) if len(facts.shape) == 3 else (VectorGenerator, VectorCritic)
        )
        size: Any = facts.shape if len(facts.shape) == 3 else facts.shape[0]
        generator = networks[0](size, self.latent, self.width, classes, facts.bounds)
        critic = networks[1](size, loss.outputs, self.width, classes)
        wanted = {name: getattr(self, name) for name in ("r1", "r2", "slope")}
        given = {name: value for name, value in wanted.items() if value is not None}
        return AdversarialGame(
            generator,
            critic,
            critic,
            loss,
            replace(loss.penalties, **given),
            self.fall,
            self.share,
            self.latent,
            classes,
            self.critic_moves,
        )
