"""Embeddings kept in memory, the least recently used dropped first, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

from uniultra.images.types import Plane
from uniultra.networks.network import Embedding
from uniultra.prompts.types import Crop


class Key(NamedTuple):
    """What an embedding depends on; two pictures or two models never share one."""

    content_hash: str
    plane: Plane
    model: str
    weights: str
    crop: Crop | None = None  # of the plane; None for all of it


class EmbeddingCache:
    """A thread-safe LRU of embeddings.

    Args:
        limit: bytes of tensors to keep. An embedding larger than that is not kept at all.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self._kept: OrderedDict[Key, Embedding] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def get(self, key: Key) -> Embedding | None:
        """The embedding of `key`, now the most recently used, or None."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Key, embedding: Embedding) -> None:
        """Keep an embedding, dropping the least recently used beyond the limit."""
        with self._lock:
            self._drop(key)
            if embedding.bytes > self.limit:
                return
            self._kept[key] = embedding
            self.bytes += embedding.bytes
            while self.bytes > self.limit:
                self._drop(next(iter(self._kept)))

    def forget(self, model: str, weights: str) -> None:
        """Drop all embeddings of a model with certain weights."""
        with self._lock:
            for key in [key for key in self._kept if (key.model, key.weights) == (model, weights)]:
                self._drop(key)

    def _drop(self, key: Key) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self.bytes -= gone.bytes
