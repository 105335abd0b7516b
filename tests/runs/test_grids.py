"""Fitted grids are kept with the run, found again by sampler and steps, and named where they are missing."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from helpers import exhaust, tiny_training
from sfumato.diffusion.grids import FittedGrid
from sfumato.errors import ConfigError, RunError
from sfumato.runs.grids import GRIDS, KeptGrid, fit_run_grid, keep, kept_grids
from sfumato.runs.registry import complete
from sfumato.runs.run import Run

UNIPC = complete("sampler", "unipc")


TRAINED = 20


def grid_of(steps: int, sampler: dict | None = None, error: float = 0.1) -> KeptGrid:
    at = tuple(torch.linspace(1, 0, steps + 1).tolist())
    return KeptGrid(
        sampler=sampler or UNIPC,
        steps=steps,
        at=at,
        guidance=1.0,
        trained=TRAINED,
        trajectories=4,
        seed=0,
        error=error,
        default_error=0.2,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    training = tiny_training(path, TRAINED)
    training.begin()
    exhaust(training)
    return path


@pytest.fixture
def run(folder: Path) -> Run:
    (folder / GRIDS).unlink(missing_ok=True)
    return Run.open(folder, "cpu")


def test_what_is_kept_is_read_again_and_replaced_by_a_later_fit(tmp_path: Path) -> None:
    assert kept_grids(tmp_path) == []
    first, other, later = grid_of(4), grid_of(4, complete("sampler", "heun")), grid_of(4, error=0.05)
    for grid in (first, other, later):
        keep(tmp_path, grid)
    assert kept_grids(tmp_path) == [other, later]


@pytest.mark.parametrize("text", ["{", "[1]", '[{"steps": 3}]'])
def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / GRIDS).write_text(text)
    with pytest.raises(RunError, match="remove it and fit them again"):
        kept_grids(tmp_path)


def test_a_fitted_grid_is_measured_kept_and_used(run: Run) -> None:
    told: list[tuple[int, int]] = []
    kept = fit_run_grid(
        run, 4, 100, lambda *seen: told.append(seen), 30, sampler="dpm++2m", steps=4, guidance=1
    )
    assert kept_grids(run.folder) == [kept]
    assert told[-1][0] == told[-1][1]
    assert 0 < kept.error < kept.default_error
    wish = {"sampler": "dpm++2m", "steps": 4, "grid": "fitted"}
    assert run.request(2, **wish, guidance=1.0).options.grid == FittedGrid(kept.at)
    assert run.sample(2, **wish, guidance=1.0).shape == (2, 1, 8, 8)
    # Another weight of guidance is another model to walk by.
    with pytest.raises(ConfigError, match=r"guidance 1\.5"):
        run.request(2, **wish, guidance=1.5)


def test_a_sampler_with_options_of_its_own_has_grids_of_its_own(run: Run) -> None:
    keep(run.folder, grid_of(5, complete("sampler", {"name": "unipc", "order": 1})))
    wanted = {"name": "unipc", "order": 1}
    assert run.request(1, sampler=wanted, steps=5, grid="fitted").options.grid == FittedGrid(grid_of(5).at)
    with pytest.raises(ConfigError, match="no grid fitted for unipc at 5 steps"):
        run.request(1, sampler="unipc", steps=5, grid="fitted")


@pytest.mark.parametrize(("sampler", "steps"), [("heun", 4), ("unipc", 7)])
def test_a_grid_that_was_not_fitted_names_the_command(run: Run, sampler: str, steps: int) -> None:
    keep(run.folder, grid_of(4))
    command = rf"'sfumato fit-grid \S+ --sampler {sampler} --steps {steps} --guidance 1'"
    with pytest.raises(ConfigError, match=command):
        run.request(1, sampler=sampler, steps=steps, grid="fitted")


def test_a_grid_of_before_the_run_was_trained_further_is_refused(run: Run, tmp_path: Path) -> None:
    keep(run.folder, grid_of(4))
    further = tmp_path / "further"
    shutil.copytree(run.folder, further)
    wish = {"sampler": "unipc", "steps": 4, "grid": "fitted"}
    assert Run.open(further, "cpu").request(1, **wish).options.grid == FittedGrid(grid_of(4).at)
    training = tiny_training(further, TRAINED + 2)
    training.resume()
    exhaust(training)
    resumed, command = Run.open(further, "cpu"), r"'sfumato fit-grid \S+ --sampler unipc --steps 4"
    with pytest.raises(ConfigError, match=f"trained for 20 steps, and now it is for 22: {command}"):
        resumed.request(1, **wish)
    again = fit_run_grid(resumed, 2, 0, None, 3, sampler="unipc", steps=4)
    assert kept_grids(further) == [again]
    assert resumed.request(1, **wish).options.grid == FittedGrid(again.at)


def test_a_sampler_that_draws_noise_gets_no_grid(run: Run) -> None:
    with pytest.raises(ConfigError, match="draws noise"):
        fit_run_grid(run, 2, 0, sampler="ancestral", steps=3)
    assert not (run.folder / GRIDS).exists()


def test_one_trajectory_is_too_few(run: Run) -> None:
    with pytest.raises(ConfigError, match="at least 2 trajectories"):
        fit_run_grid(run, 1, 0, steps=3)


def test_a_configuration_can_hold_a_fitted_grid(run: Run) -> None:
    at = [1.0, 0.5, 0.2, 0.0]
    config = run.config.with_settings([f"sampling.grid={json.dumps({'name': 'fitted', 'at': at})}"])
    assert config.sampling.grid == {"name": "fitted", "at": tuple(at)}
    assert type(config).model_validate_json(config.to_json()) == config
