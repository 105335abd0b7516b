"""A run folder, opened: all it takes to sample a trained model.

RUN/config.json             what the run is, readable
RUN/checkpoint.safetensors  weights, their averages, the optimiser's state, counters: one atomic file
RUN/data.json               what was found in the data, skipped files included
RUN/log.jsonl               losses and speeds over time
RUN/budget.json             how long it is to be trained
RUN/grids.json              grids fitted to it, if any
RUN/report.html             the page about it
RUN/autoencoder.safetensors in whose codes it lives, where it does (`runs.latent`)
RUN/axes.safetensors        the components of codes that it sees, where it does (`runs.principal`)
RUN/encoder.safetensors     whose codes it is told, where it is (`runs.conditions.embedding`)
RUN/tokenizer.json          the words that it knows, where it is told captions
RUN/text_encoder/           what reads them instead, where one of others does (`runs.conditions.pretrained`)
RUN/teacher.safetensors     whom it was distilled from, where it was (`runs.distillation`)
RUN/classifier.safetensors  a classifier of noisy examples, where one was trained (`runs.classifier`)
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.condition import Condition
from sfumato.data.dataset import Split
from sfumato.errors import ConfigError, RunError
from sfumato.families.agreements import TextEncoder
from sfumato.families.diffusion import Guide
from sfumato.nets.conditions import ATTRIBUTES, TEXT
from sfumato.nets.embedding import LABEL
from sfumato.runs.agreements import Model, SamplingWish
from sfumato.runs.cascade.config import is_cascade, read_cascade
from sfumato.runs.conditions.build import Conditions, Wishes, cycled
from sfumato.runs.conditions.text import TextReader, open_tokenizer, tell_lost
from sfumato.runs.config import RunConfig, read_config
from sfumato.runs.diffusion_model import DiffusionModel
from sfumato.runs.hastening import Hastened
from sfumato.runs.inpainting import KeptPart
from sfumato.runs.latent import open_scaling
from sfumato.runs.model import build_model, codes, decoded, text_codes
from sfumato.runs.sampling import Chunk, Request, Sampled, sample_whole, walk
from sfumato.train.averaging import load_average
from sfumato.train.budget import Done
from sfumato.train.checkpoint import Checkpoint, load
from sfumato.train.compiling import can_compile
from sfumato.train.device import best_device
from sfumato.train.history import read_history

CONFIG, CHECKPOINT, LOG, DATA, BUDGET, REPORT = (
    "config.json",
    "checkpoint.safetensors",
    "log.jsonl",
    "data.json",
    "budget.json",
    "report.html",
)
CHUNK = 128
"""Images sampled at a time: twice as many or half take longer for each (docs/speed.md)."""


class Run:
    """A trained model with its averaged weights, ready to be sampled.

    folder: where it was read from; config: what it is; average: which average of the weights it has.
    """

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        checkpoint: Checkpoint,
        device: torch.device,
        average: str | None = None,
    ) -> None:
        self.folder, self.config, self.device = folder, config, device
        self.done = done_of(checkpoint)
        self.average = average or chosen_average(checkpoint)
        model = build_model(config)
        sampled = {player.name: player.module for player in model.family.players() if player.sampled}
        for name, module in sampled.items():
            load_average(module, checkpoint.tensors, name, self.average)
            module.requires_grad_(False).eval().to(device)
        self._plain = sampled  # what could be compiled
        self.model: Model = model.around(sampled)
        self.scaling = open_scaling(config, folder, device)
        self.conditions = Conditions.open(config, folder, device).only(self.model.obeys)

    @classmethod
    def open(
        cls, folder: str | Path, device: torch.device | str | None = None, average: str | None = None
    ) -> "Run":
        """Open a run folder; raise RunError if it is none or is damaged, ConfigError for an unknown average.

        device: where to sample, by default the accelerator if there is one; average: one of
        `train.averaging.WIDTHS`, by default the one that training chose.
        """
        path = Path(folder)
        if not path.is_dir():
            raise RunError(
                f"there is no run folder '{folder}': 'sfumato train DATA --out {folder}' makes one."
            )
        if is_cascade(path):
            stages = ", ".join(str(path / stage.name) for stage in read_cascade(path).stages)
            raise RunError(f"{folder} holds several models, and this needs one: name one of {stages}.")
        config = read_config(path / CONFIG)
        return cls(path, config, load(path / CHECKPOINT), torch.device(device or best_device()), average)

    @property
    def family(self) -> Any:
        """The model's family, see `families.agreements` for what it may be able to do."""
        return self.model.family

    @property
    def diffusion(self) -> DiffusionModel:
        """The model, where it is a diffusion model; raise ConfigError where it is not."""
        if not isinstance(self.model, DiffusionModel):
            raise ConfigError(f"{self.folder} is {self.model.called}: this needs a diffusion model's run.")
        return self.model

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that it can be asked for, () where it obeys no labels."""
        return self.model.classes

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what it makes: (C, H, W) of pictures, (D,) of vectors."""
        return self.config.sample_shape

    @property
    def sentences(self) -> TextReader:
        """What reads sentences for `encode_text`; raise ConfigError for a model that knows none by a code."""
        if not isinstance(self.family, TextEncoder):
            raise ConfigError(
                f"{self.folder} is {self.model.called}, which has no codes of sentences: use a run of 'clip'."
            )
        return TextReader(open_tokenizer(self.folder))

    @property
    def history(self) -> list[dict[str, float]]:
        """The rows of the log."""
        return read_history(self.folder / LOG)

    def request(
        self,
        n: int,
        labels: Sequence[str | int] | None = None,
        seed: int = 0,
        guides: Sequence[Guide] = (),
        known: Sequence[Any] = (),
        prompts: Sequence[str] | None = None,
        attributes: Sequence[str] | None = None,
        negative: Sequence[str] | None = None,
        conditions: Mapping[str, Sequence[Any]] | None = None,
        like: Split | None = None,
        **options: Any,
    ) -> Request:
        """Describe what to sample; raise ConfigError for what this model cannot do.

        labels: class names or numbers; prompts: texts; attributes: such as "Smiling, not Male"; conditions:
        what is asked of others, by their names; the images cycle through each of them. like: examples whose
        captions, and other conditions, to ask for where nothing is asked; negative: texts that guidance leads
        away from; seed: of the first image, the next has the next; guides, known: see `runs.guides` and
        `SamplingOptions`; options: `sampler`, `grid`, `steps`, `threshold`, `guidance` and
        `guidance_interval`, where they should differ from the run's own. Warns (`LostWords`) of words of
        prompts that the model does not know, and of ends for which it has no room.
        """
        sampling = self.options(guides, known, **options)
        given = {LABEL: labels, TEXT: prompts, ATTRIBUTES: attributes, **(conditions or {})}
        asked = {name: values for name, values in given.items() if values is not None and len(values)}
        tell_lost(self.conditions.readers.get(TEXT), [*(prompts or ()), *(negative or ())])
        wishes = Wishes(asked, {TEXT: negative} if negative else {}, like)
        condition = self.conditions.asked(wishes, n)
        said, away = self.conditions.said(wishes, n), cycled(wishes.away, n)
        over = next((part.over for part in known if isinstance(part, KeptPart)), None)
        return Request(n, seed, condition, sampling, said, away, over=over)

    def walk(self, request: Request, places: range) -> Iterator[Chunk]:
        """Yield the moments of sampling the images at `places` of a request."""
        return walk(self.model, self.scaling, request, places)

    def sample(
        self, n: int = 16, labels: Sequence[str | int] | None = None, seed: int = 0, **options: Any
    ) -> np.ndarray:
        """Return `n` new examples: uint8 (n, C, H, W) pictures or float32 (n, D) vectors.

        Arguments as for `request`.
        """
        return sample_whole(self.hastened(), self.request(n, labels, seed, **options), CHUNK)

    def hastened(self, say: Callable[[str], None] = warnings.warn, processes: int = 1) -> Sampled:
        """Return what walks one request, faster where it is long, see `runs.hastening`.

        say: told where that fails; processes: how many share the request.
        """
        compiles = self._plain and isinstance(self.model, DiffusionModel) and can_compile(self.device)
        return Hastened(self, self.compiled if compiles else None, CHUNK, say, processes)

    def compiled(self) -> "Run":
        """Return the same run with compiled networks; raise ConfigError for what is no diffusion model.

        They compile when they are first asked, once for each size of a batch, and nothing is checked: compare
        their samples with this run's own.
        """
        fast, modules = copy(self), dict[str, Any]()
        for name, module in self._plain.items():
            modules[name] = torch.compile(module, dynamic=False)
        fast.model, fast._plain = self.diffusion.around(modules), {}
        return fast

    def told(self, options: Any) -> dict[str, Any]:
        """Return how is sampled with these options of a request, ready for JSON."""
        return self.model.told(options)

    def options(self, guides: Sequence[Guide] = (), known: Sequence[Any] = (), **options: Any) -> Any:
        """Return how to sample, in the run's own way where nothing is said; arguments as for `request`."""
        chosen = {name: value for name, value in options.items() if value is not None}
        return self.model.sampling(SamplingWish(self.folder, self.done.steps, guides, known, chosen))

    def encode(self, examples: np.ndarray | Tensor, labels: Tensor | None = None) -> np.ndarray:
        """Return the codes of examples, as the data is: uint8 (N, C, H, W) or float (N, D), as (N, *latent).

        labels: int64 (N,), for a model that obeys them. Raises ConfigError for a model that has no codes and
        for examples of another shape.
        """
        values = torch.as_tensor(examples)
        if tuple(values.shape[1:]) != self.config.data.shape:
            raise ConfigError(
                f"this model knows examples of {self.config.data.shape}, not {tuple(values.shape[1:])}."
            )
        return self._in_chunks(
            lambda part, said: codes(self.model, self.scaling.to_model(part.to(self.device)), said),
            values,
            labels,
        )

    def encode_text(self, prompts: Sequence[str]) -> np.ndarray:
        """Return the codes of sentences, in the space of those of examples: float32 (N, D).

        Raises ConfigError for a model that has none, and for a sentence of which it knows no word.
        """
        self.sentences.require_heard(prompts)
        rows = self.sentences.asked(prompts, len(prompts))
        if rows is None:
            raise ConfigError("there is no sentence to encode: give at least one.")
        return self._in_chunks(lambda part, said: text_codes(self.model, part.to(self.device)), rows, None)

    def decode(self, latents: np.ndarray | Tensor, labels: Tensor | None = None) -> np.ndarray:
        """Return what codes (N, *latent) stand for, as the data is.

        Raises ConfigError for a model that decodes nothing and for codes of another shape.
        """
        values = torch.as_tensor(latents, dtype=torch.float32)
        return self._in_chunks(
            lambda part, said: self.scaling.to_data(decoded(self.model, part.to(self.device), said).cpu()),
            values,
            labels,
        )

    def _in_chunks(
        self,
        compute: Callable[[Tensor, Condition | None], Tensor],
        values: Tensor,
        labels: Tensor | None,
    ) -> np.ndarray:
        parts = []
        for start in range(0, len(values), CHUNK):
            places = slice(start, start + CHUNK)
            said = None if labels is None else Condition.of(label=labels[places]).to(self.device)
            parts.append(compute(values[places], said).cpu().numpy())
        return np.concatenate(parts)


def done_of(checkpoint: Checkpoint) -> Done:
    """Return the counters of a checkpoint."""
    return Done(**checkpoint.state["done"])


def chosen_average(checkpoint: Checkpoint) -> str:
    """Return the name of the average of a checkpoint's weights that is to be sampled."""
    return str(checkpoint.state["average"])
