"""Images a second: ours as a run is sampled by default, without guidance, and diffusers' DDIM of 50 steps.

The peer's network is the one of the training part, untrained: its speed does not depend on its weights. It
runs as it comes and in its fastest configuration, found first by a short trial of all. Ours runs as it comes,
and compiled, as it goes over to in requests of which minutes are left (`runs.hastening`).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn

from fast_parts.networks import AS_IT_COMES, SAMPLING, Configuration, diffusers_network
from fast_parts.ours import Trained, distilled, trained
from fast_parts.page import Goal, Section, table
from fast_parts.quality import DISTILLING, MNIST
from fast_parts.rounds import Contestant, Timed, race
from fast_parts.settings import NotMeasuredError, Settings

STEPS = 50
TRIAL = 5
"""Steps of the trial that finds a peer's fastest configuration."""
OURS_AT_ONCE = 256
COMPILED = ", compiled"


class DDIM:
    """diffusers' scheduler around a network, in a configuration.

    The loop is that of its `DDIMPipeline`, which itself cannot return pictures from a network in bf16.
    """

    def __init__(self, network: nn.Module, shape: Sequence[int], configuration: Configuration) -> None:
        self.network, self.shape, self.configuration = network.eval(), tuple(shape), configuration
        configuration.prepare(network)
        self.dtype = next(network.parameters()).dtype
        self.scheduler: Any = DDIMScheduler(num_train_timesteps=1000)

    @torch.no_grad()
    def __call__(self, n: int, steps: int = STEPS, seed: int = 0) -> Tensor:
        """Return n pictures: uint8 (n, C, H, W)."""
        x = torch.randn(n, *self.shape, generator=torch.Generator().manual_seed(seed))
        self.scheduler.set_timesteps(steps)
        with self.configuration.context():
            for t in self.scheduler.timesteps:
                noise = self.network(x.to(self.dtype), t, return_dict=False)[0]
                x = self.scheduler.step(noise.float(), t, x, return_dict=False)[0]
        return ((x / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)


def fastest(shape: Sequence[int], batch: int) -> Configuration:
    """Return the configuration in which a few steps of the peer take least time."""
    samplers = {one.name: DDIM(diffusers_network(shape), shape, one) for one in SAMPLING}
    trials = [Contestant(name, batch, partial(ddim, batch, TRIAL)) for name, ddim in samplers.items()]
    found = [one for one in race(trials, 3) if not one.failed]
    name = min(found, key=lambda one: one.seconds).name
    return next(one for one in SAMPLING if one.name == name)


def measure(settings: Settings) -> Section:
    """Race our default and one-step sampling against the peer's."""
    teacher = trained(settings, "mnist", settings.mnist, max(MNIST))
    student, missing = one_step(settings, teacher)
    contestants = [*ours("default", teacher, guidance=1.0), *(ours("one step", student) if student else ())]
    shape = teacher.run.config.data.shape
    for one in dict.fromkeys([AS_IT_COMES, fastest(shape, settings.batch)]):
        step = partial(DDIM(diffusers_network(shape), shape, one), settings.batch)
        contestants.append(Contestant(f"diffusers, DDIM-{STEPS}, {one.name}", settings.batch, step))
    timed = race(contestants, settings.rounds)
    return Section("Sampling", text(timed, settings, missing), goals(timed))


def one_step(settings: Settings, teacher: Trained) -> tuple[Trained | None, str]:
    """Return the distilled run, or the reason why there is none."""
    try:
        return distilled(settings, teacher, DISTILLING), ""
    except NotMeasuredError as error:
        return None, f"One step was not measured: {error}."


def ours(name: str, made: Trained, **sampling: Any) -> Iterator[Contestant]:
    """Yield a run to be sampled as by default, and the same compiled."""
    for way, run in (("", made.run), (COMPILED, made.run.compiled())):
        yield Contestant(f"sfumato, {name}{way}", OURS_AT_ONCE, partial(run.sample, OURS_AT_ONCE, **sampling))


def goals(timed: Sequence[Timed]) -> tuple[Goal, ...]:
    """Return the goals: the default's speed, its lead over the peer, and the speed of one step."""
    rate = {one.name: one.rate for one in timed}
    default = rate["sfumato, default"]
    found = [
        at_least(500, f"sampling MNIST by default{way}, images/s", rate[f"sfumato, default{way}"])
        for way in ("", COMPILED)
    ]
    peers = [one for one in timed if one.name.startswith("diffusers")]
    for one in peers:
        lead = default / one.rate
        found.append(Goal(f"the same, over {one.name}", "≥ 25", f"{lead:.0f}", lead >= 25))
    found += [
        at_least(3000, f"sampling in one step{way}, images/s", rate[f"sfumato, one step{way}"])
        for way in ("", COMPILED)
        if f"sfumato, one step{way}" in rate
    ]
    return tuple(found)


def at_least(wanted: float, name: str, found: float) -> Goal:
    """Return a goal of a speed."""
    return Goal(name, f"≥ {wanted:,}", f"{found:.0f}", found >= wanted)


def text(timed: Sequence[Timed], settings: Settings, missing: str) -> str:
    """Return what was measured."""
    default = timed[0].rate
    body = [
        [one.name, str(one.images), f"{one.rate:.1f}", f"{default / one.rate:.1f}"]
        if not one.failed
        else [one.name, str(one.images), "—", one.failed]
        for one in timed
    ]
    told = (
        f"28×28, medians of {settings.rounds} turns taken in turns, warmed up. Ours through `Run.sample`, "
        "which draws noise, one generator an image, and returns bytes."
    )
    head = ["", "images asked for at once", "images/s", "our default is faster by"]
    return "\n\n".join(filter(None, [told, table(head, body), missing]))
