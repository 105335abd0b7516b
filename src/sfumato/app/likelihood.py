"""What `sfumato likelihood` does: the bound and the flow's likelihood of held-out examples, explained.

Networks run in float32 here, whatever the run samples in: a likelihood adds up what rounding would blur.
"""

import json
import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sfumato.app.console import bar, console, facts_table, note, output
from sfumato.app.scoring import one_process
from sfumato.app.training import read_for
from sfumato.app.unseen import Examples, held_out
from sfumato.diffusion.bound import Chain, bound_terms, starts_at_data
from sfumato.diffusion.decoder import DiscretisedGaussian
from sfumato.diffusion.denoiser import NetworkDenoiser
from sfumato.diffusion.guided_objective import GuidedLoss
from sfumato.diffusion.likelihood import (
    Dequantised,
    ExactTrace,
    FlowLikelihood,
    Hutchinson,
    LogLikelihood,
    Trace,
)
from sfumato.diffusion.times import StepDensity
from sfumato.errors import ConfigError
from sfumato.runs.build import build_decoder
from sfumato.runs.run import Run

EXACT_UP_TO = 32
"""Dimensions up to which the flow's trace is computed in full, one backward run for each."""
TOLERANCE = 1e-4
"""Of the flow's solver: a tenth of it moves digits by 0.005 bits per dimension, at four times the price."""
STEPS = 1000
EXAMPLES = 64
"""How many held-out examples are asked, where nobody says."""


def measure(
    run: Run, source: str | None, n: int, steps: int | None, probes: int | None, seed: int, as_json: bool
) -> dict[str, Any]:
    """Measure, print and return both likelihoods of `n` held-out examples."""
    one_process("likelihood")
    refuse_without_likelihood(run)
    objective = run.family.objective
    doubt_guided(objective.guidance if isinstance(objective, GuidedLoss) else 1, "objective=denoising")
    length, trace = chain_steps(run, steps), trace_of(run, probes)
    dataset = read_for(run, source)
    examples = held_out(run, dataset, n, seed)
    result: dict[str, Any] = {
        "run": str(run.folder),
        "data": dataset.source,
        "content_hash": dataset.content_hash,
        "examples": len(examples.values),
        "dimensions": examples.values[0].numel(),
        "given": list(examples.condition.values) if examples.condition is not None else [],
        "seed": seed,
    }
    if starts_at_data(run.diffusion.family.denoiser.schedule):
        result["bound"] = measure_bound(run, examples, length)
    result["flow"] = measure_flow(run, examples, trace)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        show(run, result)
    return result


def refuse_without_likelihood(run: Run) -> None:
    """Refuse a generator of few steps: it knows the levels it is asked at, and a likelihood needs all."""
    refuse_codes(run)
    if run.diffusion.config.distilled is not None:
        raise ConfigError(
            f"{run.folder} is distilled and has no likelihood: ask the run it was made from, "
            f"{run.diffusion.config.distilled.teacher}."
        )


def refuse_codes(run: Run) -> None:
    """Refuse a model of codes, whose density is not that of the pictures they stand for."""
    if run.config.latent is not None:
        raise ConfigError(
            f"{run.folder} lives in the codes of {run.config.latent.run}, and has no likelihood of pictures: "
            "ask a run that was trained on the pictures themselves."
        )


def doubt_guided(learned: float, without: str) -> None:
    """Say so where the model has learned guidance, which makes it sharper than the data.

    learned: its weight; without: the setting that trains a model without.
    """
    if learned > 1:
        note(
            f"this run learned guidance of {learned:g}, so it is sharper than its data, "
            f"which costs likelihood: train one with --set {without} for that of the data"
        )


def chain_steps(run: Run, wanted: int | None) -> int:
    """Return the steps of the bound's chain.

    Raises ConfigError for steps where there is no chain, or shorter than any the network was trained on.
    """
    times, schedule = run.diffusion.family.times, run.diffusion.family.denoiser.schedule
    if wanted is not None and not starts_at_data(schedule):
        raise ConfigError(
            f"--steps is the length of the bound's chain, and {type(schedule).__name__} makes none, because "
            "it has noise at t = 0: leave --steps out; the flow takes the steps that its tolerance needs."
        )
    t_min = schedule.t_min
    finest = math.floor(1 / t_min + 1e-9) if t_min > 0 else STEPS
    usual = times.steps if isinstance(times, StepDensity) else min(STEPS, finest)
    if wanted is not None and wanted > max(finest, usual):
        raise ConfigError(
            f"a chain of {wanted:,} steps would ask this model about less noise than it was trained on: use "
            f"at most {max(finest, usual):,} steps."
        )
    return wanted or usual


def trace_of(run: Run, probes: int | None) -> Trace:
    """Return how the flow's trace is computed: in full, or in many dimensions by so many random probes.

    Raises ConfigError for probes where none are needed.
    """
    size = math.prod(run.config.data.shape)
    if size > EXACT_UP_TO:
        return Hutchinson(probes or 1)
    if probes is not None:
        raise ConfigError(
            f"--probes counts random probes of the flow's trace, which is computed in full in up to "
            f"{EXACT_UP_TO} dimensions, and this data has {size}: leave --probes out."
        )
    return ExactTrace()


def plain_denoiser(run: Run) -> NetworkDenoiser:
    """Return the run's denoiser around its bare network, which runs in float32 and lets gradients through."""
    return replace(run.diffusion.family.denoiser, network=run.diffusion.family.module)


