"""What recipes know of the data, and what they all share: the scaling and a network of the right size."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import torch

from sfumato.data.dataset import Dataset
from sfumato.data.scaling import Pixels, Scaling, standardise
from sfumato.errors import ConfigError
from sfumato.randomness import generator
from sfumato.runs.conditions.pretrained import pretrained_spec
from sfumato.runs.conditions.text import learned
from sfumato.runs.config import DataConfig, LatentConfig
from sfumato.train.budget import Budget
from sfumato.train.comparable import comparable_seconds

MEASURED_ON = 4096
"""Examples on which the standard deviation is measured."""


FEW = 10_000
"""Examples below which a model of pixels would know them by heart before its training ends."""
TOKENS_OF_BATCH = 32_768
"""Tokens a batch has at most: attention to long sequences takes memory in proportion to their square."""
PAIRS_OF_BATCH = 2**26
"""Pairs of tokens that look at each other in a batch, at most."""
LEAST_EVEN = 32
"""The most levels below 256 that data is looked through for."""

SMALL_SIDE = 24
FINEST_WIDTH = ((20.0, 24), (90.0, 32), (240.0, 48), (1200.0, 64), (3600.0, 96), (math.inf, 128))
"""Channels of the finest level for training times below so many seconds."""
LIKELY = 300.0
"""Seconds that a training is taken for, of which only the steps or images are known."""


@dataclass(frozen=True)
class Facts:
    """The data of a run, how it meets the model, and how many seconds there are to train.

    latent: in whose codes the model lives, None for a model of the data itself; examples: how many there are
    to train on; find_text: finds the condition that their captions are, None without any; embedding: the
    condition that their codes by another run are, None where the model is told none; levels: how many values
    bytes take.

    Where a processor without fast bf16 trains, `seconds` are those that one with it takes for as many steps.
    A budget that counts steps or images says nothing of the time: `seconds` is then 0.
    """

    data: DataConfig
    scaling: dict[str, object]
    seconds: float = 0.0
    latent: LatentConfig | None = None
    examples: int = 0
    find_text: Callable[[], dict[str, object] | None] = lambda: None
    embedding: dict[str, object] | None = None
    levels: int = 256

    @cached_property
    def text(self) -> dict[str, object] | None:
        """The condition that captions are; a tokenizer learns them only for a recipe that asks."""
        return self.find_text()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example as the model sees it."""
        return self.latent.seen if self.latent else self.data.shape

    @property
    def is_pictures(self) -> bool:
        """Whether what the model sees are pictures, or maps of codes, rather than vectors."""
        return len(self.shape) == 3

    @property
    def of_pictures(self) -> bool:
        """Whether the data are pictures, whatever the model sees of them."""
        return len(self.data.shape) == 3

    @property
    def is_small(self) -> bool:
        """Whether the examples are pictures of fewer than 24 pixels a side."""
        return self.of_pictures and min(self.data.shape[1:]) < SMALL_SIDE

    def network(self) -> dict[str, object]:
        """Return a network that suits the examples' size and the time there is.

        Pictures from 24 pixels on are folded 2×2, so that most work is done at 12 to 16 pixels and half that;
        those from 48 on get a level more. A wide network learns more from each picture and sees fewer of
        them: on two cores narrow ones are ahead for two and a half minutes (docs/speed.md); longer times are
        a guess.
        Codes of pictures that are vectors say more than points in the plane do, and want more width.
        """
        if not self.is_pictures:
            return {"name": "mlp", "width": 384 if self.of_pictures else 128, "layers": 4}
        side = min(self.shape[1:])
        if side < SMALL_SIDE:
            return {"name": "unet", "widths": [64, 64], "blocks": 1, "fold": 1}
        time = self.seconds or LIKELY
        fine = next(width for seconds, width in FINEST_WIDTH if time < seconds)
        widths = [fine, 2 * fine] if side < 48 else [fine, 2 * fine, 3 * fine]
        return {"name": "unet", "widths": widths, "blocks": 1, "fold": 2}

    def training(self) -> dict[str, object]:
        """Return how weights are found: convolutions gain by Muon, a perceptron's few matrices do not."""
        if not self.is_pictures:
            return {"optimiser": "adamw", "training": {"batch": 512}}
        return {"optimiser": "muon", "training": {"batch": 64, "learning_rate": 6e-3}}

    def code(self, small: int, large: int) -> int:
        """Return how many numbers a code has: of small pictures, of others; of vectors as many as they."""
        if not self.is_pictures:
            return self.shape[0]
        return small if self.is_small else large

    def decoder(self) -> str:
        """Return the likelihood that suits what is modelled: of bytes in their bins for colour pictures.

        A Gaussian's one width an example says less of the values and is learned sooner.
        """
        of_bytes = self.latent is None and self.is_pictures
        return "logistic" if of_bytes and self.shape[0] > 1 else "gaussian"

    def codebook(self) -> dict[str, object]:
        """Return the size of a book of codes, the numbers in a code, and what reads them."""
        size = {"codes": 64, "depth": 4} if self.is_small else {"codes": 256, "depth": 8}
        return {**size, "decoder": self.decoder()}

    def likelihood_training(self) -> dict[str, object]:
        """Return how weights are found where losses are sums over an example's values, and so large."""
        if not self.is_pictures:
            return {"training": {"batch": 512, "clip": 10.0}}
        return {"training": {"batch": 128, "learning_rate": 6e-3, "clip": 10.0}}

    def token_network(self) -> dict[str, object]:
        """Return the size of a network over tokens, and how they are chosen.

        It is wide and shallow, as products are what is cheap. What a short training leaves unclear, guidance
        makes up for; it is learned, so that each token takes one question.
        """
        size = {"width": 128, "layers": 4} if self.is_small else {"width": 192, "layers": 3}
        return {**size, "learned_guidance": 1.5 if self.conditions() else 1.0}

    def pixel_network(self) -> dict[str, object]:
        """Return the size of a network over pixels; of few, some of it is left out in training."""
        few = {"dropout": 0.2} if self.examples < FEW else {}
        return {"width": 96 if self.is_small else 128, "layers": 4, **few}

    def causal_training(self) -> dict[str, object]:
        """Return how a model of tokens is told and trained: matrices gain by Muon as convolutions do.

        A picture of many tokens is many examples: batches have about as many tokens, whatever the pictures.
        """
        length = math.prod(self.shape)
        most = max(1, min(TOKENS_OF_BATCH // length, PAIRS_OF_BATCH // length**2))
        batch = min(64, 2 ** int(math.log2(most)))
        return {
            "conditions": self.conditions(),
            "optimiser": "muon",
            "training": {"batch": batch, "learning_rate": 6e-3},
        }

    def token_training(self) -> dict[str, object]:
        """Return the same for the tokens of a tokenizer; raise ConfigError where there is none."""
        if self.latent is None or not self.latent.vocabulary:
            raise ConfigError(
                "this model is of tokens: name a tokenizer's run by --latent RUN, one of --recipe vq-vae "
                "or multiscale-vq, or train both at once by --recipe next-token or var."
            )
        latent = self.latent.model_copy(update={"tokens": True})
        return {"latent": latent, **replace(self, latent=latent).causal_training()}

    def principal(self) -> "Facts":
        """Return the same of a model that sees the principal components of codes, if it lives in codes."""
        if self.latent is None:
            return self
        return replace(self, latent=self.latent.model_copy(update={"principal": True}))

    def labels(self) -> dict[str, object]:
        """Return the condition that an example's label is, where the data has labels."""
        return {"label": {"name": "label", "classes": self.data.classes}} if self.data.classes else {}

    def captions(self) -> dict[str, object]:
        """Return the condition that an example's caption is, where the data has captions."""
        return {"text": self.text} if self.text else {}

    def conditions(self) -> dict[str, object]:
        """Return all that is known of an example and a diffusion model can be told.

        Where that is its embedding, nothing else: what an embedding has understood, a sentence or a label
        beside it could only contradict.
        """
        if self.embedding:
            return {"embedding": self.embedding}
        known = self.data.attributes
        attributes = {"attributes": {"name": "attributes", "names": known}} if known else {}
        return {**self.labels(), **attributes, **self.captions()}

    def common(self) -> dict[str, object]:
        """Return the parts of a configuration that do not depend on the recipe."""
        return {
            "data": self.data,
            "latent": self.latent,
            "conditions": self.labels(),
            "scaling": self.scaling,
            **self.training(),
        }


def data_config(
    dataset: Dataset,
    budget: Budget | None = None,
    latent: LatentConfig | None = None,
    embedding: dict[str, object] | None = None,
    text_encoder: Path | str | None = None,
) -> Facts:
    """Measure what a configuration says of the data.

    budget: how long there is to train, if that is known; latent: in whose codes, which are standardised;
    embedding: the condition that an example's code is; text_encoder: the folder of what reads captions.
    """
    scaling: Scaling = Pixels()
    spec: dict[str, object] = {"name": "pixels"}
    if not dataset.is_pictures:
        measured = standardise(dataset.train.store)
        scaling, spec = measured, {"name": "standardise", "mean": measured.mean, "std": measured.std}
    some = torch.randperm(len(dataset.train), generator=generator(0, "measure"))[:MEASURED_ON]
    std = 1.0 if latent else float(scaling.to_model(dataset.train.batch(some)[0]).std())
    data = DataConfig.model_validate(
        {
            **dataset.reading,
            "source": dataset.source,
            "shape": dataset.shape,
            "classes": dataset.classes,
            "attributes": dataset.attributes,
            "captions": dataset.train.captions is not None,
            "std": float(f"{max(std, 1e-3):.4g}"),
            "content_hash": dataset.content_hash,
        }
    )
    text = partial(text_spec, dataset, text_encoder)
    levels = levels_of(dataset.train.batch(some)[0]) if dataset.is_pictures else 256
    return Facts(data, spec, comparable_seconds(budget), latent, len(dataset.train), text, embedding, levels)


def levels_of(examples: torch.Tensor) -> int:
    """Return the fewest evenly spaced levels from 0 to 255 that hold all values of bytes (B, C, H, W)."""
    values = examples.unique().double()
    for levels in range(2, LEAST_EVEN + 1):
        place = values * (levels - 1) / 255
        if bool(((place.round() * 255 / (levels - 1)).round() == values).all()):
            return levels
    return 256


def text_spec(dataset: Dataset, encoder: Path | str | None = None) -> dict[str, object] | None:
    """Return the condition that the captions of a data set are, None without any.

    encoder: the folder of what reads them, by default a transformer that is trained with the network. Raises
    ConfigError for an encoder without captions.
    """
    if dataset.train.captions is None:
        if encoder is not None:
            raise ConfigError(f"'{dataset.source}' has no captions: leave out the text encoder.")
        return None
    if encoder is not None:
        return pretrained_spec(encoder, dataset.train.captions)
    tokenizer = learned(dataset.train.captions)
    return {"name": "text", "vocabulary": tokenizer.vocabulary, "length": tokenizer.length}
