"""Solver error, side by side in one run: our samplers on fitted grids against those of diffusers and azula.

    python benchmarks/solvers.py [--out benchmarks/results/solvers-DATE.md] [--seed 0]

All walk the probability-flow ODE of one mixture of Gaussians, whose exact denoiser all ask, in float64: 64
dimensions, 10 components, standard deviations that fall as 1/k along each component's own axes, noise from
sigma = 80 down to 0.002. The error is the 2-norm between where a sampler ends and where the ODE does, its
median over 64 starts that are the same for all. Evaluations are counted where the denoiser is asked.

The end is sigma = 0, the last step being the denoiser's own answer at the last level. A peer may end at 0.002
instead, against the reference there, if that suits it better (see `peers`). Our grids are fitted on other
starts, and which of our samplers is used at a count is decided on those too.
"""

import argparse
import math
import platform
import warnings
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path

import torch
from peers import SIGMA_MAX, SIGMA_MIN, Denoise, Peer, azula_peers, diffusers_peers
from torch import Tensor

from sfumato.diffusion.exact import ExactDenoiser, GaussianMixture
from sfumato.diffusion.fitting import fit_grid, walk
from sfumato.diffusion.samplers import DPMSolverPP, Sampler, unipc, unipc_bh1
from sfumato.diffusion.schedules import LinearVE
from sfumato.randomness import generator

COUNTS = (5, 8, 10, 20)
DIMENSIONS, COMPONENTS, STARTS = 64, 10, 64
SCHEDULE = LinearVE(SIGMA_MAX, SIGMA_MIN)
OURS: dict[str, Sampler] = {
    "dpm++2m": DPMSolverPP(2),
    "dpm++3m": DPMSolverPP(3),
    "unipc 2": unipc(2),
    "unipc 3": unipc(3),
    "unipc-bh1 2": unipc_bh1(2),
    "unipc-bh1 3": unipc_bh1(3),
}


def mixture(seed: int) -> GaussianMixture:
    """Return the mixture: means and covariances with a spectrum 1/k², together of deviation 0.5."""
    random = generator(seed, "mixture")

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    spectrum = torch.arange(1, DIMENSIONS + 1, dtype=torch.float64) ** -2
    spectrum = 0.5 * 0.5**2 * spectrum / spectrum.mean()
    shared = torch.linalg.qr(normal(DIMENSIONS, DIMENSIONS))[0]
    means = (normal(COMPONENTS, DIMENSIONS) * spectrum.sqrt()) @ shared.T
    axes = torch.linalg.qr(normal(COMPONENTS, DIMENSIONS, DIMENSIONS))[0]
    weights = torch.full((COMPONENTS,), 1 / COMPONENTS, dtype=torch.float64)
    return GaussianMixture(weights, means, axes, spectrum.expand(COMPONENTS, DIMENSIONS))


@dataclass
class Counted:
    """The mixture's denoiser, by sigma, which counts how often it is asked."""

    denoiser: ExactDenoiser
    asked: int = 0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.asked += 1
        return self.denoiser.estimate(x, torch.tensor(sigma / SIGMA_MAX, dtype=torch.float64)).x0


def runge_kutta(denoise: Denoise, x: Tensor, high: float, low: float, steps: int) -> Tensor:
    """Return the classical fourth order solution from sigma = high to low, equal steps of u = log sigma."""
    levels = torch.linspace(0, 1, 2 * steps + 1, dtype=torch.float64)
    sigmas = (high * (low / high) ** levels).tolist()
    h = torch.log(torch.tensor(low / high, dtype=torch.float64)) / steps

    def slope(x: Tensor, sigma: float) -> Tensor:
        return x - denoise(x, sigma)  # dx/du

    for i in range(0, 2 * steps, 2):
        first = slope(x, sigmas[i])
        second = slope(x + h / 2 * first, sigmas[i + 1])
        third = slope(x + h / 2 * second, sigmas[i + 1])
        fourth = slope(x + h * third, sigmas[i + 2])
        x = x + h / 6 * (first + 2 * second + 2 * third + fourth)
    return x


@dataclass(frozen=True)
class Ends:
    """Starts at sigma = 80 and where the ODE leads them, at 0.002 and at 0: (B, D) each."""

    x: Tensor
    at_min: Tensor
    at_zero: Tensor

    @classmethod
    def of(cls, denoise: Denoise, seed: int, purpose: str, steps: int = 1000) -> "Ends":
        x = SIGMA_MAX * torch.randn(
            STARTS, DIMENSIONS, generator=generator(seed, purpose), dtype=torch.float64
        )
        at_min = runge_kutta(denoise, x, SIGMA_MAX, SIGMA_MIN, steps)
        # Further down the estimate no longer changes: at 1e-4 of the smallest level it is the end.
        almost = runge_kutta(denoise, at_min, SIGMA_MIN, 1e-4 * SIGMA_MIN, steps // 5)
        return cls(x, at_min, denoise(almost, 1e-4 * SIGMA_MIN))


def median_error(end: Tensor, truth: Tensor) -> float:
    return float((end - truth).norm(dim=1).median())


@dataclass
class Row:
    """A sampler's line: its errors by count, nan where it cannot run, and what to know about each of them."""

    library: str
    name: str
    errors: dict[int, float] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)

    def of(self, count: int) -> float:
        """Return the error at a count, infinite where there is none."""
        error = self.errors[count]
        return error if error == error else float("inf")


