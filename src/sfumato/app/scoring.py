"""What `sfumato evaluate` does: sample, judge, print the scores, and put them into the report."""

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sfumato.app.console import bar, console, counted, facts_table, note, output
from sfumato.app.guiding import Guidances
from sfumato.app.reporting import SCORES, write_run_report
from sfumato.app.text_scores import Row, check_judge, followed
from sfumato.app.training import read_for
from sfumato.data import Dataset
from sfumato.errors import ConfigError
from sfumato.files import write_whole
from sfumato.metrics import Judge, Scores, classes_to_ask, cost, evaluate, judge_for
from sfumato.nets.embedding import LABEL
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.run import CHUNK, REPORT, Run
from sfumato.runs.sampling import Request


def score_run(
    run: Run | Cascade,
    source: str | None,
    n: int,
    seed: int,
    as_json: bool,
    wish: Guidances,
    clip: Run | None = None,
    **how: Any,
) -> Scores:
    """Score `n` samples of a run; the result is printed and kept in the run folder.

    wish: what it is guided by; clip: who judges whether pictures follow their words; how: `sampler`, `grid`,
    `steps` and `threshold`, as for `Run.request`. The report gets the scores too, unless they were measured
    against other data than it speaks of.
    """
    one_process("evaluate")
    if clip is not None:
        check_judge(clip, run)
    if not run.conditions.always:
        wish.request(run, n, None, seed, **how)  # refuses what cannot be, before data is read
    dataset = read_for(run, source)
    request = wish.request(run, n, classes_of(run, dataset, n), seed, like=dataset.unseen, **how)
    judge = hire_judge(dataset)
    samples = sample_all(run, request)
    asked = request.labels if dataset.classes == run.classes else None
    scores = evaluate(torch.from_numpy(samples), asked, dataset, judge, seed=seed)
    words = followed(clip, torch.from_numpy(samples), request.prompts) if clip else []
    kept = {**provenance(run, dataset, request, wish), **scores.to_dict(), "words": dict(words)}
    text = json.dumps(kept, indent=2) + "\n"
    write_whole(run.folder / SCORES, text.encode())
    if as_json:
        print(text, end="")
    else:
        show(scores, words)
    reported = run.alone if isinstance(run, Cascade) else run
    if reported is None:
        console.print(f"kept in {run.folder / SCORES}")
    elif dataset.content_hash == run.config.data.content_hash:
        write_run_report(reported, dataset, [*scores.rows(), *words], scores.warnings)
        console.print(f"kept in {run.folder / SCORES} and {reported.folder / REPORT}")
    else:
        note(
            f"this is not the data {run.folder} was trained on: the scores are kept in "
            f"{run.folder / SCORES}, and the report is left as it was"
        )
    return scores


def classes_of(run: Run | Cascade, dataset: Dataset, n: int) -> list[str] | None:
    """Return the classes to ask for, None where the model knows others or is told more than a class.

    What else a model is told comes from examples, and their classes with it, see `Conditions.asked`.
    """
    alone = run.conditions.readers.keys() == {LABEL}
    return classes_to_ask(dataset, n) if alone and dataset.classes == run.classes else None


def provenance(run: Run | Cascade, dataset: Dataset, request: Request, wish: Guidances) -> dict[str, Any]:
    """Return what it takes to repeat the scores: the data, the seeds, and how was sampled."""
    return {
        "run": str(run.folder),
        "data": dataset.source,
        "content_hash": dataset.content_hash,
        "first_seed": request.seed,
        **run.told(request.options),
        **wish.told(),
    }


def show(scores: Scores, words: Sequence[Row] = ()) -> None:
    """Print the scores as a table, with what a CLIP says of words, and what to doubt about them."""
    output.print(facts_table([*scores.rows(), *words]))
    for warning in scores.warnings:
        console.print(f"[yellow]warning:[/] {warning}")


def one_process(verb: str) -> None:
    """Refuse a verb that would only do its work several times over."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(f"'{verb}' runs in one process: start it without a launcher.")


def hire_judge(dataset: Dataset) -> Judge:
    """Return the data set's judge, training it once, with its cost said before."""
    price = cost(dataset)
    if not price:
        return judge_for(dataset)
    console.print(price)
    with bar() as progress:
        return judge_for(dataset, progress=counted(progress, "training the judge"))


def sample_all(run: Run | Cascade, request: Request) -> np.ndarray:
    """Sample a request into memory, with a bar: (n, ...)."""
    parts, way = [], run.hastened(note)
    with bar() as progress:
        task = progress.add_task(f"sampling {request.n:,}", total=request.n)
        for places in request.chunks(CHUNK):
            for chunk in way.walk(request, places):
                if chunk.moment.index:
                    progress.advance(task, len(places) / chunk.moment.steps)
            parts.append(chunk.state)
    return np.concatenate(parts)
