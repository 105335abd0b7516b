"""The configuration of a run: typed, closed, and written beside the weights as readable JSON.

An unknown key, a value out of range, or a pair of pieces that cannot go together is a `ConfigError` that
names the key and the choices. All defaults are written out, so that a later version of sfumato reads an old
run as it was meant.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator

from sfumato.errors import ConfigError, RunError, unknown
from sfumato.runs.registry import Spec, complete

PIECE_FIELDS = (
    "scaling",
    "network",
    "schedule",
    "prediction",
    "view",
    "variance",
    "weighting",
    "times",
    "objective",
    "optimiser",
    "sampler",
    "grid",
    "threshold",
)


Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
ONE, EACH = "one", "of each"
Guidance = Annotated[
    Annotated[Weight, Tag(ONE)] | Annotated[dict[str, Weight], Tag(EACH)],
    Discriminator(lambda value: EACH if isinstance(value, Mapping) else ONE),
]
"""A weight, or one for each condition."""


def weights(guidance: float | Mapping[str, float], between: str = " ") -> str:
    """Return the weights of guidance in words; between: what stands between a name and its weight."""
    if not isinstance(guidance, Mapping):
        return f"{guidance:g}"
    return ", ".join(f"{name}{between}{weight:g}" for name, weight in guidance.items())


MEASURED_KEYS = ("format", "family", "recipe", "data", "latent", "distilled")
"""Keys that record what a run was made from, so setting them would only make the record wrong; a family's
own options, such as `family.latent`, can be set."""

INSTEAD = {
    "family": "a family comes with its recipe (--recipe), and its options are set one by one, such as "
    "family.latent=8",
    "latent": "a run keeps the autoencoder it began with, which --latent chooses",
    "distilled": "a run keeps its teacher, which 'sfumato distill' chooses, and that one's --guidance",
}
"""What to do instead of setting such a key, where that is not to read other data or take another recipe."""
OTHERWISE = (
    "it says what was found; choose the data and how it is read (--size, --channels, --background, "
    "--held-out, --binarise) or the recipe (--recipe)"
)

DIFFUSION = "diffusion"


class Closed(BaseModel):
    """A model without room for keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator(*PIECE_FIELDS, mode="before", check_fields=False)
    @classmethod
    def _complete_piece(cls, value: Any, info: Any) -> Spec | None:
        return None if value is None and info.field_name == "threshold" else complete(info.field_name, value)


class DataConfig(Closed):
    """Where the examples come from, how they were read, and what was measured of them.

    classes and attributes: names of what is known of examples, () where nothing is; captions: whether each
    has one; std: the standard deviation of the training examples as the model sees them (sigma_data).
    """

    source: str
    size: int | None = None
    channels: int | None = None
    background: str = "white"
    held_out: float = Field(0.1, ge=0, lt=1)
    binarise: bool = False
    seed: int = Field(0, ge=0)
    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    captions: bool = False
    std: float = Field(gt=0)
    content_hash: str

    @property
    def reading(self) -> dict[str, Any]:
        """The arguments with which `load_data` read the source."""
        return self.model_dump(include={"size", "channels", "background", "held_out", "binarise", "seed"})


class TrainingConfig(Closed):
    """How the weights are found; `batch` counts examples over all processes.

    flat: the share of training at the peak of the learning rate, before its straight line down;
    condition_drop: the share of examples whose conditions are hidden, so that they can be left out and guide;
    checkpoint_seconds: longest stretch of training that a crash can lose, 0 to save at every step;
    compile: "auto" compiles for time budgets that are long enough to earn it back.
    """

    batch: int = Field(128, ge=1)
    learning_rate: float = Field(3e-3, gt=0)
    warmup: int = Field(100, ge=0)
    flat: float = Field(0.0, ge=0, lt=1)
    clip: float = Field(1.0, gt=0)
    condition_drop: float = Field(0.1, ge=0, lt=1)
    checkpoint_seconds: float = Field(60.0, ge=0)
    compile: Literal["auto", "on", "off"] = "auto"


class SamplingConfig(Closed):
    """How the run is sampled unless the caller says otherwise.

    guidance: a weight, or one for each condition by its name; guidance_interval: the times (from, to) within
    which guidance acts; threshold: None is static for data that is bounded, none for data that is not.
    """

    sampler: Spec
    grid: Spec
    threshold: Spec | None = None
    steps: int = Field(18, ge=1)
    guidance: Guidance = 1.0
    guidance_interval: tuple[float, float] = (0.0, 1.0)


class DistilledConfig(Closed):
    """Of whom a run is distilled: the teacher's folder, for the record, and the weight it was guided with."""

    teacher: str
    guidance: Weight = 1.0


class LatentConfig(Closed):
    """In whose codes a model lives: an encoder's run, for the record, and what was measured of its codes.

    shape: of one code; mean and std: of each channel of the training examples' codes; decodes: whether a code
    leads back to the data, as an autoencoder's does; vocabulary, maps: of the tokens that codes can be
    written as, 0 and () where they cannot; tokens: whether the model sees these; components: how many
    principal components hold nearly all of codes that are vectors, else 0; principal: whether the model sees
    these.
    """

    run: str
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    decodes: bool = True
    vocabulary: int = 0
    maps: tuple[tuple[int, int], ...] = ()
    tokens: bool = False
    components: int = 0
    principal: bool = False

    @property
    def seen(self) -> tuple[int, ...]:
        """The shape of one example as the model sees it."""
        if self.tokens:
            return (sum(height * width for height, width in self.maps),)
        return (self.components,) if self.principal else self.shape


