"""Baselines without prompts, trained on the same labels."""

from __future__ import annotations

from uniultra.errors import ModelError
from uniultra.models.registry import ModelEntry
from uniultra.networks.unet import UNet


def build_unet(image_size: int, *, map_channels: int = 1) -> UNet:
    """Build the U-Net.

    Raises:
        ModelError: see `UNet`, or drawn prompts, which it does not support.
    """
    if map_channels != 1:
        raise ModelError("The model unet takes no prompts; remove `drawn_prompts` from the recipe.")
    return UNet(image_size)


MODELS = [
    ModelEntry(
        name="unet",
        system="baseline",
        description="U-Net of the cost of uniultra_mini at 256 px, without prompts",
        builder=build_unet,
        image_size=256,
        prompts=(),
        licence="of the weights you train",
        source="trained by the user, training/unet.yaml",
    ),
]
