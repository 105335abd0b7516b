"""The pieces that the docs build run as they stand there, are as short as promised, and are right."""

import importlib
import math
import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch
from PIL import Image

from sfumato.data import load_data
from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.level import Level
from sfumato.diffusion.prediction import check, solve
from sfumato.diffusion.process import corrupt
from sfumato.diffusion.samplers import sample_frames
from sfumato.diffusion.schedules import CosineVP, LinearVP
from sfumato.errors import ConfigError
from sfumato.families.agreements import Batch, DataFacts
from sfumato.nets.causal.transformer import CausalTransformer
from sfumato.nets.causal.vocabulary import Names
from sfumato.recipes import RECIPES
from sfumato.runs.registry import PIECES, register

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "extending.md").read_text()
IMPORTS, SCHEDULE, PREDICTION, SAMPLER, USE, PROGRAM, FAMILY, USE_FAMILY, ORDER, USE_ORDER = re.findall(
    r"```python\n(.*?)```", TEXT, flags=re.S
)


@pytest.fixture(scope="module")
def names() -> dict:
    found: dict = {"__name__": "docs"}
    for block in (IMPORTS, SCHEDULE, PREDICTION, SAMPLER):
        # No `from __future__` is inherited: the blocks run as a reader's file would.
        exec(compile(block, "extending.md", "exec", dont_inherit=True), found)
    return found


@pytest.mark.parametrize(
    ("block", "most"), [(SCHEDULE, 8), (PREDICTION, 5), (SAMPLER, 15), (FAMILY, 60), (ORDER, 70)]
)
def test_pieces_are_as_short_as_promised(block: str, most: int) -> None:
    assert len([line for line in block.splitlines() if line.strip()]) <= most


def test_the_schedule_has_the_rate_it_says(names: dict) -> None:
    schedule, t = names["Late"](), torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    level = schedule.level(t)
    assert isinstance(level, Level)
    beta = -2 * level.d_alpha / level.alpha
    torch.testing.assert_close(beta, 30 * t**2)
    torch.testing.assert_close(level.alpha**2 + level.sigma**2, torch.ones_like(t))
    # The slope of alpha against a difference quotient, whose error is of the order of 1e-10.
    slope = (schedule.level(t + 1e-5).alpha - schedule.level(t - 1e-5).alpha) / 2e-5
    torch.testing.assert_close(level.d_alpha, slope, rtol=1e-7, atol=1e-9)


