"""What a run makes of examples, asked as it was in training.

An autoencoder that was only ever shown noisy or half hidden examples says little about whole ones: it is
shown the like, by draws of a fixed seed, and what it could see is not held against it.
"""

import numpy as np
import torch
from torch import Tensor

from sfumato.families.agreements import Restorer
from sfumato.randomness import generator
from sfumato.runs.family_model import FamilyModel
from sfumato.runs.run import Run
from sfumato.train.device import to_device

CHUNK = 256
"""Examples at a time."""


def rebuilt(run: Run, examples: Tensor, labels: Tensor | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return what the encoder is shown of examples and what is made of that, both as the data is: (N, ...).

    examples: as the data is; labels: int64 (N,), where there are any. Raises ConfigError for a run that has
    no codes, or no way back from them.
    """
    if not isinstance(run.model, FamilyModel) or not isinstance(run.family, Restorer):
        said = labels if run.classes else None
        return examples.numpy(), run.decode(run.encode(examples, said), said)
    found = [_restored(run, run.model, part, place) for place, part in enumerate(examples.split(CHUNK))]
    shown, restored = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return shown, restored


def _restored(run: Run, model: FamilyModel, examples: Tensor, place: int) -> tuple[Tensor, Tensor]:
    x = run.scaling.to_model(examples.to(run.device))
    draws = model.family.draw(len(x), tuple(x.shape[1:]), generator(0, "rebuilt", place))
    draws = {name: to_device(value, run.device) for name, value in draws.items()}
    with model.running():
        seen = model.family.shown(x, draws), model.family.restored(x, draws)
    shown, restored = (run.scaling.to_data(part.float().cpu()) for part in seen)
    return shown, restored
