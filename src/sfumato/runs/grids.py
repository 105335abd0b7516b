"""The fitted grids of a run, kept beside its weights in RUN/grids.json.

A grid belongs to one model, one sampler, one number of steps and one guidance: the file is a list
of them, a later fit in place of an earlier one of the same. Asked to sample on the grid "fitted", a run looks
for its own here, and where there is none, or only one of before it was trained further, says how to make it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from torch import Tensor

from sfumato.condition import Condition
from sfumato.data import Dataset, Split, load_data
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.fitting import BUDGET, Progress, fine_ends, fit_grid, walk
from sfumato.errors import ConfigError, RunError
from sfumato.files import write_whole
from sfumato.nets.embedding import LABEL
from sfumato.randomness import SeededNoise
from sfumato.runs.config import Guidance, weights
from sfumato.runs.registry import Spec, complete

if TYPE_CHECKING:
    from sfumato.runs.run import Run
    from sfumato.runs.sampling import Request

GRIDS = "grids.json"
FITTED = "fitted"


class KeptGrid(BaseModel):
    """A fitted grid, and what it was fitted for and on.

    at: its times; trained: the run's optimiser steps when it was fitted; error and default_error: the
    median distance from the ODE's end points, on it and on the run's own grid, over as many `trajectories`
    again as it was fitted on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sampler: Spec
    steps: int
    at: tuple[float, ...]
    guidance: Guidance
    trained: int
    trajectories: int
    seed: int
    error: float
    default_error: float

    @property
    def way(self) -> tuple[Spec, int, Guidance]:
        """The sampler, steps and guidance it is for."""
        return self.sampler, self.steps, self.guidance


_LIST = TypeAdapter(list[KeptGrid])


def kept_grids(folder: Path) -> list[KeptGrid]:
    """Read the grids kept with a run, none where none was fitted; raise RunError if the file is damaged."""
    path = folder / GRIDS
    if not path.exists():
        return []
    try:
        return _LIST.validate_json(path.read_bytes())
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise RunError(f"{path} holds no fitted grids ({reason}): remove it and fit them again.") from error


def keep(folder: Path, grid: KeptGrid) -> None:
    """Add a grid to those of a run, in place of one for the same way of sampling."""
    others = [kept for kept in kept_grids(folder) if kept.way != grid.way]
    rows = [kept.model_dump(mode="json") for kept in [*others, grid]]
    write_whole(folder / GRIDS, (json.dumps(rows, indent=2) + "\n").encode())


def with_fitted_grid(folder: Path, sampling: Mapping[str, Any], trained: int) -> dict[str, Any]:
    """Return sampling settings whose grid, if it is "fitted" and nothing more, is the one kept with the run.

    trained: the run's optimiser steps. Raises ConfigError that names the command, where none was fitted for
    this sampler and number of steps, or the run has not stayed as it was.
    """
    if sampling["grid"] not in (FITTED, {"name": FITTED}):
        return dict(sampling)
    way = complete("sampler", sampling["sampler"]), sampling["steps"], sampling["guidance"]
    named = f"for {way[0]['name']} at {way[1]} steps and guidance {weights(way[2])}"
    command = f"'sfumato fit-grid {folder} {arguments(*way)}'"
    kept = next((grid for grid in kept_grids(folder) if grid.way == way), None)
    if kept is None:
        raise ConfigError(f"{folder} keeps no grid fitted {named}: {command} fits one.")
    if kept.trained != trained:
        raise ConfigError(
            f"the grid that {folder} keeps {named} was fitted when it was trained for {kept.trained:,} "
            f"steps, and now it is for {trained:,}: {command} fits another."
        )
    return {**sampling, "grid": {"name": FITTED, "at": kept.at}}


def arguments(sampler: Spec, steps: int, guidance: Guidance) -> str:
    """Return what to write on the command line for a way of sampling.

    A sampler whose options are not its defaults is the run's own, and is not named.
    """
    named = f"--sampler {sampler['name']} " if sampler == complete("sampler", sampler["name"]) else ""
    return f"{named}--steps {steps} --guidance {weights(guidance, '=').replace(' ', '')}"


def fit_run_grid(
    run: "Run",
    trajectories: int,
    seed: int,
    progress: Progress | None = None,
    budget: int = BUDGET,
    dataset: Dataset | None = None,
    **options: Any,
) -> KeptGrid:
    """Fit a grid for a run, measure it on other starts, and keep it with the run.

    trajectories: how many images, of the seeds from `seed` on, it is fitted on, told what held-out examples
    of the run's data are told; budget: walks that the search may take; dataset: the run's data, read where it
    is needed and not given; options: `sampler`, `steps` and `guidance`, as for `Run.request`. Raises
    ConfigError for a sampler that draws noise.
    """
    if trajectories < 2:
        raise ConfigError(f"a grid is fitted on at least 2 trajectories, not {trajectories}")
    request = run.request(
        2 * trajectories, seed=seed, like=_like(run, dataset), **_without_fitted(run, options)
    )
    settings, guidance, schedule = (
        request.options,
        request.options.guidance,
        run.diffusion.family.denoiser.schedule,
    )
    denoiser = run.diffusion.family.guided(settings)
    x, condition = _starts(run, request, range(trajectories))
    fitted = fit_grid(denoiser, settings.sampler, settings.steps, x, condition, None, budget, progress)
    judged = _starts(run, request, range(trajectories, 2 * trajectories))
    ends = fine_ends(denoiser, *judged)
    errors = [
        _median_error(denoiser, settings.sampler, judged, grid.times(settings.steps, schedule), ends)
        for grid in (fitted, settings.grid)
    ]
    kept = KeptGrid(
        sampler=complete("sampler", options.get("sampler") or run.diffusion.config.sampling.sampler),
        steps=settings.steps,
        at=fitted.at,
        guidance=dict(guidance) if isinstance(guidance, Mapping) else guidance,
        trained=run.done.steps,
        trajectories=trajectories,
        seed=seed,
        error=errors[0],
        default_error=errors[1],
    )
    keep(run.folder, kept)
    return kept


def needs_examples(run: "Run") -> bool:
    """Return whether a run is told more than labels, so that examples have to say what to ask for.

    With nothing asked for, guidance would have nothing to do, and the grid would be that of another walk.
    """
    return bool(set(run.conditions.readers) - {LABEL})


def _like(run: "Run", dataset: Dataset | None) -> Split | None:
    if not needs_examples(run):
        return None
    return (dataset or load_data(run.config.data.source, **run.config.data.reading)).unseen


def _without_fitted(run: "Run", options: Mapping[str, Any]) -> dict[str, Any]:
    """Compare with a grid that goes with any number of steps, should the run's own be a fitted one."""
    fitted = run.diffusion.config.sampling.grid["name"] == FITTED
    return {**options, "grid": "log-snr"} if fitted else dict(options)


def _starts(run: "Run", request: "Request", places: range) -> tuple[Tensor, Condition | None]:
    """Return the pure noise and the condition of the images at `places` of a request."""
    noise = SeededNoise([request.seed + place for place in places])
    x = noise.normal((len(places), *run.config.shape)).to(run.device)
    return x * run.diffusion.family.denoiser.schedule.prior_std, request.conditions(places, run.device)


def _median_error(
    denoiser: Denoiser, sampler: Any, starts: tuple[Tensor, Condition | None], times: Tensor, ends: Tensor
) -> float:
    x, condition = starts
    off = (walk(denoiser, sampler, x, times, condition) - ends).cpu().double().flatten(1)
    return float(torch.median(off.norm(dim=1)))
