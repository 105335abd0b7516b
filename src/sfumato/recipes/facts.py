"""What recipes know of the data, and what they all share: the scaling and a network of the right size."""

from dataclasses import dataclass

import torch

from sfumato.data.dataset import Dataset
from sfumato.data.scaling import Pixels, Scaling, standardise
from sfumato.randomness import generator
from sfumato.runs.config import DataConfig

MEASURED_ON = 4096
"""Examples on which the standard deviation is measured."""


@dataclass(frozen=True)
class Facts:
    """The data of a run and how it meets the model."""

    data: DataConfig
    scaling: dict[str, object]

    @property
    def is_pictures(self) -> bool:
        """Whether the examples are pictures rather than vectors."""
        return len(self.data.shape) == 3

    def network(self) -> dict[str, object]:
        """Return a network that suits the examples' size.

        Pictures from 24 pixels on are folded 2×2, so that most work is done at 12 to 16 pixels and half that;
        those from 48 on get a level more.
        """
        if not self.is_pictures:
            return {"name": "mlp", "width": 128, "layers": 4}
        side = min(self.data.shape[1:])
        if side < 24:
            return {"name": "unet", "widths": [64, 64], "blocks": 1, "fold": 1}
        widths = [64, 128] if side < 48 else [64, 128, 192]
        return {"name": "unet", "widths": widths, "blocks": 1, "fold": 2}

    def training(self) -> dict[str, object]:
        """Return how weights are found: convolutions gain by Muon, a perceptron's few matrices do not."""
        if not self.is_pictures:
            return {"optimiser": "adamw", "training": {"batch": 512}}
        return {"optimiser": "muon", "training": {"batch": 64, "learning_rate": 4e-3}}

    def common(self) -> dict[str, object]:
        """Return the parts of a configuration that do not depend on the recipe."""
        return {
            "data": self.data,
            "scaling": self.scaling,
            "network": self.network(),
            **self.training(),
        }


def data_config(dataset: Dataset) -> Facts:
    """Measure what a configuration says of the data."""
    scaling: Scaling = Pixels()
    spec: dict[str, object] = {"name": "pixels"}
    if not dataset.is_pictures:
        measured = standardise(dataset.train.store)
        scaling, spec = measured, {"name": "standardise", "mean": measured.mean, "std": measured.std}
    some = torch.randperm(len(dataset.train), generator=generator(0, "measure"))[:MEASURED_ON]
    std = float(scaling.to_model(dataset.train.batch(some)[0]).std())
    data = DataConfig.model_validate(
        {
            **dataset.reading,
            "source": dataset.source,
            "shape": dataset.shape,
            "classes": dataset.classes,
            "std": float(f"{max(std, 1e-3):.4g}"),
            "content_hash": dataset.content_hash,
        }
    )
    return Facts(data, spec)
