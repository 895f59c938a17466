"""Copies a teacher's prompt encoder and mask decoder into its distilled student."""

from __future__ import annotations

import torch
from torch import Tensor

from uniultra.errors import ModelError
from uniultra.networks.network import MASK_LOGIT, PromptNetwork

# Everything behind the image encoder; SAM2's decoder holds `conv_s0` and `conv_s1`.
PARTS = ("sam_prompt_encoder.", "sam_mask_decoder.", "no_mem_embed")
FIRST = "sam_prompt_encoder.mask_downscaling.0.weight"
LAST = "sam_prompt_encoder.mask_downscaling.6.bias"


@torch.no_grad()
def take_decoder(student: PromptNetwork, teacher: PromptNetwork) -> None:
    """Copy all of the teacher but its image encoder into the student.

    Where the teacher's dense path takes previous logits only and the student's drawn prompts too, it is
    widened, see `_widened`.

    Raises:
        ModelError: the two have different decoders; the text names the first tensors that differ.
    """
    theirs, ours = (
        {name: value for name, value in network.state_dict().items() if name.startswith(PARTS)}
        for network in (teacher, student)
    )
    if teacher.map_channels == 1 and student.map_channels > 1:
        theirs |= _widened(teacher, student.map_channels)
    wrong = sorted(
        name
        for name in ours.keys() | theirs.keys()
        if name not in ours or name not in theirs or ours[name].shape != theirs[name].shape
    )
    if wrong:
        raise ModelError(
            f"The student cannot take this teacher's decoder: {len(wrong)} tensors differ "
            f"({', '.join(wrong[:3])}). Choose two models of one family (SAM or SAM2)."
        )
    student.load_state_dict(theirs, strict=False)


def _widened(teacher: PromptNetwork, channels: int) -> dict[str, Tensor]:
    """First weight and last bias of a dense path for logits, widened to `channels` drawn prompts.

    The mask channel (-1, 0, 1) takes the place of the logits; the weights of the drawn channels start at
    zero. Without a mask the path gives exactly the teacher's `no_mask_embed`, so on the same features the
    student's first outputs are the teacher's; with a mask it is off by a constant, which fine-tuning
    removes.
    """
    encoder = teacher.sam_prompt_encoder
    weight = teacher.state_dict()[FIRST]
    wide = weight.new_zeros(weight.shape[0], channels, *weight.shape[2:])
    wide[:, 0] = MASK_LOGIT * weight[:, 0]
    nothing = encoder.mask_downscaling(weight.new_zeros(1, 1, 4, 4))[0, :, 0, 0]
    bias = teacher.state_dict()[LAST] + encoder.no_mask_embed.weight[0] - nothing
    return {FIRST: wide, LAST: bias}
