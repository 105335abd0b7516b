"""Pictures of examples, from arrays to files: grids, scatters, films, strips and pairs.

Images come in as uint8 (N, C, H, W) with one or three channels, points as floats (N, 2). `picture`,
`film` and `film_strip` take either, so who calls them needs no branch.
"""

from sfumato.app.pictures.files import save_image, write_bytes
from sfumato.app.pictures.films import film, film_strip, save_film
from sfumato.app.pictures.grids import columns_for, grid, pairs
from sfumato.app.pictures.painter import can_draw, painter, picture
from sfumato.app.pictures.points import scatter

__all__ = [
    "can_draw",
    "columns_for",
    "film",
    "film_strip",
    "grid",
    "painter",
    "pairs",
    "picture",
    "save_film",
    "save_image",
    "scatter",
    "write_bytes",
]
