"""LoRA (arXiv 2106.09685): the baseline that every other adapter has to beat.

    y = W x + (alpha / rank) B A x

beside chosen linear layers of the image encoder, B starting at zero.
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
        rank: of the update.
        alpha: the update is scaled by alpha / rank.
        targets: ends of the dotted names of the linear layers in the encoder. Attention has `attn.qkv` and
            `attn.proj` in Hiera, SAM's ViT and TinyViT alike; MLPs have `mlp.layers.0`, `mlp.layers.1` in
            Hiera and `mlp.fc1`, `mlp.fc2` in the others.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = ("attn.qkv",)

    def __post_init__(self) -> None:
        # YAML and JSON bring a list.
        object.__setattr__(self, "targets", tuple(self.targets))


class LoRALayer(nn.Module):
    """The update of one linear layer: rank * (inputs + outputs) parameters."""

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.a = nn.Linear(inputs, rank, bias=False)
        self.b = nn.Linear(rank, outputs, bias=False)
        nn.init.kaiming_uniform_(self.a.weight, a=math.sqrt(5))
        nn.init.zeros_(self.b.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x))


class LoRA(FrozenNorms):
    """The updates of one encoder, added by hooks on its linear layers, which keep their names."""

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


def targets(encoder: nn.Module, ends: Sequence[str]) -> list[str]:
    """Names of the linear layers of `encoder` that end as one of `ends`.

    Raises:
        ModelError: one of the ends fits no linear layer.
    """
    linears = [name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)]
    chosen = {end: [name for name in linears if f".{name}".endswith(f".{end}")] for end in ends}
    missing = [end for end, names in chosen.items() if not names]
    if missing or not chosen:
        raise ModelError(
            f"No linear layer of this encoder is called {', '.join(missing) or 'nothing'}; "
            "choose targets such as attn.qkv, attn.proj."
        )
    return [name for name in linears if any(name in names for names in chosen.values())]


def inject(network: PromptNetwork, config: LoRAConfig | None = None) -> PromptNetwork:
    """Put LoRA into the image encoder of a network (in place) as `image_encoder.lora`.

    Raises:
        ModelError: a target that the encoder does not have.
    """
    encoder = network.image_encoder
    with torch.device(next(encoder.parameters()).device):
        encoder.lora = LoRA(encoder, config or LoRAConfig())
    return network


KIND = AdapterKind("lora", LoRAConfig, inject, "lora", (".lora.", *DECODER))
