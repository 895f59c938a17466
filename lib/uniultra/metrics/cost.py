"""Cost of a network: multiply-accumulates (counted) and latency (measured).

Encoding a picture and decoding a prompt are reported separately, since a picture is encoded once however
many prompts follow. 1 GMAC = 2 GFLOP; several papers write FLOPs for MACs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from uniultra.errors import ModelError
from uniultra.networks.network import Embedding, PromptNetwork


@dataclass(frozen=True)
class Work:
    """GMACs of one picture and of one prompt on it."""

    gmac_encode: float
    gmac_decode: float


@dataclass(frozen=True)
class Latency:
    """Median seconds to encode one picture and to decode one prompt on it, on one device.

    Attributes:
        seconds_encode, seconds_decode: of the network alone, without reading, resizing or upscaling.
        device: device type, cpu or cuda.
        threads: torch's threads on the processor.
        repeats: measurements behind each median, after a warm-up.
    """

    seconds_encode: float
    seconds_decode: float
    device: str
    threads: int
    repeats: int


def count_work(network: PromptNetwork, prompt: str = "box") -> Work:
    """Count the multiply-accumulates of a picture and of a prompt, with torch's FlopCounterMode.

    Convolutions and matrix products are counted, those of attention included (the plain attention kernel
    is used, since the counter cannot see into every fused one); norms, activations, interpolation and
    pooling are not. A network on the meta device is counted without computing anything.

    Args:
        network: in any mode, on any device; left unchanged.
        prompt: `box` (two corners), `point` (a click and the padding that SAM adds) or `none`.

    Raises:
        ModelError: another prompt.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    picture, ask = _inputs(network, prompt)
    with _evaluating(network), sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as encoding:
            embedding = network.encode(picture)
        with FlopCounterMode(display=False) as decoding:
            ask(embedding)
    return Work(encoding.get_total_flops() / 2e9, decoding.get_total_flops() / 2e9)


def measure_latency(
    network: PromptNetwork, prompt: str = "point", *, repeats: int = 20, warm_up: int = 3
) -> Latency:
    """Measure the median time to encode a picture and to decode a prompt on it, one at a time.

    Args:
        network: on the device to measure; left unchanged.
        prompt: as in `count_work`.
        repeats: measurements of each; default 20.
        warm_up: runs before them that are not measured; default 3.

    Raises:
        ModelError: another prompt, no repeat, or a network on the meta device.
    """
    if repeats < 1:
        raise ModelError(f"Expected at least one repeat; got {repeats}.")
    picture, ask = _inputs(network, prompt)
    if picture.is_meta:
        raise ModelError("A network on the meta device computes nothing. Build it on the device to measure.")
    with _evaluating(network):
        encode = _median(lambda: network.encode(picture), picture.device, repeats, warm_up)
        embedding = network.encode(picture)
        decode = _median(lambda: ask(embedding), picture.device, repeats, warm_up)
    return Latency(encode, decode, picture.device.type, torch.get_num_threads(), repeats)


def _inputs(
    network: PromptNetwork, prompt: str
) -> tuple[Tensor, Callable[[Embedding], tuple[Tensor, Tensor]]]:
    """A blank picture, and a function that decodes one prompt on its embedding."""
    labels = {"box": [2.0, 3.0, -1.0], "point": [1.0, -1.0], "none": [-1.0]}
    if prompt not in labels:
        raise ModelError(f"Unknown prompt; expected one of {', '.join(labels)}.")
    parameter = next(network.parameters())
    make: dict[str, Any] = {"device": parameter.device, "dtype": parameter.dtype}
    picture = torch.zeros(1, 3, network.image_size, network.image_size, **make)
    kinds = torch.tensor([labels[prompt]], **make)
    coords = torch.full((1, kinds.shape[1], 2), network.image_size / 2, **make)
    drawn = None
    # Networks with one dense channel take previous logits, which a first prompt does not have.
    if network.map_channels != 1:
        drawn = torch.zeros(1, network.map_channels, network.mask_side, network.mask_side, **make)
    return picture, lambda embedding: network.decode(embedding, coords, kinds, drawn, multimask=False)


@contextmanager
def _evaluating(network: PromptNetwork) -> Iterator[None]:
    """Evaluation mode without gradients; restores every module's own mode afterwards."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def _median(work: Callable[[], object], device: torch.device, repeats: int, warm_up: int) -> float:
    def once() -> float:
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    for _ in range(warm_up):
        once()
    return statistics.median(once() for _ in range(repeats))
