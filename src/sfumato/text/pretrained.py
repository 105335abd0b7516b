"""A text encoder that others trained, from a local folder in the hub's format.

    sentence ↦ the library's tokens ↦ the network's last hidden states (B, L, W), and which of them are words

Encoders of the kinds of T5, BERT and CLIP serve (Saharia et al. 2022, section 2.1, compare them for making
pictures); of a whole CLIP the text half is taken. Weights come from safetensors alone and no code of the
folder runs, so that a folder from anywhere can be tried; nothing is fetched. The network stays as it is.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sfumato.errors import ConfigError

LONGEST = 77
"""Tokens of a sentence that are read, as of CLIP: captions are shorter, and attention to more costs time."""
WEIGHTS = "*.safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "tokenizer.model")


class Read(NamedTuple):
    """What was read. each: (B, L, W), zero at padding; present: (B, L) bool, where there is a token."""

    each: Tensor
    present: Tensor


@dataclass(frozen=True, eq=False)
class PretrainedText:
    """A text encoder that is not trained any further.

    tokenizer, network: the library's; length: L, tokens in a row.
    """

    tokenizer: Any = field(repr=False)
    network: Any = field(repr=False)
    length: int

    @classmethod
    def open(cls, folder: Path | str, length: int = LONGEST) -> "PretrainedText":
        """Open a folder with config.json, a tokenizer and safetensors.

        length: tokens in a row, cut to what the network takes. Raises ConfigError where something is missing,
        damaged, or no text encoder.
        """
        path = Path(folder)
        _check(path)
        tokenizer, network = _loaded(path)
        most = getattr(network.config, "max_position_embeddings", length)
        return cls(tokenizer, network, min(length, tokenizer.model_max_length, most))

    @property
    def width(self) -> int:
        """W, numbers for each token."""
        return int(self.network.config.hidden_size)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Read:
        """Return the features of sentences, as float32 where the network is."""
        rows = self._cut_tokens(list(texts), padding="max_length", return_tensors="pt")
        rows = {name: rows[name].to(self.network.device) for name in ("input_ids", "attention_mask")}
        states = self.network(**rows).last_hidden_state.float()
        present = rows["attention_mask"].bool()
        return Read(states * present[..., None], present)

    def unknown(self, text: str) -> tuple[str, ...]:
        """Return the parts of a sentence that the tokenizer has no token for, each once."""
        found = self._tokens(text, return_offsets_mapping=True, add_special_tokens=False)
        pairs = zip(found["input_ids"], found["offset_mapping"], strict=True)
        blank = self.tokenizer.unk_token_id
        return tuple(
            dict.fromkeys(text[start:end].strip() for token, (start, end) in pairs if token == blank)
        )

    def cut(self, text: str) -> str:
        """Return the part of a sentence for which a row has no room, "" where it has for all."""
        if self.count(text) <= self.length:
            return ""
        kept = self._cut_tokens(text, return_offsets_mapping=True)
        return text[max(end for _, end in kept["offset_mapping"]) :].strip()

    def count(self, text: str) -> int:
        """Return how many tokens a sentence has, its begin and end included."""
        return len(self._tokens(text)["input_ids"])

    def _tokens(self, texts: str | list[str], **how: Any) -> Any:
        return self.tokenizer(texts, verbose=False, **how)

    def _cut_tokens(self, texts: str | list[str], **how: Any) -> Any:
        return self._tokens(texts, truncation=True, max_length=self.length, **how)


def _check(folder: Path) -> None:
    """Raise ConfigError for a folder that cannot be a text encoder in the hub's format."""
    if not folder.is_dir():
        raise ConfigError(f"'{folder}' is no folder: give one with config.json, a tokenizer and safetensors.")
    if not (folder / "config.json").is_file():
        raise ConfigError(f"'{folder}' has no config.json: give a model's folder as the hub lays it out.")
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise ConfigError(f"'{folder}' has no tokenizer: add the model's tokenizer.json.")
    if not any(folder.glob(WEIGHTS)):
        pickled = [path.name for ending in PICKLES for path in sorted(folder.glob(ending))]
        only = f"only {', '.join(pickled)}, which may run code and is not opened" if pickled else "none"
        raise ConfigError(f"'{folder}' needs weights as safetensors and has {only}: take the .safetensors.")


def _loaded(folder: Path) -> tuple[Any, Any]:
    """Load tokenizer and network; raise ConfigError where the library is missing or cannot."""
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(
            "a pretrained text encoder needs transformers: pip install 'sfumato[text]'."
        ) from error
    here = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **here)
        config = transformers.AutoConfig.from_pretrained(folder, **here).get_text_config()
        # Weights that the folder lacks are drawn by the library, from the global generator.
        with torch.random.fork_rng(devices=[]), _quiet(transformers.utils.logging):
            network, told = transformers.AutoModelForTextEncoding.from_pretrained(
                folder,
                config=config,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **here,
            )
    except Exception as error:  # whatever a foreign folder may raise
        reason = str(error).split("\n")[0]
        raise ConfigError(f"'{folder}' is no text encoder that can be read: {reason}") from error
    # Some kinds were trained without the pooler, which no feature comes from.
    missing = [name for name in told["missing_keys"] if "pooler" not in name]
    if missing:
        raise ConfigError(
            f"'{folder}' lacks weights of its own config.json, such as {missing[0]}: copy it anew."
        )
    return _plain(tokenizer, folder), network.requires_grad_(False).eval()


@contextmanager
def _quiet(log: Any) -> Iterator[None]:
    """Keep the library from drawing bars and from listing weights that a part of a model does not need."""
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


def _plain(tokenizer: Any, folder: Path) -> Any:
    """Return the tokenizer with padding, and for which nothing that is typed ends a sentence."""
    if not tokenizer.is_fast:
        raise ConfigError(f"'{folder}' has a tokenizer without tokenizer.json: save it by transformers once.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.split_special_tokens = True
    return tokenizer
