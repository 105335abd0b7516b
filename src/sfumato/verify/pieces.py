"""Every piece of `sfumato.diffusion`, in one place: each law runs over all of its kind.

A test fails when a public class of these kinds is missing here.
"""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import Denoiser, NetworkDenoiser
from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.grids import (
    FittedGrid,
    Grid,
    LeadingGrid,
    LinspacedGrid,
    LogSNRGrid,
    QuadraticGrid,
    RhoGrid,
    TrailingGrid,
    UniformGrid,
)
from sfumato.diffusion.guidance import (
    AutoGuided,
    ClassifierFree,
    ClassifierGuided,
    GuidedByEach,
    Inpainted,
    Measured,
)
from sfumato.diffusion.prediction import EDM, Data, Noise, Prediction, Previous, Score, V, Velocity
from sfumato.diffusion.samplers import (
    AdamsBashforth,
    AdaptiveODE,
    AnnealedLangevin,
    Churn,
    DPMSolverPP,
    Euler,
    EulerMaruyama,
    FixedLevel,
    Heun,
    KappaRule,
    Posterior,
    PosteriorMean,
    Renoise,
    Sampler,
    SDEDPMSolverPP2M,
    Stochastic,
    predictor_corrector,
    unipc,
    unipc_bh1,
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
    SubVP,
    cosine_betas,
)
from sfumato.diffusion.thresholding import Dynamic, Static, Threshold, Thresholded
from sfumato.diffusion.times import ImportanceSteps, LogitNormal, LogNormal, Steps, TimeDensity, Uniform
from sfumato.diffusion.variance import FixedLarge, FixedSmall, LearnedRange, Variance
from sfumato.diffusion.view import TimeFree, View, WithLevel
from sfumato.diffusion.weighting import (
    InData,
    InEDM,
    InNoise,
    InOutput,
    InV,
    InVelocity,
    MinSNR,
    Sigmoid,
    Weighting,
)

STEP_BETAS = (0.05, 0.1, 0.2, 0.15, 0.3, 0.25, 0.4, 0.35, 0.5, 0.45)
STEP_SIGMAS = (0.1, 0.3, 0.2, 0.5, 0.8, 0.6, 1.5, 2.0, 1.0, 4.0)