def measure_peer(peer: Peer, denoiser: ExactDenoiser, ends: Ends) -> Row:
    """Measure a peer on one grid, with the grid or the reason why it did not run in the notes."""
    row = Row(peer.library, peer.name)
    for count in COUNTS:
        denoise = Counted(denoiser)
        row.notes[count] = peer.grid[0].upper() + ("0" if peer.to_zero else "")
        try:
            end = peer.run(denoise, ends.x, count)
        except (RuntimeError, ValueError, IndexError) as error:
            # What a library refuses, or where its own linear solve is singular, is reported and not hidden.
            row.errors[count], row.notes[count] = float("nan"), str(error).splitlines()[0]
            continue
        assert denoise.asked <= count, f"{row.name} asked {denoise.asked} times instead of {count}"
        row.errors[count] = median_error(end, ends.at_zero if peer.to_zero else ends.at_min)
    return row


def merged(rows: list[Row]) -> list[Row]:
    """Return a row for each sampler, with its best grid at each count, the best rows first."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.library, row.name), []).append(row)
    found = []
    for (library, name), group in groups.items():
        best = {count: min(group, key=lambda row: row.of(count)) for count in COUNTS}
        errors = {count: row.errors[count] for count, row in best.items()}
        found.append(Row(library, name, errors, {count: row.notes[count] for count, row in best.items()}))
    return sorted(found, key=lambda row: math.prod(row.of(count) for count in COUNTS))


def measure_ours(name: str, sampler: Sampler, denoiser: ExactDenoiser, fit: Ends, ends: Ends) -> Row:
    """Fit a grid on the starts of `fit`, measure it on those of `ends`; notes keep the former error."""
    row = Row("sfumato", f"{name}, fitted grid")
    for count in COUNTS:
        grid = fit_grid(denoiser, sampler, count, fit.x, reference=fit.at_zero)
        times = grid.times(count, SCHEDULE)
        row.errors[count] = median_error(walk(denoiser, sampler, ends.x, times), ends.at_zero)
        row.notes[count] = f"{median_error(walk(denoiser, sampler, fit.x, times), fit.at_zero):.6g}"
        print(f"  {row.name} at {count}: {row.errors[count]:.4g} (fitted to {row.notes[count]})", flush=True)
    return row


def line(row: Row, marked: dict[int, Row], notes: bool) -> str:
    """Return a row of the table, with the entries that are a count's best in bold."""
    cells = []
    for count in COUNTS:
        cell = f"{row.errors[count]:.4g}" + (f" {row.notes[count]}" if notes else "")
        cells.append(f"**{cell}**" if marked[count] is row else cell)
    return f"| {row.library} | {row.name} | {' | '.join(cells)} |"


def page(ours: list[Row], peers: list[Row], seed: int) -> tuple[str, bool]:
    """Return the result as Markdown, and whether ours is at most half of the best peer at every count."""
    # Ours is decided by the starts of the fit, whose error the notes keep; a peer by the starts that judge.
    default = {count: min(ours, key=lambda row: float(row.notes[count])) for count in COUNTS}
    rival = {count: min(peers, key=lambda row: row.of(count)) for count in COUNTS}
    ratio = {count: default[count].of(count) / rival[count].of(count) for count in COUNTS}
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "diffusers", "azula"))
    counts = " | ".join(str(count) for count in COUNTS)
    text = [
        f"# Solver error, {date.today()}",
        "",
        f"`python benchmarks/solvers.py --seed {seed}`: {packages}, Python {platform.python_version()}.",
        "",
        (__doc__ or "").split("\n\n", 2)[2].strip(),
        "",
        f"| evaluations | {counts} |",
        "|---" * 5 + "|",
        "| ours | " + " | ".join(f"{default[c].name}: {default[c].of(c):.4g}" for c in COUNTS) + " |",
        "| best peer | " + " | ".join(f"{rival[c].name}: {rival[c].of(c):.4g}" for c in COUNTS) + " |",
        "| ratio | " + " | ".join(f"{ratio[c]:.2f}" for c in COUNTS) + " |",
        "",
        "All samplers; bold: our default at each count and the best peer. A peer stands with its best grid:",
        "K Karras, E exponential, B beta; with 0 if it ends at sigma = 0, else at 0.002.",
        "",
        f"| library | sampler | {counts} |",
        "|---" * 6 + "|",
        *(line(row, default, notes=False) for row in ours),
        *(line(row, rival, notes=True) for row in peers),
    ]
    return "\n".join(text) + "\n", all(value <= 0.5 for value in ratio.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the mixture and of all starts")
    parser.add_argument("--out", type=Path, help="where the result page goes [default: printed alone]")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="diffusers")
    denoiser = ExactDenoiser(mixture(options.seed), SCHEDULE)
    ends, fit = (Ends.of(Counted(denoiser), options.seed, purpose) for purpose in ("judge", "fit"))
    coarse = Ends.of(Counted(denoiser), options.seed, "judge", 500)
    print(
        f"the reference changes by {median_error(coarse.at_zero, ends.at_zero):.2g} from 500 steps to 1,000"
    )
    peers = merged([measure_peer(peer, denoiser, ends) for peer in (*diffusers_peers(), *azula_peers())])
    ours = [measure_ours(name, sampler, denoiser, fit, ends) for name, sampler in OURS.items()]
    text, half = page(ours, peers, options.seed)
    print(text)
    if options.out:
        options.out.write_text(text)
    print("ours has at most half the best peer's error at every count:", "yes" if half else "NO")
    raise SystemExit(0 if half else 1)


if __name__ == "__main__":
    main()
