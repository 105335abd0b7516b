"""The multistep samplers against diffusers', under one network and one noise.

Its time index k of T is our t = (k + 1)/T, and each walk visits exactly the pairs (t, s) that its scheduler
visits, the last to sigma = 0 (`final_sigmas_type="zero"`) or to index 0 ("sigma_min"). What is compared is
`solver_type="midpoint"` without its lowering of the last orders (`lower_order_final=False`), which ours lack:
a step to sigma = 0 is of order 1 in both.

diffusers keeps its tables of sigmas in float32 and rounds the sample to float32 in each step. Two things undo
that, so that parity can be held to float64: its table is rebuilt from its own formula for the betas, and the
sample is a tensor that will not be cast. One test leaves both as they are and holds 1e-4.

Two things are wrong there, each proved here on the exact denoiser of a Gaussian:

- its third-order DPM-Solver++ takes the second divided difference for the second derivative, half of what the
  Taylor term needs, so it converges at order 2 (its UniPC, which solves for its weights, does not);
- its UniPC with B(h) = h gives NaN at sigma = 0, where it goes by default: h is infinite there, and even a
  step of order 1 multiplies it by a correction of 0.
"""

import math

import pytest
import torch

from sfumato.diffusion.exact import ExactDenoiser, gaussian
from sfumato.diffusion.grids import LogSNRGrid, RhoGrid
from sfumato.diffusion.level import expand
from sfumato.diffusion.prediction import EDM, Data, Noise, V, solve
from sfumato.diffusion.samplers import (
    DPMSolverPP,
    Euler,
    SDEDPMSolverPP2M,
    sample_frames,
    unipc,
    unipc_bh1,
)
from sfumato.diffusion.schedules import LinearVE, cosine_betas, linear_betas

from .helpers import COVARIANCE, MEAN, close, last_x, number, randn
from .test_orders import graded

diffusers = pytest.importorskip("diffusers", reason="diffusers, a development dependency, is not installed")

# The squared cosine has 100 steps: of 1,000 the last alpha is 5e-5, for which we refuse noise prediction.
SCHEDULES = {"linear": linear_betas(1000), "squaredcos_cap_v2": cosine_betas(100)}
PREDICTIONS = {"epsilon": Noise(), "sample": Data(), "v_prediction": V()}
SDE = "sde-dpmsolver++"


class Uncast(torch.Tensor):
    """A tensor that keeps its precision whatever it is asked to become."""

    def to(self, *args, **kwargs):
        return self


class Draws:
    """Noise that is known before: the i-th draw is the i-th row."""

    def __init__(self, rows):
        self.rows = iter(rows)

    def normal(self, shape):
        return next(self.rows)


def network(x, log_ratio):
    """A smooth function of the sample and of log(sigma/alpha) that no distribution would give."""
    return torch.tanh(1.3 * x + 0.2 * log_ratio) - 0.4 * x.roll(1, dims=-1).sin()


class Shared:
    """`network` under a prediction, as our samplers see it; `shown`: the scale of its input at a level."""

    def __init__(self, schedule, prediction, shown=lambda level: torch.ones_like(level.alpha)):
        self.schedule, self.prediction, self.shown = schedule, prediction, shown

    def estimate(self, x_t, t, condition=None):
        level = self.schedule.level(t)
        output = network(expand(self.shown(level), x_t) * x_t, expand(-0.5 * level.log_snr, x_t))
        return solve(self.prediction.row(level), level, x_t, output)

    def evaluations(self, t, condition=None):
        return 1


def betas_of(name, steps):
    """diffusers' betas before they are rounded to float32."""
    if name == "linear":
        return torch.linspace(1e-4, 0.02, steps, dtype=torch.float64)
    ends = torch.arange(steps + 1, dtype=torch.float64) / steps
    alpha_bar = ((ends + 0.008) / 1.008 * math.pi / 2).cos() ** 2
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999)


def ratios_of(betas):
    """sigma/alpha at every index."""
    kept = (1 - betas).cumprod(0)
    return ((1 - kept) / kept).sqrt()


