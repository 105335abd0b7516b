"""A text encoder from a folder: tiny ones made here, read back, and folders that are none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from encoders import ENDS, LAYERS, SIZES, WORDS, bert, saved, transformers
from sfumato.errors import ConfigError
from sfumato.text.pretrained import PretrainedText


def bert_for_words() -> Any:
    """BERT as it was trained: under another name, and without a pooler."""
    return transformers.BertForMaskedLM(
        transformers.BertConfig(**SIZES, **LAYERS, max_position_embeddings=12)
    )


def t5() -> Any:
    """Encoder and decoder, of which the first is read."""
    sizes = {"vocab_size": len(WORDS), "d_model": 16, "d_kv": 8, "d_ff": 32}
    return transformers.T5Model(transformers.T5Config(**sizes, num_layers=2, num_heads=2))


def clip_text() -> Any:
    config = transformers.CLIPTextConfig(**SIZES, **LAYERS, **ENDS, max_position_embeddings=12)
    return transformers.CLIPTextModel(config)


def clip() -> Any:
    """Both halves of CLIP."""
    text = {**SIZES, **LAYERS, **ENDS, "max_position_embeddings": 12}
    vision = {"hidden_size": 16, "intermediate_size": 32, **LAYERS, "image_size": 8, "patch_size": 4}
    return transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=vision))


KINDS = [bert, bert_for_words, t5, clip_text, clip]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
TEXTS = ["a red circle", "A blue square left of a red circle", ""]


@every_kind
def test_features_are_those_of_the_network_that_was_saved(kind: Callable[[], Any], tmp_path: Path) -> None:
    network = saved(kind, tmp_path)
    encoder = PretrainedText.open(tmp_path, length=10)
    read = encoder.encode(TEXTS)
    assert read.each.shape == (3, 10, encoder.width) == (3, 10, 16)
    assert read.each.dtype == torch.float32
    assert read.present.sum(1).tolist() == [5, 10, 2]
    part = {"t5": "encoder", "clip": "text_model", "bert_for_words": "bert"}.get(kind.__name__, "")
    tokens = torch.tensor([[2, 4, 5, 7, 3]])
    with torch.no_grad():
        alone = network.get_submodule(part)(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    # Float32 sums over a row with padding and without.
    torch.testing.assert_close(read.each[0, :5], alone.last_hidden_state[0], rtol=1e-4, atol=1e-5)
    assert not read.each[0, 5:].any()


@every_kind
def test_it_is_frozen_and_rows_do_not_know_of_each_other(kind: Callable[[], Any], tmp_path: Path) -> None:
    saved(kind, tmp_path)
    before = torch.random.get_rng_state()
    encoder = PretrainedText.open(tmp_path, length=10)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not any(parameter.requires_grad for parameter in encoder.network.parameters())
    assert not encoder.network.training
    together = encoder.encode(TEXTS)
    assert not together.each.requires_grad
    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(encoder.encode([text]).each[0], together.each[row], rtol=1e-4, atol=1e-5)
    longer = PretrainedText.open(tmp_path, length=12).encode(TEXTS)
    torch.testing.assert_close(longer.each[:, :10], together.each, rtol=1e-4, atol=1e-5)


def test_what_is_unknown_or_too_long_is_told(tmp_path: Path) -> None:
    saved(bert, tmp_path)
    encoder = PretrainedText.open(tmp_path, length=6)
    assert encoder.unknown("a purple circle left of a Purple cube") == ("purple", "Purple", "cube")
    assert encoder.unknown(TEXTS[0]) == ()
    assert encoder.cut(TEXTS[0]) == ""
    assert encoder.cut(TEXTS[1]) == "of a red circle"
    assert torch.equal(encoder.encode(TEXTS[1:2]).each, encoder.encode(["a blue square left"]).each)


def test_no_row_is_longer_than_the_network_takes(tmp_path: Path) -> None:
    saved(bert, tmp_path)
    assert PretrainedText.open(tmp_path).length == 12


def test_nobody_can_type_the_end_of_a_sentence(tmp_path: Path) -> None:
    saved(bert, tmp_path)
    assert "SEP" in PretrainedText.open(tmp_path).unknown("a [SEP] circle")


def test_folders_that_are_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder"):
        PretrainedText.open(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"no config\.json"):
        PretrainedText.open(tmp_path)
    saved(bert, tmp_path)
    (tmp_path / "tokenizer.json").rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="no tokenizer"):
        PretrainedText.open(tmp_path)
    (tmp_path / "elsewhere").rename(tmp_path / "tokenizer.json")
    weights = tmp_path / "model.safetensors"
    weights.rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"only pytorch_model\.bin, which may run code"):
        PretrainedText.open(tmp_path)
    weights.write_bytes((tmp_path / "pytorch_model.bin").read_bytes()[:-1000])
    with pytest.raises(ConfigError, match="is no text encoder that can be read"):
        PretrainedText.open(tmp_path)


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    saved(bert, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(ConfigError, match="lacks weights"):
        PretrainedText.open(tmp_path)


def test_a_model_of_another_kind_is_told(tmp_path: Path) -> None:
    saved(bert, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "vit"}))
    with pytest.raises(ConfigError, match="is no text encoder"):
        PretrainedText.open(tmp_path)


def test_no_code_of_the_folder_runs(tmp_path: Path) -> None:
    saved(bert, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    ran = tmp_path / "ran"
    (tmp_path / "mine.py").write_text(f"open({str(ran)!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    with pytest.raises(ConfigError, match="is no text encoder"):
        PretrainedText.open(tmp_path)
    assert not ran.exists()


def test_a_missing_library_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(bert, tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ConfigError, match=r"sfumato\[text\]"):
        PretrainedText.open(tmp_path)
