"""UniUltra as a MONAI Label app: wiring only, the work is in the `uniultra` library."""

from __future__ import annotations

from monailabel.interfaces.app import MONAILabelApp

import uniultra
from uniultra.serve.app import UniUltraParts


class UniUltraApp(UniUltraParts, MONAILabelApp):
    """Settings -> studies store, prompt tasks, strategies. MONAI Label starts this class."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        settings = self.prepare(conf)
        super().__init__(
            app_dir,
            studies,
            conf,
            name="UniUltra",
            description="Prompt-driven ultrasound segmentation with adapted SAM2",
            version=uniultra.__version__,
            labels=list(settings.labels),
        )
