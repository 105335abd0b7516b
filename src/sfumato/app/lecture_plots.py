"""The lectures' demonstrations as plots: a small beta, the signal left at T, two schedules, a diffusion.

The numbers come from `sfumato.verify.demonstrations`, where laws hold them; here they are drawn.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from sfumato.data import load_data
from sfumato.diffusion.exact import ExactDenoiser, GaussianMixture
from sfumato.diffusion.grids import LogSNRGrid
from sfumato.diffusion.process import corrupt
from sfumato.diffusion.samplers import Heun, sample_frames
from sfumato.diffusion.schedules import CosineVP, LinearVP, Schedule, signal_left
from sfumato.randomness import SeededNoise, generator
from sfumato.verify.demonstrations import (
    BETAS,
    LITTLE_SIGNAL,
    NOISINGS,
    distance_from_gaussian,
    signal_by_length,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, BLUE, WARM, GREEN, VIOLET = "#24292f", "#69707a", "#2f6db5", "#c2571a", "#2e7d5b", "#7a4fa3"
POINTS = 1500
MOMENTS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Times at which a picture or a cloud is shown."""


def draw_all(folder: Path) -> Iterator[Path]:
    """Draw every demonstration into `folder`, yielding each file as it is written."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings: dict[str, Callable[[], Figure]] = {
        "why-beta-is-small": why_beta_is_small,
        "signal-left": signal_left_at_the_end,
        "linear-and-cosine": linear_and_cosine,
        "diffusion": diffusion,
    }
    for name, drawing in drawings.items():
        path = folder / f"{name}.png"
        drawing().savefig(path, dpi=150)
        yield path


def canvas(width: float, height: float) -> "Figure":
    """Return an empty figure, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def quiet(axes: "Axes", title: str, x: str, y: str) -> None:
    """Give axes their names and take away their box."""
    axes.set_title(title, color=INK, fontsize=11, loc="left")
    axes.set_xlabel(x, color=QUIET, fontsize=9.5)
    axes.set_ylabel(y, color=QUIET, fontsize=9.5)
    axes.tick_params(colors=QUIET, labelsize=9)
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)


def why_beta_is_small() -> "Figure":
    """Draw how far the reverse step of a mixture is from Gaussian, against beta."""
    figure = canvas(6.4, 4.2)
    axes = figure.add_subplot()
    distances = [distance_from_gaussian(beta) for beta in BETAS]
    axes.loglog(BETAS, distances, "o-", color=BLUE, markersize=4, label="three Gaussians on a line")
    guide = [distances[0] * (beta / BETAS[0]) ** 3 for beta in BETAS[:7]]
    axes.loglog(BETAS[:7], guide, "--", color=QUIET, linewidth=1, label="beta³")
    quiet(
        axes,
        "The reverse step is Gaussian only for a small beta",
        "beta of one step",
        "KL from its Gaussian, nats",
    )
    axes.legend(frameon=False, fontsize=9)
    return figure


def signal_left_at_the_end() -> "Figure":
    """Draw the signal left at T against T, with the line below which it is small."""
    figure = canvas(6.4, 4.2)
    axes = figure.add_subplot()
    for (name, build), colour in zip(NOISINGS.items(), (BLUE, WARM, GREEN, VIOLET), strict=True):
        steps, left = signal_by_length(build)
        axes.loglog(steps, np.maximum(left, 1e-8), "o-", color=colour, markersize=3.5, label=name)
    axes.axhline(LITTLE_SIGNAL, color=QUIET, linewidth=1, linestyle="--")
    axes.text(5, LITTLE_SIGNAL * 1.15, "small below this line", color=QUIET, fontsize=9)
    axes.set_ylim(bottom=1e-6)
    title = "Noise slowly, and yet reach pure noise by T"
    quiet(axes, title, "steps T", "signal left at T: alpha/sqrt(alpha² + sigma²)")
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    return figure


