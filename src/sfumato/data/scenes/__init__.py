"""Scenes: coloured shapes on a plain background, drawn by our own code, each with its sentence.

    words          what there is to say: shapes, colours, sizes, places, counts, relations
    sentence       a sentence as text and as its meaning, either way
    combinations   which words never meet in training
    grammar        sentences at random, of seen or of held-out combinations
    scene          the things of a picture
    staging        things where a sentence wants them, at random where it leaves that open
    shapes         what they are
    drawing        from things to pixels
    source         all of it as a data set

The world is small enough to be learned in minutes, and whether a picture shows what was asked for can be
measured, since everything that can be said can be seen (`sfumato.metrics.scene_checker`).
"""

from sfumato.data.scenes.combinations import is_held_out
from sfumato.data.scenes.drawing import draw
from sfumato.data.scenes.grammar import KINDS, sentences
from sfumato.data.scenes.scene import Scene, Thing
from sfumato.data.scenes.sentence import Phrase, Sentence, parse
from sfumato.data.scenes.source import scenes
from sfumato.data.scenes.staging import stage

__all__ = [
    "KINDS",
    "Phrase",
    "Scene",
    "Sentence",
    "Thing",
    "draw",
    "is_held_out",
    "parse",
    "scenes",
    "sentences",
    "stage",
]
