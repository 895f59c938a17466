"""AutoSAMUS (MICCAI 2024, arXiv 2309.06824): SAMUS with an automatic prompt generator, one per task.

The same generator is also on UniUltra's networks. All are fully automatic, each segments what it was trained
for, and those on one base share its weights and embeddings.
"""

from __future__ import annotations

from uniultra.models.registry import ModelEntry
from uniultra.networks.sam2_image import LABELS, SIDES

MODELS = [
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
    ),
    *(
        ModelEntry(
            name=f"autosamus_{size}",
            system="autosamus",
            description=f"AutoSAMUS on UniUltra {LABELS[size]} at {side} px, without prompts",
            base=f"uniultra_{size}",
            adapter="apg",
            image_size=side,
            prompts=(),
            licence="of the weights you train",
            source=f"trained by the user on uniultra_{size}, training/autosamus.yaml",
        )
        for size, side in SIDES.items()
    ),
]
