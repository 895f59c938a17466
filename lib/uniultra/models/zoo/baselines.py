"""What the others are measured against: networks without prompts, trained on the same labels."""

from __future__ import annotations

from uniultra.errors import ModelError
from uniultra.models.registry import ModelEntry, register
from uniultra.networks.unet import UNet


def build_unet(image_size: int, *, map_channels: int = 1) -> UNet:
    """The U-Net at a side.

    Raises:
        ModelError: see `UNet`, or drawn prompts, which it cannot take.
    """
    if map_channels != 1:
        raise ModelError("The model unet takes no prompts; take `drawn_prompts` out of the recipe.")
    return UNet(image_size)


register(
    ModelEntry(
        name="unet",
        system="baseline",
        description="U-Net of the cost of uniultra_mini at 256 px, without prompts",
        builder=build_unet,
        image_size=256,
        prompts=(),
        licence="of the weights you train",
        source="trained by the user, training/unet.yaml",
    )
)
