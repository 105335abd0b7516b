"""Guidance for a run, made from what a user names: its classifier, a weaker run, a picture and a mask.

Each function returns a guide, which `Run.request` takes: what wraps the run's denoiser.
"""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from sfumato.data.pictures import Form, colour, read_picture
from sfumato.diffusion.guidance import AutoGuided, ClassifierGuided, Inpainted
from sfumato.errors import ConfigError
from sfumato.families.agreements import Completing
from sfumato.families.diffusion import Guide
from sfumato.nets.conditions import TEXT
from sfumato.runs.classifier import load_classifier
from sfumato.runs.conditions.text import TextReader
from sfumato.runs.inpainting import KeptPart, kept_part
from sfumato.runs.run import Run


def classifier_guide(run: Run, weight: float, interval: tuple[float, float] | None = None) -> Guide:
    """Return guidance by the run's classifier of noisy examples.

    weight: 0 is none, 1 is Bayes' rule; interval: the times within which it acts, by default the run's.
    Raises ConfigError for a run without labels, RunError where the classifier is still to be trained.
    """
    classifier = load_classifier(run.folder, run.diffusion.config, run.device)
    acts = interval or run.diffusion.config.sampling.guidance_interval
    return partial(ClassifierGuided, classifier=classifier.log_prob, weight=weight, interval=acts)


def weaker_guide(run: Run, weaker: Run, weight: float) -> Guide:
    """Return auto-guidance by a weaker run, of which 1 is none.

    Raises ConfigError that names the first way in which the two runs see different things.
    """
    for what, own, other in (
        ("shape", run.config.data.shape, weaker.config.data.shape),
        ("classes", run.classes, weaker.classes),
        ("scaling", run.config.scaling, weaker.config.scaling),
        ("conditions", run.config.conditions, weaker.config.conditions),
        ("latent", run.config.latent, weaker.config.latent),
        ("schedule", run.diffusion.family.denoiser.schedule, weaker.diffusion.family.denoiser.schedule),
    ):
        if own != other:
            raise ConfigError(
                f"{weaker.folder} cannot guide {run.folder}: its {what} is {other}, not {own}. Choose a run "
                "on the same data and schedule that is smaller or was trained for less time."
            )
    # Both vocabularies may be of one size, which is all that a configuration says of them.
    if _words(run) != _words(weaker):
        raise ConfigError(
            f"{weaker.folder} cannot guide {run.folder}: it learned other words, so each token means "
            "something else to it. Choose a run that was trained on the same captions."
        )
    return partial(AutoGuided, weaker=weaker.diffusion.family.denoiser, weight=weight)


def _words(run: Run) -> str | None:
    """Return the tokenizer of a run that reads text, None of another."""
    reader = run.conditions.readers.get(TEXT)
    return reader.tokenizer.to_json() if isinstance(reader, TextReader) else None


def inpaint_guide(run: Run, picture: str | Path, mask: str | Path) -> Guide | KeptPart:
    """Return what keeps `picture` where `mask` is white and lets the run make up the rest.

    Both are cropped and shrunk to the run's pictures as its data was. Raises ConfigError for a run that makes
    no square pictures, DataError for files that are none.
    """
    shape = run.config.data.shape
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ConfigError(f"inpainting is for runs that make square pictures; this one makes {shape}.")
    kept, keep = _read(picture, run, shape[0]), _read(mask, run, 1) >= 128
    if isinstance(run.family, Completing):
        return kept_part(run, kept, keep)
    if run.config.latent is not None:
        raise ConfigError(
            f"{run.folder} lives in the codes of an autoencoder, which mix all pixels: no part of a picture "
            "can be kept. Choose a run of the pictures themselves."
        )
    return partial(Inpainted, known=run.scaling.to_model(kept), mask=keep)


def _read(path: str | Path, run: Run, channels: int) -> Tensor:
    """Return a picture file in the run's form: uint8 (1, channels, H, W)."""
    form = Form(run.config.data.shape[1], channels, colour(run.config.data.background))
    return torch.from_numpy(read_picture(Path(path), form))[None]
