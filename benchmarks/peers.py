"""The samplers of diffusers and azula, asked for what ours are asked: x at the end of the same ODE.

All walk dx/dsigma = (x − D(x, sigma))/sigma from sigma = 80 down, in float64 where the library lets them, on
the grids their users have. A grid of K evaluations comes in two forms, and a peer is judged by the better:

    "to zero"   K levels from 80 to 0.002, then 0: the last step is the denoiser's own answer at 0.002
    "to 0.002"  K + 1 levels from 80 to 0.002: the state there, measured against the reference there

so that no library pays for where it likes to stop.
"""

import inspect
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from scipy.stats import beta
from torch import Tensor

SIGMA_MAX, SIGMA_MIN = 80.0, 0.002
Denoise = Callable[[Tensor, float], Tensor]
"""(x: (B, D), sigma) -> E[x0 | x], one evaluation."""


def karras(n: int, rho: float = 7.0) -> Tensor:
    """Return n levels from 80 to 0.002 by Karras et al. 2022, equation 5."""
    share = torch.linspace(0, 1, n, dtype=torch.float64)
    high, low = SIGMA_MAX ** (1 / rho), SIGMA_MIN ** (1 / rho)
    return (high + share * (low - high)) ** rho


def exponential(n: int) -> Tensor:
    """Return n levels from 80 to 0.002, equal steps of log sigma."""
    high, low = torch.tensor([SIGMA_MAX, SIGMA_MIN], dtype=torch.float64).log()
    return torch.exp(high + torch.linspace(0, 1, n, dtype=torch.float64) * (low - high))


def beta_levels(n: int) -> Tensor:
    """Return n levels from 80 to 0.002 at quantiles of a Beta(0.6, 0.6), as diffusers' `use_beta_sigmas`."""
    share = torch.from_numpy(beta.ppf(1 - torch.linspace(0, 1, n, dtype=torch.float64).numpy(), 0.6, 0.6))
    return SIGMA_MIN + share * (SIGMA_MAX - SIGMA_MIN)


LEVELS: dict[str, Callable[[int], Tensor]] = {
    "karras": karras,
    "exponential": exponential,
    "beta": beta_levels,
}


def levels_of(name: str, steps: int, to_zero: bool) -> Tensor:
    """Return the steps + 1 levels of a grid in one of its two forms."""
    if to_zero:
        return torch.cat([LEVELS[name](steps), torch.zeros(1, dtype=torch.float64)])
    return LEVELS[name](steps + 1)


@dataclass(frozen=True)
class Peer:
    """A configured sampler of another library.

    grid: a name of `LEVELS`; run: (denoise, x at sigma = 80, evaluations) -> the end; to_zero: whether that
    lies at sigma = 0.
    """

    library: str
    name: str
    grid: str
    to_zero: bool
    run: Callable[[Denoise, Tensor, int], Tensor]


# --- diffusers ---------------------------------------------------------------------------------------------


def _scheduler(cls: type, options: dict, sigmas: Tensor):
    """Build a scheduler on exactly these levels: its own tables are float32 and its times whole numbers."""
    known = inspect.signature(cls.__init__).parameters
    scheduler = cls(**{key: value for key, value in options.items() if key in known})
    steps = len(sigmas) - 1
    scheduler.set_timesteps(steps)
    scheduler.sigmas = sigmas
    scheduler.timesteps = torch.arange(steps, 0, -1).double()
    scheduler.set_begin_index(0)
    return scheduler


def _preserving(cls: type, options: dict, grid: str, to_zero: bool) -> Callable[..., Tensor]:
    """Schedulers whose state is x/sqrt(1 + sigma²) and that are told the noise."""

    def run(denoise: Denoise, x: Tensor, evaluations: int) -> Tensor:
        sigmas = levels_of(grid, evaluations, to_zero)
        scheduler = _scheduler(cls, options, sigmas)
        state = x / (1 + sigmas[0] ** 2).sqrt()
        for index in range(evaluations):
            sigma = float(sigmas[index])
            at = state * (1 + sigma**2) ** 0.5
            noise = (at - denoise(at, sigma)) / sigma
            state = scheduler.step(noise, scheduler.timesteps[index], state).prev_sample
        return state * (1 + sigmas[-1] ** 2).sqrt()

    return run


