"""Function-preserving widening of a trained trunk, so that a teacher can start from its student's weights.

Net2Net's widening (Chen, Goodfellow & Shlens 2016, arXiv 1511.05641) for Hiera trunks with CH-Adapters.
Every channel is copied `factor` times, and every weight that reads it is divided among the copies in random
shares, so that the copies get different gradients from the first step on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from uniultra.errors import ModelError
from uniultra.networks.network import PromptNetwork

# Which axes of a tensor are channels of the trunk: rows make channels, columns read them.
_READS_ONLY = re.compile(r"(^|\.)(edge_stem\.weight|neck\.convs\.\d+\.conv\.weight)$")
_MAKES_ONLY = re.compile(
    r"trunk\.(pos_embed|pos_embed_window|patch_embed\.proj\.(weight|bias)|.*norm\d\.(weight|bias)|.*\.bias"
    r"|ch_adapters\.layers\.\d+\.edge\.weight)$"
)
_BOTH = re.compile(r"trunk\..*\.weight$")
_NEITHER = re.compile(r"(edge_stem\.bias|neck\..*\.bias)$")


def grown(network: PromptNetwork, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights for `network`, whose trunk is k times as wide as the one that `tensors` belong to.

    Args:
        network: Hiera with the topology of the narrow network; all other parts of the same shapes.
        tensors: the narrow network's tensors, by the same names.

    Raises:
        ModelError: another topology, or widths that are no integer factor apart.
    """
    state = network.state_dict()
    name = "image_encoder.trunk.pos_embed"
    if state.keys() != tensors.keys() or name not in state:
        raise ModelError(
            "Expected weights of a narrower trunk of the same blocks; got those of another network."
        )
    narrow, wide = tensors[name].shape[1], state[name].shape[1]
    factor, rest = divmod(wide, narrow)
    if rest or factor < 1:
        raise ModelError(f"Expected widths an integer factor apart; got {narrow} and {wide} channels.")
    generator = torch.Generator().manual_seed(0)
    heads = _heads(network)
    widened = {k: _widened(k, v.float(), factor, heads, generator) for k, v in tensors.items()}
    wrong = [key for key, value in widened.items() if value.shape != state[key].shape]
    if wrong:
        raise ModelError(f"Expected trunks that differ in width only; {', '.join(wrong[:3])} would not fit.")
    return widened


def _heads(network: PromptNetwork) -> list[int]:
    """Number of attention heads of each block; widening makes heads wider, not more."""
    blocks = network.image_encoder.get_submodule("trunk.blocks")
    return [int(block.get_submodule("attn").num_heads) for block in blocks.children()]  # type: ignore[arg-type]


def _widened(name: str, value: Tensor, factor: int, heads: list[int], generator: torch.Generator) -> Tensor:
    if not name.startswith("image_encoder.") or _NEITHER.search(name):
        return value
    block = re.search(r"blocks\.(\d+)\.attn\.(qkv|proj)\.(weight|bias)$", name)
    if block:
        count, (layer, kind) = heads[int(block[1])], block.group(2, 3)
        if layer == "qkv":
            value = _copied(value, factor, 3 * count)
            # Dot products are now sums of `factor` equal parts, divided by the root of a longer width.
            value[: len(value) // 3] /= math.sqrt(factor)
            return _shared(value, factor, 1, generator) if kind == "weight" else value
        value = _copied(value, factor, 1)
        return _shared(value, factor, count, generator) if kind == "weight" else value
    if _READS_ONLY.search(name):
        return _shared(value, factor, 1, generator)
    if name.endswith(("pos_embed", "pos_embed_window")):
        return _copied(value[0], factor, 1)[None]
    if _MAKES_ONLY.search(name):
        return _copied(value, factor, 1)
    if _BOTH.search(name):
        return _shared(_copied(value, factor, 1), factor, 1, generator)
    return value


def _copied(value: Tensor, factor: int, groups: int) -> Tensor:
    """Rows `(groups * c, ...)` copied to `(groups * factor * c, ...)`, copies side by side in their group."""
    parts = value.unflatten(0, (groups, -1))[:, None]
    return parts.expand(-1, factor, *parts.shape[2:]).flatten(0, 2).clone()


def _shared(value: Tensor, factor: int, groups: int, generator: torch.Generator) -> Tensor:
    """Columns `(rows, groups * c, ...)` divided in random shares among the copies that `_copied` makes."""
    parts = value.unflatten(1, (groups, -1))[:, :, None]
    shape = (*parts.shape[:2], factor, *parts.shape[3:])
    shares = torch.softmax(0.5 * torch.randn(shape, generator=generator), 2)
    return (parts * shares).flatten(1, 3)
