"""From a run to the content of its report: what `app.report` then lays out."""

from datetime import date

import numpy as np
import torch
from PIL import Image

from sfumato import __version__
from sfumato.app.console import clock
from sfumato.app.pictures import film_strip, pairs, picture
from sfumato.app.report import Report, write_report
from sfumato.data import Dataset
from sfumato.metrics import Scores, nearest
from sfumato.runs.run import REPORT, Run

SCORES = "scores.json"
SHOWN, COMPARED = 60, 20


def write_run_report(run: Run, dataset: Dataset, scores: Scores | None = None) -> None:
    """Write the report of a run into its folder: sampled afresh from seed 0, with scores if there are any."""
    request = run.request(SHOWN if dataset.is_pictures else 2000)
    moments = [chunk.state for chunk in run.walk(request, range(request.n))]
    samples = moments[-1]
    drawable = can_draw(dataset.shape)
    labels = None if request.labels is None else request.labels.numpy()
    report = Report(
        title=f"{dataset.name}: a diffusion model",
        subtitle=f"Recipe {run.config.recipe}, trained on {len(dataset.train):,} examples.",
        summary=_summary(run, dataset),
        samples=picture(samples, labels, reference=_reference(dataset)) if drawable else None,
        samples_caption=_caption(run, request.n),
        film_strip=film_strip(moments) if drawable else None,
        neighbours=_neighbours(samples, dataset),
        history=run.history,
        scores=scores.rows() if scores else None,
        score_warnings=scores.warnings if scores else (),
        commands=_commands(run),
        python_snippet=_snippet(run),
        notes=_notes(dataset),
        config=run.config.model_dump(mode="json"),
        version=__version__,
        date=date.today().isoformat(),
    )
    write_report(run.folder / REPORT, report)


def can_draw(shape: tuple[int, ...]) -> bool:
    """Return whether examples of `shape` can be drawn: pictures, and points in the plane."""
    return len(shape) == 3 or shape == (2,)


def _summary(run: Run, dataset: Dataset) -> list[tuple[str, str]]:
    weights = sum(parameter.numel() for parameter in run.family.module.parameters())
    return [
        ("training images", f"{len(dataset.train):,}"),
        ("shape", "×".join(str(side) for side in dataset.shape)),
        ("classes", str(len(dataset.classes)) if dataset.classes else "none"),
        ("weights", f"{weights / 1e6:.2f} million"),
        ("steps", f"{run.done.steps:,}"),
        ("time", clock(run.done.seconds)),
    ]


def _caption(run: Run, n: int) -> str:
    sampling = run.config.sampling
    order = "; columns are the classes in order" if run.classes else ""
    guidance = f", guidance {sampling.guidance:g}" if run.classes else ""
    way = f"{sampling.sampler['name']} with {sampling.steps} steps{guidance}"
    return f"{n:,} samples from seeds 0 on, {way}{order}."


def _reference(dataset: Dataset) -> np.ndarray | None:
    if dataset.is_pictures:
        return None
    return dataset.train.store.take(torch.arange(min(4000, len(dataset.train)))).numpy()


def _neighbours(samples: np.ndarray, dataset: Dataset) -> Image.Image | None:
    if not dataset.is_pictures:
        return None
    shown = samples[:COMPARED]
    indices, _ = nearest(torch.from_numpy(shown), dataset.train.store)
    return pairs(shown, dataset.train.store.take(indices).numpy())


def _commands(run: Run) -> list[tuple[str, str]]:
    folder, label = run.folder, f" --label {run.classes[0]}" if run.classes else ""
    return [
        ("A grid of 100 new samples", f"sfumato sample {folder} -n 100 --out samples.png"),
        ("The denoising as a film", f"sfumato sample {folder} -n 25{label} --out film.gif"),
        ("Arrays for other programs", f"sfumato sample {folder} -n 10000 --out samples.npz"),
        ("Scores against the data", f"sfumato evaluate {folder}"),
    ]


def _snippet(run: Run) -> str:
    return (
        "import sfumato\n\n"
        f'run = sfumato.open_run("{run.folder}")\n'
        "images = run.sample(16, seed=0)  # uint8 (16, C, H, W)\n"
    )


def _notes(dataset: Dataset) -> list[str]:
    if not dataset.skipped:
        return []
    names = ", ".join(f"{item.name} ({item.reason})" for item in dataset.skipped[:10])
    return [f"{len(dataset.skipped):,} files were skipped: {names}."]
