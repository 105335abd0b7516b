"""How tokens are chosen: by the probabilities that are asked for, whatever number chooses."""

import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.families.autoregressive.choosing import Choice, chosen, probabilities

LOGITS = torch.tensor([2.0, -1.0, 0.5, 1.0, -3.0])
EVEN = (torch.arange(20_000) + 0.5) / 20_000
"""Numbers that fill [0, 1) evenly: what they choose has the probabilities themselves, up to 1 in 20,000."""


@pytest.mark.parametrize(
    "choice", [Choice(), Choice(0.5), Choice(top_k=2), Choice(top_p=0.8), Choice(2.0, 4, 0.9)]
)
def test_uniform_numbers_choose_by_the_probabilities(choice: Choice) -> None:
    p = probabilities(LOGITS, choice)
    found = torch.bincount(chosen(p.expand(len(EVEN), -1), EVEN), minlength=5) / len(EVEN)
    assert p.sum() == pytest.approx(1)
    assert torch.allclose(found, p, atol=2 / len(EVEN))


def test_the_models_own_probabilities_are_the_softmax() -> None:
    assert torch.equal(probabilities(LOGITS, Choice()), LOGITS.softmax(-1))


def test_temperature_divides_logits_and_its_limit_is_the_most_probable() -> None:
    assert torch.allclose(probabilities(LOGITS, Choice(0.25)), (4 * LOGITS).softmax(-1))
    assert torch.allclose(probabilities(LOGITS, Choice(1e-4)), probabilities(LOGITS, Choice(0.0)))
    assert probabilities(LOGITS, Choice(0.0)).tolist() == [1, 0, 0, 0, 0]


def test_the_most_probable_few_keep_their_proportions() -> None:
    p, own = probabilities(LOGITS, Choice(top_k=3)), LOGITS.softmax(-1)
    assert (p > 0).tolist() == [True, False, True, True, False]
    assert torch.allclose(p[p > 0], own[p > 0] / own[p > 0].sum())
    assert torch.equal(probabilities(LOGITS, Choice(top_k=5)), own)
    assert torch.equal(probabilities(LOGITS, Choice(top_k=50)), own)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.7, 0.95, 0.999])
def test_the_nucleus_is_the_fewest_that_hold_the_share(share: float) -> None:
    p, own = probabilities(LOGITS, Choice(top_p=share)), LOGITS.softmax(-1)
    held = own[p > 0]
    assert held.sum() >= share
    assert held.sum() - held.min() < share
    assert held.min() > own.where(p == 0, 0).max()


def test_what_has_no_probability_is_never_chosen() -> None:
    p = torch.tensor([0.0, 0.3, 0.0, 0.7, 0.0])
    ends = torch.tensor([0.0, 1e-12, 0.3, 1 - 1e-9, 1.0], dtype=torch.float64)
    assert set(chosen(p.expand(5, -1), ends).tolist()) <= {1, 3}


def test_each_number_chooses_one_token_of_its_own() -> None:
    p = torch.rand(4, 6, 9, generator=torch.Generator().manual_seed(0)).softmax(-1)
    uniform = torch.rand(4, 6, generator=torch.Generator().manual_seed(1))
    whole = chosen(p, uniform)
    for row in range(4):
        assert torch.equal(chosen(p[row], uniform[row]), whole[row])


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}, {"guidance": -1.0}]
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Choice(**wrong)  # type: ignore[arg-type]
