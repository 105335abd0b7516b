"""Principal components of codes: what they are, what they lose, and a run that sees them alone."""

from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from helpers import digits
from sfumato.data.scaling import Standardise
from sfumato.errors import RunError
from sfumato.recipes import configure
from sfumato.runs.fitting import begin_training
from sfumato.runs.latent import latent_config
from sfumato.runs.principal import AXES, HELD, Principal, open_principal, principal
from sfumato.runs.run import Run
from sfumato.train.budget import Budget
from sfumato.train.signals import StopRequest


def vectors() -> Tensor:
    """A thousand vectors of nine numbers whose deviations fall by half in turned directions."""
    draw = torch.Generator().manual_seed(0)
    turned, _ = torch.linalg.qr(torch.randn(9, 9, generator=draw, dtype=torch.float64))
    spread = 2.0 ** -torch.arange(9, dtype=torch.float64)
    return 3 + (torch.randn(1000, 9, generator=draw, dtype=torch.float64) * spread) @ turned.T


def test_the_components_are_those_of_scikit_learn() -> None:
    z = vectors()
    found = principal(z)
    theirs = PCA(n_components=HELD).fit(z.numpy())
    assert found.axes.shape == theirs.components_.shape == (4, 9)  # 1 − 4⁻⁴ is the first above 0.99
    # Directions have no sign; float32 holds seven digits.
    agree = (found.axes.double().numpy() * theirs.components_).sum(1)
    np.testing.assert_allclose(np.abs(agree), 1, atol=1e-6)
    np.testing.assert_allclose(found.std**2 * 1000 / 999, theirs.explained_variance_, rtol=1e-5)


def test_what_a_model_sees_has_deviation_one_and_goes_back_to_all_but_a_hundredth() -> None:
    z = vectors().float()
    found = principal(z)
    y = found.to_model(z)
    torch.testing.assert_close(y.T @ y / len(y), torch.eye(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.to_model(found.to_data(y)), y, atol=1e-4, rtol=0)
    lost = (found.to_data(y) - z).square().sum() / (z - z.mean(0)).square().sum()
    assert 0 < lost <= 1 - HELD


def test_codes_that_never_vary_have_one_component() -> None:
    z = torch.full((10, 3), 2.0)
    found = principal(z)
    assert len(found.std) == 1
    torch.testing.assert_close(found.to_data(found.to_model(z)), z)


def test_few_examples_have_fewer_components_than_numbers() -> None:
    z = vectors()[:3]
    found = principal(z)
    assert len(found.std) <= 2  # three points lie in a plane
    torch.testing.assert_close(principal(z, 1).axes, found.axes[:1])


def test_channels_of_maps_are_standardised_each_by_itself() -> None:
    spread = Standardise((1.0, -2.0), (2.0, 4.0))
    z = torch.tensor([[[3.0, 1.0], [2.0, -2.0]]])  # (1, 2, 2)
    torch.testing.assert_close(spread.to_model(z), torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]))
    torch.testing.assert_close(spread.to_data(spread.to_model(z)), z)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A model of the components of the digits' linear codes."""
    place = tmp_path_factory.mktemp("principal")
    data, budget = digits(), Budget("steps", 5)
    wide = configure(data, "linear-autoencoder", settings=("family.latent=40",))
    home = begin_training(wide, data, place / "home", budget)
    deque(home.events(StopRequest()), maxlen=0)
    encoder = Run.open(place / "home")
    config = configure(
        data, "next-number", settings=("family.width=16",), latent=latent_config(encoder, data)
    )
    training = begin_training(config, data, place / "run", budget, encoder)
    deque(training.events(StopRequest()), maxlen=0)
    return Run.open(place / "run")


def test_a_run_sees_components_and_samples_pictures(run: Run) -> None:
    assert run.config.latent is not None
    components = run.config.latent.components
    assert run.config.shape == (components,)
    assert 0 < components < run.config.latent.shape[0]
    kept = open_principal(run.folder, (components, 40))
    assert isinstance(kept, Principal)
    assert len(kept.std) == components
    assert run.sample(2).shape == (2, 1, 8, 8)


def test_a_run_without_its_axes_says_so(run: Run) -> None:
    path: Path = run.folder / AXES
    held = path.read_bytes()
    path.unlink()
    with pytest.raises(RunError, match=rf"{AXES} is missing"):
        Run.open(run.folder)
    principal(vectors()).save(run.folder)
    with pytest.raises(RunError, match="not this run's"):
        Run.open(run.folder)
    path.write_bytes(held)