def _exploding(cls: type, options: dict, grid: str, to_zero: bool) -> Callable[..., Tensor]:
    """Schedulers whose state is x itself and that are told the noise (Euler, LMS)."""

    def run(denoise: Denoise, x: Tensor, evaluations: int) -> Tensor:
        sigmas = levels_of(grid, evaluations, to_zero)
        scheduler = _scheduler(cls, options, sigmas)
        scheduler.is_scale_input_called = True
        state = x
        for index in range(evaluations):
            sigma = float(sigmas[index])
            noise = (state - denoise(state, sigma)) / sigma
            state = scheduler.step(noise, scheduler.timesteps[index], state).prev_sample
        return state

    return run


def _edm(cls: type, options: dict, grid: str, to_zero: bool) -> Callable[..., Tensor]:
    """EDM's schedulers: told what a preconditioned network puts out, (D − c_skip·x)/c_out."""

    def run(denoise: Denoise, x: Tensor, evaluations: int) -> Tensor:
        sigmas = levels_of(grid, evaluations, to_zero)
        scheduler = _scheduler(cls, options, sigmas)
        scheduler.is_scale_input_called = True
        state, data = x, scheduler.config.sigma_data
        for index in range(evaluations):
            sigma = float(sigmas[index])
            skip, out = data**2 / (sigma**2 + data**2), sigma * data / (sigma**2 + data**2) ** 0.5
            output = (denoise(state, sigma) - skip * state) / out
            state = scheduler.step(output, scheduler.timesteps[index], state).prev_sample
        return state

    return run


def _two_stage(cls: type, grid: str, to_zero: bool) -> Callable[..., Tensor]:
    """Heun and KDPM2: two evaluations a step, one in the last where that ends at zero."""

    def run(denoise: Denoise, x: Tensor, evaluations: int) -> Tensor:
        steps = (evaluations + 1) // 2 if to_zero else evaluations // 2
        sigmas = levels_of(grid, steps, to_zero)
        scheduler = cls()
        scheduler.set_timesteps(steps)
        doubled = torch.cat([sigmas[:1], sigmas[1:-1].repeat_interleave(2), sigmas[-1:], sigmas[-1:]])
        scheduler.sigmas = doubled
        asked = doubled[:-1].clone()
        if hasattr(scheduler, "sigmas_interpol"):
            middle = torch.exp((doubled.log() + doubled.roll(1).log()) / 2)
            scheduler.sigmas_interpol = middle
            asked[1::2] = middle[1::2][: len(asked[1::2])]
        scheduler.timesteps = torch.arange(len(doubled), 0, -1).double()
        scheduler.set_begin_index(0)
        state = x
        for index in range(2 * steps - 1 if to_zero else 2 * steps):
            sigma = float(asked[index])
            noise = (state - denoise(state, sigma)) / sigma
            state = scheduler.step(noise, scheduler.timesteps[index], state).prev_sample
        return state

    return run


def diffusers_peers() -> Iterator[Peer]:
    """Yield the deterministic schedulers of diffusers, in the configurations that can walk this ODE."""
    import diffusers

    logging.getLogger("diffusers").setLevel(logging.ERROR)
    multistep = [
        ("DPMSolverMultistepScheduler", {"solver_order": 2}),
        ("DPMSolverMultistepScheduler", {"solver_order": 2, "solver_type": "heun"}),
        ("DPMSolverMultistepScheduler", {"solver_order": 3}),
        ("DPMSolverMultistepScheduler", {"solver_order": 3, "lower_order_final": False}),
        ("DPMSolverMultistepScheduler", {"solver_order": 2, "algorithm_type": "dpmsolver"}),
        ("DPMSolverMultistepScheduler", {"solver_order": 3, "algorithm_type": "dpmsolver"}),
        ("UniPCMultistepScheduler", {"solver_order": 2}),
        ("UniPCMultistepScheduler", {"solver_order": 3}),
        ("UniPCMultistepScheduler", {"solver_order": 3, "lower_order_final": False}),
        ("UniPCMultistepScheduler", {"solver_order": 4}),
        ("UniPCMultistepScheduler", {"solver_order": 3, "solver_type": "bh1"}),
        ("UniPCMultistepScheduler", {"solver_order": 3, "predict_x0": False}),
        ("DEISMultistepScheduler", {"solver_order": 2}),
        ("DEISMultistepScheduler", {"solver_order": 3}),
        ("DPMSolverSinglestepScheduler", {"solver_order": 2}),
        ("DPMSolverSinglestepScheduler", {"solver_order": 3}),
        ("SASolverScheduler", {"tau_func": lambda t: 0.0}),
        ("SASolverScheduler", {"tau_func": lambda t: 0.0, "predictor_order": 3, "corrector_order": 4}),
    ]
    edm = [
        ("EDMEulerScheduler", {}),
        ("EDMDPMSolverMultistepScheduler", {"solver_order": 2}),
        ("EDMDPMSolverMultistepScheduler", {"solver_order": 2, "solver_type": "heun"}),
        ("EDMDPMSolverMultistepScheduler", {"solver_order": 3}),
        ("EDMDPMSolverMultistepScheduler", {"solver_order": 3, "lower_order_final": False}),
    ]
    exploding = [("EulerDiscreteScheduler", {}), ("LMSDiscreteScheduler", {})]
    for grid in LEVELS:
        for to_zero in (True, False):
            final = {"final_sigmas_type": "zero" if to_zero else "sigma_min"}
            for make, rows in ((_preserving, multistep), (_edm, edm), (_exploding, exploding)):
                for name, options in rows:
                    cls = getattr(diffusers, name)
                    label = " ".join([name.removesuffix("Scheduler"), *_words(options)])
                    yield Peer(
                        "diffusers", label, grid, to_zero, make(cls, {**options, **final}, grid, to_zero)
                    )
            for name in ("HeunDiscreteScheduler", "KDPM2DiscreteScheduler"):
                label = name.removesuffix("Scheduler")
                yield Peer(
                    "diffusers", label, grid, to_zero, _two_stage(getattr(diffusers, name), grid, to_zero)
                )


