"""Findings about the likelihood and the bound; the numbers are those of `verify.likelihoods`."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise

from sfumato.diffusion.likelihood import ExactTrace, Hutchinson, Trace
from sfumato.diffusion.schedules import signal_left
from sfumato.verify.law import Finding, Subject
from sfumato.verify.likelihoods import MOST_SIGNAL_LEFT, TOLERANCE, bound_row, flow_row
from sfumato.verify.pieces import SCHEDULES, SMOOTH

FLOWS = tuple(name for name in SMOOTH if signal_left(SCHEDULES[name]) < MOST_SIGNAL_LEFT)
"""Schedules whose ODE can be followed from end to end to a tolerance, and ends in pure noise."""
CHAIN_LENGTHS = (10, 30, 100, 300)


def flow_laws(schedule_name: str) -> Iterator[Finding]:
    """Yield the ODE's likelihood on one schedule, with exact and with random traces."""
    cases: tuple[tuple[int, Trace, str], ...] = (
        (2, ExactTrace(), "exact"),
        (16, Hutchinson(4), "hutchinson"),
    )
    for dimensions, trace, name in cases:
        row = flow_row(schedule_name, dimensions, trace, examples=8)
        subject = Subject("likelihood", {"schedule": schedule_name, "trace": name})
        exact = isinstance(trace, ExactTrace)
        yield subject.below(
            f"bits per dimension off the exact one, {dimensions} dimensions",
            row.worst if exact else abs(row.error),
            TOLERANCE if exact else TOLERANCE + 4 * row.standard_error,
            evaluations=row.evaluations,
            standard_error=row.standard_error,
        )


def chain_laws() -> Iterator[Finding]:
    """Yield that the bound is one, and comes down to the exact value as its steps grow."""
    rows = [bound_row(steps, examples=256) for steps in CHAIN_LENGTHS]
    subject = Subject("likelihood", {"schedule": "linear_vp", "variance": "large"})
    for row in rows:
        numbers = {key: float(value) for key, value in asdict(row).items()}
        lowest = -4 * row.standard_error
        yield subject.within(
            f"the bound of {row.steps} steps is one", min(row.gap, 0.0), 0.0, -lowest, **numbers
        )
    falls = all(later.gap < earlier.gap for earlier, later in pairwise(rows))
    yield subject.holds("its gap falls with the steps", falls)
    yield subject.below(f"its gap at {CHAIN_LENGTHS[-1]} steps, in bits per dimension", rows[-1].gap, 0.1)
