"""Guidance: off is the model itself to the bit, and on it is what the closed forms say."""

import pytest
import torch

from sfumato.condition import Condition
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.exact import ExactDenoiser, GaussianMixture, gaussian
from sfumato.diffusion.grids import RhoGrid
from sfumato.diffusion.guidance import AutoGuided, ClassifierFree, ClassifierGuided, Inpainted, Measured
from sfumato.diffusion.prediction import V
from sfumato.diffusion.samplers import DPMSolverPP, Heun, sample_frames
from sfumato.diffusion.samplers.base import Particular
from sfumato.diffusion.schedules import CosineVP, LinearVE, LinearVP, RectifiedFlow
from sfumato.diffusion.variance import LearnedRange
from sfumato.errors import ConfigError
from sfumato.verify.pieces import DENOISERS, SAMPLERS, SCHEDULES

from .helpers import COVARIANCE, MEAN, BlockNoise, asked_times, close, last_x, number, randn

DENOISER = DENOISERS["network"](LinearVP())
CONDITION = Condition.of(label=torch.arange(3))
X_T, T = randn(3, 4), number(0.6)
CONDITIONAL = DENOISER.estimate(X_T, T, CONDITION)
FREE = DENOISER.estimate(X_T, T, CONDITION.drop_all())
BAD_INTERVALS = [(0.5, 0.5), (0.8, 0.2), (-0.1, 0.5), (0.5, 1.1)]
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


def guided(weight, interval=(0.0, 1.0), condition=CONDITION):
    return ClassifierFree(DENOISER, weight, interval).estimate(X_T, T, condition)


def same(one, other):
    return torch.equal(one.x0, other.x0) and torch.equal(one.eps, other.eps)


def test_the_stand_in_depends_on_its_condition():
    assert not same(CONDITIONAL, FREE)


def test_weight_1_is_the_conditional_model():
    assert same(guided(1.0), CONDITIONAL)


def test_weight_0_is_the_free_model():
    assert same(guided(0.0), FREE)


@pytest.mark.parametrize("weight", [-0.5, 2.0, 7.5])
def test_the_estimate_is_linear_in_the_weight(weight):
    for field in ("x0", "eps"):
        free, conditional = getattr(FREE, field), getattr(CONDITIONAL, field)
        close(getattr(guided(weight), field), (1 - weight) * free + weight * conditional)


@pytest.mark.parametrize(
    ("interval", "acts"),
    [((0.0, 0.5), False), ((0.7, 1.0), False), ((0.5, 0.7), True), ((0.6, 0.7), True), ((0.5, 0.6), True)],
)
def test_outside_its_interval_the_conditional_model_stands_alone(interval, acts):
    assert same(guided(3.0, interval), CONDITIONAL) == (not acts)
    assert ClassifierFree(DENOISER, 3.0, interval).evaluations(0.6, CONDITION) == (2 if acts else 1)


def test_off_runs_the_network_once():
    assert ClassifierFree(DENOISER, 1.0).evaluations(0.6, CONDITION) == 1
    assert ClassifierFree(DENOISER, 0.0).evaluations(0.6, CONDITION) == 1
    assert ClassifierFree(ClassifierFree(DENOISER, 2.0), 2.0).evaluations(0.6, CONDITION) == 4


def test_without_a_condition_there_is_nothing_to_lean_to():
    assert same(guided(3.0, condition=None), DENOISER.estimate(X_T, T, None))


def test_rows_that_were_dropped_stay_free():
    mixed = CONDITION.drop(torch.tensor([True, False, False]))
    estimate = guided(3.0, condition=mixed)
    close(estimate.x0[0], FREE.x0[0])
    close(estimate.x0[1:], guided(3.0).x0[1:])


@pytest.mark.parametrize("interval", BAD_INTERVALS)
def test_bad_intervals_are_refused(interval):
    for guide in (
        lambda: ClassifierFree(DENOISER, 2.0, interval),
        lambda: ClassifierGuided(DENOISER, log_prob_of(LinearVP()), 2.0, interval),
    ):
        with pytest.raises(ConfigError, match="interval"):
            guide()


