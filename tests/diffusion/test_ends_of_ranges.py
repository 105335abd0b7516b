"""What a piece refuses begins where it says: small but permitted settings are taken, 0 and below are not.

A guard that refuses too much is found by nobody until a user needs the value.
"""

import math

import pytest

from sfumato.diffusion.bound import Chain
from sfumato.diffusion.bound_objective import Hybrid
from sfumato.diffusion.decoder import ContinuousGaussian, DiscretisedGaussian
from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.grids import LeadingGrid, RhoGrid, TrailingGrid, UniformGrid
from sfumato.diffusion.guidance import ClassifierFree, Measured
from sfumato.diffusion.likelihood import Dequantised, FlowLikelihood, Hutchinson
from sfumato.diffusion.prediction import EDM, Previous
from sfumato.diffusion.samplers import (
    AdaptiveODE,
    AnnealedLangevin,
    Churn,
    EulerMaruyama,
    Posterior,
    PredictorCorrector,
)
from sfumato.diffusion.schedules import (
    Betas,
    ConstantAlpha,
    CosineVP,
    GeometricVE,
    LinearVE,
    LinearVP,
    NoiseSteps,
    cosine_betas,
    linear_betas,
)
from sfumato.diffusion.thresholding import Dynamic
from sfumato.diffusion.times import ImportanceSteps, LogitNormal, LogNormal, Steps
from sfumato.diffusion.variance import FixedSmall
from sfumato.diffusion.view import WithLevel
from sfumato.diffusion.weighting import InEDM, InNoise, MinSNR
from sfumato.errors import ConfigError

from .helpers import COVARIANCE, MEAN, number

EXACT = ExactDenoiser(gaussian(MEAN, COVARIANCE), LinearVP())
SMALL = 0.1

# A piece by one of its numbers, the least it takes (or what is just within), and what it refuses.
LEAST = {
    "linear beta_min": (lambda v: LinearVP(v, 20.0), SMALL, (0.0, -1.0)),
    "linear betas' order": (lambda v: LinearVP(0.1, v), 0.1, (0.05,)),
    "betas": (lambda v: Betas((v,)), SMALL, (0.0, 1.0)),
    "cosine betas": (cosine_betas, 1, (0,)),
    "linear betas": (lambda v: linear_betas(v, 1e-6, 1e-5), 1, (0,)),
    "constant alpha": (lambda v: ConstantAlpha(v, 3), SMALL, (0.0, 1.0)),
    "constant steps": (lambda v: ConstantAlpha(0.9, v), 1, (0,)),
    "cosine offset": (CosineVP, 0.0, (-0.1,)),
    "geometric sigma_min": (lambda v: GeometricVE(v, 0.5), SMALL, (0.0, 0.5)),
    "linear ve sigma_min": (lambda v: LinearVE(0.5, v), SMALL, (0.0, 0.5)),
    "noise steps": (lambda v: NoiseSteps((v,)), SMALL, (0.0,)),
    "edm": (EDM, SMALL, (0.0, -1.0)),
    "previous": (lambda v: Previous(LinearVP(), v), 1, (0,)),
    "view": (WithLevel, SMALL, (0.0,)),
    "min-snr": (MinSNR, SMALL, (0.0,)),
    "edm's weight": (InEDM, SMALL, (0.0,)),
    "log-normal": (lambda v: LogNormal(0.0, v), SMALL, (0.0,)),
    "logit-normal": (lambda v: LogitNormal(0.0, v), SMALL, (0.0,)),
    "steps": (Steps, 1, (0,)),
    "importance steps": (ImportanceSteps, 1, (0,)),
    "chain": (lambda v: Chain(LinearVP(), v, FixedSmall(), ContinuousGaussian()), 1, (0,)),
    "hybrid": (lambda v: Hybrid(Steps(5), ContinuousGaussian(), InNoise(), v), SMALL, (0.0,)),
    "bins": (lambda v: DiscretisedGaussian(v, (-1.0, 1.0)), SMALL, (0.0, 3.0)),
    "rho": (lambda v: RhoGrid(v, 0.002), SMALL, (0.0,)),
    "rho's ratio": (lambda v: RhoGrid(7.0, v), SMALL, (0.0,)),
    "trailing": (TrailingGrid, 1, (0,)),
    "leading": (LeadingGrid, 1, (0,)),
    "grid": (lambda v: UniformGrid().times(v, LinearVP()), 1, (0,)),
    "dynamic share": (Dynamic, SMALL, (0.0, 1.1)),
    "eta": (Posterior, 0.0, (-0.1, 1.1, math.nan)),
    "churn": (lambda v: Churn(v), 0.0, (-0.1, 1.0)),
    "churn's noise": (lambda v: Churn(0.1, 0.0, math.inf, v), SMALL, (0.0,)),
    "rtol": (lambda v: AdaptiveODE(v, 1e-3), 1e-6, (0.0,)),
    "atol": (lambda v: AdaptiveODE(1e-3, v), 1e-6, (0.0,)),
    "langevin's size": (AnnealedLangevin, SMALL, (0.0, 4.0)),
    "langevin's rounds": (lambda v: AnnealedLangevin(0.5, v), 1, (0,)),
    "corrector's snr": (lambda v: PredictorCorrector(EulerMaruyama(), v), SMALL, (0.0, 1.0)),
    "corrector's rounds": (lambda v: PredictorCorrector(EulerMaruyama(), 0.1, v), 1, (0,)),
    "interval's end": (lambda v: ClassifierFree(EXACT, 2.0, (0.0, v)), SMALL, (0.0, 1.1)),
    "interval's start": (lambda v: ClassifierFree(EXACT, 2.0, (v, 1.0)), 0.0, (-0.1, 1.0)),
    "measured's noise": (lambda v: Measured(EXACT, lambda x: x, number([[0.0]]), v, 1), 0.0, (-0.1,)),
    "measured's rounds": (lambda v: Measured(EXACT, lambda x: x, number([[0.0]]), 0.1, v), 1, (0,)),
    "probes": (Hutchinson, 1, (0,)),
    "dequantised": (lambda v: Dequantised(FlowLikelihood(), v), SMALL, (0.0,)),
}


@pytest.mark.parametrize(("build", "least", "refused"), LEAST.values(), ids=LEAST)
def test_a_range_begins_where_it_says(build, least, refused):
    assert build(least) is not None
    for value in refused:
        with pytest.raises(ConfigError):
            build(value)
