"""The judge of pictures: a small trained network, kept in a cache folder between scores."""

import json
from pathlib import Path

import torch
from torch import Tensor

from sfumato.data import Dataset
from sfumato.metrics.cache import cache_key, load_cached, save_cached
from sfumato.metrics.classifier import Progress, as_input, held_out_accuracy, train_classifier
from sfumato.metrics.examples import require_examples
from sfumato.metrics.network import JudgeNet, empty_network
from sfumato.metrics.tasks import Task, task_for

CHUNK = 256


class PictureJudge:
    """A trained network as a judge.

    net: the network; task: what it was taught; shape: (C, H, W) of the pictures;
    accuracy: its share of right answers to `task` on held-out pictures, None where none were held out.
    """

    def __init__(self, net: JudgeNet, task: Task, shape: tuple[int, ...], accuracy: float | None) -> None:
        # A network left in training mode would let the pictures of a batch change each other's features.
        self._net = net.requires_grad_(False).eval()
        self.task = task
        self.shape = shape
        self.accuracy = accuracy

    @property
    def name(self) -> str:
        """What it is, for a person."""
        return f"a network taught to tell {self.task.name} apart"

    def features(self, examples: Tensor) -> Tensor:
        """Return the penultimate features of `examples`, uint8 (N, C, H, W): float64 (N, 64)."""
        require_examples(examples, self.shape)
        with torch.no_grad():
            return torch.cat([self._net.features(as_input(part)).double() for part in examples.split(CHUNK)])

    def read(self, examples: Tensor) -> Tensor | None:
        """Return the class read in each of uint8 (N, C, H, W): int64 (N,); None without classes."""
        if not self.task.names_classes:
            return None
        require_examples(examples, self.shape)
        with torch.no_grad():
            return torch.cat([self._net(as_input(part)).argmax(1) for part in examples.split(CHUNK)])


def picture_judge(dataset: Dataset, folder: Path, seed: int, progress: Progress | None) -> PictureJudge:
    """Return the judge of `dataset` that is kept in `folder`; train and keep it if there is none."""
    kept = kept_judge(dataset, folder, seed)
    if kept is not None:
        return kept
    task = task_for(dataset)
    net = train_classifier(dataset, task, seed, progress)
    accuracy = held_out_accuracy(net, task, dataset.held_out)
    words = {"accuracy": json.dumps(accuracy), "task": task.name, "classes": json.dumps(dataset.classes)}
    save_cached(folder, cache_key(dataset.content_hash, seed), net.state_dict(), words)
    return PictureJudge(net, task, dataset.shape, accuracy)


def kept_judge(dataset: Dataset, folder: Path, seed: int) -> PictureJudge | None:
    """Return the judge kept in `folder`, or None where there is none or its file is not what it should be."""
    kept = load_cached(folder, cache_key(dataset.content_hash, seed))
    if kept is None:
        return None
    weights, words = kept
    task = task_for(dataset)
    net = empty_network(dataset.shape, task.outputs)
    try:
        net.load_state_dict(weights)
        accuracy = json.loads(words["accuracy"])
    except (RuntimeError, KeyError, ValueError):
        return None
    return PictureJudge(net, task, dataset.shape, accuracy)
