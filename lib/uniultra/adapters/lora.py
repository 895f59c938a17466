"""LoRA (arXiv 2106.09685), the baseline for every other adapter: low-rank updates of frozen linear layers.

    y = W x + (alpha / rank) B A x

for selected linear layers of the image encoder; B starts at zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from uniultra.adapters.norms import FrozenNorms
from uniultra.adapters.registry import DECODER, AdapterKind
from uniultra.errors import ModelError
from uniultra.networks.network import PromptNetwork


@dataclass(frozen=True)
class LoRAConfig:
    """Settings of LoRA.

    Attributes:
        rank: rank r of the low-rank update; default 8. A higher rank has proportionally more parameters.
        alpha: the update is scaled by alpha / rank; default 16, a factor of 2 at the default rank.
        targets: suffixes of the dotted names of the encoder's linear layers to adapt (peft's
            `target_modules`); default `attn.qkv`. Attention has `attn.qkv` and `attn.proj` in Hiera, SAM's
            ViT and TinyViT; MLPs have `mlp.layers.0`, `mlp.layers.1` in Hiera and `mlp.fc1`, `mlp.fc2` in
            the others.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = ("attn.qkv",)

    def __post_init__(self) -> None:
        # YAML and JSON have lists only.
        object.__setattr__(self, "targets", tuple(self.targets))


class LoRALayer(nn.Module):
    """The update B A x of one linear layer: rank * (inputs + outputs) parameters."""

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.a = nn.Linear(inputs, rank, bias=False)
        self.b = nn.Linear(rank, outputs, bias=False)
        nn.init.kaiming_uniform_(self.a.weight, a=math.sqrt(5))
        nn.init.zeros_(self.b.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x))


class LoRA(FrozenNorms):
    """The updates of one encoder, added by hooks on its linear layers, whose names do not change."""

    def __init__(self, encoder: nn.Module, config: LoRAConfig) -> None:
        super().__init__(encoder)
        self.scale = config.alpha / config.rank
        self.layers = nn.ModuleList()
        for n, name in enumerate(targets(encoder, config.targets)):
            linear: Any = encoder.get_submodule(name)
            self.layers.append(LoRALayer(linear.in_features, linear.out_features, config.rank))
            linear.register_forward_hook(partial(self._add, n))

    def _add(self, index: int, _linear: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return output + self.scale * self.layers[index](inputs[0])


def targets(encoder: nn.Module, suffixes: Sequence[str]) -> list[str]:
    """Dotted names of the linear layers of `encoder` that end with one of the suffixes.

    Raises:
        ModelError: no suffixes, or one that matches no linear layer.
    """
    linears = [name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)]
    unmatched = [end for end in suffixes if not any(f".{name}".endswith(f".{end}") for name in linears)]
    if unmatched or not suffixes:
        raise ModelError(
            f"Expected targets that end names of linear layers in this encoder; got {', '.join(unmatched)}. "
            "Choose targets such as attn.qkv, attn.proj."
        )
    return [name for name in linears if f".{name}".endswith(tuple(f".{end}" for end in suffixes))]


def inject(network: PromptNetwork, config: LoRAConfig | None = None) -> PromptNetwork:
    """Insert LoRA into the image encoder of a network (in place) as `image_encoder.lora`.

    The output of the adapted network equals its base's until the updates are trained.

    Raises:
        ModelError: a target that matches no linear layer of the encoder.

    Example:
        >>> import torch
        >>> from uniultra.models import build
        >>> network, picture = build("sam2_mini", image_size=64).eval(), torch.ones(1, 3, 64, 64)
        >>> with torch.no_grad():
        ...     before = network.encode(picture).image
        ...     after = inject(network, LoRAConfig(rank=4)).encode(picture).image
        >>> torch.equal(before, after)
        True
    """
    encoder = network.image_encoder
    with torch.device(next(encoder.parameters()).device):
        encoder.lora = LoRA(encoder, config or LoRAConfig())
    return network


KIND = AdapterKind("lora", LoRAConfig, inject, "lora", (".lora.", *DECODER))
