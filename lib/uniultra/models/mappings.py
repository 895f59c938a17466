"""Published checkpoints by our tensor names: renaming rules for each published layout.

Values are copied unchanged. Our networks have SAM2's names for the prompt encoder and the mask decoder, and
timm's for SAM's ViT and TinyViT.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from uniultra.errors import ModelError

Rules = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CheckpointLayout:
    """Maps the tensor names of a published checkpoint to ours.

    Calling it with the tensors by their published names returns them by ours, without unused ones.

    Attributes:
        title: the layout's name in error messages.
        rules: pairs of a regular expression for the full published name and the template of our name; the
            first match counts.
        unused: regular expressions of published names that are dropped.
        settings: adapter settings that these weights were trained with, if not the defaults.
    """

    title: str
    rules: Rules
    unused: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename the tensors.

        Raises:
            ModelError: a name is not in this layout, or two names map to the same one.
        """
        renamed, unknown = {}, []
        for name, tensor in tensors.items():
            ours = self.rename(name)
            if ours is not None:
                renamed[ours] = tensor
            elif not self._unused(name):
                unknown.append(name)
        if unknown or not renamed:
            raise ModelError(
                f"Expected the tensors of {self.title}; {len(unknown)} of {len(tensors)} are unknown "
                f"({', '.join(unknown[:3])}). Choose the model that this file was made for."
            )
        if len(renamed) + len(self.dropped(tensors)) != len(tensors):
            raise ModelError(
                f"Expected each tensor of {self.title} once; got one twice. The file is damaged."
            )
        return renamed

    def rename(self, name: str) -> str | None:
        """Our name of a published tensor; None if it has none."""
        for pattern, ours in self.rules:
            if match := re.fullmatch(pattern, name):
                return match.expand(ours)
        return None

    def dropped(self, names: Mapping[str, Tensor]) -> tuple[str, ...]:
        """The published names that are dropped, in order."""
        return tuple(name for name in names if self.rename(name) is None and self._unused(name))

    def _unused(self, name: str) -> bool:
        return any(re.fullmatch(pattern, name) for pattern in self.unused)


# SAM's own decoder calls the two layers of its MLPs lin1 and lin2, SAM2's layers.0 and layers.1.
_MLP = r"mask_decoder\.(transformer\.layers\.\d+\.mlp)"
_PROMPTS: Rules = (
    (r"prompt_encoder\.(.+)", r"sam_prompt_encoder.\1"),
    (_MLP + r"\.lin1\.(weight|bias)", r"sam_mask_decoder.\1.layers.0.\2"),
    (_MLP + r"\.lin2\.(weight|bias)", r"sam_mask_decoder.\1.layers.1.\2"),
    (r"mask_decoder\.(.+)", r"sam_mask_decoder.\1"),
)
# Normalisation constants that some releases save; ours are in the registry.
_PIXELS = (r"pixel_(mean|std)",)

SAM2 = CheckpointLayout(
    "SAM2.1",
    (
        (r"(image_encoder|sam_prompt_encoder|sam_mask_decoder)\.(.+)", r"\1.\2"),
        (r"no_mem_embed", "no_mem_embed"),
    ),
    # The video memory.
    (
        r"(memory_attention|memory_encoder|mask_downsample|obj_ptr_proj|obj_ptr_tpos_proj)\..+",
        r"maskmem_tpos_enc|no_mem_pos_enc|no_obj_ptr|no_obj_embed_spatial",
    ),
)

_VIT: Rules = (
    (r"image_encoder\.(pos_embed|(?:patch_embed|neck)\..+)", r"image_encoder.\1"),
    (r"image_encoder\.(blocks\.\d+\.(?:norm1|norm2|attn)\..+)", r"image_encoder.\1"),
    (r"image_encoder\.(blocks\.\d+\.mlp)\.lin([12])\.(weight|bias)", r"image_encoder.\1.fc\2.\3"),
)
SAM_VIT = CheckpointLayout("SAM ViT-B", (*_VIT, *_PROMPTS), _PIXELS)

_WB = r"(weight|bias)"
SAM_MED2D = CheckpointLayout(
    "SAM-Med2D",
    (
        *_VIT,
        (r"image_encoder\.blocks\.(\d+)\.Adapter\.(.+)", r"image_encoder.med2d.layers.\1.\2"),
        *_PROMPTS,
    ),
    _PIXELS,
)