def test_a_learned_variance_survives_every_guidance():
    """The spread is the network's own word: no guide has another."""

    def outputs(x, level, condition):
        return torch.cat([0.5 * x, 0.1 * x], 1)

    network = NetworkDenoiser(outputs, LinearVP(), V(), variance=LearnedRange())
    own = network.estimate(X_T, T, CONDITION).variance_fraction
    for guide in (
        ClassifierFree(network, 2.0),
        ClassifierGuided(network, lambda x, t, c: -x.square().sum(1), 2.0),
        AutoGuided(network, DENOISER, 2.0),
        Inpainted(network, torch.zeros(4), torch.tensor([1, 0, 0, 1])),
        Measured(network, lambda x: x[:, :2], torch.ones(1, 2), 0.1),
    ):
        fraction = guide.estimate(X_T, T, CONDITION).variance_fraction
        close(fraction, own)
        assert not fraction.requires_grad


# Classifier guidance: two classes, each a mixture of its own, so that Bayes' rule is known in closed form.

CLASSES = [
    GaussianMixture.of(
        number([0.3, 0.7]), torch.stack([MEAN, -MEAN]), torch.stack([COVARIANCE, 0.2 * COVARIANCE])
    ),
    gaussian(number([-1.0, 1.5, 0.5]), 0.3 * COVARIANCE + 0.1 * torch.eye(3)),
]
PRIOR = number([0.4, 0.6])
WHOLE = GaussianMixture(
    torch.cat([share * part.weights for share, part in zip(PRIOR, CLASSES, strict=True)]),
    *(torch.cat([getattr(part, name) for part in CLASSES]) for name in ("means", "axes", "variances")),
)
LABELS = torch.tensor([0, 1, 1, 0])
LABELLED = Condition.of(label=LABELS)


def log_prob_of(schedule):
    """The exact classifier of noisy samples: log p(c | x_t) by Bayes' rule."""

    def log_prob(x_t, t, condition):
        joint = [part.log_prob(x_t, schedule.level(t)) for part in CLASSES]
        logits = torch.stack(joint, 1) + PRIOR.log()
        return logits.log_softmax(1).gather(1, condition.values["label"][:, None])[:, 0]

    return log_prob


def by_class(schedule, x_t, t):
    """The exact denoiser of each row's own class."""
    rows = [
        ExactDenoiser(CLASSES[label], schedule).estimate(x_t[i : i + 1], t) for i, label in enumerate(LABELS)
    ]
    return torch.cat([row.x0 for row in rows]), torch.cat([row.eps for row in rows])


def faint(schedule, t):
    level = schedule.level(t)
    return float(level.alpha / level.sigma) < 1e-3


@every_schedule
@pytest.mark.parametrize("frozen", [True, False], ids=["no_grad", "grad"])
def test_a_free_model_and_an_exact_classifier_are_the_conditional_model(schedule, frozen):
    guide = ClassifierGuided(ExactDenoiser(WHOLE, schedule), log_prob_of(schedule), 1.0)
    for t in asked_times(schedule, 9):
        level = schedule.level(t)
        x_t = level.alpha * WHOLE.sample(4, torch.Generator().manual_seed(3)) + level.sigma * randn(4, 3)
        with torch.set_grad_enabled(not frozen):
            estimate = guide.estimate(x_t, t, LABELLED)
        x0, eps = by_class(schedule, x_t, t)
        # Where there is no signal x0 is a limit, reached to about the signal that is taken instead.
        close(estimate.x0, x0, atol=2e-2 if faint(schedule, t) else 1e-10, rtol=1e-10)
        close(estimate.eps, eps)
        assert not estimate.x0.requires_grad


def test_at_pure_noise_the_classifier_moves_x0_to_its_class():
    """Without the limit taken there, each class's mean would be missed by 0.44 or more."""
    guide = ClassifierGuided(ExactDenoiser(WHOLE, CosineVP()), log_prob_of(CosineVP()), 1.0)
    x0 = guide.estimate(randn(4, 3), number(1.0), LABELLED).x0
    means = torch.stack([part.weights @ part.means for part in CLASSES])
    close(x0, means[LABELS], atol=2e-2)
    assert float((WHOLE.weights @ WHOLE.means - means).abs().max(1).values.min()) > 0.4


