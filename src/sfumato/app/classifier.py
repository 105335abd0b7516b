"""What `sfumato classifier` does: train a classifier of a run's noisy examples, and say how good it is."""

from pathlib import Path

from sfumato.app.console import clock, console, output
from sfumato.app.scoring import one_process
from sfumato.app.training import read_data
from sfumato.app.training_bar import TrainingBar
from sfumato.errors import ConfigError, RunError
from sfumato.runs.classifier import ClassifierTraining, build_classifier
from sfumato.runs.config import DiffusionConfig, read_config
from sfumato.runs.run import CONFIG
from sfumato.train.budget import Budget
from sfumato.train.signals import stop_on_signal


def train_classifier(folder: Path, budget: str, seed: int) -> None:
    """Train and keep the classifier of the run in `folder`; Ctrl-C keeps what was learned until then.

    Raises RunError where the run's data is no longer what it was, ConfigError for a run without labels.
    """
    one_process("classifier")
    limit = Budget.parse(budget)
    if not folder.is_dir():
        raise RunError(f"there is no run folder '{folder}': 'sfumato train DATA --out {folder}' makes one.")
    config = read_config(folder / CONFIG)
    if not isinstance(config, DiffusionConfig):
        raise ConfigError(f"{folder} is no diffusion model: only such a model is led by a classifier.")
    build_classifier(config)  # refuses a run without labels before its data is read
    dataset = read_data(config.data.source, config.data.reading)
    if dataset.content_hash != config.data.content_hash:
        raise RunError(f"the data at '{config.data.source}' is not what {folder} was trained on: restore it.")
    training = ClassifierTraining(config, dataset, folder, limit, seed)
    with stop_on_signal() as stop, TrainingBar(limit) as bar:
        for event in training.events(stop):
            bar(event)
    if stop:
        console.print(f"Stopped by {stop.name}: what was learned until then is kept.")
    accuracy = training.accuracy()
    path = training.save(accuracy)
    done = training.fit.done
    output.print(f"Trained {done.steps:,} steps in {clock(done.seconds)}.")
    if accuracy:
        output.print("Held-out examples read right:")
    for ratio, share in accuracy.items():
        output.print(f"  {share:6.1%}  with noise {ratio:g} times the signal")
    output.print(f"  weights  {path}\n  sample   sfumato sample {folder} --classifier-guidance 2")
