"""The two networks of CLIP: one for pictures, one for sentences, and a space that both lead to.

    u = W_i·features(x),     v = W_t·whole(words)         (Radford et al. 2021, figure 3)

The projections are matrices, with no perceptron between the features and the loss: what the two sides have in
common is what the embedding is for.
"""

from torch import Tensor, nn

from sfumato.nets.contrastive import WithTemperature
from sfumato.nets.text import TextTransformer


class ClipNet(WithTemperature):
    """The network of training: (x: (B, ...), tokens: (B, L)) -> embeddings of any length, (B, D) each.

    images: x -> (B, D); reader: of sentences; embedding: D; temperature: at the start.
    """

    def __init__(
        self, images: nn.Module, reader: TextTransformer, embedding: int, temperature: float
    ) -> None:
        super().__init__(temperature)
        self.images, self.reader = images, reader
        self.project = nn.Linear(reader.norm.normalized_shape[0], embedding, bias=False)

    def forward(self, x: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embeddings of pictures and of sentences, which need not be of one number."""
        return self.images(x), self.texts(tokens)

    def texts(self, tokens: Tensor) -> Tensor:
        """Return the embeddings of sentences: (B, D)."""
        return self.project(self.reader(tokens).whole)
