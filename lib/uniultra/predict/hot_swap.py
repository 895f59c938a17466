"""Hot swap: loads the bundle that a campaign published last while clicks continue.

A click compares one file's stamp (`check`) and continues with the network that it got; it never waits for a
new one. When the stamp has changed, one daemon thread loads what is now published, beside the old network,
and hands it to the predictor (`take`), which replaces one reference under its own lock. Clicks under way hold
the old network on their stack and finish on it.

What may happen meanwhile decides the rest:

- Another bundle is published while one loads: `_busy` keeps a second thread from starting, and the stamp seen
  stays the older one, so the next click after the first swap checks again.
- The predictor was released or loaded anew while the thread worked: `take` compares with the network that the
  thread started from and refuses; the stamp is forgotten, so the next click checks what answers then.
- A bundle cannot be loaded: its stamp counts as seen, so it is tried once and not at every click, the
  previous network keeps answering, and `problem` says why. If the network was loaded anew meanwhile (`first`
  has seen another stamp), the failure is obsolete and not reported.
- The program ends while a thread is inside torch: `shutdown.unbroken` makes the exit wait, for a thread that
  is cut off in native code aborts the process.
"""

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
from uniultra.shutdown import unbroken

log = logging.getLogger(__name__)


class BundleSource(Protocol):
    """Source of the bundle a model answers with, such as `uniultra.weights.deployed.Published`."""

    def stamp(self) -> object: ...

    def current(self, model: str) -> str | None: ...

    def path(self, bundle_id: str) -> Path: ...


class HotSwap:
    """Loads published bundles in the background.

    When a bundle cannot be loaded, the previous network keeps answering and `problem` says why.

    Args:
        model: entry of the model whose bundles are loaded.
        device: device to load them on.
        published: source of the bundles.
    """

    def __init__(self, model: ModelEntry, device: torch.device, published: BundleSource) -> None:
        self.model, self.device, self.published = model, device, published
        self.problem: str | None = None
        self._seen: object = None  # stamp that was loaded or tried last
        self._busy = threading.Lock()

    def first(self) -> Loaded:
        """The network to start with: the published bundle, or the model's own weights.

        Raises:
            ModelError: the model's own weights are missing or damaged.
        """
        self._seen = self.published.stamp()
        self.problem = None
        try:
            return self._load(self.published.current(self.model.name))
        except ModelError as error:
            self._complain(error)
        return load(self.model, self.device)

    def check(self, now: Loaded, take: Callable[[Loaded, Loaded], bool]) -> None:
        """If another bundle was published, load it in a thread and give it to `take`.

        Args:
            now: the network that answers.
            take: replaces `now` by the new network; returns False, and does nothing, where `now` no longer
                answers.
        """
        stamp = self.published.stamp()
        if stamp == self._seen or not self._busy.acquire(blocking=False):
            return
        self._seen = stamp
        threading.Thread(target=self._swap, args=(stamp, now, take), name="adapter", daemon=True).start()

    def _swap(self, stamp: object, now: Loaded, take: Callable[[Loaded, Loaded], bool]) -> None:
        try:
            chosen, new = self.published.current(self.model.name), now
            if chosen != now.adapter:
                with unbroken():
                    new = self._load(chosen)
            if not take(now, new):
                self._seen = object()  # no stamp equals it
                return
            if new is not now:
                log.info("%s answers with %s", self.model.name, chosen or "its own weights")
            self.problem = None
        except (ModelError, OSError, RuntimeError) as error:  # RuntimeError: the device has no memory left
            if self._seen == stamp:
                self._complain(error)
        finally:
            self._busy.release()

    def _load(self, chosen: str | None) -> Loaded:
        if chosen is None:
            return load(self.model, self.device)
        return load_bundle(self.model, self.published.path(chosen), chosen, self.device)

    def _complain(self, error: Exception) -> None:
        text = str(error) if isinstance(error, ModelError) else "The device or the disk could not hold it."
        self.problem = f"The published adapter cannot be used; the previous network keeps answering. {text}"
        log.warning("%s: %s", self.model.name, self.problem)
