"""Every piece of `sfumato.diffusion`, in one place: each law runs over all of its kind.

`test_pieces` fails when a public class of these kinds is missing here.
"""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Clipped, Denoiser, NetworkDenoiser
from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.grids import Grid, LogSNRGrid, RhoGrid, UniformGrid
from sfumato.diffusion.guidance import ClassifierFree
from sfumato.diffusion.prediction import EDM, Data, Noise, Prediction, Score, V, Velocity
from sfumato.diffusion.samplers import (
    DPMSolverPP2M,
    Euler,
    Heun,
    KappaRule,
    Posterior,
    Renoise,
    Sampler,
    Stochastic,
)
from sfumato.diffusion.schedules import (
    Betas,
    ConstantAlpha,
    CosineVP,
    GeometricVE,
    LinearBetas,
    LinearVE,
    LinearVP,
    NoiseSteps,
    RectifiedFlow,
    Schedule,
    cosine_betas,
)
from sfumato.diffusion.times import LogitNormal, LogNormal, TimeDensity, Uniform
from sfumato.diffusion.weighting import InData, InEDM, InNoise, InV, InVelocity, MinSNR, Sigmoid, Weighting

STEP_BETAS = (0.05, 0.1, 0.2, 0.15, 0.3, 0.25, 0.4, 0.35, 0.5, 0.45)
STEP_SIGMAS = (0.1, 0.3, 0.2, 0.5, 0.8, 0.6, 1.5, 2.0, 1.0, 4.0)

# Lists of steps have 10, 20 or 50 of them, so that a multiple of 0.1 is the end of a step in all of them.
SCHEDULES: dict[str, Schedule] = {
    "linear_vp": LinearVP(),
    "cosine_vp": CosineVP(),
    "betas": Betas(STEP_BETAS),
    "cosine_betas": cosine_betas(20),
    "linear_betas": LinearBetas(50),
    "constant_alpha": ConstantAlpha(0.9, 50),
    "geometric_ve": GeometricVE(),
    "linear_ve": LinearVE(),
    "noise_steps": NoiseSteps(STEP_SIGMAS),
    "rectified_flow": RectifiedFlow(),
}
VARIANCE_PRESERVING = ("linear_vp", "cosine_vp", "betas", "cosine_betas", "linear_betas", "constant_alpha")
SMOOTH = ("linear_vp", "cosine_vp", "constant_alpha", "geometric_ve", "linear_ve", "rectified_flow")
NO_SIGNAL_AT_ONE = ("cosine_vp", "rectified_flow")

PREDICTIONS: dict[str, Prediction] = {
    "noise": Noise(),
    "data": Data(),
    "score": Score(),
    "v": V(),
    "velocity": Velocity(),
    "edm": EDM(0.7),
}
# At alpha = 0 the noise alone says nothing about the picture.
REFUSED = tuple(product(NO_SIGNAL_AT_ONE, ("noise", "score")))
PAIRS = [pair for pair in product(SCHEDULES, PREDICTIONS) if pair not in REFUSED]

WEIGHTINGS: dict[str, Weighting] = {
    "in_noise": InNoise(),
    "in_data": InData(),
    "in_v": InV(),
    "in_velocity": InVelocity(),
    "min_snr": MinSNR(),
    "in_edm": InEDM(0.7),
    "sigmoid": Sigmoid(-1.0),
}
DENSITIES: dict[str, TimeDensity] = {
    "uniform": Uniform(),
    "log_normal": LogNormal(),
    "logit_normal": LogitNormal(),
}
GRIDS: dict[str, Grid] = {"uniform": UniformGrid(), "log_snr": LogSNRGrid(), "rho": RhoGrid()}
RULES: dict[str, KappaRule] = {
    "ddim": Posterior(0.0),
    "half": Posterior(0.5),
    "ddpm": Posterior(1.0),
    "renoise": Renoise(),
}
SAMPLERS: dict[str, Sampler] = {
    "ddim": Stochastic(Posterior(0.0)),
    "ddpm": Stochastic(Posterior(1.0)),
    "renoise": Stochastic(Renoise()),
    "euler": Euler(),
    "heun": Heun(),
    "dpm_solver_pp_2m": DPMSolverPP2M(),
}


def halve_or_third(x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
    """A network that depends on all it is given, for laws that hold for any network."""
    shown = 0.0 if condition is None else (~condition.dropped).to(x)[:, None]
    return 0.5 * x + 0.1 * level[:, None] + 0.3 * shown * x


def _network(schedule: Schedule) -> NetworkDenoiser:
    return NetworkDenoiser(halve_or_third, schedule, V())


DENOISERS: dict[str, Callable[[Schedule], Denoiser]] = {
    "network": _network,
    "clipped": lambda schedule: Clipped(_network(schedule), (-0.2, 0.2)),
    "exact": lambda schedule: ExactDenoiser(gaussian(torch.ones(2), torch.eye(2)), schedule),
    "classifier_free": lambda schedule: ClassifierFree(_network(schedule), 3.0),
}

KINDS: dict[str, dict] = {
    "level": SCHEDULES,
    "row": PREDICTIONS,
    "weight": WEIGHTINGS,
    "draw": DENSITIES,
    "times": GRIDS,
    "coefficients": RULES,
    "step": SAMPLERS,
}
"""The method that makes a class a piece of its kind, and the pieces."""
