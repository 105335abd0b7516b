"""Every schedule × prediction × sampler: what is predicted may not change the sample.

The perfect network of each prediction is walked at every count of evaluations, and must end where the exact
denoiser ends, from the same start and with the same noise. So one prediction's order, errors and statistics
are all predictions'.
"""

from collections.abc import Iterator

from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.exact import ExactDenoiser
from sfumato.verify.law import Finding, Subject, as_double, deviation
from sfumato.verify.oracle import MIXTURE, BlockNoise, OracleNetwork, randn
from sfumato.verify.pieces import PAIRS, SAMPLERS, SCHEDULES, pair
from sfumato.verify.samplers import COUNTS, walk_times
from sfumato.verify.walks import walk

ROUNDING = 1e-6
"""The solve may lose four digits a step, a chaotic walk some more; an error would be of order 1."""


def triple_laws(schedule_name: str, name: str) -> Iterator[Finding]:
    """Yield one finding a prediction."""
    schedule, sampler = SCHEDULES[schedule_name], SAMPLERS[name]
    x = schedule.prior_std * randn(3, 2)
    by_count = {count: walk_times(schedule_name, name, count) for count in COUNTS}
    grids = {len(times): times for times in by_count.values()}
    truth = {
        steps: walk(ExactDenoiser(MIXTURE, schedule), sampler, x, times, BlockNoise(1)).x
        for steps, times in grids.items()
    }
    for prediction_name in (p for s, p in PAIRS if s == schedule_name):
        subject = Subject(
            "triple", {"schedule": schedule_name, "prediction": prediction_name, "sampler": name}
        )
        prediction = pair(schedule_name, prediction_name)[1]
        off = {}
        for steps, times in grids.items():
            network = OracleNetwork(MIXTURE, schedule, prediction, times)
            denoiser = NetworkDenoiser(network, schedule, prediction)
            off[steps] = deviation(walk(denoiser, sampler, x, times, BlockNoise(1)).x, truth[steps])
        details = {f"difference {count}": off[len(times)] for count, times in by_count.items()}
        yield subject.below(
            "the walk of the exact denoiser", float(as_double(list(off.values())).max()), ROUNDING, **details
        )