def linear_and_cosine() -> "Figure":
    """Draw two schedules side by side: their curves, and a digit on its way into noise."""
    figure = canvas(9.6, 5.6)
    above, below = cast(Any, figure.subfigures(2, 1, height_ratios=(2.2, 2)))
    digit = load_data("digits").train.batch(torch.tensor([0]))[0].double() / 127.5 - 1
    eps = SeededNoise([0]).normal((1, 1, 8, 8)).double()
    strips = below.subplots(2, len(MOMENTS))
    named: tuple[tuple[str, Schedule], ...] = (("linear", LinearVP()), ("cosine", CosineVP()))
    for (name, schedule), axes, strip in zip(named, above.subplots(1, 2), strips, strict=True):
        curves(axes, name, schedule)
        for t, panel in zip(MOMENTS, strip, strict=True):
            x_t = corrupt(schedule, digit, eps, t)[0, 0]
            panel.imshow(x_t.numpy(), cmap="gray", vmin=-2, vmax=2)
            panel.set_title(f"t = {t:g}", color=QUIET, fontsize=8.5)
            panel.set(xticks=[], yticks=[])
        strip[0].set_ylabel(name, color=INK)
    return figure


def curves(axes: "Axes", name: str, schedule: Schedule) -> None:
    """Draw alpha and sigma against time."""
    t = torch.linspace(0, 1, 200, dtype=torch.float64)
    level = schedule.level(t)
    axes.plot(t, level.alpha, color=BLUE, label="alpha, signal")
    axes.plot(t, level.sigma, color=WARM, label="sigma, noise")
    quiet(axes, f"{name}: {signal_left(schedule):.2g} of the signal left at t = 1", "t", "")
    axes.legend(frameon=False, fontsize=9, loc="center right")


def cloud_mixture() -> GaussianMixture:
    """Return small Gaussians along two arms of a spiral: a cloud with a shape, whose denoiser is exact."""
    angle = torch.linspace(1.5, 3 * np.pi, 30, dtype=torch.float64)
    arm = torch.stack([angle.cos(), angle.sin()], 1) * (angle / 4)[:, None]
    means = torch.cat([arm, -arm])
    weights = torch.full((len(means),), 1 / len(means), dtype=torch.float64)
    return GaussianMixture.of(weights, means, (0.01 * torch.eye(2)).expand(len(means), 2, 2))


def diffusion() -> "Figure":
    """Draw a cloud that spreads into noise, and noise that gathers into the cloud by the exact denoiser."""
    figure = canvas(12.0, 4.4)
    panels = figure.subplots(2, len(MOMENTS))
    schedule, mixture, n = CosineVP(), cloud_mixture(), POINTS
    x0 = mixture.sample(n, generator(0, "cloud"))
    eps = torch.randn(n, 2, generator=generator(1, "cloud"), dtype=torch.float64)
    for t, panel in zip(MOMENTS, panels[0], strict=True):
        cloud(panel, corrupt(schedule, x0, eps, t), BLUE, f"t = {t:g}")
    back = walked_back(mixture, schedule, n)
    for (t, x), panel in zip(back, panels[1], strict=True):
        cloud(panel, x, WARM, f"t = {t:.2g}")
    panels[0][0].set_ylabel("into noise →", color=INK)
    panels[1][0].set_ylabel("and back →", color=INK)
    return figure


def walked_back(mixture: GaussianMixture, schedule: Schedule, n: int) -> list[tuple[float, Tensor]]:
    """Return times and states of a walk from noise to data, nearest to the moments shown."""
    noise = SeededNoise(range(n))
    x = noise.normal((n, 2)).double()
    times = LogSNRGrid().times(60, schedule)
    walk = sample_frames(ExactDenoiser(mixture, schedule), Heun(), x, times, noise)
    frames = [(frame.t, frame.x) for frame in walk]
    moments = torch.tensor(MOMENTS[::-1])
    nearest = (torch.tensor([t for t, _ in frames])[:, None] - moments).abs().argmin(0)
    return [frames[place] for place in nearest.tolist()]


def cloud(panel: Any, x: Tensor, colour: str, title: str) -> None:
    """Draw points."""
    panel.scatter(x[:, 0], x[:, 1], s=2, color=colour, alpha=0.5, linewidths=0)
    panel.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal", xticks=[], yticks=[])
    panel.set_title(title, color=QUIET, fontsize=9)