def prepared(cls, name, prediction, steps, final, precise=True, **options):
    """A scheduler about to walk, and our times of its steps."""
    total = len(SCHEDULES[name].betas)
    scheduler = cls(
        num_train_timesteps=total,
        beta_schedule=name,
        prediction_type=prediction,
        final_sigmas_type=final,
        **options,
    )
    scheduler.set_timesteps(steps)
    betas = betas_of(name, total)
    close(scheduler.betas.double(), betas, rtol=1e-6)
    ratios = ratios_of(betas)
    last = number([0.0]) if final == "zero" else ratios[:1]
    exact = torch.cat([ratios[scheduler.timesteps], last])
    # What float32 makes of 1 − alpha² near the clean end.
    close(scheduler.sigmas.double(), exact, rtol=1e-3)
    if precise:
        scheduler.sigmas = exact
    end = 0.0 if final == "zero" else 1 / total
    return scheduler, torch.cat([(scheduler.timesteps + 1).double() / total, number([end])])


def theirs(scheduler, ask, x, draws=None):
    """Walk a scheduler to its end; ask: the network of (x, index of the step)."""
    for i, t in enumerate(scheduler.timesteps):
        noise = {} if draws is None else {"variance_noise": draws[i].as_subclass(type(x))}
        x = scheduler.step(ask(x, i), t, x, return_dict=False, **noise)[0]
    return x.as_subclass(torch.Tensor)


def told(scheduler):
    """The shared network as diffusers asks it."""
    return lambda x, i: network(x, scheduler.sigmas[i].log())


ENDS = pytest.mark.parametrize("final", ["zero", "sigma_min"])
every_table = pytest.mark.parametrize("name", SCHEDULES)
every_prediction = pytest.mark.parametrize("prediction", PREDICTIONS)
# 7 does not divide either T; 18 is past the 15 steps at which diffusers changes its ways.
counts = pytest.mark.parametrize("steps", [7, 18])


@every_table
def test_both_have_the_same_levels(name):
    schedule, betas = SCHEDULES[name], betas_of(name, len(SCHEDULES[name].betas))
    level = schedule.level(torch.arange(1, len(betas) + 1, dtype=torch.float64) / len(betas))
    close(level.sigma / level.alpha, ratios_of(betas), rtol=1e-9)


@every_table
@every_prediction
@counts
@ENDS
@pytest.mark.parametrize("spacing", ["linspace", "leading", "trailing"])
def test_dpm_solver_pp_2m(name, prediction, steps, final, spacing):
    # Trailing steps may end at index 0, and a step from there to there would be none.
    options = {"solver_order": 2, "lower_order_final": False, "timestep_spacing": spacing, "steps_offset": 1}
    cls = diffusers.DPMSolverMultistepScheduler
    scheduler, times = prepared(cls, name, prediction, steps, final, **options)
    x = randn(3, 4)
    end = theirs(scheduler, told(scheduler), x.as_subclass(Uncast))
    ours = last_x(Shared(SCHEDULES[name], PREDICTIONS[prediction]), DPMSolverPP(2), x, times)
    close(ours, end, rtol=1e-8, atol=1e-8)


@every_table
@every_prediction
@counts
@ENDS
def test_sde_dpm_solver_pp_2m(name, prediction, steps, final):
    options = {"solver_order": 2, "lower_order_final": False, "algorithm_type": SDE}
    cls = diffusers.DPMSolverMultistepScheduler
    scheduler, times = prepared(cls, name, prediction, steps, final, **options)
    x, draws = randn(3, 4), randn(steps, 3, 4, seed=1)
    end = theirs(scheduler, told(scheduler), x.as_subclass(Uncast), draws)
    denoiser = Shared(SCHEDULES[name], PREDICTIONS[prediction])
    close(last_x(denoiser, SDEDPMSolverPP2M(), x, times, Draws(draws)), end, rtol=1e-8, atol=1e-8)


