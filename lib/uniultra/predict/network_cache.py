"""Keeps networks in memory within a limit; the least recently used are released first."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable
from itertools import chain
from typing import Protocol

from torch import nn

from uniultra.models.registry import ModelEntry

logger = logging.getLogger(__name__)


class Releasable(Protocol):
    """An object that holds a network and can load it again, such as a `Predictor`."""

    entry: ModelEntry

    def release(self) -> None: ...


class NetworkCache:
    """The predictors of one server that have their network in memory.

    A released network is loaded again at the next click; its embeddings stay in the embedding cache.

    Args:
        limit: bytes of weights to keep. The most recently used network stays, however large it is.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[Releasable, nn.Module] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def used(self, predictor: Releasable) -> None:
        """Mark a predictor as used."""
        with self._lock:
            if predictor in self._kept:
                self._kept.move_to_end(predictor)

    def loaded(self, predictor: Releasable, network: nn.Module) -> None:
        """Register the network that a predictor has loaded, and release others beyond the limit."""
        with self._lock:
            self._kept[predictor] = network
            self._kept.move_to_end(predictor)
            while len(self._kept) > 1 and _bytes(self._kept.values()) > self._limit:
                idle, _ = self._kept.popitem(last=False)
                idle.release()
                logger.info("%s was released to make room for %s", idle.entry.name, predictor.entry.name)


def _bytes(networks: Iterable[nn.Module]) -> int:
    """Bytes of their weights, shared ones counted once."""
    tensors = (t for network in networks for t in chain(network.parameters(), network.buffers()))
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in tensors}.values())
