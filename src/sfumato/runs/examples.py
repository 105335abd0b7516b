"""The examples of a split as a model in training meets them."""

from copy import copy

import torch
from torch import Tensor

from sfumato.data.dataset import Split
from sfumato.data.scaling import Scaling
from sfumato.families.agreements import Batch
from sfumato.runs.conditions.build import NOTHING, Conditions
from sfumato.runs.latent import as_seen
from sfumato.train.device import to_device


class Examples:
    """A split as batches for a model: scaled, on its device, with what the model is told of them."""

    def __init__(
        self, split: Split, scaling: Scaling, device: torch.device, conditions: Conditions = NOTHING
    ) -> None:
        self._split, self._scaling, self._device = split, scaling, device
        self._conditions, self._lookups = conditions, conditions.lookups(split) if len(split) else {}

    def once(self) -> "Examples":
        """Return the same, with what the model sees found beforehand where that takes a network."""
        ready = copy(self)
        ready._split, ready._scaling = as_seen(self._split, self._scaling)
        return ready

    def __call__(self, indices: Tensor) -> Batch:
        """Return the batch of the examples at `indices`: (B,)."""
        examples, _ = self._split.batch(indices)
        told = {name: lookup(indices, examples) for name, lookup in self._lookups.items()}
        condition = self._conditions.of(told)
        condition = condition and condition.to(self._device)
        scaled = self._scaling.to_model(to_device(examples, self._device))
        if scaled.ndim == 4:
            scaled = scaled.contiguous(memory_format=torch.channels_last)
        return Batch(scaled, condition)