# Lists of steps have 10, 20 or 50 of them, so that a multiple of 0.1 is the end of a step in all of them.
SCHEDULES: dict[str, Schedule] = {
    "linear_vp": LinearVP(),
    "cosine_vp": CosineVP(),
    "sub_vp": SubVP(),
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
SMOOTH = ("linear_vp", "cosine_vp", "sub_vp", "constant_alpha", "geometric_ve", "linear_ve", "rectified_flow")
"""Schedules whose levels are smooth functions of time, on which solvers have their order."""
NO_SIGNAL_AT_ONE = ("cosine_vp", "rectified_flow")

PREDICTIONS: dict[str, Callable[[Schedule], Prediction]] = {
    "noise": lambda schedule: Noise(),
    "data": lambda schedule: Data(),
    "score": lambda schedule: Score(),
    "v": lambda schedule: V(),
    "velocity": lambda schedule: Velocity(),
    "edm": lambda schedule: EDM(0.7),
    "previous": lambda schedule: Previous(schedule, 10),
}
# At alpha = 0 the noise alone says nothing about the picture, and at t = 0 nothing lies before.
REFUSED = (*product(NO_SIGNAL_AT_ONE, ("noise", "score")), ("geometric_ve", "previous"))
PAIRS = [pair for pair in product(SCHEDULES, PREDICTIONS) if pair not in REFUSED]

WEIGHTINGS: dict[str, Weighting] = {
    "in_noise": InNoise(),
    "in_data": InData(),
    "in_v": InV(),
    "in_velocity": InVelocity(),
    "min_snr": MinSNR(),
    "in_edm": InEDM(0.7),
    "sigmoid": Sigmoid(-1.0),
    "in_output": InOutput(EDM(0.7)),
}
DENSITIES: dict[str, TimeDensity] = {
    "steps": Steps(10),
    "importance_steps": ImportanceSteps(10, 0.7),
    "uniform": Uniform(),
    "log_normal": LogNormal(),
    "logit_normal": LogitNormal(),
}
VARIANCES: dict[str, Variance] = {
    "small": FixedSmall(),
    "large": FixedLarge(),
    "learned": LearnedRange(),
}
VIEWS: dict[str, View] = {"with_level": WithLevel(0.7), "time_free": TimeFree()}
THRESHOLDS: dict[str, Threshold] = {"static": Static(), "dynamic": Dynamic(0.8)}
GRIDS: dict[str, Grid] = {
    "uniform": UniformGrid(),
    "quadratic": QuadraticGrid(),
    "trailing": TrailingGrid(),
    "linspaced": LinspacedGrid(),
    "leading": LeadingGrid(),
    "log_snr": LogSNRGrid(),
    "rho": RhoGrid(),
    "fitted": FittedGrid((1.0, 0.6, 0.3, 0.1, 0.0)),
}
RULES: dict[str, KappaRule] = {
    "ddim": Posterior(0.0),
    "half": Posterior(0.5),
    "ddpm": Posterior(1.0),
    "renoise": Renoise(),
    "large": PosteriorMean(FixedLarge()),
}
SAMPLERS: dict[str, Sampler] = {
    "ddim": Stochastic(Posterior(0.0)),
    "ddpm": Stochastic(Posterior(1.0)),
    "ddpm_large": Stochastic(PosteriorMean(FixedLarge())),
    "renoise": Stochastic(Renoise()),
    "fixed_level": FixedLevel(Renoise()),
    "euler": Euler(),
    "heun": Heun(),
    "adaptive_ode": AdaptiveODE(),
    "euler_maruyama": EulerMaruyama(),
    "churn": Churn(),
    "predictor_corrector": predictor_corrector(),
    "langevin": AnnealedLangevin(),
    "dpm_solver_pp_2m": DPMSolverPP(2),
    "dpm_solver_pp_3m": DPMSolverPP(3),
    "sde_dpm_solver_pp_2m": SDEDPMSolverPP2M(),
    "unipc_2": unipc(2),
    "unipc_3": unipc(3),
    "unipc_bh1": unipc_bh1(2),
    "adams_bashforth_2": AdamsBashforth(2),
    "adams_bashforth_3": AdamsBashforth(3),
    "adams_bashforth_4": AdamsBashforth(4),
}


RANDOM = (
    "ddpm",
    "ddpm_large",
    "renoise",
    "fixed_level",
    "sde_dpm_solver_pp_2m",
    "euler_maruyama",
    "churn",
    "predictor_corrector",
    "langevin",
)
"""The samplers that draw noise on their way, which have no order in the sense of a differential equation."""
ADAPTIVE = ("adaptive_ode",)
"""The samplers that keep a tolerance, which have no order either."""
BETWEEN = ("churn", "adaptive_ode")
"""The samplers that also ask at times between those of their grid."""
PARTICULAR = {"langevin": ("geometric_ve", "linear_ve", "noise_steps")}
"""The samplers that do not go with every schedule, and the schedules they go with."""
WALKS = [pair for pair in product(SCHEDULES, SAMPLERS) if pair[0] in PARTICULAR.get(pair[1], SCHEDULES)]
"""Every schedule with every sampler that goes with it."""


def halve_or_third(x: Tensor, level: Tensor, condition: Condition | None) -> Tensor:
    """A network that depends on all it is given, for laws that hold for any network."""
    shown = 0.0 if condition is None else (~condition.dropped["label"]).to(x)[:, None]
    return 0.5 * x + 0.1 * level[:, None] + 0.3 * shown * x


def _network(schedule: Schedule) -> NetworkDenoiser:
    return NetworkDenoiser(halve_or_third, schedule, V())


def _weaker_network(schedule: Schedule) -> NetworkDenoiser:
    return NetworkDenoiser(lambda *given: 0.9 * halve_or_third(*given), schedule, V())


def _likes_small(x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
    """A classifier to which every class lies near the origin: log p = −½‖x_t‖², up to a constant."""
    return -0.5 * x_t.square().flatten(1).sum(1)


DENOISERS: dict[str, Callable[[Schedule], Denoiser]] = {
    "network": _network,
    "thresholded": lambda schedule: Thresholded(_network(schedule), Static(), (-0.2, 0.2)),
    "exact": lambda schedule: ExactDenoiser(gaussian(torch.ones(2), torch.eye(2)), schedule),
    "classifier_free": lambda schedule: ClassifierFree(_network(schedule), 3.0),
    "guided_by_each": lambda schedule: GuidedByEach(_network(schedule), {"label": 3.0}),
    "classifier_guided": lambda schedule: ClassifierGuided(_network(schedule), _likes_small, 2.0),
    "auto_guided": lambda schedule: AutoGuided(_network(schedule), _weaker_network(schedule), 2.0),
    "inpainted": lambda schedule: Inpainted(
        _network(schedule), torch.tensor([0.7, 0.1]), torch.tensor([1, 0])
    ),
    "measured": lambda schedule: Measured(
        _network(schedule), lambda x: x[:, :1], torch.full((1, 1), 0.4), 0.1, 2
    ),
}


def pair(schedule_name: str, prediction_name: str) -> tuple[Schedule, Prediction]:
    """Return a schedule and a prediction made for it."""
    schedule = SCHEDULES[schedule_name]
    return schedule, PREDICTIONS[prediction_name](schedule)


KINDS: dict[str, Mapping[str, Any]] = {
    "level": SCHEDULES,
    "row": {name: make(SCHEDULES["linear_vp"]) for name, make in PREDICTIONS.items()},
    "weight": WEIGHTINGS,
    "draw": DENSITIES,
    "split": VARIANCES,
    "show": VIEWS,
    "clip": THRESHOLDS,
    "times": GRIDS,
    "coefficients": RULES,
    "step": SAMPLERS,
}
"""The method that makes a class a piece of its kind, and the pieces."""
