"""The MONAI Label task of a model that a campaign can train."""

from __future__ import annotations

from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask

from uniultra.models import registry
from uniultra.serve.tasks.train_jobs import OPTIONS, Trainings, fit_settings
from uniultra.serve.tasks.train_records import stats


class AdaptTask(TrainTask):
    """Fine-tunes a promptable model on the campaign's labels.

    Args:
        name: of the model.
        trainings: where its jobs run.
    """

    def __init__(self, name: str, trainings: Trainings) -> None:
        super().__init__(f"Adapt to this campaign's labels: {registry.entry(name).description}")
        self.name, self.trainings = name, trainings

    def config(self) -> dict[str, Any]:
        """What a client may change."""
        plain = fit_settings(self.name, {})
        return {key: getattr(plain, key) for key in OPTIONS}

    def stats(self) -> dict[str, Any]:
        """How far the newest training is."""
        return stats(self.trainings.last(self.name))

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train to the end; the record.

        Raises:
            BusyError: another training is running.
            RequestError: options that cannot be used, or no label to train on.
        """
        return self.trainings.finished(self.trainings.start(self.name, request))


def trainable(name: str) -> bool:
    """Whether a model is trained on a campaign's labels: those that answer prompts."""
    return bool(registry.entry(name).prompts)