def test_the_prediction_determines_both_even_without_signal(names: dict) -> None:
    schedule, prediction = CosineVP(), names["Difference"]()
    check(prediction, schedule)
    generator = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(5, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    t = torch.linspace(0.01, 1, 5, dtype=torch.float64)
    level = schedule.level(t)
    estimate = solve(prediction.row(level), level, corrupt(schedule, x0, eps, t), x0 - eps)
    torch.testing.assert_close(estimate.x0, x0)
    torch.testing.assert_close(estimate.eps, eps)


def test_the_sampler_is_of_order_2(names: dict) -> None:
    variance, schedule = 0.3, LinearVP()
    denoiser = ExactDenoiser(gaussian(torch.zeros(1), torch.tensor([[variance]])), schedule)
    x = torch.tensor([[1.3]], dtype=torch.float64)

    def error(steps: int) -> float:
        times = torch.linspace(0.9, 0.15, steps + 1, dtype=torch.float64)
        *_, last = sample_frames(denoiser, names["Midpoint"](), x, times, noise=None)  # type: ignore[arg-type]
        assert last.evaluations == 2 * steps
        ends = schedule.level(times[[0, -1]])
        spread = (ends.alpha**2 * variance + ends.sigma**2).sqrt()
        return float((last.x - x * spread[1] / spread[0]).abs())

    assert math.log2(error(100) / error(200)) == pytest.approx(2, abs=0.15)


def test_a_run_can_be_made_of_them(names: dict, tmp_path: Path) -> None:
    assert '"20s"' in USE
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        exec(compile(USE.replace('"20s"', '"5steps"'), "extending.md", "exec", dont_inherit=True), names)
        assert names["points"].shape == (100, 2)
        assert names["run"].family.denoiser.schedule == names["Late"](25.0)
    finally:
        os.chdir(before)
        for kind, name in (("schedule", "late"), ("prediction", "difference"), ("sampler", "midpoint")):
            PIECES[kind].pop(name, None)


def test_a_file_that_registers_them_is_the_command_line_with_them(tmp_path: Path) -> None:
    registered = re.findall(r"^(?:import sfumato|sfumato\.register.*)$", USE, flags=re.M)
    assert len(registered) == 4
    blocks = (IMPORTS, SCHEDULE, PREDICTION, SAMPLER, "\n".join(registered), PROGRAM)
    (tmp_path / "mine.py").write_text("\n".join(blocks))
    for line in (
        "mine.py train moons --recipe flow --set schedule=late --budget 2steps --out late",
        "mine.py sample late -n 20 --sampler midpoint --out points.png",
    ):
        subprocess.run([sys.executable, *line.split()], cwd=tmp_path, check=True, capture_output=True)
    with Image.open(tmp_path / "points.png") as picture:
        assert min(picture.size) > 100


def test_the_family_learns_by_the_ordinary_commands(tmp_path: Path) -> None:
    found: dict = {"__name__": "docs"}
    exec(compile(FAMILY, "extending.md", "exec", dont_inherit=True), found)
    assert '"20s"' in USE_FAMILY
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        exec(
            compile(USE_FAMILY.replace('"20s"', '"300steps"'), "extending.md", "exec", dont_inherit=True),
            found,
        )
        points, moons = (
            torch.from_numpy(found["points"]),
            load_data("moons").train.store.take(torch.arange(1000)),
        )
        losses = [
            row["held_out_loss_average"] for row in found["run"].history if "held_out_loss_average" in row
        ]
    finally:
        os.chdir(before)
        PIECES["family"].pop("moment-matching", None)
    assert points.shape == (1000, 2)
    assert losses[-1] < 0.1 * losses[0]
    # Mean and spread of two half circles; over 1,000 points chance alone moves them by about 0.03.
    torch.testing.assert_close(points.mean(0), moons.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(points.std(0), moons.std(0), atol=0.1, rtol=0)


def test_the_kernel_mean_distance_of_a_set_to_itself_is_nothing() -> None:
    found: dict = {"__name__": "docs"}
    exec(compile(FAMILY, "extending.md", "exec", dont_inherit=True), found)
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    family = found["MomentMatcher"](torch.nn.Identity(), 3)
    # Rounding of distances whose square is near 0 is about 1e-3 in float32, and kernels of 0.1 feel it.
    assert abs(float(family.loss(Batch(x, None), {"z": x}).mean())) < 1e-4


@pytest.fixture(scope="module")
def snake() -> dict:
    found: dict = {"__name__": "docs"}
    exec(compile(ORDER, "extending.md", "exec", dont_inherit=True), found)
    return found


def test_the_snake_is_shown_what_lies_beside_and_above_and_knows_nothing_later(snake: dict) -> None:
    order = snake["Snake"](3, 4)
    assert order.path.tolist() == [0, 1, 2, 3, 7, 6, 5, 4, 8, 9, 10, 11]
    assert order.coordinates[5].tolist() == [1, 2]
    one_each = torch.eye(12).expand(2, -1, -1)
    shown = order.shown(torch.arange(12)[None], one_each, slice(0, 12))[0]
    assert shown[0].abs().sum() == 0
    assert shown[5].nonzero().flatten().tolist() == [2, 4]  # the steps at raster places 2 and 7
    assert shown[4].tolist() == (2 * torch.eye(12)[3]).tolist()  # at the turn both are one
    upper = torch.zeros(1, 6, 8, dtype=torch.bool)
    upper[:, :4] = True
    assert order.covered(upper).tolist() == [1] * 8 + [0] * 4
    network = CausalTransformer(order, Names(12), 16, 2, {}).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    logits = network(torch.arange(12)[None], None)[0]
    for place in range(12):
        # Every token is another one, so row j of a table is the token of step j.
        (found,) = torch.autograd.grad(logits[place].square().sum(), [network.tables], retain_graph=True)
        reached = found.abs().sum((0, 2)) > 0
        assert reached.tolist() == [step < place for step in range(12)]


def test_the_snake_writes_pictures_along_its_path_and_knows_their_likelihood(snake: dict) -> None:
    facts = DataFacts((1, 2, 3), bounds=(-1.0, 1.0))
    model = snake["NextAlongSnake"](width=16, layers=1, levels=2).build(facts)
    everything = torch.tensor(list(product([-1.0, 1.0], repeat=6))).view(-1, 1, 2, 3)
    tokens = model.letters.read(everything)
    assert torch.equal(model.letters.write(tokens), everything)
    assert torch.equal(tokens[:, 3], (everything[:, 0, 1, 2] > 0).long())  # the row's end, then back
    with torch.no_grad():
        # The probabilities of all pictures, in float32 but summed in float64.
        assert float(model.log_prob(everything, None).exp().sum()) == pytest.approx(1, abs=1e-6)


def test_the_snake_is_trained_and_sampled_as_others_are(snake: dict, tmp_path: Path) -> None:
    assert '"60s"' in USE_ORDER
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        exec(
            compile(USE_ORDER.replace('"60s"', '"5steps"'), "extending.md", "exec", dont_inherit=True), snake
        )
    finally:
        os.chdir(before)
        PIECES["family"].pop("snake", None)
    assert snake["images"].shape == (20, 1, 8, 8)
    assert len({image.tobytes() for image in snake["images"]}) == 20


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ConfigError, match="already"):
        register("schedule", "cosine", LinearVP)
    with pytest.raises(ConfigError, match="Unknown kind"):
        register("shedule", "mine", LinearVP)


LECTURES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (DOCS / "lectures.md").read_text().splitlines()
    if re.match(r"\| [A-Z]\d", line)
]
OF_DIFFUSION = ("N6789", "R45678", "A567", "H345678", "D12345678")
BEFORE_DIFFUSION = ("N12345", "R12", "A1234", "H123")
FROM_WORDS = {"R9", "A8", "R10", "R11", "R12", "H10"}
PIECE_BY_PIECE = {"R3", "H9"}
ROWS = {letter + n for letter, *ns in (*BEFORE_DIFFUSION, *OF_DIFFUSION) for n in ns}
ROWS |= FROM_WORDS | PIECE_BY_PIECE


