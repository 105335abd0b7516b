"""From what the command line says of guidance to a request with its guides."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfumato.diffusion.guidance import OFF
from sfumato.errors import ConfigError
from sfumato.families.diffusion import Guide
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.guides import classifier_guide, inpaint_guide, weaker_guide
from sfumato.runs.run import Run
from sfumato.runs.sampling import Request

USUAL_WEAKER_GUIDANCE = 2.0


def weights_of(text: str) -> float | dict[str, float]:
    """Return the weight "3" says, or the weights "text=3,label=1.5" says; raise ConfigError for neither."""
    pairs = [part.partition("=") for part in text.split(",")]
    try:
        if len(pairs) == 1 and not pairs[0][1]:
            return float(text)
        return {name.strip(): float(weight) for name, _, weight in pairs}
    except ValueError as error:
        raise ConfigError(
            f"--guidance is a number such as 3, or one for each condition such as text=3,label=1.5, not "
            f"'{text}'."
        ) from error


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
        guiding, known = self._of(run)
        request = run.request(n, labels, seed, guides=guiding, known=known, **how)
        if self.interval is not None and request.options.guidance == OFF and not self.classifier:
            useful = "add --guidance W with a W other than 1, or --classifier-guidance W."
            if not run.conditions.readers:
                useful = "this model is told nothing that could guide it, so leave it out."
            raise ConfigError(f"--guidance-interval says when guidance acts, and there is none: {useful}")
        if how.get("negative") and request.options.guidance == OFF:
            raise ConfigError(
                "--negative is what guidance leads away from, and there is none: add --guidance 3."
            )
        return request

    def _of(self, run: Run | Cascade) -> tuple[list[Guide], list[Guide]]:
        """Return the guides of a run, or of the first stage of a cascade, which alone has room for them."""
        if isinstance(run, Run):
            return self.guides(run), self.known(run)
        first = run.stages[0]
        return self.guides(first), self.known(first)

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

    def known(self, run: Run) -> list[Guide]:
        """Return what is said of the pictures themselves; raise ConfigError for half a wish."""
        if self.inpaint is None and self.mask is None:
            return []
        if self.inpaint is None or self.mask is None:
            raise ConfigError("inpainting needs a picture and what of it to keep: --inpaint and --mask.")
        return [inpaint_guide(run, self.inpaint, self.mask)]
