"""From a run to the content of its report: what `app.report` then lays out."""

from collections.abc import Sequence
from datetime import date
from shlex import quote

from torch import nn

from sfumato import __version__
from sfumato.app.console import clock
from sfumato.app.panels import panels
from sfumato.app.report import Report, write_report
from sfumato.data import Dataset
from sfumato.families.agreements import Autoencoder, Encoder, Generator
from sfumato.families.contrasting.geometry import collapse
from sfumato.nets.conditions import PICTURE, TEXT
from sfumato.runs.conditions.picture import PictureReader
from sfumato.runs.run import REPORT, Run
from sfumato.train.history import measures_of

SCORES = "scores.json"


def write_run_report(
    run: Run, dataset: Dataset, scores: Sequence[tuple[str, str]] = (), doubts: Sequence[str] = ()
) -> None:
    """Write the report of a run into its folder: sampled afresh from seed 0, with scores if there are any.

    scores: figures by their names; doubts: what to know before trusting them.
    """
    made, evidence = panels(run, dataset)
    report = Report(
        title=f"{dataset.name}: {run.model.called}",
        subtitle=f"Recipe {run.config.recipe}, trained on {len(dataset.train):,} examples.",
        summary=_summary(run, dataset),
        figures=made,
        evidence=evidence,
        history=run.history,
        measures=_measures(run),
        scores=scores or None,
        score_warnings=[*doubts, *_collapsed(run)],
        commands=_commands(run),
        python_snippet=_snippet(run),
        notes=_notes(dataset),
        config=run.config.model_dump(mode="json"),
        version=__version__,
        date=date.today().isoformat(),
    )
    write_report(run.folder / REPORT, report)


def weights_of(module: nn.Module) -> int:
    """Return how many numbers a network has learned."""
    return sum(parameter.numel() for parameter in module.parameters())


def _measures(run: Run) -> list[tuple[str, str]]:
    return [(name, f"{value:.4g}") for name, value in measures_of(run.history).items()]


def _collapsed(run: Run) -> list[str]:
    """Return the sentence that says so where an encoder tells examples no longer apart."""
    found = collapse(measures_of(run.history))
    return [found] if found else []


def _summary(run: Run, dataset: Dataset) -> list[tuple[str, str]]:
    weights = sum(weights_of(player.module) for player in run.family.players() if player.sampled)
    return [
        ("training images", f"{len(dataset.train):,}"),
        ("shape", "×".join(str(side) for side in dataset.shape)),
        ("classes", str(len(dataset.classes)) if dataset.classes else "none"),
        ("weights", f"{weights / 1e6:.2f} million"),
        ("steps", f"{run.done.steps:,}"),
        ("time", clock(run.done.seconds)),
    ]


def _commands(run: Run) -> list[tuple[str, str]]:
    folder, source = quote(str(run.folder)), quote(run.config.data.source)
    label = f" --label {quote(run.classes[0])}" if run.classes else ""
    label += ' --prompt "…"' if TEXT in run.conditions.readers else ""
    given, found = run.conditions.readers.get(PICTURE), []
    if run.config.makes_codes:
        found += [("Embeddings of sentences", f"sfumato sample {folder} -n 8 --prompt '…' --out codes.npz")]
    elif isinstance(given, PictureReader):
        use = f"sfumato {given.verb} {folder} picture.png --out {given.result}.png"
        found += [(f"A picture made {given.result}", use)]
    elif isinstance(run.family, Generator):
        found += [
            ("A grid of 100 new samples", f"sfumato sample {folder} -n 100 --out samples.png"),
            ("The way there as a film", f"sfumato sample {folder} -n 25{label} --out film.gif"),
            ("Arrays for other programs", f"sfumato sample {folder} -n 10000 --out samples.npz"),
        ]
    found += [("Scores against the data", f"sfumato evaluate {folder}")]
    if isinstance(run.family, Encoder):
        found += [("Codes of examples", f"sfumato encode {folder} {source} --out codes.npz")]
    if isinstance(run.family, Autoencoder) and not run.config.makes_codes:
        found += [
            ("Examples as it sees them", f"sfumato reconstruct {folder} --out pairs.png"),
            ("From one example to another", f"sfumato interpolate {folder} 0 1 --out path.png"),
        ]
    return found


def _snippet(run: Run) -> str:
    use = "images = run.sample(16, seed=0)  # uint8 (16, C, H, W)"
    if run.config.makes_codes:
        use = "codes = run.sample(16, seed=0)  # float32 (16, D)"
    elif not isinstance(run.family, Generator):
        use = "codes = run.encode(examples)  # uint8 (N, C, H, W) to (N, ...)"
    return f'import sfumato\n\nrun = sfumato.open_run("{run.folder}")\n{use}\n'


def _notes(dataset: Dataset) -> list[str]:
    if not dataset.skipped:
        return []
    names = ", ".join(f"{item.name} ({item.reason})" for item in dataset.skipped[:10])
    return [f"{len(dataset.skipped):,} files were skipped: {names}."]
