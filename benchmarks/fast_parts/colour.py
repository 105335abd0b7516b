"""CIFAR-10 as a folder of 32×32 colour images: ours and diffusers' after the same seconds of training.

diffusers' network is the one of the training part with three channels; the course's network for 32×32
pictures takes four times the operations and would see a quarter of the images. It is trained by the
documentation's loop, flips included, in the configuration that is fastest here, for as many seconds as ours;
its compilation is not counted, ours is. It is sampled by DDIM in 50 steps and knows no classes; ours is
asked for all classes alike, without guidance. Both meet the same judge, with the same number of samples.
"""

import json
import tarfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import torch
from safetensors.torch import load_file, save_file

import sfumato
from fast_parts.networks import TRAINING, Configuration, DiffusersTraining, diffusers_network
from fast_parts.ours import score, trained
from fast_parts.page import Goal, Section, table
from fast_parts.rounds import Contestant, race
from fast_parts.sampling import DDIM, STEPS, fastest
from fast_parts.settings import NotMeasuredError, Settings
from sfumato.app.pictures import picture, save_image
from sfumato.data import Dataset
from sfumato.metrics import Scores, evaluate, judge_for
from sfumato.randomness import generator
from sfumato.train.order import Order

BUDGET = 1200.0
SHOWN = 100
DRAWN_AT_ONCE = 250


@dataclass(frozen=True)
class Peer:
    """diffusers' network after training: its samples, and what training was like."""

    samples: torch.Tensor
    told: str


def measure(settings: Settings) -> Section:
    """Train both, sample both, score both, and draw both."""
    source = unpacked(settings)
    made = trained(settings, "cifar10", source, BUDGET)
    data = sfumato.load_data(source)
    ours = score(made.run, data, settings.colour_samples, 100_000, guidance=1.0)
    peer = diffusers_samples(settings, data, made.asked)
    theirs = evaluate(peer.samples, None, data, judge_for(data))
    for name, samples in (("ours", ours.samples), ("diffusers", peer.samples.numpy())):
        sheet = picture(samples[:SHOWN], columns=10)
        save_image(settings.out / f"fast-{settings.day}-colour-{name}.png", sheet)
    ratio = ours.scores.frechet.mean / theirs.frechet.mean
    goal = Goal(
        "CIFAR-10, 20 minutes: Fréchet distance, times diffusers'",
        "≤ 0.3",
        f"{ours.scores.frechet.mean:.3f} / {theirs.frechet.mean:.3f} = {ratio:.2f}",
        ratio <= 0.3,
    )
    body = [line("sfumato", ours.scores, ours.evaluations), line("diffusers", theirs, STEPS)]
    head = ["", "samples", "evaluations", "Fréchet distance", "floor", "times the floor", "read as asked"]
    told = f"- sfumato: {made}\n- diffusers: {peer.told}"
    accuracy = f"The judge reads {ours.scores.judge_accuracy or 0:.1%} of held-out pictures right."
    return Section("Colour", "\n\n".join([table(head, body), told, accuracy, pictures(settings)]), (goal,))


def unpacked(settings: Settings) -> Path:
    """Return the folder of CIFAR-10, unpacked among the runs."""
    archive, folder = settings.data / "cifar10.tar.xz", settings.runs / "cifar10"
    if not archive.is_file():
        raise NotMeasuredError(f"there is no {archive.name} in the folder that SFUMATO_DATA names")
    if not folder.exists():
        aside = folder.with_name("cifar10.partial")
        with tarfile.open(archive) as tar:
            tar.extractall(aside, filter="data")
        aside.rename(folder)
    return folder


def diffusers_samples(settings: Settings, data: Dataset, seconds: float) -> Peer:
    """Return samples of diffusers' network, trained now for `seconds` unless it is kept already."""
    kept = settings.runs / f"diffusers-cifar10-{BUDGET:g}s.safetensors"
    note = kept.with_suffix(".json")
    if not kept.exists():
        training, found = train(settings, data, seconds)
        save_file({name: value.contiguous() for name, value in training.network.state_dict().items()}, kept)
        note.write_text(json.dumps(found) + "\n")
    network = diffusers_network(data.shape)
    network.load_state_dict(load_file(kept))
    ddim = DDIM(network, data.shape, fastest(data.shape, settings.batch))
    starts = range(0, settings.colour_samples, DRAWN_AT_ONCE)
    print(f"  sampling {settings.colour_samples:,} of diffusers", flush=True)
    drawn = [ddim(min(DRAWN_AT_ONCE, settings.colour_samples - start), seed=start) for start in starts]
    return Peer(torch.cat(drawn), json.loads(note.read_text()))


def train(settings: Settings, data: Dataset, seconds: float) -> tuple[DiffusersTraining, str]:
    """Train diffusers' network for `seconds`, in the configuration that is fastest here."""
    configuration, each = fastest_training(settings, data)
    expected = max(1, int(seconds / each))
    training = DiffusersTraining(data.shape, configuration, expected)
    order, flips = Order(len(data.train), settings.batch, 0), generator(0, "flips")

    def step(index: int) -> None:
        pictures = data.train.batch(order.indices(index))[0].float() / 127.5 - 1
        flipped = torch.rand(len(pictures), 1, 1, 1, generator=flips) < 0.5
        training(torch.where(flipped, pictures.flip(3), pictures))

    step(0)  # compiles, and is not counted
    start, steps = perf_counter(), 1
    while perf_counter() - start < seconds:
        step(steps)
        steps += 1
    took = perf_counter() - start
    rate = steps * settings.batch / took
    return training, f"{took:.0f} s, {steps:,} steps, {rate:.0f} images/s, {configuration.name}"


def fastest_training(settings: Settings, data: Dataset) -> tuple[Configuration, float]:
    """Return the configuration whose step takes least time, and that time in seconds."""
    pictures = data.train.batch(torch.arange(settings.batch))[0].float() / 127.5 - 1
    trainings = {one: DiffusersTraining(data.shape, one, 10**6) for one in TRAINING}
    trials = [Contestant(one.name, settings.batch, partial(trainings[one], pictures)) for one in TRAINING]
    best = min((one for one in race(trials, 3) if not one.failed), key=lambda one: one.seconds)
    return next(one for one in TRAINING if one.name == best.name), best.seconds


def line(name: str, scores: Scores, evaluations: int) -> list[str]:
    """Return a line of the table."""
    distances = [f"{scores.frechet.mean:.3f}", f"{scores.floor.mean:.3f}"]
    ratio = "—" if scores.ratio is None else f"{scores.ratio.mean:.1f}"
    read = "—" if scores.read_as_asked is None else f"{scores.read_as_asked:.1%}"
    return [name, f"{scores.samples:,}", str(evaluations), *distances, ratio, read]


def pictures(settings: Settings) -> str:
    """Return the two grids as Markdown."""
    names = {"ours": "sfumato, ten classes in turn", "diffusers": "diffusers"}
    return "\n\n".join(f"![{said}](fast-{settings.day}-colour-{name}.png)" for name, said in names.items())
