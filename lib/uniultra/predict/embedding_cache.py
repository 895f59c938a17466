"""Least-recently-used cache of embeddings, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

from uniultra.images.types import Plane
from uniultra.networks.network import Embedding
from uniultra.prompts.types import Crop


class Key(NamedTuple):
    """Everything an embedding depends on; two pictures or two models never share one.

    Attributes:
        content_hash: of the image.
        plane: of the image.
        model, weights: the encoder's name in the registry and the digest of its weights.
        crop: the part of the plane that was encoded; None (default) for the whole plane.
    """

    content_hash: str
    plane: Plane
    model: str
    weights: str
    crop: Crop | None = None


class EmbeddingCache:
    """A thread-safe LRU cache of embeddings.

    Args:
        limit: bytes of tensors to keep. A larger embedding is not kept at all.

    Two embeddings of 1 MiB in a cache of 1 MiB:

        >>> import torch
        >>> cache = EmbeddingCache(1 << 20)
        >>> first, second = (Key("hash", Plane("k", n), "uniultra_mini", "digest") for n in range(2))
        >>> cache.put(first, Embedding(torch.zeros(1 << 18)))
        >>> cache.put(second, Embedding(torch.zeros(1 << 18)))
        >>> first in cache, second in cache, cache.bytes
        (False, True, 1048576)
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
        """The embedding of `key`, marked as most recently used, or None."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Key, embedding: Embedding) -> None:
        """Keep an embedding and drop the least recently used ones beyond the limit."""
        with self._lock:
            self._drop(key)
            if embedding.bytes > self.limit:
                return
            self._kept[key] = embedding
            self.bytes += embedding.bytes
            while self.bytes > self.limit:
                self._drop(next(iter(self._kept)))

    def forget(self, model: str, weights: str) -> None:
        """Drop all embeddings of a model with these weights."""
        with self._lock:
            for key in [key for key in self._kept if (key.model, key.weights) == (model, weights)]:
                self._drop(key)

    def _drop(self, key: Key) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is not None:
            self.bytes -= dropped.bytes
