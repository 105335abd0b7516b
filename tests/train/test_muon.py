"""Muon: what it does to singular values, what it leaves to AdamW, and that it trains."""

import pytest
import torch
from torch import nn

from sfumato.errors import ConfigError
from sfumato.nets.conditions import Labels
from sfumato.nets.unet import UNet
from sfumato.train.muon import Muon, matrices_of, orthogonalise
from sfumato.train.optimiser import AdamW, load_moments, moments, take_step


def _matrices(n: int, rows: int, columns: int) -> torch.Tensor:
    return torch.randn(n, rows, columns, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (24, 96), (96, 24)])
def test_the_singular_vectors_stay_and_the_values_become_about_one(rows: int, columns: int) -> None:
    matrices = _matrices(3, rows, columns).double()
    u, s, vh = torch.linalg.svd(matrices, full_matrices=False)
    found = orthogonalise(matrices)
    inner = u.mT @ found @ vh.mT  # diagonal, if the vectors are the same
    off_diagonal = inner - torch.diag_embed(inner.diagonal(dim1=1, dim2=2))
    assert off_diagonal.abs().max() < 1e-9
    # Jordan's polynomial leaves values within 0.3 of one where they start above a thousandth of the norm.
    kept = s / torch.linalg.matrix_norm(matrices)[:, None] > 1e-3
    assert ((inner.diagonal(dim1=1, dim2=2)[kept] - 1).abs() < 0.35).all()


def test_a_matrix_is_treated_as_it_would_be_alone() -> None:
    matrices = _matrices(3, 20, 40)
    for index in range(3):
        alone = orthogonalise(matrices[index : index + 1])[0]
        torch.testing.assert_close(orthogonalise(matrices)[index], alone, rtol=1e-5, atol=1e-6)


def test_every_weight_has_one_optimiser_and_tables_and_biases_have_adamw() -> None:
    network = UNet(1, (16, 32), conditions={"label": Labels(40)})
    momentum, adam = Muon().build(network)
    owned = [p for optimiser in (momentum, adam) for group in optimiser.param_groups for p in group["params"]]
    assert sorted(map(id, owned)) == sorted(map(id, network.parameters()))
    chosen = {id(weight) for weight in momentum.param_groups[0]["params"]}
    table = network.told.readers["label"].embed.weight
    assert id(table) not in chosen  # its rows are no directions of a map
    assert id(network.head.weight) not in chosen  # one output channel
    assert id(network.middle.block.conv_in.weight) in chosen
    assert not any(p.ndim == 1 for p in momentum.param_groups[0]["params"])


def test_the_size_of_a_step_does_not_depend_on_the_size_of_the_gradient() -> None:
    steps = []
    for scale in (2.0**-10, 1.0, 2.0**10):
        layer = nn.Linear(64, 32, bias=False)
        nn.init.zeros_(layer.weight)
        layer.weight.grad = scale * _matrices(1, 32, 64)[0]
        take_step(Muon(weight_decay=0.0).build(layer), 0.01)
        steps.append(layer.weight.detach().clone())
    # Powers of two change no digit, in bf16 either; the norm's floor of 1e-7 does, by 1e-6 of the smallest.
    torch.testing.assert_close(steps[0], steps[1], rtol=0.02, atol=1e-5)
    torch.testing.assert_close(steps[1], steps[2], rtol=0.02, atol=1e-5)
    # 0.2·sqrt(64)·rate times an orthogonal matrix of 32 rows, whose entries have root mean square 1/8: like
    # AdamW, a step of 0.2 of the rate an entry, the singular values being 1 to within a third.
    assert float(steps[1].square().mean().sqrt()) == pytest.approx(0.2 * 0.01, rel=0.35)


def test_it_fits_a_linear_map() -> None:
    true = _matrices(1, 32, 32)[0]
    layer = nn.Linear(32, 32, bias=False)
    optimisers = Muon(weight_decay=0.0).build(layer)
    x = torch.randn(256, 32, generator=torch.Generator().manual_seed(1))
    for step in range(300):
        (layer(x) - x @ true.T).square().mean().backward()
        take_step(optimisers, 0.1 * (1 - step / 300))
    error = float(((layer.weight - true).square().mean() / true.square().mean()).sqrt().detach())
    assert error < 0.05


@pytest.mark.parametrize("rule", [AdamW(), Muon()])
def test_moments_come_back_bitwise(rule: AdamW | Muon) -> None:
    def steps(network: nn.Module, optimisers: tuple[torch.optim.Optimizer, ...], count: int) -> None:
        for index in range(count):
            x = torch.randn(8, 32, generator=torch.Generator().manual_seed(index))
            network(x).square().mean().backward()
            take_step(optimisers, 0.01)

    first = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 32))
    second = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 32))
    ours, theirs = rule.build(first), rule.build(second)
    steps(first, ours, 3)
    second.load_state_dict(first.state_dict())
    load_moments(theirs, {name: value.clone() for name, value in moments(ours).items()})
    steps(first, ours, 3)
    steps(second, theirs, 3)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_network_without_matrices_is_adamw_s_alone() -> None:
    assert matrices_of(nn.Linear(4, 4)) == []
    assert len(Muon().build(nn.Linear(4, 4))) == 1


@pytest.mark.parametrize("rule", [AdamW, Muon])
@pytest.mark.parametrize("wrong", [{"momentum": 1.0}, {"momentum": -0.1}, {"weight_decay": -0.1}])
def test_what_cannot_be_is_refused(rule: type[AdamW | Muon], wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        rule(**wrong)


def test_adamw_keeps_of_past_gradients_what_it_is_told() -> None:
    for rule, kept in ((AdamW(), 0.9), (AdamW(momentum=0.5), 0.5)):
        layer = nn.Linear(1, 1, bias=False)
        (optimiser,) = rule.build(layer)
        for gradient in (1.0, -3.0):
            layer.weight.grad = torch.full_like(layer.weight, gradient)
            take_step((optimiser,), 0.01)
        # m ← beta1·m + (1 − beta1)·g and v ← 0.99·v + 0.01·g², twice from 0; in float32.
        state = optimiser.state[layer.weight]
        assert float(state["exp_avg"]) == pytest.approx((1 - kept) * (kept * 1 - 3), rel=1e-6)
        assert float(state["exp_avg_sq"]) == pytest.approx(0.01 * (0.99 * 1 + 9), rel=1e-6)
