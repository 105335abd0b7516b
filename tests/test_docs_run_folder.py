"""The page about the run folder lists every setting there is, and no other."""

import re
from pathlib import Path
from typing import get_args

from sfumato.data import load_data
from sfumato.recipes import configure
from sfumato.runs.config import MEASURED_KEYS, RunConfig, TrainingConfig
from sfumato.runs.networks import MLPShape, UNetShape
from sfumato.runs.registry import PIECES

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/run-folder.md").read_text()
ROWS = [
    [re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:3]]
    for line in TEXT.partition("| key |")[2].splitlines()
    if line.startswith("| `")
]
CHOICES = {key: choices for keys, choices in ROWS for key in keys}
IN_README = (
    *("schedule", "prediction", "objective", "weighting", "times", "optimiser"),
    *("sampling.sampler", "sampling.grid"),
)


def digits() -> RunConfig:
    return configure(load_data("digits"), "images")


def leaves() -> set[str]:
    """Return the keys of a configuration that can be set, a piece's own name standing for its options."""
    tree = digits().model_dump(mode="json")
    own = {key for key in tree if key not in (*MEASURED_KEYS, "sampling", "training", "network")}
    inner = {f"{part}.{key}" for part in ("sampling", "training") for key in tree[part]}
    networks = {f"network.{name}" for shape in (UNetShape, MLPShape) for name in shape.__dataclass_fields__}
    # How data are scaled and what a model is told follow from the data; a seed has an option of its own.
    return own - {"scaling", "conditions", "seed"} | inner | networks | {"network"}


def test_every_setting_is_listed_and_no_other() -> None:
    assert set(CHOICES) | set(IN_README) == leaves() | {"family.…"}


def test_every_choice_is_listed() -> None:
    for key in ("network", "view", "variance", "sampling.threshold"):
        assert set(CHOICES[key]) == set(PIECES[key.removeprefix("sampling.")])
    assert CHOICES["precision"] == list(get_args(RunConfig.model_fields["precision"].annotation))
    assert CHOICES["training.compile"] == list(get_args(TrainingConfig.model_fields["compile"].annotation))


def test_its_example_can_be_set() -> None:
    settings = re.findall(r"--set '?([^ ']+)'?", TEXT.partition("```sh")[2].partition("```")[0])
    assert len(settings) == 4
    changed = digits().with_settings(settings).model_dump(mode="json")
    assert changed["network"]["widths"] == [32, 64]
    assert changed["schedule"]["offset"] == 0.01


def test_a_run_s_files_are_listed() -> None:
    """As `runs.run` lists them."""
    import sfumato.runs.run as module

    assert set(re.findall(r"^RUN/(\S+)", module.__doc__ or "", flags=re.M)) <= set(
        re.findall(r"`([^`]+)`", TEXT.partition("Several models")[0])
    )
