"""What `sfumato evaluate` does first: find out by what a folder's model is to be scored."""

from pathlib import Path
from typing import Any

from sfumato.app.code_scores import score_codes
from sfumato.app.guiding import Guidances
from sfumato.app.prior_scores import score_prior
from sfumato.app.scoring import score_run
from sfumato.errors import ConfigError
from sfumato.families.agreements import Generator
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.opening import open_folder
from sfumato.runs.run import Run


def evaluate_folder(
    folder: Path,
    source: str | None,
    n: int,
    seed: int,
    as_json: bool,
    wish: Guidances,
    clip: Path | None,
    **how: Any,
) -> None:
    """Score samples, embeddings that a prior makes, or codes, whichever the model makes."""
    opened = open_folder(folder)
    if isinstance(opened, Run) and opened.config.makes_codes and clip is None:
        score_prior(opened, source, n, seed, as_json, wish, **how)
    elif isinstance(opened, Cascade) or isinstance(opened.family, Generator):
        score_run(opened, source, n, seed, as_json, wish, Run.open(clip) if clip else None, **how)
    elif wish != Guidances() or clip or any(how.values()):
        raise ConfigError(f"{folder} samples nothing: leave out the options that say how to sample.")
    else:
        score_codes(opened, source, n, as_json)
