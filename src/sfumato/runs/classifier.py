"""The classifier of noisy examples that a run may have beside its model.

RUN/classifier.safetensors holds its averaged weights, what it was made for (the run's schedule, view,
scaling and classes) and how well it reads held-out examples at a few levels of noise. It is written whole,
at the end of training.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from sfumato.data.dataset import Dataset
from sfumato.diffusion.process import corrupt
from sfumato.diffusion.schedules import time_of_log_snr
from sfumato.errors import ConfigError, RunError
from sfumato.families.noisy_classifier import PLAYER, NoisyClassifier
from sfumato.nets.embedding import LABEL
from sfumato.nets.encoder import PictureEncoder, VectorEncoder
from sfumato.randomness import generator
from sfumato.runs.build import build_diffusion, seeded_weights
from sfumato.runs.conditions.build import Conditions
from sfumato.runs.config import DiffusionConfig
from sfumato.runs.examples import Examples
from sfumato.runs.fitting import accelerator
from sfumato.runs.latent import open_scaling
from sfumato.train.averaging import Averages
from sfumato.train.budget import Budget
from sfumato.train.checkpoint import Checkpoint, load, load_into, save
from sfumato.train.events import Event
from sfumato.train.held_out import HeldOutLoss
from sfumato.train.loop import Fit, FitSettings
from sfumato.train.optimiser import AdamW
from sfumato.train.signals import StopRequest

CLASSIFIER = "classifier.safetensors"
RATIOS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Noise over signal at which accuracy is measured."""
MOST_HELD_OUT = 1000


def build_classifier(config: DiffusionConfig, seed: int = 0) -> NoisyClassifier:
    """Build an untrained classifier for a run; raise ConfigError for one without labels."""
    shape, classes = config.shape, len(config.data.classes)
    if LABEL not in config.conditions or not classes:
        raise ConfigError("this run was trained without labels, so there is nothing to classify.")
    encoder = PictureEncoder if len(shape) == 3 else VectorEncoder
    with seeded_weights(seed, "classifier"):
        network: nn.Module = encoder(shape[0], classes)
    family = build_diffusion(config)
    return NoisyClassifier(network, network, family.denoiser.schedule, family.denoiser.view, family.times)


def made_for(config: DiffusionConfig) -> dict[str, object]:
    """Return what a classifier depends on, as plain values."""
    tree = config.model_dump(mode="json", include={"schedule", "view", "scaling"})
    return {**tree, "shape": list(config.shape), "classes": list(config.data.classes)}


class ClassifierTraining:
    """A classifier being trained for the run in `folder`."""

    def __init__(
        self, config: DiffusionConfig, dataset: Dataset, folder: Path, budget: Budget, seed: int
    ) -> None:
        self.config, self.dataset, self.folder, self.budget = config, dataset, folder, budget
        self.family = build_classifier(config, seed)
        place = accelerator()
        self.device = place.device
        self.family.module.to(self.device)
        self._scaling = open_scaling(config, folder, self.device)
        self._conditions = Conditions.open(config, folder, self.device).only((LABEL,))
        settings = FitSettings(
            batch=config.training.batch,
            optimiser=AdamW(weight_decay=0.05),
            learning_rate=2e-3,
            warmup=50,
            clip=1.0,
            seed=seed,
            precision=config.precision,
        )
        load_batch = Examples(dataset.train, self._scaling, self.device, self._conditions)
        self.fit = Fit(self.family, len(dataset.train), load_batch, config.shape, settings, place)
        self.averages = Averages(self.fit.players)
        self._news: list[Event] = []
        unseen = dataset.held_out
        self._held_out = HeldOutLoss(
            family=self.family,
            averages=self.averages,
            load=Examples(unseen, self._scaling, self.device, self._conditions),
            examples=len(unseen),
            shape=config.shape,
            device=self.device,
            precision=config.precision,
            announce=self._news.append,
        )

    def events(self, stop: StopRequest) -> Iterator[Event]:
        """Train until the budget is used or a stop is asked for, yielding what happens."""
        for event in self.fit.run(self.budget, stop):
            self.averages(event)
            self._held_out(event)
            yield event
            yield from self._news
            self._news.clear()

    @torch.no_grad()
    def accuracy(self) -> dict[float, float]:
        """Return the share of held-out examples read right, by noise over signal; {} if none are held out.

        Ratios that the schedule does not reach are left out.
        """
        count = min(len(self.dataset.held_out), MOST_HELD_OUT)
        if not count:
            return {}
        # A folder's examples are sorted by class: the first of them would be one class alone.
        some = torch.randperm(len(self.dataset.held_out), generator=generator(0, "accuracy"))[:count]
        batch = Examples(self.dataset.held_out, self._scaling, self.device, self._conditions)(some)
        assert batch.condition is not None
        family, found = self.family.with_modules(self.averages.modules()), {}
        for number, ratio in enumerate(RATIOS):
            wanted = -2 * torch.tensor(ratio, dtype=torch.float64).log()
            t = time_of_log_snr(family.schedule, wanted)
            if abs(float(family.schedule.level(t).log_snr - wanted)) > 1e-3:
                continue
            eps = torch.randn(batch.examples.shape, generator=generator(0, "accuracy", number))
            x_t = corrupt(family.schedule, batch.examples, eps.to(self.device), t)
            right = family.logits(x_t, t).argmax(1) == batch.condition.values["label"]
            found[ratio] = float(right.cpu().double().mean())
        return found

    def save(self, accuracy: dict[float, float]) -> Path:
        """Write the averaged weights beside the run's own; return the path."""
        path = self.folder / CLASSIFIER
        state = {
            "made_for": made_for(self.config),
            "done": asdict(self.fit.done),
            "accuracy": {str(ratio): share for ratio, share in accuracy.items()},
        }
        save(path, Checkpoint(self.averages.modules()[PLAYER].state_dict(), state))
        return path


def load_classifier(folder: Path, config: DiffusionConfig, device: torch.device) -> NoisyClassifier:
    """Open the classifier of the run in `folder`, frozen; raise RunError that names the verb if it has none.

    It runs in float32: its gradient is amplified by sigma²/alpha.
    """
    path, classifier = folder / CLASSIFIER, build_classifier(config)
    if not path.is_file():
        raise RunError(
            f"{folder} has no classifier of noisy examples: 'sfumato classifier {folder}' makes one."
        )
    stored = load(path)
    if stored.state.get("made_for") != made_for(config):
        raise RunError(f"{path} was made for another run: 'sfumato classifier {folder}' trains one for this.")
    load_into(classifier.module, stored.tensors, "classifier's weights")
    classifier.module.requires_grad_(False).eval().to(device)
    return classifier
