"""The network of a campaign: the bundle that was published last, taken over while clicks go on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch

from uniultra.errors import ModelError
from uniultra.models.registry import ModelEntry
from uniultra.predict.shared_networks import Loaded, load, load_bundle
from uniultra.predict.shutdown import unbroken

log = logging.getLogger(__name__)


class Published(Protocol):
    """What says which bundle a model answers with; `uniultra.weights.deployed.Published`."""

    def stamp(self) -> object: ...

    def current(self, model: str) -> str | None: ...

    def path(self, bundle_id: str) -> Path: ...


class Swap:
    """Loads what was published, off the path of clicks.

    A bundle that cannot be loaded leaves what answered before, and `problem` says why.

    Args:
        model: whose bundles.
        device: to load them on.
        published: where they are.
    """

    def __init__(self, model: ModelEntry, device: torch.device, published: Published) -> None:
        self.model, self.device, self.published = model, device, published
        self.problem: str | None = None
        self._seen: object = None  # stamp of what was looked at last
        self._busy = threading.Lock()

    def first(self) -> Loaded:
        """What answers at the start: the published bundle, or the model's own weights.

        Raises:
            ModelError: the model's own weights are missing or damaged.
        """
        self._seen = self.published.stamp()
        self.problem = None
        try:
            chosen = self.published.current(self.model.name)
            if chosen is not None:
                return load_bundle(self.model, self.published.path(chosen), chosen, self.device)
        except ModelError as error:
            self._complain(error)
        return load(self.model, self.device)

    def look(self, now: Loaded, take: Callable[[Loaded, Loaded], bool]) -> None:
        """Look whether something else was published; if so, load it in a thread and give it to `take`.

        Args:
            now: what answers.
            take: is given `now` and what is to answer; False where `now` no longer answers, so that it
                took nothing.
        """
        stamp = self.published.stamp()
        if stamp == self._seen or not self._busy.acquire(blocking=False):
            return
        # Once for each stamp, also when it fails: what cannot be loaded is not tried at every click.
        self._seen = stamp
        threading.Thread(target=self._swap, args=(stamp, now, take), name="adapter", daemon=True).start()

    def _swap(self, stamp: object, now: Loaded, take: Callable[[Loaded, Loaded], bool]) -> None:
        try:
            chosen, new = self.published.current(self.model.name), now
            if chosen != now.adapter:
                with unbroken():
                    new = (
                        load(self.model, self.device)
                        if chosen is None
                        else load_bundle(self.model, self.published.path(chosen), chosen, self.device)
                    )
            if not take(now, new):
                self._seen = object()  # what answers instead was not looked at: the next click does
                return
            if new is not now:
                log.info("%s answers with %s", self.model.name, chosen or "its own weights")
            self.problem = None
        except (ModelError, OSError, RuntimeError) as error:  # RuntimeError: the device has no memory left
            if self._seen == stamp:  # else the network was loaded anew since, maybe of another choice
                self._complain(error)
        finally:
            self._busy.release()

    def _complain(self, error: Exception) -> None:
        text = str(error) if isinstance(error, ModelError) else "The device or the disk could not hold it."
        self.problem = f"The published adapter cannot be used, so what answered before goes on. {text}"
        log.warning("%s: %s", self.model.name, self.problem)
