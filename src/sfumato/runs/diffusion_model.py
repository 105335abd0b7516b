"""The run layer's diffusion model: its pieces, and the walk by which it is sampled."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from sfumato.condition import Condition
from sfumato.diffusion.schedules import signal_left
from sfumato.errors import ConfigError
from sfumato.families.agreements import Moment, Trainable
from sfumato.families.diffusion import Diffusion, SamplingOptions
from sfumato.nets.embedding import LABEL
from sfumato.randomness import Noise
from sfumato.runs.agreements import SamplingWish
from sfumato.runs.build import build_sampling, refuse_idle_interval
from sfumato.runs.config import DiffusionConfig, SamplingConfig, parse_config, weights
from sfumato.runs.distillation import build_trainee
from sfumato.runs.grids import with_fitted_grid
from sfumato.train.device import for_inference

LITTLE = 0.1
"""The share of signal at t = 1 up to which pure noise is close enough to start from."""
WAYS = ("sampler", "grid", "steps", "guidance")
"""What a distilled network has learned to be asked by."""


@dataclass(frozen=True)
class DiffusionModel:
    """A diffusion model."""

    config: DiffusionConfig
    family: Diffusion
    called = "a diffusion model"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the data's classes, where it is told labels."""
        return self.config.data.classes if LABEL in self.config.conditions else ()

    @property
    def obeys(self) -> tuple[str, ...]:
        """All that it is told."""
        return tuple(self.config.conditions)

    def around(self, modules: Mapping[str, nn.Module]) -> "DiffusionModel":
        """Return the model with other weights."""
        precision = self.config.precision
        forward = {name: for_inference(module, precision) for name, module in modules.items()}
        return replace(self, family=self.family.with_modules(forward))

    def trainee(self, folder: Path) -> Trainable:
        """Return the family, or the game in which it is distilled."""
        return build_trainee(self.config, self.family, folder)

    def sampling(self, wish: SamplingWish) -> SamplingOptions:
        """Return the walk that was asked for, the run's own where nothing was."""
        given = dict(wish.options or {})
        foreign = [name.replace("_", "-") for name in given if name not in SamplingConfig.model_fields]
        if foreign:
            raise ConfigError(
                f"{wish.folder} is {self.called}, which chooses no tokens: leave out {', '.join(foreign)}."
            )
        if self.config.distilled is not None:
            self._refuse_other_ways(wish.folder, given)
            given = {name: value for name, value in given.items() if name not in WAYS}
        tree = self.config.model_dump(mode="json")
        settings = with_fitted_grid(wish.folder, {**tree["sampling"], **given}, wish.trained)
        config = parse_config({**tree, "sampling": settings})
        assert isinstance(config, DiffusionConfig)
        options = replace(
            build_sampling(config, self.family), guides=tuple(wish.guides), known=tuple(wish.known)
        )
        self.family.guided(options)  # refuses a guide that does not fit, before anything is sampled
        return options

    def _refuse_other_ways(self, folder: Path, given: Mapping[str, Any]) -> None:
        """Refuse to ask a distilled network in another way than it learned to be asked."""
        own = self.config.model_dump(mode="json")["sampling"]
        other = [name for name in WAYS if name in given and _named(given[name]) != _named(own[name])]
        if other:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in other)
            assert self.config.distilled is not None
            raise ConfigError(
                f"{folder} is distilled to {own['steps']} step{'s' * (own['steps'] > 1)} and knows no other "
                f"way: sample it without {options}, or sample {self.config.distilled.teacher}, its teacher "
                f"('sfumato distill {self.config.distilled.teacher} --steps N' makes one of other steps)."
            )

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
        guidance = f", guidance {weights(sampling.guidance)}" if self.config.conditions else ""
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


def _named(value: Any) -> Any:
    """Return the name of a piece that is given with its settings, anything else as it is."""
    return value["name"] if isinstance(value, Mapping) and "name" in value else value
