"""How likely are MNIST's test digits? The bound of a plain variational autoencoder beside a ladder's.

    SFUMATO_DATA=FOLDER python benchmarks/vae_bound.py                 both, half an hour
    python benchmarks/vae_bound.py --data digits --haste 0.02 --samples 20 --only vae  a trial of seconds

MNIST is made black and white once, by `data.binarise` with the seed that is printed. Each model is trained
for the same time, `--budget` seconds at 1 TFLOP/s of bf16 matrix product (2048³; at a measured R TFLOP/s it
is budget/R seconds). The average of the weights is chosen on training pictures that were set aside, never on
the test set. Then log p(x) of every test picture is bounded from below with `--samples` draws (Burda et al.
2016); the mean in nats is printed beside its standard error over the pictures and the evidence bound.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from machine import matrix_rate, versions
from torch import Tensor

from sfumato.data import load_data
from sfumato.data.dataset import Dataset, Split
from sfumato.data.scaling import Pixels
from sfumato.families.agreements import Batch, DataFacts, Design, Trainable
from sfumato.families.hierarchies.ladder import LadderVAE
from sfumato.families.variational.importance import log_likelihood_bound
from sfumato.families.variational.vae import VAE
from sfumato.randomness import BatchNoise, generator
from sfumato.train.averaging import Averages
from sfumato.train.budget import Budget, Done
from sfumato.train.device import autocast
from sfumato.train.events import Event, HeldOut
from sfumato.train.held_out import HeldOutLoss
from sfumato.train.loop import Fit, FitSettings
from sfumato.train.muon import Muon
from sfumato.train.signals import StopRequest

DESIGNS: dict[str, Design] = {
    "vae": VAE(latent=40, decoder="bernoulli", width=96, warmup=0.1),
    "ladder": LadderVAE(decoder="bernoulli", widths=(64, 64), warmup=0.1),
}
"""Of 642,592 and 642,200 parameters on MNIST: equal within 0.1 %."""
SET_ASIDE = 1000
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Result:
    """A model's figures in nats: both bounds, the spread of the tighter one, and what training took."""

    parameters: int
    done: Done
    evidence: float
    bound: float
    error: float
    measures: dict[str, float]


def loader(split: Split) -> Callable[[Tensor], Batch]:
    """Return (indices) -> the pictures as a model sees them."""

    def load(indices: Tensor) -> Batch:
        x = Pixels().to_model(split.store.take(indices))
        return Batch(x.contiguous(memory_format=torch.channels_last), None)

    return load


def built(design: Design, shape: tuple[int, ...], seed: int) -> Trainable:
    """Build a family with weights that depend on the seed alone."""
    with torch.random.fork_rng():
        torch.random.set_rng_state(generator(seed, "weights").get_state())
        return design.build(DataFacts(shape, bounds=(-1.0, 1.0)))


def trained(
    family: Trainable, data: Dataset, seconds: float, args: argparse.Namespace
) -> tuple[Trainable, Done]:
    """Train for so many seconds; return the family with the averaged weights that were chosen."""
    settings = FitSettings(
        args.batch,
        Muon(),
        args.learning_rate,
        warmup=50,
        clip=args.clip,
        seed=args.seed,
        compile=args.compile,
    )
    count = len(data.train) - SET_ASIDE
    load = loader(data.train)
    fit = Fit(family, count, load, data.shape, settings, Accelerator(cpu=True))
    averages, news = Averages(fit.players), list[Event]()
    unseen = HeldOutLoss(
        family,
        averages,
        lambda i: load(count + i),
        SET_ASIDE,
        data.shape,
        CPU,
        "auto",
        news.append,
        most=SET_ASIDE,
    )
    for event in fit.run(Budget("seconds", seconds), StopRequest()):
        averages(event)
        unseen(event)
        for one in news:
            if isinstance(one, HeldOut):
                print(
                    f"  {one.done.seconds:.0f} s: {one.raw:.2f} nats, average {one.average:.2f}", flush=True
                )
        news.clear()
    return family.with_modules(averages.modules()), fit.done


def bounds(
    family: Trainable, x: Tensor, samples: int, randomness: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (evidence bound, importance-weighted bound) of x: (N, ...) in chunks, each (B,)."""
    for chunk in x.split(256):
        with torch.inference_mode(), autocast(CPU, "auto"):
            evidence = log_likelihood_bound(family, chunk, 1, BatchNoise(randomness))  # type: ignore[arg-type]
            bound = log_likelihood_bound(family, chunk, samples, BatchNoise(randomness))  # type: ignore[arg-type]
        yield evidence, bound


def measured(name: str, data: Dataset, seconds: float, args: argparse.Namespace) -> Result:
    """Train one model and bound the likelihood of the whole test set."""
    family = built(DESIGNS[name], data.shape, args.seed)
    module = family.players()[0].module.to(memory_format=torch.channels_last)
    family, done = trained(family, data, seconds, args)
    x = loader(data.held_out)(torch.arange(len(data.held_out))).examples
    found = bounds(family, x, args.samples, generator(args.seed, "bound"))
    evidence, bound = (torch.cat(parts) for parts in zip(*found, strict=True))
    some = Batch(x[:256], None)
    draws = family.draw(len(some.examples), data.shape, generator(args.seed, "measures"))
    with torch.inference_mode(), autocast(CPU, "auto"):
        measures = dict(family.measures(some, draws))  # type: ignore[attr-defined]
    parameters = sum(weight.numel() for weight in module.parameters())
    error = float(bound.std()) / len(bound) ** 0.5
    return Result(parameters, done, float(evidence.mean()), float(bound.mean()), error, measures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=DESIGNS, help="one model")
    parser.add_argument("--budget", type=float, default=600.0, help="seconds of training at 1 TFLOP/s")
    parser.add_argument("--haste", type=float, default=1.0, help="share of the budget to train for")
    parser.add_argument("--samples", type=int, default=500, help="draws of a code for each picture")
    parser.add_argument("--seed", type=int, default=0, help="of the binarisation, the weights and all draws")
    parser.add_argument("--data", help="other grey pictures than mnist.npz in $SFUMATO_DATA")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=6e-3)
    parser.add_argument("--clip", type=float, default=10.0, help="of the gradient of a sum over pixels")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    source = args.data or Path(os.environ["SFUMATO_DATA"]) / "mnist.npz"
    data = load_data(source, seed=args.seed, binarise=True)
    threads = torch.get_num_threads()
    print(f"{data.name}: {len(data.held_out)} test pictures; {versions('torch')}, {threads} threads")
    for name in [args.only] if args.only else DESIGNS:
        rate = matrix_rate()
        result = measured(name, data, args.budget * args.haste / rate, args)
        print(
            f"{name}: {result.parameters:,} parameters, "
            f"{result.done.steps} steps in {result.done.seconds:.0f} s "
            f"at {rate:.2f} TFLOP/s; evidence bound {result.evidence:.2f}, with {args.samples} samples "
            f"{result.bound:.2f} ± {result.error:.2f} nats"
        )
        print("   " + ", ".join(f"{what} {value:.3g}" for what, value in result.measures.items()), flush=True)


if __name__ == "__main__":
    main()
