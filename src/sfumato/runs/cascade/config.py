"""What a cascade is: its stages in order, written beside their folders.

RUN/cascade.json       the stages, and how long they are trained together
RUN/<stage>/           a run folder like any other
"""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sfumato.errors import RunError
from sfumato.files import write_whole
from sfumato.runs.config import Closed

CASCADE = "cascade.json"


class StageConfig(Closed):
    """One stage.

    name: of its folder; gives: the condition that what it makes is for those after it, None of the last;
    samples: whether it takes part in sampling, as an encoder that only helps to train the others does not.
    """

    name: str
    gives: str | None = None
    samples: bool = True


class CascadeConfig(Closed):
    """A cascade, and all it takes to go on with its training.

    recipe: what it was made by; source and reading: its data, in the size of the last stage; content_hash: of
    that; settings: each beginning with a stage's name; budget: of all stages together; stages: in order;
    text_encoder: the folder of what reads captions where sampling begins, None where the stage learns it.
    """

    recipe: str
    source: str
    reading: dict[str, Any]
    content_hash: str | None = None
    settings: tuple[str, ...] = ()
    seed: int = 0
    budget: str
    stages: tuple[StageConfig, ...]
    text_encoder: str | None = None


def is_cascade(folder: Path) -> bool:
    """Return whether `folder` holds a cascade."""
    return (folder / CASCADE).is_file()


def write_cascade(folder: Path, config: CascadeConfig) -> None:
    """Write what a cascade is into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config.model_dump(mode="json"), indent=2) + "\n"
    write_whole(folder / CASCADE, text.encode())


def read_cascade(folder: Path) -> CascadeConfig:
    """Read what a cascade is; raise RunError where it cannot be read."""
    try:
        return CascadeConfig.model_validate_json((folder / CASCADE).read_bytes())
    except (OSError, ValidationError) as error:
        raise RunError(f"{folder / CASCADE} cannot be read: put the cascade's own file back.") from error
