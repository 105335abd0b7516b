"""What the fit loop tells its subscribers.

The loop yields events and knows nobody who listens; averages, held-out losses, checkpoints, logs, previews
and progress bars are all subscribers: callables that take an event.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sfumato.train.budget import Done


@dataclass(frozen=True)
class Stepped:
    """One step was made.

    progress: share of the budget used; losses: the mean training loss of each player that moved, by its name;
    gradient_norms: the norm of each one's gradient before it was clipped.
    """

    done: Done
    progress: float
    losses: Mapping[str, float]
    learning_rate: float
    gradient_norms: Mapping[str, float]


@dataclass(frozen=True)
class HeldOut:
    """The loss on held-out examples was measured, with the weights as they are and with their average.

    raw, average: None where one player's loss says nothing of the model; measures: what else the family says
    of itself, with averaged weights.
    """

    done: Done
    raw: float | None
    average: float | None
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Saved:
    """A checkpoint is on the disk."""

    done: Done


@dataclass(frozen=True)
class Notice:
    """Something a person should know, such as that compilation was given up."""

    text: str


@dataclass(frozen=True)
class Ended:
    """Training ended; `interrupted_by` names the signal that asked for it, None at the budget's end."""

    done: Done
    interrupted_by: str | None


Event = Stepped | HeldOut | Saved | Notice | Ended
Subscriber = Callable[[Event], None]
