"""Where and in which precision networks run.

Networks run in bf16 where the machine multiplies bf16 matrices faster than fp32 ones, which on processors is
those with AMX; parameters, losses and samples stay float32.
"""

import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn


def fast_bf16(device: torch.device) -> bool:
    """Return whether bf16 is this device's fast path."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and _processor_has_amx()


@cache
def _processor_has_amx() -> bool:
    """Read once: with many cores the list of their flags is long, and optimisers ask for every matrix."""
    flags = Path("/proc/cpuinfo")
    known = platform.machine() in ("x86_64", "AMD64") and flags.is_file()
    return known and "amx_bf16" in flags.read_text()


def best_device() -> torch.device:
    """Return the accelerator if there is one, the processor otherwise."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator or torch.device("cpu")


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which networks run on `device`.

    precision: "bf16", "fp32", or "auto" for whichever is the device's fast path.
    """
    wanted = {"bf16": True, "fp32": False, "auto": fast_bf16(device)}[precision]
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


def to_device(value: Tensor, device: torch.device) -> Tensor:
    """Move a host's tensor; float64 becomes float32 on a device that has none (Apple's).

    A card takes its copy while the host goes on: the driver has read ordinary memory before it returns.
    """
    narrow = device.type == "mps" and value.dtype == torch.float64
    kind = torch.float32 if narrow else value.dtype
    return value.to(device, kind, non_blocking=device.type == "cuda")


def for_inference(network: nn.Module, precision: str) -> Callable[..., Tensor]:
    """Return `network` as a function that runs in the given precision, see `autocast`.

    It keeps a graph only where an input asks for a gradient, as guidance by a measurement does.
    """
    device = next(network.parameters()).device

    def run(*inputs: object) -> Tensor:
        asked = any(isinstance(value, Tensor) and value.requires_grad for value in inputs)
        with torch.inference_mode(not (asked and torch.is_grad_enabled())), autocast(device, precision):
            return network(*inputs)

    return run