def test_every_row_of_the_lectures_is_there() -> None:
    assert {row for line in LECTURES for row in line[0].split(", ")} == ROWS


@pytest.mark.parametrize("line", LECTURES, ids=lambda line: f"{line[0]}: {line[1]}")
def test_every_name_of_the_lectures_page_is_real(line: list[str]) -> None:
    for recipe in re.findall(r"`([^`]+)`", line[2]):
        assert recipe in RECIPES or recipe.startswith("sfumato ")
    functions = re.findall(r"`([^`]+)`", line[3])
    assert functions
    for function in functions:
        module, name = function.split(":")
        assert hasattr(importlib.import_module(f"sfumato.{module}"), name)
    file, test = re.findall(r"`([^`]+)`", line[4])[0].split("::")
    assert f"def {test}(" in (DOCS.parent / "tests" / file).read_text()


WORDS = (DOCS / "words.md").read_text()


@pytest.mark.parametrize("line", re.findall(r"^\| .*::.*\|$", WORDS, re.MULTILINE))
def test_every_formula_of_the_page_on_words_has_its_code_and_its_test(line: str) -> None:
    for name in re.findall(r"`([^`]+)`", line):
        if "::" in name:
            file, test = name.split("::")
            assert f"def {test}(" in (DOCS.parent / "tests" / file).read_text()
        else:
            module, piece = name.split(":")
            assert hasattr(importlib.import_module(f"sfumato.{module}"), piece)
