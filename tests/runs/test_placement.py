"""On an accelerator nothing of a step may mix what lies there with what lies on the host, nor wait for it.

Torch's "meta" device holds shapes but no numbers: a sum, product or choice that mixes it with the host's
tensors, single numbers apart, is refused as on any accelerator, and reading a number from it, for which the
host would have to wait, is an error. So the laws hold here on machines that have no accelerator.
"""

import pytest
import torch
from torch import Tensor

from helpers import TINY, digits
from sfumato.condition import Condition
from sfumato.diffusion.objective import DenoisingLoss
from sfumato.diffusion.samplers import sample_frames
from sfumato.families.agreements import Batch, Trainable
from sfumato.families.diffusion import Diffusion
from sfumato.families.distillation import Distillation
from sfumato.randomness import SeededNoise, generator
from sfumato.recipes import RECIPES, configure
from sfumato.runs.build import build_context, build_diffusion, build_sampling
from sfumato.runs.config import RunConfig
from sfumato.runs.registry import PIECES
from sfumato.train.muon import Muon

META = torch.device("meta")
ROWS, SHAPE = 4, (1, 8, 8)
FITTING = {"ancestral-learned": "hybrid", "langevin": "ncsn"}
"""The recipes for samplers that do not go with rectified flow."""
ELSEWHERE = {"points", "prior", "upsampler"}
"""Recipes that are not for digits."""
WAITING = {"adaptive-ode"}
"""Samplers that must read numbers to know what to do next."""


def built(recipe: str, *settings: str) -> tuple[RunConfig, Diffusion]:
    config = configure(digits(), recipe, settings=(*TINY, *settings))
    family = build_diffusion(config)
    family.module.to(META)
    return config, family


def labels() -> Condition:
    return Condition.of(label=torch.arange(ROWS)).to(META)


def losses(family: Trainable) -> list[Tensor]:
    draws = family.draw(ROWS, SHAPE, generator(0, "placement"))
    batch = Batch(torch.empty(ROWS, *SHAPE, device=META), labels())
    moved = {name: value.to(META) for name, value in draws.items()}
    return [player.loss(batch, moved) for player in family.players()]


def test_meta_refuses_what_an_accelerator_would() -> None:
    there, here = torch.empty(3, device=META), torch.zeros(3)
    with pytest.raises(RuntimeError):
        there + here
    with pytest.raises(RuntimeError):
        torch.where(there > 0, there, here)
    with pytest.raises(RuntimeError):
        float(there[0])


@pytest.mark.parametrize("recipe", sorted(RECIPES.keys() - PIECES["family"].keys() - ELSEWHERE))
def test_every_recipe_learns_and_samples_on_its_device(recipe: str) -> None:
    config, family = built(recipe, "sampling.steps=4")
    (loss,) = losses(family)
    assert (loss.device, loss.shape) == (META, (ROWS,))
    loss.sum().backward()
    gradients = [parameter.grad for parameter in family.module.parameters()]
    assert {gradient.device for gradient in gradients if gradient is not None} == {META}
    options, noise = build_sampling(config, family), SeededNoise(range(ROWS))
    with torch.no_grad():
        *_, last = family.frames((ROWS, *SHAPE), noise, labels(), options)
        assert last.state.device == META


@torch.no_grad()
@pytest.mark.parametrize("sampler", sorted(PIECES["sampler"].keys() - WAITING))
def test_every_sampler_walks_on_its_device(sampler: str) -> None:
    config, family = built(FITTING.get(sampler, "flow"), f"sampling.sampler={sampler}", "sampling.steps=4")
    options = build_sampling(config, family)
    x = torch.empty(ROWS, *SHAPE, device=META)
    times = options.grid.times(options.steps, family.denoiser.schedule)
    noise = SeededNoise(range(ROWS))
    for frame in sample_frames(family.guided(options), options.sampler, x, times, noise, labels()):
        assert (frame.x.device, frame.x.dtype) == (META, torch.float32)
        assert frame.x0.device == META


@pytest.mark.parametrize("at", [(1.0,), (1.0, 0.5, 0.2)])
def test_a_distillation_is_played_on_its_device(at: tuple[float, ...]) -> None:
    (config, student), (_, critic), (_, teacher) = (built("images") for _ in range(3))
    objective = DenoisingLoss(build_context(config)["weighting"])
    for loss in losses(Distillation(student, critic, teacher, objective, at, guidance=2.0)):
        assert (loss.device, loss.shape) == (META, (ROWS,))
        loss.sum().backward()


def test_muon_takes_its_step_on_its_device() -> None:
    _, family = built("images")
    matrices, _ = Muon().build(family.module)
    for parameter in family.module.parameters():
        parameter.grad = torch.empty_like(parameter)
    matrices.step()
    assert {state["momentum"].device for state in matrices.state.values()} == {META}
