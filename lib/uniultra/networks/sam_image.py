"""SAM's image path: any encoder with output `(B,256,g,g)`, with SAM's prompt encoder and mask decoder.

SAM2's decoder without SAM2's additions is SAM's. Official tensors keep their names under
`sam_prompt_encoder` (SAM: `prompt_encoder`) and `sam_mask_decoder` (SAM: `mask_decoder`), except the two
MLPs of the transformer: `mlp.layers.0` and `mlp.layers.1` here, `mlp.lin1` and `mlp.lin2` there.
"""

from __future__ import annotations

from torch import Tensor, nn

from uniultra.networks.network import Embedding, PromptNetwork
from uniultra.networks.sam_vit import VIT_B, SamVit, VitSize


class SamImage(PromptNetwork):
    """SAM: `encode` pictures once, `decode` any number of prompts on them.

    Args:
        image_encoder: maps pictures `(B,3,s,s)` to `(B,256,g,g)`.
        image_size: side s of the square input in pixels.
        grid: side g of the embedding in tokens.
        map_channels: input channels of the dense prompt path, see `PromptNetwork`.
    """

    def __init__(self, image_encoder: nn.Module, image_size: int, grid: int, map_channels: int = 1) -> None:
        super().__init__(image_encoder, image_size, grid, map_channels, sam2=False)

    def encode(self, pictures: Tensor) -> Embedding:
        """Encode normalised pictures `(B,3,s,s)`."""
        return Embedding(self.image_encoder(pictures))


def build_sam(
    image_size: int, *, size: VitSize = VIT_B, overlapped: bool = False, map_channels: int = 1
) -> SamImage:
    """Build SAM on its own ViT for inputs of side `image_size`.

    Raises:
        ModelError: the patches do not tile this side.
    """
    encoder = SamVit(image_size, size, overlapped=overlapped)
    return SamImage(encoder, image_size, encoder.grid, map_channels)
