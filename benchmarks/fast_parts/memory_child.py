"""The child whose memory is measured: imports first, then one work, between two readings of /proc.

`ru_maxrss` would not do: on Linux a process inherits the peak of the one that started it. The high-water
mark of its own address space (VmHWM) is set back to what it holds (VmRSS) when the work begins.
"""

from collections.abc import Callable
from pathlib import Path

from fast_parts.process import serve

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
STEPS = 4
DDIM_STEPS = 5
"""Of each of them the memory is the same, so a few do."""


def kilobytes(field: str) -> int:
    """Read a field of this process's status."""
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(field))


def peak_of(work: Callable[[], object]) -> dict[str, int]:
    """Do the work; return the kilobytes held before it and at its peak."""
    CLEAR.write_text("5")
    before = kilobytes("VmRSS")
    work()
    return {"before": before, "peak": kilobytes("VmHWM")}


def our_training(batch: int, source: str, options: list[str]) -> dict[str, int]:
    """Take a few steps of our fit loop."""
    import sfumato
    from fast_parts.ours import OurTraining

    def work() -> None:
        training = OurTraining(sfumato.load_data(source), batch, options)
        for _ in range(STEPS):
            training.step()

    return peak_of(work)


def our_sampling(batch: int, run: str) -> dict[str, int]:
    """Open a run and sample it as by default."""
    from sfumato.runs.run import Run

    return peak_of(lambda: Run.open(run).sample(batch))


def diffusers_training(batch: int, source: str) -> dict[str, int]:
    """Take a few steps of diffusers' loop, as it comes."""
    import torch

    import sfumato
    from fast_parts.networks import AS_IT_COMES, DiffusersTraining

    def work() -> None:
        data = sfumato.load_data(source)
        pictures = data.train.batch(torch.arange(batch))[0].float() / 127.5 - 1
        training = DiffusersTraining(data.shape, AS_IT_COMES, 10**6)
        for _ in range(STEPS):
            training(pictures)

    return peak_of(work)


def diffusers_sampling(batch: int) -> dict[str, int]:
    """Sample diffusers' network by DDIM, as it comes."""
    from fast_parts.networks import AS_IT_COMES, diffusers_network
    from fast_parts.sampling import DDIM

    shape = (1, 28, 28)
    return peak_of(lambda: DDIM(diffusers_network(shape), shape, AS_IT_COMES)(batch, DDIM_STEPS))


if __name__ == "__main__":
    works = (our_training, our_sampling, diffusers_training, diffusers_sampling)
    serve({work.__name__: work for work in works})
