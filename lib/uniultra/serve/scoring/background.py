"""Scores every unit of the studies folder for the query strategies, while no one clicks.

One thread asks the network piece by piece on the device's worker: a picture to encode, or a few clicks.
Before each piece it waits until people have been quiet for a moment, and after it as long as the piece
took, so that a click meets at most one piece. What is scored is on the disk: a restart goes on where it
was, and what another adapter (or another knowledge of the structure) has scored is known to be stale.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from uniultra.active.prototypes import prototypes
from uniultra.active.score_store import Scored, ScoreStore
from uniultra.active.scoring import score_unit
from uniultra.active.self_prompt import Prober, Run
from uniultra.adapt.pictures import Labelled
from uniultra.errors import ImageError, UniUltraError
from uniultra.images.types import AxisKind, Plane, UltrasoundImage
from uniultra.models.registry import ModelEntry
from uniultra.predict.device import worker
from uniultra.predict.embedding_cache import EmbeddingCache, Key
from uniultra.predict.shared_networks import Loaded
from uniultra.serve.tasks.cancellation import StoppedError
from uniultra.store.errors import NotFoundError
from uniultra.store.types import Unit

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
QUIET_S = 1.0  # without a click before a piece runs
PATIENCE_S = 5.0  # after which one piece runs all the same
REST_S = 1.0  # at most, after a piece
LOOK_S = 10.0  # between two looks for new images, labels, adapters
LEARNT = 40  # labelled pictures that a prototype is made from, at most
STAGES = (1, 5, 10, 20, 40)  # numbers of labels at which the prototypes, and so the scores, are made anew


class Studies(Protocol):
    """What the scorer asks the campaign."""

    def units(self) -> Sequence[Unit]:
        """All units, those first that are to be labelled."""
        ...

    def file(self, image: str) -> Path:
        """The file of an image; NotFoundError when it is gone."""
        ...

    def open(self, image: str) -> UltrasoundImage:
        """The image; ImageError or NotFoundError when it cannot be read."""
        ...

    def labels(self) -> int:
        """How many labels may be learnt from."""
        ...

    def labelled(self, most: int) -> Sequence[Labelled]:
        """At most so many labelled pictures."""
        ...


class Answering(Protocol):
    """The part of `uniultra.predict.Predictor` that is asked."""

    entry: ModelEntry
    cache: EmbeddingCache
    device: torch.device

    def loaded(self) -> Loaded: ...


class BackgroundScores:
    """The scorer of one server.

    Args:
        studies: the campaign.
        predictor: whose answers are scored.
        scores: where they are kept.
    """

    def __init__(self, studies: Studies, predictor: Callable[[], Answering], scores: ScoreStore) -> None:
        self._studies, self._predictor, self._scores = studies, predictor, scores
        self._contents: dict[str, str] = {}
        self._unreadable: set[object] = set()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, if it has not begun or came to grief; a look that is due is taken at once."""
        with self._starting:
            runs = self._thread is not None and self._thread.is_alive()
            if not runs and not self._stop.is_set():
                self._thread = threading.Thread(target=self._follow, name="scoring", daemon=True)
                self._thread.start()
        self._wake.set()

    def stop(self, patience: float = 10.0) -> None:
        """End after the piece that is running."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(patience)

    def scored(self, unit: Unit) -> Scored | None:
        """Under what a unit's scores are kept; None until its file has been looked at. Reads no file."""
        content = self._contents.get(unit.image)
        return None if content is None else Scored(content, unit.frame)

    def look(self) -> int:
        """Score what has no score yet, here and now.

        Returns:
            How many were scored.

        Raises:
            ModelError: the model has no weights here.
            StoppedError: it was told to stop.
        """
        predictor = self._predictor()
        loaded = predictor.loaded()
        stage = sum(self._studies.labels() >= count for count in STAGES)
        generation = f"{'@'.join(_which(loaded))}#{stage}"
        units = self._studies.units()
        waiting = [unit for unit in units if self._due(unit, generation)]
        self._scores.begin(generation)
        if not waiting:
            return 0
        prober = Prober(loaded.network, predictor.entry, self._piece(predictor.device))
        known = self._prototypes(prober) if stage else {}
        done = 0
        for unit in waiting:
            if _which(predictor.loaded()) != _which(loaded):
                break  # another adapter answers now: the rest is scored by it
            done += self._score(unit, prober, known, generation, loaded, predictor.cache)
        return done

    def _score(
        self,
        unit: Unit,
        prober: Prober,
        known: dict[str, Tensor],
        generation: str,
        loaded: Loaded,
        cache: EmbeddingCache,
    ) -> bool:
        place = self.scored(unit)
        if place is None:
            return False
        try:
            image = self._studies.open(unit.image)
            # The unit of a volume is all of it: its middle stands for it.
            volume = image.axis_kind is AxisKind.VOLUME
            plane = Plane("k", image.shape[0] // 2 if volume else unit.frame)
            picture = image.picture(plane)
        except (ImageError, NotFoundError):
            self._unreadable.add(place)
            logger.warning("A unit cannot be read: it gets no score.")
            return False
        embedding = cache.get(Key(image.content_hash, plane, *loaded.encoder))
        self._scores.put(place, generation, score_unit(prober, picture, known, embedding))
        return True

    def _due(self, unit: Unit, generation: str) -> bool:
        """Whether a unit has no score of this generation; looks at its file, and reads it when it is new."""
        try:
            stat = self._studies.file(unit.image).stat()
        except (NotFoundError, OSError):
            return False
        file = (unit.image, stat.st_mtime_ns, stat.st_size)
        content = self._scores.content(*file)
        if content is None and file not in self._unreadable:
            try:
                content = self._studies.open(unit.image).content_hash
                self._scores.note(*file, content)
            except (ImageError, NotFoundError):
                self._unreadable.add(file)
        if content is None:
            return False
        self._contents[unit.image] = content
        place = Scored(content, unit.frame)
        return place not in self._unreadable and self._scores.get(place, generation) is None

    def _prototypes(self, prober: Prober) -> dict[str, Tensor]:
        """What the labelled structures look like to this network."""
        seen = []
        with torch.inference_mode():
            for one in self._studies.labelled(LEARNT):
                if one.mask.any():
                    seen.append((one.name, *prober.seen(prober.encode(one.picture), one.mask)))
            return prototypes(seen)

    def _piece(self, device: torch.device) -> Run:
        def run(work: Callable[[], Result]) -> Result:
            line, since = worker(device), time.monotonic()
            while line.quiet_for < QUIET_S and time.monotonic() - since < PATIENCE_S:
                self._pause(0.05)
            began = time.monotonic()
            found = line.submit(work, background=True).result()
            self._pause(min(time.monotonic() - began, REST_S))
            return found

        return run

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise StoppedError("The server ends; scores made so far are kept.")

    def _follow(self) -> None:
        # Slow to import; the first question for a next image shall not wait for it.
        import sklearn.cluster
        import sklearn.decomposition  # noqa: F401

        told = False
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self.look()
                told = False
            except StoppedError:
                return
            # UniUltraError: of weights, index or campaign; RuntimeError: the device is out of memory
            except (UniUltraError, OSError, RuntimeError) as error:
                if not told:
                    logger.warning(
                        "Units cannot be scored now (%s); it is tried again.", type(error).__name__
                    )
                told = True
            self._wake.wait(LOOK_S)


def _which(loaded: Loaded) -> tuple[str, ...]:
    """What tells one set of weights from another, of the decoder too."""
    return (*loaded.encoder, loaded.adapter or "")
