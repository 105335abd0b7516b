"""Schedules: their formulas by independent routes, their derivatives, their ends, their bad arguments."""

import math

import pytest
import torch

from sfumato.diffusion.process import drift_and_diffusion
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
    SubVP,
    cosine_betas,
    linear_betas,
    signal_left,
    time_of_log_snr,
)
from sfumato.errors import ConfigError
from sfumato.verify.pieces import NO_SIGNAL_AT_ONE, SCHEDULES, STEP_BETAS, STEP_SIGMAS, VARIANCE_PRESERVING

from .helpers import asked_times, close, number

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


def at_steps(schedule, steps):
    """The levels at the ends of steps 1 to T."""
    return schedule.level(torch.arange(1, steps + 1, dtype=torch.float64) / steps)


@every_schedule
def test_derivatives_are_those_of_autograd(schedule):
    t = asked_times(schedule, 97).requires_grad_()
    level = schedule.level(t)
    # An exploding schedule's alpha does not hang on t at all: 0·t makes its derivative 0 rather than nothing.
    (d_alpha,) = torch.autograd.grad(level.alpha.sum() + 0 * t.sum(), t, retain_graph=True)
    (d_sigma,) = torch.autograd.grad(level.sigma.sum(), t)
    close(level.d_alpha, d_alpha)
    close(level.d_sigma, d_sigma)


@every_schedule
def test_levels_have_the_shape_of_time_in_float64(schedule):
    for t in (0.5, torch.tensor(0.5), torch.rand(3, generator=torch.Generator().manual_seed(0))):
        level = schedule.level(t)
        for value in (level.alpha, level.sigma, level.d_alpha, level.d_sigma):
            assert value.shape == torch.as_tensor(t).shape
            assert value.dtype == torch.float64


@every_schedule
def test_a_time_as_a_number_is_the_time_as_float64(schedule):
    # float32's nearest to 0.3 lies 1e-8 above it: across the end of a step, and visible in every law here.
    number_level, tensor_level = schedule.level(0.3), schedule.level(number(0.3))
    for name in ("alpha", "sigma", "d_alpha", "d_sigma"):
        assert torch.equal(getattr(number_level, name), getattr(tensor_level, name))


@every_schedule
def test_signal_gives_way_to_noise(schedule):
    log_snr = schedule.level(torch.linspace(1e-3, 1 - 1e-9, 500, dtype=torch.float64)).log_snr
    assert bool((log_snr[1:] < log_snr[:-1]).all())


@every_schedule
def test_ends(schedule):
    clean, noisy = schedule.level(0.0), schedule.level(1.0)
    close(clean.alpha, 1.0)
    # A geometric schedule is the one that cannot start from sigma = 0.
    assert float(clean.sigma) == getattr(schedule, "sigma_min", 0.0) * isinstance(schedule, GeometricVE)
    assert 0 <= schedule.t_min < 1
    # The prior leaves out the little signal that is left: sigma is sqrt(1 − alpha²), or sub-VP's 1 − alpha².
    assert float(noisy.sigma) <= schedule.prior_std * (1 + 1e-12)
    preserved = (1 - noisy.alpha**2) ** (1.0 if isinstance(schedule, SubVP) else 0.5)
    close(noisy.sigma, preserved if schedule.prior_std == 1 else schedule.prior_std)


@every_schedule
def test_snr_and_its_logarithm(schedule):
    level = schedule.level(asked_times(schedule))
    close(level.snr, level.alpha**2 / level.sigma**2)
    close(level.log_snr.exp(), level.snr)


@every_schedule
def test_time_of_log_snr_inverts_the_level(schedule):
    t = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    # Bisection goes on to float64's last digits; a level's rounding moves its time by a little more.
    close(time_of_log_snr(schedule, schedule.level(t).log_snr), t, rtol=1e-12, atol=1e-12)


@every_schedule
def test_time_beyond_the_ends_is_the_end(schedule):
    close(time_of_log_snr(schedule, torch.tensor([1e3, -1e3])), [0.0, 1.0])


@every_schedule
def test_signal_left_is_the_share_at_the_end(schedule):
    level = schedule.level(1.0)
    close(signal_left(schedule) ** 2, 1 / (1 + 1 / level.snr))


@pytest.mark.parametrize("name", VARIANCE_PRESERVING)
def test_variance_is_preserved(name):
    level = SCHEDULES[name].level(torch.linspace(0, 1, 101, dtype=torch.float64))
    close(level.alpha**2 + level.sigma**2, torch.ones(101))


@pytest.mark.parametrize("name", NO_SIGNAL_AT_ONE)
def test_no_signal_is_left_where_it_is_said(name):
    assert float(SCHEDULES[name].level(1.0).alpha) == 0


