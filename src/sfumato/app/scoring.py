"""What `sfumato evaluate` does: sample, judge, print the scores, and put them into the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfumato.app.console import bar, console, counted, facts_table, output
from sfumato.app.reporting import SCORES, write_run_report
from sfumato.app.training import read_data
from sfumato.data import Dataset
from sfumato.files import write_whole
from sfumato.metrics import Judge, Scores, cost, evaluate, judge_for
from sfumato.runs.run import CHUNK, REPORT, Run
from sfumato.runs.sampling import Request


def score_run(run: Run, source: str | None, n: int, seed: int, as_json: bool, **options: Any) -> Scores:
    """Score `n` samples of a run; the result is printed and kept in the run folder."""
    request = run.request(n, seed=seed, **options)
    reading = run.config.data.model_dump(include={"size", "channels", "background", "held_out"})
    dataset = read_data(source or run.config.data.source, reading)
    judge = hire_judge(dataset)
    samples = sample_all(run, request)
    scores = evaluate(torch.from_numpy(samples), request.labels, dataset, judge, seed=seed)
    text = json.dumps(scores.to_dict(), indent=2) + "\n"
    write_whole(run.folder / SCORES, text.encode())
    if as_json:
        print(text, end="")
    else:
        output.print(facts_table(scores.rows()))
        for warning in scores.warnings:
            console.print(f"[yellow]warning:[/] {warning}")
    write_run_report(run, dataset, scores)
    console.print(f"kept in {run.folder / SCORES} and {run.folder / REPORT}")
    return scores


def hire_judge(dataset: Dataset) -> Judge:
    """Return the data set's judge, training it once, with its cost said before."""
    price = cost(dataset)
    if price:
        console.print(price)
    with bar() as progress:
        return judge_for(dataset, progress=counted(progress, "training the judge") if price else None)


def sample_all(run: Run, request: Request) -> np.ndarray:
    """Sample a request into memory, with a bar: (n, ...)."""
    parts = []
    with bar() as progress:
        task = progress.add_task(f"sampling {request.n:,}", total=request.n * request.options.steps)
        for places in request.chunks(CHUNK):
            for chunk in run.walk(request, places):
                if chunk.moment.index:
                    progress.advance(task, len(places))
            parts.append(chunk.state)
    return np.concatenate(parts)


def kept_scores(folder: Path) -> dict[str, Any] | None:
    """Return the scores kept in a run folder, None if it was never scored."""
    path = folder / SCORES
    return json.loads(path.read_text()) if path.is_file() else None
