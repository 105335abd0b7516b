"""What `sfumato vary` does: embeddings of pictures or of sentences, one kept or two blended, drawn again.

(Ramesh et al. 2022, section 3: variations draw from one embedding with other noise; blends go along the arc
between two.)
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sfumato.app.guiding import weights_of
from sfumato.app.sampling import sample_to
from sfumato.data.pictures import Form, colour, read_picture
from sfumato.errors import ConfigError
from sfumato.families.autoencoders.interpolation import spherical
from sfumato.nets.conditions import EMBEDDING
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.conditions.embedding import EmbeddingReader
from sfumato.runs.run import Run


def vary_to(
    opened: Run | Cascade,
    pictures: list[Path],
    prompts: list[str],
    n: int,
    guidance: str | None,
    seed: int,
    path: Path,
) -> None:
    """Draw `n` pictures from one embedding, or along the arc between two, into `path`.

    Raises ConfigError for a run that knows no embeddings, and for other than one or two to begin with.
    """
    if bool(pictures) == bool(prompts) or max(len(pictures), len(prompts)) > 2:
        raise ConfigError(
            "name a picture to vary or a sentence by --prompt, or two pictures or two sentences to go "
            "between."
        )
    drawing = _drawing(opened)
    ends = _of_pictures(drawing, pictures) if pictures else _of_sentences(opened, prompts, seed)
    shares = torch.linspace(0, 1, n)
    codes = spherical(ends[0], ends[1], shares) if len(ends) == 2 else ends[0].expand(n, -1)
    weight = None if guidance is None else weights_of(guidance)
    told = {EMBEDDING: list(codes.numpy())}
    request = drawing.request(n, seed=seed, conditions=told, guidance=weight)
    # Between two embeddings the noise stays the same, so that nothing but the meaning changes.
    sample_to(drawing, replace(request, steady=len(ends) == 2), path)


def _drawing(opened: Run | Cascade) -> Run | Cascade:
    """Return what draws from an embedding."""
    if isinstance(opened, Cascade) and EMBEDDING in opened.gives:
        return opened.after(EMBEDDING)
    if EMBEDDING in opened.conditions.readers:
        return opened
    raise ConfigError(
        f"{opened.folder} knows no embeddings of pictures, so it cannot vary one: train with --recipe dalle, "
        "or with --encoder CLIP_RUN."
    )


def _of_pictures(drawing: Run | Cascade, pictures: list[Path]) -> torch.Tensor:
    """Return the embeddings of picture files: (B, D)."""
    reader = drawing.conditions.readers[EMBEDDING]
    assert isinstance(reader, EmbeddingReader)
    first = drawing.stages[0] if isinstance(drawing, Cascade) else drawing
    channels, height, _ = first.config.data.shape
    form = Form(height, channels, colour(first.config.data.background))
    pixels = np.stack([read_picture(picture, form) for picture in pictures])
    return reader.encoder.encode(torch.from_numpy(pixels)).cpu()


def _of_sentences(opened: Run | Cascade, prompts: list[str], seed: int) -> torch.Tensor:
    """Return the embeddings that the prior makes of sentences: (B, D)."""
    if not isinstance(opened, Cascade) or EMBEDDING not in opened.gives:
        raise ConfigError(
            f"{opened.folder} has no prior, which makes embeddings of sentences: name pictures."
        )
    prior = opened.stages[opened.gives.index(EMBEDDING)]
    return torch.from_numpy(prior.sample(len(prompts), prompts=prompts, seed=seed))
