"""Training the judge's network: once, on the training split, seeded, for a known amount of work.

AdamW (Loshchilov & Hutter 2019) under a one-cycle learning rate (Smith & Topin 2019); every picture is
shifted by up to a pixel and never mirrored, since a mirrored 2 is not a 2. The work is counted in pictures
and not in seconds, so it is the same on a slow machine and on a fast one:

    seen = min(max(30·N, 10 000), 1.2·10⁸ / (h·w))

for N training pictures of h·w positions after folding. A small set is seen 30 times over; a large one is cut
short at 1.2·10⁸ positions, which is 117 thousand pictures of 32×32.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.data import Dataset, Split
from sfumato.data.scaling import Pixels
from sfumato.metrics.network import JudgeNet, fold_of, fresh_network
from sfumato.metrics.tasks import Task
from sfumato.randomness import generator

Progress = Callable[[int, int], None]

BATCH = 128
PEAK_RATE = 3e-3
WEIGHT_DECAY = 0.01
ROUNDS = 30
LEAST_SEEN = 10_000
POSITIONS_SEEN = 120_000_000

# Measured with two threads of a recent server CPU; only an estimate is made of them.
SECONDS_PER_PICTURE = 4e-5
SECONDS_PER_POSITION = 3.5e-7


def examples_seen(dataset: Dataset) -> int:
    """Return how many pictures training processes, repeats included, a multiple of the batch."""
    wanted = min(max(ROUNDS * len(dataset.train), LEAST_SEEN), POSITIONS_SEEN // positions(dataset.shape))
    return max(1, wanted // BATCH) * BATCH


def positions(shape: tuple[int, ...]) -> int:
    """Return the number of positions h·w that the network sees of a picture of shape (C, H, W)."""
    fold = fold_of(shape)
    return -(-shape[1] // fold) * -(-shape[2] // fold)


def expected_seconds(dataset: Dataset) -> float:
    """Return a rough guess, from the work alone, of how long training takes on two recent cores."""
    return examples_seen(dataset) * (SECONDS_PER_PICTURE + positions(dataset.shape) * SECONDS_PER_POSITION)


def train_classifier(dataset: Dataset, task: Task, seed: int, progress: Progress | None = None) -> JudgeNet:
    """Train a network on the pictures of `dataset.train`; it comes back in evaluation mode, frozen.

    progress: told (pictures seen, pictures to see) after every step.
    """
    seen = examples_seen(dataset)
    net = fresh_network(dataset.shape, task.outputs, generator(seed, "judge weights"))
    optimiser = torch.optim.AdamW(net.parameters(), PEAK_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=seen // BATCH)
    order = _order(len(dataset.train), seen, generator(seed, "judge order"))
    draws = generator(seed, "judge lessons")
    net.train()
    for step, rows in enumerate(order.split(BATCH), start=1):
        pictures, answers = task.lesson(*dataset.train.batch(rows), draws)
        logits = net(as_input(shifted(pictures, draws)))
        optimiser.zero_grad()
        F.cross_entropy(logits, answers).backward()
        optimiser.step()
        schedule.step()
        if progress is not None:
            progress(step * BATCH, seen)
    return net.requires_grad_(False).eval()


def held_out_accuracy(net: JudgeNet, task: Task, held_out: Split) -> float | None:
    """Return the share of right answers on the held-out pictures; None where there are none."""
    if not len(held_out):
        return None
    right = total = 0
    for rows in torch.arange(len(held_out)).split(BATCH):
        pictures, answers = task.exam(*held_out.batch(rows))
        with torch.no_grad():
            right += int((net(as_input(pictures)).argmax(1) == answers).sum())
        total += len(answers)
    return right / total


def as_input(pictures: Tensor) -> Tensor:
    """Return pictures, uint8 (B, C, H, W), as the network takes them: [−1, 1], channels last in memory."""
    return Pixels().to_model(pictures).contiguous(memory_format=torch.channels_last)


def shifted(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each picture (B, C, H, W) by a pixel or none in either direction, repeating its border.

    Pictures of fewer than 16 pixels a side stay where they are: there a shift by one cuts strokes off, and
    the judge of 8×8 digits falls from 99.4 % to 98.5 %.
    """
    batch, _, height, width = pictures.shape
    reach = min(1, min(height, width) // 16)
    down, right = torch.randint(-reach, reach + 1, (2, batch, 1), generator=generator)
    rows = (torch.arange(height) + down).clamp(0, height - 1)
    columns = (torch.arange(width) + right).clamp(0, width - 1)
    every = torch.arange(batch)[:, None, None]
    # Indices around the channel axis move it to the end, which is already the layout the network wants.
    return pictures[every, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _order(count: int, seen: int, draws: torch.Generator) -> Tensor:
    """Return `seen` row numbers: one shuffle of all rows after another."""
    rounds = -(-seen // count)
    return torch.cat([torch.randperm(count, generator=draws) for _ in range(rounds)])[:seen]
