"""AutoSAMUS (MICCAI 2024, arXiv 2309.06824): SAMUS with a generator of its own prompts, one a task.

The same generator on UniUltra's networks. None takes prompts, each segments what it was trained for, and
those on one base share its weights and its embeddings.
"""

from __future__ import annotations

from uniultra.models.registry import ModelEntry, register
from uniultra.networks.sam2_image import LABELS

register(
    ModelEntry(
        name="autosamus",
        system="autosamus",
        description="AutoSAMUS at 256 px: SAMUS with its auto-prompt generator, without prompts",
        base="samus",
        adapter="apg",
        image_size=256,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        grey=True,
        prompts=(),
        licence="MIT (SAMUS); of the generator: yours",
        source="trained by the user on SAMUS, training/autosamus.yaml; the authors published no weights",
    )
)

for _size, _label in LABELS.items():
    _mini = _size == "mini"
    register(
        ModelEntry(
            name=f"autosamus_{_size}",
            system="autosamus",
            description=f"AutoSAMUS on UniUltra {_label} at {256 if _mini else 1024} px, without prompts",
            base=f"uniultra_{_size}",
            adapter="apg",
            image_size=256 if _mini else 1024,
            prompts=(),
            licence="of the weights you train",
            source=f"trained by the user on uniultra_{_size}, training/autosamus.yaml",
        )
    )
