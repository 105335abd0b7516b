"""All laws over all pieces, as tasks that two processes share.

A task is a law and the names of its pieces, so it travels to another process as text. The progress bar, the
JSON and the tests all read `findings`. A law that raises is a finding that failed.
"""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatch

import torch

from sfumato.diffusion.samplers.base import check_sampler
from sfumato.errors import ConfigError
from sfumato.verify.bounds import bound_laws, decoder_laws
from sfumato.verify.demonstrations import demonstration_laws
from sfumato.verify.estimates import (
    denoiser_laws,
    guidance_laws,
    threshold_laws,
    variance_laws,
    view_laws,
)
from sfumato.verify.exact import exact_laws, normal_laws
from sfumato.verify.law import Finding, Subject
from sfumato.verify.likelihood_laws import FLOWS, chain_laws, flow_laws
from sfumato.verify.pieces import KINDS, SAMPLERS, SCHEDULES, WALKS
from sfumato.verify.predictions import prediction_laws, refusal_laws, weighting_laws
from sfumato.verify.process import process_laws, rule_laws
from sfumato.verify.samplers import sampler_laws
from sfumato.verify.schedules import level_laws, schedule_laws
from sfumato.verify.times import density_laws, grid_laws, stratified_laws
from sfumato.verify.triples import triple_laws

Law = Callable[..., Iterator[Finding]]

NAMES = {
    "level": "schedule",
    "row": "prediction",
    "weight": "weighting",
    "draw": "times",
    "split": "variance",
    "show": "view",
    "clip": "threshold",
    "times": "grid",
    "coefficients": "rule",
    "step": "sampler",
    "estimate": "denoiser",
}
"""What findings call the pieces of each kind of `pieces.KINDS`, and those of `DENOISERS`."""

LAWS: dict[str, Law] = {
    "levels": level_laws,
    "oracle": exact_laws,
    "gaussians": normal_laws,
    "refusals": refusal_laws,
    "strata": stratified_laws,
    "views": view_laws,
    "variances": variance_laws,
    "thresholds": threshold_laws,
    "denoisers": denoiser_laws,
    "guidance": guidance_laws,
    "decoders": decoder_laws,
    "demonstrations": demonstration_laws,
    "chains": chain_laws,
}
BY_SCHEDULE: dict[str, Law] = {
    "schedule": schedule_laws,
    "process": process_laws,
    "rules": rule_laws,
    "predictions": prediction_laws,
    "weightings": weighting_laws,
    "times": density_laws,
    "grids": grid_laws,
    "bound": bound_laws,
}
BY_SAMPLER: dict[str, Law] = {"sampler": sampler_laws, "triples": triple_laws}


def refused_laws(schedule_name: str, name: str) -> Iterator[Finding]:
    """Yield that a sampler refuses a schedule that it is not made for."""
    schedule, sampler = SCHEDULES[schedule_name], SAMPLERS[name]
    subject = Subject("sampler", {"schedule": schedule_name, "sampler": name})
    yield subject.refused("refused on this schedule", lambda: check_sampler(sampler, schedule))


@dataclass(frozen=True)
class Task:
    """A law and what it is asked of; its title is what `--only` matches."""

    name: str
    law: Law
    pieces: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The law's name and its pieces'."""
        return " ".join((self.name, *self.pieces))

    def matches(self, pattern: str) -> bool:
        """Whether a pattern such as `sampler * heun`, or a word of the title, picks this task."""
        return fnmatch(self.title, pattern) or pattern in self.title.split()


def all_tasks() -> list[Task]:
    """List every law with all that it is asked of, the longest first, so that no process is left waiting."""
    named = [Task(name, law) for name, law in LAWS.items()]
    by_schedule = [Task(name, law, (s,)) for name, law in BY_SCHEDULE.items() for s in SCHEDULES]
    flows = [Task("likelihood", flow_laws, (schedule,)) for schedule in FLOWS]
    walks = [Task(name, law, pair) for pair in WALKS for name, law in BY_SAMPLER.items()]
    others = [(s, name) for s in SCHEDULES for name in SAMPLERS if (s, name) not in WALKS]
    refused = [Task("refused", refused_laws, pair) for pair in others]
    return [*flows, *named, *walks, *by_schedule, *refused]


def chosen_tasks(pattern: str | None) -> list[Task]:
    """Return the tasks that a pattern picks, all of them without one; raise ConfigError where none is."""
    tasks = [task for task in all_tasks() if pattern is None or task.matches(pattern)]
    if not tasks:
        names = ", ".join(dict.fromkeys(word for task in all_tasks() for word in task.title.split()))
        raise ConfigError(f"no law matches '{pattern}': choose from {names}; or a pattern: 'sampler * ddim'.")
    return tasks


def perform(task: Task) -> list[Finding]:
    """Return what a task finds; an error of the code under test is a finding that failed."""
    torch.set_num_threads(1)
    pieces = dict(zip(("schedule", "sampler"), task.pieces, strict=False))
    try:
        return list(task.law(*task.pieces))
    except Exception as error:  # what is under test may raise anything; the other laws must go on
        text = f"raised {type(error).__name__}: {error}"
        return [Subject(task.name, pieces).holds(text, False)]


def findings(tasks: Sequence[Task], processes: int = 2) -> Iterator[list[Finding]]:
    """Yield each task's findings as they come; one process does them in order, without starting another."""
    if processes == 1:
        yield from map(perform, tasks)
        return
    # A forked process may hang on torch's threads; a fresh one imports it once.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        for done in as_completed([pool.submit(perform, task) for task in tasks]):
            yield done.result()


def where(finding: Finding) -> list[str]:
    """Return the modules of a finding's pieces: where to look when it failed."""
    classes = [
        type(pieces[finding.pieces[NAMES[method]]])
        for method, pieces in KINDS.items()
        if finding.pieces.get(NAMES[method]) in pieces
    ]
    return sorted({cls.__module__ for cls in classes if cls.__module__.startswith("sfumato.diffusion")})


def covered(found: Iterable[Finding]) -> set[tuple[str, str]]:
    """Return (kind, name) of all pieces that some finding is about."""
    return {piece for finding in found for piece in finding.pieces.items()}
