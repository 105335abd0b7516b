"""How a batch tells that a generator has collapsed.

*Relative spread*: the mean distance between two samples over that between two examples, within each class
where there are labels. 1 is right, 0 a generator of one picture a class.

*Coverage* (Naeem et al. 2020): the share of examples that have a sample within the ball reaching
to their k-th nearest neighbour among the examples. Of m samples from the data's own distribution and as many
examples it is 1 − 2^−k in expectation, up to terms in 1/m, 0.97 for k = 5; of a generator that found half of
all modes, half of that.

Both count pixels and know nothing of meaning: they are for watching, not for scoring.
"""

import torch
from torch import Tensor

NEIGHBOURS = 5


def relative_spread(samples: Tensor, examples: Tensor, labels: Tensor | None) -> float:
    """Return the mean distance between two of `samples`: (B, ...) over that of `examples`: (B, ...).

    labels: (B,), of both, or None; 1 where no two share a class.
    """
    alike = torch.ones(len(samples), len(samples), dtype=torch.bool, device=samples.device)
    if labels is not None:
        alike = labels[:, None] == labels
    alike.fill_diagonal_(False)
    if not alike.any():
        return 1.0
    made, real = (distances(x, x)[alike].mean() for x in (samples, examples))
    return float(made / real.clamp(min=torch.finfo(real.dtype).tiny))


def coverage(samples: Tensor, examples: Tensor, neighbours: int = NEIGHBOURS) -> float:
    """Return the share of `examples`: (N, ...) that a sample, of (M, ...), comes near to."""
    among = distances(examples, examples)
    # Each example is the first of its own neighbours.
    reach = among.kthvalue(min(neighbours + 1, len(examples)), dim=1).values
    nearest = distances(examples, samples).amin(1)
    return float((nearest <= reach).cpu().double().mean())


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Return the Euclidean distances of x: (N, ...) from y: (M, ...) as (N, M), float32."""
    with torch.autocast(x.device.type, enabled=False):
        # By differences: the expansion into products loses the small ones.
        return torch.cdist(
            x.flatten(1).float(), y.flatten(1).float(), compute_mode="donot_use_mm_for_euclid_dist"
        )
