"""What the benchmarks say about the machine: how fast it is right now, and which versions ran.

A virtual machine's speed changes from minute to minute, so a figure in seconds travels with the rate of a
plain matrix product measured beside it.
"""

import platform
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from time import perf_counter

import torch

SIDE = 2048
PRODUCT_FLOPS = 2 * SIDE**3


def matrix_rate() -> float:
    """Return the machine's bf16 matrix product rate now, in TFLOP/s: 2048³, median of 9."""
    a = torch.ones(SIDE, SIDE, dtype=torch.bfloat16)
    seconds = []
    for _ in range(9):
        start = perf_counter()
        a @ a
        seconds.append(perf_counter() - start)
    return PRODUCT_FLOPS / median(seconds) / 1e12


def versions(*packages: str) -> str:
    """Return "Python 3.12.1, torch 2.9.0, …" of what is installed."""
    return ", ".join([f"Python {platform.python_version()}", *map(_version, packages)])


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} as in this folder"
