"""The fit loop: it moves players and yields what happened, and knows nothing else.

Everything random in a step follows from (seed, step), so a resumed run is bitwise the uninterrupted one. With
several processes each draws for the whole global batch and computes its own rows; gradients are averaged
over the processes, so that N processes take the step that one would.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sfumato.errors import ConfigError, SfumatoError
from sfumato.families.agreements import Batch, Draws, Player, Trainable
from sfumato.randomness import generator
from sfumato.train.budget import Budget, Done
from sfumato.train.checkpoint import load_into, part
from sfumato.train.compiling import disagreement
from sfumato.train.device import autocast, to_device
from sfumato.train.events import Ended, Event, Notice, Stepped
from sfumato.train.optimiser import OptimiserRule, learning_rate_scale, load_moments, moments, take_step
from sfumato.train.order import Order
from sfumato.train.signals import StopRequest


class TrainingDivergedError(SfumatoError):
    """The loss or its gradient is no longer a number."""


@dataclass(frozen=True)
class FitSettings:
    """How to take steps.

    batch: examples a step, over all processes; optimiser: how weights follow their gradients; learning_rate:
    the peak; warmup: steps of linear rise; clip: largest norm of a gradient; precision: "auto", "bf16" or
    "fp32", see `device.autocast`; compile: whether to compile the networks; flat: the share of training at
    the peak.
    """

    batch: int
    optimiser: OptimiserRule
    learning_rate: float
    warmup: int
    clip: float
    seed: int
    precision: str = "auto"
    compile: bool = False
    flat: float = 0.0


class Fit:
    """A training run in memory: players, their optimisers, and what has been done.

    family: what is trained, on the accelerator's device; examples: how many there are; load: (indices) ->
    the batch of those examples; shape: of one example.
    """

    def __init__(
        self,
        family: Trainable,
        examples: int,
        load: Callable[[Tensor], Batch],
        shape: tuple[int, ...],
        settings: FitSettings,
        accelerator: Accelerator,
    ) -> None:
        if settings.batch % accelerator.num_processes:
            raise ConfigError(
                f"a batch of {settings.batch} cannot be shared by {accelerator.num_processes} processes: "
                "choose training.batch divisible by their number."
            )
        self.family, self.settings, self.accelerator = family, settings, accelerator
        self.players = family.players()
        self.done = Done()
        self._load, self._shape = load, shape
        self._order = Order(examples, settings.batch, settings.seed)
        self._optimisers = {player.name: settings.optimiser.build(player.module) for player in self.players}

    def tensors(self) -> dict[str, Tensor]:
        """Return all state that is numbers, by name: weights and optimiser moments of each player."""
        found: dict[str, Tensor] = {}
        for player in self.players:
            for name, value in player.module.state_dict().items():
                found[f"{player.name}.weights.{name}"] = value
            for name, value in moments(self._optimisers[player.name]).items():
                found[f"{player.name}.optimiser.{name}"] = value
        return found

    def load_tensors(self, tensors: Mapping[str, Tensor], done: Done) -> None:
        """Take up where `tensors` and `done` left off."""
        for player in self.players:
            load_into(player.module, part(tensors, f"{player.name}.weights."), "weights")
            load_moments(self._optimisers[player.name], part(tensors, f"{player.name}.optimiser."))
        self.done = done

    def run(self, budget: Budget, stop: StopRequest) -> Iterator[Event]:
        """Take steps until the budget is used or a stop is asked for, yielding an event for each.

        Raises TrainingDivergedError before a step that would spoil the weights.
        """
        start = time.perf_counter() - self.done.seconds
        players = self.players
        if self.settings.compile and budget.progress(self.done) < 1:
            players, notice = self._compiled_players()
            if notice:
                yield Notice(notice)
        alone, agreed = self.accelerator.num_processes == 1, False
        while budget.progress(self.done) < 1 and not (stop if alone else agreed):
            progress = budget.progress(self.done)
            rate = self._rate(progress)
            losses, norms = self._step(players, progress)
            seconds, agreed = self._agree(time.perf_counter() - start, stop)
            steps = self.done.steps + 1
            self.done = Done(steps, steps * self.settings.batch, seconds)
            yield Stepped(self.done, budget.progress(self.done), losses, rate, norms)
        finished = budget.progress(self.done) >= 1
        yield Ended(self.done, None if finished else stop.name)

    def _rate(self, progress: float, floor: float = 0.0) -> float:
        """Return the learning rate of this step, before any player's pace."""
        settings = self.settings
        scale = learning_rate_scale(self.done.steps, progress, settings.warmup, settings.flat, floor)
        return settings.learning_rate * scale

    def _step(
        self, players: tuple[Player, ...], progress: float
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Move each player whose turn it is, and return their losses and gradients' norms by name."""
        step = self.done.steps
        batch, draws = self._rows(self._order.indices(step), generator(self.settings.seed, "train", step))
        batch = replace(batch, progress=progress)
        losses, norms = dict[str, float](), dict[str, float]()
        for player in players:
            if step % player.every:
                continue
            still_but(player, self.players)
            loss = self.loss(player, batch, draws)
            loss.backward()
            norms[player.name] = self._average_and_clip(player.module)
            if not math.isfinite(norms[player.name]):
                raise TrainingDivergedError(
                    f"training stopped at step {step}: the loss of '{player.name}' is no longer a number. "
                    "The last checkpoint is untouched; train again with a lower training.learning_rate."
                )
            # Read before the step is taken: an accelerator then takes it while the next batch is made.
            losses[player.name] = float(self.accelerator.reduce(loss.detach(), "mean"))
            take_step(self._optimisers[player.name], player.pace * self._rate(progress, player.floor))
            if player.after:
                player.after(batch, draws)
        return losses, norms

    def loss(self, player: Player, batch: Batch, draws: Draws) -> Tensor:
        """Return the mean loss of a batch: ()."""
        with autocast(self.accelerator.device, self.settings.precision):
            return player.loss(batch, draws).mean()

    def _rows(self, indices: Tensor, randomness: torch.Generator) -> tuple[Batch, Draws]:
        """Draw for the whole batch, then keep this process's rows."""
        accelerator = self.accelerator
        mine = slice(accelerator.process_index, None, accelerator.num_processes)
        draws = self.family.draw(len(indices), self._shape, randomness)
        batch = self._load(indices[mine])
        return batch, {name: to_device(value[mine], accelerator.device) for name, value in draws.items()}

    def _average_and_clip(self, module: nn.Module) -> float:
        """Average gradients over the processes, clip their norm, and return the norm before clipping."""
        parameters = [parameter for parameter in module.parameters() if parameter.grad is not None]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.accelerator.num_processes > 1:
            flat = self.accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]), "mean")
            pieces = flat.split([gradient.numel() for gradient in gradients])
            for gradient, piece in zip(gradients, pieces, strict=True):
                gradient.copy_(piece.view_as(gradient))
        return float(nn.utils.clip_grad_norm_(parameters, self.settings.clip))

    def _agree(self, seconds: float, stop: StopRequest) -> tuple[float, bool]:
        """Let all processes use the first one's clock, and stop together when any is asked to.

        Only what was agreed here ends the loop: a process that left alone would leave the others waiting.
        """
        if self.accelerator.num_processes == 1:
            return seconds, False
        mine = torch.tensor([[seconds, float(bool(stop))]], device=self.accelerator.device)
        everyone = self.accelerator.gather(mine)
        agreed = bool(everyone[:, 1].any())
        if agreed and not stop:
            stop.name = "another process"
        return float(everyone[0, 0]), agreed

    def _compiled_players(self) -> tuple[tuple[Player, ...], str | None]:
        """Return players whose losses run compiled networks, or the plain ones and the reason."""
        modules = {player.name: torch.compile(player.module, dynamic=False) for player in self.players}
        compiled = self.family.with_modules(modules).players()
        batch, draws = self._rows(self._order.indices(0), generator(self.settings.seed, "train", 0))
        for plain, fast in zip(self.players, compiled, strict=True):
            still_but(plain, self.players)
            wrong = disagreement(
                plain.module,
                partial(self.loss, plain, batch, draws),
                partial(self.loss, fast, batch, draws),
            )
            if wrong:
                return self.players, f"training goes on without compilation: {wrong}"
        return compiled, None


def still_but(mover: Player, players: tuple[Player, ...]) -> None:
    """Let gradients reach the weights of the one that moves only: others would keep theirs for their turn."""
    for player in players if len(players) > 1 else ():
        player.module.requires_grad_(player.name == mover.name)
