"""Scenes as a data set: 18,000 to learn from, and 2,000 held out.

Of those held out, half are new pictures of the kinds of sentence that training shows, as for any data set;
the other half show combinations of words that training never shows.
"""

import numpy as np
from PIL import Image

from sfumato.data.found import Found
from sfumato.data.pictures import Form, fit
from sfumato.data.scenes.drawing import draw
from sfumato.data.scenes.grammar import rng_for, sentence
from sfumato.data.scenes.scene import Scene
from sfumato.data.scenes.staging import stage

TRAINING, HELD_OUT = 18_000, 2_000
USUAL_SIZE = 32


class ScenePictures:
    """Pictures that are drawn whenever they are asked for, at the size that is asked for."""

    def __init__(self, content: list[Scene]) -> None:
        self.content = content

    def __len__(self) -> int:
        return len(self.content)

    def name(self, index: int) -> str:
        """Return "scene" and its place."""
        return f"scene {index}"

    def size(self, index: int) -> tuple[int, int]:
        """Return (width, height) where nobody asks for another: (32, 32)."""
        return USUAL_SIZE, USUAL_SIZE

    def fit(self, index: int, form: Form) -> np.ndarray:
        """Draw the picture at `index` in `form`; in grey by its luminance, for one channel."""
        pixels = draw(self.content[index], form.size)
        if form.channels == len(pixels):
            return pixels
        return fit(Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))), form)


def scenes(seed: int) -> Found:
    """20,000 scenes with their sentences, drawn at any size, the same for the same seed."""
    rng = rng_for(seed, "scenes")
    half = HELD_OUT // 2
    kinds = ["seen"] * (TRAINING + half) + ["held-out"] * half
    said = [sentence(kind, rng) for kind in kinds]
    pictures = ScenePictures([stage(one, rng) for one in said])
    held_out = np.arange(len(said)) >= TRAINING
    return Found(pictures, captions=tuple(map(str, said)), held_out=held_out)
