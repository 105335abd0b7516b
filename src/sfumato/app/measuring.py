"""What `sfumato likelihood` does first: find out how likely a model knows examples to be."""

from typing import Any

from sfumato.app.exact_likelihood import measure_exactly
from sfumato.app.likelihood import EXAMPLES, measure
from sfumato.errors import ConfigError
from sfumato.families.agreements import Exact
from sfumato.runs.run import Run


def measure_any(
    run: Run,
    source: str | None,
    n: int | None,
    steps: int | None,
    probes: int | None,
    seed: int,
    as_json: bool,
) -> dict[str, Any]:
    """Measure the likelihood itself where the model knows it, a bound and the flow's where it does not."""
    if not isinstance(run.family, Exact):
        return measure(run, source, n or EXAMPLES, steps, probes, seed, as_json)
    if steps is not None or probes is not None:
        raise ConfigError(
            f"{run.folder} is {run.model.called}, whose likelihood is exact: leave --steps and --probes out."
        )
    return measure_exactly(run, source, n, seed, as_json)
