"""Adversarial games: what the best critic says, where both sides rest, what penalties cost."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from sfumato.condition import Condition
from sfumato.errors import ConfigError
from sfumato.families.adversarial.game import CRITIC, GENERATOR, AdversarialGame
from sfumato.families.adversarial.gan import GAN
from sfumato.families.adversarial.losses import LOSSES
from sfumato.families.adversarial.measures import coverage, relative_spread
from sfumato.families.adversarial.penalties import Penalties, gradient
from sfumato.families.agreements import Batch, DataFacts, Encoder, Generator, Measured
from sfumato.randomness import SeededNoise

every_loss = pytest.mark.parametrize("name", sorted(LOSSES))
FACTS = [
    DataFacts((1, 8, 8), 10, (-1.0, 1.0)),
    DataFacts((3, 25, 31), 0, (-1.0, 1.0)),
    DataFacts((2,), 8),
    DataFacts((5,)),
]


def answers(name: str, value: float, rows: int = 4) -> Tensor:
    """What a critic of the loss says who gives every example the log-odds `value` of being real."""
    said = torch.zeros(rows, LOSSES[name].outputs, dtype=torch.float64)
    said[:, 0] = value
    return said


# --- the losses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "critic", "generator"),
    [
        ("lecture", 1.0, -0.5),
        ("saturating", math.log(4), -math.log(2)),
        ("non-saturating", math.log(4), math.log(2)),
        ("wasserstein", 0.0, 0.0),
        ("hinge", 2.0, 0.0),
        ("relativistic", math.log(2), math.log(2)),
    ],
)
def test_the_losses_where_the_critic_cannot_tell(name: str, critic: float, generator: float) -> None:
    said, loss = answers(name, 0.0), LOSSES[name]
    exactly = pytest.approx([critic] * 4, abs=1e-15)
    assert loss.critic(said, said).tolist() == exactly
    assert loss.generator(said, lambda: said).tolist() == pytest.approx([generator] * 4, abs=1e-15)


@pytest.mark.parametrize("name", ["lecture", "saturating", "non-saturating"])
@pytest.mark.parametrize(("p", "q"), [(0.5, 0.5), (0.2, 0.6), (0.9, 0.05)])
def test_the_best_critic_of_each_picture_alone_says_p_over_p_plus_q(name: str, p: float, q: float) -> None:
    """At a point of densities p and q the expected loss is least, to rounding, at log-odds log p/q."""
    odds = torch.tensor(math.log(p / q), dtype=torch.float64, requires_grad=True)
    said = torch.stack([odds, torch.zeros_like(odds)])[: LOSSES[name].outputs][None]
    nothing = torch.zeros_like(said).detach()
    loss = LOSSES[name]
    of_real = loss.critic(said, nothing) - loss.critic(nothing, nothing)
    of_fake = loss.critic(nothing, said) - loss.critic(nothing, nothing)
    expected = p * of_real + q * of_fake
    (slope,) = torch.autograd.grad(expected.sum(), odds, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, odds)
    assert float(slope.detach()) == pytest.approx(0, abs=1e-15)
    assert float(curvature) > 0


def test_the_hinge_asks_for_a_margin_of_one_and_the_best_critic_gives_it() -> None:
    loss = LOSSES["hinge"]
    real, fake = torch.tensor([[1.0], [3.0], [0.0]]), torch.tensor([[-1.0], [-3.0], [0.0]])
    assert loss.critic(real, fake).tolist() == [0, 0, 2]


@every_loss
def test_the_sides_pull_apart(name: str) -> None:
    """The critic wants data above samples; the generator wants its samples higher."""
    loss = LOSSES[name]
    low, high = answers(name, -1.0), answers(name, 1.0)
    assert torch.all(loss.critic(high, low) < loss.critic(low, high))
    assert torch.all(loss.generator(high, lambda: low) < loss.generator(low, lambda: low))


def test_the_relativistic_loss_knows_differences_alone() -> None:
    loss = LOSSES["relativistic"]
    real, fake = torch.randn(2, 5, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(loss.critic(real + 7, fake + 7), loss.critic(real, fake), rtol=0, atol=1e-14)
    # The generator's side is the critic's with the parts exchanged.
    assert torch.equal(loss.generator(fake, lambda: real), loss.critic(fake, real))


# --- the penalties ------------------------------------------------------------------------------------


def linear(x: Tensor, condition: Condition | None) -> Tensor:
    """D(x) = w·x with |w| = 5."""
    return x @ torch.tensor([[3.0], [4.0]], dtype=x.dtype)


@pytest.mark.parametrize(
    ("penalties", "cost"),
    [(Penalties(r1=2), 25.0), (Penalties(r2=4), 50.0), (Penalties(slope=10), 160.0)],
)
def test_the_penalty_of_a_linear_critic_is_that_of_its_slope(penalties: Penalties, cost: float) -> None:
    real, fake = torch.randn(2, 6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = penalties(linear, real, fake, None, torch.linspace(0, 1, 6))
    assert found.tolist() == pytest.approx([cost] * 6, rel=1e-6)  # summed in float32


def test_each_penalty_looks_where_it_should() -> None:
    """D(x) = x²/2 has the slope x."""
    real, fake = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [6.0]])

    def square(x: Tensor, condition: Condition | None) -> Tensor:
        return x.square() / 2

    mix = torch.tensor([0.0, 0.25])
    assert Penalties(r1=2)(square, real, fake, None, mix).tolist() == [1, 4]
    assert Penalties(r2=2)(square, real, fake, None, mix).tolist() == [9, 36]
    assert Penalties(slope=1)(square, real, fake, None, mix).tolist() == pytest.approx([4, 16])


def test_a_share_of_the_rows_stands_for_all_of_them() -> None:
    real, fake = torch.zeros(8, 2), torch.zeros(8, 2)
    cost = Penalties(r1=2).on_share(0.25, linear, real, fake, None, torch.zeros(8))
    assert cost.tolist() == [100, 100, 0, 0, 0, 0, 0, 0]
    assert float(cost.mean()) == 25


def test_the_penalty_can_be_differentiated_by_the_weights() -> None:
    """For D(x) = w·x it is r1/2·w², whose derivative is r1·w."""
    weight = torch.tensor(3.0, requires_grad=True)
    cost = Penalties(r1=0.5)(lambda x, _: weight * x, torch.ones(4, 1), torch.ones(4, 1), None, torch.ones(4))
    cost.mean().backward()
    assert float(weight.grad) == pytest.approx(1.5)  # type: ignore[arg-type]


# --- the Dirac-GAN ------------------------------------------------------------------------------------


class Point(nn.Module):
    """A generator of one point, θ, whatever the noise."""

    def __init__(self, theta: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta, dtype=torch.float64))

    def forward(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Return θ: (B, 1)."""
        return self.theta.expand(len(z), 1)