# In SAMUS's releases the added modules are children of the global blocks; ours are numbered from 0.
_GLOBAL: Rules = tuple(
    (rf"image_encoder\.blocks\.{block}\.{theirs}", rf"image_encoder.samus.{ours}")
    for i, block in enumerate((2, 5, 8, 11))
    for theirs, ours in (
        (rf"MLP_Adapter\.D_fc1\.{_WB}", rf"parallel.{i}.down.\1"),
        (rf"MLP_Adapter\.D_fc2\.{_WB}", rf"parallel.{i}.up.\1"),
        (rf"Space_Adapter\.([qkv])\.{_WB}", rf"cross.{i}.\1.\2"),
        (rf"Space_Adapter\.proj\.{_WB}", rf"cross.{i}.out.\1"),
        (r"refine_Adapter\.conv\.0\.weight", rf"refine.{i}.conv.weight"),
        (rf"refine_Adapter\.conv\.1\.{_WB}", rf"refine.{i}.norm.\1"),
    )
)
# Its CNN is one convolution at full resolution (inc) and one after each of three pools (downs).
_STEM: Rules = tuple(
    (rf"image_encoder\.cnn_embed\.{theirs}", rf"image_encoder.samus.stem.layers.{level}.{ours}")
    for level, (conv, norm) in enumerate(
        (
            (r"inc\.conv\.0", r"inc\.conv\.1"),
            *((rf"downs\.{i}\.maxpool_conv\.1", rf"downs\.{i}\.maxpool_conv\.2") for i in range(3)),
        )
    )
    for theirs, ours in ((rf"{conv}\.weight", "conv.weight"), (rf"{norm}\.{_WB}", r"norm.\1"))
)
SAMUS = CheckpointLayout(
    "SAMUS",
    (
        *_VIT,
        *_GLOBAL,
        *_STEM,
        (rf"image_encoder\.input_Adapter\.D_fc1\.{_WB}", r"image_encoder.samus.input.down.\1"),
        (rf"image_encoder\.input_Adapter\.D_fc2\.{_WB}", r"image_encoder.samus.input.up.\1"),
        (
            r"image_encoder\.post_pos_embed\.downs\.0\.maxpool_conv\.1\.weight",
            "image_encoder.samus.position.conv.weight",
        ),
        (
            rf"image_encoder\.post_pos_embed\.downs\.0\.maxpool_conv\.2\.{_WB}",
            r"image_encoder.samus.position.norm.\1",
        ),
        *_PROMPTS,
    ),
    _PIXELS,
    # The published forward, see `uniultra.adapters.samus`.
    {"start": "paper"},
)

# MobileSAM calls a convolution and its batch norm `c` and `bn`. Its downsampling is at the end of a stage,
# timm's at the start of the next.
_CONVOLUTIONS: Rules = (
    (r"patch_embed\.seq\.0", "patch_embed.conv1"),
    (r"patch_embed\.seq\.2", "patch_embed.conv2"),
    *((rf"layers\.{i}\.downsample\.(conv[123])", rf"stages.{i + 1}.downsample.\1") for i in range(3)),
    (r"layers\.(\d)\.(blocks\.\d+\.(?:conv[123]|local_conv))", r"stages.\1.\2"),
)
_TINY_VIT: Rules = (
    *(
        (rf"image_encoder\.{theirs}\.{part}\.(?P<rest>{names})", rf"image_encoder.{ours}.{our_part}.\g<rest>")
        for theirs, ours in _CONVOLUTIONS
        for part, names, our_part in (("c", "weight", "conv"), ("bn", r"\w+", "bn"))
    ),
    (
        r"image_encoder\.layers\.(\d)\.(blocks\.\d+\.(?:attn|mlp)\."
        r"(?:(?:norm|qkv|proj|fc1|fc2)\.\w+|attention_biases))",
        r"image_encoder.stages.\1.\2",
    ),
    (r"image_encoder\.(neck\..+)", r"image_encoder.\1"),
)
MOBILE_SAM = CheckpointLayout(
    "MobileSAM",
    (*_TINY_VIT, *_PROMPTS),
    (
        *_PIXELS,
        r"image_encoder\.(norm_head|head)\.(weight|bias)",  # head of the classifier it was trained from
        r"image_encoder\.layers\.\d\.blocks\.\d+\.attn\.attention_bias_idxs",  # computed from the window size
    ),
)
