"""From the words of `sfumato sample` to the guides of a request."""

from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import ConfigError
from sfumato.families.diffusion import Guide
from sfumato.runs.guides import classifier_guide, inpaint_guide, weaker_guide
from sfumato.runs.run import Run

USUAL_WEAKER_GUIDANCE = 2.0


@dataclass(frozen=True)
class Guidances:
    """What the user asked to be guided by; None where they said nothing."""

    classifier: float | None = None
    interval: tuple[float, float] | None = None
    weaker: Path | None = None
    weaker_guidance: float | None = None
    inpaint: Path | None = None
    mask: Path | None = None

    def guides(self, run: Run) -> list[Guide]:
        """Return what leans on the run's denoiser; raise ConfigError for half a wish."""
        found = []
        if self.weaker is not None:
            weight = USUAL_WEAKER_GUIDANCE if self.weaker_guidance is None else self.weaker_guidance
            found.append(weaker_guide(run, Run.open(self.weaker, run.device), weight))
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
