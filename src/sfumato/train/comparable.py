"""How far a training of so long a time gets, told alike on every machine.

What a training can afford, a wide network or little guidance, goes by the steps that it will take, and those
are not known before it has begun. Its seconds stand for them, once they are counted as those in which a
processor with fast bf16 takes as many steps.
"""

from sfumato.train.budget import Budget
from sfumato.train.device import best_device, fast_bf16

SLOWER = 4.0
"""How often as long as one with fast bf16 a processor without it takes for a step (docs/speed.md)."""


def comparable_seconds(budget: Budget | None) -> float:
    """Return in how many seconds a processor with fast bf16 does what this machine does in the budget.

    0 where that counts steps or images, or is not known. By the kind of the processor, not by the clock, so
    that all processes of a training decide alike.
    """
    if budget is None or budget.of != "seconds":
        return 0.0
    device = best_device()
    return budget.amount if device.type != "cpu" or fast_bf16(device) else budget.amount / SLOWER
