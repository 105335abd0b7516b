"""The peers' networks and training steps, each as its own tutorial has it, and how they may be sped up.

diffusers   `UNet2DModel` as in the diffusion course's unit 1.2 for MNIST (32, 64, 64 channels, attention at
            the two coarser levels); trained by the loop of the documentation's "Train a diffusion model":
            noise prediction on `DDPMScheduler(1000)`, AdamW at 1e-4, gradients clipped at 1, cosine
            schedule after 500 steps of warm-up, or a tenth of all steps where that is less: short trainings
            would be warm-up alone
azula       `azula.nn.unet.UNet` in `KarrasDenoiser`, with the label and the noise level embedded as in its
            MNIST tutorial (16, 32, 64 channels, two blocks a level, Adam at 3e-4); and with the network's
            defaults (64, 128, 256 channels, three blocks), which keep the machine busier
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from azula.denoise import KarrasDenoiser
from azula.nn.unet import UNet
from azula.noise import VPSchedule
from diffusers import DDPMScheduler, UNet2DModel
from diffusers.optimization import get_cosine_schedule_with_warmup
from machine import BF16
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sfumato.randomness import generator

WARM_UP = 500
"""Steps of diffusers' warm-up in its documentation."""


@dataclass(frozen=True)
class Configuration:
    """A way to run a network of a peer: what is done to it, and whether it runs under bf16 autocast."""

    name: str
    preparations: Sequence[Callable[[nn.Module], object]] = ()
    autocast: bool = False

    def prepare(self, network: nn.Module) -> None:
        """Change the network in place."""
        for preparation in self.preparations:
            preparation(network)

    def context(self) -> AbstractContextManager[object]:
        """Return the surroundings in which it runs."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.autocast)


def _channels_last(network: nn.Module) -> None:
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks it


def _bf16_weights(network: nn.Module) -> None:
    network.to(torch.bfloat16)


_compiled = partial(nn.Module.compile, dynamic=False)

FAST = "bf16" if BF16 else "fp32"
AS_IT_COMES = Configuration("fp32, as it comes")
TRAINING = (
    AS_IT_COMES,
    Configuration(f"{FAST}, channels-last", (_channels_last,), autocast=BF16),
    Configuration(f"{FAST}, channels-last, compiled", (_channels_last, _compiled), autocast=BF16),
    Configuration(f"{FAST}, compiled", (_compiled,), autocast=BF16),
)
SAMPLING = TRAINING
if BF16:
    TRAINING = (*TRAINING, Configuration("bf16 autocast", autocast=True))
    SAMPLING = (
        *TRAINING,
        Configuration("bf16 weights, channels-last", (_bf16_weights, _channels_last)),
        Configuration("bf16 weights, channels-last, compiled", (_bf16_weights, _channels_last, _compiled)),
    )


Network = cast(Callable[..., nn.Module], UNet2DModel)  # diffusers' lazy names have no types


def diffusers_network(shape: Sequence[int], seed: int = 0) -> nn.Module:
    """Build the course's network for pictures of `shape`: (C, H, W), H = W."""
    torch.manual_seed(seed)
    plain, attending = "DownBlock2D", "AttnDownBlock2D"
    return Network(
        sample_size=shape[1],
        in_channels=shape[0],
        out_channels=shape[0],
        layers_per_block=2,
        block_out_channels=(32, 64, 64),
        down_block_types=(plain, attending, attending),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )


class DiffusersTraining:
    """The documentation's loop, one step at a time; steps: over which the learning rate falls to zero."""

    name = "diffusers"

    def __init__(self, shape: Sequence[int], configuration: Configuration, steps: int, seed: int = 0) -> None:
        self.network = diffusers_network(shape, seed)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=1e-4)
        self.rate = get_cosine_schedule_with_warmup(self.optimiser, min(WARM_UP, steps // 10), steps)
        self.scheduler: Any = DDPMScheduler(num_train_timesteps=1000)
        self.configuration = configuration
        # Counted before anything is done to it: a compiled network hides its operations.
        self.flops = flops(self.network, torch.zeros(2, *shape), torch.zeros(2))
        self.random = generator(seed, "diffusers")
        configuration.prepare(self.network)

    def __call__(self, x0: Tensor, labels: Tensor | None = None) -> None:
        """Take a step on x0: (B, C, H, W) in [−1, 1]; the network knows no labels."""
        noise = torch.randn(x0.shape, generator=self.random)
        t = torch.randint(0, 1000, (len(x0),), generator=self.random)
        noisy = self.scheduler.add_noise(x0, noise, t)
        with self.configuration.context():
            loss = F.mse_loss(self.network(noisy, t, return_dict=False)[0], noise)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.rate.step()
        self.optimiser.zero_grad()


class AzulaBackbone(nn.Module):
    """azula's U-Net told the noise level and the label, which its tutorial leaves to the user."""

    def __init__(self, channels: int, classes: int, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.unet = UNet(channels, channels, mod_features=64, **options)
        self.label = nn.Embedding(classes, 64)
        self.level = nn.Sequential(nn.Linear(1, 64), nn.SiLU(), nn.Linear(64, 64))

    def forward(self, x: Tensor, level: Tensor, label: Tensor) -> Tensor:
        """Map x: (B, C, H, W), level: (B,), label: (B,) to (B, C, H, W)."""
        return self.unet(x, self.label(label) + self.level(level[:, None]))


class AzulaTraining:
    """azula's tutorial loop, one step at a time; options: of its U-Net."""

    def __init__(
        self, name: str, shape: Sequence[int], options: Mapping[str, Any], configuration: Configuration
    ) -> None:
        torch.manual_seed(0)
        self.name, self.shape, self.configuration = name, tuple(shape), configuration
        self.network = AzulaBackbone(shape[0], 10, options)
        self.denoiser = KarrasDenoiser(self.network, VPSchedule())
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=3e-4)
        self.random = generator(0, "azula")
        ones = torch.zeros(2, dtype=torch.long)
        self.flops = flops(self.network, torch.zeros(2, *shape), torch.zeros(2), ones)
        configuration.prepare(self.network)

    def __call__(self, x0: Tensor, labels: Tensor) -> None:
        """Take a step on x0: (B, C, H, W) in [−1, 1] and its labels: (B,)."""
        t = torch.rand(len(x0), generator=self.random)
        with self.configuration.context():
            loss = self.denoiser.loss(x0, t, label=labels)
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad()


AZULA: dict[str, dict[str, Any]] = {
    "azula, tutorial's network": {"hid_channels": (16, 32, 64), "hid_blocks": (2, 2, 2)},
    "azula, default network": {},
}


def flops(network: nn.Module, *inputs: object) -> float:
    """Return the operations of a forward pass for one of the images in the first input.

    Attention is taken apart into its matrix products: the counter does not know the fused kernel of CPUs.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(*inputs)
    first = inputs[0]
    assert isinstance(first, Tensor)
    return counter.get_total_flops() / len(first)