@pytest.mark.parametrize(("weight", "interval"), [(0.0, (0.0, 1.0)), (3.0, (0.0, 0.5)), (3.0, (0.7, 1.0))])
def test_a_classifier_that_does_not_act_is_not_asked(weight, interval):
    def fail(x_t, t, condition):
        raise AssertionError("asked")

    guide = ClassifierGuided(DENOISER, fail, weight, interval)
    assert same(guide.estimate(X_T, T, CONDITION), CONDITIONAL)
    assert guide.evaluations(0.6, CONDITION) == 1
    free = ClassifierGuided(DENOISER, fail, 3.0)
    assert same(free.estimate(X_T, T, None), DENOISER.estimate(X_T, T, None))


def test_the_classifier_s_gradient_is_added_weight_times():
    once, thrice = (
        ClassifierGuided(DENOISER, lambda x, t, c: -0.5 * x.square().sum(1), w).estimate(X_T, T, CONDITION)
        for w in (1.0, 3.0)
    )
    level = LinearVP().level(T)
    close(once.eps, CONDITIONAL.eps + level.sigma * X_T)
    close(thrice.eps - CONDITIONAL.eps, 3 * (once.eps - CONDITIONAL.eps))


# Auto-guidance.


def test_auto_guidance_of_weight_1_does_not_ask_the_weaker_model():
    class Silent:
        schedule = LinearVP()

        def estimate(self, x_t, t, condition=None):
            raise AssertionError("asked")

        evaluations = estimate

    guide = AutoGuided(DENOISER, Silent(), 1.0)
    assert same(guide.estimate(X_T, T, CONDITION), CONDITIONAL)
    assert guide.evaluations(0.6, CONDITION) == 1


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_auto_guidance_goes_from_the_weaker_model_through_the_strong_one(weight):
    weaker = ExactDenoiser(gaussian(torch.zeros(4), torch.eye(4)), LinearVP())
    estimate, weak = (d.estimate(X_T, T, CONDITION) for d in (AutoGuided(DENOISER, weaker, weight), weaker))
    for field in ("x0", "eps"):
        expected = weight * getattr(CONDITIONAL, field) + (1 - weight) * getattr(weak, field)
        close(getattr(estimate, field), expected)
    assert AutoGuided(ClassifierFree(DENOISER, 2.0), weaker, weight).evaluations(0.6, CONDITION) == 3


def test_classifier_free_guidance_is_auto_guidance_by_the_free_model():
    class Free:
        schedule = DENOISER.schedule

        def estimate(self, x_t, t, condition=None):
            return DENOISER.estimate(x_t, t, condition.drop_all())

    assert same(AutoGuided(DENOISER, Free(), 2.5).estimate(X_T, T, CONDITION), guided(2.5))


def test_models_of_two_schedules_do_not_guide_each_other():
    with pytest.raises(ConfigError, match=r"one schedule, not LinearVP.*CosineVP"):
        AutoGuided(DENOISER, DENOISERS["network"](CosineVP()), 2.0)


# Inpainting and measurement, on a Gaussian whose conditionals are known.

KNOWN = 1.7
MASK = torch.tensor([True, False, False])


def conditioned(matrix, y, noise_std):
    """The Gaussian of the laws given y = matrix·x0 + n, by the textbook formula."""
    matrix, y = number(matrix), number(y)
    total = matrix @ COVARIANCE @ matrix.T + noise_std**2 * torch.eye(len(y), dtype=torch.float64)
    gain = COVARIANCE @ matrix.T @ torch.linalg.inv(total)
    return gaussian(MEAN + gain @ (y - matrix @ MEAN), COVARIANCE - gain @ matrix @ COVARIANCE)


MATRICES = {
    "coordinate": ([[1.0, 0.0, 0.0]], [KNOWN], 0.1),
    "exact coordinate": ([[1.0, 0.0, 0.0]], [KNOWN], 0.0),
    "sum": ([[1.0, 1.0, 1.0]], [2.0], 0.3),
    "two": ([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]], [0.5, -2.0], 0.2),
    "all": (torch.eye(3).tolist(), [1.0, 1.0, 1.0], 0.5),
}


def measured(denoiser, matrix, y, noise_std):
    matrix = number(matrix)
    return Measured(denoiser, lambda x: x @ matrix.to(x).T, number([y]), noise_std, len(y))


