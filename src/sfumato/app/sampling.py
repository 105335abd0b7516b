"""What `sfumato sample` does: walk the chunks of a request with a bar, and hand them to a writer.

Under `accelerate launch` or `torchrun` each process samples every n-th chunk and the first one writes them
in order, so two processes make the images that one would, up to rounding.
"""

from pathlib import Path
from time import perf_counter

import numpy as np
from rich.progress import Progress, TaskID

from sfumato.app.console import bar, note, output
from sfumato.app.outputs import Writer, open_writer
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.config import DiffusionConfig
from sfumato.runs.fitting import accelerator, part
from sfumato.runs.run import CHUNK, Run
from sfumato.runs.sampling import Request, Sampled

Part = tuple[np.ndarray, list[np.ndarray]]


def tell_untold(run: Run | Cascade, request: Request) -> None:
    """Say what a distilled run was not told: unlike its teacher, it was never trained without."""
    if not isinstance(run, Run) or not isinstance(run.config, DiffusionConfig) or request.condition is None:
        return
    untold = [name for name, rows in request.condition.dropped.items() if bool(rows.any())]
    if untold and run.config.distilled is not None:
        note(
            f"{run.folder} is distilled and was never trained without its conditions, and "
            f"no {' or '.join(untold)} is asked for: ask for all, or sample {run.config.distilled.teacher}"
        )


def default_file(run: Run | Cascade) -> str:
    """Return the file for samples where none is named: a picture, or an array of what cannot be drawn."""
    return "samples.npz" if run.config.makes_codes else "samples.png"


def sample_to(run: Run | Cascade, request: Request, path: Path) -> None:
    """Sample a request into `path`; nothing half is left if it fails."""
    tell_untold(run, request)
    place = accelerator()
    shape = run.shape
    writer = open_writer(path, request, shape) if place.is_main_process else None
    start = perf_counter()
    try:
        evaluations = _walk_all(run, request, writer, place.process_index, place.num_processes, path)
        rate = request.n / (perf_counter() - start)
        part(place)
        if writer:
            writer.close()
    except BaseException:
        if writer:
            writer.abandon()
        raise
    if writer:
        output.print(
            f"{path}: {request.n:,} samples, {evaluations} network evaluation{'s' * (evaluations != 1)} "
            f"each, seeds {request.seed} to {request.seed + request.n - 1}, {rate:.3g} a second"
        )


def _walk_all(
    run: Run | Cascade, request: Request, writer: Writer | None, rank: int, processes: int, path: Path
) -> int:
    chunks = request.chunks(CHUNK)
    film = path.suffix.lower() == ".gif"
    evaluations, way = 0, run.hastened(note, processes)
    with bar() as progress:
        task = progress.add_task(f"sampling {request.n:,}", total=request.n)
        for start in range(0, len(chunks), processes):
            turn = chunks[start : start + processes]
            mine: list[Part] = []
            if rank < len(turn):
                part, evaluations = _walk_one(way, request, turn[rank], film, progress, task, len(turn))
                mine = [part]
            for samples, moments in _everyone(mine, processes):
                if writer:
                    writer.add(samples, moments)
    return evaluations


def _walk_one(
    way: Sampled,
    request: Request,
    places: range,
    film: bool,
    progress: Progress,
    task: TaskID,
    fellows: int,
) -> tuple[Part, int]:
    moments = []
    for chunk in way.walk(request, places):
        if film:
            moments.append(chunk.state)
        if chunk.moment.index:
            progress.advance(task, len(places) * fellows / chunk.moment.steps)
    return (chunk.state, moments), chunk.moment.evaluations


def _everyone(mine: list[Part], processes: int) -> list[Part]:
    if processes == 1:
        return mine
    from accelerate.utils import gather_object

    return list(gather_object(mine))