class Mended(diffusers.DPMSolverMultistepScheduler):
    """Its third-order step with the second Taylor term in full."""

    def multistep_dpm_solver_third_order_update(self, model_output_list, *args, sample=None, noise=None):
        half = super().multistep_dpm_solver_third_order_update(model_output_list, sample=sample, noise=noise)
        i, (m2, m1, m0) = self.step_index, model_output_list
        l2, l1, l0, l_s = (-self.sigmas[i - 2 : i + 2].log()).tolist()
        h = l_s - l0
        divided = ((m0 - m1) / (l0 - l1) - (m1 - m2) / (l1 - l2)) / (l0 - l2)
        alpha_s = 1 / math.sqrt(1 + float(self.sigmas[i + 1]) ** 2)
        # ∫₀^h e^{−(h−u)} u²/2 du times the second divided difference: as much again as is there already.
        return half + alpha_s * (0.5 * h**2 - h + 1 - math.exp(-h)) * divided


@every_table
@every_prediction
@counts
@ENDS
def test_dpm_solver_pp_3m_but_for_its_mistake(name, prediction, steps, final):
    options = {"solver_order": 3, "lower_order_final": False}
    x, ends = randn(3, 4), []
    for cls in (Mended, diffusers.DPMSolverMultistepScheduler):
        scheduler, times = prepared(cls, name, prediction, steps, final, **options)
        ends.append(theirs(scheduler, told(scheduler), x.as_subclass(Uncast)))
    ours = last_x(Shared(SCHEDULES[name], PREDICTIONS[prediction]), DPMSolverPP(3), x, times)
    close(ours, ends[0], rtol=1e-8, atol=1e-8)
    # A hundred times what parity is held to.
    assert float((ours - ends[1]).norm() / ends[0].norm()) > 1e-6


@every_table
@every_prediction
@counts
@pytest.mark.parametrize(
    ("variant", "order", "final"),
    [
        ("bh1", 1, "sigma_min"),
        ("bh1", 2, "sigma_min"),
        ("bh1", 3, "sigma_min"),
        ("bh2", 1, "zero"),
        ("bh2", 2, "zero"),
        ("bh2", 2, "sigma_min"),
        ("bh2", 3, "sigma_min"),
    ],
)
def test_unipc(name, prediction, steps, order, final, variant):
    """Its last order must be lowered to reach sigma = 0, which for order 3 lowers the step before it too."""
    cls = diffusers.UniPCMultistepScheduler
    options = {"solver_order": order, "solver_type": variant, "lower_order_final": final == "zero"}
    scheduler, times = prepared(cls, name, prediction, steps, final, **options)
    x = randn(3, 4)
    end = theirs(scheduler, told(scheduler), x)
    sampler = {"bh1": unipc_bh1, "bh2": unipc}[variant](order)
    ours = last_x(Shared(SCHEDULES[name], PREDICTIONS[prediction]), sampler, x, times)
    close(ours, end, rtol=1e-8, atol=1e-8)


def test_unipc_bh1_of_diffusers_is_nan_at_the_clean_end():
    """And ours is the estimate, as the limit of every step to sigma = 0 is."""
    options = {"solver_order": 2, "solver_type": "bh1"}
    scheduler, times = prepared(diffusers.UniPCMultistepScheduler, "linear", "sample", 7, "zero", **options)
    end = theirs(scheduler, lambda x, i: exact_x0(x, float(scheduler.sigmas[i])), randn(4, 3))
    assert bool(end.isnan().all())
    last = list(sample_frames(ORACLE, unipc_bh1(2), randn(4, 3), times, Draws([])))[-1]
    assert bool(last.x.isfinite().all())
    close(last.x, last.x0)


@every_prediction
@pytest.mark.parametrize("kind", ["2m", "2m-sde", "unipc"])
def test_as_they_are_in_float32(prediction, kind):
    cls, sampler, options = {
        "2m": (diffusers.DPMSolverMultistepScheduler, DPMSolverPP(2), {}),
        "2m-sde": (diffusers.DPMSolverMultistepScheduler, SDEDPMSolverPP2M(), {"algorithm_type": SDE}),
        "unipc": (diffusers.UniPCMultistepScheduler, unipc(2), {"solver_order": 2}),
    }[kind]
    scheduler, times = prepared(cls, "linear", prediction, 18, "zero", precise=False, **options)
    x, draws = randn(3, 4).float(), randn(18, 3, 4, seed=1).float()
    end = theirs(scheduler, told(scheduler), x, draws if kind == "2m-sde" else None)
    ours = last_x(Shared(SCHEDULES["linear"], PREDICTIONS[prediction]), sampler, x, times, Draws(draws))
    assert ours.dtype == torch.float32
    assert float((ours - end).norm() / end.norm()) < 1e-4