@every_schedule
@pytest.mark.parametrize("name", MATRICES)
def test_a_measured_gaussian_is_the_conditional_gaussian(name, schedule):
    matrix, y, noise_std = MATRICES[name]
    guide = measured(ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule), matrix, y, noise_std)
    truth = ExactDenoiser(conditioned(matrix, y, noise_std), schedule)
    for t in asked_times(schedule, 9):
        level = schedule.level(t)
        x_t = level.alpha * MEAN + level.sigma * randn(5, 3)
        with torch.no_grad():
            estimate = guide.estimate(x_t, t)
        # Where there is no signal the limit is missed by about the signal that is taken instead, 1e-3.
        tolerance = 2e-2 if faint(schedule, t) else 1e-8
        close(estimate.x0, truth.estimate(x_t, t).x0, rtol=tolerance, atol=tolerance)
        assert not estimate.x0.requires_grad


def test_two_measurements_one_after_the_other_are_both():
    """The second differentiates through the first, whose covariance is the first one's posterior."""
    (a, b), (y_a, y_b), noise_std = MATRICES["two"]
    exact = ExactDenoiser(gaussian(MEAN, COVARIANCE), LinearVP())
    guide = measured(measured(exact, [a], [y_a], noise_std), [b], [y_b], noise_std)
    truth = ExactDenoiser(conditioned(*MATRICES["two"]), LinearVP())
    x_t = randn(4, 3)
    close(guide.estimate(x_t, T).x0, truth.estimate(x_t, T).x0, rtol=1e-8, atol=1e-8)
    assert guide.evaluations(0.6) == 4


def test_a_measurement_goes_through_classifier_guidance():
    """Bayes' rule twice: the classifier's gradient is differentiated again, for one class of one Gaussian."""
    prior, label = number([0.5, 0.5]), Condition.of(label=torch.zeros(4, dtype=torch.int64))
    parts = [gaussian(MEAN, COVARIANCE), gaussian(-MEAN, 0.5 * COVARIANCE)]
    whole = GaussianMixture(
        prior,
        *(torch.cat([getattr(part, name) for part in parts]) for name in ("means", "axes", "variances")),
    )

    def log_prob(x_t, t, condition):
        logits = torch.stack([part.log_prob(x_t, LinearVP().level(t)) for part in parts], 1)
        return (logits + prior.log()).log_softmax(1)[:, 0]

    first = ClassifierGuided(ExactDenoiser(whole, LinearVP()), log_prob, 1.0)
    guide, x_t = measured(first, *MATRICES["sum"]), randn(4, 3)
    truth = ExactDenoiser(conditioned(*MATRICES["sum"]), LinearVP()).estimate(x_t, T)
    close(guide.estimate(x_t, T, label).x0, truth.x0, rtol=1e-8, atol=1e-8)
    assert guide.evaluations(0.6, label) == 6


def test_iterations_bring_the_residual_down():
    """Conjugate gradients on three equations: one step is not enough, three are."""
    matrix, y, noise_std = MATRICES["all"]
    exact = ExactDenoiser(gaussian(MEAN, COVARIANCE), LinearVP())
    truth = ExactDenoiser(conditioned(matrix, y, noise_std), LinearVP()).estimate(X_T[:, :3], T).x0
    guides = [Measured(exact, lambda x: x, number([y]), noise_std, n) for n in (1, 2, 3)]
    errors = [float((guide.estimate(X_T[:, :3], T).x0 - truth).norm()) for guide in guides]
    assert errors[0] > errors[1] > 1e-6 > 1e-12 > errors[2]


def test_an_image_is_measured_alone_as_among_others():
    matrix, y, noise_std = MATRICES["two"]
    guide = measured(ExactDenoiser(WHOLE, LinearVP()), matrix, y, noise_std)
    x_t = torch.cat([randn(3, 3), 50 * randn(1, 3, seed=1)])
    for index in range(4):
        one = slice(index, index + 1)
        close(guide.estimate(x_t, T).x0[one], guide.estimate(x_t[one], T).x0, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("noise_std", "iterations"), [(-0.1, 3), (float("nan"), 3), (0.1, 0)])
def test_bad_measurements_are_refused(noise_std, iterations):
    with pytest.raises(ConfigError, match="measurement needs"):
        Measured(DENOISER, lambda x: x, X_T, noise_std, iterations)


