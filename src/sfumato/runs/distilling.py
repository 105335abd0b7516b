"""Begin a distillation: from a run and its data to a training in a folder of its own."""

from pathlib import Path

from sfumato.data import Dataset, load_data
from sfumato.errors import RunError
from sfumato.runs.conditions import pretrained, text
from sfumato.runs.conditions.embedding import ENCODER
from sfumato.runs.distillation import distilled_config, keep_teacher
from sfumato.runs.fitting import Training
from sfumato.runs.kept import pass_on
from sfumato.runs.latent import AUTOENCODER
from sfumato.runs.run import CONFIG, Run
from sfumato.train.budget import Budget


def begin_distillation(
    teacher: Run,
    folder: Path,
    budget: Budget,
    steps: int,
    seed: int,
    settings: tuple[str, ...] = (),
    dataset: Dataset | None = None,
    guidance: float | None = None,
) -> Training:
    """Return the training, begun in `folder`.

    dataset: the teacher's own, read where it is not given; guidance: the teacher's, by default what suits the
    budget. Raises ConfigError for what cannot be distilled,
    RunError for a folder that holds a run already and for data that is no longer the teacher's.
    """
    config = distilled_config(teacher, steps, seed, settings, budget, guidance)
    if (folder / CONFIG).exists():
        raise RunError(f"{folder} holds a run already: choose another --out.")
    if dataset is None:
        dataset = load_data(config.data.source, **config.data.reading)
    if dataset.content_hash != config.data.content_hash:
        raise RunError(
            f"the data at '{config.data.source}' is not what {teacher.folder} was trained on: restore it."
        )
    keep_teacher(teacher, folder)
    for name in (AUTOENCODER, ENCODER):
        pass_on(name, teacher.folder, folder)
    text.pass_on(teacher.folder, folder)
    pretrained.pass_on(teacher.folder, folder)
    training = Training(config, dataset, folder, budget)
    training.begin()
    return training
