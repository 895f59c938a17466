"""Agreement between annotators: what the store computes for an image, kept, and pooled for each pair.

Comparing takes reading two masks and a distance transform, so it is done in a thread of its own, one image
after the other; the page says how many are still waiting.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING

from uniultra.errors import UniUltraError
from uniultra.serve.dashboard.schema import Agreement, Pair
from uniultra.store.review import agreement

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore

logger = logging.getLogger(__name__)
Readings = tuple[int, ...]  # revisions that are compared: the same ones always give the same
Found = list[agreement.Agreement]
PAUSE_S = 0.05  # after each image, for whoever clicks


class Comparing:
    """The comparisons of one store, made in the background."""

    def __init__(self, store: LabelStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Readings, Found]] = {}
        self._wanted: dict[str, Readings] = {}
        self._thread: threading.Thread | None = None
        self._end = threading.Event()

    def agreement(self) -> Agreement:
        """What is known now; what is not is begun."""
        wanted = {
            image: tuple(version.revision for version in versions)
            for image, versions in self._store.readings().items()
            if len(versions) > 1
        }
        with self._lock:
            known = {
                image: self._known[image][1]
                for image, revisions in wanted.items()
                if image in self._known and self._known[image][0] == revisions
            }
            self._wanted = {image: revisions for image, revisions in wanted.items() if image not in known}
            waiting = len(self._wanted)
            if waiting and not (self._thread and self._thread.is_alive()) and not self._end.is_set():
                self._thread = threading.Thread(target=self._compare, name="comparing", daemon=True)
                self._thread.start()
        return Agreement(pairs=pooled(known), waiting=waiting)

    def wait(self, seconds: float) -> None:
        """Wait until nothing is being compared."""
        if thread := self._thread:
            thread.join(seconds)

    def _compare(self) -> None:
        while not self._end.is_set():
            with self._lock:
                if not self._wanted:
                    return
                image, revisions = self._wanted.popitem()
            found: Found = []
            try:
                found = self._store.agreement(image)
            except UniUltraError:
                logger.warning("The labels of an image cannot be compared.")
            with self._lock:
                self._known[image] = (revisions, found)
            self._end.wait(PAUSE_S)


def pooled(known: Mapping[str, Found]) -> tuple[Pair, ...]:
    """Medians for each pair of annotators and structure; the least alike first."""
    together: dict[tuple[str, str, str, str], list[tuple[str, agreement.Agreement]]] = {}
    for image, found in known.items():
        for one in found:
            together.setdefault((*one.annotators, one.label, one.unit), []).append((image, one))
    pairs = []
    for (first, second, structure, unit), cases in together.items():
        worst, lowest = min(cases, key=lambda case: case[1].dice)
        distances = [one.hd95 for _, one in cases if one.hd95 is not None]
        pairs.append(
            Pair(
                first=first,
                second=second,
                structure=structure,
                images=len(cases),
                dice=round(median(one.dice for _, one in cases), 4),
                hd95=round(median(distances), 3) if distances else None,
                unit=unit,
                worst=worst,
                lowest=round(lowest.dice, 4),
            )
        )
    return tuple(sorted(pairs, key=lambda pair: (pair.dice, pair.first, pair.second)))
