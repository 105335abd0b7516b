"""From what the command line says of guidance to a request with its guides."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfumato.diffusion.guidance import OFF
from sfumato.errors import ConfigError
from sfumato.families.diffusion import Guide
from sfumato.nets.conditions import TEXT
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.guides import classifier_guide, inpaint_guide, weaker_guide
from sfumato.runs.inpainting import KeptPart
from sfumato.runs.run import Run
from sfumato.runs.sampling import Request

USUAL_WEAKER_GUIDANCE = 2.0


def weights_of(text: str) -> float | dict[str, float]:
    """Return the weight "3" says, or the weights "text=3,label=1.5" says; raise ConfigError for neither."""
    try:
        if "=" not in text:
            return _weight(text)
        pairs = [part.partition("=") for part in text.split(",")]
        weights = {name.strip(): _weight(weight) for name, _, weight in pairs}
        if len(weights) == len(pairs):
            return weights
    except ValueError:
        pass
    raise ConfigError(
        "--guidance is a number of at least 0 such as 3, or one for each condition such as text=3,label=1.5, "
        f"not '{text}'."
    )


def _weight(text: str) -> float:
    """Read a weight; raise ValueError for what is none."""
    weight = float(text)
    if not 0 <= weight < math.inf:
        raise ValueError(text)
    return weight


def _of_text(guidance: float | Mapping[str, float]) -> float:
    """Return the weight of guidance by words."""
    return guidance.get(TEXT, OFF) if isinstance(guidance, Mapping) else guidance


@dataclass(frozen=True)
class Guidances:
    """What the user asked to be guided by; None where they said nothing.

    weight: of the guidance by what is asked for, such as "3", or of each such as "text=3,label=1.5";
    classifier: of the run's classifier.
    """

    weight: str | None = None
    interval: tuple[float, float] | None = None
    classifier: float | None = None
    weaker: Path | None = None
    weaker_guidance: float | None = None
    inpaint: Path | None = None
    mask: Path | None = None

    def request(self, run: Run | Cascade, n: int, labels: list[str] | None, seed: int, **how: Any) -> Request:
        """Describe what to sample of `run`; raise ConfigError for half a wish, and for one without effect.

        how: `sampler`, `grid`, `steps` and `threshold`, `prompts`, `negative` and `like`, as for
        `Run.request`.
        """
        weight = None if self.weight is None else weights_of(self.weight)
        how |= {"guidance": weight, "guidance_interval": self.interval}
        if isinstance(run, Cascade):
            drawing, known = run.stages[run.drawing], [self._known_to(stage) for stage in run.stages]
            request = run.request(n, labels, seed, self.guides(drawing), known, **how)
        else:
            request = run.request(n, labels, seed, self.guides(run), self.known(run), **how)
        if self.interval is not None and request.options.guidance == OFF and not self.classifier:
            useful = "add --guidance W with a W other than 1, or --classifier-guidance W."
            if not run.conditions.readers:
                useful = "this model is told nothing that could guide it, so leave it out."
            raise ConfigError(f"--guidance-interval says when guidance acts, and there is none: {useful}")
        # The first stage of a cascade is the one that reads.
        reading = request.options.stages[0] if isinstance(run, Cascade) else request.options
        if how.get("negative") and _of_text(reading.guidance) == OFF:
            raise ConfigError(
                "--negative is what guidance by words leads away from, and there is none: add --guidance "
                "text=1.5, or more of a model that draws from words."
            )
        return request

    def _known_to(self, stage: Run) -> list[Guide | KeptPart]:
        """Return what is said of the pictures of a stage, nothing to one that makes something else."""
        return [] if stage.config.makes_codes else self.known(stage)

    def told(self) -> dict[str, Any]:
        """Return what guides a run besides its labels, ready for JSON; None where nothing does."""
        return {
            "classifier_guidance": self.classifier,
            "weaker": None if self.weaker is None else str(self.weaker),
            "weaker_guidance": None if self.weaker is None else self._weaker_weight,
        }

    @property
    def _weaker_weight(self) -> float:
        return USUAL_WEAKER_GUIDANCE if self.weaker_guidance is None else self.weaker_guidance

    def guides(self, run: Run) -> list[Guide]:
        """Return what leans on the run's denoiser; raise ConfigError for half a wish."""
        found = []
        if self.weaker is not None:
            found.append(weaker_guide(run, Run.open(self.weaker, run.device), self._weaker_weight))
        elif self.weaker_guidance is not None:
            raise ConfigError("--weaker-guidance needs a weaker run to lead away from: add --weaker RUN.")
        if self.classifier is not None:
            found.append(classifier_guide(run, self.classifier, self.interval))
        return found

    def known(self, run: Run) -> list[Guide | KeptPart]:
        """Return what is said of the pictures themselves; raise ConfigError for half a wish."""
        if self.inpaint is None and self.mask is None:
            return []
        if self.inpaint is None or self.mask is None:
            raise ConfigError("inpainting needs a picture and what of it to keep: --inpaint and --mask.")
        return [inpaint_guide(run, self.inpaint, self.mask)]
