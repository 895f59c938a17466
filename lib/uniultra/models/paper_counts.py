"""The percentages published in the UniUltra paper (arXiv 2511.15771), recounted from the networks.

They refer to whole SAM2 networks with video memory, built here from the `sam2` package's configuration on the
meta device. The paper is about SAM 2.0 and counts the adapters' fixed Sobel kernels as parameters, 576
numbers per block; everywhere else here they are buffers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from uniultra.models.counting import MetaDevice, on_meta

RELEASED_KERNELS = 576  # 4 kernels of 3 x 3 for r x r = 16 pairs of channels
CONFIG = "configs/sam2/sam2_hiera_l.yaml"


@dataclass(frozen=True)
class Parts:
    """Parameters of one UniUltra network as published.

    Attributes:
        encoder: SAM2's image encoder, without adapters.
        adapter: the CH-Adapters.
        kernels: fixed kernels of the adapters, which the release counts as parameters.
        decoder: prompt encoder, mask decoder and the embedding of an empty memory.
        memory: modules for video only: memory attention, memory encoder, object pointers.
    """

    encoder: int
    adapter: int
    kernels: int
    decoder: int
    memory: int

    @property
    def adapted_encoder(self) -> int:
        """The image encoder with adapters, as the release counts it."""
        return self.encoder + self.adapter + self.kernels

    @property
    def outside(self) -> int:
        """Everything outside the image encoder."""
        return self.decoder + self.memory

    @property
    def whole(self) -> int:
        """The whole network, as the release counts it."""
        return self.adapted_encoder + self.outside

    @property
    def sam2(self) -> int:
        """The network without adapters: SAM 2.0."""
        return self.encoder + self.outside


@dataclass(frozen=True)
class Share:
    """A percentage: `part` of `whole`, or the reduction from `whole` to `part`.

    Attributes:
        name: description of the comparison.
        part, whole: numbers of parameters.
        percent: the percentage.
        published: whether the paper publishes it; the others are fairer comparisons.
    """

    name: str
    part: int
    whole: int
    percent: float
    published: bool = False


@cache
def parts(size: str) -> Parts:
    """Count the parts of UniUltra on Hiera `size`: `mini` (the student) or `l` (the teacher)."""
    adapted = on_meta(f"uniultra_{size}", 1024)
    network = {name: p.numel() for name, p in adapted.named_parameters()}
    official = {name: p.numel() for name, p in _sam2().named_parameters()}
    adapter = sum(n for name, n in network.items() if ".ch_adapters." in name)
    encoder = sum(n for name, n in network.items() if name.startswith("image_encoder.")) - adapter
    behind = ("sam_prompt_encoder.", "sam_mask_decoder.", "no_mem_embed")
    # Of the official network, whose prompt encoder takes logits; our mini's takes drawn prompts.
    decoder = sum(n for name, n in official.items() if name.startswith(behind))
    memory = sum(n for name, n in official.items() if not name.startswith((*behind, "image_encoder.")))
    kernels = RELEASED_KERNELS * len(adapted.image_encoder.get_submodule("trunk.blocks"))  # type: ignore[arg-type]
    return Parts(encoder, adapter, kernels, decoder, memory)


def _sam2() -> Any:
    """SAM 2.0 on Hiera-L with video memory on the meta device, from the package's configuration."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    with (files("sam2") / CONFIG).open(encoding="utf-8") as stream:
        settings: Any = OmegaConf.load(stream)
    with MetaDevice():
        return instantiate(settings.model, _recursive_=True)


def trained_shares() -> list[Share]:
    """ "8.91 % trained": adapters and everything outside the image encoder of UniUltra-L.

    Training on still images gives the video memory no gradient, so the trained part is smaller; the adapters
    alone are smaller still.
    """
    large = parts("l")
    trained, on_stills = large.adapter + large.outside, large.adapter + large.decoder
    stills = large.encoder + on_stills
    return [
        _share("adapters and everything outside the image encoder", trained, large.whole, published=True),
        _share("adapters, prompt encoder and mask decoder, without video memory", on_stills, stills),
        _share("adapters alone", large.adapter, large.whole),
    ]


def smaller_shares() -> list[Share]:
    """ "94.08 % smaller": the whole distilled network with memory, compared to SAM2-L's image encoder.

    Compared like with like, the whole network is 94.39 % smaller and the encoder 246 times. Most of the rest
    is the mask decoder, which distillation does not change.
    """
    mini, large = parts("mini"), parts("l")
    path, sam2_path = mini.adapted_encoder + mini.decoder, large.encoder + large.decoder
    return [
        _reduction("whole student beside SAM2-L's image encoder", mini.whole, large.encoder, published=True),
        _reduction("whole student beside whole SAM2-L", mini.whole, large.sam2),
        _reduction("student's image encoder beside SAM2-L's", mini.adapted_encoder, large.encoder),
        _reduction("image path beside image path, without video memory", path, sam2_path),
    ]


def _share(name: str, part: int, whole: int, *, published: bool = False) -> Share:
    return Share(name, part, whole, 100 * part / whole, published)


def _reduction(name: str, part: int, whole: int, *, published: bool = False) -> Share:
    return Share(name, part, whole, 100 * (1 - part / whole), published)
