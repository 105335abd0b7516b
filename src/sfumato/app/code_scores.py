"""What `sfumato evaluate` does for a run that makes nothing: what its codes tell, and what they keep.

Each figure stands beside what no training at all would score: the same probe of the untrained encoder and of
the examples' own values.
"""

import json
from collections.abc import Callable, Iterator

import torch

from sfumato.app.console import bar, console, facts_table, output
from sfumato.app.reconstructing import errors
from sfumato.app.reporting import SCORES, write_run_report
from sfumato.app.text_scores import found_by_words
from sfumato.app.training import read_for
from sfumato.data import Dataset
from sfumato.errors import ConfigError
from sfumato.families.agreements import Autoencoder
from sfumato.files import write_whole
from sfumato.metrics.probe import Encode, probe, raw
from sfumato.runs.model import build_model, codes
from sfumato.runs.rebuilding import rebuilt
from sfumato.runs.run import REPORT, Run

Row = tuple[str, str]


def score_codes(run: Run, source: str | None, n: int, as_json: bool) -> list[Row]:
    """Score the codes of a run, print the figures, and keep them in its folder and report.

    n: how many held-out examples are rebuilt. Raises ConfigError where there is nothing to score them by.
    """
    dataset = read_for(run, source)
    with bar() as progress:
        task = progress.add_task("scoring codes", total=None)
        rows = [*_read(run, dataset), *_rebuilt(run, dataset, n), *found_by_words(run, dataset)]
        progress.update(task, total=1, completed=1)
    if not rows:
        raise ConfigError(
            f"{dataset.name} has neither labels nor captions to ask the codes of {run.folder} for, and "
            "nothing leads back from them: give data that has, with --data."
        )
    keep_scores(run, dataset, rows, as_json)
    return rows


def keep_scores(run: Run, dataset: Dataset, rows: list[Row], as_json: bool) -> None:
    """Print figures, and keep them in the run's folder and, where they are of its own data, in its report."""
    told = {
        "run": str(run.folder),
        "data": dataset.source,
        "content_hash": dataset.content_hash,
        **dict(rows),
    }
    write_whole(run.folder / SCORES, (json.dumps(told, indent=2) + "\n").encode())
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        output.print(facts_table(rows))
    if dataset.content_hash == run.config.data.content_hash:
        write_run_report(run, dataset, rows)
        console.print(f"kept in {run.folder / SCORES} and {run.folder / REPORT}")


def _read(run: Run, dataset: Dataset) -> Iterator[Row]:
    """Yield the share of held-out labels that logistic regression reads off the codes."""
    if dataset.train.labels is None or not len(dataset.held_out):
        return
    untrained = build_model(run.config)
    for player in untrained.family.players():
        player.module.to(run.device)
    encoders: dict[str, Encode] = {
        "read off the codes by a line": run.encode,
        "read off untrained codes": lambda x: codes(untrained, run.scaling.to_model(x).to(run.device), None),
        "read off the values themselves": raw,
    }
    for name, encode in encoders.items():
        found = probe(_plain(encode), dataset)
        yield name, f"{found.accuracy:.2%} of {found.examples:,}, from {found.learned_from:,} labels"


def _plain(encode: Encode) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return an encoder whose codes carry no trace of how they were computed."""
    return lambda x: torch.as_tensor(encode(x)).clone()


def _rebuilt(run: Run, dataset: Dataset, n: int) -> list[Row]:
    """Return the error of held-out examples behind their code."""
    if not isinstance(run.family, Autoencoder):
        return []
    split = dataset.unseen
    examples, labels = split.batch(torch.arange(min(n, len(split))))
    return errors(examples.numpy(), rebuilt(run, examples, labels)[1])
