"""How many floating point operations a second training does, beside the peers' and the machine's own rate.

    TFLOP/s = 3 × operations of a forward pass × images a second / 10¹²

A backward pass costs about two forward ones. Operations are counted by torch's `FlopCounterMode` (products
and convolutions only); a step is loss, backward pass, clipping and optimiser, on the same pictures in the
same batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

import sfumato
from fast_parts.networks import AZULA, TRAINING, AzulaTraining, DiffusersTraining, flops
from fast_parts.ours import OurTraining
from fast_parts.page import Goal, Section, table
from fast_parts.rounds import Contestant, Timed, matrix_product, matrix_rate_in, race
from fast_parts.settings import Settings
from sfumato.data import Dataset

OURS = {"sfumato, as for 5 minutes": (), "sfumato, not compiled": ("training.compile=off",)}
NEVER = 10**6
"""Steps after which a peer's learning rate reaches zero: beyond all that is timed."""


@dataclass(frozen=True)
class Row:
    """A contestant, its forward operations an image, its weights, and what its loop had to say."""

    contestant: Contestant
    flops: float
    weights: int
    notices: Sequence[str] = ()


def weights_of(network: nn.Module) -> int:
    """Return how many numbers are trained."""
    return sum(parameter.numel() for parameter in network.parameters())


def ours(data: Dataset, batch: int) -> list[Row]:
    """Return ours: as it trains by default, and without the compiler."""
    rows = []
    for name, options in OURS.items():
        training = OurTraining(data, batch, options)
        network = training.training.family.module
        count = flops(network, torch.zeros(2, *data.shape), torch.zeros(2), None)
        contestant = Contestant(name, batch, training.step)
        rows.append(Row(contestant, count, weights_of(network), training.notices))
    return rows


def peers(x0: Tensor, labels: Tensor) -> list[Row]:
    """Return every network of the peers in every configuration, on this one batch."""
    rows = []
    shape = x0.shape[1:]
    for configuration in TRAINING:
        trainings: list[DiffusersTraining | AzulaTraining] = [DiffusersTraining(shape, configuration, NEVER)]
        trainings += [AzulaTraining(name, shape, options, configuration) for name, options in AZULA.items()]
        for training in trainings:
            name = f"{training.name}, {configuration.name}"
            contestant = Contestant(name, len(x0), partial(training, x0, labels))
            rows.append(Row(contestant, training.flops, weights_of(training.network)))
    return rows


def measure(settings: Settings) -> Section:
    """Race our default 28×28 network against the peers' on MNIST."""
    data = sfumato.load_data(settings.mnist)
    pictures, labels = data.train.batch(torch.arange(settings.batch))
    assert labels is not None
    rows = ours(data, settings.batch) + peers(pictures.float() / 127.5 - 1, labels)
    timed = race([matrix_product(), *(row.contestant for row in rows)], settings.rounds)
    rate = matrix_rate_in(timed)
    speed = {one.name: 3 * row.flops * one.rate / 1e12 for row, one in zip(rows, timed[1:], strict=True)}
    return Section("Training", text(rows, timed[1:], speed, rate, settings), goals(speed, rate))


def goals(speed: dict[str, float], rate: float) -> tuple[Goal, ...]:
    """Return the two goals: against the best peer, and against the machine."""
    our = speed[next(iter(OURS))]
    best, peer = max((value, name) for name, value in speed.items() if name not in OURS and value == value)
    return (
        Goal(
            f"training TFLOP/s, times the best peer's ({peer})",
            "≥ 4",
            f"{our:.3f} / {best:.3f} = {our / best:.1f}",
            our >= 4 * best,
        ),
        Goal(
            "training TFLOP/s, share of the matrix product's",
            "≥ 0.35",
            f"{our:.3f} / {rate:.3f} = {our / rate:.2f}",
            our >= 0.35 * rate,
        ),
    )


def text(
    rows: list[Row], timed: list[Timed], speed: dict[str, float], rate: float, settings: Settings
) -> str:
    """Return what was measured, a line for each contestant."""
    head = ["", "images/s", "forward GFLOP an image", "weights", "TFLOP/s", "of the matrix product"]
    body = []
    for row, one in zip(rows, timed, strict=True):
        figures = [f"{one.rate:.1f}", f"{row.flops / 1e9:.3f}", f"{row.weights:,}"]
        found = [f"{speed[one.name]:.3f}", f"{speed[one.name] / rate:.2f}"]
        body.append([one.name, *(["—"] * 5 if one.failed else figures + found)])
    remarks = [f"{one.name} did not run: {one.failed}." for one in timed if one.failed]
    remarks += [f"{row.contestant.name}: {notice}." for row in rows for notice in row.notices]
    told = (
        f"MNIST, {settings.batch} images a step, medians of {settings.rounds} turns, taken in turns with a "
        f"matrix product at {rate:.2f} TFLOP/s. Warmed up, compilation not counted."
    )
    return "\n\n".join([told, table(head, body), *remarks])