def test_sigma_keeps_its_digits_near_the_clean_end():
    # sigma² = beta_min·t + O(t²), and the next term is a share 100·t of it; 1 − alpha² in float64 would hold
    # only three digits here.
    t = number(1e-13)
    close(LinearVP().level(t).sigma ** 2, 1e-14, rtol=1e-10, atol=0)
    # For the cosine sigma² = −f′(0)/f(0)·t = 2·speed·tan(start)·t, and the next term is a share t/s of it.
    speed = 0.5 * math.pi / 1.008
    close(CosineVP().level(t).sigma ** 2, 2e-13 * speed * math.tan(speed * 0.008), rtol=1e-10, atol=0)


def test_linear_vp_is_the_integral_of_its_beta():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    # The midpoint rule is exact for a linear integrand.
    integral = t * (0.2 + (t / 2) * (9.0 - 0.2))
    close(LinearVP(0.2, 9.0).level(t).alpha, (-integral / 2).exp())


def test_cosine_is_its_formula():
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    for s in (0.0, 0.008, 0.1):
        f = torch.cos((t + s) / (1 + s) * math.pi / 2) ** 2
        # The formula's own cosine near ½π is off by 1e-16, its square by nothing; 1 − f by 1e-16.
        close(CosineVP(s).level(t).alpha ** 2, f / f[0])
        close(CosineVP(s).level(t).sigma ** 2, 1 - f / f[0])


@pytest.mark.parametrize("schedule", [SubVP(), SubVP(0.2, 9.0)], ids=["paper", "other"])
def test_sub_vp_is_the_preserving_signal_under_the_square_of_its_noise(schedule):
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    level, preserving = schedule.level(t), LinearVP(schedule.beta_min, schedule.beta_max).level(t)
    close(level.alpha, preserving.alpha)
    close(level.sigma, preserving.sigma**2)
    # The midpoint rule is exact for a linear integrand.
    integral = t * (schedule.beta_min + (t / 2) * (schedule.beta_max - schedule.beta_min))
    close(level.alpha, (-integral / 2).exp())
    close(level.sigma, 1 - (-integral).exp())


@pytest.mark.parametrize("schedule", [SubVP(), SubVP(0.2, 9.0)], ids=["paper", "other"])
def test_sub_vp_has_the_drift_and_the_diffusion_of_its_equation(schedule):
    # Song et al. 2021, equation 12: dx = −½ beta x dt + sqrt(beta·(1 − e^{−2 ∫ beta})) dw.
    t = torch.linspace(0.01, 1, 20, dtype=torch.float64)
    beta = schedule.beta_min + t * (schedule.beta_max - schedule.beta_min)
    integral = t * (schedule.beta_min + beta) / 2
    drift, diffusion = drift_and_diffusion(schedule, t)
    close(drift, -beta / 2)
    close(diffusion, (beta * (1 - (-2 * integral).exp())).sqrt())


def test_sub_vp_holds_less_than_unit_variance_between_its_ends():
    level = SubVP().level(torch.linspace(0.01, 0.99, 99, dtype=torch.float64))
    assert bool((level.alpha**2 + level.sigma**2 < 1).all())
    # sigma keeps its digits near the clean end: it is beta_min·t, and the next term is a share 100·t of it.
    close(SubVP().level(number(1e-13)).sigma, 1e-14, rtol=1e-10, atol=0)


def test_betas_are_the_product_of_what_is_kept():
    kept = [math.prod(1 - beta for beta in STEP_BETAS[:i]) for i in range(1, 11)]
    close(at_steps(Betas(STEP_BETAS), 10).alpha ** 2, kept)
    assert Betas(STEP_BETAS).t_min == 0.1


def test_betas_have_a_constant_rate_between_steps():
    level = Betas(STEP_BETAS).level(torch.tensor([0.2, 0.23, 0.3], dtype=torch.float64))
    close(level.alpha[1].log(), 0.7 * level.alpha[0].log() + 0.3 * level.alpha[2].log())


@pytest.mark.parametrize("steps", [50, 100, 1000])
def test_linear_betas_are_ddpm_s(steps):
    scale = 1000 / steps
    betas = [(1e-4 + i / (steps - 1) * (0.02 - 1e-4)) * scale for i in range(steps)]
    kept = torch.tensor([1 - beta for beta in betas], dtype=torch.float64).cumprod(0)
    close(at_steps(linear_betas(steps), steps).alpha ** 2, kept)
    close(at_steps(LinearBetas(steps), steps).alpha ** 2, kept)
    assert LinearBetas(steps).t_min == 1 / steps
    assert len(LinearBetas(steps).table.betas) == steps


def test_linear_betas_pass_their_ends_on():
    assert LinearBetas(100, 2e-4, 0.03).table == linear_betas(100, 2e-4, 0.03)


def test_fewer_steps_leave_about_the_same_signal():
    full = signal_left(LinearBetas(1000))
    for steps in (50, 100, 250, 500):
        # log(1 − beta) = −beta − ½beta² …: fewer, larger betas remove a little more, never less; at T = 50
        # the extra is ¼ Σ beta² ≈ 0.7 in log alpha.
        assert 0.4 * full < signal_left(LinearBetas(steps)) < full


