"""What the run layer knows of a model: its family as a configuration describes it, and how it is sampled.

There are two kinds of configuration, and a model for each: that of a diffusion model, whose pieces are all in
sight, and that of every other family, which is one piece with options. Whatever differs between them is a
method here; training, sampling, scoring and reporting ask no further.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.diffusion.schedules import signal_left
from sfumato.errors import ConfigError
from sfumato.families.agreements import (
    Autoencoder,
    DataFacts,
    Encoder,
    Generator,
    Labelled,
    Moment,
    Trainable,
)
from sfumato.families.diffusion import Diffusion, Guide, SamplingOptions
from sfumato.randomness import Noise
from sfumato.runs.build import (
    build_diffusion,
    build_sampling,
    data_bounds,
    refuse_idle_interval,
    seeded_weights,
)
from sfumato.runs.config import DiffusionConfig, FamilyConfig, RunConfig, parse_config
from sfumato.runs.distillation import build_trainee
from sfumato.runs.grids import with_fitted_grid
from sfumato.runs.registry import build
from sfumato.train.device import autocast, for_inference

LITTLE = 0.1
"""The share of signal at t = 1 up to which pure noise is close enough to start from."""


@dataclass(frozen=True)
class Wish:
    """How to sample where that is not the model's own way; see `Run.request`.

    folder, trained: the run it is asked of, and the steps it was trained for.
    """

    folder: Path
    trained: int = 0
    guides: Sequence[Guide] = ()
    known: Sequence[Guide] = ()
    options: Mapping[str, Any] | None = None


class Model(Protocol):
    """A family with its configuration."""

    @property
    def config(self) -> RunConfig:
        """What it is."""
        ...

    @property
    def family(self) -> Any:
        """What is trained and sampled; see `families.agreements` for what it may be able to do."""
        ...

    @property
    def called(self) -> str:
        """What a person calls it, with its article."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that it can be asked for, () for none."""
        ...

    def around(self, modules: Mapping[str, nn.Module]) -> Self:
        """Return the model with other weights, by player, that only run forward from now on."""
        ...

    def trainee(self, folder: Path) -> Trainable:
        """Return what a training in `folder` moves."""
        ...

    def sampling(self, wish: Wish) -> Any:
        """Return the options that `frames` takes; raise ConfigError for what this model cannot do."""
        ...

    def frames(
        self, shape: tuple[int, ...], noise: Noise, condition: Condition | None, options: Any
    ) -> Iterator[Moment]:
        """Yield the moments of sampling a batch."""
        ...

    def told(self, options: Any) -> dict[str, Any]:
        """Return how is sampled, ready for JSON."""
        ...

    def way(self) -> str:
        """Return how it is sampled, in a few words, "" where there is but one way."""
        ...

    def refuse_idle(self) -> None:
        """Raise ConfigError for a setting of a new run that would have no effect."""
        ...

    def notes(self) -> list[str]:
        """Return what to doubt before it is trained, a sentence each."""
        ...


@dataclass(frozen=True)
class DiffusionModel:
    """A diffusion model."""

    config: DiffusionConfig
    family: Diffusion
    called = "a diffusion model"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the data's classes."""
        return self.config.data.classes

    def around(self, modules: Mapping[str, nn.Module]) -> "DiffusionModel":
        """Return the model with other weights."""
        precision = self.config.precision
        forward = {name: for_inference(module, precision) for name, module in modules.items()}
        return replace(self, family=self.family.with_modules(forward))

    def trainee(self, folder: Path) -> Trainable:
        """Return the family, or the game in which it is distilled."""
        return build_trainee(self.config, self.family, folder)

    def sampling(self, wish: Wish) -> SamplingOptions:
        """Return the walk that was asked for, the run's own where nothing was."""
        given, steps = dict(wish.options or {}), self.config.sampling.steps
        if self.config.distilled is not None and given.get("steps", steps) != steps:
            raise ConfigError(
                f"{wish.folder} is distilled to {steps} step{'s' * (steps > 1)}: sample it without --steps, "
                f"or distil another by 'sfumato distill {self.config.distilled.teacher} --steps N'."
            )
        tree = self.config.model_dump(mode="json")
        settings = with_fitted_grid(wish.folder, {**tree["sampling"], **given}, wish.trained)
        config = parse_config({**tree, "sampling": settings})
        assert isinstance(config, DiffusionConfig)
        options = replace(
            build_sampling(config, self.family), guides=tuple(wish.guides), known=tuple(wish.known)
        )
        self.family.guided(options)  # refuses a guide that does not fit, before anything is sampled
        return options

    def frames(
        self, shape: tuple[int, ...], noise: Noise, condition: Condition | None, options: SamplingOptions
    ) -> Iterator[Moment]:
        """Yield the moments of the walk."""
        return self.family.frames(shape, noise, condition, options)

    def told(self, options: SamplingOptions) -> dict[str, Any]:
        """Return the walk."""
        return {
            "sampler": repr(options.sampler),
            "grid": repr(options.grid),
            "steps": options.steps,
            "threshold": None if options.threshold is None else repr(options.threshold),
            "guidance": options.guidance,
            "guidance_interval": options.interval,
        }

    def way(self) -> str:
        """Return sampler and steps."""
        sampling = self.config.sampling
        guidance = f", guidance {sampling.guidance:g}" if self.classes else ""
        return f"{sampling.sampler['name']} with {sampling.steps} steps{guidance}"

    def refuse_idle(self) -> None:
        """Refuse an interval of guidance where there is no guidance to limit."""
        refuse_idle_interval(self.config)

    def notes(self) -> list[str]:
        """Say where pure noise is not close enough to what the schedule ends with."""
        left = signal_left(self.family.denoiser.schedule, self.config.data.std)
        if left <= LITTLE:
            return []
        return [
            f"{left:.0%} of the noisiest state is still signal, but sampling starts from none: more steps or "
            "more noise in the schedule would leave less"
        ]


