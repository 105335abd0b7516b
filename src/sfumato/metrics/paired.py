"""The Fréchet distance of samples beside its floor: what real examples score at the same sample size.

A Fréchet distance is biased upwards by an amount that grows as samples get fewer, so a figure alone says
little (Chong & Forsyth 2020). Here all real examples are shuffled and two disjoint sets of m, A and B, taken:

    floor = d²(A, B)     score = d²(samples, B)     ratio = score / floor,     m = min(n, N // 2, 10 000)

Both meet the same B. A ratio of 1 means that the judge cannot tell the samples from real examples. All three
are measured over several shuffles and told with their spread.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.data import Dataset
from sfumato.errors import DataError
from sfumato.metrics.examples import real_count, real_examples
from sfumato.metrics.frechet import frechet_distance, gaussian
from sfumato.metrics.judge import Judge
from sfumato.metrics.spread import Spread
from sfumato.randomness import generator

MOST = 10_000
CHUNK = 1024
# A floor below this share of the features' mean square is a rounding error.
ROUNDING = 1e-14


@dataclass(frozen=True)
class PairedFrechet:
    """Fréchet distances in squared units of the features.

    size: m, the examples on either side; features: F; ratio: None where a floor is zero, as it is when all
    real examples are the same.
    """

    distance: Spread
    floor: Spread
    ratio: Spread | None
    size: int
    features: int

    def warnings(self) -> tuple[str, ...]:
        """Return what a reader should know before trusting the figures."""
        said = []
        if self.size < 2 * self.features:
            said.append(
                f"The Fréchet distance rests on {self.size:,} samples for {self.features} features: "
                f"compare ratios, not distances, or score at least {2 * self.features:,} where there is data "
                "for twice as many."
            )
        if self.ratio is None:
            said.append("The Fréchet floor is zero: the real examples do not differ from each other.")
        return tuple(said)


def paired_frechet(samples: Tensor, dataset: Dataset, judge: Judge, seed: int, splits: int) -> PairedFrechet:
    """Measure samples: (n, ...) against both splits of `dataset`, over `splits` ≥ 2 shuffles of `seed`."""
    size = min(len(samples), real_count(dataset) // 2, MOST)
    if size < 2:
        raise DataError("A Fréchet distance needs at least 2 samples and 4 real examples: give more of them.")
    pairs = torch.stack([_shuffled(real_count(dataset), 2 * size, seed, split) for split in range(splits)])
    needed, places = pairs.unique(return_inverse=True)
    real = torch.cat([judge.features(real_examples(dataset, rows)) for rows in needed.split(CHUNK)])
    made = judge.features(samples)
    distances, floors = [], []
    for split, (first, second) in enumerate(places.reshape(splits, 2, size)):
        reference = gaussian(real[second])
        chosen = _shuffled(len(samples), size, seed, splits + split)
        floors.append(frechet_distance(*gaussian(real[first]), *reference))
        distances.append(frechet_distance(*gaussian(made[chosen]), *reference))
    nothing = ROUNDING * float(real.square().sum(1).mean())
    ratios = [distance / floor for distance, floor in zip(distances, floors, strict=True) if floor > nothing]
    ratio = Spread.of(ratios) if len(ratios) == splits else None
    return PairedFrechet(Spread.of(distances), Spread.of(floors), ratio, size, made.shape[1])


def _shuffled(count: int, taken: int, seed: int, index: int) -> Tensor:
    return torch.randperm(count, generator=generator(seed, "frechet split", index))[:taken]
