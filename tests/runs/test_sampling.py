"""Sampling: an image belongs to its seed, whatever stands beside it."""

import numpy as np
import pytest
import torch

from helpers import exhaust, tiny_training
from sfumato.errors import ConfigError
from sfumato.runs.conditions.build import NOTHING, Wishes
from sfumato.runs.conditions.label import LabelReader
from sfumato.runs.run import CHECKPOINT, Run
from sfumato.train.averaging import WIDTHS
from sfumato.train.checkpoint import load


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "run"
    training = tiny_training(folder, 60, "training.learning_rate=0.003", "sampling.guidance=1")
    training.begin()
    exhaust(training)
    return Run.open(folder)


def _in_batches(run: Run, n: int, size: int) -> np.ndarray:
    request = run.request(n, seed=5, sampler="ancestral", steps=6)
    return np.concatenate([list(run.walk(request, places))[-1].state for places in request.chunks(size)])


@pytest.mark.parametrize(("precision", "levels"), [("fp32", 1), ("bf16", 8)])
def test_the_same_seeds_give_the_same_images_at_any_batch_size(run: Run, precision: str, levels: int) -> None:
    """Bytes differ by rounding alone: kernels may add in another order for another batch size.

    In fp32 that moves a byte only where it stood on the edge between two levels. One bf16 step is 2^-8 of a
    network's output; through six steps it moves a pixel by a few of 255 levels.
    """
    config = run.config.model_copy(update={"precision": precision})
    same = Run(run.folder, config, load(run.folder / CHECKPOINT), run.device)
    whole = _in_batches(same, 64, 64).astype(int)
    for size in (1, 7):
        difference = np.abs(_in_batches(same, 64, size).astype(int) - whole)
        assert difference.max() <= levels
        assert difference.mean() <= 0.02 * levels


def test_twice_in_a_row_is_bitwise_the_same(run: Run) -> None:
    assert np.array_equal(_in_batches(run, 64, 64), _in_batches(run, 64, 64))


def test_seeds_count_up_from_image_to_image(run: Run) -> None:
    many = run.sample(5, labels=[3], seed=10)
    one = run.sample(1, labels=[3], seed=12)
    assert np.abs(many[2].astype(int) - one[0].astype(int)).max() <= 8
    assert not np.array_equal(many[1], many[2])


def test_guidance_off_is_the_conditional_model_bitwise(run: Run) -> None:
    assert np.array_equal(run.sample(8), run.sample(8, guidance=1.0))
    assert not np.array_equal(run.sample(8), run.sample(8, guidance=3.0))


def test_the_condition_matters_and_weight_0_ignores_it(run: Run) -> None:
    assert not np.array_equal(run.sample(4, labels=[0]), run.sample(4, labels=[1]))
    assert np.array_equal(run.sample(4, labels=[0], guidance=0.0), run.sample(4, labels=[1], guidance=0.0))


def test_labels_cycle_and_may_be_named() -> None:
    classes = ("cat", "dog", "7")
    reader = LabelReader(classes)
    assert reader.asked(None, 5).tolist() == [0, 1, 2, 0, 1]
    assert reader.asked(["dog", 0], 3).tolist() == [1, 0, 1]
    assert reader.asked(["7"], 1).tolist() == [2]
    assert NOTHING.asked(Wishes(), 5) is None


@pytest.mark.parametrize("label", ["bird", 3, -1])
def test_a_label_that_does_not_exist_is_refused(label: str | int) -> None:
    with pytest.raises(ConfigError, match=r"no class.*'cat', 'dog', '7'.*0 to 2"):
        LabelReader(("cat", "dog", "7")).asked([label], 1)


def test_a_label_that_is_nearly_one_is_told_the_nearest_names() -> None:
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    for label, near in (
        ("Cat", "'cat'"),
        ("cats", "'cat'"),
        ("fog", "'dog' or 'frog'|'frog' or 'dog'"),
        ("DER", "'deer'"),
    ):
        with pytest.raises(ConfigError, match=f"no class '{label}': did you mean ({near})"):
            LabelReader(classes).asked([label], 1)
    with pytest.raises(ConfigError, match="none of 'airplane', 'automobile', 'bird' and 7 more"):
        LabelReader(classes).asked(["xyz"], 1)


def test_frames_lead_from_noise_to_the_sample(run: Run) -> None:
    request = run.request(4, steps=6)
    chunks = list(run.walk(request, range(4)))
    assert [chunk.moment.index for chunk in chunks] == list(range(7))
    assert chunks[-1].moment.evaluations == 6
    assert chunks[-1].finished
    assert np.array_equal(chunks[-1].state, run.sample(4, steps=6))
    # Pure noise, shown at the data's size, has the spread of a standard normal clipped to [-1, 1].
    assert float(chunks[0].state.std()) > 60


def test_guided_evaluations_count_twice(run: Run) -> None:
    request = run.request(2, steps=5, guidance=2.0)
    assert list(run.walk(request, range(2)))[-1].moment.evaluations == 10


def test_opened_weights_are_the_chosen_average_or_the_one_asked_for(run: Run) -> None:
    checkpoint = load(run.folder / "checkpoint.safetensors")
    assert run.average == checkpoint.state["average"]
    for name in WIDTHS:
        opened = run if name == run.average else Run.open(run.folder, run.device, average=name)
        stem = opened.family.module.stem.weight.cpu()  # type: ignore[union-attr, operator]
        assert torch.equal(stem, checkpoint.tensors[f"denoiser.average.{name}.stem.weight"])
    with pytest.raises(ConfigError, match=r"no average is called 'sharp'.*long, middle, short, best"):
        Run.open(run.folder, run.device, average="sharp")