class Slope(nn.Module):
    """A critic D(x) = ψ·x."""

    def __init__(self, psi: float) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.tensor(psi, dtype=torch.float64))

    def forward(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Return ψ·x: (B, 1)."""
        return self.psi * x


def dirac(name: str, penalties: Penalties, theta: float = 1.0, psi: float = 0.0) -> AdversarialGame:
    """Data at 0, samples at θ, a critic of slope ψ (Mescheder et al. 2018, definition 2.1)."""
    critic = Slope(psi)
    return AdversarialGame(Point(theta), critic, critic, LOSSES[name], penalties, 1.0, 1.0, 1, 0)


def forces(game: AdversarialGame) -> tuple[float, float]:
    """Return what moves (θ, ψ): minus the gradient of each side's loss by its own parameter."""
    batch = Batch(torch.zeros(1, 1, dtype=torch.float64), None)
    draws = game.draw(1, (1,), torch.Generator().manual_seed(0))
    (by_theta,) = torch.autograd.grad(game.generator_loss(batch, draws).mean(), game.generator.theta)
    (by_psi,) = torch.autograd.grad(game.critic_loss(batch, draws).mean(), game.critic.psi)
    return -float(by_theta), -float(by_psi)


def turns(name: str, penalties: Penalties) -> tuple[complex, complex]:
    """Return the eigenvalues of the forces' Jacobian at the equilibrium (0, 0), from central differences."""
    step, columns = 1e-3, []
    for theta, psi in ((step, 0.0), (0.0, step)):
        ahead = forces(dirac(name, penalties, theta, psi))
        back = forces(dirac(name, penalties, -theta, -psi))
        columns.append([(after - before) / (2 * step) for after, before in zip(ahead, back, strict=True)])
    first, second = torch.linalg.eigvals(torch.tensor(columns, dtype=torch.float64)).tolist()
    return first, second


def test_of_two_outputs_the_penalty_is_on_what_their_softmax_sees() -> None:
    """One output up as steeply as the other down: their sum is flat, the log-odds rise by 2·3."""
    x = torch.randn(5, 1, generator=torch.Generator().manual_seed(0))
    slope = gradient(lambda x, condition: torch.cat([3 * x, -3 * x], 1), x, None)
    assert torch.equal(slope, torch.full_like(x, 6.0))
    assert torch.equal(gradient(lambda x, condition: 3 * x, x, None), torch.full_like(x, 3.0))


ONE_NUMBER = sorted(set(LOSSES) - {"lecture"})
SPEED = {"wasserstein": 1.0, "hinge": 1.0}  # that of the logistic losses is their slope at 0, 1/2


@pytest.mark.parametrize("name", ONE_NUMBER)
def test_both_sides_rest_where_samples_are_data(name: str) -> None:
    assert forces(dirac(name, Penalties(r1=1, r2=1), theta=0.0, psi=0.0)) == (0, 0)


@pytest.mark.parametrize("name", ONE_NUMBER)
def test_without_a_penalty_the_game_circles(name: str) -> None:
    """Both eigenvalues are imaginary (Mescheder et al. 2018, lemma 2.3): nothing draws it to the middle.

    Central differences of step 1e-3 err by 1e-6 at most.
    """
    for found in turns(name, Penalties()):
        assert found.real == pytest.approx(0, abs=1e-6)
        assert abs(found.imag) == pytest.approx(SPEED.get(name, 0.5), abs=1e-6)


@pytest.mark.parametrize("name", ONE_NUMBER)
@pytest.mark.parametrize("penalties", [Penalties(r1=0.5), Penalties(r2=0.5), Penalties(r1=0.25, r2=0.25)])
def test_zero_centred_penalties_draw_it_home(name: str, penalties: Penalties) -> None:
    """The eigenvalues are −r/2 ± i·(f² − r²/4)^½ for r = r1 + r2 (the same paper, on such penalties)."""
    for found in turns(name, penalties):
        assert found.real == pytest.approx(-0.25, abs=1e-6)
        assert abs(found.imag) == pytest.approx(math.sqrt(SPEED.get(name, 0.5) ** 2 - 0.0625), abs=1e-6)


def walk(game: AdversarialGame, steps: int, rate: float = 0.1) -> list[float]:
    """Follow the forces, both at once; return the distance from the equilibrium after each step."""
    distances = []
    for _ in range(steps):
        theta, psi = forces(game)
        with torch.no_grad():
            game.generator.theta += rate * theta
            game.critic.psi += rate * psi
        distances.append(math.hypot(game.generator.theta.item(), game.critic.psi.item()))
    return distances


def test_the_first_game_spirals_outwards_and_the_default_comes_home() -> None:
    """Forces across the radius lengthen it at every step; falling at r/2 = 1/4, e⁻¹⁵ is left at time 60."""
    away = walk(dirac("saturating", Penalties()), 300)
    assert all(after > before for before, after in pairwise(away))
    assert walk(dirac("relativistic", Penalties(r1=0.25, r2=0.25)), 600)[-1] < 1e-5


def test_the_forces_of_the_dirac_gan_are_known() -> None:
    """With f(u) = −S(−u): θ' = −f'(θψ)·ψ, ψ' = f'(θψ)·θ·(−1) − (r1 + r2)·ψ for the relativistic loss."""
    theta, psi = 0.7, 0.4
    pull = 1 / (1 + math.exp(-theta * psi))
    by_theta, by_psi = forces(dirac("relativistic", Penalties(r1=0.2, r2=0.3), theta, psi))
    # The critic is wrong about this pair with probability sigmoid(θψ), the generator with its complement.
    assert by_psi == pytest.approx(-pull * theta - 0.5 * psi, rel=1e-6)
    assert by_theta == pytest.approx((1 - pull) * psi, rel=1e-6)


# --- the measures of collapse -------------------------------------------------------------------------


def test_samples_as_good_as_data_spread_and_cover() -> None:
    """Coverage of k = 5 is then Π (N−1−i)/(2N−1−i) over i < 5, about 1 − 2⁻⁵, as samples fall among examples

    in any order. Its standard deviation over 512 dependent examples was at most 0.02.
    """
    samples, examples = torch.randn(2, 512, 6, generator=torch.Generator().manual_seed(1))
    missed = math.prod((511 - place) / (1023 - place) for place in range(5))
    assert coverage(samples, examples) == pytest.approx(1 - missed, abs=0.03)
    assert relative_spread(samples, examples, None) == pytest.approx(1, abs=0.03)


def test_one_picture_for_all_is_seen() -> None:
    examples = torch.randn(256, 6, generator=torch.Generator().manual_seed(1))
    assert relative_spread(torch.zeros(256, 6), examples, None) == 0
    assert coverage(torch.zeros(256, 6), examples) < 0.5


def test_half_of_the_modes_are_half_of_the_coverage() -> None:
    generator = torch.Generator().manual_seed(1)
    examples, samples = 0.01 * torch.randn(2, 400, 2, generator=generator)
    examples[::2] += 1
    # Twice the samples where they are: 1 − 2⁻⁵ becomes 1 − 3⁻⁵ there, and nothing elsewhere.
    assert coverage(samples, examples) == pytest.approx(0.5, abs=0.01)


def test_one_picture_a_class_is_seen_only_within_classes() -> None:
    labels = torch.arange(100) % 4
    examples = torch.randn(100, 3, generator=torch.Generator().manual_seed(1))
    samples = 10.0 * labels[:, None].expand(100, 3)
    assert relative_spread(samples, examples, labels) == 0
    assert relative_spread(samples, examples, None) > 1


# --- the family ---------------------------------------------------------------------------------------


def game_of(facts: DataFacts, **options: object) -> tuple[AdversarialGame, Batch]:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        family = GAN(width=8, latent=4, **options).build(facts)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    examples = torch.randn(6, *facts.shape, generator=generator).clamp(-1, 1)
    condition = Condition.of(label=torch.arange(6) % facts.classes) if facts.classes else None
    return family, Batch(examples, condition, 0.5)


@pytest.mark.parametrize("facts", FACTS, ids=lambda facts: f"{facts.shape} {facts.classes}")
@every_loss
def test_every_loss_moves_both_sides_on_any_data(facts: DataFacts, name: str) -> None:
    family, batch = game_of(facts, loss=name)
    draws = family.draw(6, facts.shape, torch.Generator().manual_seed(1))
    for player in family.players():
        loss = player.loss(batch, draws)
        assert loss.shape == (6,)
        assert loss.isfinite().all()
        loss.mean().backward()
        moved = [weight.grad is not None and bool(weight.grad.any()) for weight in player.module.parameters()]
        assert any(moved)
    assert batch.examples.grad is None


@pytest.mark.parametrize("facts", FACTS, ids=lambda facts: f"{facts.shape} {facts.classes}")
def test_the_same_seed_is_the_same_picture_alone_and_in_a_batch(facts: DataFacts) -> None:
    family, batch = game_of(facts)
    assert isinstance(family, Generator)
    assert isinstance(family, Measured)
    assert not isinstance(family, Encoder)
    with torch.inference_mode():
        *_, together = family.frames((6, *facts.shape), SeededNoise(range(6)), batch.condition, None)
        asked = None if batch.condition is None else batch.condition[4:5]
        *_, alone = family.frames((1, *facts.shape), SeededNoise([4]), asked, None)
    assert together.state.shape == batch.examples.shape
    assert together.index == together.steps == 1
    # Matrix products of one row and of six sum in another order.
    assert torch.allclose(together.state[4:5], alone.state, atol=1e-5)
    if facts.bounds:
        assert together.state.abs().max() <= 1


def test_labels_reach_samples_and_verdicts() -> None:
    family, _ = game_of(FACTS[0])
    z, x = torch.zeros(1, 4), torch.zeros(1, 1, 8, 8)
    nought, one = (Condition.of(label=torch.tensor([label])) for label in (0, 1))
    with torch.no_grad():
        # The blocks' modulation starts at zero, so the first layer alone tells classes apart so far.
        assert not torch.allclose(family.generator(z, nought), family.generator(z, one), atol=1e-4)
        assert not torch.allclose(family.critic(x + 1, nought), family.critic(x + 1, one), atol=1e-4)


def test_a_game_without_its_labels_is_refused() -> None:
    family, batch = game_of(FACTS[0])
    assert batch.condition is not None
    for condition in (None, batch.condition.drop_all()):
        with pytest.raises(ConfigError, match="learned each class by its label"):
            list(family.frames((6, 1, 8, 8), SeededNoise(range(6)), condition, None))
    free, _ = game_of(FACTS[0], labels=False)
    assert len(list(free.frames((6, 1, 8, 8), SeededNoise(range(6)), None, None))) == 2


def test_penalties_fade_as_training_goes_on() -> None:
    family, batch = game_of(FACTS[3], loss="relativistic", r1=1000.0, r2=0.0, fall=0.01, share=1.0)
    draws = family.draw(6, (5,), torch.Generator().manual_seed(1))
    free = replace(family, penalties=Penalties()).critic_loss(batch, draws)
    costs = [
        (family.critic_loss(replace(batch, progress=progress), draws) - free).mean().item()
        for progress in (0.0, 0.5, 1.0)
    ]
    assert costs[1] == pytest.approx(costs[0] / 10, rel=1e-3)  # a difference of losses in float32
    assert costs[2] == pytest.approx(costs[0] / 100, rel=1e-2)


def test_other_forms_of_the_networks_take_their_place() -> None:
    family, batch = game_of(FACTS[2])
    draws = family.draw(6, (2,), torch.Generator().manual_seed(1))
    called: list[str] = []

    def spy(name: str, module: nn.Module) -> nn.Module:
        module.register_forward_hook(lambda *_: called.append(name))
        return module

    other, _ = game_of(FACTS[2])
    mixed = family.with_modules({GENERATOR: spy(GENERATOR, other.generator)})
    mixed.generator_loss(batch, draws)
    assert called == [GENERATOR]
    whole = family.with_modules({CRITIC: spy(CRITIC, other.critic)})
    whole.generator_loss(batch, draws)
    assert CRITIC in called
    assert whole.plain_critic is family.critic


def test_measures_are_of_both_sides() -> None:
    family, batch = game_of(FACTS[0])
    draws = family.draw(6, (1, 8, 8), torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = family.measures(batch, draws)
        said = family.critic(batch.examples, batch.condition)
    assert found["critic on data"] == pytest.approx(float(said.mean()), abs=1e-6)
    assert 0 <= found["coverage (share of data)"] <= 1
    assert found["spread of samples over data"] == 1.0  # no two of six rows share one of ten classes


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": "relativstic"}, "Did you mean 'relativistic'"),
        ({"r1": -1.0}, "r1 must be at least 0"),
        ({"share": 0.0}, "share must be above 0"),
        ({"latent": 0}, "latent must be at least 1"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        GAN(**options)  # type: ignore[arg-type]