def measure_bound(run: Run, examples: Examples, steps: int) -> dict[str, Any]:
    """Return the bound's terms, with the standard error of their sum over examples."""
    denoiser, parts = plain_denoiser(run), []
    chain = Chain(denoiser.schedule, steps, denoiser.variance, build_decoder(run.scaling.bounds))
    with bar() as progress, torch.no_grad():
        task = progress.add_task("the bound", total=len(examples.values) * steps)
        for values, noise, condition in examples.chunks():
            between = torch.zeros(len(values), dtype=torch.float64)
            last = between
            for number, term in enumerate(bound_terms(denoiser, chain, values, noise, condition), start=1):
                last = term.cpu().double()
                between = between + (last if number < steps else 0)
                progress.advance(task, len(values))
            parts.append(torch.stack([chain.prior_term(values).cpu().double(), between, last]))
    prior, between, decoder = torch.cat(parts, 1)
    decoder = decoder + examples.scale
    size = examples.values[0].numel()
    named = {"prior": prior, "steps": between, "decoder": decoder, "total": prior + between + decoder}
    facts = {"chain_steps": steps, "variance": type(chain.variance).__name__, "evaluations": steps}
    return {**facts, **{name: summary(nats, size) for name, nats in named.items()}}


def measure_flow(run: Run, examples: Examples, trace: Trace) -> dict[str, Any]:
    """Return −log p under the probability-flow ODE, dequantised where the data is rounded."""
    denoiser, decoder = plain_denoiser(run), build_decoder(run.scaling.bounds)
    density = FlowLikelihood(trace, rtol=TOLERANCE, atol=TOLERANCE)
    rounded = isinstance(decoder, DiscretisedGaussian)
    find = Dequantised(density, decoder.width) if isinstance(decoder, DiscretisedGaussian) else density
    found: list[LogLikelihood] = []
    with bar() as progress:
        task = progress.add_task("the flow's likelihood", total=len(examples.values))
        for values, noise, condition in examples.chunks():
            found.append(find(denoiser, values, noise, condition))
            progress.advance(task, len(values))
    nats = -torch.cat([each.log_prob.cpu().double() for each in found]) + examples.scale
    start = denoiser.schedule.level(denoiser.schedule.t_min)
    return {
        "total": summary(nats, examples.values[0].numel()),
        "dequantised": rounded,
        "trace": "hutchinson" if isinstance(trace, Hutchinson) else "exact",
        "probes": trace.probes if isinstance(trace, Hutchinson) else None,
        "tolerance": TOLERANCE,
        "start": float(start.t),
        "start_noise": float(start.sigma / start.alpha),
        "evaluations": max(each.evaluations for each in found),
        "products": max(each.products for each in found),
    }


def summary(nats: Tensor, dimensions: int) -> dict[str, float]:
    """Return the mean over examples and its standard error, in nats and in bits per dimension."""
    mean, error = float(nats.mean()), float(nats.std()) / math.sqrt(len(nats))
    unit = dimensions * math.log(2)
    return {
        "bits_per_dimension": mean / unit,
        "standard_error": error / unit,
        "nats": mean,
        "standard_error_nats": error,
    }


def worded(found: dict[str, float]) -> str:
    """Return a summary as text."""
    return (
        f"{found['bits_per_dimension']:.4f} ± {found['standard_error']:.4f} bits per dimension "
        f"({found['nats']:.2f} ± {found['standard_error_nats']:.2f} nats)"
    )


def show(run: Run, result: dict[str, Any]) -> None:
    """Print the numbers, and what each of them is."""
    bound, flow = result.get("bound"), result["flow"]
    rounded = flow["dequantised"]
    given = f", given the {' and '.join(result['given'])} of each" if result["given"] else ""
    rows = [("examples", f"{result['examples']:,} held out of {result['data']}{given}")]
    if bound:
        rows.append(("bound", worded(bound["total"])))
        rows += [(f"  {name}", worded(bound[name])) for name in ("prior", "steps", "decoder")]
        rows.append(("  evaluations", f"{bound['evaluations']:,} an example"))
    rows.append(("flow", worded(flow["total"])))
    rows.append(("  evaluations", f"{flow['evaluations']:,} an example, and {flow['products']:,} backwards"))
    output.print(facts_table(rows))
    what = "−log P of the bytes" if rounded else "−log p, a density in the data's own units"
    if bound:
        console.print(
            f"bound: no less than {what} under the chain of {bound['chain_steps']:,} steps that ancestral "
            f"sampling walks ({bound['variance']})"
        )
    else:
        console.print(
            f"bound: none, because {type(run.diffusion.family.denoiser.schedule).__name__} has noise at "
            "t = 0, so its chain does not start at the data"
        )
    limits = [f"to a tolerance of {flow['tolerance']:g}"]
    if flow["trace"] != "exact":
        limits.append(f"and to the chance of {flow['probes']} random probes of the trace, which has no bias")
    exact = f"no less than {what}, by uniform dequantisation; exact" if rounded else f"{what}, exact"
    console.print(
        f"flow: {exact} under the probability-flow ODE {' '.join(limits)}, from t = {flow['start']:.3g} on, "
        f"where noise of {flow['start_noise']:.3g} (as the model sees the data) blurs the data"
    )