def test_unscaled_betas_would_leave_much_of_the_signal():
    betas = tuple(torch.linspace(1e-4, 0.02, 100, dtype=torch.float64).tolist())
    level = Betas(betas).level(1.0)
    # Σ beta ≈ 1, so alpha² ≈ e^-1 and alpha ≈ e^-½.
    assert 0.35 < float(level.alpha) ** 2 < 0.37
    assert 0.59 < signal_left(Betas(betas)) < 0.61


@pytest.mark.parametrize("steps", [4, 1000])
def test_cosine_betas_are_the_cosine_capped(steps):
    def f(i):
        return math.cos((i / steps + 0.008) / 1.008 * math.pi / 2) ** 2

    kept, product = [], 1.0
    for i in range(steps):
        product *= 1 - min(1 - f(i + 1) / f(i), 0.999)
        kept.append(product)
    close(at_steps(cosine_betas(steps), steps).alpha ** 2, kept)


def test_constant_alpha_is_a_power_and_a_geometric_sum():
    level, kept = at_steps(ConstantAlpha(0.98, 200), 200), 0.98
    close(level.alpha**2, [kept**n for n in range(1, 201)])
    close(level.sigma**2, [math.fsum((1 - kept) * kept**i for i in range(n)) for n in range(1, 201)])
    assert ConstantAlpha(0.98, 200).t_min == 1 / 200


def test_exploding_schedules_are_their_formulas():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    close(GeometricVE(0.02, 30.0).level(t).sigma, [0.02 * 1500.0 ** float(u) for u in t])
    close(LinearVE(12.0).level(t).sigma, 12.0 * t)
    close(LinearVE(12.0, 0.006).t_min, 0.0005)
    close(at_steps(NoiseSteps(STEP_SIGMAS), 10).sigma ** 2, number(STEP_SIGMAS).square().cumsum(0))
    assert NoiseSteps(STEP_SIGMAS).t_min == 0.1


def test_noise_steps_grow_linearly_in_variance_between_steps():
    sigma = NoiseSteps(STEP_SIGMAS).level(torch.tensor([0.2, 0.23, 0.3], dtype=torch.float64)).sigma
    close(sigma[1] ** 2, 0.7 * sigma[0] ** 2 + 0.3 * sigma[2] ** 2)


def test_rectified_flow_is_a_straight_line():
    level = RectifiedFlow().level(number([0.0, 0.25, 1.0]))
    close(level.alpha, [1, 0.75, 0])
    close(level.sigma, [0, 0.25, 1])


def test_the_defaults_are_their_papers():
    assert LinearVP() == LinearVP(0.1, 20.0)
    assert SubVP() == SubVP(0.1, 20.0)
    assert CosineVP() == CosineVP(0.008)
    assert LinearBetas() == LinearBetas(1000, 1e-4, 0.02)
    assert linear_betas() == LinearBetas().table
    assert cosine_betas() == cosine_betas(1000, 0.999)
    assert LinearVE() == LinearVE(80.0, 0.002)
    for schedule in (LinearVP(), SubVP(), CosineVP(), RectifiedFlow()):
        assert schedule.t_min == 1e-3
    assert GeometricVE().t_min == 0


BAD = {
    "beta_min": lambda: LinearVP(0.0, 1.0),
    "beta_max": lambda: LinearVP(2.0, 1.0),
    "sub_vp_beta_min": lambda: SubVP(0.0, 1.0),
    "sub_vp_beta_max": lambda: SubVP(2.0, 1.0),
    "no_betas": lambda: Betas(()),
    "zero_beta": lambda: Betas((0.1, 0.0)),
    "whole_beta": lambda: Betas((0.1, 1.0)),
    "few_steps": lambda: linear_betas(20),
    "few_steps_schedule": lambda: LinearBetas(20),
    "no_steps_schedule": lambda: LinearBetas(0),
    "no_linear_betas": lambda: linear_betas(0),
    "no_cosine_betas": lambda: cosine_betas(0),
    "alpha_zero": lambda: ConstantAlpha(0.0),
    "alpha_one": lambda: ConstantAlpha(1.0),
    "no_steps": lambda: ConstantAlpha(0.9, 0),
    "offset": lambda: CosineVP(-0.1),
    "geometric_zero": lambda: GeometricVE(0.0),
    "geometric_order": lambda: GeometricVE(2.0, 1.0),
    "linear_ve_zero": lambda: LinearVE(80.0, 0.0),
    "linear_ve_order": lambda: LinearVE(1.0, 2.0),
    "no_noise_steps": lambda: NoiseSteps(()),
    "zero_noise_step": lambda: NoiseSteps((1.0, 0.0)),
}


@pytest.mark.parametrize("build", BAD.values(), ids=BAD)
def test_bad_arguments_are_config_errors_of_one_line(build):
    with pytest.raises(ConfigError) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_the_fewest_steps_that_the_message_names_do():
    with pytest.raises(ConfigError, match="at least 21 steps"):
        linear_betas(20)
    assert len(linear_betas(21).betas) == 21