def _words(options: dict) -> Iterator[str]:
    for key, value in options.items():
        if key == "tau_func":
            yield "tau=0"
        elif key == "lower_order_final":
            yield "full order to the end"
        elif key == "predict_x0":
            yield "noise"
        else:
            yield f"order {value}" if key == "solver_order" else str(value)


# --- azula -------------------------------------------------------------------------------------------------


def _azula(name: str, options: dict, grid: str, final: str) -> Callable[..., Tensor]:
    from azula import sample
    from azula.denoise import Denoiser, DiracPosterior
    from azula.noise import Schedule

    class Levels(Schedule):
        """The grid's levels at equal steps of time, which is where azula's samplers ask."""

        def __init__(self, sigmas: Tensor) -> None:
            self.sigmas = sigmas

        def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
            index = ((1 - t) * (len(self.sigmas) - 1)).round().long()
            return torch.ones_like(t), self.sigmas[index]

    class Asked(Denoiser):
        def __init__(self, denoise: Denoise, schedule: Schedule) -> None:
            super().__init__()
            self.denoise, self.schedule = denoise, schedule

        def forward(self, x_t: Tensor, t: Tensor, **_: object) -> DiracPosterior:
            return DiracPosterior(self.denoise(x_t, float(self.schedule(t)[1])))

    def run(denoise: Denoise, x: Tensor, evaluations: int) -> Tensor:
        steps = evaluations - 1 if final == "denoise" else evaluations
        steps = steps // 2 if name == "HeunSampler" else steps
        asked = Asked(denoise, Levels(levels_of(grid, steps, final == "step")))
        sampler = getattr(sample, name)(asked, steps=steps, silent=True, dtype=torch.float64, **options)
        end = sampler(x)
        return denoise(end, SIGMA_MIN) if final == "denoise" else end

    return run


def azula_peers() -> Iterator[Peer]:
    """Yield the deterministic samplers of azula, on levels a user of it would define.

    Those that step in log sigma cannot reach zero: there the last evaluation denoises the state at 0.002.
    """
    rows = [("EulerSampler", {}), ("DDIMSampler", {}), ("HeunSampler", {})]
    for name in ("zABSampler", "vABSampler", "zEABSampler", "xEABSampler", "REABSampler"):
        rows += [(name, {"order": order}) for order in (1, 2, 3, 4, 5, 6)]
    for grid in LEVELS:
        for name, options in rows:
            label = " ".join([name.removesuffix("Sampler"), *(f"order {n}" for n in options.values())])
            reaches = name in ("EulerSampler", "DDIMSampler", "zABSampler", "vABSampler")
            yield Peer("azula", label, grid, False, _azula(name, options, grid, "stop"))
            yield Peer(
                "azula", label, grid, True, _azula(name, options, grid, "step" if reaches else "denoise")
            )
