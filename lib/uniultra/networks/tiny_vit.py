"""MobileSAM's TinyViT-5M image encoder on `timm`, and the same trunk under SAM2's decoder.

Tensor names of the trunk are timm's (`patch_embed`, `stages`). The stages of widths 64, 128, 160, 320 are
at 1/4, 1/8, 1/16 and 1/16 of the input: the last one does not downsample.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from uniultra.networks.network import WIDTH

WIDTHS = (64, 128, 160, 320)
STRIDE = 16


class TinyVitTrunk(nn.Module):
    """TinyViT-5M without its class head: pictures `(B,3,s,s)` to the outputs of its four stages."""

    def __init__(self) -> None:
        from timm.models.tiny_vit import TinyVit

        super().__init__()
        vit = TinyVit(
            num_classes=0,
            embed_dims=WIDTHS,
            depths=(2, 2, 6, 2),
            num_heads=(2, 4, 5, 10),
            window_sizes=(7, 7, 14, 7),
            drop_path_rate=0.0,
        )
        self.patch_embed = vit.patch_embed
        self.stages = vit.stages
        last: Any = self.stages[-1]
        last.downsample.conv2.conv.stride = (1, 1)

    def features(self, pictures: Tensor) -> list[Tensor]:
        """`(B,64,s/4,s/4)`, `(B,128,s/8,s/8)`, `(B,160,s/16,s/16)`, `(B,320,s/16,s/16)`."""
        self._forget_biases()
        features = [self.patch_embed(pictures)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        self._forget_biases()
        return features[1:]

    def blocks(self) -> list[list[nn.Module]]:
        """The blocks of each stage; those of the first stage are convolutional."""
        return [list(stage.get_submodule("blocks").children()) for stage in self.stages]

    def _forget_biases(self) -> None:
        # timm caches the gathered attention biases in eval mode. New weights would be ignored, and biases
        # cached under no_grad or inference_mode cannot be trained with.
        for module in self.stages.modules():
            if hasattr(module, "attention_bias_cache"):
                module.attention_bias_cache = {}


class TinyVitEncoder(TinyVitTrunk):
    """MobileSAM's image encoder: `(B,3,s,s)` to `(B,256,s/16,s/16)`."""

    def __init__(self) -> None:
        from timm.layers import LayerNorm2d

        super().__init__()
        self.neck = nn.Sequential(
            nn.Conv2d(WIDTHS[-1], WIDTH, 1, bias=False),
            LayerNorm2d(WIDTH, eps=1e-6),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False),
            LayerNorm2d(WIDTH, eps=1e-6),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        return self.neck(self.features(pictures)[-1])


class TinyVitPyramid(TinyVitTrunk):
    """The trunk as SAM2's image encoder: three levels of 256 channels at 1/4, 1/8 and 1/16.

    Each stage's output goes through a 1x1 convolution; those of the last two stages, which have the same
    size, are summed. SAM2's decoder then fits unchanged, and its encoder can be the teacher.
    """

    def __init__(self) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(width, WIDTH, 1) for width in WIDTHS)

    def forward(self, pictures: Tensor) -> dict[str, list[Tensor]]:
        high0, high1, third, last = (
            lateral(f) for lateral, f in zip(self.laterals, self.features(pictures), strict=True)
        )
        return {"backbone_fpn": [high0, high1, third + last]}
