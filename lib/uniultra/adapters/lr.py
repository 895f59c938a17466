"""LRAdapter: LG-MedSeg's low-rank adapter for TinyViT (DOI 10.12677/mos.2025.144358).

A bottleneck d -> r -> d whose two matrices are factored at rank k, in parallel to attention and MLP:

    x + Attn(x) + scale * LRA(LN(x)),    y + MLP(y) + scale * LRA(LN(y))
    LRA(x) = U_up V_up gelu(U_down V_down x)

with the block's own frozen norms and no biases. The shapes in equations 3 and 4 of the paper do not match
as printed; this is the only order of its matrices in which they do. The last matrix starts at zero.

`paper_table(k)` is the placement behind the paper's parameter table, 17.856 K for k = 4 up to 142.848 K for
k = 32: one adapter in each of the 12 blocks, r = d/8. The paper's text describes `LRConfig()`.

Unlike LoRA's, the correction cannot be merged into the frozen weights, because of the GELU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniultra.adapters.norms import FrozenNorms
from uniultra.adapters.registry import AdapterKind
from uniultra.errors import ModelError
from uniultra.networks.network import PromptNetwork
from uniultra.networks.tiny_vit import TinyVitTrunk


@dataclass(frozen=True)
class LRConfig:
    """Settings of the LRAdapter.

    Attributes:
        per_block: adapters in parallel to the attention, the MLP, or both (default).
        r_div: the bottleneck has r = d / r_div channels; default 4.
        k: rank of the two factorisations; default 16.
        include_mbconv: also one adapter in parallel to each convolutional block of the first stage; default
            False.
        scale: weight of the adapters' output; default 1.
    """

    per_block: Literal["attn", "mlp", "both"] = "both"
    r_div: int = 4
    k: int = 16
    include_mbconv: bool = False
    scale: float = 1.0


def paper_table(k: int) -> LRConfig:
    """The placement behind the paper's table of parameter counts by rank."""
    return LRConfig(per_block="mlp", r_div=8, k=k, include_mbconv=True)


class LRAdapter(nn.Module):
    """One adapter on tokens `(…,d)`: 2k(d + r) parameters."""

    def __init__(self, width: int, config: LRConfig) -> None:
        super().__init__()
        bottleneck = width // config.r_div
        self.v_down = nn.Linear(width, config.k, bias=False)
        self.u_down = nn.Linear(config.k, bottleneck, bias=False)
        self.v_up = nn.Linear(bottleneck, config.k, bias=False)
        self.u_up = nn.Linear(config.k, width, bias=False)
        nn.init.zeros_(self.u_up.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.u_up(self.v_up(F.gelu(self.u_down(self.v_down(tokens)))))


class LRAdapters(FrozenNorms):
    """The LRAdapters of one TinyViT trunk, inserted by hooks; the trunk's batch norms stay frozen."""

    def __init__(self, trunk: TinyVitTrunk, config: LRConfig) -> None:
        super().__init__(trunk)
        self.config = config
        self.layers = nn.ModuleDict()
        places = ("attn", "mlp") if config.per_block == "both" else (config.per_block,)
        for stage, blocks in enumerate(trunk.blocks()):
            block: Any
            for n, block in enumerate(blocks):
                if stage:
                    for place in places:
                        self._insert(f"{stage}_{n}_{place}", block.dim, block.get_submodule(place))
                elif config.include_mbconv:
                    self._insert(f"{stage}_{n}_conv", block.conv1.conv.in_channels, block)

    def _insert(self, name: str, width: int, module: nn.Module) -> None:
        self.layers[name] = LRAdapter(width, self.config)
        add = self._add_to_map if name.endswith("conv") else self._add_to_tokens
        module.register_forward_hook(partial(add, name))

    def _add_to_tokens(self, name: str, module: Any, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return output + self.config.scale * self.layers[name](module.norm(inputs[0]))

    def _add_to_map(self, name: str, _block: Any, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        tokens = inputs[0].permute(0, 2, 3, 1)
        return output + self.config.scale * self.layers[name](tokens).permute(0, 3, 1, 2)


def inject(network: PromptNetwork, config: LRConfig | None = None) -> PromptNetwork:
    """Insert LRAdapters into the TinyViT of a network (in place) as `image_encoder.lr_adapters`.

    Raises:
        ModelError: another kind of encoder.
    """
    trunk = network.image_encoder
    if not isinstance(trunk, TinyVitTrunk):
        raise ModelError(
            "Expected a TinyViT encoder for LRAdapters; build them on mobile_sam or sam2_tinyvit."
        )
    with torch.device(next(trunk.parameters()).device):
        trunk.lr_adapters = LRAdapters(trunk, config or LRConfig())
    return network


KIND = AdapterKind("lr", LRConfig, inject, "lr_adapters", (".lr_adapters.",))
