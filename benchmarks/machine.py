"""What the benchmarks say about the machine: how fast it is right now, and which versions ran.

A virtual machine's speed changes from minute to minute, so a figure in seconds travels with the rate of a
plain matrix product measured beside it: in bf16, or in fp32 on a machine that has no fast bf16 and would take
minutes for one product. Whoever prints the rate prints `PRODUCT`, which says which of them it is.
"""

import platform
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from sfumato.train.device import fast_bf16

SIDE = 2048
PRODUCT_FLOPS = 2 * SIDE**3
BF16 = fast_bf16(torch.device("cpu"))
PRODUCT = f"{'bf16' if BF16 else 'fp32'} matrix product"
"""What the machine's rate is the rate of."""


def matrix_rate() -> float:
    """Return the machine's matrix product rate now, in TFLOP/s: 2048³, median of 9."""
    a = factor()
    seconds = []
    for _ in range(9):
        start = perf_counter()
        a @ a
        seconds.append(perf_counter() - start)
    return PRODUCT_FLOPS / median(seconds) / 1e12


def factor() -> Tensor:
    """Return what is multiplied by itself: (SIDE, SIDE)."""
    return torch.ones(SIDE, SIDE, dtype=torch.bfloat16 if BF16 else torch.float32)


def versions(*packages: str) -> str:
    """Return "Python 3.12.1, torch 2.9.0, …" of what is installed."""
    return ", ".join([f"Python {platform.python_version()}", *map(_version, packages)])


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} as in this folder"
