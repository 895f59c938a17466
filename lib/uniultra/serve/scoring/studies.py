"""The campaign as the background scorer sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from uniultra.active.score_store import ScoreStore
from uniultra.adapt.pictures import Labelled
from uniultra.adapt.training_labels import read_labels
from uniultra.images.types import UltrasoundImage
from uniultra.predict import Predictor
from uniultra.serve.scoring.background import BackgroundScores
from uniultra.serve.scoring.rankings import Rankings
from uniultra.serve.tasks.image_cache import OpenImages
from uniultra.store.datastore import StudiesDatastore
from uniultra.store.types import Unit

FOLDER = "scores"  # within the store's private folder


class ScoredStudies:
    """Units, files and labels of one datastore."""

    def __init__(self, datastore: StudiesDatastore, images: OpenImages) -> None:
        self._datastore, self._images = datastore, images

    def units(self) -> Sequence[Unit]:
        waiting = self._datastore.store.unlabelled()
        first = set(waiting)
        return [*waiting, *(unit for unit in self._datastore.store.units() if unit not in first)]

    def file(self, image: str) -> Path:
        return Path(self._datastore.get_image_uri(image))

    def open(self, image: str) -> UltrasoundImage:
        return self._images.open(self.file(image))

    def finished(self) -> set[Unit]:
        """The frames with a final label; asks the index only."""
        return self._datastore.store.finished()

    def labels(self) -> int:
        return len(self.finished())

    def labelled(self, most: int) -> Sequence[Labelled]:
        store = self._datastore.store
        return read_labels(store.studies, store.trainable(), most).labelled


def background_of(
    datastore: StudiesDatastore, images: OpenImages, predictor: Callable[[], Predictor], batch: int
) -> tuple[Rankings, BackgroundScores]:
    """The rankings of a server, and the scorer that begins at the first question.

    Args:
        datastore, images: of the server.
        predictor: of the model whose answers are scored.
        batch: new labels after which a training begins.
    """
    studies = ScoredStudies(datastore, images)
    scores = ScoreStore(datastore.store.private / FOLDER)
    background = BackgroundScores(studies, predictor, scores)
    rankings = Rankings(scores, background.scored, studies.finished, batch=batch, asked=background.start)
    return rankings, background
