"""Tests share the machine's cores: a worker of several computes in one thread."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported, after this
