"""Tiny text encoders with random weights, as the hub lays them out, made where they are needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'sfumato[text]'")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "blue", "circle", "square", "left", "of"]
SIZES: dict[str, Any] = {"vocab_size": len(WORDS), "hidden_size": 16, "intermediate_size": 32}
LAYERS: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 2}
ENDS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}


def tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    library = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    library.normalizer = normalizers.Lowercase()
    library.pre_tokenizer = pre_tokenizers.Whitespace()
    library.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": "[CLS]", "eos_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=library, **special).save_pretrained(folder)


def bert() -> Any:
    return transformers.BertModel(transformers.BertConfig(**SIZES, **LAYERS, max_position_embeddings=12))


def saved(kind: Callable[[], Any], folder: Path) -> Any:
    """Write a tiny encoder with random weights, and return its network."""
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        network = kind().eval()
    network.save_pretrained(folder)
    tokenizer(folder)
    return network
