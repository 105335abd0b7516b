"""Previews on the way: samples of the averaged weights above, of the latest weights below.

An autoencoder shows held-out examples as it sees them instead, and what only encodes shows nothing.

Both are shown because either can be the better one early in training, and a broken average is seen at once.
"""

from pathlib import Path

import numpy as np

from sfumato.app.pictures import can_draw, picture, save_image
from sfumato.runs.fitting import Training
from sfumato.train.events import Ended, Event, Stepped

SAMPLES = 20


class Previews:
    """Draws `times` previews over the budget into the run's folder, each from the same noise."""

    def __init__(self, training: Training, times: int = 4) -> None:
        self._training, self._times = training, times
        self._next = 1 + int(times * training.budget.progress(training.fit.done))

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        if not can_draw(self._training.config.sample_shape):
            return
        if isinstance(event, Stepped) and event.progress * self._times >= self._next:
            self._next += 1
            self._draw(event.done.steps)
        elif isinstance(event, Ended) and event.interrupted_by:
            self._draw(event.done.steps)

    def _draw(self, step: int) -> None:
        rows = [self._training.preview(which, SAMPLES) for which in ("average", "raw")]
        drawn = [row for row in rows if row is not None]
        if not drawn:
            return
        shown = np.concatenate(drawn)
        folder = self._training.folder / "previews"
        folder.mkdir(exist_ok=True)
        save_image(Path(folder / f"step-{step:07d}.png"), picture(shown, columns=10))
