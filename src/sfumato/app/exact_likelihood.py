"""What `sfumato likelihood` does for a model of pixels one after another: the likelihood itself, no bound.

Beside it stands what the simplest model of all would score, a histogram of each value by itself,

    p(x) = Π_i (count of x_i at place i + 1)/(examples + levels),

so that a figure can be read: what is below comes from knowing how values depend on each other.
"""

import json
import math
from typing import Any

import torch
from torch import Tensor

from sfumato.app.console import bar, console, facts_table, output
from sfumato.app.likelihood import doubt_guided, refuse_codes, summary, worded
from sfumato.app.scoring import one_process
from sfumato.app.training import read_for
from sfumato.app.unseen import held_out
from sfumato.data import Dataset
from sfumato.runs.model import log_prob
from sfumato.runs.run import Run

EXAMPLES = 1000
"""How many held-out examples are asked, where nobody says."""
CHUNK = 32


def measure_exactly(run: Run, source: str | None, n: int | None, seed: int, as_json: bool) -> dict[str, Any]:
    """Measure, print and return the likelihood of `n` held-out examples; raise ConfigError for codes."""
    one_process("likelihood")
    refuse_codes(run)
    doubt_guided(run.family.learned, "family.learned_guidance=1")
    dataset = read_for(run, source)
    examples = held_out(run, dataset, n or EXAMPLES, seed)
    parts = []
    with bar() as progress:
        task = progress.add_task("the likelihood", total=len(examples.values))
        chunk = min(CHUNK, run.config.training.batch)
        for start in range(0, len(examples.values), chunk):
            some = slice(start, start + chunk)
            told = None if examples.condition is None else examples.condition[some]
            parts.append(log_prob(run.model, examples.values[some], told).cpu())
            progress.advance(task, len(parts[-1]))
    size = examples.values[0].numel()
    result = {
        "run": str(run.folder),
        "data": dataset.source,
        "content_hash": dataset.content_hash,
        "examples": len(examples.values),
        "dimensions": size,
        "given": list(examples.condition.values) if examples.condition is not None else [],
        "seed": seed,
        "levels": run.family.letters.vocabulary.count,
        "lossless": lossless(run, examples.values),
        "exact": summary(-torch.cat(parts), size),
        "histogram": summary(-histogram(run, dataset, examples.values), size),
    }
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
    return result


def lossless(run: Run, values: Tensor) -> bool:
    """Return whether values (B, C, H, W) are all levels of the model, as bytes."""
    letters = run.family.letters
    again = letters.write(letters.read(values))
    return torch.equal(run.scaling.to_data(again), run.scaling.to_data(values))


def histogram(run: Run, dataset: Dataset, values: Tensor) -> Tensor:
    """Return log p of values (B, C, H, W) by a histogram of the training examples at each place: (B,)."""
    letters = run.family.letters
    counts = torch.ones(math.prod(values.shape[1:]), letters.vocabulary.count, dtype=torch.float64)
    for places in torch.arange(len(dataset.train)).split(4096):
        read = letters.read(run.scaling.to_model(dataset.train.batch(places)[0]))
        for level in range(letters.vocabulary.count):
            counts[:, level] += (read == level).sum(0)
    log_p = (counts / counts.sum(1, keepdim=True)).log()
    tokens = letters.read(values.cpu())
    return log_p[torch.arange(len(log_p)), tokens].sum(1)


def show(result: dict[str, Any]) -> None:
    """Print the numbers, and what they are of."""
    given = f", given the {' and '.join(result['given'])} of each" if result["given"] else ""
    rows = [
        ("examples", f"{result['examples']:,} held out of {result['data']}{given}"),
        ("exact", worded(result["exact"])),
        ("a histogram of each value", worded(result["histogram"])),
    ]
    output.print(facts_table(rows))
    if result["lossless"]:
        console.print("exact: −log P of the examples, no bound")
    else:
        console.print(
            f"exact: −log P of the examples rounded to the model's {result['levels']} levels, no bound"
        )