@dataclass(frozen=True)
class FamilyModel:
    """A model of any family but diffusion."""

    config: FamilyConfig
    family: Any

    @property
    def called(self) -> str:
        """The family's name in the registry."""
        return f"a run of '{self.config.family['name']}'"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the data's classes, where the family was built to obey them."""
        obeys = isinstance(self.family, Labelled) and self.family.classes > 0
        return self.config.data.classes if obeys else ()

    def around(self, modules: Mapping[str, nn.Module]) -> "FamilyModel":
        """Return the model with other weights."""
        return replace(self, family=self.family.with_modules(modules))

    def trainee(self, folder: Path) -> Trainable:
        """Return the family."""
        return self.family

    def sampling(self, wish: Wish) -> Any:
        """Refuse what is no generator, and options that only a diffusion model has; there are no others."""
        if not isinstance(self.family, Generator):
            raise ConfigError(self._no_generator(wish.folder))
        asked = [name.replace("_", "-") for name in wish.options or {}]
        asked += ["guides"] if wish.guides or wish.known else []
        if asked:
            raise ConfigError(
                f"{wish.folder} is {self.called}, which is sampled in one way: leave out {', '.join(asked)}, "
                "which only a diffusion model has."
            )
        return None

    def _no_generator(self, folder: Path) -> str:
        """Say why there is nothing to sample, and what to do instead."""
        if isinstance(self.family, Autoencoder):
            return (
                f"{folder} is {self.called}: it encodes and decodes, but has no prior to sample from. "
                f"Train a diffusion model in its codes by 'sfumato train DATA --latent {folder}'."
            )
        return (
            f"{folder} is {self.called}: it only encodes, so there is nothing to sample. Ask it for codes: "
            f"'sfumato encode {folder} DATA --out codes.npz'."
        )

    def frames(
        self, shape: tuple[int, ...], noise: Noise, condition: Condition | None, options: None
    ) -> Iterator[Moment]:
        """Yield the moments; the caller's own arithmetic between them is left alone."""
        moments = self.family.frames(shape, noise, condition, options)
        while True:
            with self.running():
                moment = next(moments, None)
            if moment is None:
                return
            yield moment

    def running(self) -> ExitStack:
        """Return the context in which the networks of this model run without training."""
        stack = ExitStack()
        stack.enter_context(torch.inference_mode())
        stack.enter_context(autocast(device_of(self), self.config.precision))
        return stack

    def told(self, options: None) -> dict[str, Any]:
        """There is one way."""
        return {}

    def way(self) -> str:
        """There is one way."""
        return ""

    def refuse_idle(self) -> None:
        """Every option of a family has its effect."""

    def notes(self) -> list[str]:
        """Nothing is known to doubt."""
        return []


def build_model(config: RunConfig) -> DiffusionModel | FamilyModel:
    """Build what a configuration describes, with weights that depend on its seed alone.

    Raises ConfigError where its pieces do not go together.
    """
    if isinstance(config, DiffusionConfig):
        return DiffusionModel(config, build_diffusion(config))
    assert isinstance(config, FamilyConfig)
    facts = DataFacts(config.shape, len(config.data.classes), data_bounds(config), config.data.std)
    with seeded_weights(config.seed, "weights"):
        family = build("family", config.family, {}).build(facts)
    if len(config.shape) == 3:
        for player in family.players():
            player.module.to(memory_format=torch.channels_last)
    return FamilyModel(config, family)


def device_of(model: DiffusionModel | FamilyModel) -> torch.device:
    """Return where the weights are that it is sampled with; others may lie elsewhere."""
    sampled = next(player for player in model.family.players() if player.sampled)
    return next(sampled.module.parameters()).device


def codes(model: DiffusionModel | FamilyModel, x: Tensor, condition: Condition | None) -> Tensor:
    """Return the codes of x: (B, ...) as (B, *latent); raise ConfigError for a model that has none."""
    if not isinstance(model, FamilyModel) or not isinstance(model.family, Encoder):
        raise ConfigError(
            f"this is {model.called}, which has no codes: encode by an autoencoder's or a contrastive run."
        )
    with model.running():
        return model.family.encode(x, condition).float()


def decoded(model: DiffusionModel | FamilyModel, z: Tensor, condition: Condition | None) -> Tensor:
    """Return what codes z: (B, *latent) stand for: (B, ...).

    Raises ConfigError for a model that decodes nothing, and for codes of another shape.
    """
    if not isinstance(model, FamilyModel) or not isinstance(model.family, Autoencoder):
        raise ConfigError(f"this is {model.called}, which decodes nothing: use an autoencoder's run.")
    wanted = tuple(model.family.latent_shape)
    if tuple(z.shape[1:]) != wanted:
        raise ConfigError(f"codes of this model have the shape {wanted}, not {tuple(z.shape[1:])}.")
    with model.running():
        return model.family.decode(z, condition).float()
