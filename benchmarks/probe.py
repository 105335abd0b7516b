"""What a line reads off embeddings that were learned without labels, beside those of no training at all.

    python benchmarks/probe.py --data mnist.npz --budget 5m

A contrastive encoder sees the training pictures, never their labels. Then logistic regression learns the
labels from embeddings of the training split and is asked about the held-out one: on MNIST all 60,000 and all
10,000. The same probe of the encoder before training, and of the pixels, stands beside it.
"""

import argparse
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import perf_counter

import torch
from accelerate import Accelerator
from machine import matrix_rate, versions
from torch import Tensor

import sfumato
from sfumato.data import Dataset
from sfumato.data.scaling import Pixels
from sfumato.families.agreements import DataFacts
from sfumato.families.contrastive import Contrastive, ContrastiveEncoder
from sfumato.families.embedding_geometry import collapse
from sfumato.metrics.probe import Probe, probe, raw
from sfumato.randomness import generator
from sfumato.runs.fitting import Examples
from sfumato.train.averaging import Averages
from sfumato.train.budget import Budget
from sfumato.train.device import autocast
from sfumato.train.events import Stepped
from sfumato.train.loop import Fit, FitSettings
from sfumato.train.muon import Muon
from sfumato.train.signals import StopRequest

RESULTS = Path(__file__).parent / "results"
