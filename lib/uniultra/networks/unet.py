"""A plain U-Net at the cost of `uniultra_mini`: what the same labels give without any prompt.

MONAI's DynUNet (nnU-Net's network, Isensee et al. 2021, DOI 10.1038/s41592-020-01008-z) from half the
input's side down to a 32nd of it; the widths make a picture cost what the mini spends on a picture and a
prompt (`tests/networks/test_unet.py` counts both). None of SAM's parts is in it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uniultra.errors import ModelError
from uniultra.networks.network import WIDTH, Embedding, PromptFreeNetwork

FILTERS = (14, 28, 56, 112, WIDTH)
STRIDE = 2 ** len(FILTERS)  # of the deepest level
SMALLEST = 2 * STRIDE  # its instance norm needs more than one place


class Contracting(nn.Module):
    """The way down: pictures `(B,3,S,S)` to features of every level, sides S/2 to S/32."""

    def __init__(self, levels: list[nn.Module]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(levels)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        found = [pictures]
        for level in self.levels:
            found.append(level(found[-1]))
        return found[1:]


class Expanding(nn.Module):
    """The way up, with the features of every level: one map of logits `(B,1,S/2,S/2)`."""

    def __init__(self, levels: list[nn.Module], last: nn.Module) -> None:
        super().__init__()
        self.levels = nn.ModuleList(levels)
        self.last = last

    def forward(self, deepest: Tensor, others: tuple[Tensor, ...]) -> Tensor:
        for level, beside in zip(self.levels, reversed(others), strict=True):
            deepest = level(deepest, beside)
        logits: Tensor = self.last(deepest)
        return logits


class UNet(PromptFreeNetwork):
    """A U-Net behind the interface of promptable networks: `encode` goes down, `segment` goes up.

    `Embedding.image` is the deepest level `(B,256,S/32,S/32)`, `high` the others, the finest first.

    Args:
        image_size: side S of the square input.

    Raises:
        ModelError: a side that is no multiple of 32, or less than 64.
    """

    def __init__(self, image_size: int) -> None:
        from monai.networks.nets import DynUNet

        if image_size < SMALLEST or image_size % STRIDE:
            raise ModelError(
                f"The input side must be a multiple of {STRIDE}, {SMALLEST} at least; got {image_size}."
            )
        super().__init__(image_size, image_size // STRIDE)
        depth = len(FILTERS)
        made = DynUNet(2, 3, 1, [3] * depth, [2] * depth, [2] * (depth - 1), filters=FILTERS)
        self.image_encoder = Contracting([made.input_block, *made.downsamples, made.bottleneck])
        self.mask_decoder = Expanding(list(made.upsamples), made.output_block)

    @property
    def mask_side(self) -> int:
        """Side of the logits."""
        return self.image_size // 2

    def encode(self, pictures: Tensor) -> Embedding:
        """Features of normalised pictures `(B,3,S,S)`."""
        *others, deepest = self.image_encoder(pictures)
        return Embedding(deepest, tuple(others))

    def segment(self, embedding: Embedding, multimask: bool) -> tuple[Tensor, Tensor]:
        """Logits `(B,M,S/2,S/2)` and expected IoU `(B,M)`; with `multimask` M = 3, all the same, else 1."""
        logits = self.mask_decoder(embedding.image, embedding.high)
        count = 3 if multimask else 1
        return logits.expand(-1, count, -1, -1), expected_iou(logits).expand(-1, count)


def expected_iou(logits: Tensor) -> Tensor:
    """The IoU, `(B,1)`, that masks of logits `(B,1,h,w)` have if their probabilities are right.

    The expected intersection over the expected union, of the pixels that are more likely than not. It is
    read off, not trained, and has no gradient.
    """
    probability = logits.detach().float().sigmoid()
    chosen = (probability > 0.5).float()
    both = (probability * chosen).flatten(1).sum(1, keepdim=True)
    union = (chosen + probability * (1 - chosen)).flatten(1).sum(1, keepdim=True)
    return both / union.clamp_min(torch.finfo(torch.float32).tiny)
