"""SAM-Med2D's adapter (arXiv 2308.16184): 15.04 M parameters in parallel to every MLP of SAM's ViT.

    y = x + MLP(z) + LN(z + spatial(z * channel(z))),    z = LN2(x)

*Channel* is squeeze-and-excitation, *spatial* a strided 3x3 convolution and a transposed 4x4 one, each
followed by ReLU. The published adapter has its own skip connection and a final LayerNorm, so with no
initialisation of its convolutions does the network start at SAM. `start="base"` zeroes that LayerNorm, and
with it the adapter's output; the forward is the same, so released weights load with either setting.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import isqrt
from typing import Literal

from torch import Tensor, nn

from uniultra.adapters.cross_branch import zero
from uniultra.adapters.registry import DECODER, AdapterKind
from uniultra.errors import ModelError
from uniultra.networks.network import PromptNetwork
from uniultra.networks.sam_vit import SamVit


@dataclass(frozen=True)
class Med2DConfig:
    """Settings of SAM-Med2D's adapter.

    Attributes:
        start: `base` (default) starts exactly at the base network, `paper` as published.
        reduction: bottleneck factor of the squeeze-and-excitation; default 4.
    """

    start: Literal["base", "paper"] = "base"
    reduction: int = 4


class Med2DAdapter(nn.Module):
    """The adapter of one block: tokens `(B,g*g,D)` of a square grid to a correction of the same shape."""

    def __init__(self, width: int, config: Med2DConfig) -> None:
        super().__init__()
        self.channel = nn.Sequential(
            nn.Linear(width, width // config.reduction, bias=False),
            nn.ReLU(),
            nn.Linear(width // config.reduction, width, bias=False),
            nn.Sigmoid(),
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, stride=2, padding=1, bias=False),
            nn.ReLU(),
        )
        self.norm = nn.LayerNorm(width)  # eps 1e-5; SAM's own norms have 1e-6
        for module in (*self.channel, *self.spatial):
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if config.start == "base":
            zero(self.norm)

    def forward(self, tokens: Tensor) -> Tensor:
        side = isqrt(tokens.shape[1])
        excited = tokens * self.channel(tokens.mean(1, keepdim=True))
        grid = excited.transpose(1, 2).unflatten(2, (side, side))
        return self.norm(tokens + self.spatial(grid).flatten(2).transpose(1, 2))


class Med2D(nn.Module):
    """SAM-Med2D's adapters of one `SamVit`, inserted by hooks on its MLPs."""

    def __init__(self, encoder: SamVit, config: Med2DConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Med2DAdapter(encoder.size.width, config) for _ in encoder.blocks)
        for i, block in enumerate(encoder.blocks):
            block.get_submodule("mlp").register_forward_hook(partial(self._add, i))

    def _add(self, index: int, _mlp: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return output + self.layers[index](inputs[0])


def inject(network: PromptNetwork, config: Med2DConfig | None = None) -> PromptNetwork:
    """Insert SAM-Med2D's adapters into the ViT of a network (in place) as `image_encoder.med2d`.

    Raises:
        ModelError: another kind of encoder, or an odd grid side, which the convolutions do not restore.
    """
    encoder = network.image_encoder
    if not isinstance(encoder, SamVit):
        raise ModelError("Expected SAM's ViT for SAM-Med2D's adapter; build it on sam_b_256.")
    if encoder.grid % 2:
        raise ModelError(f"Expected an even token grid; got {encoder.grid}. Use a multiple of 32 as side.")
    encoder.med2d = Med2D(encoder, config or Med2DConfig())
    return network


KIND = AdapterKind("med2d", Med2DConfig, inject, "med2d", (".med2d.", *DECODER))