@pytest.mark.parametrize("spread", ["karras", "exponential"])
@pytest.mark.parametrize("steps", [7, 18])
@pytest.mark.parametrize("kind", ["euler", "2m"])
def test_edm(kind, steps, spread):
    """Its prediction "epsilon" is our `EDM`, its sigmas our grids; its "v_prediction" only turns a sign."""
    cls, sampler = {
        "euler": (diffusers.EDMEulerScheduler, Euler()),
        "2m": (diffusers.EDMDPMSolverMultistepScheduler, DPMSolverPP(2)),
    }[kind]
    schedule, grid = LinearVE(), {"karras": RhoGrid(), "exponential": LogSNRGrid()}[spread]
    scheduler = cls(sigma_schedule=spread)
    scheduler.set_timesteps(steps)
    times = grid.times(steps, schedule)
    close(scheduler.sigmas.double(), schedule.level(times).sigma, rtol=1e-5)
    scheduler.sigmas = schedule.level(times).sigma
    x = 80 * randn(3, 4)

    def ask(x_t, i):
        return network(scheduler.scale_model_input(x_t, scheduler.timesteps[i]), scheduler.sigmas[i].log())

    denoiser = Shared(schedule, EDM(0.5), lambda level: (level.sigma**2 + 0.25).rsqrt())
    close(
        last_x(denoiser, sampler, x, times),
        theirs(scheduler, ask, x.as_subclass(Uncast)),
        rtol=1e-8,
        atol=1e-8,
    )


SCHEDULE = SCHEDULES["linear"]
ORACLE = ExactDenoiser(gaussian(MEAN, COVARIANCE), SCHEDULE)


def flow_in_ratio(x, start, end):
    """The exact flow from one ratio to another, in the scaling of diffusers, alpha = 1/sqrt(1 + ratio²)."""
    variances, axes = torch.linalg.eigh(COVARIANCE)
    stretch = ((variances + end**2) / (variances + start**2)).sqrt()
    y = x * math.sqrt(1 + start**2) - MEAN
    return (MEAN + y @ axes * stretch @ axes.T) / math.sqrt(1 + end**2)


def exact_x0(x, ratio):
    """E[x0 | x_t] of the Gaussian at a ratio."""
    variances, axes = torch.linalg.eigh(COVARIANCE)
    y = x * math.sqrt(1 + ratio**2) - MEAN
    return MEAN + y @ axes * (variances / (variances + ratio**2)) @ axes.T


def order_of(cls, **options):
    """The order of a scheduler of diffusers from a ratio of e² to one of e^{-2}, on graded equal steps."""
    errors, sizes = [], []
    for k in (100, 200):
        times, h = graded(k)
        share = (times - times[-1]) / (times[0] - times[-1])
        scheduler = cls(
            prediction_type="sample", lower_order_final=False, final_sigmas_type="sigma_min", **options
        )
        scheduler.set_timesteps(len(times) - 1)
        scheduler.sigmas, scheduler.timesteps = (4 * share - 2).exp(), torch.arange(len(times) - 1)
        x = randn(4, 3)
        end = theirs(
            scheduler, lambda x, i, s=scheduler: exact_x0(x, float(s.sigmas[i])), x.as_subclass(Uncast)
        )
        errors.append(float((end - flow_in_ratio(x, math.exp(2), math.exp(-2))).norm()))
        sizes.append(h)
    return math.log(errors[0] / errors[1]) / math.log(sizes[0] / sizes[1])


def test_third_order_dpm_solver_pp_of_diffusers_is_of_order_2():
    """Half of the second Taylor term is missing, which leaves an error of h³ at each of 1/h steps."""
    assert order_of(diffusers.DPMSolverMultistepScheduler, solver_order=3) == pytest.approx(2, abs=0.15)
    assert order_of(Mended, solver_order=3) == pytest.approx(3, abs=0.15)
    assert order_of(diffusers.DPMSolverMultistepScheduler, solver_order=2) == pytest.approx(2, abs=0.15)
    assert order_of(diffusers.UniPCMultistepScheduler, solver_order=2) == pytest.approx(3, abs=0.15)