class Blind:
    """A denoiser that keeps no graph, as one for inference does."""

    schedule = DENOISER.schedule

    def estimate(self, x_t, t, condition=None):
        with torch.inference_mode():
            return DENOISER.estimate(x_t, t, condition)


def test_a_network_without_gradients_is_refused():
    with pytest.raises(ConfigError, match="keeps no gradient"):
        Measured(Blind(), lambda x: x, torch.zeros(1, 4), 0.1).estimate(X_T, T)


def inpainted(denoiser):
    return Inpainted(denoiser, number([KNOWN, 0.0, 0.0]), MASK)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("name", ["linear_vp", "cosine_vp", "linear_ve", "rectified_flow"])
def test_what_is_known_comes_out_as_it_went_in(name, sampler):
    """The last belief holds it to the bit; so does the end, where no solver errs on a constant belief.

    Those in time do on a curved schedule, and a Langevin sampler ends with a little noise of its own.
    """
    schedule = SCHEDULES[name]
    guide = inpainted(ExactDenoiser(gaussian(MEAN, COVARIANCE), schedule))
    x, times = schedule.prior_std * randn(4, 3), RhoGrid().times(6, schedule)
    if isinstance(sampler, Particular) and name != "linear_ve":
        return
    *_, last = sample_frames(guide, sampler, x, times, BlockNoise(0))
    known = torch.full((4,), KNOWN, dtype=torch.float64)
    assert torch.equal(last.x0[:, 0], known)
    assert not torch.equal(last.x0[:, 1], torch.zeros_like(known))
    if isinstance(schedule, RectifiedFlow | LinearVE) and not isinstance(sampler, Particular):
        close(last.x[:, 0], known, atol=1e-9)


def sampled(guide, n=2000):
    """Samples by a fine solver: what is left of the difference to the truth is the guide's own."""
    times = RhoGrid().times(40, guide.schedule)
    return last_x(guide, DPMSolverPP(2), guide.schedule.prior_std * randn(n, 3), times)


def test_inpainting_is_biased_and_measuring_is_not():
    """The known coordinate says much of the second one, with which it correlates at 0.52, and of the third.

    2,000 samples know a mean to std/45, 0.017 here; the replacement is off by ten times as much.
    """
    exact = ExactDenoiser(gaussian(MEAN, COVARIANCE), LinearVE())
    truth = conditioned([[1.0, 0.0, 0.0]], [KNOWN], 0.0)
    covariance = truth.axes[0] @ torch.diag(truth.variances[0]) @ truth.axes[0].T
    standard_error = covariance.diagonal().sqrt() / 2000**0.5

    replaced = sampled(inpainted(exact))
    off = (replaced.mean(0) - truth.means[0]).abs()
    assert float(off[1]) > 8 * float(standard_error[1])

    right = sampled(Measured(exact, lambda x: x[:, :1], number([[KNOWN]]), 0.0, 1))
    assert bool(((right.mean(0) - truth.means[0]).abs() < 4 * standard_error + 1e-6).all())
    # 2,000 samples know a variance to sqrt(2/2000), 3 %.
    close(right.T.cov(correction=0), covariance, atol=4 * 0.032 * float(covariance.max()), rtol=0)


def test_guides_compose_under_a_solver():
    """Inpainting a measured, classifier-guided model: all three hold at once."""
    first = ClassifierGuided(ExactDenoiser(WHOLE, LinearVP()), log_prob_of(LinearVP()), 2.0)
    second = Measured(first, lambda x: x[:, 1:2] + x[:, 2:], number([[0.8]]), 1e-3, 1)
    x, times = randn(4, 3), RhoGrid().times(12, LinearVP())
    *_, last = sample_frames(inpainted(second), Heun(), x, times, BlockNoise(0), LABELLED)
    close(last.x0[:, 0], number(KNOWN).expand(4))
    close(last.x0[:, 1] + last.x0[:, 2], number(0.8).expand(4), atol=1e-2)
    assert last.evaluations == 23 * 6


@pytest.mark.parametrize("mask", [[0.5, 1.0], [2.0, 0.0], [-1.0, 1.0]])
def test_a_mask_of_other_values_is_refused(mask):
    with pytest.raises(ConfigError, match="mask"):
        Inpainted(DENOISER, torch.zeros(2), torch.tensor(mask))
