"""The percentages that the UniUltra paper (arXiv 2511.15771) publishes, counted again from networks.

They are counted on whole SAM2 networks, video memory included, which the `sam2` package describes and
which are built here without memory or weights. The paper speaks of SAM 2.0 and counts the adapters' fixed
Sobel kernels as parameters, 576 numbers in each block; we do not train or count them elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from uniultra.models.counting import sizes_of
from uniultra.models.factory import build

RELEASED_KERNELS = 576  # 4 kernels of 3 x 3 for r x r = 16 pairs of channels
BLOCKS = {"mini": 12, "l": 48}
CONFIG = "configs/sam2/sam2_hiera_l.yaml"


@dataclass(frozen=True)
class Parts:
    """Parameters of one UniUltra network as published.

    Attributes:
        encoder: SAM2's image encoder, without adapters.
        adapter: the CH-Adapters.
        kernels: fixed numbers of the adapters that the release counts as parameters.
        decoder: prompt encoder, mask decoder and the embedding that stands for an empty memory.
        memory: what only video needs: memory attention, memory encoder, object pointers.
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
        """Everything that is not the image encoder."""
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
    """A published or an honest percentage: `part` of `whole`, or how much smaller `part` is.

    Attributes:
        name: what is compared.
        part, whole: numbers of parameters.
        percent: the result.
        published: whether it is the paper's number; the others stand beside it for honesty.
    """

    name: str
    part: int
    whole: int
    percent: float
    published: bool = False


@cache
def parts(size: str) -> Parts:
    """The parts of UniUltra on Hiera `size`: `mini` the student, `l` the teacher."""
    network, official = sizes_of(lambda: build(f"uniultra_{size}", 1024)), sizes_of(_sam2)
    adapter = sum(n for name, n in network.items() if ".ch_adapters." in name)
    encoder = sum(n for name, n in network.items() if name.startswith("image_encoder.")) - adapter
    behind = ("sam_prompt_encoder.", "sam_mask_decoder.", "no_mem_embed")
    # Of the official network, because its prompt encoder takes logits, whichever ours was built with.
    decoder = sum(n for name, n in official.items() if name.startswith(behind))
    memory = sum(n for name, n in official.items() if not name.startswith((*behind, "image_encoder.")))
    return Parts(encoder, adapter, RELEASED_KERNELS * BLOCKS[size], decoder, memory)


def _sam2() -> Any:
    """SAM 2.0 on Hiera-L with its video memory, as the package's own settings describe it."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    with (files("sam2") / CONFIG).open(encoding="utf-8") as stream:
        settings: Any = OmegaConf.load(stream)
    return instantiate(settings.model, _recursive_=True)


def trained_shares() -> list[Share]:
    """ "8.91 % trained": adapters and all that stands outside the image encoder, of UniUltra-L.

    Training on stills gives no gradient to the video memory, so less is really trained; the adapters
    alone are less still.
    """
    large = parts("l")
    stills = large.encoder + large.adapter + large.decoder
    return [
        _part(
            "adapters and everything outside the image encoder",
            large.adapter + large.outside,
            large.whole,
            True,
        ),
        _part(
            "adapters, prompt encoder and mask decoder, without video memory",
            large.adapter + large.decoder,
            stills,
        ),
        _part("adapters alone", large.adapter, large.whole),
    ]


def smaller_shares() -> list[Share]:
    """ "94.08 % smaller": the whole distilled network, memory included, beside SAM2-L's image encoder alone.

    Like beside like, the whole shrinks by less than half a per cent more, the encoder to a 246th. What is
    left is mostly the mask decoder, which distillation does not touch.
    """
    mini, large = parts("mini"), parts("l")
    path = mini.adapted_encoder + mini.decoder
    return [
        _less("whole student beside SAM2-L's image encoder", mini.whole, large.encoder, True),
        _less("whole student beside whole SAM2-L", mini.whole, large.sam2),
        _less("student's image encoder beside SAM2-L's", mini.adapted_encoder, large.encoder),
        _less("image path beside image path, without video memory", path, large.encoder + large.decoder),
    ]


def _part(name: str, part: int, whole: int, published: bool = False) -> Share:
    return Share(name, part, whole, 100 * part / whole, published)


def _less(name: str, part: int, whole: int, published: bool = False) -> Share:
    return Share(name, part, whole, 100 * (1 - part / whole), published)
