"""A plain U-Net at the cost of `uniultra_mini`: the baseline without prompts, trained on the same labels.

MONAI's DynUNet (nnU-Net's network, Isensee et al. 2021, DOI 10.1038/s41592-020-01008-z) from 1/2 to 1/32 of
the input side. Its widths are chosen so that a picture costs as many multiplications as a picture and a
prompt cost the mini (`tests/networks/test_unet.py` counts both). It shares no module with SAM.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uniultra.errors import ModelError
from uniultra.networks.network import WIDTH, Embedding, PromptFreeNetwork

FILTERS = (14, 28, 56, 112, WIDTH)
STRIDE = 2 ** len(FILTERS)  # of the deepest level
SMALLEST = 2 * STRIDE  # instance norm needs more than one pixel at the deepest level


class Contracting(nn.Module):
    """The contracting path: pictures `(B,3,S,S)` to the features of every level, sides S/2 to S/32."""

    def __init__(self, levels: list[nn.Module]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(levels)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        features = [pictures]
        for level in self.levels:
            features.append(level(features[-1]))
        return features[1:]


class Expanding(nn.Module):
    """The expanding path with skip connections: features of every level to logits `(B,1,S/2,S/2)`."""

    def __init__(self, levels: list[nn.Module], last: nn.Module) -> None:
        super().__init__()
        self.levels = nn.ModuleList(levels)
        self.last = last

    def forward(self, features: Tensor, skips: tuple[Tensor, ...]) -> Tensor:
        for level, skip in zip(self.levels, reversed(skips), strict=True):
            features = level(features, skip)
        return self.last(features)


class UNet(PromptFreeNetwork):
    """A U-Net with the interface of promptable networks: `encode` contracts, `segment` expands.

    `Embedding.image` is the deepest level `(B,256,S/32,S/32)`, `high` the others, finest first.

    Args:
        image_size: side S of the square input in pixels.

    Raises:
        ModelError: `image_size` is not a multiple of 32, or less than 64.
    """

    def __init__(self, image_size: int) -> None:
        from monai.networks.nets import DynUNet

        if image_size < SMALLEST or image_size % STRIDE:
            raise ModelError(
                f"The input side must be a multiple of {STRIDE}, {SMALLEST} at least; got {image_size}."
            )
        super().__init__(image_size, image_size // STRIDE)
        depth = len(FILTERS)
        whole = DynUNet(2, 3, 1, [3] * depth, [2] * depth, [2] * (depth - 1), filters=FILTERS)
        self.image_encoder = Contracting([whole.input_block, *whole.downsamples, whole.bottleneck])
        self.mask_decoder = Expanding(list(whole.upsamples), whole.output_block)

    @property
    def mask_side(self) -> int:
        """Side of the logits."""
        return self.image_size // 2

    def encode(self, pictures: Tensor) -> Embedding:
        """Features of normalised pictures `(B,3,S,S)`."""
        *skips, deepest = self.image_encoder(pictures)
        return Embedding(deepest, tuple(skips))

    def segment(self, embedding: Embedding, multimask: bool) -> tuple[Tensor, Tensor]:
        """Logits `(B,M,S/2,S/2)` and expected IoU `(B,M)`; with `multimask` M = 3 equal masks, else 1."""
        logits = self.mask_decoder(embedding.image, embedding.high)
        count = 3 if multimask else 1
        return logits.expand(-1, count, -1, -1), expected_iou(logits).expand(-1, count)


def expected_iou(logits: Tensor) -> Tensor:
    """Expected IoU `(B,1)` of the masks of logits `(B,1,h,w)`, if their probabilities p are calibrated.

    Expected intersection over expected union of the mask m = [p > 0.5]:

        sum(p m) / sum(m + p (1 - m))

    It is computed, not trained, and has no gradient.
    """
    probability = logits.detach().float().sigmoid()
    chosen = (probability > 0.5).float()
    both = (probability * chosen).flatten(1).sum(1, keepdim=True)
    union = (chosen + probability * (1 - chosen)).flatten(1).sum(1, keepdim=True)
    return both / union.clamp_min(torch.finfo(torch.float32).tiny)
