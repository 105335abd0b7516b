"""A map of embeddings: (N, D) to points in the plane.

`principal` is the linear map that keeps most of the spread: with the centred embeddings as U·S·Vᵀ, the first
columns of U·S (Pearson 1901). Distances in it are never more than the true ones. `neighbourly` keeps who is
near whom and nothing else (t-SNE, van der Maaten & Hinton 2008): islands mean something, the sea between them
does not. It costs N·log N steps, so it is for a few thousand points.
"""

import torch
from torch import Tensor

MOST_NEIGHBOURLY = 3000
"""Points from which on a map is linear."""
LEAST_NEIGHBOURLY = 50
"""Points below which neighbourhoods are too few to draw."""


def principal(embeddings: Tensor, dimensions: int = 2) -> Tensor:
    """Return the first principal components of embeddings (N, D), largest spread first: (N, dimensions).

    Of each direction and its opposite, that whose largest entry is positive is taken.
    """
    centred = embeddings.double() - embeddings.double().mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    directions = directions[:dimensions]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    points = centred @ (directions * largest.sign()).T
    missing = dimensions - points.shape[1]
    return torch.nn.functional.pad(points, (0, missing)).float()


def neighbourly(embeddings: Tensor) -> Tensor:
    """Return the t-SNE of embeddings (N, D) by their angles, begun at their principal components: (N, 2)."""
    from sklearn.manifold import TSNE

    directions = torch.nn.functional.normalize(embeddings.float(), dim=1)
    begun = principal(directions)
    # The start's scale and the rate are those of scikit-learn; nothing is drawn, so no seed is needed.
    begun = 1e-4 * begun / begun[:, 0].std().clamp(min=1e-12)
    method = TSNE(2, init=begun.numpy(), perplexity=min(30.0, len(embeddings) / 5), random_state=0)
    return torch.from_numpy(method.fit_transform(directions.numpy()))


def embedding_map(embeddings: Tensor) -> Tensor:
    """Return the map that suits the number of embeddings (N, D): points (N, 2)."""
    few_enough = LEAST_NEIGHBOURLY <= len(embeddings) <= MOST_NEIGHBOURLY
    return neighbourly(embeddings) if few_enough else principal(embeddings)
