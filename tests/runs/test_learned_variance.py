"""A learned variance over a long training: never not a number, and no worse than the fixed ones."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import sfumato
from sfumato.condition import Condition
from sfumato.diffusion.bound import Chain, bits_per_dimension, bound
from sfumato.diffusion.variance import FixedLarge, FixedSmall, LearnedRange, Variance
from sfumato.randomness import SeededNoise
from sfumato.runs.build import build_decoder
from sfumato.runs.run import Run
from sfumato.train.events import Stepped


def bits(run: Run, variance: Variance, examples: int = 64) -> torch.Tensor:
    """The bound of held-out digits in bits per dimension, with the same noise whatever the variance."""
    values, labels = sfumato.load_data("digits").held_out.batch(torch.arange(examples))
    assert labels is not None
    x0 = run.scaling.to_model(values)
    denoiser = replace(run.family.denoiser, network=run.family.module)
    chain = Chain(denoiser.schedule, 1000, variance, build_decoder(run.scaling))
    with torch.no_grad():
        terms = bound(denoiser, chain, x0, SeededNoise(range(examples)), Condition.of(label=labels))
    return bits_per_dimension(terms.total, terms.dimensions)


@pytest.mark.slow
def test_a_learned_variance_lasts_5000_steps_and_beats_the_fixed_ones(tmp_path: Path) -> None:
    losses: list[float] = []

    def listen(event: object) -> None:
        if isinstance(event, Stepped):
            losses.append(event.losses["denoiser"])
            assert math.isfinite(event.gradient_norms["denoiser"])

    run = sfumato.fit(
        sfumato.load_data("digits"), tmp_path / "run", "hybrid", "5000steps", listeners=[listen]
    )
    assert len(losses) == 5000
    assert all(map(math.isfinite, losses))
    learned, small, large = (bits(run, variance) for variance in (LearnedRange(), FixedSmall(), FixedLarge()))
    print("bits per dimension: learned", learned.mean(), "small", small.mean(), "large", large.mean())
    # The same noise for all three, so the difference is paired; the learned one may pick either end itself.
    assert bool(learned.isfinite().all())
    assert float(learned.mean()) <= float(torch.minimum(small.mean(), large.mean()))
