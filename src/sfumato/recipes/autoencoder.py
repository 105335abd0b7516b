"""A convolutional autoencoder (row N3) whose codes suit another model to live in.

Pictures get maps of codes, a quarter of a grey picture's numbers and a twelfth of a colour one's: of a small
picture half as wide with one number a place, of any other a quarter as wide with four. Noise on the codes
keeps neighbours alike, so that small errors of a latent model do little harm.
"""

from sfumato.recipes.facts import Facts


def recipe(facts: Facts) -> dict[str, object]:
    """Return the family and how it is trained."""
    return {
        "family": {"name": "autoencoder", "latent": latent(facts), "code_noise": 0.1},
    }


def latent(facts: Facts) -> int | tuple[int, ...]:
    """Return the shape of a code: a row for vectors, a smaller map for pictures."""
    if not facts.is_pictures:
        return max(1, facts.shape[0] // 2)
    shrink, depth = (2, 1) if facts.is_small else (4, 4)
    return (depth, *(-(-side // shrink) for side in facts.shape[1:]))
