"""`sfumato filters`: the picture it draws and what it says."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import call
from sfumato.app.filters import named_filters, sheet
from sfumato.app.pictures.grids import CAPTION, GUTTER


def test_every_filter_is_learned_back_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("filters", "digits", "--out", tmp_path / "f.png") == 0
    errors = [
        float(error) for error in re.findall(r"learned from 200 pairs to (\S+)", capsys.readouterr().out)
    ]
    assert len(errors) == len(named_filters())
    assert max(errors) < 1e-3
    assert Image.open(tmp_path / "f.png").size[0] > 500


def test_true_and_learned_weights_stand_side_by_side() -> None:
    """Rows of equal kernels are drawn alike, and another kernel otherwise."""
    kernels = named_filters()
    x = torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def weights(learned: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
        drawn = np.asarray(sheet(x, kernels, learned))
        row = 112 + GUTTER + CAPTION + GUTTER  # cells of 112 pixels
        return drawn[-2 * row :][:112], drawn[-row:][:112]  # without the words

    true, learned = weights(kernels)
    assert np.array_equal(true, learned)
    true, learned = weights({**kernels, "Sobel x": -kernels["Sobel x"]})
    assert not np.array_equal(true, learned)


def test_vectors_have_no_filters(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("filters", "moons") == 2
    assert "filters slide over pictures" in capsys.readouterr().err
