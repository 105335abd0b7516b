"""How much the pictures of one sentence differ.

The mean, over all pairs of pictures of the same sentence, of the root mean square of their difference, from 0
(copies) to 1 (black and white). Backgrounds of another grey count too: a model that draws one scene alone
has no variety, whatever its words.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.metrics.scene_checker.checking import require_scenes


def variety(pictures: Tensor, sentences: Sequence[str]) -> float:
    """Return the mean distance of two pictures of one sentence: pictures uint8 (N, 3, S, S), N sentences.

    The mean runs over sentences, each counted once. Raises DataError where no sentence has two pictures.
    """
    require_scenes(pictures, sentences)
    rows = defaultdict(list)
    for row, sentence in enumerate(sentences):
        rows[sentence].append(row)
    several = [places for places in rows.values() if len(places) > 1]
    if not several:
        raise DataError("Every sentence has one picture only: variety needs two or more of the same.")
    flat = pictures.flatten(1).double() / 255
    distances = [torch.pdist(flat[places]).mean() for places in several]
    return float(torch.stack(distances).mean() / flat.shape[1] ** 0.5)
