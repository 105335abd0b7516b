"""The classifier of noisy examples: its loss is the cross entropy, and trained it approaches Bayes' rule."""

import torch
from torch import nn
from torch.nn import functional as F

from sfumato.condition import Condition
from sfumato.diffusion.schedules import CosineVP
from sfumato.diffusion.times import Uniform
from sfumato.diffusion.view import WithLevel
from sfumato.families.agreements import Batch
from sfumato.families.noisy_classifier import NoisyClassifier
from sfumato.nets.encoder import PictureEncoder, VectorEncoder
from sfumato.randomness import generator

MEANS = torch.tensor([[1.5, 0.0], [-1.0, 1.0], [0.0, -2.0]])
STD = 0.5


def family(network: nn.Module) -> NoisyClassifier:
    return NoisyClassifier(network, network, CosineVP(), WithLevel(1.0), Uniform())


def blobs(rows: int, seed: int) -> Batch:
    """Three Gaussians of equal weight, whose classifier is known at every level."""
    draw = generator(seed, "blobs")
    labels = torch.randint(3, (rows,), generator=draw)
    examples = MEANS[labels] + STD * torch.randn(rows, 2, generator=draw)
    return Batch(examples, Condition.of(label=labels))


def bayes(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """log p(c | x_t) of all three classes: x_t given c is N(alpha·mean, (alpha²·std² + sigma²) I)."""
    level = CosineVP().level(t)
    alpha, sigma = level.alpha.float()[:, None, None], level.sigma.float()[:, None]
    distance = (x_t[:, None] - alpha * MEANS).square().sum(2)
    return (-0.5 * distance / ((alpha[:, 0] * STD).square() + sigma.square())).log_softmax(1)


def test_the_loss_is_the_cross_entropy_of_what_is_shown() -> None:
    def logits(shown: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return torch.stack([shown.sum(1), level, 0 * level], 1)

    classifier = NoisyClassifier(nn.Identity(), logits, CosineVP(), WithLevel(1.0), Uniform())
    batch, draws = blobs(5, 0), classifier.draw(5, (2,), generator(0, "draws"))
    level = CosineVP().level(draws["t"])
    x_t = level.alpha.float()[:, None] * batch.examples + level.sigma.float()[:, None] * draws["eps"]
    # Variance preserving and sigma_data = 1: shown as it is, with the level ¼·log(sigma/alpha).
    seen = logits(x_t, (level.sigma / level.alpha).log().float() / 4)
    assert batch.condition is not None
    labels = batch.condition.values["label"]
    torch.testing.assert_close(classifier.loss(batch, draws), F.cross_entropy(seen, labels, reduction="none"))


def test_trained_it_reads_as_bayes_rule_does() -> None:
    """400 steps bring the mean divergence from the exact classifier under 0.03 nats; untrained it is 0.4."""
    with torch.random.fork_rng():
        torch.random.set_rng_state(generator(0, "weights").get_state())
        network = VectorEncoder(2, 3, width=32, layers=2)
    classifier, test = family(network), blobs(2000, 1)
    draws = classifier.draw(2000, (2,), generator(1, "draws"))
    level = CosineVP().level(draws["t"])
    x_t = level.alpha.float()[:, None] * test.examples + level.sigma.float()[:, None] * draws["eps"]
    exact = bayes(x_t, draws["t"])

    def divergence() -> float:
        with torch.no_grad():
            read = classifier.logits(x_t, draws["t"]).log_softmax(1)
        return float((exact.exp() * (exact - read)).sum(1).mean())

    assert divergence() > 0.3
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for step in range(400):
        batch = blobs(256, 2 + step)
        classifier.loss(batch, classifier.draw(256, (2,), generator(step, "train"))).mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    assert divergence() < 0.03


def test_a_dropped_label_says_nothing() -> None:
    classifier = family(VectorEncoder(2, 3, width=8, layers=1))
    condition = Condition.of(label=torch.tensor([0, 1])).drop(torch.tensor([False, True]))
    x_t = torch.ones(2, 2, requires_grad=True)
    log_prob = classifier.log_prob(x_t, torch.tensor(0.5, dtype=torch.float64), condition)
    (gradient,) = torch.autograd.grad(log_prob.sum(), x_t)
    assert log_prob[0] < 0 == log_prob[1]
    assert gradient[0].abs().max() > 0 == gradient[1].abs().max()


def test_encoders_take_any_size_and_look_at_x_and_level() -> None:
    level = torch.tensor([0.1, -0.3])
    for encoder, shape in (
        (PictureEncoder(1, 7, (8, 16)), (1, 8, 8)),
        (PictureEncoder(3, 7, (8, 16, 16)), (3, 13, 9)),
        (VectorEncoder(5, 7, 16, 2), (5,)),
    ):
        # Blocks start as the identity: the modulation by the level opens with the first steps.
        for parameter in encoder.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator(0, "opened"))
        x = torch.randn(2, *shape, generator=generator(0, "x"))
        out = encoder(x, level)
        assert out.shape == (2, 7)
        assert not torch.allclose(out, encoder(x, level + 0.2), atol=1e-4)
        assert not torch.allclose(out, encoder(x.flip(1), level), atol=1e-4) or shape[0] == 1
        torch.testing.assert_close(encoder(x[:1], level[:1]), out[:1], rtol=1e-4, atol=1e-5)
