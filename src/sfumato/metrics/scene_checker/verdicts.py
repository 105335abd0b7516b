"""Whether things that were seen are those of a sentence, aspect by aspect.

A sentence has a slot for every thing it is about. Slots are given to things in the way that makes most of
what the sentence says right; an aspect is right where it is right in every slot, and a slot without a thing
is wrong in all. Things beyond the slots make the count wrong and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

from sfumato.data.scenes.sentence import Phrase, Sentence
from sfumato.data.scenes.words import PLACES, RELATIONS, SIZES
from sfumato.metrics.scene_checker.things import Seen

ASPECTS = ("colour", "shape", "size", "position", "relation", "count")

BORDER = (SIZES["small"][1] + SIZES["large"][0]) / 2
"""The radius between small and large, midway between those that are drawn."""

PLACE_REACH = 3.5 / 32
"""How far from a place's middle, across or down, something still is in it: half of the way to the centre."""

MOST = 5
"""Only so many things, the largest, are tried in the slots."""


def judge(things: Sequence[Seen], sentence: Sentence) -> dict[str, bool]:
    """Return whether each aspect that `sentence` speaks of is as written; `things` come largest first."""
    slots = sentence.slots
    known = [*things[:MOST], *[None] * max(0, len(slots) - len(things))]
    ways = (dict(_aspects(way, slots, sentence)) for way in permutations(known, len(slots)))
    return max(ways, key=_rank) | {"count": len(things) == len(slots)}


def _rank(verdict: Mapping[str, bool]) -> tuple[bool, bool, int]:
    """Prefer the right colour, since it says which thing is meant, then the right shape."""
    return verdict["colour"], verdict["shape"], sum(verdict.values())


def _aspects(
    way: Sequence[Seen | None], slots: Sequence[Phrase], sentence: Sentence
) -> Iterator[tuple[str, bool]]:
    pairs = list(zip(way, slots, strict=True))
    yield "colour", all(thing is not None and thing.colour == slot.colour for thing, slot in pairs)
    yield "shape", all(thing is not None and thing.shape == slot.shape for thing, slot in pairs)
    if sentence.first.size or (sentence.second and sentence.second.size):
        yield "size", all(thing is not None and _is_size(thing, slot.size) for thing, slot in pairs)
    if sentence.first.place:
        yield "position", all(thing is not None and _is_in(thing, slot.place) for thing, slot in pairs)
    if sentence.relation:
        yield "relation", _is_related(way[0], way[1], sentence.relation)


def _is_size(thing: Seen, size: str | None) -> bool:
    if size is None:
        return True
    return (thing.radius < BORDER) == (size == min(SIZES, key=lambda name: SIZES[name]))


def _is_in(thing: Seen, place: str | None) -> bool:
    if place is None:
        return True
    x, y = PLACES[place]
    return max(abs(thing.x - x), abs(thing.y - y)) <= PLACE_REACH


def _is_related(first: Seen | None, second: Seen | None, relation: str) -> bool:
    """Return whether the second thing lies within 45° of the direction from the first."""
    if first is None or second is None:
        return False
    right, down = RELATIONS[relation]
    x, y = second.x - first.x, second.y - first.y
    return x * right + y * down > abs(x * down) + abs(y * right)