class RunConfig(Closed):
    """Everything that makes a run what it is, as far as all families share it.

    precision: in which networks run; "auto" takes bf16 where the machine is fast at it; latent: None for a
    model of the data itself; conditions: what the model is told, by name.
    """

    format: Literal[1] = 1
    family: Any
    recipe: str
    seed: int = Field(0, ge=0)
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    data: DataConfig
    latent: LatentConfig | None = None
    conditions: dict[str, Spec] = Field(default_factory=dict)
    scaling: Spec
    optimiser: Spec = complete("optimiser", "adamw")
    training: TrainingConfig

    @field_validator("conditions", mode="before")
    @classmethod
    def _complete_conditions(cls, value: Any) -> dict[str, Spec]:
        if not isinstance(value, dict):
            raise ConfigError(f"conditions are written as {{NAME: CONDITION}}, not {value!r}.")
        return {name: complete("condition", spec) for name, spec in value.items()}

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example as the model sees it."""
        return self.latent.seen if self.latent else self.data.shape

    @property
    def makes_codes(self) -> bool:
        """Whether samples are codes of an encoder without a way back, rather than examples."""
        return self.latent is not None and not self.latent.decodes

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample as it is handed out."""
        return self.data.shape if self.latent is None or self.latent.decodes else self.latent.shape

    def to_json(self) -> str:
        """Return the configuration as indented JSON."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"

    def with_settings(self, settings: Iterable[str]) -> "RunConfig":
        """Return the configuration with each "key=value" of `settings` applied.

        Keys are dotted paths such as `training.batch` or `schedule.offset`; naming a piece alone, such as
        `schedule=cosine`, takes it with its default options. Values are read as JSON where they can be.
        Raises ConfigError that names the key and the choices.
        """
        tree = self.model_dump(mode="json")
        for setting in settings:
            key, equals, text = setting.partition("=")
            if not equals or not key:
                raise ConfigError(f"'{setting}' is no setting: write KEY=VALUE, such as training.batch=64.")
            root = key.split(".")[0].strip()
            if root in MEASURED_KEYS and not key.startswith("family."):
                raise ConfigError(f"'{key}' cannot be set: {INSTEAD.get(root, OTHERWISE)}.")
            _set(tree, key.strip(), _value(text))
        return parse_config(tree)


class DiffusionConfig(RunConfig):
    """A diffusion model, piece by piece; distilled: None for a run that was trained on data."""

    family: Literal["diffusion"] = "diffusion"
    network: Spec
    schedule: Spec
    prediction: Spec
    view: Spec = complete("view", "level")
    variance: Spec = complete("variance", "small")
    weighting: Spec
    times: Spec
    objective: Spec = complete("objective", "denoising")
    sampling: SamplingConfig
    distilled: DistilledConfig | None = None


class FamilyConfig(RunConfig):
    """A model of any other family; family: its name and its options, see `families`."""

    family: Spec

    @field_validator("family", mode="before")
    @classmethod
    def _complete_family(cls, value: Any) -> Spec:
        return complete("family", value)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text.strip()


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    place: Any = tree
    for depth, parent in enumerate(parents):
        if not isinstance(place, dict) or parent not in place:
            raise unknown("key", ".".join(parents[: depth + 1]), _keys(tree))
        place = place[parent]
    if not isinstance(place, dict) or (last not in place and "name" not in place):
        raise unknown("key", key, _keys(tree))
    # A piece named alone is opened, so that a later setting can reach its options.
    place[last] = {"name": value} if last in PIECE_FIELDS and isinstance(value, str) else value


def _keys(tree: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted keys that can be set."""
    found = []
    for key, value in tree.items():
        measured = not prefix and key in MEASURED_KEYS
        if measured and not (key == "family" and isinstance(value, dict)):
            continue
        found += [] if measured else [prefix + key]
        if isinstance(value, dict):
            found += _keys(value, f"{prefix}{key}.")
    return found


def parse_config(tree: dict[str, Any]) -> RunConfig:
    """Check a tree of plain values; raise ConfigError with one line for the first thing wrong."""
    kind = DiffusionConfig if tree.get("family", DIFFUSION) == DIFFUSION else FamilyConfig
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if part not in (ONE, EACH))
        raise ConfigError(f"{key} = {first['input']!r} will not do: {first['msg']}.") from error


def read_config(path: Path) -> RunConfig:
    """Read the configuration of a run folder; raise RunError if it is not one."""
    try:
        tree = json.loads(path.read_text())
    except OSError as error:
        raise RunError(
            f"{path.parent} is not a run folder: it has no {path.name}; 'sfumato train' makes one."
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is not readable JSON ({error}): put the run's own file back.") from error
    try:
        return parse_config(tree)
    except ConfigError as error:
        raise RunError(f"{path} does not describe a run of this version of sfumato: {error}") from error
